"""What keys of different sections must agree on, told before anything is read.

In: a recipe. Out: sentences, one for each mistake. It must not know modalities: a task's name says what its inputs are.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hfft.errors import InputError, listed
from hfft.schema import Recipe
from hfft.schema_augment import NOT_OF_SCENES, OF_PICTURES, OF_SCENES, OF_TEXTS
from hfft.schema_speed import AUTO

# The beginning of a task's name → what its rows are, and the keys of augment: that are for other rows.
KINDS = {"text_": ("texts", "pictures", OF_PICTURES), "image_": ("pictures", "texts", OF_TEXTS)}

# Keys of data: that say how a row has a class of its own.
OF_CLASSES = ("multi_label", "label_separator", "label_columns", "labels", "pixels", "shots", "class_text", "streaming")


def mistakes(recipe: Recipe) -> list[str]:
    """Sentences about keys that do not go together."""
    told = [*_of_augment(recipe), *_of_truncation(recipe), *_of_scenes(recipe), *_for_scenes(recipe)]
    return told + _of_precision(recipe) + _of_sizes(recipe)


def _of_scenes(recipe: Recipe) -> list[str]:
    """Keys that have no meaning where each pixel has a class."""
    if not recipe.masks:
        return []
    out = []
    wrong = recipe.augment.chosen((*NOT_OF_SCENES, *OF_TEXTS))
    if wrong:
        known = listed(("crop", "scale", "flip", "color_jitter"))
        verb = "does" if len(wrong) == 1 else "do"
        out.append(
            f"augment: {listed(wrong)} {verb} not move a mask along with its picture; leave it out, or use {known}"
        )
    given = [f"data.{key}" for key in OF_CLASSES if _set(recipe.data, key)]
    given += [f"model.{key}" for key in ("max_length", "pooling", "truncation") if _set(recipe.model, key)]
    given += [key for key in ("sampler", "decide") if _set(recipe, key)]
    out += [
        f"{key} is for rows of one class or one text each, and here each pixel has a class; leave it out"
        for key in given
    ]
    if recipe.model.stride is not None and not recipe.model.window:
        out.append("model.stride is the distance between windows; type model.window=true, or leave it out")
    return out


def _for_scenes(recipe: Recipe) -> list[str]:
    """Keys that have a meaning only there."""
    if recipe.masks:
        return []
    given = [f"model.{key}" for key in ("head", "window") if _set(recipe.model, key)]
    given += [f"data.{key}" for key in ("classes", "ignore", "colors") if _set(recipe.data, key)]
    given += [f"augment.{key}" for key in recipe.augment.chosen(OF_SCENES)]
    out = [f"{key} is for semantic_segmentation, and the task is {recipe.task}; leave it out" for key in given]
    if recipe.data.group_pattern is not None and recipe.task.startswith("text_"):
        out.append(
            "data.group_pattern finds groups in the names of picture files, and the rows are texts; leave it out"
        )
    if recipe.data.group_pattern is not None and recipe.data.streaming:
        out.append("data.group_pattern needs all file names at once; type data.streaming=false or leave it out")
    if isinstance(recipe.model.image_size, list):
        out.append(
            f"model.image_size: {recipe.task} takes square images; type one side, such as "
            f"model.image_size={max(recipe.model.image_size)}"
        )
    return out


def _set(section: Any, key: str) -> bool:
    """Whether a key of a section is other than its default."""
    entry = next(entry for entry in fields(section) if entry.name == key)
    default = entry.default_factory() if callable(entry.default_factory) else entry.default
    return bool(getattr(section, key) != default)


def _of_precision(recipe: Recipe) -> list[str]:
    halves = [key for key in ("bf16", "fp16") if recipe.train.get(key) is True]
    if len(halves) > 1:
        return ["train.bf16 and train.fp16 are two precisions; leave one of them out"]
    wanted = recipe.speed.precision
    if halves and wanted not in (AUTO, *halves):
        return [f"train.{halves[0]}: speed.precision is {wanted}, which is another precision; leave one of them out"]
    return []


def _of_sizes(recipe: Recipe) -> list[str]:
    """What asks for pictures of other sizes, or for keeping them, where there is none to do it with."""
    speed, classes, out = recipe.speed, recipe.task == "image_classification", []
    asked = {"image_sizes": speed.image_sizes is not None, "cache_images": speed.cache_images is True}
    if not classes:
        given = [f"speed.{key}" for key, there in asked.items() if there]
        return [f"{key} is for image_classification, and the task is {recipe.task}; leave it out" for key in given]
    if asked["cache_images"] and recipe.augment.crop is not None:
        out.append(
            "speed.cache_images: augment.crop cuts another part out of a picture each time; leave one of them out"
        )
    if asked["cache_images"] and recipe.data.streaming:
        out.append(
            "speed.cache_images: a stream has no rows to come back to; leave it out, or type data.streaming=false"
        )
    if asked["image_sizes"] and recipe.train.get("minutes"):
        out.append("speed.image_sizes: train.minutes may end before the full size is reached; leave one of them out")
    if asked["image_sizes"] and recipe.adapt.freeze == "backbone" and not recipe.adapt.unfreeze:
        out.append(
            "speed.image_sizes: with adapt.freeze=backbone each picture is seen once, at full size; leave it out"
        )
    return out


def _of_truncation(recipe: Recipe) -> list[str]:
    if recipe.model.truncation == "head":
        return []
    if recipe.task.startswith("image_"):
        return [f"model.truncation: {recipe.model.truncation} is for texts, and the rows are pictures; leave it out"]
    if recipe.model.truncation == "windows" and "text_pair" in recipe.data.columns:
        return ["model.truncation: windows are cut from one text, and the rows are pairs; type head, tail or head_tail"]
    return []


def _of_augment(recipe: Recipe) -> list[str]:
    out = []
    for prefix, (rows, others, keys) in KINDS.items():
        wrong = recipe.augment.chosen(keys)
        if recipe.task.startswith(prefix) and wrong:
            verb = "is" if len(wrong) == 1 else "are"
            out.append(f"augment: {listed(wrong)} {verb} for {others}, and the rows are {rows}; leave it out")
    if not recipe.augment.mixes or not recipe.task.startswith("image_"):
        return out
    mixing = listed(recipe.augment.chosen(("mixup", "cutmix")))
    if recipe.data.multi_label:
        out.append(f"augment: {mixing} mixes rows with one class each; with data.multi_label leave it out")
    if recipe.train.get("per_device_train_batch_size") in (1, "1"):
        out.append(
            f"augment: {mixing} mixes the rows of a batch, and train.per_device_train_batch_size is 1; type 2 or more"
        )
    return out


def of_rows(recipe: Recipe, verb: str) -> Recipe:
    """The same recipe. Raises InputError where it learns a class for each pixel, which the verb knows nothing about."""
    if recipe.masks:
        raise InputError(
            f"hfft {verb} is for rows that have a class, and {recipe.task} gives one to each pixel. For it there are "
            "hfft check, run, eval, compare, judge, probe, report, cv and tune"
        )
    return recipe
