"""The explanation of a text: its words, each with what it adds to the evidence for a class.

In: a row, a backbone, a class. Out: weights of words, facts, and a page. It must not know where rows come from. Its
functions are those of picture_saliency.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import torch

from hfft import evidence, explained_files, integrated_gradients, pieces
from hfft.backbones import Backbone
from hfft.integrated_gradients import Attribution
from hfft.pieces import Piece
from hfft.recipe import Model

ENDING = "html"
BLANKS = ("mask_token_id", "pad_token_id", "unk_token_id", "eos_token_id")  # what stands for "no word here"
CUT = "The end of the text is longer than model.max_length: the model did not read it, and it carries no weight."
GONE = {"tail": "the beginning", "head_tail": "the middle"}


@dataclass(frozen=True)
class Prepared:
    """inputs: what the model takes, each (1, tokens). replaced: bool (tokens,), all but special tokens.

    cut: what the model did not read, as a sentence. windows: those of a text that is cut into several; the first is
    what else stands here.
    """

    texts: list[str]
    inputs: dict[str, torch.Tensor]
    encoded: Any
    tokens: list[str]
    replaced: torch.Tensor
    blank: int
    cut: str = ""
    windows: tuple[Prepared, ...] = ()


@dataclass(frozen=True)
class Part:
    """Some tokens of one row, in the place of the whole as a fast tokenizer makes it. places: int (tokens,)."""

    whole: Any
    places: list[int]

    def __contains__(self, name: str) -> bool:
        return name in self.whole

    def __getitem__(self, name: str) -> list[list[Any]]:
        return [[self.whole[name][0][place] for place in self.places]]

    def sequence_ids(self, row: int) -> list[Any]:
        found = self.whole.sequence_ids(row)
        return [found[place] for place in self.places]

    def word_ids(self, row: int) -> list[Any]:
        found = self.whole.word_ids(row)
        return [found[place] for place in self.places]


@dataclass(frozen=True)
class Found:
    """parts: weight of each word, for comparing. window: which of several is explained."""

    parts: np.ndarray
    pieces: list[Piece]
    attribution: Attribution
    several: bool
    window: int = 0


def prepared(row: dict[str, Any], backbone: Backbone, modality: ModuleType, spec: Model) -> Prepared:
    """One row, cut as in training. The blank is the mask where the tokenizer has one: it stands for any word."""
    tokenizer, device = backbone.processor, next(backbone.model.parameters()).device
    texts, encode = [row[role] or "" for role in modality.ROLES if role in row], modality.encoder(tokenizer, spec)
    cut = {"truncation": True, "max_length": encode.longest} if encode.way == "head" else {"truncation": False}
    marked = {"return_special_tokens_mask": True, "return_offsets_mapping": bool(tokenizer.is_fast)}
    whole = tokenizer(*([text] for text in texts), **cut, **marked, verbose=False)
    if encode.way == "head":
        made = _prepared(texts, whole, tokenizer, device)
        return replace(made, cut=CUT if _full(made) else "")
    total = len(whole["input_ids"][0])
    parts = encode.places(encode.bodies([[text] for text in texts], [total])[0])
    many = [_prepared(texts, Part(whole, places), tokenizer, device) for places in parts]
    if len(many) > 1:
        return replace(many[0], windows=tuple(many))
    left = f"Left out is {GONE.get(encode.way)} of the text (model.truncation is {encode.way}): it carries no weight."
    return replace(many[0], cut=left if len(parts[0]) < total else "")


def _prepared(texts: list[str], encoded: Any, tokenizer: Any, device: Any) -> Prepared:
    taken = [name for name in tokenizer.model_input_names if name in encoded]
    inputs = {name: torch.tensor(encoded[name], device=device) for name in taken}
    blank = next((found for name in BLANKS if (found := getattr(tokenizer, name, None)) is not None), 0)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    return Prepared(texts, inputs, encoded, tokens, ~torch.tensor(encoded["special_tokens_mask"][0]).bool(), blank)


def logits(model: Any, row: Prepared) -> torch.Tensor:
    """The model's answer to a row, (1, classes): of windows the mean, as in prediction."""
    return torch.stack([model(**part.inputs).logits for part in row.windows or (row,)]).mean(dim=0)


def explained(model: Any, row: Prepared, target: int, several: bool, like: Found | None = None) -> Found:
    """Weights of the words for class `target`. A special token keeps its place on the path and so has no weight.

    like: an explanation of the same row whose number of steps is taken, where only ranks are compared. Of a text in
    windows the one is explained that speaks most for the class.
    """
    if row.windows:
        window = _strongest(model, row, target, several) if like is None else like.window
        return replace(explained(model, row.windows[window], target, several, like), window=window)
    asked = (model, row.inputs, target, row.replaced, row.blank)
    if like is None:
        found = integrated_gradients.attribute(*asked, several)
    else:
        found = integrated_gradients.integrate(*asked, like.attribution.steps, several)
    if "offset_mapping" in row.encoded:
        shown = pieces.of_texts(row.texts, row.encoded, found.values)
    else:  # a slow tokenizer does not know where its tokens lie in the text
        kept = zip(row.tokens, found.values, row.replaced.tolist(), strict=True)
        shown = [piece for token, value, own in kept if own for piece in (Piece(token, float(value)), Piece(" "))]
    return Found(np.array([piece.weight for piece in shown if piece.weight is not None]), shown, found, several)


def facts(row: Prepared, found: Found) -> dict[str, Any]:
    """As JSON has them. The weights sum to evidence - blank but for `gap`."""
    made = found.attribution
    adds_up = {"evidence": made.evidence, "blank": made.blank, "gap": made.gap, "share": made.share}
    return {"pieces": [vars(piece) for piece in found.pieces], "completeness": adds_up | {"steps": made.steps}}


def sentences(row: Prepared, found: Found) -> list[str]:
    """What has to be known for reading it."""
    made = found.attribution
    kind = "logit of the class" if found.several else "logit above the mean of all classes"
    told = [
        f"Integrated gradients, {made.steps} steps: the words' weights sum to {made.values.sum():+.3f}; the "
        f"evidence ({kind}) is {made.evidence:+.3f} with the text and {made.blank:+.3f} with every "
        f"word blanked; the gap is {100 * made.share:.1f} % of all weights."
    ]
    if made.share > integrated_gradients.ENOUGH:
        told.append("WARNING: the weights do not add up to the evidence well: read them as rough.")
    if row.windows:
        told.append(
            f"The text was read in {len(row.windows)} windows, whose mean is the answer: explained is window "
            f"{found.window + 1}, which speaks most for the class; the words outside of it carry no weight here."
        )
    return [*told, row.cut] if row.cut else told


def _strongest(model: Any, row: Prepared, target: int, several: bool) -> int:
    with torch.no_grad():
        said = [float(evidence.of_class(model(**part.inputs).logits, target, several)) for part in row.windows]
    return int(np.argmax(said))


def content(title: str, told: Sequence[str], row: Prepared, found: Found) -> bytes:
    """The file."""
    return explained_files.page(title, told, found.pieces)


def _full(row: Prepared) -> bool:
    """Whether the tokenizer cut the row: its last own token ends before the text does."""
    if "offset_mapping" not in row.encoded:
        return False
    ends = [0] * len(row.texts)
    for (_, end), part in zip(row.encoded["offset_mapping"][0], row.encoded.sequence_ids(0), strict=True):
        if part is not None:
            ends[part] = max(ends[part], end)
    return any(text[end:].strip() for text, end in zip(row.texts, ends, strict=True))
