"""What people should know before they believe scores of masks: how few images speak, and which classes they leave out.

In: `MaskPredictions`. Out: sentences. It computes no score. numpy only.
"""

from __future__ import annotations

import numpy as np

from hfft.errors import classes, counted
from hfft.image_intervals import WITNESSES
from hfft.intervals import FEW_ROWS
from hfft.mask_records import MaskPredictions


def notes(predictions: MaskPredictions) -> list[str]:
    """Sentences for people; at least one image."""
    _, support, predicted = predictions.totals
    held, true, guess = np.count_nonzero(support, axis=0), support.sum(axis=0), predicted.sum(axis=0)
    names, said = np.array(predictions.names, dtype=object), _witnesses(predictions)
    if blank := int((support.sum(axis=1) == 0).sum()):
        all_of = (
            "has no pixel that counts: all of it is" if blank == 1 else "have no pixel that counts: all of them are"
        )
        said.append(f"{counted(blank, 'image')} {all_of} ignored.")
    if absent := names[held == 0].tolist():
        it = "it" if len(absent) == 1 else "them"
        said.append(
            f"{classes(absent, 'is', 'are')} in no true mask here, so averages over classes leave {it} out and "
            f"nothing is known about finding {it}."
        )
    if added := [f"{names[k]} ({guess[k]:,} pixels)" for k in np.flatnonzero((held == 0) & (guess > 0))]:
        said.append(
            f"{classes(added, 'is', 'are')} predicted without being in any true mask: these pixels count as misses of "
            "the classes that they truly are."
        )
    said += _scarce(
        names, held, _units(predictions, support), "images" if predictions.groups is None else "groups of images"
    )
    if (only := predictions.only_answer) is not None:
        share = true[list(predictions.names).index(only)] / max(int(true.sum()), 1)
        said.append(
            f"The model answers {only!r} for every pixel, whatever the images hold ({100 * share:.1f} % truly are): it "
            "has learnt nothing that these scores could show, and nothing can make its answer flip."
        )
    elif mute := names[(held > 0) & (guess == 0)].tolist():
        said.append(f"{classes(mute, 'is', 'are')} never predicted: IoU, Dice and boundary F1 count as 0 in averages.")
    return said


def _witnesses(predictions: MaskPredictions) -> list[str]:
    """How few images, or groups of them, all numbers rest on."""
    n, groups = predictions.n, 0 if predictions.groups is None else len(set(predictions.groups))
    if 0 < groups < n:
        said = f"The {n:,} images belong to {counted(groups, 'group')}, and the intervals take groups as the witnesses"
        few = "; so few groups make them wide, and no more than these groups is known" if groups < FEW_ROWS else ""
        return [f"{said}{few}."]
    if n >= FEW_ROWS:
        return []
    return [
        f"{counted(n, 'image')} {'is' if n == 1 else 'are'} the only {'witness' if n == 1 else 'witnesses'} of these "
        "scores, whatever the number of pixels: intervals are wide, and images of another kind may change the verdict."
    ]


def _units(predictions: MaskPredictions, support: np.ndarray) -> np.ndarray:
    """Of each class, how many images or groups truly hold it, int (K,)."""
    if predictions.groups is None:
        return np.count_nonzero(support, axis=0)
    _, own = np.unique(predictions.groups.astype(str), return_inverse=True)
    return np.array([len(np.unique(own[column > 0])) for column in support.T])


def _scarce(names: np.ndarray, held: np.ndarray, units: np.ndarray, kind: str) -> list[str]:
    """Classes that few images hold, the rarest first. units: images or groups that hold each; kind: which of them."""
    order = np.argsort(held, kind="stable")
    lone = [f"{names[k]} ({held[k]:,})" for k in order if 0 < units[k] < WITNESSES]
    few = [f"{names[k]} ({held[k]:,})" for k in order if units[k] >= WITNESSES and held[k] < FEW_ROWS]
    said = []
    if lone:
        said.append(
            f"{classes(lone, 'is', 'are')} in fewer than {WITNESSES} {kind}, so hardly anything is known about "
            f"{'it' if len(lone) == 1 else 'them'}."
        )
    if few:
        said.append(
            f"{classes(few, 'is', 'are')} in fewer than {FEW_ROWS} images, on which the averages over classes lean as "
            "much as on all others."
        )
    return said
