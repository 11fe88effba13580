"""Labels are names: slips that double a class are found, and renamed where the recipe says so."""

import pytest

from hfft import naming
from hfft.errors import InputError


def refusal(labels, written=()) -> str:
    with pytest.raises(InputError) as caught:
        naming.check(labels, written, "d.csv")
    return str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Spam", "spam"), ("credit card", "Credit  card"), ("1", "1.0"), ("ﬁne", "fine"), ("STRASSE", "straße")],
)
def test_slips_are_found_and_the_frequent_name_is_offered(one, other):
    said = refusal([one, one, other, "ham"])
    assert f"{one!r} (2 rows)" in said and f"{other!r} (1 row)" in said
    assert f"data.labels: {{{other!r}: {one!r}}}" in said
    naming.check([one, "ham"], [], "d.csv")


@pytest.mark.parametrize("names", [["01", "1"], ["a", "b"], ["1", "-1"], ["1.5", "1"], ["ham", None, None]])
def test_other_names_are_different_names(names):
    naming.check(names, [], "d.csv")


def test_names_that_the_recipe_writes_are_no_slip():
    naming.check(["Spam", "spam"], ["Spam", "spam"], "d.csv")
    assert "'Spam'" in refusal(["Spam", "spam"], ["spam"])


def test_many_collisions_are_counted():
    labels = [name for i in range(8) for name in (f"c{i}", f"C{i}")]
    assert "; and 3 more" in refusal(labels)


def test_renaming_merges_and_leaves_out():
    assert naming.renamed(["a", "b", None, "c"], {"a": "b", "c": None}, "d") == ["b", "b", None, None]
    with pytest.raises(
        InputError, match=r"data.labels: d has no class 'spm' \(did you mean 'spam'\?\); it has ham, spam"
    ):
        naming.renamed(["spam", "ham"], {"spm": "ham"}, "d")
