"""How far the second of two runs of one recipe lies from the first: weights, and answers to the same rows.

In: two model folders, two predictions of the same split. Out: plain facts, and the verdict whether the second is the
first come back. It must not know how the runs came about.

Three ways to come back, from strict to loose: "bits", every weight and every probability is the same; "answers", no row
has another answer, and no probability moved by more than the margin; "metric", the 95 % interval of the paired
difference of the leading metric lies within the margin on both sides (equivalence by an interval: Schuirmann 1987).
That an interval holds zero is not enough: it does so, too, where there are too few rows to tell anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfft import comparing
from hfft.errors import counted, listed
from hfft.mask_records import Answers, MaskPredictions
from hfft.records import Predictions, Score
from hfft.references import sha256

BITS, ANSWERS, METRIC, NOT = "bits", "answers", "metric", "not"
WITHIN = 0.01  # a point of the leading metric, and of a probability


def weights(first: Path, second: Path) -> dict[str, Any]:
    """Of two model folders {"equal", "sha256": [then, now], "largest", "tensor", "tensors", "unlike"}.

    largest: difference of a number, in `tensor`; None where no tensor is in both. unlike: tensors that only one of them
    has, or in another shape.
    """
    files = [sorted(folder.glob("*.safetensors")) for folder in (first, second)]
    digests = [[sha256(path) for path in paths] for paths in files]
    facts: dict[str, Any] = {"equal": digests[0] == digests[1], "sha256": [" ".join(each) for each in digests]}
    if facts["equal"]:
        return facts | {"largest": 0.0, "tensor": None, "unlike": []}
    return facts | _tensors(*files)


def _tensors(first: Sequence[Path], second: Sequence[Path]) -> dict[str, Any]:
    from safetensors import safe_open

    def places(paths: Sequence[Path]) -> dict[str, Any]:
        opened = [safe_open(path, framework="pt") for path in paths]  # reads a tensor when it is asked for
        return {name: file for file in opened for name in file.keys()}  # noqa: SIM118 - it is no mapping

    one, other = places(first), places(second)
    largest, where, unlike, equal = None, None, sorted({*one} ^ {*other}), 0
    for name in sorted({*one} & {*other}):
        then, now = (held[name].get_tensor(name) for held in (one, other))
        if then.shape != now.shape:
            unlike.append(name)
            continue
        apart = float((then.double() - now.double()).abs().max()) if then.numel() else 0.0
        equal += apart == 0
        if largest is None or apart > largest:
            largest, where = apart, name
    tensors = {"tensors": len({*one} | {*other}), "tensors_equal": equal}
    return tensors | {"largest": largest, "tensor": where, "unlike": unlike}


def answers(first: Answers, second: Answers, metrics: Sequence[str]) -> dict[str, Any]:
    """Of two predictions {"n", "noun", "equal", "other_answers", "share", "largest_probability", "paired"}.

    other_answers: rows, or images, that are answered otherwise; share: of all. largest_probability: difference of a
    probability, None of masks. paired: the leading metric's {"metric", "value", "low", "high", …}, second minus first,
    None where all is equal. Raises InputError where they are not about the same rows and classes.
    """
    other = comparing.aligned("the run", first, "the new one", second)
    largest = None
    if isinstance(first, MaskPredictions) and isinstance(other, MaskPredictions):
        moved = np.diff((first.cells != other.cells).tocsr().indptr) > 0
        moved |= (first.edges != other.edges).any(axis=(1, 2))
        same = not moved.any()
    else:
        assert isinstance(first, Predictions) and isinstance(other, Predictions)
        moved = (first.predicted != other.predicted).reshape(first.n, -1).any(axis=1)
        apart = np.abs(first.scores.astype(np.float64) - other.scores)
        largest = float(apart.max()) if apart.size else 0.0
        same = not moved.any() and largest == 0
    noun = "image" if isinstance(first, MaskPredictions) else "row"
    facts = {"n": first.n, "noun": noun, "equal": same, "other_answers": int(moved.sum())}
    facts |= {"share": float(moved.mean()), "largest_probability": largest}
    return facts | {"paired": None if same else _paired(first, other, metrics)}


def _paired(first: Answers, other: Answers, metrics: Sequence[str]) -> dict[str, Any] | None:
    found = comparing.gain(first, other, metrics)
    if found is None:
        return None
    metric, apart = found
    return {"metric": metric} | dataclasses.asdict(comparing.cautious(first, other, metric, apart))


def scores(first: dict[str, Score], second: dict[str, Score]) -> dict[str, dict[str, Any]]:
    """Metric of the whole split → {"then", "now", "equal", "n"}; equal: value, interval and method are."""
    shared = [name for name in first if name in second and "[" not in name]
    return {
        name: {"then": first[name].value, "now": second[name].value, "equal": first[name] == second[name]}
        | {"n": second[name].n}
        for name in shared
    }


def verdict(weighed: dict[str, Any], answered: dict[str, Any], within: float) -> tuple[str, str]:
    """(BITS, ANSWERS, METRIC or NOT; why). weighed, answered: as of `weights` and `answers`."""
    rows, paired = counted(answered["n"], answered["noun"]), answered["paired"]
    if weighed["equal"] and answered["equal"]:
        return BITS, f"to the last bit: every weight, and every answer to {rows} of validation"
    how = "the weights are bit-equal" if weighed["equal"] else _weights_apart(weighed)
    moved = answered["largest_probability"]
    if not answered["other_answers"] and (moved or 0) <= within:
        near = "" if moved is None else f", and no probability moved by more than {moved:.2g}"
        return ANSWERS, f"in its answers: none of {rows} of validation has another one{near}; {how}"
    share = f"{answered['other_answers']:,} of {rows} have another answer ({answered['share']:.1%}); {how}"
    if paired is None:
        return NOT, f"no metric has a value on these rows; {share}"
    told = f"{paired['metric']} {paired['value']:+.4f} [{paired['low']:+.4f}, {paired['high']:+.4f}], paired"
    if max(abs(paired["low"]), abs(paired["high"])) <= within:
        return METRIC, f"within ±{within:g}: {told}; {share}"
    return NOT, f"not within ±{within:g}: {told}; {share}"


def _weights_apart(weighed: dict[str, Any]) -> str:
    if weighed["unlike"]:
        return f"the models have other tensors: {listed(weighed['unlike'], 3)}"
    return f"weights differ by up to {weighed['largest']:.2g} ({weighed['tensor']})"
