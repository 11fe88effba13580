"""`hfft imbalance`, through the real command line: what it trains, what it says, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hfft import answering, arms, bakeoff, gathering, ledger, recipe, repeating
from hfft.errors import InputError
from hfft.records import Predictions, read_json
from hfft.references import sha256
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import together

ROOT = Path(__file__).parent.parent
SHORT = ("data.limit=150", "train.max_steps=3", "train.learning_rate=0.02", "train.per_device_train_batch_size=32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Plain and focal with two seeds each; focal's second was interrupted and went on."""
    root = tmp_path_factory.mktemp("runs") / "bake"
    words = ("imbalance", "tiny_textcls", *SHORT, "--seeds", "2", "--arms", "focal", "--output-dir", str(root))
    trained, seen = repeating.verbs.run, []
    reading, read = gathering.loading.read, []

    def interrupted(*given):
        seen.append(given[3])
        if len(seen) == 4:
            raise KeyboardInterrupt
        return trained(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeating.verbs, "run", interrupted)
        patch.setattr(gathering.loading, "read", lambda *given: read.append(1) or reading(*given))
        patch.setattr(repeating.verbs.judging, "publish", lambda _: [])  # no page of a run is looked at here
        assert hfft(*words) == 130
        assert not (root / bakeoff.FILE).exists() and (root / "focal" / "seed-42" / "model").is_dir()
        before = sha256(root / "plain" / "seed-42" / "model" / "model.safetensors")
        assert hfft(*words, "--resume", "--json") == 0
    assert len(seen) == 5, "what was finished is not trained again"
    assert len(read) == 2, "the file is read once each time the command is typed"
    assert sha256(root / "plain" / "seed-42" / "model" / "model.safetensors") == before
    return root


def members(root: Path, arm: str) -> list[RunFolder]:
    return [RunFolder.existing(root / arm / f"seed-{seed}") for seed in (42, 43)]


def test_one_split_whole_runs_and_a_sealed_test(folder):
    splits = {(run.root / "split.parquet").read_bytes() for arm in ("plain", "focal") for run in members(folder, arm)}
    assert len(splits) == 1
    for arm in ("plain", "focal"):
        for seed, run in zip((42, 43), members(folder, arm), strict=True):
            wanted = recipe.load(str(run.root))
            assert (wanted.seed, wanted.split_seed, wanted.decide.by) == (seed, 42, "argmax")
            assert wanted.loss.name == ("focal" if arm == "focal" else "cross_entropy")
            assert ledger.read(run).count == 0 and not run.predictions("test").exists()


def test_the_table_is_that_of_the_runs(folder):
    facts = read_json(folder / bakeoff.FILE)
    assert [row["arm"] for row in facts["arms"]] == ["plain", "focal", "logit_adjustment", "logit_bias"]
    assert facts["seeds"] == 2 and facts["left_out"] == {} and facts["verdict"] in ("none", "recommended")
    rows = {row["arm"]: row for row in facts["arms"]}
    for arm in ("plain", "focal"):
        scores = [run.read_scores()["validation"] for run in members(folder, arm)]
        assert rows[arm]["f1_macro"]["values"] == pytest.approx([score["f1_macro"].value for score in scores])
        seconds = [read_json(run.environment)["seconds"]["train"] for run in members(folder, arm)]
        assert rows[arm]["seconds"] == pytest.approx(np.mean(seconds))
    gap = rows["focal"]["f1_macro"]["mean"] - rows["plain"]["f1_macro"]["mean"]
    assert rows["focal"]["f1_macro"]["difference"]["value"] == pytest.approx(gap)
    found = [Predictions.read(run.predictions("validation")) for run in members(folder, "plain")]
    value = answering.value_of("f1_macro", found[0].names)
    free = [arms.free(part, facts["rows"], value) for part in found]
    for arm in arms.FREE:
        answers = [
            Predictions(p.ids, p.labels, own[arm], p.scores, p.names) for p, own in zip(found, free, strict=True)
        ]
        from hfft import scoring

        values = [scoring.score(part, ["f1"])["f1_macro"].value for part in answers]
        assert rows[arm]["f1_macro"]["values"] == pytest.approx(values) and rows[arm]["seconds"] == 0
        assert rows[arm]["log_loss"]["difference"]["value"] == 0, "probabilities stay as they are"
    assert rows["plain"]["f1_macro"]["difference"] is None
    assert recipe.load(str(members(folder, "plain")[0].root)).data.limit == 150


def test_the_page_is_one_file_that_says_it(folder, tmp_path):
    page, facts = (folder / "imbalance.html").read_text(), read_json(folder / bakeoff.FILE)
    assert "No remedy beats plain training here" in page or facts["recommended"]
    assert all(page.count(f'<th scope="row">{row["arm"]}</th>') == 2 for row in facts["arms"])
    assert not re.search(r"(src|href)=\"https?:", page) and page.count('<svg class="whisker') == 3
    assert "seed-42" not in page and "as plain" in page


def test_judged_again_it_says_the_same(folder, capsys):
    kept = (folder / bakeoff.FILE).read_text()
    words = ("imbalance", "tiny_textcls", *SHORT, "--seeds", "2", "--arms", "focal", "--output-dir", str(folder))
    assert hfft(*words, "--resume") == 0
    out = capsys.readouterr().out
    assert out.count("there already, passed over") == 4 and (folder / bakeoff.FILE).read_text() == kept
    assert "The test split is not opened" in " ".join(out.split()) and "logit_adjustment" in out
    assert "minus plain" in out and "imbalance.json" in out
    assert hfft(*words, "--resume", "--json") == 0
    assert json.loads(capsys.readouterr().out)["arms"] == json.loads(kept)["arms"]


def test_a_recipe_that_was_edited_while_others_trained_is_found(folder, capsys):
    words = ("imbalance", "tiny_textcls", *SHORT, "--seeds", "2", "--arms", "focal", "--output-dir", str(folder))
    written = folder / "focal" / "seed-43" / "recipe.yaml"
    kept = written.read_text()
    written.write_text(kept.replace("learning_rate: 0.02", "learning_rate: 0.03"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeating, "run", lambda *_: None)
        assert hfft(*words, "--resume") == 2
    assert "focal/seed-43: its recipe is not that of plain with focal alone" in capsys.readouterr().err
    written.write_text(kept)


def test_what_is_there_is_never_overwritten(folder, capsys, tmp_path):
    words = ("imbalance", "tiny_textcls", *SHORT, "--seeds", "2", "--arms", "focal")
    assert hfft(*words, "--output-dir", str(folder)) == 2
    assert "already holds focal, plain; type `hfft imbalance tiny_textcls --resume`" in (capsys.readouterr().err)
    assert hfft(*words, "train.weight_decay=0.1", "--output-dir", str(folder), "--resume") == 2
    assert "was made with another recipe" in capsys.readouterr().err
    assert hfft(*words, "--output-dir", str(folder / "plain")) == 2
    assert "holds something else than a bake-off (seed-42, seed-43, seeds.json)" in capsys.readouterr().err
    assert hfft(*words, "--output-dir", str(tmp_path / "new"), "--resume") == 2
    assert "there is nothing to resume" in capsys.readouterr().err and not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seeds", "1"], "--seeds: expected 2 or more, got 1"),
        (["--arms", "focl"], "--arms: no 'focl' (did you mean 'focal'?)"),
        (["--arms", ","], "--arms: expected names between commas"),
        (["loss=focal"], "'loss=focal': the bake-off sets loss, sampler, decide itself"),
        (["sampler.name=over_sampling"], "the bake-off sets loss, sampler, decide itself"),
        (["data.multi_label=true"], "hfft imbalance compares answers of one class per row"),
        (["train.learning_rte=1"], "did you mean 'learning_rate'?"),
        (["data.streaming=true", "data.split.by=hash"], "arm over_sampling: "),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_read(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(repeating, "run", None)
    assert hfft("imbalance", "tiny_textcls", *words, "--output-dir", str(tmp_path / "new")) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_an_arm_that_cannot_be_trained_is_left_out_and_told(folder, monkeypatch, tmp_path, capsys):
    """Its mistake does not cost the other arms; plain's does, for without it there is nothing to compare with."""
    copied, calls = tmp_path / "bake", []

    def trained(name, words, output_dir, seeds, resume, say):
        arm = Path(output_dir).name
        calls.append(arm)
        if arm in ("under_sampling", fails):
            raise InputError("sampler: class 'tofu' has one training row")
        Path(output_dir).parent.mkdir(exist_ok=True)
        Path(output_dir).symlink_to(folder / arm)

    monkeypatch.setattr(repeating, "run", trained)
    words = ("imbalance", "tiny_textcls", *SHORT, "--seeds", "2", "--arms", "focal,under_sampling")
    fails = None
    assert hfft(*words, "--output-dir", str(copied)) == 0
    assert calls == ["plain", "focal", "under_sampling"]
    facts = read_json(copied / bakeoff.FILE)
    assert facts["left_out"] == {"under_sampling": "sampler: class 'tofu' has one training row"}
    assert "under_sampling was left out: sampler: class 'tofu'" in capsys.readouterr().out
    fails = "plain"
    assert hfft(*words, "--output-dir", str(tmp_path / "other")) == 2
    monkeypatch.setenv("WORLD_SIZE", "2")
    fails = None
    assert hfft(*words, "--output-dir", str(tmp_path / "third")) == 2, "another process may not have failed"


def test_every_arm_is_a_recipe_that_can_be_read():
    for arm in arms.TRAINED:
        wanted = recipe.load("tiny_textcls", arms.words(arm))
        plain = recipe.load("tiny_textcls", arms.words("plain"))
        assert wanted != plain and wanted.decide == plain.decide
    for arm in arms.FREE:
        assert recipe.load("tiny_textcls", arms.FREE[arm]).decide.by == arm
    remedied = recipe.load(
        "tiny_textcls", ("loss=focal", "sampler=over_sampling", "decide={by: logit_bias}", *arms.BARE)
    )
    assert remedied == recipe.load("tiny_textcls")
    help_page = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "imbalance_bakeoff.md").read_text(), re.M)
    assert set(help_page) >= {*arms.TRAINED, *arms.FREE}


def test_two_processes(tmp_path):
    words = ["imbalance", "tiny_textcls", *SHORT, "--seeds", "2", "--arms", "plain", "--output-dir", "two"]
    assert together("hfft", *words, cwd=tmp_path).count("facts   two/imbalance.json") == 1
    facts = read_json(tmp_path / "two" / bakeoff.FILE)
    assert [row["arm"] for row in facts["arms"]] == ["plain", "logit_adjustment", "logit_bias"]
    assert {(run.root / "split.parquet").read_bytes() for run in members(tmp_path / "two", "plain")}
