"""Verdicts in words, and refusals of what cannot be compared."""

import dataclasses
import json

import numpy as np
import pytest

from hfft import comparing, display, pairing
from hfft.errors import InputError
from hfft.records import Predictions
from hfft.run_folder import RunFolder
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
    assert (matched.ids == base.ids).all() and matched.names == base.names


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


def graded(share: float, sure: float, seed: int = 0) -> Predictions:
    """The same model with probabilities: `sure` for its answer, the rest shared."""
    made = predictions(share, seed=seed)
    scores = np.full((made.n, 3), (1 - sure) / 2)
    scores[np.arange(made.n), made.predicted] = sure
    return Predictions(made.ids, made.labels, made.predicted, scores, made.names)


def test_of_a_loss_the_lower_one_is_better():
    base, good = graded(0.7, 0.7), graded(0.9, 0.9, seed=1)
    for first, second, verdict, sign in ((base, good, "better", "-"), (good, base, "worse", "+")):
        found = comparing.compare([("a", first), ("b", second)], ["log_loss"])[0]
        assert (found.headline, found.verdict) == ("log_loss", verdict)
        assert found.sentence.startswith(f"b is {verdict} than a: {sign}0.") and "(less is better)" in found.sentence


def test_a_comparison_holds_what_its_parts_say():
    base, good = predictions(0.70), predictions(0.85, seed=1)
    found = comparing.compare([("a", base), ("b", good)], METRICS)[0]
    assert (found.first, found.second, found.n, found.headline) == ("a", "b", 600, "f1_macro")
    assert found.mcnemar == pairing.mcnemar(len(found.won), len(found.lost))
    difference = found.differences["f1_macro"]
    assert found.p == difference.p and found.sentence == (
        f"b is better than a: {pairing.told('f1_macro', dataclasses.asdict(difference))} (p = {found.p:.3g}, 600 rows)."
    )
    # Of accuracy the mid-p test, with rows of groups the resamples.
    accuracy = comparing.compare([("a", base), ("b", good)], ["accuracy"])[0]
    assert accuracy.p == accuracy.mcnemar[1] != accuracy.mcnemar[0]
    grouped = dataclasses.replace(base, groups=np.arange(600) // 2)
    by_group = comparing.compare([("a", grouped), ("b", good)], ["accuracy"])[0]
    assert by_group.p == by_group.differences["accuracy"].p
    assert "drawn by group" in by_group.differences["accuracy"].method
    assert comparing.gain(base, good, METRICS) == ("f1_macro", difference)


def test_p_values_are_adjusted_for_their_number_and_the_order_of_runs_stays():
    base = predictions(0.70)
    others = [("b", predictions(0.72, seed=1)), ("c", predictions(0.80, seed=2)), ("d", predictions(0.71, seed=3))]
    found = comparing.compare([("a", base), *others], ["accuracy"])
    assert [each.second for each in found] == ["b", "c", "d"]
    alone = [comparing.compare([("a", base), other], ["accuracy"])[0] for other in others]
    assert [each.p for each in found] == pairing.holm([each.p for each in alone])
    assert "adjusted for 3 comparisons" in found[0].sentence and "adjusted" not in alone[0].sentence


def difference(value: float, low: float, high: float) -> pairing.Difference:
    return pairing.Difference(value, low, high, 0.5, 1000, "made up")


def test_what_cannot_be_told_says_how_many_rows_would():
    unclear = difference(0.02, -0.01, 0.05)
    verdict, sentence = comparing._judged("a", "b", "accuracy", unclear, 0.05, 1)
    assert verdict == "cannot tell" and sentence == (
        "Too small to tell whether b is better than a: +2.0 points of accuracy [-1.0, +5.0] (p = 0.05, 1,000 rows). "
        "About 4,600 rows would be needed to show a difference of this size."
    )
    assert comparing._judged("a", "b", "accuracy", unclear, 0.0499, 1)[0] == "better"
    narrow = dataclasses.replace(difference(0.02, 0.001, 0.05), n=999)
    aside = "; with so few rows the interval is too narrow)"
    assert aside in comparing._judged("a", "b", "accuracy", narrow, 0.2, 1)[1]
    assert aside not in comparing._judged("a", "b", "accuracy", narrow, 0.2, 2)[1], "an adjusted p and one interval"
    same = comparing._judged("a", "b", "accuracy", difference(0.0, -0.01, 0.01), 0.01, 1)
    assert same == (
        "cannot tell",
        "b and a cannot be told apart: +0.0 points of accuracy [-1.0, +1.0] (p = 0.01, 1,000 rows).",
    )
    assert "rows would" not in comparing._judged("a", "b", "accuracy", difference(0.1, 0.1, 0.1), 0.2, 1)[1]
    many = dataclasses.replace(narrow, n=1000)
    assert aside not in comparing._judged("a", "b", "accuracy", many, 0.2, 1)[1], "a thousand rows are not few"
    assert [pairing.rounded(n) for n in (7, 99, 101, 4567, 120_001)] == ["7", "99", "110", "4,600", "130,000"]


def test_several_classes_per_row_are_matched_and_counted_as_whole_rows():
    rng = np.random.default_rng(5)
    labels = rng.random((80, 3)) < 0.4
    ids, names = np.array([f"r{i}" for i in range(80)], dtype=object), ("x", "y", "z")
    flipped = labels.copy()
    flipped[:30, 1] ^= True
    base = Predictions(ids, labels, flipped, flipped.astype(np.float32), names)
    order, turned = rng.permutation(80), np.array([1, 2, 0])
    good = Predictions(ids[order], *(part[order][:, turned] for part in (labels, labels, labels.astype(np.float32))),
                       ("y", "z", "x"))  # fmt: skip
    matched = comparing.aligned("a", base, "b", good)
    assert (matched.labels == labels).all() and (matched.predicted == labels).all() and matched.names == names
    found = comparing.compare([("a", base), ("b", good)], ["accuracy"])[0]
    assert found.won == ids[:30].tolist() and found.lost == []
    one = dataclasses.replace(base, labels=np.zeros(80, int), predicted=np.zeros(80, int))
    with pytest.raises(InputError, match="a and b cannot be compared: one gives each row one class, the other several"):
        comparing.compare([("a", one), ("b", good)], ["accuracy"])
    other = Predictions(ids, ~labels[:, [0, 0, 0]] | labels, flipped, flipped.astype(np.float32), names)
    wrong = int((other.labels != labels).any(axis=1).sum())
    with pytest.raises(InputError, match=f"different labels for {wrong} rows"):
        comparing.compare([("a", base), ("b", other)], ["accuracy"])


def test_classes_that_only_one_model_knows_are_listed():
    with pytest.raises(InputError, match="only a: none; only b: tempeh"):
        comparing.aligned(
            "a", predictions(0.7), "b", dataclasses.replace(
                predictions(0.7), names=("ham", "spam", "tofu", "tempeh"), scores=np.zeros((600, 4)))
        )  # fmt: skip


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
