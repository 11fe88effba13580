"""The Space folder: its page answers as the demo does, runs with what its requirements name, and publishes no rows."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import torch
import yaml
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import hfft as package
from hfft import backbones, biasing, calibrating, flattening, recipe, rooms, space_folder, thresholds, trying
from hfft.errors import InputError
from hfft.records import FOLDS, Predictions, write_json
from hfft.run_folder import RunFolder
from tests import scene_models, sites
from tests.command import hfft
from tests.test_reporting import DIGITS, build

TEXTS = ("the flight was late", "thank you so much " * 60, "<b>?</b>")
WORDS = ("negative", "neutral", "positive")
PAIR = "data.columns={text: a, text_pair: b, label: c}"
ABSTAIN = "abstain.max_error=0.3"
# kind → recipe, words, classes
KINDS = {
    "textcls": ("tiny_textcls", ("decide={by: logit_adjustment, tau: 2.0}", ABSTAIN), WORDS),
    "pair": ("tiny_textcls", (PAIR, "abstain.max_error=0.0001"), WORDS),
    "several": ("tiny_textcls", ("data.multi_label=true", "decide={by: argmax}"), WORDS),
    "imgcls": ("tiny_imgcls", (), DIGITS),
    "fcn": ("tiny_semseg", (), DIGITS),
    "segformer": ("tiny_semseg", (), DIGITS),
    "upernet": ("tiny_semseg", (), DIGITS),
}
# What the page of a Space is served by, in a process that has the Space's requirements and nothing else.
SERVE = """
import importlib.util, json, runpy, socket, sys
found = {}
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    page = runpy.run_path(folder + "/app.py")["page"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found[folder] = page.launch(server_port=port, prevent_thread_lock=True, quiet=True)[1]
    sys.path.remove(folder)
away = [name for name in ("hfft", "datasets", "sklearn", "pytest") if importlib.util.find_spec(name) is not None]
print(json.dumps([found, away]), flush=True)
sys.stdin.read()  # until it is closed
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """Runs with random models, which nobody trained, and made-up predictions to calibrate them on."""
    root = tmp_path_factory.mktemp("runs")
    return {kind: _run(root / kind, kind, *KINDS[kind]) for kind in KINDS}


def _run(root: Path, kind: str, name: str, words: tuple[str, ...], classes: tuple[str, ...]) -> RunFolder:
    wanted = recipe.load(name, words)
    run = build(root, classes, 600, 0.9, "text" if classes == WORDS else "image", tested=False)
    if kind in ("segformer", "upernet"):
        base = getattr(scene_models, kind)(root / "base", classes)
        wanted = recipe.load(name, (f"model={{name: {base}}}",))
    (root / "recipe.yaml").write_text(recipe.dump(wanted))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modality = rooms.find("modalities", wanted.task)
        made = backbones.load(wanted.model, modality, classes, several=wanted.data.multi_label)
    _telling(made, wanted.task, root)
    made.model.save_pretrained(run.model)
    if kind != "imgcls":
        made.processor.save_pretrained(run.model)
    if kind == "textcls":  # and another one is answered
        biasing.write(run.decision, classes, np.array([0.0, 2.0, 0.0]), {"threshold": None}, [1, 1, 1])
    if wanted.data.multi_label:
        held = Predictions.read(run.predictions("validation"))
        applies = np.eye(3, dtype=bool)[held.labels]
        held = dataclasses.replace(held, labels=applies, predicted=held.scores >= 0.4)
        held.write(run.predictions("validation"))
        thresholds.write(run.thresholds, np.array([0.4, 0.6, 0.3]), held)
    if not wanted.masks:
        calibrating.settled(run, wanted.abstain)
    return run


def _telling(made: backbones.Backbone, task: str, place: Path) -> None:
    """Random weights answer the same to everything; these do not, and of texts the first class is the likeliest."""
    model = made.model.eval()
    if task == "semantic_segmentation":
        for parameter in model.parameters():
            parameter.data *= 3
        return
    texts = task == "text_classification"
    if texts:
        given = made.processor(list(TEXTS), padding=True, truncation=True, max_length=32, return_tensors="pt")
    else:
        files = pictures(place).values()
        given = made.processor([flattening.upright(Image.open(path)) for path in files], return_tensors="pt")
    head = model.classifier if texts else model.timm_model.get_classifier()
    with torch.no_grad():
        logits = model(**given).logits
        head.weight *= (0.2 if texts else 2.0) / logits.std(0).mean()
        head.bias -= head.bias + (model(**given).logits - head.bias).mean(0)
        head.bias[0] += float(texts)


@pytest.fixture(scope="module")
def spaces(runs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Client]]:
    """The Spaces of all runs, served by one fresh process that hfft cannot be imported in, as gradio's own clients."""
    root = tmp_path_factory.mktemp("spaces")
    folders = {kind: root / kind for kind in runs}
    for kind, folder in folders.items():
        assert hfft("demo", str(runs[kind].root), "--space", str(folder)) == 0
    lines = {line for folder in folders.values() for line in sites.read(folder / "requirements.txt")}
    place = sites.made(root / "site", lines)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    environment |= {"PYTHONPATH": str(place), "OMP_NUM_THREADS": "1", "GRADIO_TEMP_DIR": str(root / "brought")}
    command = sites.command("-c", SERVE, *map(str, folders.values()))
    with (root / "errors").open("w") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=root, env=environment
        )
    try:
        line = process.stdout.readline()
        assert line, (root / "errors").read_text()[-3000:]
        served, away = json.loads(line)
        assert away == [], "what a Space has not asked for"
        quiet = {"verbose": False, "analytics_enabled": False, "download_files": str(root / "got")}
        yield {kind: Client(served[str(folder)], **quiet) for kind, folder in folders.items()}
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(30)
        process.stdout.close()


def asked(space: Client, *inputs: Any) -> Any:
    return space.predict(*inputs, api_name="/answer")


def test_its_texts_are_answered_as_on_the_page(runs, spaces) -> None:
    trial, verdicts, seen = trying.load(str(runs["textcls"].root)), set(), []
    for text in TEXTS:
        told, bars, shares = asked(spaces["textcls"], text)
        (own,) = trial.ask([text])
        assert shares == pytest.approx(own.probabilities, abs=1e-4)
        first = next(iter(own.probabilities))
        assert told.startswith(f"**{first}**" if own.sure else f"**Not sure:** best guess **{first}**")
        assert f"Set of classes: {', '.join(sorted(own.set, key=lambda name: -shares[name]))}." in told
        verdicts.add(first)
        seen.append(shares["negative"])
        assert max(shares, key=shares.get) == "negative"
        assert re.findall(r"([\d.]+) %<", bars) == [f"{100 * share:.1f}" for share in sorted(shares.values())[::-1]]
    assert verdicts == {"neutral"}, "the bias decides"
    assert np.diff(sorted(seen)).min() > 1e-3, "texts make a difference"
    with pytest.raises(AppError, match="Type a text first"):
        asked(spaces["textcls"], " ")


def test_its_pairs_are_answered_as_by_predict(runs, spaces) -> None:
    pairs = [("the flight was late", "it was cancelled " * 40), ("a " * 90, "b")]
    for pair, wanted in zip(pairs, package.load(runs["pair"].root).predict(pairs), strict=True):
        told, _, shares = asked(spaces["pair"], *pair)
        assert shares == pytest.approx(wanted, abs=1e-4)
        assert (
            told.startswith(f"**Not sure:** best guess **{next(iter(wanted))}**") and "no answer is called sure" in told
        )
    about = spaces["pair"].config["components"]
    assert "it would call 0 (0.0 %) sure" in json.dumps(about) and str(runs["pair"].root) not in json.dumps(about)
    with pytest.raises(AppError, match="Type both texts first"):
        asked(spaces["pair"], "one", "")


def test_its_several_classes_are_those_of_predict(runs, spaces) -> None:
    trial, said = trying.load(str(runs["several"].root)), set()
    for text in TEXTS:
        told, _, shares = asked(spaces["several"], text)
        (own,) = trial.ask([text])
        assert shares == pytest.approx(own.probabilities, abs=1e-4)
        assert told == ("**" + ", ".join(own.prediction) + "**" if own.prediction else "No class applies.")
        said.add(own.prediction)
    assert any(len(found) > 1 for found in said)


def pictures(folder: Path) -> dict[str, Path]:
    """Files of every kind that people bring: with transparency, with a palette, in 16 bits, held sideways."""
    draws = np.random.default_rng(0).integers(0, 256, (61, 40, 4), dtype=np.uint8)
    grey, colour = Image.fromarray(draws[..., 0]), Image.fromarray(draws[..., :3])
    made = {"rgb": colour, "grey": grey, "alpha": Image.fromarray(draws), "palette": colour.quantize(8)}
    made |= {
        "grey_alpha": Image.fromarray(draws[..., :2], "LA"),
        "wide": Image.fromarray(draws[..., 0] * np.uint16(200)),
    }
    paths = {name: folder / f"{name}.png" for name in made}
    for name, image in made.items():
        image.save(paths[name], **({"transparency": 0} if name == "palette" else {}))
    turned = Image.Exif()
    turned[0x0112] = 6
    colour.save(folder / "turned.jpg", exif=turned)
    return paths | {"turned": folder / "turned.jpg"}


def test_its_pictures_are_answered_as_by_predict(runs, spaces, tmp_path) -> None:
    files = pictures(tmp_path)
    every = package.load(runs["imgcls"].root).predict([str(path) for path in files.values()])
    for path, wanted in zip(files.values(), every, strict=True):
        told, _, shares = asked(spaces["imgcls"], handle_file(str(path)))
        assert shares == pytest.approx(wanted, abs=1e-4), path.name
        assert next(iter(wanted)) in told
    told = [[wanted[name] for name in DIGITS] for wanted in every]
    apart = scipy.spatial.distance.pdist(told, "chebyshev")
    assert apart.min() > 1e-3, "each is read in its own way, and that is seen in what is answered"
    with pytest.raises(AppError, match="Choose a picture first"):
        asked(spaces["imgcls"], None)


@pytest.mark.parametrize("kind", ["fcn", "segformer", "upernet"])
def test_its_masks_are_those_of_segment(kind, runs, spaces, tmp_path) -> None:
    files = {name: path for name, path in pictures(tmp_path).items() if kind == "fcn" or name in ("alpha", "wide")}
    masks = package.load(runs[kind].root).segment([str(path) for path in files.values()])
    for path, mask in zip(files.values(), masks, strict=True):
        shown = asked(spaces[kind], handle_file(str(path)))
        found = np.full(mask.shape, -1)
        for part in shown["annotations"]:
            with Image.open(part["image"]) as layer:
                found[np.asarray(layer.convert("RGBA"))[..., 3] > 0] = DIGITS.index(part["label"])
        assert (found == mask).all(), path.name
        assert len(np.unique(mask)) > 1, "a mask of one class would show little"


def test_it_names_what_it_needs_and_nothing_else(runs, tmp_path) -> None:
    brings = {"textcls": set(), "imgcls": {"timm", "torchvision"}, "fcn": {"timm", "torchvision"}}
    brings |= {"upernet": {"torchvision"}}
    for kind, more in brings.items():
        facts = space_folder.write(runs[kind], tmp_path / kind, None)
        pins = dict(line.split("==") for line in sites.read(tmp_path / kind / "requirements.txt"))
        assert set(pins) == {"gradio", "transformers", "torch", "numpy", "pillow"} | more
        assert all(importlib.metadata.version(name).startswith(pin) for name, pin in pins.items())
        assert ("fcn.py" in facts["files"]) == (kind == "fcn") and ("flattening.py" in facts["files"]) == (
            kind != "textcls"
        )
        assert facts["bytes"] == sum(
            (tmp_path / kind / name).stat().st_size for name in facts["files"] if name != "hfft.json"
        )


@pytest.mark.parametrize("licence", [None, "apache-2.0"])
def test_the_front_matter_names_what_is_known(licence, runs, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(runs["textcls"].root, run.root)
    front = {"library_name": "transformers"} | ({"license": licence} if licence else {})
    (run.model / "README.md").write_text(f"---\n{yaml.safe_dump(front)}---\n\n# A card\n")
    space_folder.write(run, tmp_path / "space", "me/mine")
    parts = (tmp_path / "space" / "README.md").read_text().split("---\n")
    found = yaml.safe_load(parts[1])
    assert parts[0] == "" and found.get("license") == licence
    space_folder.write(run, tmp_path / "given", None, licence="mit")
    assert "\nlicense: mit\n" in (tmp_path / "given" / "README.md").read_text()
    assert found["sdk"] == "gradio" and found["app_file"] == "app.py" and found["models"] == ["me/mine"]
    assert found["sdk_version"] == importlib.metadata.version("gradio")
    pins = re.findall(r"^(\w+)==(.+)$", (tmp_path / "space" / "requirements.txt").read_text(), re.M)
    assert len(pins) == 5 and all(importlib.metadata.version(name).startswith(pin) for name, pin in pins)


CONFIGS = {
    "pair": {"data.columns": {"text": "a", "text_pair": "b", "label": "c"}},
    "several": {"data.multi_label": True},
    "masks": {"task": "semantic_segmentation"},
    "tail": {"model.truncation": "tail"},
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_kind_of_page_is_python(kind, tmp_path) -> None:
    run = build(tmp_path / "run's", DIGITS, 200, 0.8)
    tree = yaml.safe_load((run.root / "recipe.yaml").read_text())
    for key, value in CONFIGS[kind].items():
        section, _, name = key.rpartition(".")
        (tree[section] if section else tree)[name] = value
    if kind == "masks":
        tree |= {"data": {"path": "imagefolder"}, "metrics": ["mean_iou"]}
    (run.root / "recipe.yaml").write_text(yaml.safe_dump(tree))
    run.model.mkdir()
    config = {"model_type": "hfft_fcn" if kind == "masks" else "bert", "id2label": dict(enumerate(DIGITS))}
    write_json(run.model / "config.json", config)
    space_folder.write(run, tmp_path / "space", "me/mine")
    page = (tmp_path / "space" / "app.py").read_text()
    compile(page, "app.py", "exec")
    for line in page.splitlines():
        assert len(line) <= 120 or line.startswith(("ABOUT", "UNSURE", "SET", "COLOURS", "    examples"))
    assert ("\nimport fcn " in page) == (kind == "masks") and "import hfft" not in page
    assert ("reads long texts by `tail`" in (tmp_path / "space" / "README.md").read_text()) == (kind == "tail")
    assert ("Second text" in page) == (kind == "pair") and ("thresholds[" in page) == (kind == "several")


def test_nothing_is_overwritten_but_a_space_of_its_own(runs, tmp_path, capsys) -> None:
    mine, run = tmp_path / "mine", runs["textcls"]
    mine.mkdir()
    (mine / "mine.txt").write_text("mine")
    for more in ({}, {"overwrite": True}):
        with pytest.raises(InputError, match="is no Space that hfft wrote: nothing in it is overwritten"):
            space_folder.write(run, mine, None, **more)
    assert [path.name for path in mine.iterdir()] == ["mine.txt"]

    words = ("demo", str(run.root), "--space", str(tmp_path / "space"))
    assert hfft(*words) == 0
    size = sum(path.stat().st_size for path in (tmp_path / "space").rglob("*") if path.name != "hfft.json")
    assert f" files, {size / 1e6:.1f} MB, nothing sent anywhere" in capsys.readouterr().out
    page, note = tmp_path / "space" / "app.py", tmp_path / "space" / "notes" / "mine.txt"
    note.parent.mkdir()
    note.write_text("mine")
    assert hfft(*words) == 2
    assert "holds a Space already; type --overwrite to write it anew, or another" in capsys.readouterr().err
    before = page.read_text()
    page.write_text("changed")
    assert hfft(*words) == 2 and page.read_text() == "changed"
    assert "to write it anew, which loses your changes to app.py, or another name" in capsys.readouterr().err
    assert hfft(*words, "--overwrite", "--model-id", "me/mine") == 0
    assert page.read_text() == before.replace('str(HERE / "model")', "'me/mine'") and note.read_text() == "mine"
    assert not list((tmp_path / "space").rglob("*.safetensors")), "of the earlier Space"


BROKEN = {
    "config": lambda tree: tree | {"id2label": {"0": "a", "1": "b", "2": "c"}},
    "calibration": lambda tree: tree | {"version": 99},
    "decision": lambda tree: tree | {"classes": {"other": {"bias": 0.0}}},
}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("folds", "holds several models, and a Space has one"),
        ("predictions", "validation.parquet is missing"),
        ("config", "names other classes (a, b, c) than"),
        ("calibration", "is not of version 1"),
        ("decision", "expected biases of negative"),
    ],
)
def test_what_no_space_can_be_made_of_is_told_before_anything_is_written(kind, told, runs, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(runs["textcls"].root, run.root)
    assert space_folder.check(run) is None
    if kind in BROKEN:
        path = run.model / f"{kind}.json"
        write_json(path, BROKEN[kind](json.loads(path.read_text())))
    elif kind == "folds":
        write_json(run.root / FOLDS, {"members": ["fold-1"]})
    else:
        run.predictions("validation").unlink()
    with pytest.raises(InputError, match=re.escape(told)) as found:
        space_folder.check(run)
    assert "\n" not in str(found.value) and str(run.root) in str(found.value)
    with pytest.raises(InputError, match=re.escape(told)):
        space_folder.write(run, tmp_path / "space", None)
    assert not (tmp_path / "space").exists()
