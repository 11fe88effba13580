"""A folder that the Hub can run as a page to try a model: app.py, requirements.txt, README.md and what they read.

In: a finished run; the id of the pushed model, or None to put the model's own files in. Out: files in a folder. The
page does without hfft: files of hfft that need nothing else of it are copied beside app.py. It must not know the Hub.
Rows of the data are put in only where they are handed over: a Space is public by default.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from hfft import (
    answer_rows,
    calibrating,
    card_front,
    demo_facts,
    mask_records,
    pages,
    palette,
    public_files,
    recipe,
    references,
    reporting,
    shipping_facts,
)
from hfft.errors import InputError, listed
from hfft.recipe import Recipe
from hfft.records import VALIDATION, read_json
from hfft.run_folder import RunFolder

# What the page was tried with; what is installed counts where it is.
TESTED = {"gradio": "6.31.0", "transformers": "5.23.0", "torch": "2.14.1", "torchvision": "0.29.1", "timm": "1.0.31"}
TESTED |= {"numpy": "2.4.6", "pillow": "12.3.0"}
PYTHON = "3.11"
WRITTEN = ("app.py", "requirements.txt", "README.md")  # from templates
BESIDE = ("calibration.json", "decision.json", "thresholds.json")  # small, and read by app.py wherever the model is
READERS = {"hfft_fcn": "fcn"}  # kinds of model that plain transformers does not know → file of hfft that tells it
HOUSE = Path(__file__).parent


def write(
    run: RunFolder,
    folder: Path,
    model_id: str | None,
    examples: Sequence[Sequence[str]] = (),
    licence: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the Space of a run into a folder that is new or empty: {"space", "files", "bytes", "model", "examples"}.

    model_id: of the pushed model on the Hub; None: the model's files come along. examples: texts, pairs of texts or
    files of pictures, which the Space publishes. licence: default that of the model's card, if it names one. overwrite:
    a Space that hfft wrote is written anew; what else lies beside it stays. Raises InputError as `check` does, and for
    a folder in use.
    """
    check(run)
    stale = _own(folder, overwrite)
    wanted = recipe.load(str(run.root))
    facts = _facts(run, wanted, model_id, licence)
    for name in stale:
        (folder / name).unlink()
    with _whole_or_none(folder):
        return _written(run, folder, wanted, model_id, examples, facts)


@contextlib.contextmanager
def _whole_or_none(folder: Path) -> Iterator[None]:
    """A folder that was new or empty is so again where it could not be finished: half a Space is no Space of hfft's."""
    fresh = not folder.exists() or not any(folder.iterdir())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _written(
    run: RunFolder,
    folder: Path,
    wanted: Recipe,
    model_id: str | None,
    examples: Sequence[Sequence[str]],
    facts: dict[str, Any],
) -> dict[str, Any]:
    facts["examples"] = _examples(folder, wanted, examples)
    for name in WRITTEN:
        text = pages.template(f"space/{name}.j2", FILTERS).render(**facts)
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    sources = {name: run.model / name for name in BESIDE if (run.model / name).is_file()}
    sources |= {name: HOUSE / name for name in facts["helpers"]}
    if model_id is None:
        (folder / "model").mkdir(exist_ok=True)
        held = [path for path in sorted(run.model.iterdir()) if public_files.ALLOWED.fullmatch(path.name)]
        sources |= {f"model/{path.name}": path for path in held}
    for name, source in sources.items():
        shutil.copyfile(source, folder / name)
    files = sorted([*WRITTEN, *sources, *(facts["examples"] if facts["pictured"] else [])])
    public_files.manifest(run, folder, files, {name: references.sha256(folder / name) for name in files})
    size = sum((folder / name).stat().st_size for name in files)
    told = {"space": str(folder), "files": sorted([*files, public_files.MANIFEST]), "bytes": size, "model": model_id}
    return told | {"examples": len(examples)}


def _own(folder: Path, overwrite: bool) -> list[str]:
    """Files of a Space that hfft wrote into a folder earlier, to be written anew; none in a new or empty one.

    Raises InputError for anything else that lies there, and where that was not asked for.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return []
    mark = folder / public_files.MANIFEST
    tree = read_json(mark) if folder.is_dir() and mark.is_file() else None
    digests = tree.get("files") if isinstance(tree, dict) else None
    if not isinstance(digests, dict) or "app.py" not in digests:
        raise InputError(
            f"{folder} exists and is no Space that hfft wrote: nothing in it is overwritten; type another name"
        )
    there = [name for name in public_files.listing(folder) if name in digests]
    if not overwrite:
        changed = [name for name in there if references.sha256(folder / name) != digests[name]]
        lost = f", which loses your changes to {listed(changed)}" if changed else ""
        raise InputError(f"{folder} holds a Space already; type --overwrite to write it anew{lost}, or another name")
    return there


def check(run: RunFolder) -> None:
    """Raise InputError where no Space can be made of a run, before anything is written or sent.

    Several models at once, a run that is not finished, files beside the model that do not fit it.
    """
    if run.members:
        raise InputError(
            f"{run.root} holds several models, and a Space has one; type one of them: {run.members[0].root}"
        )
    RunFolder.existing(run.root)
    held = run.predictions(VALIDATION)
    if not held.is_file():
        raise InputError(
            f"{held} is missing, so this run is not finished; type hfft run {run.root} --resume, then ask again"
        )
    wanted, names = recipe.load(str(run.root)), mask_records.read(held).names
    if wanted.model.trust_remote_code:
        raise InputError(
            f"{run.root}: its model runs Python code of its own (model.trust_remote_code), which no Space gets"
        )
    config = read_json(run.model / "config.json")
    ids = config.get("id2label") or {}  # left out where classes have no names; models of timm have a list instead
    own = tuple(str(ids[key]) for key in sorted(ids, key=int)) or tuple(config.get("label_names") or names)
    if set(own) != set(names):
        raise InputError(
            f"{run.model / 'config.json'} names other classes ({listed(own)}) than {held} ({listed(names)}): put the "
            "model back that this run trained, or train it again"
        )
    if not wanted.masks:
        answer_rows.read(run, wanted, own, wanted.data.multi_label)


def _facts(run: RunFolder, wanted: Recipe, model_id: str | None, licence: str | None) -> dict[str, Any]:
    config, stored = read_json(run.model / "config.json"), calibrating.stored(run)
    about = demo_facts.about(run, wanted)
    names = mask_records.read(run.predictions(VALIDATION)).names
    reader, pictured = READERS.get(config.get("model_type")), wanted.task != "text_classification"
    withheld = demo_facts.withheld(stored)
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette.colours(names)]
    return {
        "name": about["name"],
        "about": " ".join(filter(None, [about["what"], about["score"], *about["openings"][:1], withheld])),
        "front": yaml.safe_dump(_front(run, about["name"], model_id, licence), sort_keys=False, allow_unicode=True),
        "model_id": model_id,
        "masks": wanted.masks,
        "pictured": pictured,
        "pair": "text_pair" in (wanted.data.columns or {}),
        "several": wanted.data.multi_label,
        "reader": reader,
        "helpers": [f"{name}.py" for name in ([reader] if reader else []) + (["flattening"] if pictured else [])],
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
    kinds = [part.get("model_type") for part in (config, config.get("backbone_config") or {})]
    if any("timm" in str(kind) or kind in READERS for kind in kinds):
        wants += ["timm"]
    return [f"{name}=={_version(name)}" for name in wants]


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


FILTERS = {"py": repr, "md": reporting.FILTERS["md"]}
