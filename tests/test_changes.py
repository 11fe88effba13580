"""Which parts of a text were changed: nothing is lost, and what differs is marked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hfft.changes import LONGEST, marked

PLAIN = st.text(st.characters(exclude_categories=["Cf", "Cs"]), max_size=80)


def joined(parts: list[tuple[str, bool]]) -> str:
    return "".join(text for text, _ in parts)


def kept(parts: list[tuple[str, bool]]) -> str:
    return "".join(text for text, changed in parts if not changed)


@given(PLAIN, PLAIN)
def test_joined_they_are_the_texts_and_what_is_not_marked_is_the_same(before, after):
    ours, theirs = marked(before, after)
    assert (joined(ours), joined(theirs)) == (before, after)
    assert kept(ours) == kept(theirs)


@given(PLAIN)
def test_nothing_is_marked_where_nothing_changed(text):
    ours, theirs = marked(text, text)
    assert ours == theirs and not any(changed for _, changed in ours)


def test_only_the_changed_word_is_marked():
    ours, theirs = marked("where is my card?", "where is my crad?")
    assert [text for text, changed in ours if changed] == ["card"]
    assert [text for text, changed in theirs if changed] == ["crad"]


def test_of_words_that_look_the_same_the_letter_is_marked():
    assert marked("was so", "w\u0430s so") == (
        [("w", False), ("a", True), ("s", False), (" so", False)],
        [("w", False), ("\u0430", True), ("s", False), (" so", False)],
    )


def test_what_cannot_be_seen_is_written_out():
    assert marked("so good", "so\u200b good")[1] == [("so", False), ("⟨U+200B⟩", True), (" good", False)]


def test_a_long_text_is_cut_to_what_surrounds_the_change():
    before = "word " * 1000 + "card" + " word" * 1000
    ours, theirs = marked(before, before.replace("card", "crad"))
    assert [text for text, changed in ours if changed] == ["card"]
    assert [text for text, changed in theirs if changed] == ["crad"]
    assert len(joined(ours)) <= LONGEST + 4 and joined(ours).startswith("… ") and joined(ours).endswith(" …")
