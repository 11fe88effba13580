"""A model on changed copies of held-back rows: what it answers, and where the answer should not have moved.

In: rows, the model as a function from rows to `Predictions`, probes, a plan. Out: cells of answers (see answers.py),
and the worst examples with what was changed. It must not know what is concluded from them.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import answers, labelsets, overlays, patterns, perturbing
from hfft.answers import TEMPLATES, Cell
from hfft.mask_records import MaskPredictions
from hfft.perturbing import title
from hfft.recipe import Template
from hfft.records import Predictions, content_of, write_whole

Ask = Callable[[datasets.Dataset], Any]  # rows with `id` and `label`, in their order → predictions
Segment = Callable[[datasets.Dataset], list[np.ndarray]]
CHUNK = 256  # rows that are held changed at a time: pictures are large
SCENE_SIDE = 160  # pixels of a scene's longer side in an example
KEPT = 5  # worst examples of a probe
TIMED = 4  # rows that tell what changing one costs
SALT = b"hfft rows to probe 1:"
EXAMPLES = {"id": pa.string(), "probe": pa.string(), "severity": pa.int64(), "label": pa.string()}
SIDE = {"prediction": pa.string(), "confidence": pa.float64(), "text": pa.string(), "image": pa.binary()}
EXAMPLES |= {f"{what}_{when}": kind for when in ("before", "after") for what, kind in SIDE.items()}


@dataclass(frozen=True)
class Subject:
    """What is probed: the rows, how to ask the model about them, and its answers to them as they are.

    segment: of masks, the model as a function from rows to a class for each pixel. sooner: the same model in another
    arithmetic, for changed rows and for the same rows as they are.
    """

    modality: ModuleType
    processor: Any
    rows: datasets.Dataset
    ask: Ask
    answered: Any
    segment: Segment | None = None
    sooner: Ask | None = None


def order(ids: Sequence[str]) -> np.ndarray:
    """Places of the rows, shuffled by what they hold: any number of the first is the same sample for every model."""
    keys = [hashlib.blake2b(SALT + content_of(str(row)).encode(), digest_size=8).digest() for row in ids]
    return np.array(sorted(range(len(keys)), key=lambda place: (keys[place], str(ids[place]))), dtype=np.int64)


def cost(subject: Subject, probe: ModuleType) -> float:
    """Seconds to change one row, on one core; the model's own time is not in it."""
    part = subject.rows.select(range(min(TIMED, len(subject.rows))))
    items, _ = subject.modality.contents(part, subject.processor)
    began = time.perf_counter()
    for row, item in zip(part["id"][:], items, strict=True):
        subject.modality.perturbed(probe, item, (probe.SEVERITIES + 1) // 2, content_of(row))
    return (time.perf_counter() - began) / max(len(items), 1)


def ready(subject: Subject) -> Subject:
    """The same subject; of masks, with images made as small as probes are handed them, and with the model's answers to
    these beside them, so that a probe that moves what is seen moves them along."""
    if not subject.modality.MASKS:
        return subject
    assert subject.segment is not None
    parts = []
    for part in _chunks(subject.rows):
        items, _ = subject.modality.contents(part, subject.processor)
        answered = subject.segment(subject.modality.changed(part, items))
        known = [item._replace(before=mask) for item, mask in zip(items, answered, strict=True)]
        parts.append(subject.modality.changed(part, known))
    rows = datasets.concatenate_datasets(parts)
    return replace(subject, rows=rows, answered=subject.ask(rows))


def reference(subject: Subject) -> Any:
    """Answers to the rows as probes are handed them: large pictures made smaller, as the model's processor would."""
    found: list[Any] = []
    for part in _chunks(subject.rows):
        items, smaller = subject.modality.contents(part, subject.processor)
        known = subject.answered.where(_places(subject.answered, part["id"][:]))
        found.append(subject.ask(subject.modality.changed(part, items)) if smaller else known)
    return found[0].joined(*found[1:])


def probed(subject: Subject, probe: ModuleType, severities: Sequence[int]) -> dict[Cell, Any]:
    """Answers to the rows that the probe changes, at each severity; a severity at which none is changed is left out."""
    parts: dict[int, list[Any]] = {severity: [] for severity in severities}
    for part in _chunks(subject.rows):
        items, _ = subject.modality.contents(part, subject.processor)
        made = [
            (s, i, item)
            for s in severities
            for i, item in enumerate(_each(subject.modality, probe, items, s, part["id"][:]))
        ]
        made = [(s, i, item) for s, i, item in made if item is not None]
        if not made:
            continue
        rows = subject.modality.changed(part.select([i for _, i, _ in made]), [item for *_, item in made])
        found, levels = subject.ask(rows), np.array([s for s, *_ in made])
        for severity in severities:
            if (levels == severity).any():
                parts[severity].append(found.where(levels == severity))
    return {(title(probe), s): some[0].joined(*some[1:]) for s, some in parts.items() if some}


def from_templates(
    modality: ModuleType, ask: Ask, templates: Sequence[Template], several: bool = False
) -> dict[Cell, Any]:
    """Answers to the sentences of each template, whose labels are known.

    several: classes may apply to a row; then the template's class is the one that does.
    """
    cells = {}
    for number, template in enumerate(templates, 1):
        texts = patterns.filled(template.text, template.fill)
        rows = modality.as_rows(texts)
        ids = [f"template-{number}.{place}.{_sentence_key(text, template.label)}" for place, text in enumerate(texts)]
        label = labelsets.text([template.label]) if several else template.label
        for column, values in (("id", ids), ("label", [label] * len(texts))):
            rows = rows.add_column(column, values, feature=datasets.Value("string"))
        cells[TEMPLATES, number] = ask(rows)
    return cells


def wrong_sentences(cells: dict[Cell, Any], templates: Sequence[Template]) -> list[dict[str, Any]]:
    """The surest five of each template that got another class: {template: number, text, label, prediction,
    confidence}."""
    found: list[dict[str, Any]] = []
    for number, template in enumerate(templates, 1):
        after, texts = cells[TEMPLATES, number], patterns.filled(template.text, template.fill)
        wrong, sure = answers.failed(answers.MINIMUM, after, after), answers.confidence(after, after)
        for place in sorted(np.flatnonzero(wrong), key=lambda place: -sure[place])[:KEPT]:
            row = {"template": number, "text": texts[place], "label": template.label}
            row |= {"prediction": _named(after, after.predicted[place]), "confidence": float(sure[place])}
            found.append(row)
    return found


def _sentence_key(text: str, label: str) -> str:
    """What a sentence is known by, in whatever recipe and wherever in it it stands."""
    return hashlib.blake2b(f"{text}\x1f{label}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def examples(subject: Subject, before: Any, cells: dict[Cell, Any], probes: Sequence[ModuleType]) -> pa.Table:
    """The surest failures of each probe, those first that were right before, with the input before and after."""
    columns: dict[str, list[Any]] = {key: [] for key in EXAMPLES}
    for probe in probes:
        for severity, row, was, now in _worst(probe, before, cells):
            _add(columns, subject, probe, severity, row, was, now)
    return pa.table({key: pa.array(values, EXAMPLES[key]) for key, values in columns.items()})


def keep_examples(table: pa.Table | None, asked: set[str], path: Path) -> None:
    """Write these examples, and keep those in the file that are of probes not `asked` now."""
    tables = [] if table is None else [table]
    if path.is_file():
        old = pq.read_table(path)
        kept = [name not in asked for name in old["probe"].to_pylist()]
        tables.append(old.filter(pa.array(kept, pa.bool_())))
    if tables:
        write_whole(path, lambda target: pq.write_table(pa.concat_tables(tables), target))


def _worst(probe: ModuleType, before: Any, cells: dict[Cell, Any]) -> list[tuple[int, str, Any, Any]]:
    """(severity, row id, that row's answer before, after), worst first, each row once."""
    found = []
    for (name, severity), after in cells.items():
        if name != title(probe):
            continue
        was = answers.beside(before, after)
        if isinstance(after, MaskPredictions):
            flipped = answers.failed(probe.KIND, was, after)
            found += [((False, -float(flipped[i]), severity), int(i), was, after) for i in np.flatnonzero(flipped)]
            continue
        right = (was.predicted == was.labels).reshape(was.n, -1).all(axis=1)
        if probe.KIND == perturbing.DIRECTION:
            sure = answers.confidence(was, after) - answers.confidence(was, was)
        else:
            sure = answers.confidence(after, after)
        for i in np.flatnonzero(answers.failed(probe.KIND, was, after)):
            # At equal sureness the milder change is the more telling one.
            found.append(((not right[i], -float(sure[i]), severity), int(i), was, after))
    found.sort(key=lambda item: item[0])
    first: dict[str, tuple[int, int, Any, Any]] = {}
    for (_, _, severity), place, was, after in found:
        first.setdefault(str(was.ids[place]), (severity, place, was, after))
    worst = list(first.values())[:KEPT]
    return [(s, str(was.ids[i]), was.where(np.array([i])), after.where(np.array([i]))) for s, i, was, after in worst]


def _add(
    columns: dict[str, list[Any]],
    subject: Subject,
    probe: ModuleType,
    severity: int,
    identity: str,
    was: Any,
    now: Any,
) -> None:
    place = int(np.flatnonzero(np.array(subject.rows["id"][:], dtype=object) == identity)[0])
    part = subject.rows.select([place])
    items, _ = subject.modality.contents(part, subject.processor)
    changed = subject.modality.perturbed(probe, items[0], severity, content_of(identity))
    row: dict[str, Any] = {"id": identity, "probe": title(probe), "severity": severity}
    if isinstance(now, MaskPredictions):
        return _add_scenes(columns, subject, part, row, (items[0], changed), (was, now))
    row["label"] = _named(was, was.labels[0])
    for when, answer, item in (("before", was, items[0]), ("after", now, changed)):
        shown = subject.modality.preview(subject.modality.changed(part, [item])[0])
        row[f"prediction_{when}"] = _named(answer, answer.predicted[0])
        sure = answers.confidence(was if probe.KIND == perturbing.DIRECTION else answer, answer)
        row |= {f"confidence_{when}": float(sure[0]), f"text_{when}": shown["text"], f"image_{when}": shown["image"]}
    for key, values in columns.items():
        values.append(row[key])


def _add_scenes(
    columns: dict[str, list[Any]],
    subject: Subject,
    part: datasets.Dataset,
    row: dict[str, Any],
    items: Sequence[Any],
    told: Sequence[MaskPredictions],
) -> None:
    """The same of a scene: what is answered, painted over it, with the image's own IoU."""
    assert subject.segment is not None
    row["label"] = labelsets.shown(part[0]["label"])
    for when, item, predictions in zip(("before", "after"), items, told, strict=True):
        answer = subject.segment(subject.modality.changed(part, [item]))[0]
        picture = overlays.beside(item.image, [answer], predictions.names, SCENE_SIDE)
        row |= {f"prediction_{when}": "IoU of this image", f"confidence_{when}": float(predictions.own_iou[0])}
        row |= {f"text_{when}": None, f"image_{when}": picture}
    for key, values in columns.items():
        values.append(row[key])


def _named(predictions: Predictions, value: Any) -> str:
    return predictions.shown(value) if predictions.multi_label else predictions.names[int(value)]


def _each(
    modality: ModuleType, probe: ModuleType, items: Sequence[Any], severity: int, ids: Sequence[str]
) -> list[Any | None]:
    def one(item: Any, row: str) -> Any | None:
        return modality.perturbed(probe, item, severity, content_of(row))

    if probe.INPUT == "text":  # Python holds the interpreter: threads would only wait for one another
        return list(map(one, items, ids))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, items, ids))


def _chunks(rows: datasets.Dataset) -> Iterator[datasets.Dataset]:
    for start in range(0, len(rows), CHUNK):
        yield rows.select(range(start, min(start + CHUNK, len(rows))))


def _places(predictions: Predictions, ids: Sequence[str]) -> np.ndarray:
    known = {identity: place for place, identity in enumerate(predictions.ids)}
    return np.array([known[identity] for identity in ids], dtype=np.int64)
