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

# Characters on one page, of pictures in base64: mistakes with their texts, changed pictures, training rows. In all
# below 5 MB.
MISTAKE_BYTES, CHANGED_BYTES, NEAR_BYTES = 2_000_000, 1_000_000, 600_000
CHANGED, NEAR = 6, 3  # rows shown per probe, and per mistake
QUOTED = 1_000  # characters of a text that are shown
SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass
class Budget:
    """Characters that pictures may still take."""

    left: int

    def take(self, *sources: str) -> bool:
        """Whether these fit; what fits is taken, what comes after the first that does not is refused as well."""
        spent = sum(map(len, sources))
        self.left = self.left - spent if spent <= self.left else -1
        return self.left >= 0


def data_uri(picture: bytes | None) -> str | None:
    """A PNG or JPEG as a data URI; None for anything else, so that no other kind of file reaches the page."""
    for signature, kind in SIGNATURES.items():
        if picture and picture.startswith(signature):
            return f"data:{kind};base64,{base64.b64encode(picture).decode()}"
    return None


def mistakes(path: Path, near: Path | None = None) -> dict[str, Any]:
    """Rows of a mistakes file, most confident first, with `src` a data URI or "".

    near: the file of their nearest training rows, which adds `neighbours`, `finding` and `sentence`. Out: {rows,
    left_out: how many did not fit on the page, pictures: whether there are any, findings: finding → rows}.
    """
    rows, kept, budget = _rows(path), [], Budget(MISTAKE_BYTES)
    beside = neighbours(near) if near else {}
    for row in rows:
        row["src"] = data_uri(row.pop("image", None)) or ""
        row |= {role: cut(row.get(role)) for role in ("text", "text_pair")}
        row.update(beside.get(row["id"], {"neighbours": [], "finding": None, "sentence": None}))
    # Each confused pair keeps its first example as long as there is room for it.
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
    """Row id of a mistake → {neighbours: rows nearest first, finding, sentence}."""
    found: dict[str, dict[str, Any]] = {}
    budget = Budget(NEAR_BYTES)
    for row in sorted(_rows(path), key=lambda row: row["rank"]):
        own = found.setdefault(row["id"], {"neighbours": [], "finding": row["finding"], "sentence": row["sentence"]})
        if len(own["neighbours"]) < NEAR:
            src = data_uri(row.get("image")) or ""
            kept = {key: row.get(key) for key in ("label", "similarity")}
            kept |= {role: cut(row.get(role)) for role in ("text", "text_pair")}
            own["neighbours"].append(kept | {"src": src if budget.take(src) else ""})
    return found


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


def cut(text: str | None) -> str | None:
    """A text as far as a page shows it."""
    return text if text is None or len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def _rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist() if path.is_file() else []
