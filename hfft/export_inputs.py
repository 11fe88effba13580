"""What a model's inputs are made by, as numbers that somebody without transformers can follow.

In: a backbone with its processor, the recipe's model section. Out: plain data for export.json. It must not know the
exported file. What cannot be put into these few numbers has "described": False, and needs the processor itself.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from hfft import tokenising
from hfft.backbones import Backbone
from hfft.recipe import Model

RESAMPLES = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}  # as Pillow numbers them


def described(backbone: Backbone, modality: ModuleType, spec: Model) -> dict[str, Any]:
    """{"kind": "text", …} or {"kind": "image", …}.

    Text: max_length in tokens, truncation as in the recipe, pad_id and side. Image: resize: [height, width], or one
    number for the shorter side, or None; crop: [height, width] from the middle, or None; resample: Pillow's number;
    then pixels times scale, minus mean, over std.
    """
    if modality.INPUT == "text":
        return _text(backbone.processor, spec)
    found = _timm(backbone.processor) if hasattr(backbone.processor, "data_config") else _image(backbone.processor)
    return {"kind": "image", "described": found is not None, "window": bool(spec.window)} | (found or {})


def _text(tokenizer: Any, spec: Model) -> dict[str, Any]:
    ways = {"head": "right", "tail": "left"}
    return {
        "kind": "text",
        "described": bool(getattr(tokenizer, "is_fast", False)),
        "max_length": tokenising.limit(tokenizer, spec),
        "truncation": spec.truncation,
        "truncation_side": ways.get(spec.truncation, "right"),
        "pad_id": tokenizer.pad_token_id,
        "pad_token": tokenizer.pad_token,
        "padding_side": tokenizer.padding_side,
    }


def _timm(processor: Any) -> dict[str, Any] | None:
    """timm's own transform for evaluation, as its transforms_factory builds it."""
    config = processor.data_config
    sides = [int(side) for side in config["input_size"][1:]]
    enlarged = [math.floor(side / config["crop_pct"]) for side in sides]
    if config["crop_mode"] == "squash":
        resize: Any = enlarged
    elif config["crop_mode"] == "center" and enlarged[0] == enlarged[1]:
        resize = enlarged[0]
    else:
        return None
    if config["interpolation"] not in RESAMPLES:
        return None
    numbers = {"scale": 1 / 255, "mean": list(map(float, config["mean"])), "std": list(map(float, config["std"]))}
    return {"resize": resize, "crop": sides, "resample": RESAMPLES[config["interpolation"]]} | numbers


def _image(processor: Any) -> dict[str, Any] | None:
    """An image processor of transformers; None where it does more than these steps."""
    size = {key: value for key, value in dict(getattr(processor, "size", None) or {}).items() if value}
    if set(size) not in ({"height", "width"}, {"shortest_edge"}) or getattr(processor, "do_pad", None):
        return None
    resize = [size["height"], size["width"]] if "height" in size else size["shortest_edge"]
    crop = dict(getattr(processor, "crop_size", None) or {}) if getattr(processor, "do_center_crop", None) else {}
    wide, plain = getattr(processor, "do_normalize", False), [1.0, 1.0, 1.0]
    return {
        "resize": resize,
        "crop": [crop["height"], crop["width"]] if crop else None,
        "resample": int(processor.resample),
        "scale": float(processor.rescale_factor) if processor.do_rescale else 1.0,
        "mean": list(map(float, processor.image_mean)) if wide else [0.0, 0.0, 0.0],
        "std": list(map(float, processor.image_std)) if wide else plain,
    }
