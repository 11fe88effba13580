"""`hfft tune`, through the real command line: what is tried, what is kept, what that is worth, what is refused."""

from __future__ import annotations

import html
import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hfft import recipe, spaces, studies, trialling, tuning
from hfft.records import Predictions, read_json
from hfft.watching import OUTSIDE
from tests.command import hfft

SHORT = ("data.limit=150", "train.max_steps=2", "train.per_device_train_batch_size=32")
RATE = ("--space", "train.learning_rate=1e-5..1e-1")
NAMES = ("no", "yes")


def worth(words) -> float:
    """A true accuracy with its peak, 0.9, at a learning rate of 1e-3."""
    rate = next((float(word.partition("=")[2]) for word in words if word.startswith("train.learning_rate")), 1e-5)
    return 0.9 - 0.1 * abs(math.log10(rate) + 3)


@pytest.fixture
def quick(monkeypatch):
    """Trials take no time: answers to 400 rows as right as `worth` says, one validation on the way. Gives the words."""
    seen: list[tuple[str, ...]] = []

    def trained(name, words, folder, resume, say):
        seen.append(
            tuple(word for word in words if not word.startswith(("data.limit", "train.max_steps", "train.per")))
        )
        wanted, root = recipe.load(name, words), Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        (root / "recipe.yaml").write_text(recipe.dump(wanted))
        right = worth(words)
        for watch in OUTSIDE.get():
            state = SimpleNamespace(global_step=1, max_steps=2)
            watch.on_evaluate(None, state, None, {"eval_f1_macro": right})
            watch.on_step_end(None, state, None)
        labels = np.arange(400) % 2
        wrong = np.arange(400) < 400 * (1 - right)
        scores = np.full((400, 2), 0.2, dtype=np.float32)
        scores[np.arange(400), np.where(wrong, 1 - labels, labels)] = 0.8
        (root / "predictions").mkdir(exist_ok=True)
        ids = np.array([f"{row:03}" for row in range(400)])
        Predictions(ids, labels, scores.argmax(axis=1), scores, NAMES).write(
            root / "predictions" / "validation.parquet"
        )
        (root / "model").mkdir(exist_ok=True)

    monkeypatch.setattr(trialling.verbs, "run", trained)
    monkeypatch.setattr(tuning.priming, "features", lambda wanted: None)
    return seen


def test_a_real_search_from_words_to_page(tmp_path, capsys):
    root = tmp_path / "search"
    words = ("tune", "tiny_textcls", *SHORT, *RATE, "--space", "loss=cross_entropy,focal", "--output-dir", str(root))
    assert hfft(*words, "--trials", "3") == 0
    out = " ".join(capsys.readouterr().out.split())
    facts = read_json(root / tuning.FILE)
    assert [row["number"] for row in facts["trials"]] == [0, 1, 2] and "trial 3 of 3 · best f1_macro" in out
    assert facts["plain"] == 0 and facts["trials"][0]["words"] == []
    for row in facts["trials"]:
        run = root / f"trial-{row['number']}"
        assert recipe.load(str(run)) == recipe.load("tiny_textcls", (*SHORT, *row["words"]))
        assert row["value"] == read_json(run / "metrics.json")["validation"]["f1_macro"]["value"]
        assert (run / "model").is_dir() == (row["number"] in (0, facts["best"])), "losers' weights are not kept"
        assert not list(run.glob("ledger*")) and not (run / "predictions" / "test.parquet").exists()
    best = facts["trials"][facts["best"]]
    assert recipe.load(str(root / "best.yaml")) == recipe.load("tiny_textcls", (*SHORT, *best["words"]))
    assert best["value"] == max(row["value"] for row in facts["trials"])
    assert facts["gain"]["gain"] == pytest.approx(best["value"] - facts["trials"][0]["value"])
    page = (root / tuning.PAGE).read_text()
    assert "Expected best" in page and all(sentence[:40] in html.unescape(page) for sentence in facts["sentences"])
    assert hfft(*words, "--trials", "3") == 2 and "already holds trial-0, trial-1, trial-2" in capsys.readouterr().err
    assert hfft(*words, "--trials", "3", "--resume") == 0 and read_json(root / tuning.FILE) == facts


def searched(root, *words: str) -> dict:
    assert hfft("tune", "tiny_textcls", *SHORT, *RATE, "--output-dir", str(root), *words, "--json") == 0
    return read_json(root / tuning.FILE)


def test_it_finds_what_is_there_and_says_that_it_is_more_than_luck(quick, tmp_path):
    facts = searched(tmp_path / "a", "--trials", "25", "--no-pruning")
    best = facts["trials"][facts["best"]]
    assert best["value"] > 0.87 and facts["verdict"] == "better" and facts["gain"]["low"] > 0.05
    assert facts["gain"]["trials"] == 25 and facts["gain"]["n"] == 400
    late = [worth(words) for words in quick[15:]]
    assert np.mean(late) > np.mean([worth(words) for words in quick[1:11]]), "it learns from what it has seen"
    assert len({*quick}) == len(quick) == 25, "no trial twice"


def test_trials_that_are_behind_are_ended_early(quick, tmp_path):
    facts = searched(tmp_path / "a", "--trials", "20")
    ended = [row for row in facts["trials"] if row["state"] == "ended early"]
    assert ended and all(row["value"] is None and row["curve"] for row in ended)
    middle = np.median([row["value"] for row in facts["trials"] if row["value"] is not None])
    assert all(next(iter(row["curve"].values())) < middle for row in ended)
    assert not any((tmp_path / "a" / f"trial-{row['number']}" / "model").exists() for row in ended)


def test_interrupted_and_resumed_it_is_the_same_search(quick, tmp_path, monkeypatch, capsys):
    searched(tmp_path / "a", "--trials", "8")
    undisturbed, trained = quick[:], trialling.verbs.run
    quick.clear()

    def pressed(name, words, folder, *rest):
        if len(quick) == 4:
            Path(folder).mkdir(parents=True)
            (Path(folder) / "half").touch()
            monkeypatch.setattr(trialling.verbs, "run", trained)
            raise KeyboardInterrupt
        trained(name, words, folder, *rest)

    monkeypatch.setattr(trialling.verbs, "run", pressed)
    words = ("tune", "tiny_textcls", *SHORT, *RATE, "--output-dir", str(tmp_path / "b"), "--trials", "8")
    assert hfft(*words) == 130
    captured = capsys.readouterr()
    assert "Stopped after 4 of 8 trials" in captured.out and "the same command and --resume" in captured.err
    assert read_json(tmp_path / "b" / tuning.FILE)["stopped"] and (tmp_path / "b" / "best.yaml").is_file()
    assert hfft(*words, "--resume") == 0
    assert quick[:5] == undisturbed[:5] and len(quick) == 8
    assert not (tmp_path / "b" / "trial-4").exists() and (tmp_path / "b" / "trial-5" / "half").is_file()
    assert "stopped" not in read_json(tmp_path / "b" / tuning.FILE)


def test_what_a_dead_worker_had_is_done_by_another(quick, tmp_path):
    root = tmp_path / "a"
    searched(root, "--trials", "3")
    space, wanted = spaces.read(RATE[1::2]), recipe.load("tiny_textcls", SHORT)
    settings = {"recipe": recipe.dump(wanted), "space": [one.told for one in space], "folds": None, "shares": [1.0]}
    study = studies.opened(None, root, "a", settings, True)
    held = studies.ask(study, space, 5, repr, 0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    held.set_user_attr("pid", dead.pid)
    (root / "trial-3").mkdir()
    (root / "trial-3" / "checkpoint").touch()
    facts = searched(root, "--trials", "5", "--resume")
    rows = {row["number"]: row for row in facts["trials"]}
    assert sorted(rows) == [0, 1, 2, 4, 5], "its number is gone, its values are not"
    assert rows[4]["params"] == studies.params(held, space) and (root / "trial-4" / "checkpoint").is_file()


def test_a_worker_elsewhere_is_dead_when_it_gives_no_sign(tmp_path):
    space = spaces.read(RATE[1::2])
    study = studies.opened(None, tmp_path, "a", {"recipe": ""}, True)
    held = studies.ask(study, space, 5, repr, 0)
    held.set_user_attr("host", "elsewhere")
    assert studies.busy(study) and studies.ask(study, space, 5, repr, 0).number == 1
    held.set_user_attr("alive", time.time() - studies.SILENT - 1)
    again = studies.ask(study, space, 5, repr, 0)
    assert again.user_attrs["again"] == 0 and studies.params(again, space) == studies.params(held, space)
    with pytest.raises(ValueError, match="tell a FAIL"):
        studies.tell(study, held, 1.0, "COMPLETE")


def test_few_combinations_are_all_tried_once(quick, tmp_path):
    root = tmp_path / "a"
    words = ("tune", "tiny_textcls", *SHORT, "--space", "loss=cross_entropy,focal", "--space", "model.max_length=16,32")
    assert hfft(*words, "--output-dir", str(root)) == 0
    assert len(quick) == 4 and {*quick} == {  # the recipe as it is has cross entropy on 32 tokens
        (),
        ("loss=focal", "model.max_length=32"),
        ("loss=cross_entropy", "model.max_length=16"),
        ("loss=focal", "model.max_length=16"),
    }


def test_what_does_not_fit_together_is_told_and_the_others_go_on(quick, tmp_path, capsys):
    words = ("tune", "tiny_textcls", *SHORT, "--space", "loss=cross_entropy,focal", "--space", "loss.gamma=1..3")
    assert hfft(*words, "--trials", "8", "--output-dir", str(tmp_path / "a")) == 0
    facts = read_json(tmp_path / "a" / tuning.FILE)
    failed = [row for row in facts["trials"] if row["state"] == "failed"]
    assert failed and len(failed) < 8 and all("loss=cross_entropy" in row["words"] for row in failed)
    assert all("gamma" in row["why"] for row in failed) and "failed: " in capsys.readouterr().out


def test_one_trial_that_breaks_leaves_the_others(quick, tmp_path, monkeypatch, capsys):
    trained = trialling.verbs.run

    def broken(name, words, folder, *rest):
        trained(name, words, folder, *rest)
        if len(quick) == 3:
            raise RuntimeError("out of memory:\n  tried 4 GiB")

    monkeypatch.setattr(trialling.verbs, "run", broken)
    facts = searched(tmp_path / "a", "--trials", "5")
    assert [row["state"] for row in facts["trials"]].count("finished") == 4
    assert facts["trials"][2]["why"] == "RuntimeError: out of memory: tried 4 GiB"
    assert "Traceback" in (tmp_path / "a" / "trial-2" / "error.txt").read_text()


@pytest.mark.parametrize("first", [0, 2])
def test_a_full_disk_ends_it_and_it_goes_on(quick, tmp_path, monkeypatch, capsys, first):
    trained = trialling.verbs.run

    def full(name, words, folder, *rest):
        if len(quick) == first:
            raise OSError(28, "No space left on device")
        trained(name, words, folder, *rest)

    monkeypatch.setattr(trialling.verbs, "run", full)
    words = ("tune", "tiny_textcls", *SHORT, *RATE, "--output-dir", str(tmp_path / "a"), "--trials", "4")
    assert hfft(*words) == 2 and "no space is left on this disk; make room" in capsys.readouterr().err
    monkeypatch.setattr(trialling.verbs, "run", trained)
    assert hfft(*words, "--resume") == 0
    facts = read_json(tmp_path / "a" / tuning.FILE)
    assert [row["state"] for row in facts["trials"]] == ["finished"] * 4 and len(quick) == 4


def test_a_model_that_answers_one_thing_is_said_to_have_learnt_nothing(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "worth", lambda words: 0.5)
    trained = trialling.verbs.run

    def one_answer(name, words, folder, *rest):
        trained(name, words, folder, *rest)
        path = Path(folder) / "predictions" / "validation.parquet"
        found = Predictions.read(path)
        replace(found, predicted=found.predicted * 0).write(path)

    monkeypatch.setattr(trialling.verbs, "run", one_answer)
    facts = searched(tmp_path / "a", "--trials", "2")
    assert facts["only_answer"] == "no" and "learnt nothing" in " ".join(facts["sentences"])


def test_what_the_recipe_itself_cannot_do_is_told_once(tmp_path, capsys):
    words = ("tune", "tiny_textcls", *SHORT, *RATE, "data.data_files=nowhere.csv", "--output-dir", str(tmp_path / "a"))
    assert hfft(*words) == 2 and "nowhere.csv: no such file" in capsys.readouterr().err
    assert not (tmp_path / "a").exists(), "who corrects the path types the same again"


def test_time_ends_it(quick, tmp_path, monkeypatch):
    now, trained = [1000.0], trialling.verbs.run
    monkeypatch.setattr(tuning.time, "perf_counter", lambda: now[0])

    def slow(*given):
        now[0] += 25.0
        trained(*given)

    monkeypatch.setattr(trialling.verbs, "run", slow)
    facts = searched(tmp_path / "a", "--minutes", "2")
    assert [row["state"] for row in facts["trials"]].count("finished") == 4, "the fifth would end at 125 s"
    assert len(quick) == 5 and facts["trials"][-1]["state"] == "waiting"


def test_time_ends_a_share_too_and_nobody_waits_for_what_it_left(quick, tmp_path, monkeypatch):
    now, trained = [1000.0], trialling.verbs.run
    monkeypatch.setattr(tuning.time, "perf_counter", lambda: now[0])

    def slow(*given):
        now[0] += 25.0
        trained(*given)

    monkeypatch.setattr(trialling.verbs, "run", slow)
    facts = searched(tmp_path / "a", "--minutes", "2.2", "--shares", "0.25,1", "--no-pruning")
    states = [row["state"] for row in facts["earlier"][0]]
    assert states.count("finished") == 2 and states[-1] == "waiting", "the third would end at 75 s, of 66"
    assert facts["trials"][0]["plain"] and facts["trials"][0]["state"] == "finished"


def test_the_best_of_few_rows_go_on_to_more(quick, tmp_path):
    facts = searched(tmp_path / "a", "--trials", "13", "--shares", "0.25,1", "--no-pruning")
    few = [words for words in quick if "data.train_share=0.25" in words]
    full = [words for words in quick if "data.train_share=0.25" not in words]
    assert len(few) == 13 and len(full) == 4, "a quarter of the twelve, and the recipe as it is"
    ranked = sorted(few[1:], key=worth, reverse=True)
    assert {words[-1] for words in full[1:]} == {words[-1] for words in ranked[:3]} and full[0] == ()
    assert facts["gain"]["trials"] == 4 + 9 and len(facts["earlier"][0]) == 13
    assert recipe.load(str(tmp_path / "a" / "best.yaml")).data.train_share == 1.0


def test_folds_score_a_trial(tmp_path, monkeypatch):
    told = []

    def folded(name, words, folder, folds, repeats, resume, say, after):
        value = worth(words)
        for fold in range(1, folds + 1):
            after([value] * fold)
            told.append(folder)
        return {"scores": {"f1_macro": {"mean": value}}}

    monkeypatch.setattr(trialling.folding, "run", folded)
    facts = searched(tmp_path / "a", "--trials", "16", "--folds", "3")
    done = [row for row in facts["trials"] if row["value"] is not None]
    assert done[0]["value"] == pytest.approx(worth(())) and len(told) < 48, "some were ended after a fold or two"
    assert facts["gain"] is None and facts["best"] == max(done, key=lambda row: row["value"])["number"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--space", "loss=cross_entropi,focal"), "did you mean 'cross_entropy'?"),
        (("--space", "train.learning_rte=1e-5..1e-3"), "did you mean 'learning_rate'?"),
        (("--space", "train.learning_rate=1e-3..1e-5"), "0.001 is not below 1e-05"),
        (("--space", "train.learning_rate=0..1:log"), "log needs a low end above 0"),
        (("--space", "train.learning_rate=1e-5..abc"), "expected two numbers, LOW..HIGH, got 'abc'"),
        (("--space", "loss=focal"), "expected two values or more"),
        (("--space", "seed=1,2"), "the best of several seeds is luck"),
        (("--space", "train.learning_rate=-1..1"), "a learning rate is above 0"),
        (("--space", "train.learning_rate=log(1e-5,1e-3)"), "expected float, got 'log(1e-5'"),
        (("--space", "model.name=./nowhere,./nope"), "./nowhere: no such file or folder"),
        (("--space", "data.limit=10,20"), "all trials must be scored on the same rows"),
        (("--space", "nothing.yaml"), "no such file"),
        ((), "expected what to search"),
        ((*RATE, *RATE), "train.learning_rate is given twice"),
        ((*RATE, "--trials", "1"), "--trials: expected 2 or more, got 1"),
        ((*RATE, "--minutes", "0"), "--minutes: expected more than 0"),
        ((*RATE, "--folds", "1"), "--folds: expected 2 or more"),
        ((*RATE, "--shares", "0.5,0.2"), "--shares: expected growing shares"),
        ((*RATE, "--storage", "here"), "expected a URL such as postgresql://"),
        ((*RATE, "--storage", "postgresql://me:word@127.0.0.1:1/x"), "postgresql://me:***@127.0.0.1:1/x cannot be"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_trained(words, said, tmp_path, capsys, quick):
    assert hfft("tune", "tiny_textcls", *SHORT, *words, "--output-dir", str(tmp_path / "a")) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert said in err and "word@" not in err and not quick


def test_other_words_are_another_search(quick, tmp_path, capsys):
    searched(tmp_path / "a", "--trials", "2")
    words = ("tune", "tiny_textcls", *SHORT, "--output-dir", str(tmp_path / "a"), "--resume")
    assert hfft(*words, "--space", "train.learning_rate=1e-5..1e-2") == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "was begun with another space" in err and "to 0.1" in err and "to 0.01" in err, "as it was, and as it is"
    assert hfft(*words, *RATE, "train.weight_decay=0.1") == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "was begun with another recipe: ''" in err and "weight_decay: 0.1" in err
    before = (tmp_path / "a" / tuning.FILE).read_text()
    assert hfft(*words, *RATE, "--study", "second") == 2, "a folder is one search's"
    assert "was begun with another study: 'a', and not 'second'" in capsys.readouterr().err
    assert (tmp_path / "a" / tuning.FILE).read_text() == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").touch()
    assert hfft("tune", "tiny_textcls", *RATE, "--output-dir", str(tmp_path / "b")) == 2
    assert "holds something else than a search" in capsys.readouterr().err


def test_a_space_from_a_file_is_the_same(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("train:\n  learning_rate: {low: 1e-5, high: 1e-1}\nloss: [cross_entropy, focal]\nseed_is: 1..3\n")
    typed = spaces.read(["train.learning_rate=1e-5..1e-1", "loss=cross_entropy,focal", "seed_is=1..3"])
    assert spaces.read([str(file)]) == typed
    assert json.loads(json.dumps([one.told for one in typed]))[0] == (
        "train.learning_rate: 1e-05 to 0.1, by order of magnitude"
    )
