"""`hfft cv`, through the real command line: folds that hold what they promise, what they say, and what is refused."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest

from hfft import corrected, folding, gathering, ledger, priming, progress, recipe, repeating, scoring
from hfft.records import FOLDS, HELD_OUT, Predictions, read_json
from hfft.references import sha256
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import CONTEXT

SHORT = ("data.limit=150", "train.max_steps=3", "train.learning_rate=0.02", "train.per_device_train_batch_size=32")
WORDS = ("cv", "tiny_textcls", *SHORT, "--folds", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three folds; the second was interrupted and went on."""
    root = tmp_path_factory.mktemp("runs") / "folds"
    trained, seen = folding.verbs.run, []
    reading, read = gathering.loading.read, []

    def interrupted(*given):
        seen.append(given[3])
        if len(seen) == 2:
            raise KeyboardInterrupt
        return trained(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding.verbs, "run", interrupted)
        patch.setattr(gathering.loading, "read", lambda *given: read.append(1) or reading(*given))
        patch.setattr(folding.verbs.judging, "publish", lambda _: [])  # no page of a fold is looked at here
        assert hfft(*WORDS, "--output-dir", str(root)) == 130
        before = sha256(root / "fold-1" / "model" / "model.safetensors")
        assert not (root / FOLDS).exists()
        assert hfft(*WORDS, "--output-dir", str(root), "--resume", "--json") == 0
    assert len(seen) == 4, "what was finished is not trained again"
    assert len(read) == 2, "the file is read once each time the command is typed"
    assert sha256(root / "fold-1" / "model" / "model.safetensors") == before
    return root


def places(root, member: str) -> dict[str, set[str]]:
    """split → ids of its rows."""
    table = pq.read_table(root / member / "split.parquet").to_pylist()
    return {name: {row["id"] for row in table if row["split"] == name} for name in {row["split"] for row in table}}


def test_every_row_is_held_out_once_and_the_test_split_never_touched(folder, tmp_path):
    assert hfft("run", "tiny_textcls", *SHORT, "--output-dir", str(tmp_path / "plain")) == 0
    plain, found = places(tmp_path, "plain"), [places(folder, f"fold-{fold}") for fold in (1, 2, 3)]
    pool = plain["train"] | plain["validation"]
    assert set.union(*(part[HELD_OUT] for part in found)) == pool and sum(len(p[HELD_OUT]) for p in found) == len(pool)
    for part in found:
        assert set(part) == {"train", "validation", "test", HELD_OUT} and part["test"] == plain["test"]
        assert sum(map(len, part.values())) == len(set.union(*part.values())), "no row is in two splits"
        assert part["train"] | part["validation"] | part[HELD_OUT] <= pool
    assert not list(folder.rglob("ledger.*")) and not list(folder.rglob("test*.parquet"))
    for fold in (1, 2, 3):
        assert ledger.read(RunFolder(folder / f"fold-{fold}")).count == 0


def test_the_answers_are_those_of_models_that_did_not_see_the_rows(folder):
    table = pq.read_table(folder / "predictions" / "out_of_fold.parquet")
    whole, start = Predictions.of(table), 0
    for fold in (1, 2, 3):
        part = Predictions.read(RunFolder(folder / f"fold-{fold}").predictions(HELD_OUT))
        rows = slice(start, start + part.n)
        assert whole.ids[rows].tolist() == part.ids.tolist() and set(table["fold"].to_pylist()[rows]) == {fold}
        assert (whole.scores[rows] == part.scores).all() and set(part.ids) == places(folder, f"fold-{fold}")[HELD_OUT]
        start += part.n
    assert start == whole.n == table.num_rows


def test_means_and_intervals_are_those_of_the_folds(folder, capsys):
    facts = read_json(folder / FOLDS)
    parts = [Predictions.read(RunFolder(folder / name).predictions(HELD_OUT)) for name in facts["members"]]
    values = [scoring.score(part, ["f1"])["f1_macro"].value for part in parts]
    sizes = [{name: len(rows) for name, rows in places(folder, member).items()} for member in facts["members"]]
    ratio = np.mean([size[HELD_OUT] / size["train"] for size in sizes])
    expected = corrected.mean(values, float(ratio), bounded=True)
    made = facts["scores"]["f1_macro"]
    assert (made["mean"], made["low"], made["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
    assert [{name: size[name] for name in sizes[0]} for size in facts["sizes"]] == sizes
    assert facts["out_of_fold"]["accuracy"]["n"] == sum(part.n for part in parts)
    assert read_json(folder / "metrics.json")["out_of_fold"]["accuracy"] == facts["out_of_fold"]["accuracy"]
    assert hfft(*WORDS, "--output-dir", str(folder), "--resume") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("is there already, passed over") == 3 and facts["sentences"][0][:60] in out
    assert "test rows took no part" in out and read_json(folder / FOLDS) == facts
    page = (folder / "folds.html").read_text()
    assert "Nadeau" in page and "fold-3" in page and f"{made['mean']:.3f}" in page


def test_what_is_finished_at_ctrl_c_is_judged(folder, tmp_path, capsys, monkeypatch):
    """With two folds of three; one alone has no spread."""
    root = tmp_path / "stopped"
    shutil.copytree(folder, root)
    for gone in (root / "fold-3", root / "predictions"):
        shutil.rmtree(gone)

    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(folding.verbs, "run", pressed)
    assert hfft(*WORDS, "--output-dir", str(root), "--resume", "--json") == 130
    facts = json.loads(capsys.readouterr().out)
    assert (
        hfft("eval", str(root)) == 2 and "lacks folds: type the same `hfft cv` with --resume" in capsys.readouterr().err
    )
    assert facts["stopped"].startswith("Stopped after 2 of 3 folds") and facts["members"] == ["fold-1", "fold-2"]
    sizes = [Predictions.read(RunFolder(root / f"fold-{fold}").predictions(HELD_OUT)).n for fold in (1, 2)]
    assert (
        facts["out_of_fold"]["accuracy"]["n"] == sum(sizes)
        and "Stopped after 2 of 3" in (root / "folds.html").read_text()
    )


def test_two_recipes_are_compared_over_the_same_folds(folder, tmp_path, capsys, monkeypatch):
    other = tmp_path / "other"
    monkeypatch.setattr(folding.verbs.judging, "publish", lambda _: [])
    words = ("train.max_steps=12", "--output-dir", str(other))
    assert hfft(*WORDS, *words) == 0
    capsys.readouterr()
    assert hfft("compare", str(folder), str(other), "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    means = [read_json(root / FOLDS)["scores"]["accuracy"]["mean"] for root in (folder, other)]
    assert found["differences"]["accuracy"]["mean"] == pytest.approx(means[1] - means[0], abs=1e-12)
    assert found["verdict"] == ("cannot tell" if found["p"] >= 0.05 else found["verdict"])
    counts = [read_json(root / FOLDS)["out_of_fold"]["accuracy"]["value"] for root in (folder, other)]
    n = read_json(folder / FOLDS)["out_of_fold"]["accuracy"]["n"]
    assert found["won"] - found["lost"] == round((counts[1] - counts[0]) * n)
    assert hfft("compare", str(folder), str(folder)) == 0
    assert "CANNOT TELL. Too small to tell" in capsys.readouterr().out
    assert hfft("compare", str(folder), str(other / "fold-1")) == 2
    assert f"run `hfft eval {folder}` first" in capsys.readouterr().err
    (other / "fold-1").rename(tmp_path / "kept")
    (other / "fold-2").rename(other / "fold-1")
    (tmp_path / "kept").rename(other / "fold-2")
    assert hfft("compare", str(folder), str(other)) == 2
    assert "rows were dealt into other folds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--folds", "1"), "--folds: expected 2 or more, got 1"),
        (("--repeats", "0"), "--repeats: expected 1 or more, got 0"),
        (("data.split.fold=2",), "hfft cv sets the fold itself"),
        (("data.split.by=time",), "folds would train on what comes after"),
        (("data.streaming=true",), "folds need all rows at once"),
        (("--resume",), "there is nothing to resume"),
        (("--folds", "200"), "cannot be dealt into 200 folds"),
        (("--folds", "30"), "rows make folds of about 4, and a score of so few means nothing; type --folds 4 or fewer"),
    ],
)
def test_what_cannot_be_is_told(words, told, capsys, tmp_path):
    assert hfft("cv", "tiny_textcls", *SHORT, *words, "--output-dir", str(tmp_path / "new")) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_what_is_there_is_never_overwritten(folder, capsys, tmp_path):
    assert hfft(*WORDS, "--output-dir", str(folder)) == 2
    assert "already holds fold-1, fold-2, fold-3; type `hfft cv tiny_textcls --resume`" in capsys.readouterr().err
    assert hfft(*WORDS, "seed=1", "--output-dir", str(folder), "--resume") == 2
    assert "was made with another recipe" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("mine")
    assert hfft(*WORDS, "--output-dir", str(tmp_path)) == 2
    assert "holds something else than folds (notes.txt)" in capsys.readouterr().err


def test_with_a_frozen_backbone_features_are_computed_once_for_all_folds(tmp_path, monkeypatch):
    counted = []
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    real = priming.precomputing._computed
    monkeypatch.setattr(priming.precomputing, "_computed", lambda *given: counted.append(1) or real(*given))
    monkeypatch.setattr(folding.verbs.judging, "publish", lambda _: [])
    words = ("cv", "tiny_textcls", *SHORT, "adapt.freeze=backbone", "--folds", "2")
    assert hfft(*words, "--output-dir", str(tmp_path / "once")) == 0
    assert len(counted) == 1, "for all rows together"
    priming.precomputing.remembering.forget()
    monkeypatch.setattr(priming, "features", lambda _: None)
    assert hfft(*words, "--output-dir", str(tmp_path / "each")) == 0
    assert len(counted) == 5, "train and validation of each fold"
    assert not list((tmp_path / "here").iterdir()), "nothing is left in the folder that one is in"
    for fold in (1, 2):
        one, other = (
            Predictions.read(RunFolder(tmp_path / w / f"fold-{fold}").predictions(HELD_OUT)) for w in ("once", "each")
        )
        assert one.ids.tolist() == other.ids.tolist() and np.abs(one.scores - other.scores).max() < 1e-5


def test_repeats_deal_anew_and_count_a_row_as_one_witness(tmp_path, monkeypatch):
    monkeypatch.setattr(folding.verbs.judging, "publish", lambda _: [])
    root = tmp_path / "twice"
    assert hfft("cv", "tiny_textcls", *SHORT, "--folds", "2", "--repeats", "2", "--output-dir", str(root)) == 0
    found = [places(root, f"fold-{fold}")[HELD_OUT] for fold in (1, 2, 3, 4)]
    assert found[0] | found[1] == found[2] | found[3] and found[0] not in (found[2], found[3])
    whole = Predictions.read(root / "predictions" / "out_of_fold.parquet")
    assert whole.n == 2 * len(found[0] | found[1]) and whole.groups is not None
    assert len(set(whole.groups)) == whole.n / 2
    wanted = recipe.load(str(root / "fold-3"))
    assert (wanted.data.split.folds, wanted.data.split.fold) == (2, 3)
    assert repeating.recipe.load("tiny_textcls").data.split.folds is None


STEPS = ("train.save_strategy=steps", "train.save_steps=2", "train.eval_strategy=steps", "train.eval_steps=2")
TWO = ("cv", "tiny_textcls", "data.limit=120", "train.max_steps=4", *STEPS, "train.learning_rate=0.02", "--folds", "2")


def _killed(root: str) -> None:
    """A process that is killed at the third step of its second fold."""
    count, stepped = [], progress.ProgressLine.on_step_end

    def step(self, args, state, control, **more):
        count.append(1)
        if len(count) == 4 + 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return stepped(self, args, state, control, **more)

    progress.ProgressLine.on_step_end = step
    hfft(*TWO, "--output-dir", root)


def test_killed_in_a_fold_and_started_again_the_answers_are_the_same(tmp_path, monkeypatch, capsys):
    process = CONTEXT.Process(target=_killed, args=(str(tmp_path / "killed"),))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL and not (tmp_path / "killed" / FOLDS).exists()
    assert (tmp_path / "killed" / "fold-2" / "checkpoints" / "checkpoint-2").is_dir()
    before = sha256(tmp_path / "killed" / "fold-1" / "model" / "model.safetensors")
    monkeypatch.setattr(folding.verbs.judging, "publish", lambda _: [])
    assert hfft(*TWO, "--output-dir", str(tmp_path / "killed"), "--resume") == 0
    assert "resuming from" in capsys.readouterr().out
    assert sha256(tmp_path / "killed" / "fold-1" / "model" / "model.safetensors") == before
    assert hfft(*TWO, "--output-dir", str(tmp_path / "whole")) == 0
    one, other = (Predictions.read(tmp_path / w / "predictions" / "out_of_fold.parquet") for w in ("killed", "whole"))
    assert one.ids.tolist() == other.ids.tolist() and (one.scores == other.scores).all()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file data/0"),
        ValueError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_sentence_and_finished_folds_stay(error, tmp_path, monkeypatch, capsys):
    def no_room(*_):
        raise error

    trained = []
    monkeypatch.setattr(folding.holding, "out", lambda name: trained.append(name) or no_room())
    monkeypatch.setattr(folding.verbs, "run", lambda *_: None)
    assert hfft(*TWO, "--output-dir", str(tmp_path / "new")) == 2
    told = capsys.readouterr().err
    assert "no space is left on this disk; make room, then type `hfft cv tiny_textcls --resume`" in told
    assert "Traceback" not in told and len(trained) == 1


def rows_of(path, classes, groups=None) -> None:
    """A file of different texts."""
    with path.open("w", newline="") as file:
        lines = [(f"{name} word{i} is number {i * i}", name) for i, name in enumerate(classes)]
        head = ("text", "label") if groups is None else ("text", "label", "group")
        csv.writer(file).writerows(
            [head, *(lines if groups is None else [(*a, b) for a, b in zip(lines, groups, strict=True)])]
        )


def made_of(path, *words: str) -> tuple[str, ...]:
    return (*TWO[:2], f"data.data_files={path}", "data.options={}", "data.columns={text: text, label: label}",
            "data.limit=null", "train.max_steps=1", *words)  # fmt: skip


def test_folds_of_other_data_are_not_judged_together(tmp_path, monkeypatch, capsys):
    rows = tmp_path / "rows.csv"
    rows_of(rows, ["a", "b"] * 30)
    words = (*made_of(rows), "--folds", "2", "--output-dir", str(tmp_path / "cv"))
    held = folding.holding.out
    stop = lambda name: held(name) if name.endswith("1") else (_ for _ in ()).throw(KeyboardInterrupt)  # noqa: E731
    monkeypatch.setattr(folding.verbs.judging, "publish", lambda _: [])
    monkeypatch.setattr(folding.holding, "out", stop)
    assert hfft(*words) == 130
    rows_of(rows, ["a", "b"] * 31)
    capsys.readouterr()
    assert hfft(*words, "--resume") == 2
    told = capsys.readouterr().err
    assert "the data has changed since fold-1 was trained; bring it back, or type --output-dir FOLDER" in told
    assert RunFolder(tmp_path / "cv" / "fold-1").predictions(HELD_OUT).is_file()


def test_a_class_with_fewer_rows_than_folds_and_one_group_only(tmp_path, monkeypatch, capsys):
    rows = tmp_path / "rows.csv"
    rows_of(rows, ["a", "b"] * 30 + ["rare"] * 3)
    monkeypatch.setattr(folding.verbs.judging, "publish", lambda _: [])
    root = tmp_path / "cv"
    assert hfft(*made_of(rows), "--folds", "3", "--output-dir", str(root)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "fewer distinct inputs than folds, so not in every fold: rare (2)" in out
    assert read_json(root / FOLDS)["out_of_fold"]["f1[rare]"]["n"] and "undefined" in (root / "folds.html").read_text()
    rows_of(rows, ["a", "b"] * 30, ["g"] * 60)
    grouped = (*made_of(rows)[:3], "data.options={}", "data.columns={text: text, label: label, group: group}",
               "data.limit=null", "data.split.by=group")  # fmt: skip
    assert hfft(*grouped, "--folds", "3", "--output-dir", str(tmp_path / "one")) == 2
    told = capsys.readouterr().err
    assert "1 group (g) cannot be dealt into 3 splits; expected at least 3" in told and not (tmp_path / "one").exists()
