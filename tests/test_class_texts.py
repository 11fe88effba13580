"""A text of its own for each class: in train alone, in no other place, and worth what a clear name is worth."""

from __future__ import annotations

import pytest

from hfft import class_texts, gathering, recipe, rooms
from hfft.errors import InputError
from hfft.recipe import Data
from hfft.records import Predictions, read_json
from hfft.run_folder import RunFolder
from tests.command import hfft

TEMPLATE = "This is about {label}."


def test_names_become_texts():
    data = Data("csv", class_text=TEMPLATE)
    assert class_texts.texts(data, ["credit_card", "top up"]) == [
        "This is about credit card.",
        "This is about top up.",
    ]
    assert class_texts.texts(Data("csv"), ["a"]) == []


def test_they_are_in_train_alone(capsys, tmp_path, monkeypatch):
    seen, real = [], gathering.class_texts.added
    monkeypatch.setattr(gathering.class_texts, "added", lambda *given: seen.append(real(*given)) or seen[-1])
    words = ("data.limit=150", "data.shots=4", f"data.class_text={TEMPLATE}", "data.class_text_rows=3")
    words = (*words, "train.max_steps=2")
    assert hfft("run", "tiny_textcls", *words, "--output-dir", str(tmp_path / "run")) == 0
    (rows,) = seen
    names = ["negative", "neutral", "positive"]
    assert len(rows) == 3 * 4 + 3 * 3 and rows["labels"][-9:] == [0, 1, 2] * 3
    assert rows["text"][-9:] == [TEMPLATE.replace("{label}", name) for name in names] * 3
    run = RunFolder(tmp_path / "run")
    assert sum(read_json(run.split)["counts"]["train"].values()) == 12, "they are no rows of the data"
    assert Predictions.read(run.predictions("validation")).n == read_json(run.split)["counts"]["validation"][
        "negative"
    ] + sum(read_json(run.split)["counts"]["validation"][name] for name in names[1:])
    out = " ".join(capsys.readouterr().out.split())
    assert "data.class_text: 9 training rows more, 3 for each class ('This is about negative.', …)" in out
    assert hfft("eval", str(run.root)) == 0


def test_with_pooled_tokens_and_frozen_features_they_take_part(tmp_path, capsys):
    words = ("data.limit=150", "data.shots=4", f"data.class_text={TEMPLATE}", "adapt.freeze=backbone")
    assert hfft("run", "tiny_textcls", *words, "--output-dir", str(tmp_path / "run")) == 0
    assert "features: 36 rows for training" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data.class_text=About it",), "class_text needs {label}, where the class's name goes"),
        (("data.class_text_rows=0",), "data.class_text_rows"),
        ((f"data.class_text={TEMPLATE}", "data.streaming=true"), "held in memory, and not for data.streaming"),
    ],
)
def test_what_makes_no_sense_is_refused(words, told, capsys, tmp_path):
    assert hfft("run", "tiny_textcls", *words, "--output-dir", str(tmp_path / "run")) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_pictures_have_none():
    images = rooms.find("modalities", "image_classification")
    with pytest.raises(InputError, match="the rows are pictures; leave it out"):
        class_texts.check(Data("imagefolder", class_text=TEMPLATE), images)
    texts = rooms.find("modalities", "text_classification")
    with pytest.raises(InputError, match="pairs of texts"):
        class_texts.check(Data("csv", class_text=TEMPLATE, columns={"text": "a", "text_pair": "b"}), texts)
    assert recipe.load("tiny_textcls").data.class_text is None
