"""Scores: what is shown, on how many rows, by which method; and what is said when the rows are too few."""

import dataclasses
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import cautioning, rooms, scoring
from hfft.counts import Counts
from hfft.errors import InputError
from hfft.intervals import wilson
from hfft.records import Predictions, Score
from hfft.run_folder import RunFolder

ALL = ["accuracy", "precision", "recall", "f1"]


def made(labels, predicted, names=("ham", "spam", "other")) -> Predictions:
    labels, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    scores = np.zeros((len(labels), len(names)), dtype=np.float32)
    return Predictions(np.arange(len(labels)).astype(str), labels, predicted, scores, tuple(names))


def drawn(classes: int, rows: int, right: float = 0.8, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    predicted = np.where(rng.random(rows) < right, labels, rng.integers(0, classes, rows))
    return made(labels, predicted, [f"c{k}" for k in range(classes)])


def pairs(classes=3):
    return st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=60)


def test_each_number_has_its_own_denominator():
    scores = scoring.score(made([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0], ("ham", "spam")), ALL)
    assert list(scores) == scoring.keys(ALL, ("ham", "spam"))
    assert scores["accuracy"] == Score(4 / 6, *wilson(4, 6), 6, "Wilson")
    assert scores["recall_weighted"] == scores["recall_micro"] == scores["f1_micro"] == scores["accuracy"]
    assert (scores["recall[ham]"].value, scores["recall[ham]"].n) == (3 / 4, 4)
    assert (scores["precision[spam]"].value, scores["precision[spam]"].n) == (1 / 2, 2)
    f1 = scores["f1[ham]"]
    assert (f1.value, f1.n, f1.method) == (6 / 8, 5, "Wilson on rows truly or predicted the class")
    low, high = wilson(3, 5)
    assert (f1.low, f1.high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    assert scores["f1_macro"].n == 6 and scores["f1_macro"].method.startswith("BCa bootstrap, 2000 resamples")


def test_undefined_is_said_not_guessed():
    scores = scoring.score(made([0, 0, 1], [0, 0, 0]), ALL)
    assert scores["precision[spam]"] == Score(None, None, None, 0, "undefined: never predicted")
    assert scores["recall[other]"] == Score(None, None, None, 0, "undefined: no rows")
    assert scores["f1[other]"] == Score(None, None, None, 0, "undefined: no rows and never predicted")
    assert scores["f1[spam]"].value == 0
    assert scores["recall_macro"].value == 0.5, "the absent class is not in the average"


def test_no_rows_at_all():
    scores = scoring.score(made([], []), ALL)
    assert list(scores) == scoring.keys(ALL, ("ham", "spam", "other"))
    assert {score.value for score in scores.values()} == {None}
    assert scores["f1_macro"].method == "undefined: no rows"
    assert cautioning.notes(made([], [])) == ["There are no rows: nothing can be said."]


def test_an_unknown_metric_is_an_input_error():
    with pytest.raises(InputError, match="did you mean 'recall'"):
        scoring.score(made([0], [0]), ["recal"])


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_every_interval_holds_its_value(rows):
    for score in scoring.score(made(*zip(*rows, strict=True)), ALL).values():
        if score.value is None:
            assert (score.low, score.high, score.n) == (None, None, 0) and score.method.startswith("undefined: ")
        else:
            assert 0 <= score.low <= score.value <= score.high <= 1
            assert score.low < score.high and score.n > 0


@settings(max_examples=25, deadline=None)
@given(pairs(), st.permutations(range(3)), st.randoms(use_true_random=False))
def test_order_of_rows_and_names_of_classes_change_no_value(rows, renamed, random):
    labels, predicted = zip(*rows, strict=True)
    plain = scoring.score(made(labels, predicted), ALL)
    shuffled = random.sample(rows, len(rows))
    assert scoring.score(made(*zip(*shuffled, strict=True)), ALL) == plain
    moved = scoring.score(made([renamed[k] for k in labels], [renamed[k] for k in predicted]), ALL)
    for key in ("accuracy", "precision_macro", "recall_macro", "f1_macro", "f1_weighted", "precision_weighted"):
        assert moved[key].value == pytest.approx(plain[key].value, abs=1e-12)
    assert moved["accuracy"] == plain["accuracy"]


def test_a_test_set_copied_twice_is_the_same_point_and_a_narrower_interval():
    once = drawn(4, 200)
    twice = made(np.tile(once.labels, 2), np.tile(once.predicted, 2), once.names)
    before, after = scoring.score(once, ALL), scoring.score(twice, ALL)
    for key, score in before.items():
        assert after[key].value == pytest.approx(score.value)
        assert after[key].n == 2 * score.n
        assert after[key].high - after[key].low < score.high - score.low


@pytest.mark.parametrize("rows", [30, 400])
def test_the_interval_of_a_class_f1_keeps_its_promise(rows):
    """Wilson carried over from hits / rows in either set: 95 % of intervals hold the true F1 of a 20 % class."""
    rng = np.random.default_rng(3)
    cells = np.array([[0.74, 0.06], [0.05, 0.15]])
    truth = 2 * 0.15 / (0.20 + 0.21)
    module = rooms.find("metrics", "f1")
    held = defined = 0
    for _ in range(1500):
        matrix = rng.multinomial(rows, cells.ravel()).reshape(2, 2)
        counts = Counts(np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0))
        share = module.proportions(counts)["f1"]
        if share.trials[1]:
            low, high = (share.link(end) for end in wilson(share.successes[1], share.trials[1]))
            held, defined = held + (low <= truth <= high), defined + 1
    assert 0.935 <= held / defined <= 0.975


def test_twice_the_same_bytes(tmp_path):
    written = []
    for name in ("a", "b"):
        run = RunFolder(tmp_path / name)
        run.write_scores("test", scoring.score(drawn(5, 150), ALL))
        written.append(run.metrics.read_bytes())
    assert written[0] == written[1]
    assert json.loads(written[0])["test"]["f1_macro"]["n"] == 150
    scores = scoring.score(drawn(5, 150), ALL)
    assert {type(v) for s in scores.values() for v in dataclasses.astuple(s)} <= {float, int, str}


def test_a_metric_with_values_per_class_that_are_no_proportions(monkeypatch):
    """A new file need not know Wilson: what it does not declare is bootstrapped, classes too."""
    module = SimpleNamespace(
        score=lambda counts: {},
        per_class=lambda counts: {"half": counts.hits / np.maximum(2 * counts.support, 1)},
        proportions=lambda counts: {},
    )
    monkeypatch.setattr(rooms, "find", lambda room, name: module)
    scores = scoring.score(drawn(3, 120), ["half"])
    assert list(scores) == ["half[c0]", "half[c1]", "half[c2]"]
    assert all(s.method == "BCa bootstrap, 2000 resamples" and s.low < s.value < s.high for s in scores.values())


def test_notes_name_what_is_thin():
    assert cautioning.notes(drawn(3, 300)) == []
    said = cautioning.notes(made([0] * 40 + [1] * 12, [0] * 52))
    assert said == [
        "Class other has no rows here, so averages over classes leave it out and nothing is known about finding it.",
        "Class spam (12) has fewer than 30 rows: the intervals of averages over classes may be too narrow.",
        "The model answers 'ham' for each of the 52 rows, whatever they hold: it has learnt nothing that these scores "
        "could show, and nothing can make its answer flip.",
        "Class spam is never predicted: the precision counts as 0 in averages.",
    ]
    assert cautioning.notes(made([0] * 40, [0] * 40, ("ham",))) == [
        "Only 0 of 40 rows are wrong: a bootstrap cannot see errors this rare, so the intervals of averages over "
        "classes are widened to what the rarest class allows."
    ]


def test_notes_stay_short_with_many_classes():
    said = cautioning.notes(drawn(77, 300))
    assert len(said) <= 4
    assert max(map(len, said)) < 250
    assert "fewer than 30 rows" in " ".join(said) and "more" in " ".join(said)


@pytest.mark.parametrize(("classes", "rows"), [(10, 100_000), (77, 3_080)])
def test_scoring_takes_less_than_two_seconds(classes, rows):
    predictions = drawn(classes, rows)
    start = time.process_time()
    scoring.score(predictions, ALL)
    assert time.process_time() - start < 2
