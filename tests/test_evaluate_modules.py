"""The same numbers through `evaluate`, without network, warnings or surprises."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize(
    "name", [n for n in rooms.names("metrics") if not scoring.is_of_masks(rooms.find("metrics", n))]
)
def test_the_values_are_those_of_scoring(name, rows):
    labels, predicted = rows
    scores = np.random.default_rng(1).dirichlet((1, 1, 1), 50).astype(np.float32)
    given = {"predictions": predicted, "prediction_scores": scores}
    column = evaluate_modules.scores_name(name)
    values = evaluate_modules.load(name, NAMES).compute(**{column: given[column]}, references=labels)
    if column == "predictions":
        assert values == scoring.points(count(labels, predicted, 3), [name], NAMES)
    assert list(values) == scoring.keys([name], NAMES)
    assert {type(value) for value in values.values()} == {float}
    full = scoring.score(Predictions(np.arange(50), labels, predicted, scores, NAMES), [name])
    assert values == {key: score.value or 0.0 for key, score in full.items()}


def test_trainer_gets_every_metric_from_logits():
    rng = np.random.default_rng(2)
    labels, logits = rng.integers(0, 3, 80), rng.normal(0, 2, (80, 3)).astype(np.float32)
    found = evaluate_modules.together(["accuracy", "log_loss", "auroc"], NAMES)(
        SimpleNamespace(predictions=logits, label_ids=labels)
    )
    assert found["accuracy"] == (logits.argmax(1) == labels).mean()
    shares = torch.tensor(logits).softmax(1).numpy()
    assert found["log_loss"] == pytest.approx(-np.log(shares[np.arange(80), labels]).mean(), rel=1e-5)
    assert 0 < found["auroc_macro"] < 1


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
