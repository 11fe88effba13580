"""The parity gate: the saved folder in a process without hfft, and what follows where it answers otherwise."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import scene_models
import torch
import transformers
from PIL import Image

from hfft import backbones, deciding, parity, parity_check, pictures, recipe, rooms
from hfft.ensembling import Ensemble
from hfft.recipe import Model
from hfft.records import read_json, write_json
from hfft.run_folder import RunFolder

CLASSES = ("late", "kind", "lost")
KINDS = ("timm", "fcn", "segformer", "text")
RECIPES = {"timm": "tiny_imgcls", "fcn": "tiny_semseg", "segformer": "tiny_semseg", "text": "tiny_textcls"}


@pytest.fixture(autouse=True)
def switched_on(monkeypatch):
    monkeypatch.setenv("HFFT_PARITY", "on")


@pytest.fixture
def in_this_process(monkeypatch):
    """The same script without a process of its own, which would cost seconds."""

    def asked(request, room):
        path = room / "request.json"
        path.write_text(json.dumps(request), encoding="utf-8")
        parity_check.main(path)
        with np.load(room / "answer.npz") as found:
            return dict(found), ""

    monkeypatch.setattr(parity, "asked", asked)


def made(kind: str, room: Path):
    """(run folder with a saved model that nothing was trained for, its recipe, modality, the model, rows)"""
    wanted, folder = recipe.load(RECIPES[kind]), RunFolder(room / kind)
    modality = rooms.find("modalities", wanted.task)
    transformers.set_seed(0)
    spec = wanted.model
    if kind == "segformer":
        spec = Model(name=str(scene_models.segformer(room / "pretrained", CLASSES)), image_size=[64, 64])
    found = backbones.load(spec, modality, CLASSES)
    with torch.no_grad():
        for parameter in found.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    found.model.save_pretrained(folder.model)
    found.processor.save_pretrained(folder.model)
    model = Ensemble((backbones.reload(folder.model, modality),))
    rows = texts(30) if kind == "text" else images(12)
    return folder, dataclasses.replace(wanted, model=spec), modality, model, rows


def texts(n: int) -> datasets.Dataset:
    draws = np.random.default_rng(0)
    long = [" ".join(draws.choice(["the", "flight", "was", "kind", "crew"], size)) for size in draws.integers(0, 60, n)]
    return datasets.Dataset.from_dict({"id": [str(i) for i in range(n)], "text": long})


def images(n: int) -> datasets.Dataset:
    draws = np.random.default_rng(0)
    shapes = draws.integers(30, 70, (n, 2)).tolist()
    found = [Image.fromarray(draws.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]
    stored = [{"path": None, "bytes": pictures.png(image)} for image in found]
    rows = datasets.Dataset.from_dict({"id": [str(i) for i in range(n)], "image": stored})
    return rows.cast_column("image", datasets.Image(decode=False))


def checked(found, said=None):
    folder, wanted, modality, model, rows = found
    said = [] if said is None else said
    return parity.check(folder, wanted, modality, model, rows, said.append)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("in_this_process")
def test_the_saved_folder_gives_the_logits_and_answers_of_the_model_in_memory(kind, tmp_path):
    found, said = made(kind, tmp_path), []
    facts = checked(found, said)
    n = 30 if kind == "text" else 12
    assert facts["passed"] is True and facts["label_flips"] == 0 and facts["largest_logit_gap"] <= 1e-4
    assert facts["n"] == n == len(set(facts["rows"])) and read_json(found[0].parity) == facts
    assert len(said) == 1 and f"{n}" in said[0]
    assert (facts["timm"] is not None) == (kind == "timm")
    if kind == "timm":
        assert facts["timm"]["largest_logit_gap"] <= 1e-4 and facts["timm"]["label_flips"] == 0
    if kind == "text":
        assert facts["way"] == "pipe(text, truncation=True, max_length=32)"
    if kind in ("fcn", "segformer"):
        assert facts["answers"] == sum(
            Image.open(_bytes(image)).size[0] * Image.open(_bytes(image)).size[1] for image in found[4]["image"]
        )


def _bytes(image):

    return io.BytesIO(image["bytes"])


@pytest.mark.usefixtures("in_this_process")
def test_wrong_weights_names_or_prefix_are_a_failed_gate(tmp_path):
    found = made("timm", tmp_path)
    folder = found[0]
    config, turned = read_json(folder.model / "config.json"), [*CLASSES[1:], CLASSES[0]]
    named = {"label_names": turned, "id2label": dict(enumerate(turned))}
    write_json(folder.model / "config.json", config | named)
    facts = checked(found)
    assert facts["passed"] is False and facts["label_flips"] > 0
    assert facts["timm"]["label_flips"] == 0, "names are not in the weights"
    (verdict,) = deciding.reloaded(folder)
    assert verdict.verdict == "fail" and "ANSWERS OTHERWISE WITHOUT HFFT" in verdict.why


def test_a_fresh_process_imports_no_hfft(tmp_path):
    """The real process: transformers.pipeline and timm.create_model."""
    found = made("timm", tmp_path)
    facts = checked(found)
    assert facts["passed"] is True and facts["timm"]["label_flips"] == 0 and "in a fresh process" in facts["why"]
    assert "hfft" not in {line.split()[1].partition(".")[0] for line in _imports()}


def test_a_process_that_fails_is_a_failed_gate(tmp_path, monkeypatch):
    found = made("text", tmp_path)
    script = tmp_path / "fails.py"
    script.write_text("raise OSError('no weights here')")
    monkeypatch.setattr(parity, "SCRIPT", script)
    facts = checked(found)
    assert facts["passed"] is False and "cannot use the model folder: OSError: no weights here" in facts["why"]
    (verdict,) = deciding.reloaded(found[0])
    assert verdict.verdict == "fail" and verdict.score.value is None


def _imports() -> list[str]:
    lines = parity.SCRIPT.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip().startswith(("import ", "from "))]


def test_what_a_pipeline_reads_otherwise_is_said_and_no_failure(tmp_path):
    folder, wanted, modality, model, rows = made("text", tmp_path)
    for key in ("head_tail", "windows"):
        spec = dataclasses.replace(wanted.model, truncation=key)
        facts = checked((folder, dataclasses.replace(wanted, model=spec), modality, model, rows))
        assert facts["passed"] is None and key in facts["why"] and facts["n"] == 0
        assert deciding.reloaded(folder) == []
    both = Ensemble((*model.parts, *model.parts))
    assert "folds" in parity.unlike(wanted, both)


def test_it_can_be_switched_off_and_then_claims_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HFFT_PARITY", "off")
    found = made("text", tmp_path)
    assert checked(found) is None and not found[0].parity.exists() and found[0].read_parity() is None


def test_parity_of_other_weights_is_forgotten(tmp_path):
    run = RunFolder(tmp_path)
    write_json(
        run.parity, {"passed": False, "why": "it differs", "weights_sha256": "a", "n": 3, "largest_logit_gap": 1.0}
    )
    assert deciding.reloaded(run)[0].score.value == 1.0
    write_json(run.environment, {"model": {"weights_sha256": "b"}})
    assert run.read_parity() is None and deciding.reloaded(run) == []
