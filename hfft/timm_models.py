"""Architectures of timm by their names, as classifiers in transformers' wrapper.

In: a name, or an architecture and its preprocessing. Out: what timm says of it, or a model with random weights. It must
not know where weights come from.
"""

from __future__ import annotations

from typing import Any

import transformers

from hfft import processors
from hfft.errors import InputError, listed
from hfft.recipe import Model


def preset(name: str) -> tuple[str, dict[str, Any]]:
    """(architecture, preprocessing) of a timm name such as resnet50.a1_in1k."""
    import timm

    if not timm.is_model(name):
        close = timm.list_models(f"*{name.split('.', maxsplit=1)[0]}*")
        raise InputError(
            f"model.name: timm has no architecture {name!r}; it has {listed(close or timm.list_modules())}"
        )
    found = timm.get_pretrained_cfg(name)
    return name.split(".", maxsplit=1)[0], found.to_dict() if found else {}


def wrapped(spec: Model, architecture: str, cfg: dict[str, Any], labels: tuple[str, ...]) -> tuple[Any, Any]:
    """(classifier with random weights, its processor)."""
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    config = transformers.TimmWrapperConfig.from_dict(
        {"architecture": architecture, "pretrained_cfg": dict(cfg), **spec.config}, num_labels=len(labels), **names
    )
    processors.size_timm(config, spec.image_size)
    model = transformers.TimmWrapperForImageClassification(config)
    return model, transformers.TimmWrapperImageProcessor(config.pretrained_cfg, architecture)
