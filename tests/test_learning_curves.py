"""`hfft learn-curve`: what points and sentences say, the verb through the real command line, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from hfft import curve_figures, curve_telling, extrapolating, learning_curves, relabelling, resamples, scoring
from hfft.errors import InputError
from hfft.power_law import Fit
from hfft.records import CURVE, Predictions, read_json
from tests.command import hfft

NAMES = ("a", "b", "c")
SIZES = (100, 250, 500, 1000)
SHORT = ("data.limit=150", "train.max_steps=2", "train.learning_rate=0.02", "train.per_device_train_batch_size=32")
WORDS = ("learn-curve", "tiny_textcls", *SHORT, "--shares", "0.1,0.4,1")


def answered(wrong: np.ndarray, labels: np.ndarray) -> Predictions:
    """Predictions that err where `wrong` says so."""
    said = np.where(wrong, (labels + 1) % 3, labels)
    ids = np.array([f"r{i}" for i in range(len(labels))], dtype=object)
    return Predictions(ids, labels, said, np.eye(3, dtype=np.float32)[said], NAMES)


def parts(errors, rows: int, seeds: int = 1, noise: float = 0.0, seed: int = 3) -> list[list[Predictions]]:
    """Answers of shares with these errors; what is hard is hard for all."""
    random = np.random.default_rng(seed)
    labels, hard = random.integers(0, 3, rows), random.random(rows)
    return [
        [answered(hard + 0.1 * random.standard_normal(rows) < e + noise * random.standard_normal(), labels)
         for _ in range(seeds)]
        for e in errors
    ]  # fmt: skip


def test_covariance_is_that_of_shared_rows():
    runs = parts((0.4, 0.3, 0.2, 0.15), 900)
    curve = extrapolating.curves(runs, ["accuracy"])["accuracy"]
    wrong = np.array([run.predicted != run.labels for (run,) in runs], dtype=float)
    expected = np.cov(wrong) / 900
    assert curve.values == pytest.approx(1 - wrong.mean(axis=1)) and curve.noise is None
    assert np.abs(curve.covariance - np.diag(np.full(4, 2 / 900**2)) - expected).max() < 0.12 * expected.max()
    assert curve.covariance[0, 3] > 0.3 * curve.covariance[3, 3], "hard rows are hard for all"
    low, high = curve.ends()
    assert ((low < curve.values) & (curve.values < high)).all()


def test_seeds_add_their_own_variance_widened_for_their_number():
    runs = parts((0.4, 0.3, 0.2, 0.15), 900, seeds=3, noise=0.03)
    curve = extrapolating.curves(runs, ["accuracy", "f1"])["accuracy"]
    each = np.array([[(run.predicted == run.labels).mean() for run in part] for part in runs])
    assert curve.noise == pytest.approx(np.sqrt(each.var(axis=1, ddof=1).mean()))
    alone = extrapolating.curves([part[:1] for part in runs], ["accuracy"])["accuracy"]
    added = curve.noise**2 / 3 * (2.306 / 1.96) ** 2  # Student's t with 8 degrees of freedom
    assert np.diag(curve.covariance).mean() > added
    assert np.diag(curve.covariance).mean() < added + np.diag(alone.covariance).mean()


def test_models_that_agree_leave_doubt_of_two_rows():
    runs = parts((0.0, 0.0, 0.0, 0.0), 200)
    same = [[answered(np.zeros(200, dtype=bool), runs[0][0].labels)]] * 4
    curve = extrapolating.curves(same, ["accuracy"])["accuracy"]
    assert np.diag(curve.covariance) == pytest.approx(2 / 180**2, rel=0.3) and (curve.values == 1).all()
    facts, fit = extrapolating.judged(SIZES, same, ["accuracy"], "accuracy")
    assert fit.gain(1, 2).low == 0 and 0.001 < facts["curves"]["accuracy"]["doubled"]["high"] < 0.02


def test_many_models_of_many_classes_are_told_apart():
    """Codes of more than 64 bits would wrap, and merge rows on which models part."""
    random = np.random.default_rng(0)
    labels, guesses = random.integers(0, 64, 300), [random.integers(0, 64, 300) for _ in range(13)]
    together = resamples.sample(labels, guesses, 64)
    assert together.draws == 300 and len(together.times) == 300
    for model, guess in enumerate(guesses):
        assert together.counts(together.times, model).hits.sum() == (guess == labels).sum()


@pytest.mark.parametrize(
    ("errors", "rows", "verdict", "told"),
    [
        ((0.5, 0.36, 0.28, 0.22), 900, "worth", "Twice the training rows (1,000 → 2,000) would be worth +"),
        ((0.2, 0.2, 0.2, 0.2), 9000, "flat", "More data of this kind will not help: twice the training rows"),
        ((0.2, 0.19, 0.2, 0.19), 150, "cannot tell", "Too little to tell: twice the training rows"),
        ((0.2, 0.3, 0.35, 0.5), 900, "falling", "accuracy did not rise with the rows (0.8"),
    ],
)
def test_the_verdict_and_its_sentence(errors, rows, verdict, told):
    facts, _ = extrapolating.judged(SIZES, parts(errors, rows), ["accuracy"], "accuracy")
    shown = {"metric": "accuracy", "same_steps": False, "max_steps": None, "relabelling": None}
    for point, size in zip(facts["points"], SIZES, strict=True):
        point["share"] = size / 1000
    said = curve_telling.sentences(facts | shown)
    assert facts["verdict"] == verdict and said[0].startswith(told)
    assert said[1].startswith("A trial of that: fitted without the most rows, the law foretells 0.")
    assert ("outside" in said[1]) == (verdict == "falling")
    assert "10 % of the rows got 10 % of the steps" in said[2] and "--same-steps" in said[2]
    assert said[3].startswith("One seed: ")
    equal = curve_telling.sentences(facts | shown | {"same_steps": True})[2]
    assert equal.startswith("Every share trained as many steps as the most rows, 10 % of them for more epochs: ")
    assert "30 steps" in curve_telling.sentences(facts | shown | {"max_steps": 30})[2]


def test_three_points_check_nothing_and_say_so():
    facts, _ = extrapolating.judged(SIZES[:3], parts((0.5, 0.36, 0.28), 900), ["accuracy"], "accuracy")
    for point in facts["points"]:
        point["share"] = point["rows"] / 500
    shown = {"metric": "accuracy", "same_steps": False, "max_steps": None, "relabelling": None}
    assert facts["foretold"] is None
    assert "3 shares fit three parameters" in curve_telling.sentences(facts | shown)[-1]


def test_where_things_lie_in_the_picture():
    facts, _ = extrapolating.judged(SIZES, parts((0.5, 0.36, 0.28, 0.22), 900), ["accuracy"], "accuracy")
    drawn = curve_figures.figure(facts | {"metric": "accuracy"})
    xs = [mark["x"] for mark in drawn["points"]]
    assert xs == sorted(xs) and drawn["last"] == xs[-1] < drawn["twice"]["x"] < 100
    assert xs[2] - xs[1] == pytest.approx(xs[3] - xs[2], abs=0.05), "rows are on a logarithmic axis"
    assert all(mark["high"] < mark["value"] < mark["low"] for mark in (*drawn["points"], drawn["twice"]))
    assert [tick["rows"] for tick in drawn["xs"]] == [*SIZES, 2000]
    first, last = (tuple(map(float, drawn["fit"].split()[place].split(","))) for place in (0, -1))
    assert first[0] == xs[0] and last[0] == xs[-1] and drawn["beyond"].startswith(drawn["fit"].split()[-1])
    wide = curve_figures.figure(facts | {"metric": "accuracy", "points": facts["points"][:1] + facts["points"]})
    assert len(wide["xs"]) == 5, "labels that would lie on one another are left out"


def test_what_relabelling_could_be_worth():
    labels = np.arange(300) % 3
    wrong = np.arange(300) < 60
    answers = answered(wrong, labels)
    doubts = [{"split": "validation", "id": f"r{i}"} for i in (*range(20), 200)] + [{"split": "train", "id": "x"}]
    audit = {
        "splits": {
            "validation": {"n": 300, "flagged": 21, "disagreed": 60, "low": 0.04, "high": 0.1},
            "train": {"n": 1000, "flagged": 100, "disagreed": 90, "low": 0.08, "high": 0.12},
        },
        "doubts": doubts,
    }
    errors = 0.1 + 0.1 * (np.array(SIZES) / 1000) ** -0.5
    fit = Fit(np.array(SIZES), errors, np.eye(4) * 1e-6)
    found = relabelling.told(audit, answers, fit, ["accuracy"], "accuracy")
    assert found["validation"]["turned"] == 20 and found["validation"]["weak"]
    assert found["validation"]["score"] == pytest.approx(0.8) and found["validation"]["at_most"] == pytest.approx(
        260 / 300
    )
    assert found["train"]["at_least"]["value"] == pytest.approx(0.1 * (1 - 0.9**0.5), abs=5e-4)
    held, train = found["sentences"]
    assert "21 of 300 validation labels look wrong, which is an estimate and no proof" in held
    assert "is 0.8667 and not 0.8000: the most" in held and "disagrees with 20% of all labels" in held
    assert "at least +0.5 points of accuracy" in train and "If they are right, it is worth nothing." in train
    assert "own mistakes" not in train
    none = {"splits": {"validation": audit["splits"]["validation"] | {"flagged": 0}}, "doubts": []}
    quiet = relabelling.told(none, answers, fit, ["accuracy"], "accuracy")
    assert quiet["train"] is None and quiet["sentences"][0].startswith("No label of 300 validation rows looks wrong")


def test_metrics_that_need_probabilities_are_left_out():
    assert extrapolating.counted(["log_loss", "f1"]) == ["f1"]
    assert extrapolating.counted(["log_loss"]) == ["accuracy"]


def test_labels_that_cannot_be_judged_stop_nothing(monkeypatch, tmp_path):
    (member,) = learning_curves._planned("tiny_textcls", (), str(tmp_path), (0.2, 0.5, 1.0), 1, False)[1][2:]

    def missing(*_):
        raise InputError("cleanlab is missing; type pip install 'hfft[labels]'")

    monkeypatch.setattr(learning_curves.auditing, "labels", missing)
    told = learning_curves._audited(member, print)
    assert told == "Nothing is said about relabelling: cleanlab is missing; type pip install 'hfft[labels]'"
    several = replace(member, wanted=replace(member.wanted, data=replace(member.wanted.data, multi_label=True)))
    assert "only doubted where a row has one class" in learning_curves._audited(several, print)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three shares; Ctrl-C in the second, then in the labels, then finished."""
    root = tmp_path_factory.mktemp("runs") / "curve"
    trained, seen, read = learning_curves.verbs.run, [], []
    reading = learning_curves.gathering.loading.read

    def interrupted(*given):
        seen.append(given[2])
        if len(seen) == 2:
            raise KeyboardInterrupt
        return trained(*given)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_curves.verbs, "run", interrupted)
        patch.setattr(learning_curves.gathering.loading, "read", lambda *given: read.append(1) or reading(*given))
        patch.setattr(learning_curves.verbs.judging, "publish", lambda _: [])  # no page of a share is looked at here
        assert hfft(*WORDS, "--output-dir", str(root)) == 130
        assert not (root / CURVE).exists()
        patch.setattr(learning_curves.auditing, "labels", stop)
        assert hfft(*WORDS, "--output-dir", str(root), "--resume") == 130
        assert "Stopped before labels were looked at" in read_json(root / CURVE)["stopped"]
        assert len(seen) == 4 and len(read) == 2, "finished shares are not trained again, and the file is read once"
    assert hfft(*WORDS, "--output-dir", str(root), "--resume") == 0
    return root


def test_shares_are_whole_runs_on_the_same_validation_rows(folder):
    facts = read_json(folder / CURVE)
    rows = [
        pq.read_table(folder / f"share-{share}-seed-42" / "split.parquet").to_pylist() for share in ("0.1", "0.4", "1")
    ]
    found = [{name: {row["id"] for row in part if row["split"] == name} for name in ("train", "validation", "test")}
             for part in rows]  # fmt: skip
    assert found[0]["train"] < found[1]["train"] < found[2]["train"]
    assert found[0]["validation"] == found[1]["validation"] == found[2]["validation"]
    assert found[0]["test"] == found[2]["test"] and not list(folder.rglob("ledger.*"))
    assert [point["rows"] for point in facts["points"]] == [len(part["train"]) for part in found]
    for point in facts["points"]:
        run = Predictions.read(folder / point["members"][0] / "predictions" / "validation.parquet")
        assert point["scores"]["accuracy"]["value"] == scoring.score(run, ["accuracy"])["accuracy"].value
        assert point["seeds"] == 1
    assert facts["metric"] == "f1_macro" and facts["n"] == len(found[0]["validation"])
    assert "stopped" not in facts and facts["max_steps"] == 2
    assert facts["relabelling"]["train"]["n"] > 0.9 * facts["points"][-1]["rows"]


def test_the_page_and_the_terminal_say_the_same(folder, capsys):
    facts = read_json(folder / CURVE)
    assert hfft(*WORDS, "--output-dir", str(folder), "--resume", "--no-labels") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("is there already, passed over") == 3
    page = (folder / learning_curves.PAGE).read_text()
    assert facts["sentences"][0][:60] in out and "polyline" in page and "twice" in page
    assert "The test split is not opened." in out and "The test split is not opened." in page
    assert hfft(*WORDS, "--output-dir", str(folder), "--resume", "--no-labels", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["relabelling"] is None and again["points"] == facts["points"] and again["curves"] == facts["curves"]


def test_too_few_shares_at_ctrl_c_say_so(tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(learning_curves.verbs, "run", stop)
    assert hfft(*WORDS, "--output-dir", str(tmp_path / "new")) == 130
    assert "0 of 3 shares are finished, and a curve needs 3: --resume goes on." in capsys.readouterr().out


def test_same_steps_and_seeds_make_the_members(tmp_path):
    words = ("train.num_train_epochs=2", "seed=5")
    _, made = learning_curves._planned("tiny_textcls", words, str(tmp_path), (0.1, 0.5, 1.0), 2, True)
    assert [member.run.root.name for member in made] == [
        f"share-{share}-seed-{seed}" for seed in (5, 6) for share in ("0.1", "0.5", "1")
    ]
    assert [member.wanted.train["num_train_epochs"] for member in made[:3]] == [20, 4, 2]
    assert {member.wanted.split_seed for member in made} == {5} and made[3].wanted.data.train_share == 0.1
    steps = learning_curves._planned("tiny_textcls", ("train.max_steps=9",), None, (0.1, 0.5, 1.0), 1, True)[1]
    assert "num_train_epochs" not in steps[0].wanted.train or steps[0].wanted.train["max_steps"] == 9


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--shares", "0,0.5,1"), "--shares: 0 is no share; expected more than 0 and at most 1"),
        (("--shares", "0.1,0.5,1.5"), "--shares: 1.5 is no share"),
        (("--shares", "0.1,0.5,0.2,1"), "--shares: expected each once, the smallest first, got 0.1, 0.5, 0.2, 1"),
        (("--shares", "0.1,0.5,0.5,1"), "--shares: expected each once, the smallest first"),
        (("--shares", "0.5,1"), "--shares: a curve needs 3 shares or more, got 2"),
        (("--shares", "a,b,c"), "--shares: expected numbers with commas between them, got 'a,b,c'"),
        (("--shares", "nan,0.5,1"), "--shares: nan is no share"),
        (("--seeds", "0"), "--seeds: expected 1 or more, got 0"),
        (("data.train_share=0.5",), "hfft learn-curve sets the share itself; type --shares"),
        (("data.streaming=true",), "shares need all rows at once; type data.streaming=false"),
        (("--resume",), "there is nothing to resume"),
        (("--shares", "0.01,0.5,1"), "--shares: 0.01 of"),
    ],
)
def test_what_cannot_be_is_told(words, told, capsys, tmp_path):
    assert hfft(*WORDS, *words, "--output-dir", str(tmp_path / "new")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert told in said and "Traceback" not in said
    assert not (tmp_path / "new").exists()


def test_what_is_there_is_never_overwritten(folder, capsys, tmp_path):
    assert hfft(*WORDS, "--output-dir", str(folder)) == 2
    assert "already holds share-0.1-seed-42, share-0.4-seed-42, share-1-seed-42; type `hfft learn-curve" in (
        capsys.readouterr().err
    )
    assert hfft(*WORDS, "train.max_steps=3", "--output-dir", str(folder), "--resume") == 2
    assert "was made with another recipe" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("mine")
    assert hfft(*WORDS, "--output-dir", str(tmp_path)) == 2
    assert "holds something else than a learning curve (notes.txt)" in capsys.readouterr().err
