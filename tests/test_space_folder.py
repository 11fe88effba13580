"""The Space folder: its page answers as the demo does, runs with what its requirements name, and publishes no rows."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from hfft import backbones, biasing, calibrating, demo_page, recipe, rooms, space_folder, trying
from hfft.errors import InputError
from hfft.records import FOLDS, write_json
from hfft.run_folder import RunFolder
from tests.browser import loops_closed
from tests.command import hfft
from tests.test_reporting import DIGITS, build

TEXTS = ("the flight was late", "thank you so much " * 60, "<b>?</b>")


@pytest.fixture(scope="module", autouse=True)
def loops() -> Iterator[None]:
    with loops_closed():
        demo_page.gradio()  # quiet before app.py imports it
        yield


NAMES = {"textcls": ("negative", "neutral", "positive"), "imgcls": DIGITS}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """Runs with random models, which nobody trained, and made-up predictions to calibrate them on."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    for kind, names in NAMES.items():
        run = build(root / kind, names, 600, 0.9, "text" if kind == "textcls" else "image", tested=False)
        words = ("decide={by: logit_adjustment, tau: 2.0}", "abstain.max_error=0.3") if kind == "textcls" else ()
        wanted = recipe.load(f"tiny_{kind}", words)
        (run.root / "recipe.yaml").write_text(recipe.dump(wanted))
        made = backbones.load(wanted.model, rooms.find("modalities", wanted.task), names)
        if kind == "textcls":  # the likeliest class is the first, and another one is answered
            made.model.classifier.bias.data = torch.tensor([1.0, 0.0, 0.0])
        made.model.save_pretrained(run.model)
        if kind == "textcls":
            made.processor.save_pretrained(run.model)
            biasing.write(run.decision, names, np.array([0.0, 2.0, 0.0]), {"threshold": None}, [1, 1, 1])
        calibrating.settled(run, wanted.abstain)
        found[kind] = run
    return found


def app(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"app_{folder.name}", folder / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_texts_are_answered_as_on_the_page(runs, tmp_path, capsys) -> None:
    assert hfft("demo", str(runs["textcls"].root), "--space", str(tmp_path / "space"), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"app.py", "README.md", "requirements.txt", "calibration.json", "decision.json"} < set(facts["files"])
    page, trial = app(tmp_path / "space"), trying.load(str(runs["textcls"].root))
    verdicts = set()
    for text in TEXTS:
        told, shares = page.answer(text)
        (own,) = trial.ask([text])
        assert shares == pytest.approx(own.probabilities, abs=1e-6)
        first = next(iter(own.probabilities))
        assert told.startswith(f"**{first}**" if own.sure else f"**Not sure.** It leans to **{first}**")
        assert f"Set of classes: {', '.join(sorted(own.set, key=lambda name: -shares[name]))}." in told
        verdicts.add(first)
        assert max(shares, key=shares.get) == "negative"
    assert verdicts == {"neutral"}, "the bias decides"
    with pytest.raises(page.gr.Error, match="Type a text first"):
        page.answer(" ")


def test_its_pictures_are_answered_as_on_the_page(runs, tmp_path) -> None:
    space_folder.write(runs["imgcls"], tmp_path, None)
    page, trial = app(tmp_path), trying.load(str(runs["imgcls"].root))
    draws = np.random.default_rng(0).integers(0, 256, (61, 40, 4), dtype=np.uint8)
    pictures = [Image.fromarray(draws), Image.fromarray(draws[..., 0]), Image.fromarray(draws[..., :3])]
    for picture in pictures:
        told, shares = page.answer(picture)
        (own,) = trial.ask([picture])
        assert shares == pytest.approx(own.probabilities, abs=1e-6)
        assert next(iter(own.probabilities)) in told
    wanted = (tmp_path / "requirements.txt").read_text()
    assert f"\ntimm=={importlib.metadata.version('timm')}\n" in wanted and "hfft==" not in wanted


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
    assert ("import hfft.fcn" in page) == (kind == "masks")
    assert ("hfft==" in (tmp_path / "space" / "requirements.txt").read_text()) == (kind == "masks")
    assert ("reads long texts by `tail`" in (tmp_path / "space" / "README.md").read_text()) == (kind == "tail")
    assert ("Second text" in page) == (kind == "pair") and ("thresholds[" in page) == (kind == "several")


def test_nothing_is_overwritten(runs, tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty; nothing in it is overwritten"):
        space_folder.write(runs["textcls"], tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


BROKEN = {
    "config": lambda tree: {key: value for key, value in tree.items() if key != "id2label"},
    "calibration": lambda tree: tree | {"version": 99},
    "decision": lambda tree: tree | {"classes": {"other": {"bias": 0.0}}},
}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("folds", "holds several models, and a Space has one"),
        ("predictions", "validation.parquet is missing"),
        ("config", "names other classes () than"),
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
