"""What turns texts or pictures into a model's inputs: the checkpoint's own tokenizer or image processor.

In: `Model`, a resolved path, the modality and the model's config. Out: the processor, fitted to what the recipe and
the model's positions allow. It reads no weights.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import transformers

from hfft.errors import InputError
from hfft.model_files import trust
from hfft.recipe import Model


def make(spec: Model, path: str, modality: ModuleType, config: Any, source: dict[str, Any]) -> Any:
    """The checkpoint's own processor, fitted to the recipe's sizes. source: where on the Hub, {} or {"revision": …}."""
    if config.model_type == "timm_wrapper" and modality.PROCESSOR == "AutoImageProcessor":
        return transformers.TimmWrapperImageProcessor(config.pretrained_cfg, config.architecture)
    processor = getattr(transformers, modality.PROCESSOR).from_pretrained(path, **source, **trust(spec))
    if modality.PROCESSOR == "AutoTokenizer":
        _fit_tokenizer(spec, processor, config)
    side = spec.image_size
    if isinstance(side, int) and hasattr(processor, "size"):
        shortest = "shortest_edge" in dict(processor.size)
        processor.size = {"shortest_edge": side} if shortest else {"height": side, "width": side}
        if getattr(processor, "crop_size", None):
            processor.crop_size = {"height": side, "width": side}
    return processor


def size_timm(config: Any, side: int | list[int] | None) -> None:
    """Ask a timm model for whole pictures of `side` pixels."""
    if getattr(config, "pretrained_cfg", None):
        config.pretrained_cfg = sized(config.pretrained_cfg, side)


def sized(cfg: dict[str, Any], side: int | list[int] | None) -> dict[str, Any]:
    """timm's preprocessing for whole pictures: cutting the border off is for ImageNet's benchmark."""
    sides = side if isinstance(side, list) else [side, side]
    return {**cfg, "input_size": [3, *sides], "crop_pct": 1.0} if side else dict(cfg)


def _fit_tokenizer(spec: Model, tokenizer: Any, config: Any) -> None:
    """Texts no longer than the model's positions, and a token to pad with: decoders often have none."""
    longest = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", None) or 10**9)
    tokenizer.model_max_length = longest
    if spec.max_length and spec.max_length > longest:
        raise InputError(f"model.max_length is {spec.max_length}, but {spec.name} takes at most {longest} tokens")
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise InputError(f"model.name {spec.name!r}: its tokenizer has no token to pad with; choose another model")
        tokenizer.pad_token = tokenizer.eos_token
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer.pad_token_id
