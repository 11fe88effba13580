"""The page to try a model: what it says, what it refuses, and what a person sees of it in a real browser."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hfft import demo_facts, demo_page, palette, recalling, recipe, rooms, space_folder, tempering, trying
from hfft.answer_rows import Rule
from hfft.errors import InputError
from hfft.records import Predictions
from hfft.run_folder import RunFolder
from tests.browser import browser, executable, loops_closed
from tests.command import hfft
from tests.test_reporting import DIGITS, build

LABELS = ("negative", "neutral", "positive")
SHORT = ("train.max_steps=2", "data.options={}", "abstain.max_error=0.9")
PROMISE = {"max_error": 0.05, "level": 0.95, "threshold": 0.9, "answered": 800, "errors": 12, "n": 1200}
STORED = {"split": "validation", "abstain": PROMISE, "sets": {"coverage": 0.9, "n": 1200}}
MANY = {f"class {place}": share for place, share in enumerate(np.linspace(2, 0, 77) / 77)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of texts that no test row was ever read for."""
    root = tmp_path_factory.mktemp("runs")
    folder, data = RunFolder(root / "words"), root / "rows.csv"
    draws = np.random.default_rng(0)
    known = ["".join(draws.choice([*"abcdefghijklmnop"], 5)) for _ in range(500)]
    texts = [f"{' '.join(draws.choice(known, 12))} &amp; more" for _ in range(200)]
    lines = [f"{text},{label}" for text, label in zip(texts, draws.choice(LABELS, 200), strict=True)]
    data.write_text("\n".join(["text,sentiment", *lines]))
    assert hfft("run", "tiny_textcls", f"data.data_files={data}", *SHORT, "--output-dir", str(folder.root)) == 0
    return folder


@pytest.fixture(scope="module")
def trial(run: RunFolder) -> trying.Trial:
    return trying.load(str(run.root))


@pytest.fixture
def pictured(trial: trying.Trial) -> trying.Trial:
    """The same page for masks, with a model that answers the left half of any picture "road"."""

    def ask(inputs: list[bytes]) -> list[np.ndarray]:
        found = []
        for data in inputs:
            image = trying.pictures.rgb({"bytes": data, "path": None})
            found.append(np.repeat([np.arange(image.width) < image.width // 2], image.height, axis=0).astype(np.int16))
        return found

    wanted = recipe.load("tiny_semseg")
    return trying.Trial(trial.folder, wanted, rooms.find("modalities", wanted.task), ("sky", "road"), ask, trial.about)


def test_the_score_stands_with_its_rows_interval_and_openings(tmp_path) -> None:
    tested = build(tmp_path / "digits", DIGITS, 600, 0.85, "image")
    about = demo_facts.about(tested, recipe.load(str(tested.root)))
    score = tested.read_scores()["test"]["f1_macro"]
    assert f"Tested: macro F1 {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] on 600 test rows" in about["score"]
    assert "has been opened" in about["openings"][0]
    untested = build(tmp_path / "new", DIGITS, 600, 0.85, "image", tested=False)
    about = demo_facts.about(untested, recipe.load(str(untested.root)))
    assert about["score"].startswith("Not tested yet") and "600 validation rows" in about["score"]
    assert about["openings"] == []


def test_ten_bars_and_the_rest_are_all_of_it() -> None:
    facts = demo_facts.answered("class 0", True, MANY, None, None, None)
    assert [bar["name"] for bar in facts["bars"]] == list(MANY)[:10]
    rest = float(re.fullmatch(r"67 more classes, together ([\d.]+) %", facts["rest"])[1])
    assert sum(bar["share"] for bar in facts["bars"]) + rest == pytest.approx(100, abs=0.06)
    assert [bar["chosen"] for bar in facts["bars"]] == [True] + 9 * [False]


def test_a_decided_answer_leads_though_another_class_is_likelier() -> None:
    facts = demo_facts.answered("rare", True, {"rare": 0.3, "common": 0.6, "odd": 0.1}, None, None, None)
    assert facts["verdict"] == ["rare"] and facts["bars"][0] == {
        "name": "rare",
        "share": 30.0,
        "cut": None,
        "chosen": True,
    }


def test_every_class_that_applies_is_shown_however_many() -> None:
    names = tuple(MANY)[20:35]
    facts = demo_facts.answered(names, True, MANY, None, None, dict.fromkeys(MANY, 0.01))
    assert tuple(facts["verdict"]) == names == tuple(bar["name"] for bar in facts["bars"] if bar["chosen"])
    assert "62 more classes, each below" in facts["rest"]


def test_not_sure_says_what_was_promised_and_on_how_many_rows() -> None:
    told = demo_facts.unsure(STORED)
    assert "from 90.0 % on" in told and "at most 5 %" in told and "of 1,200 validation rows it answered 800, 12" in told
    none = demo_facts.unsure(STORED | {"abstain": PROMISE | {"threshold": None}})
    assert "No threshold on 1,200 validation rows keeps at most 5 % wrong answers" in none
    facts = demo_facts.answered("", False, {"a": 0.6, "b": 0.4}, ("b", "a"), STORED, None)
    assert (
        facts["unsure"] == told
        and facts["set"]["names"] == ["a", "b"]
        and "nothing is ruled out" in facts["set"]["note"]
    )
    shown = trying.html("answer", facts | {"how": ""})
    assert re.search(r"Not sure:</span> best guess a <span", shown) and shown.count('class="track"') == 2
    assert "Not sure" not in trying.html("answer", facts | {"how": "", "sure": True, "unsure": ""})


@pytest.mark.parametrize(
    ("change", "answered"), [({"threshold": None}, "0 (0.0 %)"), ({"answered": 119}, "119 (9.9 %)")]
)
def test_a_page_that_is_hardly_ever_sure_says_so_at_its_top(change, answered, run) -> None:
    assert demo_facts.withheld(STORED) == demo_facts.withheld(None) == ""
    assert demo_facts.withheld(STORED | {"abstain": PROMISE | {"answered": 120}}) == ""
    told = demo_facts.withheld(STORED | {"abstain": PROMISE | change}, Path("runs/x"))
    assert (
        f"of 1,200 validation rows it would call {answered} sure" in told
        and "at most 5 % wrong ones with 95 % confidence" in told
    )
    assert "in runs/x raise abstain.max_error in recipe.yaml and delete model/calibration.json" in told
    about = demo_facts.about(run, recipe.load(str(run.root))) | {"withheld": told}
    assert trying.html("head", about).index("it would call") < trying.html("head", about).index("</div>")


def test_neighbours_are_shown_as_people_read_them() -> None:
    read = recalling.readable("Tom &amp; Jerry &lt;3")
    assert read == "Tom & Jerry <3" and recalling.readable(None) is None
    row = {"text": read, "text_pair": None, "src": None, "label": "x", "similarity": 1.0}
    assert "Tom &amp; Jerry &lt;3" in trying.html("near", {"rows": [row], "sentence": ""}), "escaped once, as HTML"


@given(st.lists(st.tuples(st.floats(0.02, 0.98), st.floats(0.001, 0.999)), min_size=1, max_size=5), st.floats(0.2, 5))
def test_a_threshold_moves_with_the_probabilities(pairs: list[tuple[float, float]], temperature: float) -> None:
    """What applies by the model's own probabilities applies by the ones that are shown."""
    cut, raw = (np.array(column) for column in zip(*pairs, strict=True))
    shown = Rule(tuple(str(place) for place in range(len(cut))), True, temperature, cuts=cut).shown_cuts
    moved = tempering.apply(raw[None], temperature, several=True)[0]
    apart = np.abs(raw - cut) > 1e-9
    assert ((moved >= np.array(list(shown.values()))) == (raw >= cut))[apart].all()


def test_names_and_texts_stay_text() -> None:
    evil = "<script>alert(1)</script>\u202e"
    row = {"text": evil, "text_pair": None, "src": None, "label": evil, "similarity": 1.0}
    facts = demo_facts.answered(evil, True, {evil: 1.0}, (evil,), STORED, None)
    pages = [trying.html("answer", facts | {"how": ""}), trying.html("near", {"rows": [row], "sentence": evil})]
    pages.append(trying.html("problem", {"sentence": evil}))
    for page in pages:
        assert "<script" not in page and "&lt;script&gt;" in page and "\u202e" not in page and "⟨U+202E⟩" in page


@pytest.mark.parametrize("words", [("",), ("  \n",), (None,)])
def test_an_empty_text_is_told(words, trial) -> None:
    assert "Type a text first" in trial.answer(*words) and 'role="alert"' in trial.answer(*words)
    assert trial.near(*words) == ""


def test_a_text_of_a_whole_book_is_told(trial) -> None:
    assert "more than 100,000 signs" in trial.answer("a " * 60_000)


def test_a_text_gets_the_answer_of_predict(trial, run) -> None:
    import hfft as package

    text = "the flight was late & nobody told us"
    wanted, page = package.load(run.root).predict([text])[0], trial.answer(text)
    shown = re.findall(r'<th scope="row">(\w+)</th>.*?>([\d.]+)\xa0%', page, re.DOTALL)
    assert {name: float(share) for name, share in shown} == {name: round(100 * p, 1) for name, p in wanted.items()}
    assert next(iter(wanted)) == shown[0][0] and "<h3>Set of classes</h3>" in page


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "Choose a picture first"),
        (b"", "0 bytes"),
        (b"no picture", "not an image"),
        ("bomb", "too large"),
        ("cut", "broken"),
    ],
)
def test_a_picture_that_cannot_be_used_is_told(data, told, pictured, tmp_path, monkeypatch) -> None:
    path = tmp_path / "secret-name.png"
    if data in ("bomb", "cut"):
        Image.effect_noise((64, 64), 50).save(path)
    if data == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    if data == "cut":
        path.write_bytes(path.read_bytes()[:900])
    if isinstance(data, bytes):
        path.write_bytes(data)
    page = pictured.answer(None if data is None else str(path))
    assert told in page and 'role="alert"' in page and "secret-name" not in page


@pytest.mark.parametrize(("size", "shown"), [((40, 20), (320, 160)), ((1600, 900), (640, 360))])
def test_a_mask_is_painted_with_a_legend(size, shown, pictured, tmp_path) -> None:
    import base64
    import io

    path = tmp_path / "a.png"
    Image.new("RGB", size, "white").save(path)
    page = pictured.answer(str(path))
    assert re.findall(r"</span>(\w+)</th><td class=\"n\">([\d.]+)", page) == [("sky", "50.0"), ("road", "50.0")]
    painted = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])))
    assert painted.size == shown
    inks = [np.array(ink) * 0.6 + 255 * 0.4 for ink in palette.colours(("sky", "road"))]
    for place, ink in zip((shown[0] - 2, 1), inks, strict=True):
        assert np.abs(np.array(painted.getpixel((place, 1))) - ink).max() <= 1


def test_a_training_row_is_its_own_nearest(trial, run, tmp_path) -> None:
    shelf = recalling.begun(run, trial.wanted, tmp_path, 50)
    assert not shelf.ready and "still being read" in shelf.sentence and shelf.examples == []
    said: list[str] = []
    recalling.fill(shelf, run, trial.wanted, trial.modality, trial.names, tmp_path, 10_000, said.append)
    assert shelf.ready and "Among all" in shelf.sentence and len(said) == 1
    held = Predictions.read(run.predictions("validation"))
    table = recalling.gathering.table(trial.wanted, trial.modality)
    rows = {row["id"]: row for row in recalling.splitting.reopen(table, run, "validation")}
    known = {(row["text"], row["label"]) for row in rows.values()}
    assert len(shelf.examples) == recalling.TRIED and set(rows) == set(held.ids)
    assert {(example.inputs[0], example.label) for example in shelf.examples} <= known
    train = recalling.splitting.reopen(table, run, "train")
    for row in train.select([0, 17]):
        near = shelf.find(row["text"])
        assert near[0]["similarity"] == pytest.approx(1, abs=1e-3) and len(near) == 5
        assert (recalling.readable(row["text"]), row["label"]) in [(found["text"], found["label"]) for found in near]
        assert [found["similarity"] for found in near] == sorted((found["similarity"] for found in near), reverse=True)


def test_without_the_data_the_page_says_why_there_are_no_neighbours(trial, run, tmp_path) -> None:
    import dataclasses

    gone = dataclasses.replace(trial.wanted.data, data_files="/nowhere/rows.csv")
    wanted = dataclasses.replace(trial.wanted, data=gone)
    shelf = recalling.begun(run, wanted, tmp_path, 50)
    recalling.fill(shelf, run, wanted, trial.modality, trial.names, tmp_path, 50, lambda _: None)
    assert shelf.ready and shelf.find is None and "There are no nearest training rows: " in shelf.sentence
    assert "/nowhere/rows.csv" in shelf.sentence
    never = recalling.begun(run, wanted, tmp_path, 0)
    assert never.ready and "--neighbours 0" in never.sentence


def test_kept_mistakes_are_there_to_try_without_reading_the_test_rows(tmp_path) -> None:
    found = build(tmp_path / "digits", DIGITS, 600, 0.85, "image")
    examples = recalling.mistakes(found, tmp_path)
    assert len(examples) == recalling.WRONG and {row.origin for row in examples} == {
        "test row it got wrong, a small copy"
    }
    assert {row.label for row in examples} <= set(DIGITS)
    for row in examples:
        with Image.open(row.inputs[0]) as picture:
            assert picture.size[0] >= 28


def test_no_row_of_the_data_is_in_a_space_unless_asked_for(run, trial, tmp_path, capsys) -> None:
    table = recalling.gathering.table(trial.wanted, trial.modality)
    texts = {
        split: set(recalling.splitting.reopen(table, run, split)["text"][:])
        for split in ("train", "validation", "test")
    }
    (run.model / "training_args.bin").write_bytes(b"token")
    space_folder.write(run, tmp_path / "plain", None)
    assert not (tmp_path / "plain" / "model" / "training_args.bin").exists()
    found = {path: path.read_bytes() for path in (tmp_path / "plain").rglob("*") if path.is_file()}
    every = {text for part in texts.values() for text in part}
    assert len(every) > 100 and len(found) > 6
    assert not [text for text in every for data in found.values() if text.encode() in data]
    assert str(run.root).encode() not in b"".join(found.values())
    assert hfft("demo", str(run.root), "--space", str(tmp_path / "shown"), "--examples", "--model-id", "me/mine") == 0
    said = capsys.readouterr().out
    page = (tmp_path / "shown" / "app.py").read_text()
    shown = {text for text in texts["validation"] if repr(text) in page}
    assert len(shown) == recalling.TRIED and not [text for text in texts["test"] | texts["train"] if repr(text) in page]
    assert all(f"published with it: {text}" in said for text in shown)
    assert "MODEL = 'me/mine'" in page and not (tmp_path / "shown" / "model").exists()


def test_a_taken_port_names_the_next_free_one(run, capsys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert hfft("demo", str(run.root), "--port", str(port)) == 2
    told = capsys.readouterr().err
    other = int(re.search(rf"port {port} is taken on 127.0.0.1; (\d+) is free: --port", told)[1])
    assert other > port and demo_page.free("127.0.0.1", other) is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere is not a run folder"),
        (["nowhere", "--json"], "--json are for --space"),
        (["nowhere", "--space", "here"], "nowhere is not a run folder"),
        (["RUN", "--host", "203.0.113.1"], "no address of this machine"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(words, told, run, capsys) -> None:
    assert hfft("demo", *(word.replace("RUN", str(run.root)) for word in words)) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_without_gradio_the_extra_is_named(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=re.escape("pip install 'hfft[page]'")):
        demo_page.serve(str(run.root), 0)


# gradio counts how long answers took, for nobody, with two options of pandas that pandas 3 warns about.
@pytest.mark.filterwarnings("ignore:The copy keyword is deprecated")
@pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated")
def test_a_person_types_presses_and_reads(run, monkeypatch) -> None:
    """The whole verb: the page in a browser, and then Ctrl-C."""
    executable()
    seen: dict[str, Any] = {"away": [], "console": []}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def person(page: Any) -> None:
        assert not page.run_history and not page.analytics_enabled and not page.share and not page.enable_monitoring
        with browser() as chromium:
            _try(chromium, port, (400, 1100), seen)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_page, "wait", person)
    said: list[str] = []
    with loops_closed():
        assert demo_page.serve(str(run.root), port, neighbours=60, say=said.append) is None
    assert said[0] == f"words: http://127.0.0.1:{port}/  (Ctrl-C ends it)"
    assert seen["away"] == [] and seen["console"] == []
    demo_page.free("127.0.0.1", port)


def _try(chromium: Any, port: int, widths: tuple[int, ...], seen: dict[str, Any]) -> None:
    """All that a person does on one page, at one width after the other: loading it anew takes longest."""
    context = chromium.new_context(viewport={"width": widths[0], "height": 900})
    tab, home = context.new_page(), f"http://127.0.0.1:{port}/"
    tab.on("request", lambda asked: seen["away"].extend([asked.url] * (not asked.url.startswith((home, "data:")))))
    tab.on("console", lambda line: seen["console"].append(line.text))
    tab.on("pageerror", lambda error: seen["console"].append(str(error)))
    tab.set_default_timeout(15_000)
    tab.goto(home)
    for width in widths:
        tab.set_viewport_size({"width": width, "height": 900})
        _answered(tab, width)
    context.close()


def _answered(tab: Any, width: int) -> None:
    answer, near, text = tab.locator("#answer"), tab.locator("#near li"), tab.get_by_label("Text", exact=True)

    def pressed(words: str) -> None:
        text.fill(words)
        tab.get_by_role("button", name="Answer").click()
        (answer.get_by_role("heading", level=2) if words.strip() else answer.get_by_role("alert")).wait_for()

    pressed(" ")
    assert near.count() == 0
    pressed("the flight was late again")
    assert answer.locator("tbody tr").count() == 3 and "Probabilities" in answer.inner_text()
    assert near.first.inner_text() and near.count() == 5
    pressed(" ")
    assert near.count() == 0
    cell = tab.locator("#examples tbody td").first
    cell.click()
    answer.get_by_role("heading", level=2).wait_for()
    assert text.input_value().startswith(cell.inner_text().rstrip(".")[:20])
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.get_by_role("heading", level=1).inner_text() == "words"
    assert tab.locator("footer:visible a, footer:visible button").count() == 0
