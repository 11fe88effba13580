"""A BERT that classifies by the mean of its tokens, as one more layer: the model stays a plain one.

In: a sequence classifier whose head reads the first token. Out: the same class of model, whose head reads the mean of
the last hidden state over all tokens that are not padding. Sentence encoders were trained for that mean; their first
token says little. It must not know data or training.

The layer is exact, not fitted. Its attention has zero queries and keys, so it weighs all tokens alike; values and
output are the identity times SCALE, beside which the token's own state vanishes in the sum; the feed-forward part
adds zero. LayerNorm makes unit variance of it, and the pooler's tanh of a half is close to a straight line. Every
weight may be trained on from there.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from hfft.errors import InputError, listed

SCALE = 1e3  # of the mean in the sum with the token's own state; float16, which ends at 65,504, has room for it
SLOPE = 0.5  # of the tanh that follows
MARK = "averages_tokens"  # in config.json: the layer is there already
# model_type → where the layers are, and the linear layer before the tanh that every head of the family has.
FAMILIES = {
    "bert": ("bert.encoder.layer", "bert.pooler.dense"),
    "roberta": ("roberta.encoder.layer", "classifier.dense"),
    "xlm-roberta": ("roberta.encoder.layer", "classifier.dense"),
    "camembert": ("roberta.encoder.layer", "classifier.dense"),
}


def check(model_type: str) -> None:
    """Raise InputError for a family whose head works another way."""
    if model_type not in FAMILIES:
        raise InputError(f"model.pooling: mean is for {listed(FAMILIES)}, and this is {model_type}; leave the key out")


def made(config: Any) -> str:
    """Where the linear layer is that the averaging sets: no part of a new head, though a checkpoint may lack it."""
    return FAMILIES[config.model_type][1]


@torch.no_grad()
def average(model: Any) -> tuple[str, ...]:
    """Add the layer, in place; returns what was done as a note, and nothing when the checkpoint has it already."""
    config = model.config
    check(config.model_type)
    if getattr(config, MARK, False):
        return ()
    layers, dense = (model.get_submodule(path) for path in FAMILIES[config.model_type])
    layer = copy.deepcopy(layers[-1])
    for parameter in layer.parameters():
        parameter.zero_()
    attention = layer.attention
    size = attention.self.value.weight.shape[0]
    attention.self.value.weight.copy_(torch.eye(size))
    attention.output.dense.weight.copy_(SCALE * torch.eye(size))
    for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
        norm.weight.fill_(1.0)
    layers.append(layer)
    dense.weight.copy_(SLOPE * torch.eye(size))
    dense.bias.zero_()
    config.num_hidden_layers = len(layers)
    setattr(config, MARK, True)
    return ("one more layer takes the mean of all tokens (model.pooling)",)
