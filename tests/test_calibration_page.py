"""What the page, the card and the terminal show of calibration.json, and that old runs do without."""

from __future__ import annotations

import dataclasses
import json
import re
from html import unescape
from pathlib import Path

import pytest

from hfft import calibrating, calibration_figures, display_calibration, reporting, summarising
from hfft.records import write_json
from hfft.run_folder import RunFolder
from hfft.schema import Abstain
from tests.probabilities import drawn, drawn_several
from tests.test_reporting import WEIRD, build, visible


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = build(tmp_path_factory.mktemp("runs") / "moods", WEIRD, 300, 0.8)
    for split, seed in (("validation", 1), ("test", 2)):
        rows = dataclasses.replace(drawn(1200, 3, seed, 1.7, spread=3), names=WEIRD)
        rows.write(made.predictions(split))
    facts = calibrating.judged(rows, calibrating.settled(made, Abstain(max_error=0.1)))
    write_json(made.root / calibrating.FILE, facts)
    reporting.render(made)
    return made


def facts_of(run: RunFolder) -> dict:
    return json.loads((run.root / "calibration.json").read_text())


def section(run: RunFolder, name: str) -> str:
    html = run.report.read_text(encoding="utf-8")
    start = html.index(f'<section id="{name}">')
    return html[start : html.index("</section>", start)]


def test_both_sections_are_there_and_linked(run):
    html = run.report.read_text(encoding="utf-8")
    for name in ("calibration", "answering"):
        assert html.count(f'href="#{name}"') >= 1 and html.count(f'id="{name}"') == 1
    assert (run.figures / "reliability.png").stat().st_size > 5000
    assert (run.figures / "risk_coverage.png").stat().st_size > 5000


def test_the_page_says_the_sentences_and_the_numbers(run):
    facts, told = facts_of(run), summarising.summarise(run)["calibration"]["told"]
    said = visible(section(run, "calibration")) + visible(section(run, "answering"))
    for line in told["calibration"] + told["answering"]:
        assert line in said
    for part in (facts["before"], facts["after"]):
        for key in ("ece", "adaptive_ece", "nll", "brier"):
            assert f"{part[key]['value']:.3f} [{part[key]['low']:.3f}, {part[key]['high']:.3f}]" in said
    for kind in ("lac", "aps", "lac_per_class"):
        assert f"{100 * facts['sets'][kind]['coverage']['value']:.1f} %" in said
    assert "Validation also chose the checkpoint, so their guarantee is not exact" in said


def test_every_bin_is_drawn_where_it_lies(run):
    facts, drawn_ = facts_of(run), section(run, "calibration")
    bins = facts["before"]["bins"] + facts["after"]["bins"]
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', drawn_)
    assert len(circles) == len(bins) > 15
    for (x, y, _), part in zip(circles, bins, strict=True):
        assert float(x) == pytest.approx(200 * part["confidence"], abs=0.01)
        assert float(y) == pytest.approx(200 * (1 - part["accuracy"]["value"]), abs=0.01)


def test_the_curve_ends_at_the_error_of_all_rows(run):
    facts = facts_of(run)
    shape = calibration_figures.curve(facts["selective"])
    x, y = map(float, shape["points"].split()[-1].split(","))
    error = 1 - facts["selective"]["at"][0]["accuracy"]["value"]
    assert x == 200 and y == pytest.approx(200 * (1 - error / shape["top"]), abs=0.01)
    assert shape["promise"] == pytest.approx(200 * (1 - 0.1 / shape["top"]), abs=0.01)


def test_foreign_names_stay_text(run):
    for name in ("calibration", "answering"):
        html = section(run, name)
        assert "<script" not in html and WEIRD[0] in unescape(html).replace("<wbr>", "")


def test_the_card_says_it_in_two_sentences(run):
    card = reporting.card(run)
    part = card[card.index("### Confidence") : card.index("## Data")]
    assert "a perfectly calibrated model of this size would show" in part and "(promised: at most 10 %" in part
    assert "`calibration.json` holds the temperature" in part


def test_the_terminal_says_it_too(run, capsys):
    facts = facts_of(run)
    display_calibration.calibration(facts)
    out = capsys.readouterr().out
    assert f"{facts['after']['ece']['value']:.3f} [" in out and "with temperature" in out
    assert "Answers " in out and "LAC sets hold the right class for" in out


def test_same_files_give_same_bytes(run):
    files = [run.report, *sorted(run.figures.glob("*.png"))]
    before = [file.read_bytes() for file in files]
    reporting.render(run)
    assert [file.read_bytes() for file in files] == before and len(files) == 5


@pytest.mark.parametrize("kind", ["several", "bare", "groups", "none"])
def test_pages_of_other_runs(kind: str, tmp_path: Path):
    made = build(tmp_path / kind, WEIRD, 120, 0.8)
    rows = drawn_several(300, 3, 1) if kind == "several" else drawn(300, 3, 1, 1.7, groups=30 * (kind == "groups"))
    rows = dataclasses.replace(rows, names=WEIRD)
    stored = None if kind == "bare" else calibrating.fitted(rows, Abstain())
    if kind != "none":
        write_json(made.root / "calibration.json", calibrating.judged(rows, stored))
    said = visible(reporting.render(made).read_text(encoding="utf-8"))
    assert reporting.card(made)
    expected = {
        "several": "not for rows with several classes",
        "bare": "No temperature is stored",
        "groups": "unknown with groups",
        "none": "What is taken for what",
    }
    assert expected[kind] in said
    assert ("When not to answer" in said) == (kind != "none")
    assert ("Sets of classes" in said) == (kind == "groups")


def test_before_the_test_split_is_opened_nothing_is_said_of_it(tmp_path: Path):
    made = build(tmp_path / "fresh", WEIRD, 120, 0.8, tested=False)
    write_json(made.model / "calibration.json", calibrating.fitted(drawn(300, 3, 1), Abstain()))
    assert "Calibration" not in visible(reporting.render(made).read_text(encoding="utf-8"))
    assert "### Confidence" not in reporting.card(made)
