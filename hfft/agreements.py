"""What keys of different sections must agree on, told before anything is read.

In: a recipe. Out: sentences, one for each mistake. It must not know modalities: a task's name says what its inputs are.
"""

from __future__ import annotations

from hfft.errors import InputError, listed
from hfft.schema import Recipe
from hfft.schema_augment import OF_PICTURES, OF_TEXTS

# The beginning of a task's name → what its rows are, and the keys of augment: that are for other rows.
KINDS = {"text_": ("texts", "pictures", OF_PICTURES), "image_": ("pictures", "texts", OF_TEXTS)}


def mistakes(recipe: Recipe) -> list[str]:
    """Sentences about keys that do not go together."""
    return [*_of_augment(recipe), *_of_truncation(recipe)]


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
