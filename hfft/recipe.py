"""Recipes: the only place where recipe YAML is read.

In: a recipe's name, path or run folder, and `section.key=value` words. Out: a frozen `Recipe`. Every mistake of a
file is reported in one message. Nothing here imports torch, transformers or datasets: `train:` keys are checked
against the installed `TrainingArguments` by reading its source.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from hfft import agreements, credentials, notation, perturbing, references, remedies, rooms, rules, trainer_options
from hfft.errors import InputError, brief, listed, meant
from hfft.records import PROBE
from hfft.schema import SECTIONS, Abstain, Data, Loss, Model, Probes, Recipe, Sampler, Split, Template
from hfft.schema_adapt import Adapt, Lora
from hfft.schema_augment import Augment
from hfft.schema_decide import ADJUSTED, ARGMAX, Decide
from hfft.schema_imbalance import SHORT
from hfft.schema_speed import Speed

__all__ = ["Abstain", "Augment", "Data", "Model", "Probes", "Recipe", "Split", "Template"]
__all__ += ["Adapt", "Lora", "Loss", "Sampler", "Speed"]
__all__ += ["build", "describe", "dump", "load", "locate", "shipped"]

# What a multi-label recipe means by keys that it leaves out; average precision, because it needs no threshold.
SEVERAL_LOSS = "binary_cross_entropy"
OF_MASKS = ("mean_iou", "mean_dice", "pixel_accuracy", "mean_accuracy")
SEVERAL_METRICS = ["accuracy", "precision", "recall", "f1", "average_precision"]
TWICE = (
    "decide.by: logit_adjustment corrects for the classes' shares in train, as this loss or sampler does already; "
    "leave one out, or type decide.by=logit_bias"
)
SEVERAL_DECIDED = (
    "decide: with data.multi_label each class has a threshold, tuned without being asked; leave decide out"
)
# key=value; a class name in brackets, such as gates.recall[v1.2], may hold the signs that part keys and values.
WORD = re.compile(r"((?:[^=\[]|\[[^\]]*\])*)=(.*)", re.DOTALL)
OUTSIDE_DOT = re.compile(r"\.(?![^\[]*\])")
TEMPLATE_AT = re.compile(r"probes\.templates\.(\d+)(\.?)")  # people count from 1
HOME = Path(__file__).parent
# A checkout keeps recipes/ beside hfft/; a wheel carries them inside the package.
SHIPPED = HOME / "recipes" if (HOME / "recipes").is_dir() else HOME.parent / "recipes"


def shipped() -> dict[str, Path]:
    """Recipe name → file, for the recipes that come with hfft."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def locate(name: str) -> tuple[str, Path]:
    """(recipe name, file) of a name, a path or a run folder."""
    path = Path(name)
    if references.is_file(path / "recipe.yaml"):
        return path.resolve().name, path / "recipe.yaml"
    if references.is_file(path):
        return path.stem, path
    known = shipped()
    if name in known:
        return name, known[name]
    if references.is_folder(path):
        raise InputError(f"{name} is a folder without recipe.yaml: expected a run folder, a recipe file or a name")
    beside = path.parent if references.is_folder(path.parent) else Path()
    here = [str(file) for ending in ("*.yaml", "*.yml") for file in beside.glob(ending)]
    close = meant(name, [*known, *here])
    raise InputError(f"no recipe {brief(name)}{close}: it is neither a file here nor one of {listed(known, limit=40)}")


def load(name: str, overrides: tuple[str, ...] | list[str] = ()) -> Recipe:
    """Read, override and check a recipe.

    name: a shipped name, a path to a YAML file, or a run folder. overrides: words such as
    "train.learning_rate=3e-5". Raises InputError that lists every mistake at once.
    """
    _, path = locate(name)
    tree = read_yaml(path)
    for word in sorted(overrides, key=lambda word: word.partition("=")[0] not in SHORT):
        _override(tree, word)  # a section's name first: it takes the place of what the file says, options go with it
    return build(tree, str(path), of_a_run=references.is_file(Path(name) / "recipe.yaml"))


def read_yaml(path: Path) -> dict[str, Any]:
    tree = notation.read(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a mapping with task, data and model, got {type(tree).__name__}")
    return tree


def build(tree: dict[str, Any], source: str = "recipe", of_a_run: bool = False) -> Recipe:
    """Check a plain mapping and freeze it; raises InputError naming every mistake.

    of_a_run: what a run was made with, and an older hfft let secrets in; they are masked, but no reason to refuse it.
    """
    tree = {key: value for key, value in tree.items() if value is not None}  # "train:" with nothing below it
    if isinstance(tree.get("gates"), dict):
        tree["gates"] = _flat(tree["gates"])
    if str(tree.get("task")).endswith("_segmentation"):
        tree.setdefault("metrics", list(OF_MASKS))
    mistakes: list[str] = []
    recipe = None
    try:
        recipe = _door().validate_python(tree)
    except ValidationError as error:
        mistakes += dict.fromkeys(_sentence(item) for item in error.errors(include_url=False))
    train = tree.get("train") or {}
    if isinstance(train, dict):
        checked, problems = trainer_options.check(train)
        mistakes += problems
    mistakes += rules.mistakes(tree.get("gates")) + ([] if of_a_run else _secrets(tree))
    metrics = tree.get("metrics")
    probes = tree["probes"].get("names") if isinstance(tree.get("probes"), dict) else None
    rooms_of = {
        "task": ("modalities", [tree.get("task")]),
        "loss": ("losses", [_name(tree.get("loss"))]),
        "sampler": ("samplers", [_name(tree.get("sampler"))]),
        "metrics": ("metrics", metrics if isinstance(metrics, list) else []),
        "probes.names": ("probes", probes if isinstance(probes, list) else []),
    }
    for key, (room, wanted) in rooms_of.items():
        for name in wanted:
            if isinstance(name, str) and name not in (known := rooms.names(room)):
                fit = _probes_of(tree.get("task")) if room == "probes" else []
                hint = f"{meant(name, fit or known)}; known: {listed(fit or known, limit=40)}"
                mistakes.append(f"{key}: no {brief(name)}{hint}")
    if recipe is not None and recipe.data.multi_label:
        recipe = _of_several(recipe, tree)
        if recipe.decide.by != ARGMAX:
            mistakes.append(SEVERAL_DECIDED)
    if recipe is not None:
        recipe, told = remedies.checked(recipe)
        mistakes += told + agreements.mistakes(recipe)
        mistakes += [TWICE] * (recipe.decide.by == ADJUSTED and remedies.balanced(recipe))
    if mistakes or recipe is None:
        raise InputError(f"{source}: " + ("" if len(mistakes) == 1 else "\n  ") + "\n  ".join(mistakes))
    return dataclasses.replace(recipe, train=checked)


def _secrets(tree: dict[str, Any]) -> list[str]:
    """What is said of secrets in the parts of a recipe that name where things lie."""
    found: list[str] = []
    for section, keys in {"data": ("path", "data_files", "options", "classes"), "model": ("name",)}.items():
        part = tree.get(section)
        if isinstance(part, dict):
            found += credentials.mistakes({key: part[key] for key in keys if key in part}, section)
    return found


def _probes_of(task: Any) -> list[str]:
    """Names of the probes for what the task is about; none for a task that is not known."""
    return perturbing.fitting(str(task).partition("_")[0]) if task in rooms.names("modalities") else []


def _flat(gates: dict[str, Any]) -> dict[str, Any]:
    """probe: {typos: {flip_rate: …}}, as words on the command line make it, as probe.typos.flip_rate: …"""
    out: dict[str, Any] = {}
    for key, rule in gates.items():
        inside = isinstance(rule, dict) and f"{key}.".startswith(PROBE)
        out |= _flat({f"{key}.{name}": part for name, part in rule.items()}) if inside else {key: rule}
    return out


def _of_several(recipe: Recipe, tree: dict[str, Any]) -> Recipe:
    """With the keys that a multi-label recipe leaves out."""
    if _name(tree.get("loss")) is None:
        recipe = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, name=SEVERAL_LOSS))
    return recipe if "metrics" in tree else dataclasses.replace(recipe, metrics=SEVERAL_METRICS)


def _name(section: Any) -> Any:
    """The name in a section that may be a name alone."""
    return section.get("name") if isinstance(section, dict) else section


@functools.cache
def _door() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML that `load` reads back to an equal `Recipe`."""
    tree = dataclasses.asdict(recipe)
    return notation.write(tree | {key: remedies.dumped(tree[key]) for key in SHORT})


def describe() -> list[tuple[str, str, str]]:
    """(key, default as YAML or "required", sentence) of every key of a recipe, in the order of the schema."""
    rows = []
    for prefix, section in SECTIONS.items():
        hints = get_type_hints(section, include_extras=True)
        for entry in dataclasses.fields(section):
            if prefix + entry.name + "." in SECTIONS:
                continue
            sentences = [
                note.description
                for note in getattr(hints[entry.name], "__metadata__", ())
                if getattr(note, "description", None)
            ]
            default = "required"
            if entry.default is not dataclasses.MISSING or entry.default_factory is not dataclasses.MISSING:
                value = entry.default_factory() if callable(entry.default_factory) else entry.default
                default = notation.write(value, flow=True)
            rows.append((prefix + entry.name, default, sentences[-1] if sentences else ""))
    return rows


def _override(tree: dict[str, Any], word: str) -> None:
    found = WORD.fullmatch(word)
    parts = OUTSIDE_DOT.split(found[1]) if found else []
    if not found or not all(parts):
        raise InputError(f"{word!r}: expected section.key=value, such as train.learning_rate=3e-5")
    (*sections, last), text = parts, found[2]
    at = tree
    if sections and sections[0] in SHORT and isinstance(tree.get(sections[0]), str):
        tree[sections[0]] = {"name": tree[sections[0]]}
    for section in sections:
        if at.get(section) is None:  # not there, or null as a resolved recipe has it
            at[section] = {}
        at = at[section]
        if not isinstance(at, dict):
            raise InputError(f"{word!r}: {section} is a value, not a section")
    try:
        at[last] = notation.parse(text)
    except InputError:  # as in gates.f1_macro=>=0.7
        at[last] = text


def _section(path: list[str]) -> type[Any]:
    """The section that a path of keys ends in."""
    sections = {"data": Data, "model": Model, "split": Split, "augment": Augment, "abstain": Abstain}
    sections |= {"probes": Probes, "templates": Template, "decide": Decide, "loss": Loss, "sampler": Sampler}
    sections |= {"adapt": Adapt, "lora": Lora, "speed": Speed}
    found: type[Any] = Recipe
    for part in path:
        found = sections.get(part, found)
    return found


def _sentence(item: Any) -> str:
    """One pydantic error as a sentence with the key's path, what came and what was expected."""
    path = [str(part) for part in item["loc"] if not str(part).startswith(("dict[", "list["))]
    key = TEMPLATE_AT.sub(lambda at: f"probes.templates, number {int(at[1]) + 1}{', ' * bool(at[2])}", ".".join(path))
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = [entry.name for entry in dataclasses.fields(_section(path[:-1]))]
        return f"{key}: unknown key{meant(path[-1], known)}; known here: {listed(known, limit=40)}"
    if item["type"] in ("missing", "missing_argument"):
        hint = "; such as imagefolder for folders, csv, json or parquet for tables" if key == "data.path" else ""
        return f"{key}: is missing{hint}"
    came = item.get("input")
    told = "ArgsKwargs" in type(came).__name__ or (isinstance(came, str) and brief(came) in item["msg"])
    shown = "" if told or (isinstance(came, dict) and item["type"] == "value_error") else f", got {brief(came)}"
    if key.startswith("data.data_files"):  # a union: pydantic reports every form it could have had
        return "data.data_files: expected a file, a list of files, or {train: FILE, validation: FILE, test: FILE}"
    if key.startswith("data.classes"):
        return "data.classes: expected names, such as [road, car], {0: road, 1: car}, or the name of a JSON file"
    text = item["msg"].removeprefix("Value error, ")
    if item["type"] == "dataclass_type":
        known = [entry.name for entry in dataclasses.fields(_section(path))]
        text = f"expected a section of keys, such as {key}.{known[0]}; known here: {listed(known, limit=40)}"
    return f"{key or 'recipe'}: {text[0].lower()}{text[1:]}{shown}"
