"""The gates of a run: evidence from its files and from other runs', verdicts, and the files that tell them.

In: a run folder, its recipe, scores and predictions. Out: verdicts. A place where stages meet; no torch, no
transformers. What can be known to be wrong is said before the test split is opened: a look is not to be wasted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from hfft import answering, calibrating, comparing, gating, ledger, mask_records, robustness, rules, scoring, thresholds
from hfft.errors import InputError
from hfft.gating import Evidence, Verdict
from hfft.mask_records import Answers, MaskPredictions
from hfft.pairing import Difference
from hfft.recipe import Recipe
from hfft.records import PROBE, Score, read_json
from hfft.run_folder import RunFolder
from hfft.tallying import COPIES


def ready(run: RunFolder, wanted: Recipe) -> None:
    """Raise InputError for gates that could not be judged: unknown metrics, runs that are not there or not comparable.

    Opens no split of any run.
    """
    split = read_json(run.split)
    names = tuple(split["counts"]["train"])
    several = wanted.data.multi_label
    if several and not run.thresholds.is_file():
        raise InputError(
            f"{run.root}: {run.thresholds.name} is not in its model folder: it ended before they were tuned; "
            f"type `hfft run {run.root} --resume`"
        )
    if several:
        thresholds.read(run.thresholds, names)
    answering.biases(run, wanted.decide, names)
    calibrating.fits(run, names)
    probes = robustness.known(wanted.gates, len(wanted.probes.templates))
    gating.check(
        wanted.gates, [*scoring.keys(wanted.metrics, names, several, wanted.masks), *probes], several or wanted.masks
    )
    for rival in rules.rivals(wanted.gates):
        try:
            other = RunFolder.existing(rival.run, folds=True)
        except InputError as error:
            raise InputError(f"gates.{rules.RIVAL}: {error}") from error
        if other.root.resolve() == run.root.resolve():
            raise InputError(f"gates.{rules.RIVAL}: {rival.run} is this run itself; name the run it is to be held to")
        if not other.predictions("test").is_file():
            raise InputError(f"gates.{rules.RIVAL}: {rival.run} has not been scored: run `hfft eval {rival.run}` first")
        mine, theirs = (tree.get("fingerprints", {}).get("test") for tree in (split, _split(other)))
        if mine and theirs and mine != theirs:
            raise InputError(
                f"gates.{rules.RIVAL}: {rival.run} has other test rows than this run, so the two cannot be compared: "
                "train both with the same data:, data.split and seed"
            )


def judge(run: RunFolder, wanted: Recipe, scores: Mapping[str, Score], predictions: Answers) -> list[Verdict]:
    """Verdicts on the recipe's gates, from the test scores and the run's files; what is not there cannot be told."""
    if not wanted.gates:
        return []
    book = ledger.read(run)
    unsure = f"The ledger is {book.state}: {book.why}" if book.why else ""
    against = partial(_against, predictions, wanted.metrics)
    split = _split(run)
    scores = robustness.unmeasured(wanted.gates, scores, str(run.root)) | dict(scores)
    evidence = Evidence(scores, leaks(split), unsearched(split), book.count, unsure, against)
    found = gating.judge(wanted.gates, evidence)
    unit = "pixel" if isinstance(predictions, MaskPredictions) else "row"
    return [_of_one_answer(verdict, predictions.only_answer, unit) for verdict in found]


def reloaded(run: RunFolder) -> list[Verdict]:
    """A gate of hfft's own that shows only where it fails: the saved model answers otherwise without hfft."""
    found = run.read_parity()
    if found is None or found["passed"] is not False:
        return []
    score = Score(found["largest_logit_gap"], None, None, found["n"], "largest difference of a logit")
    return [Verdict("parity", "with plain transformers", gating.FAIL, score, f"{found['why']}.")]


def _of_one_answer(verdict: Verdict, only: str | None, unit: str = "row") -> Verdict:
    """A verdict on a probe, with a warning where the model has one answer: it is steady as a stopped clock is."""
    if only is None or not verdict.metric.startswith(PROBE):
        return verdict
    but = "But the" if verdict.verdict == gating.PASS else "The"
    return replace(verdict, why=f"{verdict.why} {but} model answers {only!r} for every test {unit}.")


def leaks(split: Mapping[str, Any]) -> int | None:
    """Rows of test with a copy (exact, normalised or near) that took part in training; None for older runs.

    Under on_leak: drop the copies were found and left out of train, so none is left.
    """
    found = split.get("leaks")
    if not isinstance(found, Mapping) or "overlaps" not in found:
        return None
    if found["policy"] == "drop":
        return 0
    pairs = [pair for pair in found["overlaps"] if (pair["split"], pair["with"]) == ("test", "train")]
    return sum(pair[kind] for pair in pairs for kind in COPIES)


def unsearched(split: Mapping[str, Any]) -> str:
    """Why copies may be there that were not looked for: of a stream, all but equal inputs; "" where all was searched.

    Caps on a search of data at rest (see `overlaps.join`) are told with the split and are no reason to doubt a count.
    """
    found = split.get("leaks")
    if not isinstance(found, Mapping) or not split.get("method", {}).get("streaming"):
        return ""
    note = str(found.get("note") or "")
    return (note[:1].upper() + note[1:]).removesuffix(".")


def _against(predictions: Answers, metrics: list[str], name: str, metric: str | None) -> tuple[str, Difference]:
    """(metric, this run minus run `name` on the same rows)"""
    base = mask_records.read(RunFolder.existing(name, folds=True).predictions("test"))
    found = comparing.compare([(name, base), ("this run", predictions)], metrics)[0]
    chosen = metric or found.headline
    if chosen not in found.differences:
        raise InputError(f"{chosen} is not compared between runs")
    return chosen, comparing.cautious(base, predictions, chosen, found.differences[chosen])


def _split(run: RunFolder) -> dict[str, Any]:
    return read_json(run.split) if run.split.is_file() else {}
