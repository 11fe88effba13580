"""The explanation of a text: its words, each with what it adds to the evidence for a class.

In: a row, a backbone, a class. Out: weights of words, facts, and a page. It must not know where rows come from. Its
functions are those of picture_saliency.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch

from hfft import explained_files, integrated_gradients, pieces
from hfft.backbones import Backbone
from hfft.integrated_gradients import Attribution
from hfft.pieces import Piece
from hfft.recipe import Model

ENDING = "html"
BLANKS = ("mask_token_id", "pad_token_id", "unk_token_id", "eos_token_id")  # what stands for "no word here"
CUT = "The end of the text is longer than model.max_length: the model did not read it, and it carries no weight."


@dataclass(frozen=True)
class Prepared:
    """inputs: what the model takes, each (1, tokens). replaced: bool (tokens,), all but special tokens."""

    texts: list[str]
    inputs: dict[str, torch.Tensor]
    encoded: Any
    tokens: list[str]
    replaced: torch.Tensor
    blank: int


@dataclass(frozen=True)
class Found:
    """parts: weight of each word, for comparing."""

    parts: np.ndarray
    pieces: list[Piece]
    attribution: Attribution
    several: bool


def prepared(row: dict[str, Any], backbone: Backbone, modality: ModuleType, spec: Model) -> Prepared:
    """One row, cut as in training. The blank is the mask where the tokenizer has one: it stands for any word."""
    tokenizer, device = backbone.processor, next(backbone.model.parameters()).device
    texts = [row[role] or "" for role in modality.ROLES if role in row]
    cut = {"truncation": True, "max_length": modality.encoder(tokenizer, spec).longest}
    marked = {"return_special_tokens_mask": True, "return_offsets_mapping": bool(tokenizer.is_fast)}
    encoded = tokenizer(*([text] for text in texts), **cut, **marked)
    taken = [name for name in tokenizer.model_input_names if name in encoded]
    inputs = {name: torch.tensor(encoded[name], device=device) for name in taken}
    blank = next((found for name in BLANKS if (found := getattr(tokenizer, name, None)) is not None), 0)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    return Prepared(texts, inputs, encoded, tokens, ~torch.tensor(encoded["special_tokens_mask"][0]).bool(), blank)


def explained(model: Any, row: Prepared, target: int, several: bool, like: Found | None = None) -> Found:
    """Weights of the words for class `target`. A special token keeps its place on the path and so has no weight.

    like: an explanation of the same row whose number of steps is taken, where only ranks are compared.
    """
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
    if _full(row):
        told.append(CUT)
    return told


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
