"""What a model's answers to changed rows say: how often they flip, and what that costs.

In: cells of answers (see answers.py) and how they came about. Out: plain facts with intervals, and scores for gates. It
must not know how rows were changed. No torch, no transformers.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfft import answers, comparing, estimates, probe_telling, rooms, scoring
from hfft.answers import AS_IT_IS, MINIMUM, TEMPLATES, Answers, Cell
from hfft.intervals import wilson
from hfft.mask_records import MaskPredictions
from hfft.perturbing import DIRECTION, INVARIANCE, ROOM
from hfft.records import PROBE, Predictions, Score, leading, less_is_better, read_json
from hfft.run_folder import RunFolder

STILL = 1e-5
FLIPS, FAILURES, DROP = "flip_rate", "failure_rate", "drop"
KEY = re.compile(r"probe\.(\w+)(?:\.(\d+))?\.(flip_rate|failure_rate|drop)")


def facts(cells: Mapping[Cell, Answers], how: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """How each probe went, the worst first: JSON-able data, one split's part of probes.json.

    how: as `hfft probe` keeps it beside the answers. metrics: the recipe's; the one that leads tells what is lost.
    """
    reference = cells.get(AS_IT_IS)
    metric = _leading(reference, metrics) if reference is not None else None
    made = [_probe(name, about, cells, reference, metric) for name, about in how["probes"].items()]
    made.sort(key=lambda probe: -(probe["rate"]["low"] if probe["rate"]["low"] is not None else -1))
    kept = {key: how[key] for key in ("n", "sampled", "seconds", "budget")} | {"capped": how.get("capped", False)}
    missing, only = probe_telling.left_out(how, made), reference.only_answer if reference is not None else None
    kept |= {"left_out": missing, "metric": metric and metric[1], "probes": made}
    return kept | {"sentences": probe_telling.sentences(made, how, missing, only)}


def of(folder: RunFolder, split: str, metrics: Sequence[str]) -> dict[str, Any] | None:
    """`facts` of the answers that a run keeps for a split; None where it was not probed."""
    if not folder.how_probed(split).is_file():
        return None
    how = read_json(folder.how_probed(split))
    if not folder.probed(split).is_file() and how["probes"]:
        return None
    return facts(answers.read(folder.probed(split)) if how["probes"] else {}, how, metrics)


def scores(found: Mapping[str, Any]) -> dict[str, Score]:
    """What gates may ask about: probe.NAME.flip_rate (or failure_rate) and probe.NAME.drop, also of one severity."""
    out = {}
    for probe in found["probes"]:
        stem = f"{PROBE}{probe['name']}"
        parts = [(stem, probe), *((f"{stem}.{part['severity']}", part) for part in probe["severities"])]
        for key, part in parts:
            out[f"{key}.{probe['measure']}"] = Score(**part["rate"])
            if part["drop"]:
                out[f"{key}.{DROP}"] = Score(**{k: part["drop"][k] for k in ("value", "low", "high", "n", "method")})
    return out


def keys(kinds: Mapping[str, tuple[str, int]]) -> list[str]:
    """Every key of `scores` for probes {name: (kind, severities)}."""
    out = []
    for name, (kind, levels) in kinds.items():
        measures = [FLIPS, DROP] if kind == INVARIANCE else [FAILURES]
        stems = [f"{PROBE}{name}", *(f"{PROBE}{name}.{level}" for level in range(1, levels + 1))]
        out += [f"{stem}.{measure}" for stem in stems for measure in measures]
    return out


def asked(gates: Mapping[str, Any]) -> list[str]:
    """Names of the probes that gates are about; templates are none."""
    found = (KEY.fullmatch(str(key)) for key in gates)
    return list(dict.fromkeys(key[1] for key in found if key and key[1] != TEMPLATES))


def known(gates: Mapping[str, Any], templates: int) -> list[str]:
    """Keys that gates may use, where any of them is about a probe: else the room is not even read.

    templates: how many the recipe has.
    """
    if not any(str(key).startswith(PROBE) for key in gates):
        return []
    room = {name: rooms.find(ROOM, name) for name in rooms.names(ROOM)}
    kinds = {name: (probe.KIND, probe.SEVERITIES) for name, probe in room.items()}
    return keys(kinds | ({TEMPLATES: (MINIMUM, templates)} if templates else {}))


def unmeasured(gates: Mapping[str, Any], scores: Mapping[str, Score], run: str) -> dict[str, Score]:
    """What gates ask about and no probe has measured, as scores without a value that say why.

    scores: all that is known. run: how commands name it.
    """
    out = {}
    for key in gates:
        found = KEY.fullmatch(str(key))
        if not found or key in scores:
            continue
        name = found[1]
        why = f"{name} was not run on the test rows; type hfft probe {run} {name} --test"
        if any(other.startswith(f"{PROBE}{name}.") for other in scores):
            why = f"{name} changed no row so" if found[2] else f"the metric that leads has no {found[3]} here"
        out[str(key)] = Score(None, None, None, 0, why)
    return out


def _leading(reference: Answers, metrics: Sequence[str]) -> tuple[list[str], str] | None:
    """([the recipe's metric that leads], its key)."""
    kind = (reference.names, reference.multi_label, isinstance(reference, MaskPredictions))
    key = leading(scoring.keys(metrics, *kind))
    owner = [m for m in metrics if key in scoring.keys([m], *kind)]
    return (owner[:1], key) if key and owner else None


def _probe(
    name: str,
    about: Mapping[str, Any],
    cells: Mapping[Cell, Answers],
    reference: Answers | None,
    metric: tuple[list[str], str] | None,
) -> dict[str, Any]:
    mine = {severity: cell for (probe, severity), cell in cells.items() if probe == name}
    fixed = {key: about[key] for key in ("kind", "safe", "says", "of")}
    fixed |= {"name": name, "title": name.replace("_", " ").capitalize()}
    fixed["measure"] = FLIPS if about["kind"] == INVARIANCE else FAILURES
    fixed["a_failure"] = probe_telling.FAILS.get(about["kind"], probe_telling.FLIPS)
    tried = about.get("severities", [])  # a probe's file may have got more of them since
    fixed["left_out"] = [level for level in range(1, about.get("strengths", 0) + 1) if level not in tried]
    titles = [f"{pattern['text']} → {pattern['label']}" for pattern in about.get("patterns", [])]
    fixed |= {"failures": about["failures"]} if "failures" in about else {}
    parts, pairs = [], []
    for severity, after in sorted(mine.items()):
        before = None if reference is None or name == TEMPLATES else answers.beside(reference, after)
        pairs.append((before, after))
        title = {"title": titles[severity - 1]} if severity <= len(titles) else {}
        parts.append({"severity": severity} | title | _told(about["kind"], [(before, after)], metric))
    whole = _told(about["kind"], pairs, metric) if pairs else {"rate": _nothing(), "drop": None}
    fixed["unseen"] = bool(pairs) and all(before is not None and _same(before, after) for before, after in pairs)
    rows = len({row for _, after in pairs for row in after.ids.tolist()})
    fixed |= {"pixels": True} if isinstance(reference, MaskPredictions) else {}
    found = fixed | {"n": rows, "severities": parts} | whole
    return found | {"sentence": probe_telling.told(found, metric and metric[1])}


def _told(
    kind: str, pairs: Sequence[tuple[Answers | None, Answers]], metric: tuple[list[str], str] | None
) -> dict[str, Any]:
    """Rate of failures and drop of the metric over one severity or several, whose rows recur."""
    every = [after for _, after in pairs]
    after = every[0].joined(*every[1:])
    known = [before for before, _ in pairs if before is not None]
    if not known:  # templates: right or wrong
        return {"rate": dataclasses.asdict(_rate(answers.failed(kind, after, after), None, after.n)), "drop": None}
    before = known[0].joined(*known[1:])
    units = after.groups if after.groups is not None else after.ids if len(pairs) > 1 else None
    rows = len(set(after.ids.tolist()))
    rate = dataclasses.asdict(_rate(answers.failed(kind, before, after), units, rows))
    if kind == DIRECTION or metric is None:
        return {"rate": rate, "drop": None}
    before, after = (dataclasses.replace(part, groups=units) for part in (before, after))
    apart = comparing.gain(before, after, metric[0])
    if apart is None or apart[0] != metric[1]:
        return {"rate": rate, "drop": None}
    found = apart[1]
    if isinstance(before, Predictions):
        found = comparing.cautious(_each_its_own(before, pairs), _each_its_own(after, pairs), *apart)
    sign = 1 if less_is_better(metric[1]) else -1
    low, high = sorted((sign * found.low + 0.0, sign * found.high + 0.0))
    drop = {"value": sign * found.value + 0.0, "low": low, "high": high, "p": found.p, "n": rows}
    return {"rate": rate, "drop": drop | {"method": found.method}}


def _same(before: Answers, after: Answers) -> bool:
    """Whether not one probability moved, as where a tokenizer folds away what was changed; batches differ by less."""
    if isinstance(after, MaskPredictions):
        return not answers.failed(INVARIANCE, before, after).any()
    return bool(np.abs(before.scores - after.scores).max() < STILL)


def _each_its_own(part: Predictions, pairs: Sequence[Any]) -> Predictions:
    """The same answers, where a row that recurs at several severities is told apart by them."""
    if len(pairs) == 1:
        return part
    levels = np.repeat(np.arange(len(pairs)), [after.n for _, after in pairs])
    ids = np.array([f"{level}.{row}" for level, row in zip(levels, part.ids, strict=True)], dtype=object)
    return dataclasses.replace(part, ids=ids)


def _rate(failed: np.ndarray, units: np.ndarray | None, rows: int) -> Score:
    """Share of failures. units: (n,), rows that are one witness, such as one input at several severities; rows: how
    many there are of these inputs, which is the n that is told."""
    n = len(failed)
    if failed.dtype != bool and failed.any():  # shares of an image's pixels
        spread = estimates.interval(estimates.mean(failed), estimates.numbered(units))
        return Score(float(failed.mean()), spread.low, min(spread.high, 1.0), rows, spread.method)
    if units is None or len(set(units)) == n:
        low, high = wilson(float(failed.sum()), n)
        return Score(float(failed.mean()), low, high, n, "Wilson")
    mean = estimates.mean(failed.astype(float), estimates.SHARE)
    spread = estimates.interval(mean, estimates.numbered(units))
    return Score(mean.value, spread.low, spread.high, rows, spread.method)


def _nothing() -> dict[str, Any]:
    return dataclasses.asdict(Score(None, None, None, 0, "undefined: the probe applies to none of the rows"))
