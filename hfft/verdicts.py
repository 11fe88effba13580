"""Verdicts on gates as files that other programs and people read: JSON, JUnit XML and a Markdown table.

In: verdicts. Out: gates.json, gates.xml and gates.md in the run folder. It must not know how a verdict came about.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

from hfft.gating import FAIL, PASS, Verdict
from hfft.records import write_json, write_whole
from hfft.run_folder import RunFolder

MARKS = {PASS: "✓", FAIL: "✗"}
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in XML 1.0
EXACT = ("value", "low", "high")


def write(run: RunFolder, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Write the files; returns the verdicts as plain data, as gates.json holds them.

    Without gates there is an empty gates.json alone, so that nothing of an earlier recipe is left.
    """
    facts, name = [plain(verdict) for verdict in verdicts], run.root.resolve().name
    write_json(run.root / "gates.json", facts)
    texts = {"gates.xml": junit(facts, name), "gates.md": markdown(facts, name)}
    for file, text in texts.items():
        path = run.root / file
        if facts:
            write_whole(path, lambda target, text=text: target.write_text(text, encoding="utf-8"))  # type: ignore[misc]
        else:
            path.unlink(missing_ok=True)
    return facts


def plain(verdict: Verdict) -> dict[str, Any]:
    """{metric, rule, verdict, why, value, low, high, n, method}"""
    said = {"metric": verdict.metric, "rule": verdict.rule, "verdict": verdict.verdict, "why": verdict.why}
    return said | vars(verdict.score)


def junit(facts: Sequence[dict[str, Any]], name: str) -> str:
    """JUnit XML: one test case per rule, with its value, interval and n as properties.

    A rule that fails is a <failure>; one that cannot be told is an <error>, JUnit's word for a test that came to no
    result. A CI stops at either, and can count them apart; it would wave <skipped> through.
    """
    outcomes = [fact["verdict"] for fact in facts]
    failed, passed = outcomes.count(FAIL), outcomes.count(PASS)
    totals = {"tests": str(len(facts)), "failures": str(failed), "errors": str(len(facts) - failed - passed)}
    suites = ET.Element("testsuites", totals)
    suite = ET.SubElement(suites, "testsuite", {"name": f"hfft gates of {_legal(name)}", **totals, "skipped": "0"})
    for fact in facts:
        title = _legal(f"{fact['metric']} {fact['rule']}")
        case = ET.SubElement(suite, "testcase", {"name": title, "classname": f"gates.{_legal(name)}", "time": "0"})
        properties = ET.SubElement(case, "properties")
        for key, value in _properties(fact).items():
            ET.SubElement(properties, "property", {"name": key, "value": value})
        why = _legal(fact["why"])
        if fact["verdict"] != PASS:
            kind = "failure" if fact["verdict"] == FAIL else "error"
            ET.SubElement(case, kind, {"type": fact["verdict"], "message": why}).text = why
        ET.SubElement(case, "system-out").text = why
    ET.indent(suites, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def markdown(facts: Sequence[dict[str, Any]], name: str) -> str:
    """A table for a pull request or a CI's summary."""
    lines = [
        f"### Gates of {_cell(name)}",
        "",
        "| | gate | value | 95 % interval | n | why |",
        "|---|---|---|---|---|---|",
    ]
    for fact in facts:
        shown = _properties(fact)
        cells = [
            f"{MARKS.get(fact['verdict'], '?')} {fact['verdict']}",
            f"{fact['metric']} {fact['rule']}",
            *(shown.get(key, "") for key in ("value", "interval", "n")),
            fact["why"],
        ]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _properties(fact: dict[str, Any]) -> dict[str, str]:
    """value, interval, n and method as text; what is unknown is left out."""
    value, low, high = (fact[key] for key in EXACT)
    whole = fact["method"] == "count"
    shown = {"value": f"{value:.0f}" if whole else f"{value:.4f}"} if value is not None else {}
    shown |= {"interval": f"{low:.4f} to {high:.4f}"} if None not in (low, high) else {}
    shown |= {} if whole else {"n": str(fact["n"])}
    return shown | {"method": _legal(fact["method"])}


def _legal(text: object) -> str:
    """Text that XML 1.0 can hold: class names come from the data and may hold anything."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(text))


def _cell(text: object) -> str:
    """One line that ends no table cell and is no markup."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*\[\]|]|<(?=[a-zA-Z/!?]))", r"\\\1", line)
