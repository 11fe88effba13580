"""The arms of the bake-off: what each of them changes in a recipe, and those that cost no training.

In: names of arms; predictions of plain runs. Out: words for a recipe; answers. It must not know how anything is trained
or which arm is good. numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from hfft import biasing
from hfft.biasing import Value
from hfft.errors import InputError, listed, meant
from hfft.records import Predictions, content_of

PLAIN = "plain"
KEYS = ("loss", "sampler", "decide")  # what arms set, and the recipe's own words must not
BARE = ("loss=cross_entropy", "sampler=null", "decide=null")
TRAINED: dict[str, tuple[str, ...]] = {
    "balanced": ("loss={name: cross_entropy, weights: balanced}",),
    "effective_number": ("loss={name: cross_entropy, weights: effective_number}",),
    "focal": ("loss=focal",),
    "logit_adjusted": ("loss=logit_adjusted",),
    "over_sampling": ("sampler=over_sampling",),
    "under_sampling": ("sampler=under_sampling",),
    "repeat_factor": ("sampler=repeat_factor",),
    "class_balanced": ("sampler=class_balanced",),
}
FREE: dict[str, tuple[str, ...]] = {
    "logit_adjustment": ("decide.by=logit_adjustment",),
    "logit_bias": ("decide.by=logit_bias",),
}
SALT = b"hfft bake-off halves 1:"


def words(arm: str) -> tuple[str, ...]:
    """Overrides that make a recipe this arm's, whatever it said before. arm: plain, or one that is trained."""
    return (*BARE, *(TRAINED[arm] if arm != PLAIN else ()))


def typed(arm: str) -> str:
    """What to type for this arm beside the recipe."""
    return " ".join(f"'{word}'" if " " in word else word for word in (TRAINED | FREE)[arm])


def chosen(wanted: Sequence[str] | None) -> list[str]:
    """The arms to train, plain first. wanted: names, those of free ones too, which always take part; None for all."""
    if wanted is None:
        return [PLAIN, *TRAINED]
    known = [PLAIN, *TRAINED, *FREE]
    if not wanted:
        raise InputError(f"--arms: expected names between commas, such as focal,over_sampling; known: {listed(known)}")
    for name in wanted:
        if name not in known:
            raise InputError(f"--arms: no {name!r}{meant(name, known)}; known: {listed(known, 24)}")
    return [PLAIN, *(name for name in TRAINED if name in wanted)]


def halves(predictions: Predictions) -> np.ndarray:
    """Mask bool (n,) of one half of the rows, of every class as many as of the other; groups stay whole.

    Dealt class by class in the order of a hash of the group or of the content: the order of the rows does not matter.
    """
    keys = [content_of(str(row)) for row in predictions.ids] if predictions.groups is None else predictions.groups
    first: dict[str, int] = {}
    for key, label in sorted(zip(map(str, keys), predictions.labels.tolist(), strict=True)):
        first.setdefault(key, label)
    order = sorted(first, key=lambda key: (first[key], hashlib.blake2b(SALT + key.encode(), digest_size=8).digest()))
    side = {key: place % 2 == 0 for place, key in enumerate(order)}
    return np.array([side[str(key)] for key in keys], dtype=bool)


def free(predictions: Predictions, rows: Mapping[str, int], value: Value) -> dict[str, np.ndarray]:
    """{arm: answers int (n,)} from a plain run's probabilities. rows: class → training rows. value: what is tuned for.

    What is tuned on rows must not be judged on them: the bias of each half answers the other.
    """
    scores, labels = predictions.scores, predictions.labels
    adjusted = biasing.decided(scores, biasing.adjustment([rows[name] for name in predictions.names], 1.0))
    tuned, half = np.empty(len(labels), dtype=np.int64), halves(predictions)
    for one in (half, ~half):
        bias = biasing.tune(scores[one], labels[one], value) if one.any() else np.zeros(scores.shape[1])
        tuned[~one] = biasing.decided(scores[~one], bias)
    return {"logit_adjustment": adjusted, "logit_bias": tuned}
