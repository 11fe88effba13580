"""What a run has besides its model that goes out with it: exports of the same weights, and whether others read it.

In: a run folder. Out: names and sentences. It must not load a model, and it trusts no export of other weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hfft.errors import counted
from hfft.records import read_json
from hfft.run_folder import RunFolder

EXPORTS, FACTS, PARITY = "exports", "export.json", "parity.json"


def weights(run: RunFolder) -> str:
    """Digest of the saved weights as training wrote it down; "" where it did not."""
    known = read_json(run.environment) if run.environment.is_file() else {}
    return str((known.get("model") or {}).get("weights_sha256") or "")


def exports(run: RunFolder, digest: str) -> list[Path]:
    """Folders of exports that were made from the weights with this digest."""
    found = sorted((run.root / EXPORTS).glob(f"*/{FACTS}")) if digest else []
    return [path.parent for path in found if digest in path.read_text(encoding="utf-8", errors="replace")]


def parity(run: RunFolder) -> dict[str, Any]:
    """Facts of parity.json; {} where these weights were not held against plain transformers."""
    facts = read_json(run.root / PARITY) if (run.root / PARITY).is_file() else {}
    return facts if facts.get("weights_sha256") in (None, weights(run)) else {}


def parity_sentence(facts: dict[str, Any]) -> str:
    """For the card; "" where nothing can be said.

    >>> parity_sentence({"passed": True, "n": 200, "largest_logit_gap": 2e-6, "label_flips": 0})
    'A fresh process with plain transformers gave the same answers on 200 test rows: largest logit gap 2e-06, 0 flips.'
    """
    if not facts or facts.get("passed") is None:
        return ""
    rows, gap = facts.get("n") or facts.get("rows") or 0, facts.get("largest_logit_gap")
    told = "" if gap is None else f": largest logit gap {gap:.0e}, {counted(facts.get('label_flips') or 0, 'flip')}"
    if facts["passed"]:
        return f"A fresh process with plain transformers gave the same answers on {rows:,} test rows{told}."
    return (
        f"WARNING: a fresh process with plain transformers does not give the same answers on {rows:,} test rows{told}."
    )
