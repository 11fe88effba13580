"""What a model sees in its inputs before its head: one vector per row, from weights that stay as they are.

In: a backbone, a modality, rows. Out: features in the order of the rows. It must not know labels: features for
judging labels have to come from weights that were never fitted to them.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import datasets
import numpy as np
import torch
from transformers import TrainingArguments

from hfft import predicting
from hfft.backbones import Backbone
from hfft.errors import InputError
from hfft.recipe import Model


def extract(
    backbone: Backbone, modality: ModuleType, rows: datasets.Dataset, spec: Model, args: TrainingArguments
) -> np.ndarray:
    """Features, float32 (n, d), in the order of `rows`; the same on one process and on many, in any batch size.

    Texts: the mean of the last hidden state over the tokens that are not padding. Pictures: the pooled features that
    the classification head would get. Raises InputError when they are not finite numbers.
    """
    pooled = Pooled(backbone.model)  # Trainer turns dropout off
    found = predicting.outputs(pooled, backbone.processor, modality, rows, spec, args).astype(np.float32)
    if not np.isfinite(found).all():
        raise InputError("the model's features are not numbers (NaN or infinite): its weights are damaged")
    return found


class Pooled(torch.nn.Module):
    """A classifier without its head: inputs → {"features": (batch, d)}."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    @torch.no_grad()
    def forward(self, **inputs: Any) -> dict[str, torch.Tensor]:
        # In a dict, because Trainer takes the first row of a bare tensor with one row for the whole.
        return {"features": (_of_texts if "input_ids" in inputs else _of_pictures)(self.model, inputs).float()}


def _of_texts(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    base = model.base_model
    if getattr(model.config, "is_encoder_decoder", False):
        base = base.get_encoder()
        inputs = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
    hidden = base(**inputs).last_hidden_state
    # Some models, FNet among them, take no mask: to them padding is a token like any other.
    mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)


def _of_pictures(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    if hasattr(model, "timm_model"):
        timm_model = model.timm_model
        pixels = inputs["pixel_values"].to(model.dtype)
        return timm_model.forward_head(timm_model.forward_features(pixels), pre_logits=True).flatten(1)
    found = model.base_model(**inputs)
    pooled = getattr(found, "pooler_output", None)
    if pooled is not None:
        return pooled.flatten(1)
    hidden = found.last_hidden_state  # (batch, patches, d), or (batch, d, height, width) of a convolutional model
    return hidden.mean(1) if hidden.ndim == 3 else hidden.mean((2, 3))
