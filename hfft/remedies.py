"""What a recipe says about unequal classes, checked as soon as it is read, with defaults filled in.

In: a recipe. Out: the same with every option that its loss and sampler take, and a sentence for each mistake. Rooms are
read as source, not imported: losses need torch.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hfft import rooms
from hfft.errors import listed
from hfft.schema import Loss, Recipe, Sampler

BETA = 0.999
AREAS = "dice"  # the loss by areas of classes, and the end of the names of those that hold it


def checked(recipe: Recipe) -> tuple[Recipe, list[str]]:
    """(recipe with defaults filled in, mistakes). Names that no room has are told elsewhere."""
    loss, told = _loss(recipe.loss, recipe.data.multi_label, recipe.masks)
    names = rooms.names("samplers")
    mistakes = told + _unused("sampler", recipe.sampler, "samplers", names, "draw", ("threshold",))
    if recipe.sampler.name and recipe.data.streaming:
        mistakes.append(
            f"sampler: {recipe.sampler.name} needs all rows at once, and data.streaming reads them as they come; "
            "leave one out"
        )
    return dataclasses.replace(recipe, loss=loss), mistakes


def notes(recipe: Recipe) -> list[str]:
    """What two remedies do together."""
    chosen = [f"loss.weights: {_shown(recipe.loss.weights)}"] if recipe.loss.weights else []
    chosen += [f"loss: {recipe.loss.name}"] if recipe.loss.name.endswith("logit_adjusted") else []
    chosen += [f"sampler: {recipe.sampler.name}"] if recipe.sampler.name else []
    if len(chosen) < 2:
        return []
    *first, last = chosen
    return [f"{', '.join(first)} and {last} each correct for unequal classes: together they correct twice"]


def balanced(recipe: Recipe) -> bool:
    """Whether training corrects for unequal classes, so that probabilities are no longer about the rows as they are."""
    return bool(recipe.loss.weights or recipe.loss.name.endswith(("logit_adjusted", AREAS)) or recipe.sampler.name)


def dumped(section: dict[str, Any]) -> Any:
    """A section of which only the name is set, as that name."""
    return section["name"] if all(value is None for key, value in section.items() if key != "name") else section


def _loss(loss: Loss, several: bool, masks: bool) -> tuple[Loss, list[str]]:
    names = [name for name in rooms.names("losses") if name.startswith("binary_") == several]
    names = [name for name in names if masks or not name.endswith(AREAS)]
    mistakes = _unused("loss", loss, "losses", names, "rows", ("gamma", "tau"))
    if loss.beta is not None and loss.weights != "effective_number":
        mistakes.append("loss.beta: only loss.weights=effective_number uses it; leave it out")
    if loss.name == AREAS and loss.weights:
        mistakes.append(
            f"loss.weights: {AREAS} counts all classes alike already; leave it out, or type loss=cross_entropy_dice, "
            "whose cross-entropy is weighed"
        )
    if mistakes or loss.name not in rooms.names("losses"):
        return loss, mistakes
    takes = rooms.options("losses", loss.name, "rows")
    filled: dict[str, Any] = {
        key: takes[key] for key in ("gamma", "tau") if key in takes and getattr(loss, key) is None
    }
    if loss.weights == "effective_number" and loss.beta is None:
        filled["beta"] = BETA
    return dataclasses.replace(loss, **filled), []


def _unused(
    section: str, given: Loss | Sampler, room: str, fitting: list[str], function: str, keys: tuple[str, ...]
) -> list[str]:
    """A sentence for each option that the room's function does not take. fitting: names to type instead."""
    known = rooms.names(room)
    if given.name is not None and given.name not in known:
        return []
    takes = {name: rooms.options(room, name, function) for name in known}
    return [
        f"{section}.{key}: {f'{given.name} does not use it' if given.name else 'there is no sampler to use it'}; "
        f"{section}={listed([name for name in fitting if key in takes[name]])} would"
        for key in keys
        if getattr(given, key) is not None and (given.name is None or key not in takes[given.name])
    ]


def _shown(weights: Any) -> str:
    return weights if isinstance(weights, str) else "by class"
