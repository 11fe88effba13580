"""Is the test set big enough? What its number of rows will let anybody say, before a model is trained.

In: rows per class and split. Out: a `Sizing` of plain numbers, and sentences made of them. It must not know data,
recipes or models; numpy and scipy only.

All of it takes rows to be independent. Copies of one input, or rows of one author, tell less than their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtri

from hfft.errors import listed
from hfft.intervals import FEW_ROWS, wilson

ACCURACIES = (0.80, 0.90)  # what fine-tuned classifiers usually reach
RECALL = 0.80
DISCORDANCES = (0.05, 0.10, 0.20)  # shares of rows that exactly one of two models gets right
# Recipes of one family often differ by 2 to 3 points: an accuracy known less well cannot guide a choice among them.
WIDE = 0.03
# k-fold trains k times: for more rows than this, that is hours for a class or two, and labelling is the better advice.
MANY_ROWS = 20_000


@dataclass(frozen=True)
class Folds:
    """k-fold cross-validation in place of one test split: every row is tested once.

    half_width: of the accuracy at the first assumed value. A lower bound: folds share training rows, so their errors
    are not independent, and no unbiased estimate of that variance exists (Bengio & Grandvalet 2004).
    """

    rows: int
    half_width: float
    advised: bool
    why: str


@dataclass(frozen=True)
class Sizing:
    """Widths and differences are shares: 0.02 is two points.

    accuracy: assumed accuracy → half-width of its Wilson interval. recall: class → half-width of its recall at 0.80,
    None without test rows. smallest_difference: share of rows that one of two models gets right alone → the smallest
    difference in accuracy that shows, None if none does. small_classes: classes with fewer than 30 test rows.
    """

    rows: int
    accuracy: dict[str, float]
    recall: dict[str, float | None]
    smallest_difference: dict[str, float | None]
    small_classes: tuple[str, ...]
    folds: Folds
    sentences: tuple[str, ...]


def assess(
    counts: dict[str, dict[str, int]], accuracy: float | None = None, sizes: dict[str, int] | None = None
) -> Sizing:
    """What `counts["test"]` rows can tell, and whether testing all rows by k-fold would be the better choice.

    counts: split → class → rows, with a split "test" that has rows. accuracy: what the model is expected to reach, such
    as its validation score; otherwise 0.80 to 0.90, or what lies above always answering the majority class. sizes:
    split → rows, where a row may have several classes; accuracy is then the share of rows answered wholly right.
    """
    test = counts["test"]
    several = sizes is not None
    sizes = sizes or {name: sum(part.values()) for name, part in counts.items()}
    rows = sizes["test"]
    assumed = (accuracy,) if accuracy is not None else ACCURACIES if several else _assumed(max(test.values()) / rows)
    widths = {f"{value:.3g}": half_width(rows, value) for value in assumed}
    recalls = {name: half_width(n, RECALL) if n else None for name, n in test.items()}
    seen = {f"{share:.2f}": smallest_difference(rows, share) for share in DISCORDANCES}
    small = tuple(name for name, n in sorted(test.items(), key=lambda item: item[1]) if n < FEW_ROWS)
    folds = _folds(counts, sizes, small, assumed[0])
    what = "share of rows answered wholly right" if several else "accuracy"
    sentences = [_accuracy_sentence(rows, widths, accuracy is not None, what), _difference_sentence(seen)]
    if small:
        sentences.append(_small_sentence(small, test))
    if folds.advised:
        sentences.append(_folds_sentence(folds))
    return Sizing(rows, widths, recalls, seen, small, folds, tuple(sentences))


def half_width(rows: int, share: float, confidence: float = 0.95) -> float:
    """Half the width of Wilson's interval when `share` of `rows` come out right.

    Wilson's interval is not symmetric: for few rows it reaches further towards 0.5 than this.

    >>> round(half_width(1000, 0.9), 3), round(half_width(30, 0.8), 3)
    (0.019, 0.139)
    """
    low, high = wilson(share * rows, rows, confidence)
    return (high - low) / 2


def smallest_difference(rows: int, discordance: float, power: float = 0.80, significance: float = 0.05) -> float | None:
    """Smallest difference of two accuracies on the same rows that a paired, two-sided test shows with this power.

    discordance: share of rows that exactly one of the two models gets right; no difference can be larger, so the answer
    is None where only a larger one would show. Solves Connor 1987 (Biometrics 43:207, eq. 3), as Card et al. 2020 use
    it, n = (z_a sqrt(psi) + z_b sqrt(psi - d^2))^2 / d^2, for d: squared once, it is quadratic in d.

    >>> round(smallest_difference(1000, 0.10), 3), smallest_difference(100, 0.05)
    (0.028, None)
    """
    z_a, z_b = float(ndtri(1 - significance / 2)), float(ndtri(power))
    under_root = rows + z_b**2 - z_a**2
    if under_root < 0:
        return None
    difference = math.sqrt(discordance) * (z_a * math.sqrt(rows) + z_b * math.sqrt(under_root)) / (rows + z_b**2)
    return difference if difference <= discordance else None


def _assumed(majority: float) -> tuple[float, ...]:
    """Accuracies to reckon with: where one class is most of the rows, any useful model lies above its share."""
    return ACCURACIES if majority <= ACCURACIES[0] else (majority, (1 + majority) / 2)


def _folds(counts: dict[str, dict[str, int]], sizes: dict[str, int], small: Sequence[str], accuracy: float) -> Folds:
    test, all_rows = sizes["test"], sum(sizes.values())
    width = half_width(test, accuracy)
    everywhere = {name: sum(part.get(name, 0) for part in counts.values()) for name in small}
    helped = [name for name, n in everywhere.items() if n >= FEW_ROWS]
    reasons = []
    if width > WIDE:
        reasons.append(f"±{_points(width)} points is wider than most differences between models")
    if helped:
        many = f"{len(helped)} classes have" if len(helped) > 1 else "a class has"
        reasons.append(f"{many} fewer than {FEW_ROWS} test rows, but more in all")
    advised = bool(reasons) and all_rows <= MANY_ROWS
    return Folds(all_rows, half_width(all_rows, accuracy), advised, "; ".join(reasons) if advised else "")


def _accuracy_sentence(rows: int, widths: dict[str, float], validated: bool, what: str) -> str:
    (value, width), *others = widths.items()
    known = ", as on validation" if validated else ""
    more = "".join(f", ±{_points(width)} near {value}" for value, width in others)
    return (
        f"With {rows:,} test row{'s' * (rows != 1)} the {what} will be known to about ±{_points(width)} points "
        f"if it is near {value}{known}{more}."
    )


def _difference_sentence(seen: dict[str, float | None]) -> str:
    """The middle discordance first: it is the usual one for two models of a kind."""
    (low, least), (middle, usual), (high, most) = ((f"{float(share):.0%}", found) for share, found in seen.items())
    others = f"at {low}: {_or_never(least)}, at {high}: {_or_never(most)}"
    if usual is None:
        return f"No difference between two models will show that decide {middle} of the rows differently ({others})."
    return (
        f"A difference below {_points(usual)} points between two models will not show "
        f"({middle} of the rows decided differently; {others})."
    )


def _or_never(difference: float | None) -> str:
    return "none shows" if difference is None else _points(difference)


def _small_sentence(small: Sequence[str], test: dict[str, int]) -> str:
    names = listed((f"{name} ({test[name]})" for name in small), 8)
    many = f"{len(small)} classes have" if len(small) > 1 else "One class has"
    return (
        f"{many} fewer than {FEW_ROWS} test rows, too few to say much about {'them' if small[1:] else 'it'}: {names}."
    )


def _folds_sentence(folds: Folds) -> str:
    return (
        f"k-fold cross-validation would test all {folds.rows:,} rows once: ±{_points(folds.half_width)} points "
        f"at best, since folds share training rows. Worth it here: {folds.why}."
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
