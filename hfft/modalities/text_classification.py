"""Texts, or pairs of texts, into classes.

In: rows with `text` and perhaps `text_pair`. Out: what a text classifier of transformers takes. A modality must not
know where rows come from, how they were split or what is done with the outputs.
"""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from hfft import shingles, text_lengths, text_traits, tokenising, unusable
from hfft.errors import InputError, brief, listed
from hfft.measures import Measured
from hfft.neighbours import Matches
from hfft.perturbing import perturbed
from hfft.recipe import Augment, Model
from hfft.schema_augment import OF_PICTURES
from hfft.tokenising import Tokenising

if TYPE_CHECKING:  # a second of every start of `hfft predict`, which does without
    import datasets

__all__ = ["perturbed"]  # as a probe changes a text

ROLES = {"text": True, "text_pair": False}  # role → must it be there
INPUT = "text"  # the probes that fit
AUTO_CLASS = "AutoModelForSequenceClassification"
PIPELINE = "text-classification"
PROCESSOR = "AutoTokenizer"
CONVOLUTIONAL = False
CACHED = 20_000  # rows from which on tokens are kept on the disk
STREAMED = 1000  # rows made ready together while training reads a stream
PRINTED = False  # look-alikes are found by the texts themselves
MASKS = False  # what is learnt is a class, or several, for the whole input
# Similarity from which a look-alike counts as a copy: at 0.65 short questions with one decisive word changed begin to
# fire, from about 0.8 it is rewordings and reposts (BANKING77 and tweets, see benchmarks/RESULTS.md).
COPY_AT = 0.8


def check_types(rows: datasets.Dataset, base: Path | None) -> datasets.Dataset:
    """Raise InputError unless the text columns hold text. A column without any value is an empty column of text."""
    import datasets

    for role in ROLES:
        feature = rows.features.get(role)
        if feature is not None and rows.with_format("arrow")[role][:].null_count == len(rows):
            rows = rows.cast_column(role, datasets.Value("string"))
        elif feature is not None and getattr(feature, "dtype", "") not in ("string", "large_string", "null"):
            kind = getattr(feature, "dtype", feature)
            if isinstance(feature, datasets.Json):  # what `datasets` makes of a column of several types
                row, value = next(
                    (n, x) for n, x in enumerate(rows[role][:], 1) if not isinstance(x, (str, type(None)))
                )
                kind = f"{brief(value)} in row {row:,}"
            raise InputError(f"column for {role!r} holds {kind}: expected text")
    return rows


def inspect(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Per row: content (digest of the exact input), key (digest that equal texts share), problem (or None).

    Texts are equal when they agree after NFKC, case folding and collapsing white space.
    """
    texts = [batch[role] for role in ROLES if role in batch]
    out: dict[str, list[Any]] = {"content": [], "key": [], "problem": []}
    for row in zip(*texts, strict=True):
        parts = [part or "" for part in row]
        if long := next((part for part in parts if len(part) > unusable.MOST), None):
            for column, value in (("content", ""), ("key", ""), ("problem", unusable.too_long(long))):
                out[column].append(value)
            continue
        plain = _folded(parts)
        out["content"].append(_digest(parts))
        out["key"].append(_digest(plain))
        out["problem"].append(None if any(map(unusable.visible, plain[0])) else unusable.EMPTY)
    return out


def keys(batch: dict[str, list[Any]]) -> list[str | None]:
    """The key of each row as `inspect` makes it, None where it cannot be used."""
    rows = zip(*(batch[role] for role in ROLES if role in batch), strict=True)
    plain = [_folded(["" if len(part or "") > unusable.MOST else part or "" for part in row]) for row in rows]
    return [_digest(parts) if any(map(unusable.visible, parts[0])) else None for parts in plain]


def encoder(processor: Any, model: Model, augment: Augment | None = None, seed: int = 0) -> Tokenising:
    """What turns a batch of inputs into what the model takes. augment: of training rows, None for held-back ones."""
    if augment is not None and (wrong := augment.chosen(OF_PICTURES)):
        raise InputError(f"augment: {listed(wrong)} is for pictures; leave it out for texts")
    return tokenising.encoder(processor, model, augment, seed)


def prepare(
    rows: datasets.Dataset, processor: Any, model: Model, augment: Augment | None = None, seed: int = 0
) -> datasets.Dataset:
    """Tokenised rows, cut to `model.max_length`, not padded; columns the model takes and `labels` only.

    augment: of training rows, which may be made anew whenever they are read; None for rows that are held back, which
    become several where they are cut into windows, with the number of their row (see pooling.py).
    """
    encode = encoder(processor, model, augment, seed)
    kept = [name for name in (*ROLES, "labels") if name in rows.column_names]
    if encode.changes:
        return rows.select_columns(kept).with_transform(encode)
    # Few rows are tokenised sooner than `datasets` has a key made for its cache out of the tokenizer.
    anew: dict[str, Any] = {"keep_in_memory": True, "new_fingerprint": uuid.uuid4().hex} if len(rows) <= CACHED else {}
    if encode.spreads:
        return rows.map(encode, batched=True, with_indices=True, remove_columns=rows.column_names, desc=None, **anew)
    kept = [name for name in rows.column_names if name != "labels"]
    return rows.map(encode, batched=True, remove_columns=kept, desc=None, **anew)


def near(rows: datasets.Dataset, part: np.ndarray, seed: int, least: float) -> Matches:
    """Each row's most similar row in every other part; part: int (n,). A pair is as alike as its less alike text.

    least: similarity that counts as a copy; the search goes down to it, and to its own threshold in any case.
    """
    texts, threshold = rows["text"][:], min(least, shingles.THRESHOLD)
    if "text_pair" not in rows.column_names:
        return shingles.matches(texts, part, threshold)
    pairs = [text or "" for text in rows["text_pair"][:]]
    found = shingles.matches([f"{text} {pair}" for text, pair in zip(texts, pairs, strict=True)], part, threshold)
    index, similarity = found.index.copy(), found.similarity.copy()
    # Many questions about one passage are no copies: the passage alone would make them so.
    for row, place in zip(*np.nonzero(index >= 0), strict=True):
        other = index[row, place]
        both = (shingles.alike(texts[row], texts[other]), shingles.alike(pairs[row], pairs[other]))
        similarity[row, place] = min(similarity[row, place], *both)
    index[similarity < found.threshold] = -1
    similarity[index < 0] = 0
    return Matches(index, similarity, found.threshold, found.note)


def extents(rows: datasets.Dataset) -> np.ndarray:
    """Characters per row, int (n,): which rows will take the most memory."""
    table = rows.select_columns([role for role in ROLES if role in rows.column_names]).with_format("arrow")
    sizes = [pc.fill_null(pc.utf8_length(table[role][:]), 0).to_numpy() for role in table.column_names]
    return np.sum(sizes, axis=0)


def lengths(prepared: datasets.Dataset) -> list[int]:
    """Tokens per row: rows of like length are predicted together."""
    return [len(ids) for ids in prepared["input_ids"][:]]


def collator(processor: Any) -> Any:
    """Pads each batch to its own longest row."""
    from transformers import DataCollatorWithPadding

    return DataCollatorWithPadding(processor)


def preview(row: dict[str, Any]) -> dict[str, Any]:
    """What a person is shown of a row."""
    return {"text": row["text"], "text_pair": row.get("text_pair"), "image": None}


def line(row: dict[str, Any]) -> str:
    """A row as one line of text."""
    parts = [" ".join(row[role].split()) for role in ROLES if row.get(role)]
    return " | ".join(parts)


def profile(rows: datasets.Dataset, processor: Any | None, model: Model, batch: int) -> Measured:
    """Lengths in words and characters and, with a tokenizer, in tokens; what `model.max_length` cuts.

    batch: rows of a training batch, which are padded to one length.
    """
    texts = [part or "" for part in rows["text"][:]]
    pairs = [part or "" for part in rows["text_pair"][:]] if "text_pair" in rows.column_names else None
    plain = text_lengths.measure(texts, pairs)
    if processor is None:
        return plain
    lengths, unknown = text_lengths.tokens(texts, pairs, processor)
    limit, most = tokenising.limit(processor, model), processor.model_max_length
    told = text_lengths.described(
        lengths, unknown, limit, most, batch, model.truncation, _frame(processor, model, pairs)
    )
    return Measured(plain.rows | {"tokens": lengths}, *told)


def _frame(processor: Any, model: Model, pairs: list[str] | None) -> tuple[int, int] | None:
    """Special tokens of a text and tokens that windows share; None where no windows are possible."""
    if pairs is not None:
        return None
    try:
        return processor.num_special_tokens_to_add(pair=False), tokenising.overlap(processor, model)
    except InputError:  # the rehearsal tells it
        return None


def attributes(rows: datasets.Dataset, processor: Any) -> dict[str, Any]:
    """What each text looks like, a pair as one: attribute → numbers or text (n,)."""
    columns = [rows[role][:] for role in ROLES if role in rows.column_names]
    texts = [" ".join(part for part in row if part) for row in zip(*columns, strict=True)]
    unknown = text_traits.unknown(texts, processor)
    return text_traits.traits(texts) | ({} if unknown is None else {"unknown_tokens": unknown})


def as_rows(inputs: list[Any]) -> datasets.Dataset:
    """Texts, or (text, text_pair) tuples, as rows."""
    import datasets

    return datasets.Dataset.from_dict(as_columns(inputs))


def as_columns(inputs: Sequence[Any]) -> dict[str, list[Any]]:
    """Texts, or (text, text_pair) tuples, as one list for each role. Raises InputError for anything else."""
    pairs = [isinstance(row, (tuple, list)) and len(row) == 2 for row in inputs]
    if inputs and all(pairs):
        first, second = zip(*inputs, strict=True)
        return {"text": list(first), "text_pair": list(second)}
    if not all(isinstance(text, str) for text in inputs):
        raise InputError("expected a list of texts, or of (text, text_pair) tuples")
    return {"text": list(inputs)}


def contents(rows: datasets.Dataset, processor: Any) -> tuple[list[str], bool]:
    """(what a probe may change of each row, whether that is less than the row held): its text, and never less."""
    return [text or "" for text in rows["text"][:]], False


def changed(rows: datasets.Dataset, items: list[str]) -> datasets.Dataset:
    """The same rows with other texts; the second of a pair stays."""
    import datasets

    others = {name: rows[name][:] for name in rows.column_names if name != "text"}
    kept = datasets.Features({name: rows.features[name] for name in others} | {"text": datasets.Value("string")})
    return datasets.Dataset.from_dict({"text": items, **others}, features=kept)


def _folded(parts: list[str]) -> list[str]:
    return [" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts]


def _digest(parts: list[str]) -> str:
    # A lone surrogate has no UTF-8 form; it still has to hash.
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
