"""A block of inputs becomes a table of answers: a row for each row of the input, whatever became of it.

In: an `Answerer` and a `Block`. Out: a table, of the same columns for each block of an input. It must not know files,
but for the masks of a segmentation run, which are pictures of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hfft.answer_rows import Answered
from hfft.inferring import Answerer
from hfft.inputs import FILE, Block, numbered
from hfft.records import write_whole

PROBABILITY = "probability_"
SHARE = "share_"  # of an image's pixels
NUMBER = re.compile(r"(?<![\w-])(0x[0-9a-f]+|\d[\d,]*)\b")  # and not of UTF-8
FILENAME = re.compile(r"^.*\.\w{2,5}: ")
VALUE = re.compile(r" is .*$", re.DOTALL)
OURS = {"row", "prediction", "probability", "sure", "set", "mask", "error"}


def of_block(answerer: Answerer, block: Block, short: bool = False) -> pa.Table:
    """Columns: row (from 1), what is kept, prediction, probability (of it), sure, set, probability_<class>, error.

    prediction: the answer, also where the run would rather not give it (`sure` says so); with several classes per row
    a list, and no `probability`. set: only where the run has sets. error: why a row has no answer. short: without
    probability_<class>.
    """
    good = numbered(block.inputs, block.problems)
    raw, wrong = answerer.attempted([block.inputs[place] for place in good])
    problems = dict(block.problems) | {good[place]: why for place, why in wrong.items()}
    n, rule = len(block.inputs), answerer.rule
    rows = np.array(numbered(block.inputs, problems), dtype=np.int64)
    found = rule.applied(raw, answerer.calibrated)
    bad = np.ones(n, dtype=bool)
    bad[rows] = False
    columns = _begun(block)
    if rule.several:
        columns["prediction"] = _lists(found.chosen, found.order, rule.names, rows, bad)
    else:
        columns["prediction"] = pa.array(rule.names, pa.string()).take(_spread(found.chosen, rows, bad, np.int64))
        own = found.probabilities[np.arange(len(rows)), found.chosen]
        columns["probability"] = _spread(own, rows, bad, np.float32)
        columns["sure"] = _spread(found.sure, rows, bad, np.bool_)
    if found.inside is not None:
        columns["set"] = _lists(found.inside, found.order, rule.names, rows, bad)
    columns |= {} if short else _each(found, rule.names, rows, bad)
    columns["error"] = pa.array([problems.get(place) for place in range(n)], pa.string())
    return pa.table(columns)


def of_masks(answerer: Answerer, block: Block, folder: Path, names: Mapping[str, str]) -> pa.Table:
    """Write a mask for each image, a grey PNG of class ids, into `folder`; a table of what is in them.

    names: file → the mask's. Columns: row, what is kept, mask (its file), share_<class> of its pixels, error.
    """
    from hfft import masks

    good = numbered(block.inputs, block.problems)
    wrong = answerer.unreadable([block.inputs[place] for place in good])
    problems = dict(block.problems) | {good[place]: why for place, why in wrong.items()}
    rows = np.array(numbered(block.inputs, problems), dtype=np.int64)
    shares = np.zeros((len(rows), len(answerer.names)))
    written: list[str | None] = [None] * len(block.inputs)
    asked = [block.inputs[place] for place in rows]
    for number, answer in enumerate(answerer.segment(asked) if asked else ()):
        place = int(rows[number])
        # Of a table its rows' numbers: what a cell holds is no name for a file of ours.
        written[place] = names[block.kept[FILE][place]] if names else f"{block.start + place + 1}.png"
        data = masks.encode(answer, len(answerer.names))
        write_whole(folder / str(written[place]), lambda target, data=data: target.write_bytes(data))
        shares[number] = masks.pixels(answer, len(answerer.names)) / answer.size
    bad = np.ones(len(block.inputs), dtype=bool)
    bad[rows] = False
    columns = _begun(block) | {"mask": pa.array(written, pa.string())}
    for k, name in enumerate(answerer.names):
        columns[f"{SHARE}{name}"] = _spread(shares[:, k], rows, bad, np.float32)
    columns["error"] = pa.array([problems.get(place) for place in range(len(block.inputs))], pa.string())
    return pa.table(columns)


def is_answer(name: str) -> bool:
    """Whether a column of the answers may be called so."""
    return name in OURS or name.startswith((PROBABILITY, SHARE))


class Tally:
    """What all answers come to, counted as their tables pass by."""

    def __init__(self) -> None:
        self.rows = self.bad = self.sure = 0
        self.judged = False
        self.first: dict[str, Any] | None = None
        self.answers: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()

    def add(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        if table["error"].null_count < table.num_rows:
            wrong = [(i, why) for i, why in enumerate(table["error"].to_pylist()) if why is not None]
            self.bad += len(wrong)
            self.problems.update(kind_of(why) for _, why in wrong)
            self.first = self.first or {"row": table["row"][wrong[0][0]].as_py(), "why": wrong[0][1]}
        for answer in table["prediction"].to_pylist() if "prediction" in table.column_names else ():
            self.answers.update(answer if isinstance(answer, list) else [] if answer is None else [answer])
        if "sure" in table.column_names:
            self.judged, self.sure = True, self.sure + sum(map(bool, table["sure"].to_pylist()))

    def facts(self) -> dict[str, Any]:
        """{"rows", "answered", "first_problem", "problems": kind → rows, "predictions": class → rows, "sure": rows}."""
        facts: dict[str, Any] = {"rows": self.rows, "answered": self.rows - self.bad, "first_problem": self.first}
        facts |= {"problems": dict(self.problems.most_common()), "predictions": dict(self.answers.most_common())}
        return facts | {"sure": self.sure if self.judged else None}


def kind_of(why: str) -> str:
    """What is wrong with a row, without what is its own: numbers, values, the name of a picture.

    >>> kind_of("line 1,204 has 3 fields where the header has 2"), kind_of("a/b c.png: not an image")
    ('line … has … fields where the header has …', 'not an image')
    >>> kind_of("the text is 5: expected text")
    'the text is …: expected text'
    """
    if (found := why.rpartition(": "))[2] == "expected text":
        return f"{VALUE.sub(' is …', found[0])}: expected text"
    tail = FILENAME.sub("", why)
    return NUMBER.sub("…", tail)


def mask_names(files: Sequence[str]) -> dict[str, str]:
    """File of a folder → that of its mask: street/a.jpg → street/a.png, or all like a.jpg.png where two would be one.

    >>> mask_names(["a.jpg", "b.jpg"]), mask_names(["b.jpg", "b.png"])
    ({'a.jpg': 'a.png', 'b.jpg': 'b.png'}, {'b.jpg': 'b.jpg.png', 'b.png': 'b.png.png'})
    """
    plain = {file: str(Path(file).with_suffix(".png")) for file in files}
    return plain if len(set(plain.values())) == len(files) else {file: f"{file}.png" for file in files}


def _begun(block: Block) -> dict[str, Any]:
    numbers = np.arange(block.start + 1, block.start + len(block.inputs) + 1)
    return {"row": pa.array(numbers, pa.int64())} | {name: _kept(values) for name, values in block.kept.items()}


def _kept(values: list[Any]) -> pa.Array:
    """A column as it came; where its values are of several kinds, as text."""
    values = [_plain(value) for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _plain(value: Any) -> Any:
    """Bytes of a file that are no UTF-8 have no place in a column of text."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value


def _each(found: Answered, names: Sequence[str], rows: np.ndarray, bad: np.ndarray) -> dict[str, Any]:
    every = enumerate(names)
    return {f"{PROBABILITY}{name}": _spread(found.probabilities[:, k], rows, bad, np.float32) for k, name in every}


def _spread(values: np.ndarray, rows: np.ndarray, bad: np.ndarray, kind: Any) -> pa.Array:
    """A value for each row, null where `bad`. values: of `rows`."""
    out = np.zeros(len(bad), dtype=kind)
    out[rows] = values
    return pa.array(out, mask=bad)


def _lists(inside: np.ndarray, order: np.ndarray, names: Sequence[str], rows: np.ndarray, bad: np.ndarray) -> pa.Array:
    """Names of the classes that are in, the answer first; null where `bad`. inside: bool (rows, classes)."""
    ranked = np.take_along_axis(inside, order, axis=1)
    at, rank = np.nonzero(ranked)
    sizes = np.zeros(len(bad), dtype=np.int64)
    sizes[rows] = ranked.sum(axis=1)
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    values = pa.array(names, pa.string()).take(pa.array(order[at, rank]))
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array(bad))
