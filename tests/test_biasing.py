"""Biases: the best one by trying all of them, the closed form, what shrinking costs on new rows, and every answer."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import f1_score

import hfft as api
from hfft import answering, biasing, recipe, scoring
from hfft.counts import count
from hfft.errors import InputError
from hfft.records import Predictions, read_json
from hfft.run_folder import RunFolder
from tests.command import hfft

VALUE = answering.value_of("f1_macro", ("a", "b", "c"))


def f1(labels: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """By scikit-learn, over the classes that occur."""
    found = f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    return float(found)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 19)), min_size=12, max_size=40))
def test_of_two_classes_no_threshold_is_better(rows):
    labels, chance = np.array([label for label, _ in rows]), np.array([score for _, score in rows]) / 20
    scores = np.column_stack([1 - chance, chance])
    if len(np.unique(labels)) < 2 or min(np.bincount(labels, minlength=2)) < biasing.FEW:
        assert not biasing.tune(scores, labels, VALUE).any()
        return
    rare = int(np.argsort(np.bincount(labels, minlength=2), kind="stable")[0])
    logs = np.log(scores)
    best, bias = biasing._best(logs, np.zeros(2), labels, rare, VALUE)
    answers = [scores[:, rare] >= cut for cut in np.arange(0, 21) / 20 + 0.025]
    tried = [f1(labels, np.where(yes, rare, 1 - rare), 2) for yes in answers if yes[labels == rare].any()]
    assert best == pytest.approx(max(tried), abs=1e-12)
    moved = np.zeros(2)
    moved[rare] = bias
    assert f1(labels, biasing.decided(scores, moved), 2) == pytest.approx(best, abs=1e-12)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_a_cut_counts_what_the_answers_count(seed):
    """The counts of all cuts at once are those of answering by each of them."""
    random = np.random.default_rng(seed)
    labels, scores = random.integers(0, 3, 30), random.dirichlet(np.ones(3), 30)
    bias = random.normal(size=3)
    best, chosen = biasing._best(np.log(scores), bias, labels, 1, VALUE)
    grid = np.linspace(-8, 8, 81)
    grid = [
        value
        for value in grid
        if (biasing.decided(scores, np.array([bias[0], value, bias[2]]))[labels == 1] == 1).any()
    ]
    tried = []
    for value in [*grid, chosen]:
        moved = np.where(np.arange(3) == 1, value, bias)
        tried.append(f1(labels, biasing.decided(scores, moved), 3))
    assert tried[-1] == pytest.approx(best, abs=1e-12)
    assert best >= max(tried) - 1e-12


def test_adjustment_is_its_closed_form():
    """argmax(log p - tau log pi), also on exact probabilities: it is then the answer of equal shares (Menon 2021)."""
    random = np.random.default_rng(0)
    shares = np.array([0.9, 0.07, 0.03])
    likelihood = random.gamma(1.0, size=(500, 3))
    scores = shares * likelihood / (shares * likelihood).sum(axis=1, keepdims=True)
    bias = biasing.adjustment(shares * 1000, 1.0)
    assert (biasing.decided(scores, bias) == (np.log(scores) - np.log(shares)).argmax(axis=1)).all()
    assert (biasing.decided(scores, bias) == likelihood.argmax(axis=1)).all()
    assert (
        biasing.decided(scores, biasing.adjustment([900, 70, 30], 0.5))
        == (np.log(scores) - 0.5 * np.log(shares)).argmax(1)
    ).all()
    assert biasing.adjustment([5, 5], 3.0).tolist() == [0.0, 0.0]


def test_where_nothing_is_better_nothing_moves():
    labels = np.repeat([0, 1, 2], 20)
    scores = np.eye(3)[labels] * 0.7 + 0.1
    assert biasing.tune(scores, labels, VALUE).tolist() == [0.0, 0.0, 0.0]
    few = np.append(np.repeat([0, 1], 30), [2] * 4)
    assert biasing.tune(np.random.default_rng(0).dirichlet(np.ones(3), 64), few, VALUE)[2] == 0


@pytest.mark.parametrize(
    ("shares", "apart", "n", "least"),
    [
        ((0.5, 0.5), 1.5, 150, -0.008),  # the likeliest class is right already: little is lost …
        ((1 / 3,) * 3, 1.5, 150, -0.008),
        ((0.1,) * 10, 2.0, 500, -0.008),
        ((0.9, 0.1), 1.5, 500, 0.005),  # … where a class is rare, macro-F1 wants it answered sooner
        ((0.95, 0.05), 1.5, 2000, 0.018),
    ],
)
def test_what_a_bias_buys_on_new_rows(shares, apart, n, least):
    """Mean macro-F1 on 20,000 new rows against that of the likeliest class, by exact probabilities."""
    random, classes = np.random.default_rng(0), len(shares)
    value = answering.value_of("f1_macro", tuple("abcdefghij"[:classes]))

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.choice(classes, size=rows, p=shares)
        seen = random.normal(size=(rows, classes))
        seen[np.arange(rows), labels] += apart
        return labels, softmax(apart * seen + np.log(shares), axis=1)

    def reached(labels: np.ndarray, answers: np.ndarray) -> float:
        return float(value(biasing._occurring(count(labels, answers, classes))))

    fresh, chances = draw(20_000)
    plain, gains = reached(fresh, chances.argmax(axis=1)), []
    for _ in range(30):
        labels, scores = draw(n)
        gains.append(reached(fresh, biasing.decided(chances, biasing.tune(scores, labels, value))) - plain)
    assert np.mean(gains) >= least


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["decide.by=argmx"], "decide.by: input should be 'argmax', 'logit_adjustment' or 'logit_bias'"),
        (["decide.tau=2"], "tau is for by: logit_adjustment, and by is argmax"),
        (
            ["decide.by=logit_adjustment", "decide.metric=mcc"],
            "metric is for by: logit_bias, and by is logit_adjustment",
        ),
        (["decide.by=logit_adjustment", "decide.tau=0"], "decide.tau: input should be greater than 0"),
        (["decide.by=logit_adjustment", "loss=logit_adjusted"], "as this loss or sampler does already; leave one out"),
        (["decide.by=logit_adjustment", "sampler=over_sampling"], "or type decide.by=logit_bias"),
        (["decide.bye=argmax"], "decide.bye: unknown key (did you mean 'by'?)"),
        (["decide.by=logit_bias", "data.multi_label=true"], "each class has a threshold"),
    ],
)
def test_a_wrong_decision_is_told_at_the_door(words, told, capsys):
    assert hfft("show", "tiny_textcls", *words) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("f1", "type f1_macro or f1_micro or f1_weighted"),
        ("log_loss", "probabilities make it, which stay as they are"),
        ("recall[a]", "that of one class alone is best when nothing else is answered"),
        ("f1_macor", "did you mean 'f1_macro'?"),
    ],
)
def test_a_metric_that_no_bias_can_be_tuned_for(metric, told):
    with pytest.raises(InputError, match=re.escape(told)):
        answering.value_of(metric, ("a", "b"))
    for known in ("balanced_accuracy", "mcc", "kappa", "recall_macro", "accuracy"):
        assert answering.value_of(known, ("a", "b"))


WORDS = ("train.num_train_epochs=4", "train.learning_rate=0.005", "probes.rows=8", "decide.by=logit_bias", "seed=5")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that decides by a bias, trained and scored."""
    folder = tmp_path_factory.mktemp("decided") / "run"
    assert hfft("run", "tiny_textcls", *WORDS, "--output-dir", str(folder)) == 0
    assert hfft("eval", str(folder)) == 0
    return RunFolder.existing(folder)


def test_answers_are_those_of_the_bias_and_probabilities_stay(run):
    stored = read_json(run.decision)
    assert stored["by"] == "logit_bias" and stored["form"] == biasing.FORM and stored["metric"] == "f1_macro"
    for split in ("validation", "test"):
        found = Predictions.read(run.predictions(split))
        bias = biasing.read(run.decision, found.names)
        assert bias.any() and (found.predicted == biasing.decided(found.scores, bias)).all()
        assert (found.predicted != found.scores.argmax(axis=1)).any()
        assert found.scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    held = Predictions.read(run.predictions("validation"))
    assert (bias == biasing.tune(held.scores, held.labels, answering.value_of("f1_macro", held.names))).all()
    assert sum(one["rows"] for one in stored["classes"].values()) == stored["rows"] == held.n
    assert stored["changed"] == (held.predicted != held.scores.argmax(axis=1)).sum()


def test_adjustment_takes_the_shares_of_the_training_rows(run, tmp_path):
    held = Predictions.read(run.predictions("validation"))
    counts = read_json(run.split)["counts"]["train"]
    wanted = recipe.load("tiny_textcls", ("decide.by=logit_adjustment", "decide.tau=0.5"))
    folder = RunFolder(tmp_path)
    made = answering.settled(folder, wanted, held, counts)
    shares = np.array([counts[name] for name in held.names]) / sum(counts.values())
    assert (made.predicted == (np.log(held.scores.astype(float)) - 0.5 * np.log(shares)).argmax(axis=1)).all()
    stored = read_json(folder.decision)
    assert stored["from"] == "train" and stored["rows"] == sum(counts.values()) and stored["tau"] == 0.5
    assert "decided by log-probability less 0.5 log(share of the class in train)" in answering.sentence(folder)
    plain = recipe.load("tiny_textcls")
    assert answering.settled(RunFolder(tmp_path / "other"), plain, held, counts) is held
    assert not (tmp_path / "other").exists() and answering.sentence(RunFolder(tmp_path / "other")) == ""


def test_every_answer_is_decided(run, capsys):
    """predict, classes, mistakes, probes, scores and explain say what the predictions file says."""
    found = Predictions.read(run.predictions("test"))
    likeliest = found.scores.argmax(axis=1)
    rows = pq.read_table(run.mistakes("test")).to_pylist()
    place = {row: i for i, row in enumerate(found.ids)}
    assert rows and all(found.names[found.predicted[place[row["id"]]]] == row["prediction"] for row in rows)
    moved = next(row for row in rows if likeliest[place[row["id"]]] != found.predicted[place[row["id"]]])
    handle = api.load(run.root)
    (given,), (raw,) = handle.predict([moved["text"]]), handle.predict([moved["text"]], calibrated=False)
    assert next(iter(given)) == next(iter(raw)) == moved["prediction"] == handle.classes([moved["text"]])[0][0]
    others = list(raw.values())[1:]
    assert others == sorted(others, reverse=True) and max(others) >= raw[moved["prediction"]]
    assert sum(given.values()) == pytest.approx(1, abs=1e-5)
    from hfft import answers

    cells = answers.read(run.probed("test"))
    same = cells[answers.AS_IT_IS]
    assert (same.predicted == found.predicted[[place[row] for row in same.ids]]).all()
    assert run.read_scores()["test"] == scoring.score(found, recipe.load(str(run.root)).metrics)
    capsys.readouterr()
    assert hfft("explain", str(run.root), moved["text"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["explained"][0]["prediction"] == moved["prediction"]


def test_page_and_card_say_how_and_the_cards_code_gives_the_answer(run):
    page, card = run.report.read_text(), (run.model / "README.md").read_text()
    for text in (page, card):
        assert "tuned for f1" in text.replace("\\", "") and "decided by a bias per class" in text
    assert "the bias that answers are decided by" in page
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(code) == 2 and "import json, math, pathlib" in code[1]
    mistakes = pq.read_table(run.mistakes("test")).to_pylist()
    text = min((row for row in mistakes), key=lambda row: row["confidence"])
    source = "\n".join(code).replace("PATH_OR_HUB_ID_OF_THIS_MODEL", str(run.model))
    source = source.replace("PATH_OF_THIS_MODEL", str(run.model))
    source = source.replace('"a text of the kind it was trained on"', repr(text["text"]))
    space: dict = {}
    exec(source, space)
    assert space["answer"] == text["prediction"]


def test_promises_are_about_the_answers_given(run):
    """Confidence is the probability of the decided class, when the threshold is chosen and when it is judged."""
    from hfft import abstaining, calibrating, tempering, withholding

    found = Predictions.read(run.predictions("validation"))
    stored = calibrating.stored(run)
    half = calibrating.first_half(found)
    other = found.where(~half)
    scores = tempering.apply(other.scores, stored["temperature"]["value"])
    wanted = recipe.load(str(run.root)).abstain
    answer = scores[np.arange(other.n), other.predicted]
    promise = abstaining.promised(answer, other.predicted != other.labels, wanted.max_error, wanted.confidence)
    assert stored["abstain"]["threshold"] == promise.threshold and stored["abstain"]["n"] == other.n
    assert (other.predicted != scores.argmax(axis=1)).any()
    sets = withholding.chosen(scores, other.labels, scores.argmax(axis=1), other.names, wanted)["sets"]
    assert sets == stored["sets"], "sets know no answer"


def test_a_lost_or_foreign_decision_is_told_and_no_look_is_taken(run, capsys):
    from hfft import ledger

    kept, looks = run.decision.read_text(), ledger.read(run).count
    run.decision.unlink()
    for words in (["eval", str(run.root)], ["probe", str(run.root)], ["explain", str(run.root), "a text"]):
        assert hfft(*words) == 2
        assert "decision.json is not in its model folder" in capsys.readouterr().err
    run.decision.write_text(kept.replace("negative", "nogative"))
    assert hfft("eval", str(run.root)) == 2 and "expected biases of" in capsys.readouterr().err
    run.decision.write_text(kept)
    assert ledger.read(run).count == looks


def test_check_rehearses_the_decision(capsys, monkeypatch):
    from hfft import ending

    settled = answering.settled
    words = ("check", "tiny_textcls", "data.limit=200", "decide.by=logit_bias")
    assert hfft(*words, "decide.metric=log_loss", "--fast") == 2
    assert "decide.metric: no 'log_loss' of all answers" in capsys.readouterr().err
    calls = []
    monkeypatch.setattr(ending.answering, "settled", lambda *given: calls.append(given) or settled(*given))
    assert hfft(*words) == 0 and len(calls) == 1


def test_all_shares_of_a_small_problem_by_hand():
    """Every bias on a grid of two coordinates: the coordinate search loses little against trying all."""
    random = np.random.default_rng(3)
    labels = random.choice(3, 300, p=[0.7, 0.2, 0.1])
    seen = random.normal(size=(300, 3))
    seen[np.arange(300), labels] += 1.5
    scores = softmax(1.5 * seen + np.log([0.7, 0.2, 0.1]), axis=1)
    grid = [np.array([0.0, b, c]) for b, c in itertools.product(np.linspace(-2, 3, 26), repeat=2)]
    best = max(f1(labels, biasing.decided(scores, bias), 3) for bias in grid)
    plain = f1(labels, scores.argmax(axis=1), 3)
    tuned = f1(labels, biasing.decided(scores, biasing.tune(scores, labels, VALUE)), 3)
    assert plain < tuned and tuned >= plain + 0.4 * (best - plain)
