"""`hfft cv --space`: a search within each fold, which never sees the rows that judge it."""

from __future__ import annotations

import shutil

import pyarrow.parquet as pq
import pytest

from hfft import nesting, recipe
from hfft.records import FOLDS, HELD_OUT, read_json
from hfft.run_folder import RunFolder
from tests.command import hfft

pytestmark = pytest.mark.usefixtures("without_pages")

WORDS = ("cv", "tiny_textcls", "data.limit=120", "train.max_steps=1", "train.per_device_train_batch_size=64")
SEARCH = ("--folds", "2", "--space", "train.learning_rate=1e-4..1e-1", "--trials", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both folds, stopped in the second search and gone on with."""
    root = tmp_path_factory.mktemp("runs") / "nested"
    searched, times = nesting.tuning.run, []

    def pressed(*given, **named):
        times.append(named["resume"])
        if len(times) == 2:
            raise KeyboardInterrupt
        return searched(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nesting.tuning, "run", pressed)
        assert hfft(*WORDS, *SEARCH, "--output-dir", str(root)) == 130
        assert hfft(*WORDS, *SEARCH, "--output-dir", str(root), "--resume") == 0
    assert len(times) == 3, "the first fold was searched once"
    return root


def test_each_fold_is_the_best_trial_of_its_own_search(folder):
    facts = read_json(folder / FOLDS)
    for fold in (1, 2):
        search = read_json(folder / f"search-{fold}" / "tuning.json")
        best = next(row for row in search["trials"] if row["number"] == search["best"])
        assert facts["searched"]["chosen"][f"fold-{fold}"] == best["words"]
        words = (*WORDS[2:], f"data.split.fold={fold}", "data.split.folds=2", *best["words"])
        assert recipe.load(str(folder / f"fold-{fold}")) == recipe.load("tiny_textcls", words)
        assert not (folder / f"search-{fold}" / f"trial-{search['best']}").exists(), "it has become the fold's run"
    told, page = " ".join(facts["sentences"]), (folder / "folds.html").read_text()
    assert "In each fold 2 trials chose the recipe anew" in told and "2 trials chose the recipe anew" in page


def test_rows_that_judge_a_search_were_not_in_it(folder):
    for fold in (1, 2):
        table = pq.read_table(folder / f"fold-{fold}" / "split.parquet").to_pylist()
        held = {row["id"] for row in table if row["split"] == HELD_OUT}
        answered = {*pq.read_table(RunFolder(folder / f"fold-{fold}").predictions(HELD_OUT))["id"].to_pylist()}
        assert held == answered
        for trial in (folder / f"search-{fold}").glob("trial-*"):
            seen = {*pq.read_table(RunFolder(trial).predictions("validation"))["id"].to_pylist()}
            assert seen and not seen & held
            other = pq.read_table(trial / "split.parquet").to_pylist()
            assert {row["id"] for row in other if row["split"] == HELD_OUT} == held
    assert not list(folder.rglob("ledger.*"))


def test_folds_of_different_models_are_not_one(folder, tmp_path, capsys):
    root = tmp_path / "copy"
    shutil.copytree(folder, root)
    text = (root / "fold-2" / "recipe.yaml").read_text()
    (root / "fold-2" / "recipe.yaml").write_text(text.replace("max_length: 32", "max_length: 16"))
    assert hfft("eval", str(root)) == 2
    assert "the search chose another `model` in some folds" in capsys.readouterr().err


def test_what_cannot_be_searched_is_told_at_once(tmp_path, capsys):
    words = (*WORDS, "--output-dir", str(tmp_path / "a"))
    assert hfft(*words, "--space", "data.limit=1,2") == 2 and "scored on the same rows" in capsys.readouterr().err
    assert hfft(*words, *SEARCH[:4], "--trials", "1") == 2 and "--trials: expected 2" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
