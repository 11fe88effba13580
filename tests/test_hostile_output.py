"""What comes from data is shown and obeyed nowhere: pages, cards, terminals, spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from hfft import (
    answer_files,
    card_front,
    errors,
    explained_files,
    limitations,
    pages,
    presenting,
    reporting,
    sheets,
    steering,
    terminal,
    verdicts,
)
from hfft.pieces import Piece
from hfft.records import read_json, write_json
from tests import behaviours
from tests.command import hfft
from tests.test_reporting import build

PAYLOADS = (
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "' onmouseover='alert(1)",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "</title></style><iframe src=//evil.example>",
    "{{ 7*7 }}{% raw %}${7*7}",
    "&lt;b&gt;<!--",
    "gro\u202eup\x1b[2J\x07",
    '=HYPERLINK("http://evil.example")',
    "| a | b |\n---\n# no heading\n[x](javascript:alert(1))",
    "---\nlicense: gpl\n---",
    "plain",
)
VOID = ("script", "iframe", "img", "object", "embed", "form", "base", "link")


class Seen(HTMLParser):
    """Elements, attributes that would run something, and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            address = name in ("href", "src", "action", "xlink:href") and not re.match(
                r"(#|data:image/|[\w./%-]+$)", value
            )
            if name.startswith("on") or address or "alert(" in name:
                self.wrong.append(f"{tag} {name}={value}")


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A finished run with payloads for class names, texts, slices, the data's path and the model's name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "_draw", lambda run, facts: None)
        run = build(tmp_path_factory.mktemp("runs") / "evil", PAYLOADS, 390, 0.7)
        behaviours.add(run)
        tree = yaml.safe_load((run.root / "recipe.yaml").read_text())
        tree["data"]["path"], tree["model"]["name"] = PAYLOADS[0], PAYLOADS[1]
        (run.root / "recipe.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True))
        mistakes = pq.read_table(run.mistakes("test"))
        texts = pa.array([PAYLOADS[i % len(PAYLOADS)] for i in range(len(mistakes))])
        pq.write_table(mistakes.set_column(mistakes.column_names.index("text"), "text", texts), run.mistakes("test"))
        gate = {"metric": f"recall[{PAYLOADS[4]}]", "rule": ">= 0.5", "verdict": "fail", "why": PAYLOADS[0]}
        write_json(
            run.root / "gates.json", [gate | {"value": 0.1, "low": 0.0, "high": 0.2, "n": 9, "method": "Wilson"}]
        )
        write_json(run.root / "notes.json", list(PAYLOADS))
        run.model.mkdir()
        (run.model / "config.json").write_text("{}")
        reporting.render(run)
        return run


def test_pages_hold_no_element_and_no_address_of_the_data(evil, tmp_path):
    plain = build(tmp_path / "plain", ("a", "b"), 60, 0.7)
    behaviours.add(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "_draw", lambda run, facts: None)
        reporting.render(plain)
    own = set(Seen(plain.report.read_text()).tags)
    page = Seen(evil.report.read_text())
    assert page.tags.count("script") == 1 and not page.wrong
    assert set(page.tags) <= own | {"details", "summary", "button", "mark", "ins", "del"}
    text = evil.report.read_text()
    assert "\u202e" not in text and "\x1b" not in text and "⟨U+202E⟩" in text and "7*7" in text and "${49}" not in text
    index = Seen(presenting.listed(str(evil.root.parent)).read_text())
    assert not index.wrong and index.tags.count("script") <= 1


def test_the_card_stays_one_card(evil):
    card = (evil.model / "README.md").read_text() if (evil.model / "README.md").is_file() else reporting.card(evil)
    front = card_front.read(card)
    assert "license" not in front and front["library_name"] == "transformers"
    body = card[card_front.FRONT.match(card).end() :]
    assert not re.search(r"<(script|img|svg|iframe)", body.replace("<!--", ""))
    assert "\n# no heading" not in body and "\n---\nlicense" not in body
    assert not re.search(r"(?<!\\)\]\(javascript:", body)
    assert "\u202e" not in card and "\x1b" not in card
    told = verdicts.markdown(read_json(evil.root / "gates.json"), PAYLOADS[0])
    assert not re.search(r"(?<!\\)<(script|img)", told) and len(told.splitlines()) == 5


@pytest.mark.parametrize("text", PAYLOADS)
def test_an_explanation_is_text(text):
    pieces = [Piece(text, 1.0)]
    page = explained_files.page(text, [text], pieces).decode()
    assert not Seen(page).wrong and "script" not in Seen(page).tags and "img" not in Seen(page).tags
    assert "\u202e" not in page and "\x1b" not in page


def test_no_template_trusts_a_text():
    """What is Markup is made of the house's own words; what comes from data is escaped."""
    found = sorted(pages.HERE.rglob("*.j2"))
    assert len(found) > 30
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape\s+false|<script[^>]*src", text), path
    environment = pages.template("report.html.j2", reporting.FILTERS).environment
    assert all(environment.autoescape(path.name) for path in found if path.name.endswith(".html.j2"))


def test_no_text_steers_the_terminal(capsys):
    table = terminal.table("class\x1b[2J", "value")
    table.add_row("gro\u202eup\x1b]0;owned\x07", "\x1b[31m1")
    screen = terminal.console()
    screen.print(table)
    screen.print("a\x1b[2Jb\x9b31m\r\x08c")
    out = capsys.readouterr().out
    assert not steering.STEERING.search(out) and "⟨U+001B⟩]0;owned⟨U+0007⟩" in out and "⟨U+202E⟩" in out


LOOKALIKES = ("spam\u200f", "\u200espam", "sp\u061cam", "spam\u2028", "spam\u2029", "spam\x85", "\u2067spam")


@pytest.mark.parametrize("name", LOOKALIKES)
def test_two_names_do_not_look_the_same(name):
    shown = steering.visible(name)
    assert "⟨U+" in shown and len(errors.listed([name]).splitlines()) == 1
    assert "⟨U+" in errors.listed([name]) and json.loads(steering.escaped(json.dumps(name))) == name
    page = pages.template("report.html.j2", reporting.FILTERS).environment.from_string("{{ name }}|{{ '<b>' }}")
    for kind in (str, np.str_, type("Kind", (str,), {})):
        assert page.render(name=kind(name)).startswith(f"{shown}|"), kind


def test_words_from_right_to_left_keep_their_marks_and_names_do_not():
    for text in ("שלום\u200f!", "مرحبا\u061c", "\u200eabc שלום"):
        assert steering.visible(text) == text and "⟨U+" in errors.listed([text])
    assert steering.visible("שלום\u202e\u2028") == "שלום⟨U+202E⟩⟨U+2028⟩"


def test_markup_stays_what_it_is():
    assert steering.visible(Markup("<b>\u202e</b>")) == Markup("<b>\u202e</b>")


def test_no_message_steers_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x\x1b[2J\u202e.csv").write_text("a\x1b[1m,b\nhfft: fine\n")
    tree = {"task": "text_classification", "data": {"path": "x\x1b[2J\u202e.csv"}, "model": {"name": "m"}}
    (tmp_path / "mine.yaml").write_text(json.dumps(tree))
    assert hfft("check", "mine.yaml", "--fast") == 2
    said = capsys.readouterr().err
    assert not steering.STEERING.search(said) and "⟨U+001B⟩" in said


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_name_stays_on_its_line(name):
    shown = errors.listed([name])
    assert "\n" not in shown and not steering.STEERING.search(shown)
    assert steering.visible(shown) == shown


CELLS = [*PAYLOADS, "+1", "-1", "-x", "@me", "\t=1", "\r=1", " =1", "'quoted", "\uff1d1", "fine", "", "-0.5"]


def answers() -> pa.Table:
    return pa.table(
        {"text": CELLS, "prediction": CELLS[::-1], "p": pa.array(np.linspace(0, 1, len(CELLS)), pa.float32())}
    )


def read(lines: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(lines, newline="")))


def test_answers_come_back_as_they_were():
    table = answers()
    plain = read("".join(answer_files.csv_lines(table.schema, [table])))
    assert [row["text"] for row in plain] == CELLS
    quoted = read("".join(answer_files.csv_lines(table.schema, [table], spreadsheet=True)))
    assert [row["text"].removeprefix("'") for row in quoted] == CELLS, "one apostrophe less is the text"
    assert not [row["text"] for row in quoted if row["text"].lstrip().startswith(sheets.FORMULA)]
    assert [row["p"] for row in quoted] == [row["p"] for row in plain]


def test_formulas_are_counted():
    risky = [cell for cell in CELLS if cell.lstrip()[:1] in tuple("=+@\uff1d") or cell[:2] in ("--", "-x")]
    assert len(risky) == 9
    assert answer_files.formulas(pa.table({"text": CELLS})) == len(risky)
    assert answer_files.formulas(pa.table({"text": risky})) == len(risky)
    assert answer_files.formulas(pa.table({"n": [-1, 1], "text": ["-1", "-.5"]})) == 0


def test_a_card_of_aliases_or_a_thousand_brackets_is_none():
    laughs = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))
    assert card_front.read(f"---\na0: &a0 [x]\n{laughs}\nlicense: *a11\n---\n") == {}
    assert card_front.read(f"---\nlicense: {'[' * 5000}\n---\n") == {}
    assert card_front.read("---\nlicense: mit\n---\n") == {"license": "mit"}


def test_a_model_with_code_of_its_own_says_so():
    blank = {"headline": None, "classes": {"ranked_by": None, "rows": []}, "slices": None, "probes": None}
    facts = blank | {"openings": {"warning": "", "weights": 1}, "recipe": {"model": {"name": "m"}}}
    assert limitations.limits(facts) == []
    facts["recipe"]["model"]["trust_remote_code"] = True
    assert "Python code of its own" in limitations.limits(facts)[0]


def test_json_without_an_end_is_a_sentence(tmp_path):
    path = Path(tmp_path / "deep.json")
    path.write_text("[" * 200_000)
    with pytest.raises(errors.InputError, match=r"deep\.json is not readable"):
        read_json(path)
