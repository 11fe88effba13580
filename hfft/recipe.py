"""Recipes: the only place where recipe YAML is read.

In: a recipe's name, path or run folder, and `section.key=value` words. Out: a frozen `Recipe`. Every mistake of a
file is reported in one message. Nothing here imports torch, transformers or datasets: `train:` keys are checked
against the installed `TrainingArguments` by reading its source.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from hfft import rooms, trainer_options
from hfft.errors import InputError, listed, meant
from hfft.schema import SECTIONS, Augment, Data, Model, Recipe, Split

__all__ = ["Augment", "Data", "Model", "Recipe", "Split", "build", "describe", "dump", "load", "locate", "shipped"]

HOME = Path(__file__).parent
# A checkout keeps recipes/ beside hfft/; a wheel carries them inside the package.
SHIPPED = HOME / "recipes" if (HOME / "recipes").is_dir() else HOME.parent / "recipes"


def shipped() -> dict[str, Path]:
    """Recipe name → file, for the recipes that come with hfft."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def locate(name: str) -> tuple[str, Path]:
    """(recipe name, file) of a name, a path or a run folder."""
    path = Path(name)
    if path.is_dir() and (path / "recipe.yaml").is_file():
        return path.resolve().name, path / "recipe.yaml"
    if path.is_file():
        return path.stem, path
    known = shipped()
    if name in known:
        return name, known[name]
    if path.is_dir():
        raise InputError(f"{name} is a folder without recipe.yaml: expected a run folder, a recipe file or a name")
    raise InputError(
        f"no recipe {name!r}{meant(name, known)}: it is neither a file here nor one of {listed(known, limit=40)}"
    )


def load(name: str, overrides: tuple[str, ...] | list[str] = ()) -> Recipe:
    """Read, override and check a recipe.

    name: a shipped name, a path to a YAML file, or a run folder. overrides: words such as
    "train.learning_rate=3e-5". Raises InputError that lists every mistake at once.
    """
    _, path = locate(name)
    tree = read_yaml(path)
    for word in overrides:
        _override(tree, word)
    return build(tree, str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2024-13-45
        where = getattr(error, "problem_mark", None)
        place = f" at line {where.line + 1}, column {where.column + 1}" if where else ""
        raise InputError(f"{path} is not readable as YAML{place}: {getattr(error, 'problem', error)}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a mapping with task, data and model, got {type(tree).__name__}")
    return tree


def build(tree: dict[str, Any], source: str = "recipe") -> Recipe:
    """Check a plain mapping and freeze it; raises InputError naming every mistake."""
    tree = {key: value for key, value in tree.items() if value is not None}  # "train:" with nothing below it
    mistakes = []
    recipe = None
    try:
        recipe = _door().validate_python(tree)
    except ValidationError as error:
        mistakes += [_sentence(item) for item in error.errors(include_url=False)]
    train = tree.get("train") or {}
    if isinstance(train, dict):
        checked, problems = trainer_options.check(train)
        mistakes += problems
    metrics = tree.get("metrics")
    rooms_of = {
        "task": ("modalities", [tree.get("task")]),
        "loss": ("losses", [tree.get("loss")]),
        "metrics": ("metrics", metrics if isinstance(metrics, list) else []),
    }
    for key, (room, wanted) in rooms_of.items():
        for name in wanted:
            if isinstance(name, str) and name not in (known := rooms.names(room)):
                mistakes.append(f"{key}: no {name!r}{meant(name, known)}; known: {listed(known, limit=40)}")
    if mistakes or recipe is None:
        raise InputError(f"{source}: " + ("" if len(mistakes) == 1 else "\n  ") + "\n  ".join(mistakes))
    return dataclasses.replace(recipe, train=checked)


@functools.cache
def _door() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML that `load` reads back to an equal `Recipe`."""
    return yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False, allow_unicode=True)


def describe() -> list[tuple[str, str, str]]:
    """(key, default as YAML or "required", sentence) of every key of a recipe, in the order of the schema."""
    rows = []
    for prefix, section in SECTIONS.items():
        hints = get_type_hints(section, include_extras=True)
        for entry in dataclasses.fields(section):
            sentences = [
                note.description for note in getattr(hints[entry.name], "__metadata__", ()) if note.description
            ]
            if prefix + entry.name + "." in SECTIONS:
                continue
            default = "required"
            if entry.default is not dataclasses.MISSING or entry.default_factory is not dataclasses.MISSING:
                value = entry.default_factory() if callable(entry.default_factory) else entry.default
                default = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
            rows.append((prefix + entry.name, default, sentences[-1] if sentences else ""))
    return rows


def _override(tree: dict[str, Any], word: str) -> None:
    key, sign, text = word.partition("=")
    if not sign or not key:
        raise InputError(f"{word!r}: expected section.key=value, such as train.learning_rate=3e-5")
    *sections, last = key.split(".")
    at = tree
    for section in sections:
        at = at.setdefault(section, {})
        if not isinstance(at, dict):
            raise InputError(f"{word!r}: {section} is a value, not a section")
    try:
        at[last] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        at[last] = text


def _sentence(item: Any) -> str:
    """One pydantic error as a sentence with the key's path, what came and what was expected."""
    path = [str(part) for part in item["loc"] if not str(part).startswith(("dict[", "list["))]
    key = ".".join(path)
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        section: type[Any] = Recipe
        for part in path[:-1]:
            section = {"data": Data, "model": Model, "split": Split, "augment": Augment}.get(part, section)
        known = [entry.name for entry in dataclasses.fields(section)]
        return f"{key}: unknown key{meant(path[-1], known)}; known here: {listed(known, limit=40)}"
    if item["type"] in ("missing", "missing_argument"):
        return f"{key}: is missing"
    came = item.get("input")
    shown = "" if isinstance(came, (dict, list)) or "ArgsKwargs" in type(came).__name__ else f", got {came!r}"
    text = item["msg"].removeprefix("Value error, ")
    return f"{key or 'recipe'}: {text[0].lower()}{text[1:]}{shown}"
