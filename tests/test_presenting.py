"""`hfft report` of several runs, and of a folder of runs: what the pages say, and what they never overwrite."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from hfft import indexing, pages, presenting
from hfft.cli import main
from hfft.errors import InputError
from hfft.pairing import holm, mcnemar
from hfft.records import Predictions
from hfft.run_folder import RunFolder
from tests import behaviours
from tests.test_reporting import ATTACK, WEIRD, build, score, visible, write_mistakes


def finish(run: RunFolder) -> RunFolder:
    run.model.mkdir(exist_ok=True)
    (run.model / "config.json").write_text("{}")
    return run


def answering(root: Path, source: RunFolder, mended: float) -> RunFolder:
    """A copy of a run that gets `mended` of its errors right, and one in fifty of the others wrong."""
    run = RunFolder(Path(shutil.copytree(source.root, root)))
    rows, random = Predictions.read(run.predictions("test")), np.random.default_rng(3)
    lucky, unlucky = random.random(rows.n) < mended, random.random(rows.n) < 0.02
    predicted = np.where(unlucky, (rows.labels + 1) % 3, np.where(lucky, rows.labels, rows.predicted))
    rows = dataclasses.replace(rows, predicted=predicted)
    rows.write(run.predictions("test"))
    run.write_scores("test", score(rows))
    write_mistakes(run, rows, [ATTACK], None)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("all") / "runs"
    first = finish(build(root / "first", WEIRD, 500, 0.7))
    behaviours.add(first)
    answering(root / "second", first, 0.3)
    answering(root / "third", first, 0.0)
    finish(build(root / "elsewhere", WEIRD, 300, 0.9))
    build(root / "fresh", WEIRD, 60, 0.7, tested=False)
    (root / "torn").mkdir()
    (root / "torn/recipe.yaml").write_text("task: [")
    shutil.copytree(root / "elsewhere", root / "odd")
    (root / "odd/metrics.json").write_text("[1]")
    return root


@pytest.fixture
def page(runs):
    made = presenting.report([str(runs / "first"), str(runs / "second")])
    yield made
    made.unlink()


def test_the_comparison_says_the_verdict_and_every_difference(runs, page):
    from hfft import weighing

    assert page == runs / "comparison_first_second.html"
    said = visible(page.read_text(encoding="utf-8"))
    found = weighing.compare([str(runs / "first"), str(runs / "second")], ["first", "second"])["comparisons"][0]
    assert found["verdict"] == "better" and said.splitlines()[1] == "second is better than first"
    assert found["sentence"] in said and str(runs) not in said
    for apart in found["differences"].values():
        low, high = (f"{100 * apart[end]:+.1f}".replace("-", "\u2212") for end in ("low", "high"))
        assert f"[{low}, {high}]" in said
    assert f"answers {len(found['won'])} rows rightly" in said and f"loses {len(found['lost'])} the other" in said


def test_classes_count_the_rows_won_and_lost(runs):
    from hfft import weighing

    found = weighing.compare([str(runs / "first"), str(runs / "second")])["comparisons"][0]
    base = Predictions.read(RunFolder(runs / "first").predictions("test"))
    for place, row in enumerate(found["classes"]):
        of = [identity for identity, label in zip(base.ids, base.labels, strict=True) if label == place]
        assert row["n"] == len(of) and row["won"] == len(set(of) & set(found["won"]))
        assert row["lost"] == len(set(of) & set(found["lost"]))
    assert sum(row["won"] for row in found["classes"]) == len(found["won"])
    ps = holm([mcnemar(row["won"], row["lost"])[0] for row in found["classes"]])
    assert [row["p"] for row in found["classes"]] == ps


def test_the_comparison_shows_rows_classes_probes_and_confidence(page):
    html = page.read_text(encoding="utf-8")
    assert re.findall(r'<section id="([\w-]+)">', html) == [
        f"{name}-1" for name in ("differences", "rows", "classes", "probes", "confidence")
    ]
    assert "&lt;script&gt;document.title" in html and html.count("<script") == 1
    assert 'href="first/report.html"' not in html, "that page was not written"
    probes = html[html.index('id="probes-1"') :]
    assert probes.count('<svg class="whisker rival"') == probes.count('<svg class="whisker"') == 5


def test_several_runs_stand_on_one_page(runs):
    made = presenting.report([str(runs / name) for name in ("first", "second", "third")])
    said = visible(made.read_text(encoding="utf-8"))
    made.unlink()
    assert "2 runs against first" in said and "second minus first" in said and "third minus first" in said
    assert "adjusted for 2 comparisons" in said


def test_equal_runs_cannot_be_told_apart(runs, tmp_path):
    shutil.copytree(runs / "first", runs / "twin")
    made = presenting.report([str(runs / "first"), str(runs / "twin")])
    said = visible(made.read_text(encoding="utf-8"))
    shutil.rmtree(runs / "twin")
    made.unlink()
    assert said.splitlines()[1] == "It cannot be told which is better"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["first", "elsewhere"], "scored on different test rows"),
        (["first", "first"], "given twice"),
        (["first", "torn"], "unfinished"),
        (["first", "nowhere"], "not a run folder"),
        (["nowhere"], "is no folder"),
    ],
)
def test_what_cannot_be_compared_is_said(names, says, runs, monkeypatch):
    before = set(runs.iterdir())
    with pytest.raises(InputError, match=says):
        presenting.report([str(runs / name) for name in names])
    assert set(runs.iterdir()) == before


def test_the_index_groups_by_test_rows_and_names_what_is_broken(runs):
    found = indexing.index(runs)
    names = [[run["name"] for run in group["runs"]] for group in found["groups"]]
    assert names == [["second", "first", "third"], ["elsewhere"], ["fresh"]] or names[0][0] == "second"
    assert sorted(map(sorted, names)) == [["elsewhere"], ["first", "second", "third"], ["fresh"]]
    values = [run["score"]["value"] for run in found["groups"][0]["runs"]]
    assert values == sorted(values, reverse=True)
    assert found["groups"][-1]["fingerprint"] is None
    reasons = {part["name"]: part["reason"] for part in found["broken"]}
    assert set(reasons) == {"torn", "odd"} and reasons["torn"].startswith("torn/recipe.yaml is not readable")
    assert "not as hfft writes them" in reasons["odd"]
    first = next(run for run in found["groups"][0]["runs"] if run["name"] == "first")
    assert first["gates"] == {"pass": 1, "fail": 1, "cannot tell": 1} and first["looks"] == 2


def test_the_index_page_ranks_no_runs_of_other_rows(runs):
    made = presenting.report([str(runs)])
    html = made.read_text(encoding="utf-8")
    made.unlink()
    assert made == runs / "index.html" and html.count("<table") == 4
    said = visible(html)
    assert "Macro F1 on the same 500 test rows" in said and "Macro F1 on the same 300 test rows" in said
    assert "Not scored on test rows yet" in said and "7 runs" in said and str(runs) not in html


@pytest.mark.parametrize("kind", ["index", "comparison"])
def test_no_foreign_file_is_overwritten(kind, runs):
    names = [str(runs)] if kind == "index" else [str(runs / "first"), str(runs / "second")]
    target = runs / ("index.html" if kind == "index" else "comparison_first_second.html")
    target.write_text("<html>my own notes</html>")
    try:
        with pytest.raises(InputError, match="is no page of hfft"):
            presenting.report(names)
        assert target.read_text() == "<html>my own notes</html>"
        target.unlink()
        assert presenting.report(names) == presenting.report(names) == target and pages.own(target)
    finally:
        target.unlink()


def test_a_folder_without_runs_is_said(tmp_path):
    with pytest.raises(InputError, match="not a run folder"):
        presenting.report([str(tmp_path)])


def test_the_verb_takes_several_folders(runs, capsys):
    with pytest.raises(SystemExit) as end:
        main(["report", str(runs / "first"), str(runs / "second")])
    assert not end.value.code
    made = Path(capsys.readouterr().out.strip())
    assert made.name == "comparison_first_second.html"
    made.unlink()
