"""Mixup and CutMix: rows of a training batch mixed in pairs, with labels that say how much of each is there.

In: rows as the modality makes them, with a draw number each. Out: a batch with soft labels. Rows without a number are
rows that are held back: they are never mixed. torchvision's transforms are used and not timm's `Mixup`, which takes
even batches only, while the last batch of an epoch is as large as it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from hfft.augmenting import seeded
from hfft.schema_augment import Augment

DRAW = "draw"  # of each row that may be mixed: a number made of seed, epoch and row

Collator = Callable[[list[dict[str, Any]]], dict[str, Any]]


def collator(inner: Collator, augment: Augment, classes: int) -> Collator:
    """`inner`, and where the recipe says so the mixing after it. classes: how many the labels tell apart."""
    return Mixing(inner, augment.mixup, augment.cutmix, classes) if augment.mixes else inner


@dataclass
class Mixing:
    """Each row with the one before it in the batch. A class, because workers that are spawned get it pickled.

    mixup, cutmix: alpha of the Beta distribution that shares are drawn from, or None; where both are given, a batch
    gets one of them, each half of the time. Labels int (n,) become float (n, classes), each row's sum being 1. Zhang
    et al., mixup, 2018, equation 1; Yun et al., CutMix, 2019, equation 1.
    """

    inner: Collator
    mixup: float | None
    cutmix: float | None
    classes: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The draw depends on the rows and their order alone: not on global random numbers, workers or a resume."""
        draws = [row[DRAW] for row in rows if DRAW in row]
        batch = self.inner([{name: value for name, value in row.items() if name != DRAW} for row in rows])
        if not draws:
            return batch
        with seeded(hash(tuple(int(draw) for draw in draws))):
            mix = self._chosen()
            batch["pixel_values"], batch["labels"] = mix(batch["pixel_values"], batch["labels"])
        return batch

    def _chosen(self) -> Any:
        from torchvision.transforms import v2

        kinds = [(v2.MixUp, self.mixup), (v2.CutMix, self.cutmix)]
        asked = [(kind, alpha) for kind, alpha in kinds if alpha is not None]
        kind, alpha = asked[int(torch.randint(len(asked), ()))] if len(asked) > 1 else asked[0]
        return kind(alpha=alpha, num_classes=self.classes)
