"""Probes of texts by example: where each applies, where it must not, and that the safe ones keep the meaning."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft import rooms
from hfft.perturbing import perturbed
from hfft.probes import contractions, lookalikes
from hfft.slips import ROWS as KEYS
from hfft.slips import neighbours

LONG = "We were waiting at the gate for two hours and nobody told us why"
ROWS = [f"{LONG} on day {row}" for row in range(60)]
WORDS = ["the", "flight", "was", "late", "again", "GREAT", "crew", "don't", "fine", "12", "@jane"]
words = st.lists(st.sampled_from(WORDS), min_size=1)


def change(name: str, text: str, severity: int = 1, row: str = "row") -> str | None:
    return perturbed(rooms.find("probes", name), text, severity, row)


def changes(name: str, text: str, severity: int = 1) -> set[str | None]:
    return {change(name, text, severity, str(row)) for row in range(60)}


APPLIES = [
    ("casing", "Great flight", {"great flight", "GREAT FLIGHT", "Great Flight"}),
    ("punctuation", "It was late.", {"It was late", "It was late.."}),
    ("punctuation", "It was late", {"It was late."}),
    ("punctuation", "Was it late? ", {"Was it late?? "}),
    ("punctuation", "!!!", {"!!!!"}),
    ("contractions", "I can not come", {"I can't come", "I can’t come"}),
    ("contractions", "DON'T GO", {"DO NOT GO", "DON’T GO"}),
    ("contractions", "We aren't in", {"We are not in", "We aren’t in"}),
    ("contractions", "They have been in", {"They've been in", "They’ve been in"}),
    ("contractions", "You’ll see", {"You will see", "You'll see"}),
    ("contractions", "John's", {"John’s"}),
    ("accents", "xxtexx", {"xxtèxx", "xxtéxx", "xxtêxx", "xxtëxx"}),
    ("lookalikes", "zztezz", {"zztеzz"}),
    ("truncation", "a b c d e f g h", {"a b c d e f"}),
    ("negation", "The crew was friendly", {"The crew was not friendly"}),
    ("negation", "The crew was not friendly", {"The crew was friendly"}),
    ("negation", "I can’t recommend it", {"I can recommend it"}),
    ("negation", "It won't work", {"It will work"}),
    ("negation", "THE CREW WAS RUDE", {"THE CREW WAS NOT RUDE"}),
    ("negation", "it's fine", {"it's not fine"}),
    ("negation", "She has been kind.", {"She has not been kind."}),
    ("negation", "Don't go there", {"Do go there"}),
]


@pytest.mark.parametrize(("name", "text", "expected"), APPLIES)
def test_it_does_what_it_says(name, text, expected):
    assert changes(name, text) == expected - {text}


LEFT_ALONE = [
    ("typos", ["", "not now", "@united #fail https://t.co/abcdef", "東京に行きたい", "12345 67890", "&quot;"]),
    ("lookalikes", ["", "no", "@peace", "zmnk"]),
    ("accents", ["", "no", "rhythm", "@peace", "crème", "Straße"]),
    ("casing", ["", "123", "東京", "?!"]),
    ("white_space", ["", " ", "\n\t"]),
    ("punctuation", ["", "late :)", "see https://t.co/x", "@jane", "great 👍", "(late)"]),
    ("contractions", ["", "late", "He had gone", "I know who you are", "you can not only eat", "is not only late"]),
    ("number_swap", ["", "none", "the 3rd", "B12", "@user12", "https://t.co/12"]),
    ("name_swap", ["", "peter", "Annabel", "@Peter", "#Peter"]),
    ("truncation", ["", "seven words are too few for it"]),
    ("negation", ["Is it late?", "late", "It is what it was", "Nothing is late", "It is not that it was late"]),
    ("negation", ["when it is late", "a can of it", "Not great", "it is", "not just rude", "It was not only late"]),
    ("negation", ["She is just nasty", "I don't see it yet", "Will Smith", "It is late. I go.", "My can leaks"]),
    ("url", ["", " "]),
    ("handle", ["", " "]),
    ("emoji", ["", " "]),
    ("neutral_prefix", ["", " "]),
    ("neutral_suffix", ["", " "]),
]


@pytest.mark.parametrize(("name", "rows"), LEFT_ALONE)
def test_it_does_not_apply_where_it_should_not(name, rows):
    assert {text: changes(name, text) for text in rows} == {text: {None} for text in rows}


def test_long_forms_come_back_from_short_ones():
    for text in (
        "I do not know",
        "they are late",
        "we will see",
        "I am here",
        "it is late",
        "I cannot go",
        "DO NOT GO",
    ):
        for apostrophe in "'’":
            assert contractions.lengthened(contractions.shortened(text, apostrophe)) == text


@pytest.mark.parametrize(
    "text", ["It's been late", "that's finished", "Isn't it", "Why aren't the trains late", "She'd go"]
)
def test_what_could_mean_something_else_is_not_spelt_out(text):
    assert contractions.lengthened(text) == text


@given(words=words, row=st.integers(0, 99).map(str), severity=st.integers(1, 3))
def test_a_typo_is_one_slip_in_each_of_as_many_words(words, row, severity):
    found = change("typos", " ".join(words), severity, row)
    if found is None:
        assert sum(len(word) >= 4 and word not in ("@jane", "don't") for word in words) < severity
        return
    pairs = [(old, new) for old, new in zip(words, found.split(" "), strict=True) if old != new]
    assert len(pairs) == severity
    for old, new in pairs:
        assert old[0] == new[0] and abs(len(old) - len(new)) <= 1 and slips(old, new) == 1


def slips(old: str, new: str) -> int:
    """Letters dropped, added, replaced or swapped with the next: optimal string alignment distance."""
    rows = [[*range(len(new) + 1)]]
    for i, letter in enumerate(old, 1):
        row = [i]
        for j, other in enumerate(new, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, old[i - 2]) == (new[j - 2], other):
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def test_keys_are_neighbours_of_their_neighbours():
    letters = "".join(KEYS)
    assert len(set(letters)) == 26
    assert all(letter in neighbours(other) for letter in letters for other in neighbours(letter))
    assert all(2 <= len(neighbours(letter)) <= 6 for letter in letters)


BACK = {
    "casing": str.casefold,
    "white_space": lambda text: "".join(text.split()),
    "punctuation": lambda text: text.rstrip(".!?"),
    "accents": lambda text: "".join(sign for sign in unicodedata.normalize("NFD", text) if sign < "\u0300"),
    "lookalikes": lambda text: text.translate({ord(new): old for old, new in lookalikes.LOOKS.items()}),
}


@pytest.mark.parametrize("name", BACK)
@given(words=words, row=st.integers(0, 99).map(str), end=st.sampled_from(["", ".", "!", "?"]))
def test_what_a_safe_probe_adds_can_be_taken_away_again(name, words, row, end):
    text = " ".join(words) + end
    found = change(name, text, 1, row)
    assert found is None or BACK[name](found) == BACK[name](text)


def test_look_alikes_are_other_letters_of_the_same_case():
    assert len(lookalikes.LOOKS) == len(set(lookalikes.LOOKS.values())) > 20
    for old, new in lookalikes.LOOKS.items():
        assert "CYRILLIC" in unicodedata.name(new) and old.isascii() and old.isupper() == new.isupper()


@pytest.mark.parametrize("name", ["typos", "accents", "lookalikes", "truncation"])
def test_a_higher_severity_changes_more(name):
    far = [[slips(text, change(name, text, severity, text)) for text in ROWS] for severity in (1, 2, 3)]
    assert sum(far[0]) < sum(far[1]) < sum(far[2])
    assert min(far[0]) >= 1


def test_numbers_keep_their_digits_and_names_their_list():
    for row in range(99):
        found = change("number_swap", "12 of 1995, 007 and 3", row=str(row))
        two, of, year, zeros, _, one = found.replace(",", "").split()
        assert (len(two), len(zeros), len(one), of) == (2, 3, 1, "of") and 1900 <= int(year) < 2100
        assert all(map(str.__ne__, (two, year, zeros, one), ("12", "1995", "007", "3")))
        assert "0" not in (two[0], one[0])
        found = change("name_swap", "Anna met Peter, Anna met Mary", row=str(row)).replace(",", "").split()
        assert found[0] == found[3] != "Anna" and found[2] != "Peter" and len({found[0], found[2], found[5]}) == 3


@pytest.mark.parametrize("name", ["url", "handle", "emoji", "neutral_prefix", "neutral_suffix"])
def test_what_is_added_leaves_the_text_whole(name):
    for text in ROWS:
        found = change(name, text, row=text)
        assert text in found and 2 <= len(found) - len(text) <= 40
