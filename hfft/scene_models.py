"""An FCN over timm's weights, and the processor that goes with models whose answer is a class for each pixel.

In: `Model`, an architecture of timm with what it expects of pixels, and class names. Out: an FCN with a new head, or a
processor of one size. It must not know data or training.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import transformers

from hfft import fcn, lite0
from hfft.errors import InputError, listed
from hfft.recipe import Model
from hfft.scene_pixels import size_of

HEAD = "fcn8s"
BILINEAR = 2  # as Pillow numbers it
# Layers of EfficientNet-Lite0 behind its last features.
BEHIND = ("conv_head.", "bn2.", "classifier.")


def fcn_over(spec: Model, architecture: str, preset: dict[str, Any], labels: tuple[str, ...]) -> tuple[Any, Any]:
    """(FCN with random weights, its processor). Raises ValueError for a backbone that no FCN can be made of."""
    if preset.get("fixed_input_size"):
        raise ValueError(f"timm's {architecture} takes pictures of one size only; choose a convolutional network")
    names: dict[str, Any] = {"id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}}
    known = fcn.FCNConfig().to_dict()
    if unknown := [key for key in spec.config if key not in known]:
        raise InputError(f"model.config: an FCN has no {unknown[0]!r}; it has {listed(known, 60)}")
    config = fcn.FCNConfig(architecture=architecture, head=spec.head or HEAD, **names, **spec.config)
    return fcn.FCNForSemanticSegmentation(config), processor(spec, preset)


def processor(spec: Model, preset: dict[str, Any]) -> Any:
    """Whole pictures at one size, with the mean and spread of colours that the backbone expects."""
    height, width = preset.get("input_size", (3, 224, 224))[1:]
    made = transformers.SegformerImageProcessor(
        size={"height": height, "width": width}, resample=BILINEAR, do_reduce_labels=False,
        image_mean=list(preset.get("mean", (0.485, 0.456, 0.406))),
        image_std=list(preset.get("std", (0.229, 0.224, 0.225))),
    )  # fmt: skip
    return fitted(spec, made)


def fitted(spec: Model, made: Any) -> Any:
    """The processor at the recipe's size, without cuts, and with labels as they are: class 0 is a class.

    With `model.window` pictures keep their size, and the processor's is that of a window.
    """
    sides = spec.image_size or list(size_of(made))
    height, width = sides if isinstance(sides, list) else (sides, sides)
    made.size = {"height": height, "width": width}
    made.do_resize = not spec.window
    for key in ("do_center_crop", "do_reduce_labels", "do_pad"):
        if getattr(made, key, None):
            setattr(made, key, False)
    if getattr(made, "crop_size", None):
        made.crop_size = None
    return made


def settle(spec: Model, config: Any) -> None:
    """A checkpoint's config for training by a loss on its one answer. Raises InputError for a head it cannot have.

    A second head, which some models learn by besides, would get no gradient, and is left out.
    """
    if spec.head and config.model_type != fcn.FCNConfig.model_type:
        raise InputError(
            f"model.head: {spec.head} is for a timm backbone, and {spec.name} is {config.model_type} with its own "
            "head; leave it out"
        )
    if spec.head:
        config.head = spec.head
    if getattr(config, "use_auxiliary_head", False) and "use_auxiliary_head" not in spec.config:
        config.use_auxiliary_head = False


def take_lite0(model: Any, state: dict[str, Any]) -> list[str]:
    """Bare EfficientNet-Lite0 weights into an FCN's backbone; names of tensors that do not fit."""
    weights = {name: each for name, each in lite0.renamed(state).items() if not name.startswith(BEHIND)}
    missing, unexpected = model.backbone.load_state_dict(weights, strict=False)
    return [*missing, *unexpected]


def take_timm(model: Any, name: str, revision: str | None) -> None:
    """timm's own weights of that name into an FCN's backbone, from the Hub. Raises InputError where timm has none."""
    import timm

    if not timm.models.is_model_pretrained(name):
        raise InputError(f"model.name: timm has no weights for {name!r}; type model.pretrained=false for random ones")
    source = f"hf-hub:timm/{name}@{revision}" if revision else name
    made = fcn.backbone(source, model.config.head, pretrained=True)
    model.backbone.load_state_dict(made.state_dict())


def reorder(model: Any, labels: tuple[str, ...]) -> None:
    """Outputs in the order of `labels`, where the checkpoint knows the same classes in another: masks hold indices."""
    own = tuple(str(model.config.id2label[place]) for place in range(model.config.num_labels))
    if own == tuple(labels) or set(own) != set(labels):
        return
    config = copy.deepcopy(model.config)
    config.num_labels = len(own) + 1
    wider, places = type(model)(config).state_dict(), torch.tensor([own.index(name) for name in labels])
    for name, tensor in model.state_dict().items():
        if tensor.shape != wider[name].shape:  # one row for each class
            tensor.copy_(tensor[places])
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {name: place for place, name in enumerate(labels)}
