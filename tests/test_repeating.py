"""`--seeds`: one split, several whole runs, and what they say together, through the real command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hfft import ledger, recipe, seeding
from hfft.records import Predictions, read_json
from hfft.references import sha256
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import together

ROOT = Path(__file__).parent.parent
SHORT = ("train.max_steps=3", "train.learning_rate=0.01")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds, trained and scored."""
    root = tmp_path_factory.mktemp("runs") / "tiny"
    assert hfft("run", "tiny_textcls", *SHORT, "--seeds", "2", "--output-dir", str(root)) == 0
    assert not list(root.glob("*/ledger.jsonl"))
    assert hfft("eval", str(root)) == 0
    return root


@pytest.fixture
def drawn_no_more(monkeypatch):
    """Pages of the runs above are looked at, those of further ones are not."""
    monkeypatch.setattr("hfft.judging.publish", lambda _: [])


def members(root: Path) -> list[RunFolder]:
    return [RunFolder.existing(root / name) for name in read_json(root / "seeds.json")["members"]]


def test_one_split_and_several_whole_runs(folder):
    one, two = members(folder)
    assert [run.root.name for run in (one, two)] == ["seed-42", "seed-43"]
    assert one.root.joinpath("split.parquet").read_bytes() == two.root.joinpath("split.parquet").read_bytes()
    assert sha256(one.model / "model.safetensors") != sha256(two.model / "model.safetensors")
    for run, seed in ((one, 42), (two, 43)):
        wanted = recipe.load(str(run.root))
        assert (wanted.seed, wanted.data.split.seed, wanted.split_seed) == (seed, 42, 42)
        assert read_json(run.split)["method"]["seed"] == 42 and ledger.read(run).count == 1
        assert set(run.read_scores()) == {"validation", "test"} and run.report.is_file()


@pytest.mark.usefixtures("drawn_no_more")
def test_a_seeds_run_is_the_same_as_that_run_alone(folder, tmp_path):
    words = ("seed=43", "data.split.seed=42", *SHORT)
    assert hfft("run", "tiny_textcls", *words, "--output-dir", str(tmp_path / "alone")) == 0
    alone, member = RunFolder(tmp_path / "alone"), members(folder)[1]
    assert recipe.load(str(alone.root)) == recipe.load(str(member.root))
    assert sha256(alone.model / "model.safetensors") == sha256(member.model / "model.safetensors")


def test_spreads_are_those_of_the_runs(folder, capsys):
    facts = read_json(folder / "seeds.json")
    runs = [run.read_scores()["test"] for run in members(folder)]
    rows = [Predictions.read(run.predictions("test")) for run in members(folder)]
    import numpy as np

    alike = seeding.likeness(np.stack([part.predicted == part.labels for part in rows]))
    assert facts["test"] == json.loads(json.dumps(seeding.plain(seeding.spreads(runs, alike))))
    assert facts["test"]["f1_macro"]["values"] == [run["f1_macro"].value for run in runs]
    assert set(facts["validation"]) == set(facts["test"]) and not [key for key in facts["test"] if "[" in key]
    assert hfft("eval", str(folder)) == 0
    out = capsys.readouterr().out
    assert "test, 2 seeds" in out and "SD over seeds" in out and "noise of rows" in out
    assert facts["sentences"]["test"][0][:40] in " ".join(out.split())
    assert [ledger.read(run).count for run in members(folder)] == [2, 2]
    for run in members(folder):
        page = run.report.read_text()
        assert "Other training seeds" in page and "for 2 models in runs0/" in page.replace(folder.parent.name, "runs0")


@pytest.mark.usefixtures("drawn_no_more")
def test_gates_of_all_runs_make_the_exit_code(folder, capsys):
    last = members(folder)[1].root / "recipe.yaml"
    kept = last.read_text()
    last.write_text(kept.replace("gates: {}", "gates: {accuracy: '>= 0.99'}"))
    assert hfft("eval", str(folder), "--json") == 1
    facts = json.loads(capsys.readouterr().out)
    assert [member["exit_code"] for member in facts["members"].values()] == [0, 1] and facts["exit_code"] == 1
    last.write_text(kept)


def test_what_is_there_is_never_trained_over(folder, capsys, tmp_path):
    before = sha256(members(folder)[0].model / "model.safetensors")
    words = ("run", "tiny_textcls", *SHORT, "--output-dir", str(folder))
    assert hfft(*words, "--seeds", "2") == 2
    assert "already holds seed-42, seed-43; type `hfft run tiny_textcls --seeds 2 --resume`" in capsys.readouterr().err
    assert hfft(*words, "--seeds", "2", "--resume") == 0
    assert capsys.readouterr().out.count("there already, passed over") == 2
    assert (
        hfft("run", "tiny_textcls", "train.max_steps=9", "--output-dir", str(folder), "--seeds", "2", "--resume") == 2
    )
    assert "was made with another recipe" in capsys.readouterr().err
    assert hfft(*words) == 2 and "is not empty (seed-42, seed-43, seeds.json)" in capsys.readouterr().err
    assert hfft(*words, "--seeds", "1") == 2 and "expected 2 or more, got 1" in capsys.readouterr().err
    assert hfft("run", "tiny_textcls", "--seeds", "2", "--output-dir", str(folder / "seed-42")) == 2
    assert "holds something else than runs of several seeds" in capsys.readouterr().err
    assert hfft("run", "tiny_textcls", "--seeds", "2", "--resume", "--output-dir", str(tmp_path / "new")) == 2
    assert "there is nothing to resume" in capsys.readouterr().err
    assert hfft("run", "tiny_textcls", "seed=4294967295", "--seeds", "2", "--output-dir", str(tmp_path / "new")) == 2
    assert "the largest seed is 4294967295" in capsys.readouterr().err
    assert sha256(members(folder)[0].model / "model.safetensors") == before and not (tmp_path / "new").exists()


def test_a_verb_of_one_run_names_the_runs(folder, capsys):
    assert hfft("labels", str(folder)) == 2
    assert f"holds runs of several seeds; name one of them: {folder / 'seed-42'}, {folder / 'seed-43'}" in (
        capsys.readouterr().err
    )


def test_the_report_of_several_seeds_is_an_index_of_them(folder, capsys):
    assert hfft("report", str(folder)) == 0
    page = folder / "index.html"
    assert capsys.readouterr().out.strip() == str(page)
    html = page.read_text(encoding="utf-8")
    assert all(f'href="./{run.root.name}/report.html"' in html for run in members(folder))


@pytest.mark.usefixtures("drawn_no_more")
def test_an_interrupted_one_goes_on_and_more_seeds_can_follow(tmp_path, monkeypatch, capsys):
    from hfft import training

    root, save, calls = tmp_path / "cut", training.save, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(training, "save", interrupted)
    assert hfft("run", "tiny_textcls", *SHORT, "--seeds", "2", "--output-dir", str(root)) == 130
    assert read_json(root / "seeds.json")["members"] == ["seed-42"]
    capsys.readouterr()
    assert hfft("run", "tiny_textcls", *SHORT, "--seeds", "2", "--output-dir", str(root), "--resume") == 0
    out = capsys.readouterr().out
    assert "seed 42 (1 of 2): there already" in out and ("resuming from" in out or "starting from the beginning" in out)
    # The folder names its own recipe, from another place, too.
    monkeypatch.chdir(tmp_path)
    assert hfft("run", "cut", "--seeds", "3", "--resume") == 0
    facts = read_json(root / "seeds.json")
    assert facts["seeds"] == [42, 43, 44] and facts["split_seed"] == 42 and facts["test"] == {}


@pytest.mark.usefixtures("drawn_no_more")
def test_means_are_compared_with_means(folder, tmp_path, capsys):
    other = tmp_path / "other"
    longer = ("train.max_steps=12", "train.learning_rate=0.01")
    assert hfft("run", "tiny_textcls", *longer, "--seeds", "2", "--output-dir", str(other)) == 0
    assert hfft("compare", str(folder), str(other)) == 2 and "does not exist: run `hfft eval" in capsys.readouterr().err
    assert hfft("eval", str(other)) == 0
    capsys.readouterr()
    assert hfft("compare", str(folder), str(other), "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    means = [read_json(root / "seeds.json")["test"]["accuracy"]["mean"] for root in (folder, other)]
    assert found["differences"]["accuracy"]["mean"] == pytest.approx(means[1] - means[0], abs=1e-12)
    assert found["seeds"] == 2 and found["verdict"] in ("better", "worse", "cannot tell")
    assert hfft("compare", str(folder), str(folder)) == 0
    assert "CANNOT TELL. Too small to tell" in capsys.readouterr().out
    assert hfft("compare", str(folder), str(other / "seed-42")) == 2
    assert "is a single run: compare it with one of them" in capsys.readouterr().err
    shutil.rmtree(other / "seed-43" / "model")
    assert hfft("eval", str(other)) == 2 and "holds an unfinished run" in capsys.readouterr().err
    assert ledger.read(RunFolder(other / "seed-42")).count == 1, "none is opened when one cannot be"


def test_two_processes(tmp_path):
    together("hfft", "run", "tiny_textcls", *SHORT, "--seeds", "2", "--output-dir", "two", cwd=tmp_path)
    assert together("hfft", "eval", "two", cwd=tmp_path).count("test, 2 seeds") == 1
    assert [ledger.read(run).count for run in members(tmp_path / "two")] == [1, 1]
    splits = {(run.root / "split.parquet").read_bytes() for run in members(tmp_path / "two")}
    assert len(splits) == 1 and len(read_json(tmp_path / "two" / "seeds.json")["test"]["accuracy"]["values"]) == 2
    assert pq.read_table(tmp_path / "two" / "seed-43" / "predictions" / "test.parquet").num_rows == 90
