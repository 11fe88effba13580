"""What the page shows of slices, probes and nearest training rows: every number of the facts, and what is left out."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hfft import behaviour_figures, gallery, pages, reporting, summarising
from hfft.records import Predictions, write_json
from hfft.run_folder import RunFolder
from tests import behaviours
from tests.test_reporting import DIGITS, WEIRD, build, visible


@pytest.fixture(scope="module", params=["text", "image"])
def run(request, tmp_path_factory) -> RunFolder:
    made = build(
        tmp_path_factory.mktemp("runs") / "shown", WEIRD if request.param == "text" else DIGITS, 400, 0.8, request.param
    )
    behaviours.add(made, request.param)
    reporting.render(made)
    return made


def section(run: RunFolder, name: str) -> str:
    html = run.report.read_text(encoding="utf-8")
    start = html.index(f'<section id="{name}">')
    return html[start : html.index("</section>", start)]


def facts(path: Path) -> dict:
    return json.loads(path.read_text())["test"]


def test_the_verdict_comes_first_and_the_parts_in_order(run):
    html = run.report.read_text(encoding="utf-8")
    order = re.findall(r'<section id="(\w+)">', html)
    wanted = "short gates scores classes confusions calibration answering training slices probes mistakes data"
    assert order == [*wanted.split(), "openings", "reproduce"]
    said = visible(section(run, "short"))
    assert facts(run.slices)["sentences"][0] in said
    assert "The worst of 5: " + facts(run.probes)["probes"][0]["sentence"] in said
    assert "Of 3 gates, 1 passes, 1 fails, 1 cannot be decided" in said


def test_every_slice_has_its_numbers_and_a_bar(run):
    html, rows = section(run, "slices"), facts(run.slices)["rows"]
    said = visible(html)
    assert html.count('<svg class="whisker') == len(rows) > 10
    for row in rows:
        low, high = (reporting._signed(100 * row["gap"][end]) for end in ("low", "high"))
        assert row["value"] in said and f"[{low}, {high}]" in said
        assert f"{row['score']['value']:.3f} [{row['score']['low']:.3f}, {row['score']['high']:.3f}]" in said
    assert said.count("confirmed p = 0.0031") == 1


def test_every_severity_of_every_probe_is_drawn_and_told(run):
    html, found = section(run, "probes"), facts(run.probes)
    said, top = visible(html), behaviour_figures.top(found["probes"])
    circles = re.findall(r'<circle cx="([\d.]+)%" cy="([\d.]+)" r="3"/>', html)
    levels = [level for probe in found["probes"] for level in probe["severities"]]
    assert len(circles) == len(levels) == 25
    for (x, y), level in zip(circles, levels, strict=True):
        assert float(x) == pytest.approx(20 * level["severity"] - 10)
        assert float(y) == pytest.approx(46 - 40 * level["rate"]["value"] / top, abs=0.01)
        assert f"{100 * level['rate']['value']:.1f} % [" in said
    assert "name_swap: found no name" in said
    for name in ("probes.png", "slices.png"):
        assert (run.figures / name).stat().st_size > 5000


def test_worst_examples_stand_before_and_after(run):
    html = section(run, "probes")
    if "text" in summarising.summarise(run)["task"]:
        assert "waiting</mark>" in html and "<mark>waitign</mark>" in html and "⟨U+200B⟩" in html
    else:
        assert html.count("<img") == 2 * 15 and html.count("The picture as it is, labelled") == 15


def test_mistakes_stand_beside_their_nearest_training_rows(run):
    html = section(run, "mistakes")
    rows = pq.read_table(run.mistakes("test")).to_pylist()
    assert html.count('<details class="near">') == len(rows) > 40
    said = visible(html)
    assert f"label may be wrong: {-(-len(rows) // 4)}" in said and "similarity 0.92" in said
    assert html.count('data-finding="near copy in train"') == (len(rows) + 2) // 4


@pytest.mark.parametrize(
    "absent",
    ["slices.json", "probes.json", "predictions/test_probe_examples.parquet", "predictions/test_neighbours.parquet"],
)
def test_what_an_older_run_lacks_is_left_out(absent, run, monkeypatch):
    monkeypatch.setattr(reporting, "_draw", lambda run, facts: None)
    content, before = (run.root / absent).read_bytes(), run.report.read_bytes()
    try:
        (run.root / absent).unlink()
        html = reporting.render(run).read_text(encoding="utf-8")
        name = absent.removesuffix(".json")
        assert f'id="{name}"' not in html and f'href="#{name}"' not in html and 'id="mistakes"' in html
    finally:
        (run.root / absent).write_bytes(content)
        run.report.write_bytes(before)


def test_a_rate_without_a_value_is_said_and_not_drawn(run, tmp_path):
    tree = facts(run.probes)
    nothing = {"value": None, "low": None, "high": None, "n": 0, "method": "undefined: no row applies"}
    tree["probes"] = [tree["probes"][0] | {"rate": nothing, "drop": None}]
    tree["probes"][0]["severities"] = [{"severity": 1, "rate": nothing, "drop": None, "score": None, "clean": None}]
    other = build(tmp_path / "other", ("a", "b"), 60, 0.8)
    write_json(other.probes, {"test": tree})
    html = reporting.render(other).read_text(encoding="utf-8")
    part = html[html.index('id="probes"') : html.index('id="mistakes"')]
    assert "unknown" in part and "<circle" not in part


TEMPLATES = {
    "name": "templates", "title": "Templates", "kind": "minimum functionality", "measure": "failure_rate",
    "says": "sentences", "safe": True, "n": 4, "of": 4, "unseen": False, "drop": None, "left_out": [],
    "a_failure": "wrong class", "rate": behaviours.score(0.25, 4), "sentence": "Templates: 25 %.",
    "severities": [
        {"severity": 1, "title": "{who} <b>was</b> kind → a", "rate": behaviours.score(0.5, 2), "drop": None},
        {"severity": 2, "title": "spoken → b", "rate": behaviours.score(0.0, 2), "drop": None},
    ],
    "failures": [{"template": 1, "text": "Ann <b>was</b> kind", "label": "a", "prediction": "b", "confidence": 0.9}],
}  # fmt: skip


def test_templates_are_named_by_their_pattern_and_what_failed_is_shown(run, tmp_path):
    tree = facts(run.probes)
    still = tree["probes"][0] | {"name": "negation", "title": "Negation", "kind": "direction"}
    still |= {"measure": "failure_rate", "a_failure": "confidence does not fall", "drop": None}
    tree["probes"] = [tree["probes"][0] | {"left_out": [1, 3]}, TEMPLATES, still]
    other = build(tmp_path / "other", ("a", "b"), 60, 0.8)
    write_json(other.probes, {"test": tree})
    html = reporting.render(other).read_text(encoding="utf-8")
    part = html[html.index('id="probes"') : html.index('id="mistakes"')]
    said = visible(part)
    assert "{who} &lt;b&gt;was&lt;/b&gt; kind → a" in part and "Ann <b>was</b> kind" in said
    assert "answered b 0.900; its class is a" in " ".join(said.split())
    first, second = part.split('<table class="stack probes">')[1:]
    assert "Answers that change" in first and "Answers that change" not in second and "flip" not in second
    assert "wrong class" in second and "confidence does not fall" in second and "unknown" not in visible(second)
    assert "not tried for lack of time: severity 1, 3" in first
    assert second.count("<svg") == 1, "severities are no axis for templates"


def test_five_rows_do_not_flatten_the_charts():
    level = {"severity": 1, "drop": None}
    sure, few = level | {"rate": behaviours.score(0.08, 200)}, level | {"rate": behaviours.score(0.0, 5)}
    few["rate"]["high"] = 0.6
    worded = level | {"title": "a sentence", "rate": behaviours.score(1.0, 90)}
    assert behaviour_figures.top([{"severities": [sure]}, {"severities": [few, worded]}]) == 0.2


def test_a_model_with_one_answer_is_told_of_at_the_top(tmp_path):
    other = build(tmp_path / "other", ("a", "b_c"), 60, 0.8)
    html = reporting.render(other).read_text(encoding="utf-8")
    assert "for every row" not in html
    rows = Predictions.read(other.predictions("test"))
    dataclasses.replace(rows, predicted=np.ones_like(rows.predicted)).write(other.predictions("test"))
    html = reporting.render(other).read_text(encoding="utf-8")
    short = visible(html[html.index('id="short"') : html.index("</section>", html.index('id="short"'))])
    assert "The model answers b_c for every row" in short


def test_gates_on_probes_stand_as_they_were_typed():
    assert summarising.title("probe.typos.flip_rate") == "probe.typos.flip_rate"


def test_pictures_keep_within_their_budget(tmp_path):
    noise = behaviours.picture(1, 120, 300)
    run = build(tmp_path / "big", DIGITS, 600, 0.5, "image")
    behaviours.write_neighbours(run, "image")
    table = pq.read_table(run.neighbours("test")).to_pylist()
    for row in table:
        row["image"] = noise
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(table), run.neighbours("test"))
    found = gallery.neighbours(run.neighbours("test"))
    spent = sum(len(near["src"]) for own in found.values() for near in own["rows"])
    assert 0 < spent <= gallery.NEAR_BYTES and len(found) == 200
    assert reporting.render(run).stat().st_size < 5_000_000


def test_signs_that_steer_are_written_out():
    assert pages.visible("a\u202eb\x00c\ud800") == "a⟨U+202E⟩b⟨U+0000⟩c⟨U+D800⟩"
    assert pages.visible("a\r\nb\rc") == "a\nb\nc"
    for kept in ("a\tb\nc", "नमस्ते\u200d", "שלום\u200f", "👩\u200d👧"):
        assert pages.visible(kept) == kept


def test_the_policy_names_the_script_that_is_there(run):
    import base64
    import hashlib

    html = run.report.read_text(encoding="utf-8")
    script = html[html.index("<script>") + 8 : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html and "unsafe-inline'; img" in html
    assert "</script" not in script and "innerHTML" not in script and "eval" not in script
