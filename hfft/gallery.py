"""Rows that a page shows: mistakes with their nearest training rows, and probed rows before and after.

In: parquet files of a run folder. Out: plain rows with pictures as data URIs, within a budget of characters. Knows no
template and computes nothing.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hfft.changes import Parts, marked
from hfft.erring import first_of_each

# Base64 characters of pictures on one page: mistakes, changed pictures, training rows. With text below 5 MB.
MISTAKE_BYTES, CHANGED_BYTES, NEAR_BYTES = 2_500_000, 900_000, 700_000
CHANGED = 6  # rows shown per probe
QUOTED = 1_000  # characters of a text that are shown
SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass
class Budget:
    """Characters that pictures may still take."""

    left: int

    def take(self, *sources: str) -> bool:
        """Whether these fit; what fits is taken."""
        spent = sum(map(len, sources))
        fits = spent <= self.left
        self.left -= spent if fits else 0
        return fits


def data_uri(picture: bytes | None) -> str | None:
    """A PNG or JPEG as a data URI; None for anything else, so that no other kind of file reaches the page."""
    for signature, kind in SIGNATURES.items():
        if picture and picture.startswith(signature):
            return f"data:{kind};base64,{base64.b64encode(picture).decode()}"
    return None


def mistakes(path: Path, beside: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """Rows of a mistakes file, most confident first, with `src` a data URI or "" and long texts cut.

    beside: as `neighbours` gives them; each row gets its `neighbours`, `finding` and `sentence`. Out: {rows, left_out:
    how many did not fit on the page, pictures: whether there are any, findings: finding → rows}. What does not fit is
    left out so that each confused pair keeps its first example as long as there is room for it.
    """
    rows = _rows(path)
    nothing: dict[str, Any] = {"rows": [], "finding": None, "sentence": None}
    for row in rows:
        row["src"] = data_uri(row.pop("image", None)) or ""
        near = (beside or {}).get(row["id"], nothing)
        row |= {"neighbours": near["rows"], "finding": near["finding"], "sentence": near["sentence"]}
        row |= {role: cut(row.get(role)) for role in ("text", "text_pair")}
    budget, kept = Budget(MISTAKE_BYTES), []
    for place in first_of_each([(row["label"], row["prediction"]) for row in rows]):
        if budget.take(*(rows[place][part] or "" for part in ("src", "text", "text_pair"))):
            kept.append(place)
    shown = [rows[place] for place in sorted(kept)]
    return {
        "rows": shown,
        "left_out": len(rows) - len(shown),
        "pictures": any(row["src"] for row in shown),
        "findings": dict(Counter(row["finding"] for row in shown if row["finding"]).most_common()),
    }


def neighbours(path: Path) -> dict[str, dict[str, Any]]:
    """Mistake → {finding, sentence, rows: its nearest training rows, nearest first}; no file, none.

    A row is {id, label, similarity, text, text_pair, src}. Where pictures are too many for the page, the last mistakes
    have none: the file is sorted by confidence.
    """
    found: dict[str, dict[str, Any]] = {}
    budget = Budget(NEAR_BYTES)
    for row in _rows(path):
        src = data_uri(row["image"]) or ""
        shown = {"id": row["train_id"], "label": row["label"], "similarity": row["similarity"]}
        shown |= {"text": cut(row["text"]), "text_pair": cut(row["text_pair"])}
        blank: dict[str, Any] = {"finding": row["finding"], "sentence": row["sentence"], "rows": []}
        found.setdefault(row["id"], blank)["rows"].append(shown | {"src": src if budget.take(src) else ""})
    return found


def cut(text: str | None) -> str | None:
    """A text as far as a page shows it."""
    return text if text is None or len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def changed(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Probe → examples in the file's order: {label, severity, before, after}, of texts `parts`, of pictures `src`."""
    found: dict[str, list[dict[str, Any]]] = {}
    budget = Budget(CHANGED_BYTES)
    for row in _rows(path):
        own = found.setdefault(row["probe"], [])
        if len(own) >= CHANGED:
            continue
        before, after = (data_uri(row.get(f"image_{when}")) or "" for when in ("before", "after"))
        first, second = row.get("text_before"), row.get("text_after")
        parts: tuple[Parts, Parts] = ([], []) if first is None or second is None else marked(first, second)
        if budget.take(before, after) or parts[0]:
            sides = zip(("before", "after"), (before, after), parts, strict=True)
            own.append(
                {"label": row["label"], "severity": row["severity"]}
                | {
                    when: {
                        "src": src,
                        "parts": pieces,
                        "prediction": row[f"prediction_{when}"],
                        "confidence": row[f"confidence_{when}"],
                    }
                    for when, src, pieces in sides
                }
            )
    return {probe: rows for probe, rows in found.items() if rows}


def _rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist() if path.is_file() else []
