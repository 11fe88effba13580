"""Texts as token ids, cut to what a model takes.

In: a batch of texts or pairs, a tokenizer, the recipe's settings. Out: the model's inputs, not padded: a row for each
text, or for each window of held-back ones. It must not know where rows come from; labels only pass through.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hfft import cutting, noising
from hfft.errors import InputError
from hfft.pooling import OWNER
from hfft.recipe import Augment, Model

Frame = tuple[int, int, int]  # special tokens before, between and after the texts of a row
PAIRS = "model.truncation: windows are cut from one text, and these rows are pairs; type head, tail or head_tail"


@dataclass
class Tokenising:
    """A batch of texts as token ids, cut to `longest`, not padded. A class, because spawned workers get it pickled.

    way: one of cutting.WAYS. overlap: tokens that windows share. augment: of training rows, which are changed at
    random, otherwise in each `epoch`, by a draw that depends on the text and the seed alone, and of which one window is
    drawn; None for rows that are held back. A batch may say which `copy` of its row each one is. frames: of one text
    and of a pair; not known for `head`, which needs none.
    """

    processor: Any
    longest: int
    way: str = "head"
    overlap: int = 0
    augment: Augment | None = None
    seed: int = 0
    epoch: int = 0
    frames: tuple[Frame, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether a row becomes something else in each epoch."""
        return self.augment is not None and (
            self.way == "windows" or bool(self.augment.word_dropout or self.augment.typos)
        )

    @property
    def spreads(self) -> bool:
        """Whether a row becomes several."""
        return self.augment is None and self.way == "windows"

    def __call__(self, batch: dict[str, list[Any]], numbers: Sequence[int] | None = None) -> dict[str, Any]:
        """numbers: of the texts, where rows become several; else `labels` pass through where there are any."""
        # An empty cell of a CSV file arrives as None, which tokenizers refuse.
        texts = [[part or "" for part in batch[role]] for role in ("text", "text_pair") if role in batch]
        copies = batch.get("copy", [0] * len(texts[0]))
        if self.changes:
            texts = [[self._noised(*pair) for pair in zip(part, copies, strict=True)] for part in texts]
        labels = batch.get("labels") if self.changes or self.spreads else None
        if self.way == "head":
            out = dict(self.processor(*texts, truncation=True, max_length=self.longest))
            return out | ({} if labels is None else {"labels": labels})
        return self._cut(texts, labels, numbers, copies)

    def places(self, bodies: Sequence[int]) -> list[list[int]]:
        """For each row that one row becomes: which of the uncut row's tokens it has. bodies: tokens of each text."""
        before, between, after = self.frames[len(bodies) - 1]
        room = self.longest - before - between - after
        if self.way == "windows":
            ends = range(before + bodies[0], before + bodies[0] + after)
            parts = cutting.windows(bodies[0], room, self.overlap)
            return [[*range(before), *(before + place for place in part), *ends] for part in parts]
        out, start = [*range(before)], before
        for number, (length, own) in enumerate(zip(bodies, cutting.shared(bodies, room), strict=True)):
            out += [start + place for place in cutting.kept(length, own, self.way)]
            gap = after if number + 1 == len(bodies) else between
            out += range(start + length, start + length + gap)
            start += length + gap
        return [out]

    def bodies(self, texts: Sequence[Sequence[str]], totals: Sequence[int]) -> list[list[int]]:
        """Tokens of each text of each row. texts: one or two columns; totals: tokens of the uncut rows."""
        special = sum(self.frames[len(texts) - 1])
        if len(texts) == 1:
            return [[total - special] for total in totals]
        plain = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
        firsts = [len(ids) for ids in self.processor(list(texts[0]), **plain)["input_ids"]]
        return [[first, total - special - first] for first, total in zip(firsts, totals, strict=True)]

    def _cut(
        self, texts: list[list[str]], labels: list[Any] | None, numbers: Sequence[int] | None, copies: list[int]
    ) -> dict[str, Any]:
        if self.way == "windows" and len(texts) > 1:
            raise InputError(PAIRS)
        whole = dict(self.processor(*texts, truncation=False, verbose=False))
        found = [self.places(own) for own in self.bodies(texts, [len(ids) for ids in whole["input_ids"]])]
        if self.way == "windows" and self.augment is not None:
            drawn = [self._random(text, "window", copy) for text, copy in zip(texts[0], copies, strict=True)]
            found = [[rng.choice(many)] for rng, many in zip(drawn, found, strict=True)]
        rows = [(number, places) for number, many in enumerate(found) for places in many]
        out: dict[str, list[Any]] = {
            name: [[values[n][i] for i in places] for n, places in rows] for name, values in whole.items()
        }
        if labels is not None:
            out["labels"] = [labels[n] for n, _ in rows]
        if self.spreads and numbers is not None:
            out[OWNER] = [numbers[n] for n, _ in rows]
        return out

    def _noised(self, text: str, copy: int) -> str:
        return noising.noised(text, self.augment or Augment(), self._random(text, "noise", copy))

    def _random(self, text: str, purpose: str, copy: int) -> random.Random:
        """Random numbers of a text in this epoch, otherwise for each of its copies where a sampler makes some."""
        own = zlib.crc32(f"{purpose} {text}".encode("utf-8", "surrogatepass"))
        return random.Random(hash((self.seed, self.epoch, own, copy)))


def encoder(processor: Any, model: Model, augment: Augment | None = None, seed: int = 0) -> Tokenising:
    """What turns a batch of texts into what the model takes. augment: of training rows, None for held-back ones.

    Raises InputError where no token of a text, or nothing new, would fit into `model.max_length`.
    """
    longest = limit(processor, model)
    # The first call changes the tokenizer's state, and with it the key of the cache: make that call now.
    processor("", truncation=True, max_length=longest)
    if model.truncation == "head":
        return Tokenising(processor, longest, augment=augment, seed=seed)
    frames = tuple(_frame(processor, texts) for texts in ((["a"],), (["a"], ["a"])))
    return Tokenising(processor, longest, model.truncation, overlap(processor, model), augment, seed, 0, frames)


def limit(processor: Any, model: Model) -> int:
    """Tokens per text, special ones among them."""
    return int(model.max_length or min(processor.model_max_length, 512))


def overlap(processor: Any, model: Model) -> int:
    """Tokens that neighbouring windows share."""
    room = limit(processor, model) - processor.num_special_tokens_to_add(pair=False)
    if room < 2:
        raise InputError(
            f"model.max_length: expected at least {processor.num_special_tokens_to_add(pair=False) + 2}, got "
            f"{limit(processor, model)}: this tokenizer's own tokens take the room of the text's"
        )
    if model.stride is not None and model.stride >= room:
        raise InputError(f"model.stride: expected less than {room}, the text's tokens of a window, got {model.stride}")
    return room // cutting.SHARED if model.stride is None else model.stride


def _frame(processor: Any, texts: tuple[list[str], ...]) -> Frame:
    marks = processor(*texts, return_special_tokens_mask=True)["special_tokens_mask"][0]
    own = [place for place, mark in enumerate(marks) if not mark]
    if not own:  # a tokenizer that takes an unknown word for a special token
        return 0, 0, 0
    before, after = own[0], len(marks) - 1 - own[-1]
    return before, sum(marks) - before - after, after
