"""A model reference becomes a model with the right head, and the processor that makes its inputs.

In: `Model` (Hub id, `timm/…`, folder, `pkg://…`), the task's Auto classes and the class names. Out: a `Backbone`.
The class order is the model's own where it already knows exactly these classes: labels meet by name, never by position.
It must not know about data or training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import transformers

from hfft import (
    batch_norms,
    lite0,
    locating,
    model_files,
    naming,
    processors,
    reaching,
    references,
    spreading,
    timeline,
    timm_models,
    token_mean,
)
from hfft.errors import InputError, listed
from hfft.locating import DAMAGED, DOES_NOT_FIT, TIMM
from hfft.model_files import SAFE, trust
from hfft.recipe import Model

MULTI_LABEL = "multi_label_classification"  # what transformers calls it in config.json
Names = tuple[str, ...]


@dataclass(frozen=True)
class Backbone:
    """model: with `config.id2label` set. notes: what was done to the head. fresh: parameters the checkpoint had not."""

    model: Any
    processor: Any
    notes: tuple[str, ...]
    fresh: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


@timeline.phase("model")
def load(spec: Model, modality: ModuleType, labels: tuple[str, ...], several: bool = False) -> Backbone:
    """Model in float32 with one output per label, and its processor. Raises InputError when it cannot be had.

    several: whether more than one label may apply to a row; plain pipelines then take a sigmoid of each output.
    """
    path, bare = locating.located(spec, modality)
    model_files.check(spec, path, modality.AUTO_CLASS)
    with spreading.whole(), locating.explained(spec, path, modality):
        if bare:
            found = _from_state(spec, Path(path), modality, labels)
        elif path.startswith(TIMM) and (modality.MASKS or not spec.pretrained):
            found = _from_timm_name(spec, path.removeprefix(TIMM), modality, labels)
        else:
            found = _from_pretrained(spec, path, modality, labels)
    if modality.MASKS:
        batch_norms.guard(found.model)
        _scenes().reorder(found.model, labels)
    return _told(found, spec, several)


def check(spec: Model, modality: ModuleType) -> None:
    """Raise InputError for what can be told of a model without opening it: before minutes go into reading the data."""
    path, _ = locating.located(spec, modality)
    model_files.check(spec, path, modality.AUTO_CLASS)
    if references.is_folder(path) or references.is_file(path) or path.startswith(TIMM):
        return
    local = spec.name.startswith((".", "/", "~"))
    why = "" if local else reaching.why()
    if local or (why and references.cached(spec.name, "config.json", spec.revision) is None):
        raise InputError(references.unreachable(spec.name, path, FileNotFoundError(), why))


def processor(spec: Model, modality: ModuleType) -> Any:
    """The tokenizer or image processor that `load` would give, without reading weights. Raises InputError likewise."""
    path, bare = locating.located(spec, modality)
    source = {"revision": spec.revision} if spec.revision else {}
    with locating.explained(spec, path, modality), locating.fitting(spec):
        if bare or (path.startswith(TIMM) and (modality.MASKS or not spec.pretrained)):
            own = (lite0.ARCHITECTURE, lite0.PREPROCESSING) if bare else timm_models.preset(path.removeprefix(TIMM))
            if modality.MASKS:
                return _scenes().processor(spec, own[1])
            return transformers.TimmWrapperImageProcessor(processors.sized(own[1], spec.image_size), own[0])
        _auto(modality)
        config = transformers.AutoConfig.from_pretrained(path, **source, **trust(spec), **spec.config)
        processors.size_timm(config, spec.image_size)
        return _processor(spec, path, modality, config, source)


@timeline.phase("model")
def reload(folder: Path, modality: ModuleType) -> Backbone:
    """The saved model as any user would load it."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    auto, code = _auto(modality), model_files.trusted(folder)
    try:
        config = transformers.AutoConfig.from_pretrained(str(folder), **code)
        model_files.check_config(config, str(folder), code)
        with spreading.whole():
            model = auto.from_pretrained(str(folder), config=config, use_safetensors=True, dtype=torch.float32, **code)
        processor = getattr(transformers, modality.PROCESSOR).from_pretrained(str(folder), **code)
    except (*DOES_NOT_FIT, *DAMAGED, OSError) as error:
        raise InputError(f"{folder}: the model cannot be loaded: {references.short(error)}") from error
    return Backbone(model.eval(), processor, ())


def several(model: Any) -> bool:
    """Whether more than one of the model's classes may apply to an input."""
    return getattr(model.config, "problem_type", None) == MULTI_LABEL


def class_order(model: Any) -> tuple[str, ...]:
    """Class names in the order of the model's outputs."""
    return tuple(str(model.config.id2label[index]) for index in range(len(model.config.id2label)))


def _told(backbone: Backbone, spec: Model, several: bool) -> Backbone:
    """The model's config says how many classes may apply: whoever loads it goes by that."""
    if several or backbone.model.config.problem_type == MULTI_LABEL:  # the checkpoint's, whose task was another
        backbone.model.config.problem_type = MULTI_LABEL if several else "single_label_classification"
    if model_files.own_code(backbone.model):
        backbone = replace(backbone, notes=(*backbone.notes, model_files.OWN_CODE))
    if spec.pooling == "mean":
        notes = (*backbone.notes, *token_mean.average(backbone.model))
        dense = token_mean.made(backbone.model.config)
        return replace(backbone, notes=notes, fresh=tuple(n for n in backbone.fresh if not n.startswith(dense)))
    return backbone


def _from_pretrained(spec: Model, path: str, modality: ModuleType, labels: tuple[str, ...]) -> Backbone:
    source = {"revision": spec.revision} if spec.revision else {}
    with locating.fitting(spec):
        _auto(modality)
        known = _names_of(transformers.AutoConfig.from_pretrained(path, **source, **trust(spec)))
        ours = naming.in_order_of(known, labels) if known else None
        matched, order = ours is not None, ours or labels
        names = {"id2label": dict(enumerate(order)), "label2id": {name: i for i, name in enumerate(order)}}
        config = transformers.AutoConfig.from_pretrained(
            path, num_labels=len(order), **names, **source, **trust(spec), **spec.config
        )
        model_files.check_config(config, spec.name, trust(spec))
        _check_config(spec, config)
        if modality.MASKS:
            _scenes().settle(spec, config)
        processors.size_timm(config, spec.image_size)
        processor = _processor(spec, path, modality, config, source)
        if not spec.pretrained:
            return Backbone(_auto(modality).from_config(config, **trust(spec)), processor, ("random weights",))
        model, info = _auto(modality).from_pretrained(
            path, config=config, ignore_mismatched_sizes=True, output_loading_info=True, use_safetensors=True,
            dtype=torch.float32, **source, **trust(spec),
        )  # fmt: skip
    _check_image_size(spec, model)
    return Backbone(model, processor, *_head(model, info, known, matched, modality))


def _head(model: Any, info: Any, known: Names | None, matched: bool, modality: ModuleType) -> tuple[Names, Names]:
    """Start the head anew where its classes are not ours: (what to say of it, names of its parameters)."""
    replaced = [key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]]
    fresh = sorted({*replaced, *info["missing_keys"]})
    alike = modality.MASKS and len(known or ()) == len(class_order(model))
    if not matched and (not fresh or alike):
        # Same size, other classes: the shapes fit, so nothing was replaced, but the rows mean something else.
        fresh = sorted({*fresh, *_restart_head(model, modality)})
    total = sum(1 for _ in model.parameters())
    if len(fresh) > total // 2:
        kind = type(model).__name__
        raise InputError(f"the checkpoint has no weights for {kind} ({len(fresh)} of {total} tensors missing)")
    if not fresh:
        spelt = "" if known == class_order(model) else f"; it spells them {listed(known or (), 5)}"
        return (f"the head is the checkpoint's own: it knows exactly these classes{spelt}",), ()
    had = f"; the checkpoint's had {listed(known, 5)}" if known and not info["missing_keys"] else ""
    return (f"the head is new ({listed(fresh, 4)}{had})",), tuple(fresh)


def _restart_head(model: Any, modality: ModuleType) -> list[str]:
    """Random weights in every tensor whose shape depends on the number of classes; returns their names."""
    config = type(model.config).from_dict(model.config.to_dict())
    own = model_files.own_code(model)  # which no Auto class knows
    make = type(model) if own else partial(_auto(modality).from_config, **SAFE)
    new = make(config).state_dict()
    config.num_labels = model.config.num_labels + 1
    wider = make(config).state_dict()
    names = [name for name in new if new[name].shape != wider[name].shape]
    model.load_state_dict({name: new[name] for name in names}, strict=False)
    return names


def _from_timm_name(spec: Model, name: str, modality: ModuleType, labels: Names) -> Backbone:
    """A timm architecture with random weights, which needs no network, or an FCN over its own."""
    architecture, preset = timm_models.preset(name)
    if not modality.MASKS:
        return Backbone(*timm_models.wrapped(spec, architecture, preset, labels), ("random weights",))
    with locating.fitting(spec):
        model, processor = _scenes().fcn_over(spec, architecture, preset, labels)
    if not spec.pretrained:
        return Backbone(model, processor, ("random weights",))
    _scenes().take_timm(model, name, spec.revision)
    return _new_head(model, processor)


def _new_head(model: Any, processor: Any) -> Backbone:
    """An FCN whose backbone has its weights."""
    note = f"the head is new ({model.config.head} over {model.config.architecture})"
    return Backbone(model, processor, (note,), tuple(f"head.{name}" for name, _ in model.head.named_parameters()))


def _from_state(spec: Model, path: Path, modality: ModuleType, labels: Names) -> Backbone:
    """A bare state dict whose layout is known."""
    if not path.is_file():
        raise InputError(f"model.name {spec.name!r}: no such file (current folder: {Path.cwd()})")
    state = model_files.tensors(path)
    if not isinstance(state, dict) or not lite0.recognises(state):
        raise InputError(f"{path.name}: expected EfficientNet-Lite0 weights; save other models with save_pretrained()")
    preset = (lite0.ARCHITECTURE, lite0.PREPROCESSING)
    if modality.MASKS:
        model, processor = _scenes().fcn_over(spec, *preset, labels)
        wrong = _scenes().take_lite0(model, state)
        made = _new_head(model, processor)
    else:
        note = "the head is new (classifier; the checkpoint's had 1,000 ImageNet classes)"
        made = Backbone(*timm_models.wrapped(spec, *preset, labels), (note,))
        weights = {key: value for key, value in lite0.renamed(state).items() if not key.startswith("classifier.")}
        missing, wrong = made.model.timm_model.load_state_dict(weights, strict=False)
        wrong += sorted(set(missing) ^ {"classifier.weight", "classifier.bias"})
    if wrong:
        raise InputError(f"{path.name}: these tensors do not fit {lite0.ARCHITECTURE}: {listed(wrong, 5)}")
    return made


def _check_image_size(spec: Model, model: Any) -> None:
    """Learned positions exist for one size only."""
    own = getattr(model.config, "image_size", None)
    learned = any("position_embeddings" in name for name, _ in model.named_parameters())
    if spec.image_size and own and spec.image_size not in (own, [own, own]) and learned:
        raise InputError(f"model.image_size is {spec.image_size}, but {spec.name} takes {own} only; leave the key out")


def _auto(modality: ModuleType) -> Any:
    if modality.MASKS:
        _scenes()  # transformers learns of hfft's FCN
    return getattr(transformers, modality.AUTO_CLASS)


def _scenes() -> ModuleType:
    """What models of masks need: timm, which other tasks may do without."""
    from hfft import scene_models

    return scene_models


def _processor(spec: Model, path: str, modality: ModuleType, config: Any, source: dict[str, Any]) -> Any:
    made = processors.make(spec, path, modality, config, source)
    return _scenes().fitted(spec, made) if modality.MASKS else made


def _names_of(config: Any) -> tuple[str, ...] | None:
    """The classes a checkpoint was trained for, or None when it only has placeholders."""
    names = tuple(str(config.id2label[index]) for index in sorted(config.id2label)) if config.id2label else ()
    return None if all(name == f"LABEL_{index}" for index, name in enumerate(names)) else names


def _check_config(spec: Model, config: Any) -> None:
    unknown = [key for key in spec.config if key not in config.to_dict()]
    if unknown:
        raise InputError(
            f"model.config: {config.model_type} has no {unknown[0]!r}; it has {listed(config.to_dict(), 60)}"
        )
