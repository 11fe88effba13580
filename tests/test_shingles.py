"""Near-duplicate texts: exactly what comparing all pairs gives, on texts people write and on texts they should not."""

import random
import sys
import tracemalloc
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import overlaps, shingles, sketches

SEED = 5
VOCABULARY = [
    "".join(random.Random(word).choices("abcdefghijklmnopqrstuvwxyz", k=2 + word % 7)) for word in range(3000)
]


def zipf(n: int, words: int = 14, seed: int = SEED) -> list[str]:
    """n independent texts; the word of rank r comes with frequency 1 / r."""
    weight = 1 / np.arange(1, len(VOCABULARY) + 1)
    drawn = np.random.default_rng(seed).choice(len(VOCABULARY), size=(n, words), p=weight / weight.sum())
    return [" ".join(VOCABULARY[word] for word in row) for row in drawn]


def parts(n: int, shares: tuple[float, ...] = (0.7, 0.15, 0.15), seed: int = SEED) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(shares), size=n, p=shares)


def replaced(words, chance):
    words[chance.randrange(len(words))] = chance.choice(VOCABULARY)
    return " ".join(words)


def inserted(words, chance):
    words.insert(chance.randrange(len(words) + 1), chance.choice(VOCABULARY))
    return " ".join(words)


def removed(words, chance):
    del words[chance.randrange(len(words))]
    return " ".join(words)


def mistyped(words, chance):
    text = " ".join(words)
    at = chance.randrange(len(text))
    return text[:at] + chance.choice("aeiou") + text[at + 1 :]


def brute(texts, part, threshold):
    """(index, similarity) by the definition: all pairs, Python sets."""
    plain = [shingles.normalised(text) for text in texts]
    spelt = [shingles.spelt(text) for text in texts]
    sets = [{text[at : at + shingles.SHINGLE] for at in range(len(text) - shingles.SHINGLE + 1)} for text in plain]
    index = np.full((len(texts), max(part) + 1), -1)
    similarity = np.zeros(index.shape, dtype=np.float32)
    for i in range(len(texts)):
        for j in range(len(texts)):
            few = min(len(sets[i]), len(sets[j])) < shingles.FEWEST
            jaccard = 0 if few else len(sets[i] & sets[j]) / len(sets[i] | sets[j])
            if plain[i] == plain[j]:
                jaccard = shingles.FOLDED if few and spelt[i] != spelt[j] else 1.0
            if part[i] != part[j] and jaccard >= threshold and np.float32(jaccard) > similarity[i, part[j]]:
                index[i, part[j]], similarity[i, part[j]] = j, jaccard
    return index, similarity


def same(found, index, similarity):
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_array_equal(found.similarity, similarity)


WORDS = st.lists(st.sampled_from([*VOCABULARY[:60], "@anna", "@bob", "!"]), max_size=12).map(" ".join)


@given(
    st.lists(st.tuples(WORDS, st.integers(0, 3)), min_size=1, max_size=30), st.sampled_from([0.3, 0.5, 0.65, 0.8, 1])
)
@settings(max_examples=60)
def test_the_same_as_comparing_all_pairs_of_short_texts(rows, threshold):
    texts, part = [text for text, _ in rows], np.array([one for _, one in rows])
    same(shingles.matches(texts, part, threshold), *brute(texts, part, threshold))


@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.65, 0.75, 0.9])
def test_the_same_as_comparing_all_pairs_of_edited_texts(threshold):
    """Families of texts with up to 6 edits: similarities everywhere between 0.2 and 1."""
    chance = random.Random(SEED)
    texts = []
    for text in zipf(40, words=20):
        for edits in (0, 1, 1, 2, 4):
            for edit in (mistyped, replaced, inserted, removed, replaced, replaced)[:edits]:
                text = edit(text.split(), chance)  # noqa: PLW2901
            texts.append(text)
    part = parts(len(texts), (0.4, 0.2, 0.2, 0.2))
    index, similarity = brute(texts, part, threshold)
    assert 20 < (index >= 0).sum() <= index.size * 0.75
    found = shingles.matches(texts, part, threshold)
    same(found, index, similarity)
    assert found.note == ""


def test_the_order_of_rows_does_not_matter():
    texts = zipf(150) + [text + " indeed" for text in zipf(150)]
    part = parts(300, (0.5, 0.5))
    found = shingles.matches(texts, part)
    order = np.random.default_rng(SEED).permutation(300)
    turned = shingles.matches([texts[row] for row in order], part[order])
    np.testing.assert_array_equal(turned.similarity, found.similarity[order])
    assert (found.index >= 0).sum() > 50


def test_the_names_of_the_parts_do_not_matter():
    texts = zipf(100) + [text + " indeed" for text in zipf(100)]
    part = parts(200)
    found = shingles.matches(texts, part)
    other = np.array([4, 0, 2])
    renamed = shingles.matches(texts, other[part])
    np.testing.assert_array_equal(renamed.index[:, other], found.index)


def test_a_match_is_one_both_ways_and_a_higher_threshold_finds_less():
    texts = zipf(100) + [text + " indeed" for text in zipf(100)] + [text + " indeed so" for text in zipf(50)]
    part = parts(250)
    low, high = shingles.matches(texts, part, 0.5), shingles.matches(texts, part, 0.9)
    for row, other in zip(*np.nonzero(low.index >= 0), strict=True):
        back = low.index[low.index[row, other], part[row]]
        assert back >= 0 and low.similarity[low.index[row, other], part[row]] >= low.similarity[row, other]
    kept = high.index >= 0
    assert 0 < kept.sum() < (low.index >= 0).sum()
    np.testing.assert_array_equal(high.index[kept], low.index[kept])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't  PANIC!  The lift is stuck again", "don\u2019t panic \u2013 the lift is stuck again"),
        ("see https://a.example/x now please, it is urgent", "see http://b.example now please it is urgent"),
        ("@anna thank you for this kind answer", "@bernd thank you for this kind answer!!"),
        ("thank  YOU!", "Thank you!"),
        ("\uff21\uff22\uff23", "abc"),
        ("na\u00efve", "nai\u0308ve"),
        ("zero\u200bwidth", "zerowidth"),
        ("a well-known remedy against covid-19", "A well known remedy: against covid 19."),
        ("", ""),
        ("a", "A"),
        ("\U0001f602\U0001f602", "\U0001f602\ufe0f\U0001f602"),
        (":)", ":)"),
    ],
)
def test_the_same_text_written_differently(one, other):
    found = shingles.matches([one, other], np.array([0, 1]))
    assert found.index.tolist() == [[-1, 1], [0, -1]] and found.similarity.max() == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("room 101", "room 102"),
        (":)", ":("),
        ("https://a.example/x", "https://a.example/y"),
        ("https://a.example/a-long-address-of-some-page/1", "https://a.example/a-long-address-of-some-page/2"),
        ("@anna", "@bernd"),
        ("\U0001f602", "\U0001f62d"),
        ("\U0001f602" * 40, "\U0001f602" * 60),
        ("haha" * 20, "haha" * 30),
        ("why was my card declined", "why was my cash declined"),
        ("", " x"),
        ("\u5929\u6c14\u5f88\u597d", "\u5929\u6c14\u4e0d\u597d"),
    ],
)
def test_different_texts(one, other):
    assert (shingles.matches([one, other], np.array([0, 1])).index == -1).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C#", "C"),
        ("C++", "C"),
        ("I write C#, mostly", "I write C, mostly"),
        ("-5", "5"),
        ("+5", "5"),
        ("(-5)", "(5)"),
        ("100%", "100"),
        ("$5", "5"),
        ("\u20ac5", "5"),
    ],
)
def test_signs_that_mean_something(one, other):
    assert shingles.normalised(one) != shingles.normalised(other)
    assert (shingles.matches([one, other], np.array([0, 1])).index == -1).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("@anna thanks", "@bob thanks!"),
        ("see https://a.example/x now", "see http://b.example now"),
        ("Don't  PANIC!", "don\u2019t panic"),
        ("well-known", "Well known."),
        ("#monday", "monday"),
    ],
)
def test_few_words_that_differ_in_what_is_folded_are_similar_and_no_copies(one, other):
    found = shingles.matches([one, other], np.array([0, 1]))
    assert found.index.tolist() == [[-1, 1], [0, -1]]
    assert found.similarity.max() == np.float32(shingles.FOLDED)
    assert (shingles.matches([one, other], np.array([0, 1]), 0.8).index == -1).all()


def test_of_few_words_the_equal_spelling_is_preferred_to_an_earlier_row():
    found = shingles.matches(["@anna thanks", "thanks @x", "@bob thanks!", "@bob  Thanks!"], np.array([0, 0, 0, 1]))
    assert found.index[:, 1].tolist() == [3, -1, 3, -1] and found.index[3, 0] == 2
    assert found.similarity[:, 1].tolist() == [np.float32(shingles.FOLDED), 0, 1, 0]


def test_no_sign_of_any_script_is_passed_over():
    rest = set(range(sys.maxunicode + 1)).difference(*shingles.SIGNS)
    assert len(rest) > 900_000 and {unicodedata.category(chr(code)) for code in rest} == {"Lo", "Cn", "Co"}


def test_a_script_without_spaces():
    text = "".join(chr(0x4E00 + 37 * k % 2000) for k in range(30))
    edited = text[:10] + "\u9f8d\u9f99" + text[12:]
    assert shingles.matches([text, edited], np.array([0, 1])).similarity.max() > 0.6


EDITS = {
    "word replaced": replaced,
    "word inserted": inserted,
    "word removed": removed,
    "typo": mistyped,
    "punctuation, case, space": lambda words, _: "  ".join(words).upper() + " !!",
    "link": lambda words, _: " ".join([*words, "https://t.example/abc"]),
    "handle": lambda words, _: " ".join(["@somebody", *words]),
    "hashtag": lambda words, _: " ".join([*words, "#monday"]),
    "tail cut": lambda words, chance: " ".join(words)[: -chance.randint(1, 5)],
}


def test_planted_copies_are_found_and_nothing_else():
    chance = random.Random(SEED)
    texts = [text for words in range(8, 24) for text in zipf(250, words, seed=words)]
    sources = chance.sample(range(len(texts)), 50 * len(EDITS))
    edits = list(EDITS.values()) * 50
    copies = [edit(texts[row].split(), chance) for row, edit in zip(sources, edits, strict=True)]
    found = shingles.matches(texts + copies, np.repeat([0, 1], [len(texts), len(copies)]))
    assert np.mean(found.index[len(texts) :, 0] == sources) >= 0.99
    assert not np.delete(found.index[: len(texts), 1] >= 0, sources).any()


def long_texts_and_copies(n: int, most: float) -> tuple[list[str], list[str]]:
    """n texts of 20 to 300 words, and each again with up to a share `most` of its words replaced."""
    chance = random.Random(SEED)
    texts = [zipf(1, chance.randint(20, 300), seed)[0] for seed in range(n)]
    copies = []
    for text in texts:
        share = chance.uniform(0, most)
        copies.append(" ".join(chance.choice(VOCABULARY) if chance.random() < share else w for w in text.split()))
    return texts, copies


@pytest.mark.parametrize(("threshold", "most"), [(0.4, 0.4), (0.65, 0.2), (0.8, 0.12)])
def test_copies_of_long_texts_are_found_with_their_true_similarity(threshold, most):
    texts, copies = long_texts_and_copies(150, most)
    sets = [
        {text[at : at + shingles.SHINGLE] for at in range(len(text) - shingles.SHINGLE + 1)}
        for text in map(shingles.normalised, [*texts, *copies])
    ]
    jaccard = np.array([len(a & b) / len(a | b) for a, b in zip(sets[:150], sets[150:], strict=True)])
    size = np.array([len(one) for one in sets])
    assert (size >= shingles.LONG).mean() > 0.8 and ((size > 100) & (size < shingles.LONG)).any()
    found = shingles.matches(texts + copies, np.repeat([0, 1], 150), threshold)
    mine = found.index[150:, 0] == np.arange(150)
    alike = jaccard >= threshold
    assert 75 < alike.sum() < 150
    assert mine[alike].mean() >= 0.99 and not mine[~alike].any()
    np.testing.assert_array_equal(found.similarity[150:, 0][mine], jaccard[mine].astype(np.float32))
    assert found.note == ""


def test_a_band_finds_what_it_promises():
    for threshold in (0.2, 0.4, 0.5, 0.65, 0.8, 0.9, 1):
        count, width = sketches.bands(threshold)
        assert count * width <= sketches.CELLS
        assert 1 - (1 - threshold**width) ** count >= 0.995


def test_a_sketch_estimates_the_similarity():
    rng = np.random.default_rng(SEED)
    for shared in (100, 400, 700):
        codes = rng.integers(0, 2**63, size=1000 + 1000 - shared, dtype=np.uint64)
        held = np.concatenate([codes[:1000], codes[:1000], codes[-1000:]])  # twice the same: a set has each once
        a, b = sketches.sketch(np.repeat([0, 0, 1], 1000), held, 2)
        jaccard = shared / (2000 - shared)
        assert abs((a == b).mean() - jaccard) < 4 * np.sqrt(jaccard * (1 - jaccard) / sketches.CELLS)


def test_long_texts_of_one_template_meet_a_cap_and_find_a_match(monkeypatch):
    monkeypatch.setattr(overlaps, "MOST", 50)
    monkeypatch.setattr(overlaps, "ALWAYS", 0)
    chance, template = random.Random(SEED), zipf(1, 100)[0].split()
    texts = [replaced(list(template), chance) for _ in range(300)]
    found = shingles.matches(texts, parts(300))
    assert "texts share their wording with so many others" in found.note
    assert (found.index >= 0).any(axis=1).all()


def test_independent_texts_raise_no_alarm():
    texts = zipf(6_000)
    found = shingles.matches(texts, parts(len(texts)))
    assert (found.index >= 0).any(axis=1).sum() <= 1
    assert found.note == ""


def test_a_large_cluster_of_equal_texts_costs_nothing(monkeypatch):
    monkeypatch.setattr(overlaps, "MOST", 0)
    monkeypatch.setattr(overlaps, "ALWAYS", 4)
    found = shingles.matches(zipf(1) * 5_000, parts(5_000))
    assert (found.similarity.max(axis=1) == 1).all() and found.note == ""


def templates(n: int) -> list[str]:
    return [f"Your order number {k * 7919 % 100_000} has been shipped and will arrive soon" for k in range(n)]


def test_a_cap_is_counted_and_still_finds_a_match(monkeypatch):
    monkeypatch.setattr(overlaps, "MOST", 50)
    monkeypatch.setattr(overlaps, "ALWAYS", 0)
    part = parts(1000)
    found = shingles.matches(templates(1000), part)
    assert "texts share their wording with so many others" in found.note
    assert ((found.index >= 0).any(axis=1)).mean() > 0.95


def test_of_a_very_long_text_the_beginning_is_compared(monkeypatch):
    monkeypatch.setattr(shingles, "LONGEST", 500)
    text = " ".join(zipf(20))
    found = shingles.matches([text, text[:600] + " and now for something else" * 50, "x"], np.array([0, 1, 1]))
    assert found.index[0].tolist() == [-1, 1]
    assert found.note == "Of 2 texts longer than 500 characters only the beginning was compared."


@pytest.mark.parametrize(
    "texts", [[], [""], ["\ud800"], [" "] * 300, ["a"] * 300, ["\x00", "\n", "\ue000"], ["x" * 10**5] * 3]
)
def test_odd_texts_are_no_trouble(texts):
    part = np.arange(len(texts)) % 2
    found = shingles.matches(texts, part)
    assert found.index.shape[0] == len(texts)
    if len(texts) > 3:
        assert (found.similarity.max(axis=1) == 1).all()


def test_one_part_alone_has_no_matches():
    assert (shingles.matches(["the same", "the same"], np.array([0, 0])).index == -1).all()


def peak(n: int) -> int:
    texts, part = zipf(n), parts(n)
    tracemalloc.start()
    shingles.matches(texts, part)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_grows_with_the_rows_not_with_their_square():
    shingles.normalised("\u00e9")  # the tables of characters are made once
    assert peak(3000) < 2.6 * peak(1500)
