"""A folder that the Hub can run as a page to try a model: app.py, requirements.txt, README.md and what they read.

In: a finished run; the id of the pushed model, or None to put the model's own files in. Out: files in a new folder.
It must not know the Hub. Rows of the data are put in only where they are handed over: a Space is public by default.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hfft import calibrating, card_front, demo_facts, mask_records, pages, palette, recipe, reporting, shipping_facts
from hfft.errors import InputError
from hfft.recipe import Recipe
from hfft.records import read_json
from hfft.run_folder import RunFolder

# What the page was tried with; what is installed counts where it is.
TESTED = {"gradio": "6.31.0", "transformers": "5.23.0", "torch": "2.14.1", "torchvision": "0.29.1", "timm": "1.0.31"}
TESTED |= {"numpy": "2.4.6", "pillow": "12.3.0", "hfft": "0.1.0"}
PYTHON = "3.11"
BESIDE = ("calibration.json", "decision.json", "thresholds.json")  # small, and read by app.py wherever the model is
CARRIED = (".json", ".safetensors", ".txt", ".model", ".jinja")  # of model/; never training_args.bin
READERS = {"hfft_fcn": "hfft.fcn"}  # kinds of model that plain transformers does not know


def write(
    run: RunFolder,
    folder: Path,
    model_id: str | None,
    examples: Sequence[Sequence[str]] = (),
    licence: str | None = None,
) -> dict[str, Any]:
    """Write the Space of a run into a folder that is new or empty: {"space", "files", "model", "examples"}.

    model_id: of the pushed model on the Hub; None: the model's files come along. examples: texts, pairs of texts or
    files of pictures, which the Space publishes. licence: default that of the model's card, if it names one. Raises
    InputError for several models at once, or a folder in use.
    """
    if run.members:
        raise InputError(
            f"{run.root} holds several models, and a Space has one; type one of them: {run.members[0].root}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; nothing in it is overwritten: type another name")
    wanted = recipe.load(str(run.root))
    facts = _facts(run, wanted, model_id, licence)
    folder.mkdir(parents=True, exist_ok=True)
    facts["examples"] = _examples(folder, wanted, examples)
    for name in ("app.py", "requirements.txt", "README.md"):
        text = pages.template(f"space/{name}.j2", FILTERS).render(**facts)
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    kept = [name for name in BESIDE if (run.model / name).is_file()]
    for name in kept:
        shutil.copyfile(run.model / name, folder / name)
    if model_id is None:
        _carry(run, folder / "model")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {"space": str(folder), "files": files, "model": model_id, "examples": len(examples)}


def _facts(run: RunFolder, wanted: Recipe, model_id: str | None, licence: str | None) -> dict[str, Any]:
    config, stored = read_json(run.model / "config.json"), calibrating.stored(run)
    about = demo_facts.about(run, wanted)
    names = mask_records.read(run.predictions("validation")).names
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette.colours(names)]
    return {
        "name": about["name"],
        "about": " ".join([about["what"], about["score"], *about["openings"][:1]]),
        "front": yaml.safe_dump(_front(run, about["name"], model_id, licence), sort_keys=False, allow_unicode=True),
        "model_id": model_id,
        "masks": wanted.masks,
        "pictured": wanted.task != "text_classification",
        "pair": "text_pair" in (wanted.data.columns or {}),
        "several": wanted.data.multi_label,
        "reader": READERS.get(config.get("model_type")),
        "limit": shipping_facts.longest(run, wanted.model.max_length),
        "limits": _limits(wanted),
        "unsure": demo_facts.unsure(stored),
        "promise": demo_facts.promise(stored),
        "colours": dict(zip(names, colours, strict=True)),
        "requirements": _requirements(config, wanted),
    }


def _front(run: RunFolder, name: str, model_id: str | None, licence: str | None) -> dict[str, Any]:
    """What the Hub reads of a Space. A licence only where one is given, or the model's card names one."""
    front: dict[str, Any] = {"title": name, "emoji": "🔎", "colorFrom": "blue", "colorTo": "gray", "sdk": "gradio"}
    front |= {"sdk_version": _version("gradio"), "python_version": PYTHON, "app_file": "app.py", "tags": ["hfft"]}
    if model_id:
        front["models"] = [model_id]
    card = run.model / "README.md"
    told = card_front.read(card.read_text(encoding="utf-8")).get("license") if card.is_file() else None
    return front | ({"license": licence or told} if licence or told else {})


def _limits(wanted: Recipe) -> list[str]:
    """Where `pipeline` does not read an input as the run does."""
    if wanted.model.window:
        return ["The run reads large pictures in windows; this page makes them smaller, so its answers differ."]
    if wanted.model.truncation not in ("head", None):
        return [
            f"The run reads long texts by `{wanted.model.truncation}`; this page reads their beginning, so its answers "
            "to them differ."
        ]
    return []


def _requirements(config: dict[str, Any], wanted: Recipe) -> list[str]:
    wants = ["gradio", "transformers", "torch", "numpy", "pillow"]
    pictured = wanted.task != "text_classification"
    if pictured:
        wants += ["torchvision"]
    if "timm" in str(config.get("model_type")):
        wants += ["timm"]
    lines = [f"{name}=={_version(name)}" for name in wants]
    if config.get("model_type") in READERS:
        lines += ["# This kind of model is read by hfft, which brings timm along.", f"hfft=={_version('hfft')}"]
    return lines


def _version(name: str) -> str:
    """Of what is installed, without what a wheel's builder added ("+cpu"); else what was tested."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return TESTED[name]


def _examples(folder: Path, wanted: Recipe, examples: Sequence[Sequence[str]]) -> list[Any]:
    """The examples as app.py names them; pictures are copied."""
    if wanted.task == "text_classification":
        return [list(texts) for texts in examples]
    found = []
    for number, (source,) in enumerate(examples):
        found.append(f"example-{number}{Path(source).suffix}")
        shutil.copyfile(source, folder / found[-1])
    return found


def _carry(run: RunFolder, target: Path) -> None:
    target.mkdir()
    for path in sorted(run.model.iterdir()):
        if path.is_file() and path.suffix in CARRIED:
            shutil.copyfile(path, target / path.name)


FILTERS = {"py": repr, "md": reporting.FILTERS["md"]}
