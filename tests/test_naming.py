"""Labels are names: slips that double a class are found, and renamed where the recipe says so."""

from collections import Counter

import pytest

from hfft import naming
from hfft.errors import InputError


def refusal(labels, **mapping) -> str:
    with pytest.raises(InputError) as caught:
        naming.check(Counter(labels), mapping, "d.csv")
    return str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Spam", "spam"), ("credit card", "Credit  card"), ("1", "1.0"), ("ﬁne", "fine"), ("STRASSE", "straße")],
)
def test_slips_are_found_and_the_frequent_name_is_offered(one, other):
    said = refusal([one, one, other, "ham"])
    assert f"{one!r} (2 rows)" in said and f"{other!r} (1 row)" in said
    assert f"data.labels: {{{other!r}: {one!r}}}" in said
    naming.check(Counter([one, "ham"]), {}, "d.csv")


@pytest.mark.parametrize("names", [["01", "1"], ["a", "b"], ["1", "-1"], ["1.5", "1"], ["ham", None, None]])
def test_other_names_are_different_names(names):
    naming.check(Counter(names), {}, "d.csv")


def test_names_that_the_recipe_writes_are_no_slip():
    naming.check(Counter(["Spam", "spam"]), {"Spam": "Spam", "spam": "spam"}, "d.csv")
    naming.check(Counter(["Spam", "spam"]), {"Spam": "spam"}, "d.csv")
    naming.check(Counter(["Spam", "spam"]), {"Spam": None}, "d.csv")
    assert "'Ham'" in refusal(["Spam", "spam", "ham", "Ham"], Spam="spam")
    assert "'Spam' (1 row) and 'spam' (1 row)" in refusal(["junk", "Spam"], junk="spam"), "after renaming"


def test_many_collisions_are_counted():
    labels = [name for i in range(8) for name in (f"c{i}", f"C{i}")]
    said = refusal(labels)
    assert "; and 3 more" in said and "'c7': 'C7'" in said, "all of them can be pasted"


def test_renaming_what_is_not_there_names_the_nearest():
    said = refusal(["spam", "ham", None], spm="ham")
    assert said == "data.labels: d.csv has no class 'spm' (did you mean 'spam'?); it has ham, spam"
