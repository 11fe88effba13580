"""Gates of real run folders: what is refused before the test split is opened, and what the verdicts rest on."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from hfft import deciding, gating, ledger, pairing, recipe, scoring
from hfft.gating import Evidence
from hfft.pairing import Difference
from hfft.records import Predictions, read_json, write_json
from hfft.run_folder import RunFolder
from tests.command import hfft

RIVAL = "no_worse_than: {run: %s, margin: 0.05}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(base, another run on the same rows), both trained, the first scored."""
    root = tmp_path_factory.mktemp("runs")
    for name in ("base", "new"):
        assert hfft("run", "tiny_textcls", "train.max_steps=2", "--output-dir", str(root / name)) == 0
    assert hfft("eval", str(root / "base")) == 0
    return RunFolder(root / "base"), RunFolder(root / "new")


def gated(run: RunFolder, gates: str) -> int:
    """Exit code of `hfft eval` with these gates in the run's recipe."""
    path = run.root / "recipe.yaml"
    kept = path.read_text()
    path.write_text(kept.replace("gates: {}", f"gates: {{{gates}}}"))
    try:
        return hfft("eval", str(run.root))
    finally:
        path.write_text(kept)


def test_every_kind_of_rule_from_the_recipe_to_the_files(runs, capsys):
    base, new = runs
    looks = ledger.read(new).count
    rules = f"accuracy: '>= 0.01', recall_per_class: '>= 0', leaks: 0, looks: {looks + 1}, {RIVAL % base.root}"
    assert gated(new, rules) in (0, 3)
    out = capsys.readouterr().out
    facts = {fact["metric"]: fact for fact in read_json(new.root / "gates.json")}
    assert list(facts) == ["accuracy", "recall_per_class", "leaks", "looks", "no_worse_than"]
    assert [facts[key]["verdict"] for key in list(facts)[:4]] == ["pass"] * 4
    assert facts["looks"]["value"] == looks + 1 == ledger.read(new).count and facts["leaks"]["value"] == 0
    assert all(f"gate {fact['metric']} {fact['rule']}: {fact['verdict'].upper()}. " in out for fact in facts.values())
    assert len(ET.parse(new.root / "gates.xml").findall(".//testcase")) == 5
    assert (new.root / "gates.md").read_text().count("\n") == 9
    page = new.report.read_text()
    for title in ("Recall per class", "Leaks", "Looks", f"No worse than {base.root} by more than 0.05"):
        assert title in page
    assert gated(new, f"looks: {looks + 1}") == 1
    assert hfft("eval", str(new.root)) == 0 and not (new.root / "gates.xml").exists()


def test_what_can_be_known_is_said_before_the_split_is_opened(runs, tmp_path, capsys):
    base, new = runs
    looks = ledger.read(new).count

    def refused(gates: str) -> str:
        assert gated(new, gates) == 2
        return capsys.readouterr().err

    nowhere = tmp_path / "nowhere"
    assert f"gates.no_worse_than: {nowhere} is not a run folder" in refused(RIVAL % nowhere)
    assert "is this run itself" in refused(RIVAL % new.root)
    assert "gates: no metric 'f1_macr' (did you mean 'f1_macro'?)" in refused("f1_macr: '>= 0.1'")
    assert "no metric 'kappa'" in refused(f"no_worse_than: {{run: {base.root}, margin: 0.1, metric: kappa}}")
    split, kept = base.split, base.split.read_text()
    tree = json.loads(kept)
    write_json(split, tree | {"fingerprints": tree["fingerprints"] | {"test": "00"}})
    assert "has other test rows than this run" in refused(RIVAL % base.root)
    split.write_text(kept)
    scored, aside = base.predictions("test"), tmp_path / "aside"
    scored.rename(aside)
    assert f"run `hfft eval {base.root}` first" in refused(RIVAL % base.root)
    aside.rename(scored)
    assert ledger.read(new).count == looks


def test_what_shows_only_afterwards_cannot_be_told(runs, tmp_path):
    """The base run's rows are others although its split says they are the same."""
    base, new = runs
    scored, kept = base.predictions("test"), base.predictions("test").read_bytes()
    rows = Predictions.read(scored)
    rows.where(np.arange(rows.n - 1)).write(scored)
    assert gated(new, RIVAL % base.root) == 3
    scored.write_bytes(kept)
    (fact,) = read_json(new.root / "gates.json")
    assert fact["verdict"] == "cannot tell" and "were scored on different test rows" in fact["why"]


def test_a_broken_ledger_leaves_looks_undecided(runs):
    _, new = runs
    kept = new.ledger.read_bytes(), new.ledger_head.read_bytes()
    new.ledger.write_bytes(kept[0].replace(b'"n": ', b'"n": 1', 1))
    assert gated(new, "looks: 1000") == 3
    (fact,) = read_json(new.root / "gates.json")
    assert fact["why"].endswith("at most 1,000 allowed. The ledger is broken: line 1 is not what was written.")
    assert gated(new, "looks: 0") == 1, "what is known of is too many already"
    new.ledger.write_bytes(kept[0])
    new.ledger_head.write_bytes(kept[1])


PAIR = {"rows": 9, "exact": 2, "normalised": 1, "near": 3, "similar": 3, "conflicting": 0, "groups": 1}


@pytest.mark.parametrize(("policy", "left"), [("drop", 0), ("warn", 6)])
def test_leaks_are_copies_that_were_left_in_train(policy, left):
    overlaps = [{"split": "test", "with": "train", **PAIR}, {"split": "test", "with": "validation", **PAIR}]
    overlaps.append({"split": "validation", "with": "train", **PAIR})
    assert deciding.leaks({"leaks": {"policy": policy, "overlaps": overlaps}}) == left
    stream = {"method": {"streaming": True}, "leaks": {"note": "a stream is searched"}}
    assert deciding.unsearched(stream) == "A stream is searched"
    assert deciding.unsearched(stream | {"method": {"streaming": False}}) == deciding.unsearched({}) == ""
    assert deciding.leaks({}) is None and deciding.leaks({"leaks": {}}) is None


def predictions(labels: np.ndarray, predicted: np.ndarray) -> Predictions:
    ids = np.array([str(row) for row in range(len(labels))], dtype=object)
    return Predictions(ids, labels, predicted, np.eye(2, dtype=np.float32)[predicted], ("a", "b"))


def test_few_discordant_rows_do_not_make_models_equal(tmp_path):
    """A new model that truly loses what the margin allows, on 100 rows: it must hardly ever pass."""
    rng, margin = np.random.default_rng(3), 0.02
    passed = plain = 0
    for _ in range(200):
        labels = rng.integers(0, 2, 100)
        base = np.where(rng.random(100) < 0.95, labels, 1 - labels)
        new = np.where((base == labels) & (rng.random(100) < margin / 0.95), 1 - labels, base)
        won, lost = int(((new == labels) & (base != labels)).sum()), int(((new != labels) & (base == labels)).sum())
        statistic = scoring.statistic(["accuracy"])
        apart = pairing.differences(labels, base, new, 2, statistic, resamples=300)["accuracy"]
        plain += apart.low > -margin
        passed += pairing.careful(apart, won, lost, 100).low > -margin
    assert plain / 200 > 0.10 and passed / 200 <= 0.03


def test_groups_are_the_witnesses_of_equal_models(tmp_path):
    """Two models that are the same on 1,000 rows of 5 groups: five witnesses show no margin of one point."""
    labels = np.random.default_rng(0).integers(0, 2, 1000)
    rows = predictions(labels, labels ^ (np.arange(1000) % 50 == 0))
    for groups, sure in ((None, True), (np.arange(1000) % 5, False)):
        mine = dataclasses.replace(rows, groups=None if groups is None else groups.astype(str).astype(object))
        base = RunFolder(tmp_path / str(sure))
        write_json(base.root / "recipe.yaml", {})
        base.model.mkdir(parents=True)
        mine.write(base.predictions("test"))
        write_json(base.model / "config.json", {"id2label": {"0": "a", "1": "b"}})
        metric, apart = deciding._against(mine, ["accuracy"], str(base.root), None)
        assert metric == "accuracy" and (apart.low > -0.01) is sure
        assert sure or apart.low < -0.4


def test_equal_models_pass_where_there_are_rows_enough():
    found = pairing.careful(Difference(0, 0, 0, 1, 1000, "paired"), 0, 0, 1000)
    gates = {"no_worse_than": {"run": "base", "margin": 0.01}}
    verdict = gating.judge(gates, Evidence({}, against=lambda *_: ("accuracy", found)))[0]
    assert verdict.verdict == "pass" and "widened for 0 discordant rows" in verdict.score.method
    few = pairing.careful(Difference(0, 0, 0, 1, 50, "paired"), 0, 0, 50)
    assert gating.judge(gates, Evidence({}, against=lambda *_: ("accuracy", few)))[0].verdict == "cannot tell"


def test_the_difference_is_that_of_compare(runs):
    base, new = runs
    wanted = recipe.load(str(new.root))
    hfft("eval", str(new.root))
    mine = Predictions.read(new.predictions("test"))
    wanted.gates["no_worse_than"] = {"run": str(base.root), "margin": 0.05, "metric": "accuracy"}
    (verdict,) = deciding.judge(new, wanted, scoring.score(mine, wanted.metrics), mine)
    theirs = Predictions.read(base.predictions("test"))
    expected = (mine.predicted == mine.labels).mean() - (theirs.predicted == theirs.labels).mean()
    assert verdict.score.value == pytest.approx(expected, abs=1e-12)


def test_other_gates_and_metrics_are_told_and_leave_the_run_as_it_is(runs, capsys):
    _, new = runs
    hfft("eval", str(new.root))

    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(new.root.rglob("*")) if path.is_file()}

    before = files()
    capsys.readouterr()
    assert hfft("judge", str(new.root), "gates.accuracy=>= 0.999", "metrics=[accuracy]") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "FAIL." in out and "Nothing was written: " in out and "report " not in out.split("Nothing was written")[1]
    assert files() == before
    assert hfft("judge", str(new.root), "gates.accuracy=>= 0.999", "--json") == 1
    assert json.loads(capsys.readouterr().out)["report"] is None and files() == before
    new.report.unlink()
    assert hfft("judge", str(new.root)) == 0 and files() == before, "its own recipe's verdict is written again"


def test_metrics_that_gates_need_are_named_with_the_way_out(runs, capsys):
    _, new = runs
    path, kept = new.root / "recipe.yaml", (new.root / "recipe.yaml").read_text()
    path.write_text(kept.replace("gates: {}", "gates: {f1_macro: '>= 0.01'}"))
    try:
        capsys.readouterr()
        assert hfft("judge", str(new.root), "metrics=[accuracy]") == 2
        err = " ".join(capsys.readouterr().err.split())
        assert "no metric 'f1_macro'" in err and "type gates={} to judge none" in err
        assert hfft("judge", str(new.root), "metrics=[accuracy]", "gates={}") == 0
        assert "gate f1_macro" not in capsys.readouterr().out
    finally:
        path.write_text(kept)


def test_predictions_without_a_ledger_are_judged_with_a_warning(runs, capsys):
    _, new = runs
    kept = [(path, path.read_bytes()) for path in (new.ledger, new.ledger_head)]
    for path, _ in kept:
        path.unlink()
    try:
        capsys.readouterr()
        assert hfft("judge", str(new.root)) == 0
        assert "THE LEDGER IS BROKEN: it is gone" in " ".join(capsys.readouterr().out.split())
    finally:
        for path, text in kept:
            path.write_bytes(text)
