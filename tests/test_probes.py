"""What every probe keeps to: same row, same change; never "applied" without one; and no way to the label."""

import inspect
import re
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hfft import perturbing, rooms, wording
from hfft.perturbing import perturbed, title

PROBES = [rooms.find("probes", name) for name in rooms.names("probes")]
TEXTS = [probe for probe in PROBES if probe.INPUT == "text"]
IMAGES = [probe for probe in PROBES if probe.INPUT == "image"]
SAFE_TEXTS = {"accents", "casing", "contractions", "lookalikes", "punctuation", "typos", "white_space"}
NOT_SAFE_IMAGES = {"shift", "rotate", "flip", "grey"}
every_text = pytest.mark.parametrize("probe", TEXTS, ids=title)
every_image = pytest.mark.parametrize("probe", IMAGES, ids=title)

WORDS = "the flight was late again don't it's not I will Anna Peter 12 1999 7:45 @united https://t.co/aB3 #fail &amp; "
WORDS += "GREAT café ﷺ مرحبا שלום 東京に行きたい ไทย 👍🏽 👩‍👩‍👧 ... ?! can't do you are cannot naïve e\u0301 x"
sentences = st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join)
texts = sentences | st.text(max_size=60)


@st.composite
def pictures(draw):
    """Of any size from one pixel: noise, one colour, or shades of grey."""
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    channels = draw(st.sampled_from([0, 1, 3]))
    shape = (height, width, channels) if channels else (1, 1, 3)
    return Image.fromarray(np.broadcast_to(rng.integers(0, 256, shape, dtype=np.uint8), (height, width, 3)).copy())


@pytest.mark.parametrize("probe", PROBES, ids=title)
def test_a_probe_says_what_it_is(probe):
    assert probe.INPUT in ("text", "image") and probe.KIND in ("invariance", "direction")
    assert type(probe.SAFE) is bool and probe.SEVERITIES in range(1, 6)
    assert re.fullmatch(r"[a-z“].*[^.]", probe.SAYS) and len(probe.SAYS) < 120
    taken = list(inspect.signature(probe.perturb).parameters)
    assert taken == ["text" if probe.INPUT == "text" else "picture", "severity", "rng"], "no way to the label"
    assert probe.KIND == "invariance" or not probe.SAFE


def test_the_safe_ones_run_unasked():
    assert {title(probe) for probe in perturbing.chosen(None, "text")} == SAFE_TEXTS
    assert {title(probe) for probe in perturbing.chosen(None, "image")} == {*map(title, IMAGES)} - NOT_SAFE_IMAGES
    assert sum(probe.SEVERITIES == 5 for probe in IMAGES) >= 12


def test_the_page_lists_every_probe():
    page = (Path(__file__).parent.parent / "docs" / "probes.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d) \| (yes|no)\b", page, re.M)
    told = {name: (int(severities), safe == "yes") for name, severities, safe in rows}
    assert told == {title(probe): (probe.SEVERITIES, probe.SAFE) for probe in PROBES}


def test_the_page_s_own_probe_works():
    page = (Path(__file__).parent.parent / "docs" / "probes.md").read_text()
    own = types.ModuleType("hfft.probes.hashtags")
    exec(re.search(r"```python\n(.*?)```", page, re.S)[1], vars(own))
    assert perturbed(own, "late #again", 1, "row") == "late again" and perturbed(own, "late", 1, "row") is None


@every_text
@given(text=texts, content=st.integers(0, 9).map(str))
@settings(max_examples=60)
def test_a_text_changes_the_same_way_every_time_or_not_at_all(probe, text, content):
    for severity in range(1, probe.SEVERITIES + 1):
        found = perturbed(probe, text, severity, content)
        assert found == perturbed(probe, text, severity, content)
        assert found is None or (isinstance(found, str) and found != text and found.strip())
        assert text.strip() or found is None, "nothing is done to an empty text"


@every_image
@given(picture=pictures(), content=st.integers(0, 9).map(str))
@settings(max_examples=30)
def test_a_picture_changes_the_same_way_every_time_or_not_at_all(probe, picture, content):
    before = picture.tobytes()
    for severity in {1, probe.SEVERITIES}:
        found, again = (perturbed(probe, picture, severity, content) for _ in range(2))
        assert (found is None) == (again is None) and picture.tobytes() == before
        if found is not None:
            assert (found.size, found.mode) == (picture.size, "RGB")
            assert before != found.tobytes() == again.tobytes()


@every_text
def test_different_rows_change_differently(probe):
    text = "Peter doesn't think that 12 flights of 30 were late, it is not what we have seen before!"
    found = {perturbed(probe, text, 1, str(row)) for row in range(40)}
    one_way = {"truncation": 1, "negation": 1, "punctuation": 2, "casing": 3}
    assert len(found) == one_way.get(title(probe), len(found)) and len(found) > (title(probe) not in one_way)


@every_image
def test_different_pictures_change_differently(probe):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8))
    found = {perturbed(probe, picture, probe.SEVERITIES, str(row)).tobytes() for row in range(9)}
    by_coin = {"brightness": 2, "contrast": 2, "saturation": 2, "rotate": 2}
    by_coin |= dict.fromkeys(["flip", "grey", "gaussian_blur", "defocus_blur", "jpeg", "pixelate"], 1)
    assert len(found) == by_coin.get(title(probe), 9)


def test_links_handles_and_tags_stay_whole():
    text = "@united your #flight from www.example.org/there to https://t.co/aBcDeF was, as ever, late: me@home.org"
    kept = ["@united", "#flight", "www.example.org/there", "https://t.co/aBcDeF", "me@home.org"]
    for name in ("typos", "lookalikes", "accents", "number_swap", "name_swap"):
        for row in range(50):
            found = perturbed(rooms.find("probes", name), text + " 12 Anna", 1, str(row))
            assert [token for token in found.split() if not wording.plain(token)] == kept


def patterns():
    modules = {title(probe): probe for probe in TEXTS} | {"wording": wording}
    return [
        (f"{name}.{key}", value.pattern)
        for name, module in modules.items()
        for key, value in vars(module).items()
        if isinstance(value, re.Pattern)
    ]


def test_no_pattern_can_run_away():
    """A repeat without an end is the whole pattern, so a match never starts twice over the same signs."""
    found = patterns()
    assert len(found) >= 8
    endless = {name for name, pattern in found if re.search(r"(?<!\\)[*+]|,\}", re.sub(r"\[[^]]*\]", "x", pattern))}
    assert endless == {"wording.TOKEN", "wording.LETTERS"}
    for name, pattern in found:
        if name in endless:
            assert re.fullmatch(r"(\\S|\[[^]]*\])\+", pattern)


@every_text
def test_a_text_of_100_000_characters_is_no_trouble(probe):
    """Quadratic work would take minutes here, and the suite would not end."""
    for piece in (
        "a",
        " ",
        "!",
        "1",
        "@",
        "&",
        "'",
        "don't ",
        "it is ",
        "Anna ",
        "Aa",
        ".",
        "\u0301",
        "http://",
        "12:",
    ):
        text = (piece * 100_000)[:100_000]
        for severity in {1, probe.SEVERITIES}:
            found = perturbed(probe, text, severity, "row")
            assert found is None or found != text
