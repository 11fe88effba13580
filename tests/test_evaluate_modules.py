"""The same numbers through `evaluate`, without network, warnings or surprises."""

import warnings

import numpy as np
import pytest

from hfft import rooms, scoring
from hfft.counts import count
from hfft.errors import InputError
from hfft.records import Predictions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what other libraries say while they are imported
    from hfft import evaluate_modules

NAMES = ("ham", "spam", "other")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Where `evaluate` would spill rows to disk."""
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, 50), rng.integers(0, 3, 50)


@pytest.mark.parametrize("name", rooms.names("metrics"))
def test_the_values_are_those_of_scoring(name, rows):
    labels, predicted = rows
    values = evaluate_modules.load(name, NAMES).compute(predictions=predicted, references=labels)
    assert values == scoring.points(count(labels, predicted, 3), [name], NAMES)
    assert list(values) == scoring.keys([name], NAMES)
    assert {type(value) for value in values.values()} == {float}
    full = scoring.score(Predictions(np.arange(50), labels, predicted, np.zeros((50, 3)), NAMES), [name])
    assert values == {key: score.value or 0.0 for key, score in full.items()}


def test_batches_add_up_and_the_object_can_be_used_again(rows, cache):
    labels, predicted = rows
    metric = evaluate_modules.load("f1", NAMES)
    whole = metric.compute(predictions=predicted.tolist(), references=labels.tolist())
    for part in (slice(0, 20), slice(20, None)):
        metric.add_batch(predictions=predicted[part], references=labels[part])
    assert metric.compute() == whole
    assert not [path for path in cache.rglob("*") if path.is_file()], "rows stay in memory"
    assert metric.name == "f1"


def test_a_folder_of_that_name_is_not_run(rows, tmp_path, monkeypatch):
    """`evaluate.load` would run ./accuracy/accuracy.py."""
    (tmp_path / "accuracy").mkdir()
    (tmp_path / "accuracy" / "accuracy.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    labels, _ = rows
    assert evaluate_modules.load("accuracy", NAMES).compute(predictions=labels, references=labels) == {"accuracy": 1.0}


def test_an_unknown_name_says_what_was_meant():
    with pytest.raises(InputError, match="did you mean 'accuracy'"):
        evaluate_modules.load("acuracy", NAMES)
