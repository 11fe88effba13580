"""Verdicts as JUnit XML, JSON and Markdown: what a CI reads is what was judged."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from hfft import cautioning, deciding, verdicts
from hfft.gating import Evidence, Verdict, judge
from hfft.records import Predictions, Score
from hfft.run_folder import RunFolder

NASTY = "a|b <i>\x00\uffff & \"q\" 'x'\n]]>"
SCORES = {
    "accuracy": Score(0.80, 0.75, 0.85, 250, "Wilson"),
    f"recall[{NASTY}]": Score(0.60, 0.50, 0.70, 90, "Wilson"),
    "recall[b]": Score(None, None, None, 0, "undefined: no rows"),
}
GATES = {
    "accuracy": ">= 0.70", f"recall[{NASTY}]": ">= 0.8", "recall_per_class": ">= 0.4", "leaks": 0, "looks": 3,
    "no_worse_than": {"run": "runs/base", "margin": 0.01},
}  # fmt: skip


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "mine")


def written(run: RunFolder) -> list[dict]:
    return verdicts.write(run, judge(GATES, Evidence(SCORES, leaks=0, looks=4)))


def test_junit_has_a_case_per_rule(run):
    """Names and attributes as the schema has them that Jenkins, GitLab and pytest write."""
    facts = written(run)
    root = ET.parse(run.root / "gates.xml").getroot()
    assert root.tag == "testsuites" and [child.tag for child in root] == ["testsuite"]
    suite = root[0]
    counts = {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")}
    assert counts == {"name": "hfft gates of mine", "tests": "6", "failures": "2", "errors": "2", "skipped": "0"}
    cases = list(suite)
    assert len(cases) == len(facts) == 6 and {case.tag for case in cases} == {"testcase"}
    allowed = {"properties", "failure", "error", "system-out"}
    for case, fact in zip(cases, facts, strict=True):
        assert set(case.attrib) == {"name", "classname", "time"} and {child.tag for child in case} <= allowed
        ends = [child for child in case if child.tag in ("failure", "error")]
        assert [end.tag for end in ends] == {"pass": [], "fail": ["failure"], "cannot tell": ["error"]}[fact["verdict"]]
        assert all(end.get("type") == fact["verdict"] and end.get("message") for end in ends)
        assert case.find("system-out").text
    shown = {entry.get("name"): entry.get("value") for entry in cases[0].iter("property")}
    assert shown == {"value": "0.8000", "interval": "0.7500 to 0.8500", "n": "250", "method": "Wilson"}
    looks = {entry.get("name"): entry.get("value") for entry in cases[4].iter("property")}
    assert looks == {"value": "4", "method": "count"}


def test_junit_is_read_by_junitparser(run):
    import junitparser

    written(run)
    suites = junitparser.JUnitXml.fromfile(str(run.root / "gates.xml"))
    (suite,) = list(suites)
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 2, 2, 0)
    outcomes = [[type(result).__name__ for result in case.result] for case in suite]
    assert outcomes == [[], ["Failure"], ["Error"], [], ["Failure"], ["Error"]]
    suite.update_statistics()
    assert (suite.tests, suite.failures, suite.errors) == (6, 2, 2)


def test_json_holds_what_was_judged(run):
    facts = written(run)
    assert json.loads((run.root / "gates.json").read_text(encoding="utf-8")) == facts
    assert [fact["verdict"] for fact in facts] == ["pass", "fail", "cannot tell", "pass", "fail", "cannot tell"]
    assert set(facts[0]) == {"metric", "rule", "verdict", "why", "value", "low", "high", "n", "method"}


def test_markdown_stays_a_table_whatever_classes_are_called(run):
    written(run)
    lines = (run.root / "gates.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "### Gates of mine" and len(lines) == 4 + 6

    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[2:]} == {7}
    assert lines[4].startswith("| ✓ pass | accuracy >= 0.70 | 0.8000 | 0.7500 to 0.8500 | 250 | accuracy is 0.8000,")
    assert "? cannot tell" in lines[6] and not re.search(r"(?<!\\)<i>", "".join(lines))


def test_nothing_of_earlier_gates_is_left(run):
    written(run)
    assert verdicts.write(run, []) == [] and sorted(path.name for path in run.root.iterdir()) == ["gates.json"]


def test_a_gate_on_a_probe_of_a_model_with_one_answer_says_so():
    nothing = Score(0.0, 0.0, 0.03, 120, "Wilson")
    steady = Verdict("probe.typos.flip_rate", "<= 0.05", "pass", nothing, "All of it is <= 0.05.")
    said = deciding._of_one_answer(steady, "calm")
    assert (
        said.why == "All of it is <= 0.05. But the model answers 'calm' for every test row." and said.verdict == "pass"
    )
    assert deciding._of_one_answer(steady, None) == steady
    failed = deciding._of_one_answer(dataclasses.replace(steady, verdict="fail", why="No."), "calm")
    assert failed.why == "No. The model answers 'calm' for every test row."
    other = dataclasses.replace(steady, metric="accuracy")
    assert deciding._of_one_answer(other, "calm") == other


def test_a_model_with_one_answer_is_noted():
    ids, labels = np.array([f"r{i}" for i in range(60)], dtype=object), np.arange(60) % 2
    scores = np.tile([0.9, 0.1], (60, 1)).astype(np.float32)
    rows = Predictions(ids, labels, np.zeros(60, dtype=int), scores, ("calm", "loud"))
    assert any(note.startswith("The model answers 'calm' for each of the 60 rows") for note in cautioning.notes(rows))
    rows = dataclasses.replace(rows, predicted=labels)
    assert not any("The model answers" in note for note in cautioning.notes(rows))
