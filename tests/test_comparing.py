"""Verdicts in words, and refusals of what cannot be compared."""

import dataclasses
import json

import numpy as np
import pytest

from hfft import comparing, display
from hfft.errors import InputError
from hfft.records import Predictions, RunFolder
from tests.command import hfft

METRICS = ("accuracy", "f1")


def predictions(share: float, n: int = 600, seed: int = 0, names=("ham", "spam", "tofu")) -> Predictions:
    """A model that is right on about `share` of the same rows; scores are one for its answer."""
    labels = np.random.default_rng(0).integers(0, 3, n)
    luck = np.random.default_rng(seed).random(n)
    guess = np.where(luck < share, labels, (labels + 1) % 3)
    return Predictions(np.array([f"r{i}" for i in range(n)], dtype=object), labels, guess,
                       np.eye(3, dtype=np.float32)[guess], names)  # fmt: skip


def test_better_worse_and_too_small_to_tell():
    base, good, same = predictions(0.70), predictions(0.85, seed=1), predictions(0.71, seed=2)
    better, unclear = comparing.compare([("a", base), ("b", good), ("c", same)], METRICS)
    assert better.verdict == "better" and better.sentence.startswith("b is better than a: +")
    assert "adjusted for 2 comparisons, 600 rows" in better.sentence
    assert unclear.verdict == "cannot tell" and unclear.sentence.startswith("Too small to tell whether c is better")
    assert "rows would be needed" in unclear.sentence
    worse = comparing.compare([("b", good), ("a", base)], METRICS)[0]
    assert worse.verdict == "worse" and "a is worse than b: -" in worse.sentence
    assert set(better.won) == set(worse.lost) and set(better.lost) == set(worse.won)
    right = {
        i
        for i, a, b in zip(base.ids, base.predicted == base.labels, good.predicted == good.labels, strict=True)
        if b and not a
    }
    assert set(better.won) == right and len(right) > 50


def test_a_model_against_itself_cannot_be_told_apart():
    found = comparing.compare([("a", predictions(0.8)), ("a", predictions(0.8))], METRICS)[0]
    assert found.verdict == "cannot tell" and found.p == 1 and not found.won + found.lost
    assert found.differences["f1_macro"].value == 0 and "cannot be told apart" in found.sentence


def test_rows_and_classes_in_another_order_are_matched_by_name():
    base, good = predictions(0.7), predictions(0.85, seed=1)
    order = np.random.default_rng(3).permutation(600)
    turned = np.array([2, 0, 1])  # new place of each class
    names = tuple(np.array(good.names)[np.argsort(turned)])
    mixed = Predictions(good.ids[order], turned[good.labels[order]], turned[good.predicted[order]],
                        good.scores[order][:, np.argsort(turned)], names)  # fmt: skip
    assert comparing.compare([("a", base), ("b", mixed)], METRICS) == comparing.compare(
        [("a", base), ("b", good)], METRICS
    )
    matched = comparing.aligned("a", base, "b", mixed)
    assert (matched.scores.argmax(axis=1) == matched.predicted).all()


def test_what_cannot_be_compared_is_refused_with_the_reason():
    base = predictions(0.7)
    with pytest.raises(InputError, match="different test rows: 600 rows and 500 rows, 500 in common"):
        comparing.compare([("a", base), ("b", predictions(0.8, n=500))], METRICS)
    with pytest.raises(InputError, match="only a: tofu; only b: tempeh"):
        comparing.compare([("a", base), ("b", predictions(0.8, names=("ham", "spam", "tempeh")))], METRICS)
    other = Predictions(base.ids, (base.labels + 1) % 3, base.predicted, base.scores, base.names)
    with pytest.raises(InputError, match="different labels for 600 rows"):
        comparing.compare([("a", base), ("b", other)], METRICS)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, made in (("a", predictions(0.7)), ("b", predictions(0.85, seed=1))):
        folder = RunFolder(tmp_path / "runs" / name)
        made.write(folder.predictions("test"))
        folder.model.mkdir()
        (folder.model / "config.json").write_text("{}")
        (folder.root / "recipe.yaml").write_text(
            "{task: text_classification, data: {path: x.csv}, model: {name: x}, metrics: [accuracy, f1]}"
        )
    return tmp_path / "runs"


def test_the_command_line(runs, capsys):
    assert hfft("compare", "runs/a", "runs/b") == 0
    out = capsys.readouterr().out
    assert "runs/b minus runs/a" in out and "BETTER. runs/b is better than runs/a" in out and "rows won" in out
    assert hfft("compare", "runs/a", "runs/b", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["comparisons"][0]["verdict"] == "better" and facts["n"] == 600
    assert hfft("compare", "runs/a") == 2
    assert "two runs or more" in capsys.readouterr().err
    (runs / "b" / "predictions" / "test.parquet").unlink()
    assert hfft("compare", "runs/a", "runs/b") == 2
    assert "run `hfft eval runs/b` first" in capsys.readouterr().err


def test_mcnemar_is_left_out_where_rows_come_in_groups(capsys):
    """It takes every row for a witness of its own."""
    base, good = predictions(0.70), predictions(0.85, seed=1)
    grouped = [
        dataclasses.replace(part, groups=np.array([f"g{row // 3}" for row in range(part.n)], dtype=object))
        for part in (base, good)
    ]
    (alone,), (found,) = (comparing.compare([("a", x), ("b", y)], ["accuracy"]) for x, y in ((base, good), grouped))
    assert alone.mcnemar is not None and alone.p == alone.mcnemar[1]
    assert found.mcnemar is None and found.p == found.differences["accuracy"].p
    facts = dataclasses.asdict(found) | {"examples": {"won": [], "lost": []}}
    display.compared({"comparisons": [facts]})
    out = capsys.readouterr().out
    assert "rows won" in out and "McNemar" not in out
