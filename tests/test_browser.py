"""The pages in a real browser: they stay quiet, fetch nothing, answer mouse and keyboard, and nothing overlaps."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hfft import presenting, reporting
from hfft.run_folder import RunFolder
from tests import behaviours
from tests.browser import OVERLAPS, browser, opened
from tests.test_reporting import DIGITS, INTENTS, build

pytest.importorskip("playwright", reason="playwright is in the dev extra: pip install 'hfft[dev]'")

PWNED = "window.__pwned = true"
EVIL = (
    f"</script><script>{PWNED}</script>",
    f'"><img src=x onerror="{PWNED}">',
    f"'onmouseover='{PWNED}",
    "\u202eevil\u2066 \x1b[31m",
    f"javascript:{PWNED}",
    "plain",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each kind; "evil" has attacks for class names, texts and values of slices."""
    root = tmp_path_factory.mktemp("all") / "runs"
    wanted = {"evil": (EVIL, 400, 0.7, "text"), "digits": (DIGITS, 600, 0.85, "image")}
    wanted |= {"intents": (INTENTS, 2000, 0.9, "text")}
    for name, (names, n, skill, kind) in wanted.items():
        run = build(root / name, names, n, skill, kind)
        behaviours.add(run, kind)
        _finished(run)
        reporting.render(run)
    shutil.copytree(root / "evil", root / "evil<b>2")
    found = {name: root / name / "report.html" for name in wanted}
    found["index"] = presenting.listed(str(root))
    second = RunFolder(root / "digits_b")
    shutil.copytree(root / "digits", second.root)
    found["comparison"] = presenting.compared([str(root / "digits"), str(second.root)])
    return found


def _finished(run: RunFolder) -> None:
    run.model.mkdir()
    (run.model / "config.json").write_text("{}")


SCHEMES = [(390, "light"), (1440, "dark")]


@pytest.mark.parametrize("name", ["evil", "digits", "intents", "index", "comparison"])
@pytest.mark.parametrize(("width", "scheme"), SCHEMES)
def test_nothing_overflows_or_overlaps(name: str, width: int, scheme: str, pages, chromium) -> None:
    with opened(chromium, pages[name], width, scheme) as (tab, _):
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        for part in tab.query_selector_all("details"):
            part.evaluate("part => { part.open = true; }")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        found = tab.evaluate(OVERLAPS)
        assert found["boxes"] > 30 and found["found"] == []
        paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_the_overlap_check_sees_an_overlap(pages, chromium) -> None:
    with opened(chromium, pages["evil"]) as (tab, _):
        tab.evaluate("document.querySelector('h2').style.marginBottom = '-2rem'")
        assert tab.evaluate(OVERLAPS)["found"]


def test_attacks_stay_text(pages, chromium) -> None:
    with opened(chromium, pages["evil"]) as (tab, _):
        for button in tab.query_selector_all("button"):
            if button.is_visible():
                button.click()
        tab.hover("#classes tbody tr")
        for cell in tab.query_selector_all("[data-matrix] .miss")[:4]:
            cell.click()
        for select in tab.query_selector_all("select"):
            select.select_option(index=1)
        assert tab.evaluate("window.__pwned === undefined") is True
        assert tab.locator("script").count() == 1 and tab.locator("[onerror], [onmouseover]").count() == 0
        text = tab.inner_text("#classes")
        assert EVIL[0] in text and "⟨U+202E⟩evil⟨U+2066⟩ ⟨U+001B⟩[31m" in text
    with opened(chromium, pages["index"]) as (tab, _):
        hrefs = [link.get_attribute("href") for link in tab.query_selector_all("table a")]
        assert "./evil%3Cb%3E2/report.html" in hrefs and all(href.startswith("./") for href in hrefs)


def test_an_injected_script_would_be_refused(pages, tmp_path, chromium) -> None:
    """The second wall: were a template to let markup through, the policy would stop it."""
    html = pages["evil"].read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(html.replace("<h1>", f"<script>{PWNED}</script><img src=x onerror='{PWNED}'><h1>"))
    with pytest.raises(AssertionError, match="console"), opened(chromium, broken) as (tab, seen):
        assert tab.evaluate("window.__pwned === undefined") is True
        assert len([line for line in seen.console if "Content Security Policy" in line]) >= 2


def test_the_class_table_sorts_and_finds(pages, chromium) -> None:
    with opened(chromium, pages["intents"]) as (tab, _):
        rows = tab.locator("#classes tbody tr:visible")
        assert rows.count() == 20
        head = tab.locator("#classes thead th", has_text="F1").first
        assert head.get_attribute("aria-sort") == "ascending"
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        values = [
            float(cell.get_attribute("data-v")) for cell in tab.query_selector_all("#classes tbody td:nth-child(4)")
        ]
        assert values == sorted(values, reverse=True) and len(values) == 77
        tab.locator("#classes thead th", has_text="Class").locator("button").press("Enter")
        names = tab.locator("#classes tbody tr:visible th").all_inner_texts()
        assert names == sorted(INTENTS)[:20] and head.get_attribute("aria-sort") is None
        tab.get_by_label("Find a class").fill("VERIFY_pay")
        assert rows.count() == sum("verify_pay" in name for name in INTENTS) > 0
        assert tab.locator("#classes [role=status]").inner_text() == f"{rows.count()} of 77 classes"
        tab.get_by_label("Find a class").fill("")
        tab.get_by_role("button", name="Show all 77 classes").click()
        assert rows.count() == 77


@pytest.mark.parametrize(("name", "cells"), [("digits", 100), ("intents", None)])
def test_a_cell_of_the_matrix_shows_its_examples(name: str, cells: int | None, pages, chromium) -> None:
    with opened(chromium, pages[name]) as (tab, _):
        assert tab.locator("[data-matrix] [tabindex='0']").count() == 1, "one stop for the Tab key"
        assert cells is None or tab.locator("[data-matrix] [data-j]").count() == cells
        first = tab.locator("#mistakes > .mistakes > li").first
        label, prediction = (first.get_attribute(f"data-{key}") for key in ("label", "prediction"))
        place = "row => [...document.querySelectorAll('[data-i]')].findIndex(r => r.dataset.name === row)"
        i, j = (tab.evaluate(place, value) for value in (label, prediction))
        cell, panel = tab.locator(f"[data-i='{i}'] [data-j='{j}']"), tab.locator("[data-examples]")
        assert panel.is_hidden()
        cell.click()
        assert panel.is_visible() and f"{label} taken for {prediction}" in panel.locator("h3").inner_text()
        same = tab.locator(f"#mistakes > .mistakes > li[data-label='{label}'][data-prediction='{prediction}']")
        assert panel.locator("li[data-label]").count() == min(12, same.count()) > 0
        panel.get_by_role("button", name="Close").click()
        assert panel.is_hidden() and cell.evaluate("cell => cell === document.activeElement")
        tab.keyboard.press("Home")
        home = tab.evaluate("document.activeElement.dataset.j")
        tab.keyboard.press("ArrowRight")
        assert int(tab.evaluate("document.activeElement.dataset.j")) > int(home)
        tab.keyboard.press("Enter")
        assert panel.is_visible()
        assert tab.locator("[data-matrix] [tabindex='0']").count() == 1


def test_the_map_of_many_classes_names_what_is_pointed_at(pages, chromium) -> None:
    for width in (390, 1440):
        with opened(chromium, pages["intents"], width) as (tab, _):
            mark = tab.locator(".heat rect.miss").nth(5)
            mark.scroll_into_view_if_needed()
            mark.hover()
            row = mark.evaluate("mark => mark.closest('[data-i]').dataset.name")
            assert tab.inner_text("[data-readout]").startswith(f"{row} taken for ")
            tab.locator(".pairs button").first.click()
            assert tab.locator("[data-examples] h3").evaluate("head => head === document.activeElement")


def test_the_gallery_filters_by_class_and_finding(pages, chromium) -> None:
    with opened(chromium, pages["digits"]) as (tab, _):
        shown = tab.locator("#mistakes > .mistakes > li:visible")
        assert shown.count() == 24
        tab.get_by_label("Labelled").select_option(label="dog (" + _count(tab, "label", "dog") + ")")
        assert {row.get_attribute("data-label") for row in shown.all()} == {"dog"}
        tab.get_by_label("Nearest training rows say").select_option(index=1)
        assert len({row.get_attribute("data-finding") for row in shown.all()}) <= 1
        tab.locator(".near summary:visible").first.click()
        assert tab.locator(".near[open] li img").first.get_attribute("alt").startswith("Training row labelled")


def _count(tab: Any, key: str, value: str) -> str:
    return str(tab.locator(f"#mistakes > .mistakes > li[data-{key}='{value}']").count())


def test_paper_shows_everything_and_no_controls(pages, chromium) -> None:
    with opened(chromium, pages["intents"], 800) as (tab, _):
        tab.emulate_media(media="print")
        hidden = tab.evaluate(
            "[...document.querySelectorAll('main tbody tr, main li')].filter(n => !n.offsetHeight).length"
        )
        assert hidden == 0
        assert tab.locator(".controls:visible, .more-rows:visible, nav:visible").count() == 0
        assert len(tab.pdf()) > 100_000


def test_without_a_script_everything_is_there(pages, chromium) -> None:
    with opened(chromium, pages["intents"], script=False) as (tab, _):
        assert tab.locator("#classes tbody tr:visible").count() == 77
        assert tab.locator("button, input, select").count() == 0
        assert tab.locator(".scripted:visible").count() == 0


@pytest.mark.parametrize("name", ["digits", "intents", "index", "comparison"])
def test_it_can_be_read_aloud_and_walked_by_keyboard(name: str, pages, chromium) -> None:
    with opened(chromium, pages[name]) as (tab, _):
        levels = [
            int(tag[1]) for tag in tab.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")
        ]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(deep <= before + 1 for before, deep in itertools.pairwise(levels))
        assert tab.locator("main").count() == tab.locator("header").count() == 1
        assert tab.locator("img:not([alt]), img[alt='']").count() == 0
        unnamed = "[...document.querySelectorAll('svg')].filter(s => !s.ariaHidden && !s.ariaLabel).length"
        assert tab.evaluate(unnamed) == 0
        bare = "[...document.querySelectorAll('input, select')].filter(c => !c.labels.length).length"
        assert tab.evaluate(bare) == 0
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.keyboard.press("Enter")
        assert tab.evaluate("document.activeElement.id") == "main"
        walked = 0
        for _ in range(12):
            tab.keyboard.press("Tab")
            if tab.evaluate("document.activeElement === document.body"):  # past the last one
                break
            walked += 1
            style = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style != "none", "what has the focus shows it"
        assert walked > 3
