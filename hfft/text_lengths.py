"""How long texts are, in words, characters and a tokenizer's tokens, and what cutting them at `max_length` costs.

In: texts, a tokenizer, the setting. Out: `Measured`. It must not know about rows, splits or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfft import cutting
from hfft.measures import Measured, percent

SETTINGS = (16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192)
CHUNK = 1000  # texts per call of the tokenizer: bounds memory
NEARLY_NONE = 0.01  # share of texts that may be cut without anybody minding
MANY_UNKNOWN = 0.01  # share of tokens; English subword tokenizers stay below 0.1 % on English


def measure(texts: Sequence[str], pairs: Sequence[str] | None) -> Measured:
    """Words (as white space tells them) and characters of each text, a pair counted together."""
    whole = texts if pairs is None else [f"{first} {second}" for first, second in zip(texts, pairs, strict=True)]
    words, characters = [len(text.split()) for text in whole], [len(text) for text in whole]
    return Measured({"words": np.array(words), "characters": np.array(characters)})


def tokens(texts: Sequence[str], pairs: Sequence[str] | None, tokenizer: Any) -> tuple[np.ndarray, int]:
    """(tokens of each uncut text with the special ones, as the model would get it (n,); unknown tokens in all)."""
    lengths, unknown = [], 0
    plain = {"truncation": False, "return_attention_mask": False, "return_token_type_ids": False}
    for start in range(0, len(texts), CHUNK):
        batch = [list(part[start : start + CHUNK]) for part in (texts, pairs) if part is not None]
        for ids in tokenizer(*batch, **plain)["input_ids"]:
            lengths.append(len(ids))
            unknown += ids.count(tokenizer.unk_token_id)
    return np.array(lengths), unknown


def cuts(lengths: np.ndarray, limit: int, most: int, batch: int) -> list[dict[str, Any]]:
    """What `limit` tokens per text cut, then the next setting that cuts less, then the first that cuts next to none.

    most: tokens the model takes. batch: rows of a training batch. Each is {"max_length", "texts_cut" and "tokens_lost"
    (shares), "compute" (padded tokens, `limit` being 1)}.
    """
    made = [_cut(lengths, setting, batch) for setting in (limit, *(s for s in SETTINGS if limit < s <= most))]
    now, *longer = (entry | {"compute": entry["compute"] / made[0]["compute"]} for entry in made)
    less = [entry for entry in longer if entry["texts_cut"] < now["texts_cut"]]
    enough = [entry for entry in less if entry["texts_cut"] <= NEARLY_NONE] or less[-1:]
    return [now, *less[:1], *(entry for entry in enough[:1] if entry is not less[0])]


def padded(lengths: np.ndarray, limit: int, batch: int) -> float:
    """Expected tokens per text when random batches of this many texts are padded to their longest.

    The longest of a batch is at most x with probability F(x) ** batch. Attention, quadratic in the length, is left out:
    below 512 tokens the layers linear in it take most of the time.

    >>> padded(np.array([1, 3]), 10, 1), padded(np.array([1, 3]), 10, 2), padded(np.array([1, 3]), 2, 1)
    (2.0, 2.5, 1.5)
    """
    values, counts = np.unique(np.minimum(lengths, limit), return_counts=True)
    below = (np.cumsum(counts) / counts.sum()) ** batch
    return float(values @ np.diff(below, prepend=0.0))


def ways(lengths: np.ndarray, limit: int, special: int, stride: int) -> dict[str, Any]:
    """What model.truncation would keep of the texts, and what windows would cost.

    special: the tokenizer's own tokens of a row. stride: tokens that windows share. tokens_kept: share, by head,
    tail and head_tail alike; windows keep all. windows: per text, most: of one text; compute: tokens in prediction,
    those of head being 1. In training a window of each text is drawn, which costs what head costs.

    >>> ways(np.array([6, 12]), 7, 2, 1)
    {'tokens_kept': 0.6428571428571429, 'windows': 2.0, 'most': 3, 'compute': 2.076923076923077}
    """
    bodies = np.maximum(lengths - special, 0)
    room = limit - special
    many = cutting.counts(bodies, room, stride)
    tokens = np.where(many > 1, many * limit, lengths)
    return {
        "tokens_kept": float(np.minimum(bodies, room).sum() / max(1, bodies.sum())),
        "windows": float(many.mean()),
        "most": int(many.max()),
        "compute": float(tokens.sum() / max(1, np.minimum(lengths, limit).sum())),
    }


def described(
    lengths: np.ndarray,
    unknown: int,
    limit: int,
    most: int,
    batch: int,
    way: str = "head",
    frame: tuple[int, int] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """(facts, sentences) about tokens. way: model.truncation. frame: special tokens of a row and tokens that windows
    share; None where windows are not possible.
    """
    settings, share = cuts(lengths, limit, most, batch), unknown / max(1, int(lengths.sum()))
    others = None if frame is None else ways(lengths, limit, *frame)
    if way == "windows" and others is not None:
        sentences = [_windows_sentence(others, limit)]
    else:
        sentences = [_cut_sentence(settings, most, batch, int(lengths.max()))]
        if others is not None and settings[0]["texts_cut"] > NEARLY_NONE:
            sentences.append(_ways_sentence(others, way))
    if share > MANY_UNKNOWN:
        sentences.append(
            f"{percent(share)} of the tokens are unknown to this model's tokenizer: was it made for this language?"
        )
    facts = {"max_length": limit, "settings": settings, "batch": batch, "unknown_tokens": share}
    return facts | {"truncation": {"way": way, "ways": others}}, sentences


def _cut(lengths: np.ndarray, setting: int, batch: int) -> dict[str, Any]:
    over = np.maximum(lengths - setting, 0)
    return {
        "max_length": setting,
        "texts_cut": float(np.mean(over > 0)),
        "tokens_lost": float(over.sum() / lengths.sum()),
        "compute": padded(lengths, setting, batch),
    }


def _ways_sentence(found: dict[str, Any], way: str) -> str:
    kept = ", ".join(f"{name} (now)" if name == way else name for name in ("head", "tail", "head_tail"))
    return (
        f"model.truncation says which tokens stay: {kept} keep {percent(found['tokens_kept'])} for the same time; "
        f"windows keep all, {found['windows']:.2f} per text, for the same time in training and "
        f"{found['compute']:.2f} times the tokens in prediction."
    )


def _windows_sentence(found: dict[str, Any], limit: int) -> str:
    return (
        f"Windows of {limit} tokens: {found['windows']:.2f} per text, {found['most']:,} at most; no token is lost. "
        f"Training draws one of each text in each epoch; prediction takes {found['compute']:.2f} times the tokens "
        f"of head, which would keep {percent(found['tokens_kept'])}."
    )


def _cut_sentence(settings: list[dict[str, Any]], most: int, batch: int, longest: int) -> str:
    now, *longer = settings
    if not now["texts_cut"]:
        return f"model.max_length {now['max_length']} cuts no text: the longest has {longest:,} tokens."
    lost = f"{percent(now['tokens_lost'])} of all tokens are lost"
    said = f"model.max_length {now['max_length']} cuts {percent(now['texts_cut'])} of the texts; {lost}."
    if not longer:
        return f"{said} This model takes no more than {most:,}."
    others = " and ".join(
        f"{entry['max_length']} would cut {percent(entry['texts_cut'])} for {entry['compute']:.2f} times the tokens"
        for entry in longer
    )
    return f"{said} {others} (padded, in batches of {batch})."
