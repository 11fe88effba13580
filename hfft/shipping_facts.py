"""What a run has besides its model that goes out with it: exports of the same weights, and whether others read it.

In: a run folder. Out: folders and facts. It must not load a model, and it trusts no export of other weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hfft.records import read_json
from hfft.run_folder import EXPORT_FACTS, EXPORTS, RunFolder

PARITY = "parity.json"
USUAL = 512  # tokens, of a tokenizer that knows no limit


def weights(run: RunFolder) -> str:
    """Digest of the saved weights as training wrote it down; "" where it did not."""
    known = read_json(run.environment) if run.environment.is_file() else {}
    return str((known.get("model") or {}).get("weights_sha256") or "")


def longest(run: RunFolder, most: int | None) -> int:
    """Tokens of a text that the run reads, as `tokenising.limit` has it, from the tokenizer's file.

    most: the recipe's `model.max_length`.
    """
    path = run.model / "tokenizer_config.json"
    own = read_json(path).get("model_max_length", USUAL) if path.is_file() else USUAL
    return most or min(int(own), USUAL)


def exports(run: RunFolder, digest: str) -> list[Path]:
    """Folders of exports that were made from the weights with this digest, and stood their own test."""
    found = sorted((run.root / EXPORTS).glob(f"*/{EXPORT_FACTS}")) if digest else []
    facts = {path.parent: read_json(path) for path in found}
    return [path for path, made in facts.items() if made.get("weights_sha256") == digest and made.get("accepted")]


def parity(run: RunFolder) -> dict[str, Any]:
    """Facts of parity.json; {} where these weights were not held against plain transformers."""
    return run.read_parity() or {}
