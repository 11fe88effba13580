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

# Base64 characters of pictures on one page: mistakes, changed pictures, training rows. With text below 5 MB.
MISTAKE_BYTES, CHANGED_BYTES, NEAR_BYTES = 2_000_000, 1_000_000, 600_000
CHANGED, NEAR = 6, 3  # rows shown per probe, and per mistake
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
    rows, shown, budget = _rows(path), [], Budget(MISTAKE_BYTES)
    beside = neighbours(near) if near else {}
    for row in rows:
        row["src"] = data_uri(row.pop("image", None)) or ""
        row.update(beside.get(row["id"], {"neighbours": [], "finding": None, "sentence": None}))
        if budget.take(row["src"]):
            shown.append(row)
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
            kept = {key: row.get(key) for key in ("label", "similarity", "text", "text_pair")}
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


def _rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist() if path.is_file() else []
