"""Nearest training rows of mistakes: what is planted in feature space gets its finding."""

from __future__ import annotations

import numpy as np
import pytest

from hfft import likening
from hfft.likening import AGREE, COPY, DOUBT, FAR, OPEN
from hfft.records import Predictions

NAMES = ("ham", "spam", "tofu")
WIDE = 24


def clusters(n: int, seed: int, separation: float = 4.0, shares: tuple[float, ...] = (0.4, 0.35, 0.25)):
    """(features float32 (n, 24), classes int (n,)) of Gaussian clusters far from the origin, as real features are."""
    draws = np.random.default_rng(seed)
    centres = separation * np.eye(len(shares), WIDE) + 20
    classes = draws.choice(len(shares), n, p=shares)
    spread = np.where(np.arange(WIDE) < WIDE - 4, 1.0, 0.1)  # four directions that the data hardly uses
    return (centres[classes] + spread * draws.normal(size=(n, WIDE))).astype(np.float32), classes


def judged(test, labels, predicted, train, given, sure=0.9):
    """Finding per test row, of a model that is as sure of every row."""
    scores = np.full((len(test), len(NAMES)), (1 - sure) / (len(NAMES) - 1), dtype=np.float32)
    scores[np.arange(len(test)), predicted] = sure
    ids = np.array([f"row{i}" for i in range(len(test))], dtype=object)
    found = likening.liken(Predictions(ids, labels, predicted, scores, NAMES), test, train, given)
    return {likeness.row: likeness for likeness in found}


@pytest.fixture(scope="module")
def space():
    """(train, given, test, truth): 600 and 400 rows of three clusters."""
    return *clusters(600, 1), *clusters(400, 2)


def findings(found):
    return [likeness.finding for likeness in found.values()]


def test_a_wrong_label_is_told_from_a_wrong_answer(space):
    train, given, test, truth = space
    labels, predicted = truth.copy(), truth.copy()
    labels[:20] = (truth[:20] + 1) % 3  # the model is right, the label is not
    predicted[20:40] = (truth[20:40] + 1) % 3  # the label is right, the model is not
    found = judged(test, labels, predicted, train, given)
    assert sorted(found) == list(range(40))
    doubted, shown = ([found[i].finding for i in rows] for rows in (range(20), range(20, 40)))
    assert doubted.count(DOUBT) >= 17 and doubted.count(AGREE) == 0
    assert shown.count(AGREE) >= 17 and shown.count(DOUBT) == 0
    row = next(i for i in range(20) if found[i].finding == DOUBT)
    answer, label = NAMES[predicted[row]], NAMES[labels[row]]
    assert f"labelled '{answer}', as the model answers, and none '{label}'" in found[row].sentence
    assert (given[found[row].nearest] == predicted[row]).sum() >= 4


def test_copies_are_found_whatever_their_label(space):
    train, given, test, truth = space
    test, labels, predicted = test.copy(), truth.copy(), truth.copy()
    near = np.random.default_rng(3).normal(scale=0.05, size=(15, WIDE))
    test[:15] = train[:15] + near
    labels[:15] = given[:15]
    predicted[:5] = (labels[:5] + 1) % 3  # the copy carries the row's own label
    labels[5:10], predicted[5:10] = (given[5:10] + 1) % 3, given[5:10]  # the model's answer
    labels[10:15], predicted[10:15] = (given[10:15] + 1) % 3, (given[10:15] + 2) % 3  # neither
    found = judged(test, labels, predicted, train, given)
    assert findings(found) == [COPY] * 15
    assert [found[i].nearest[0] for i in range(15)] == list(range(15))
    ends = ["errs all the same", "one of the two labels may be wrong", "do not fit together"]
    assert all(ends[i // 5] in found[i].sentence for i in range(15))


def test_no_copy_is_seen_where_none_is():
    alarms = 0
    for seed in range(20):
        (train, given), (test, truth) = clusters(600, 100 + seed), clusters(400, 200 + seed)
        predicted = truth.copy()
        predicted[:50] = (truth[:50] + 1) % 3
        alarms += findings(judged(test, truth, predicted, train, given)).count(COPY)
    assert alarms <= 2, "of 1,000 mistakes"


def test_copies_are_found_where_most_test_rows_are_copies(space):
    """The scale is then that of rounding, and only what is equal counts."""
    train, given, test, truth = space
    test, labels = test.copy(), truth.copy()
    test[:300], labels[:300] = train[:300], given[:300]
    predicted = labels.copy()
    predicted[290:310] = (labels[290:310] + 1) % 3
    found = judged(test, labels, predicted, train, given)
    assert [found[i].finding == COPY for i in range(290, 310)] == [True] * 10 + [False] * 10


def test_outliers_have_nothing_like_them_in_train(space):
    train, given, test, truth = space
    test, predicted = test.copy(), truth.copy()
    test[:10, -4:] += np.random.default_rng(4).choice([-6, 6], size=(10, 4))  # along what no training row has
    predicted[:20] = (truth[:20] + 1) % 3
    found = judged(test, truth, predicted, train, given)
    assert [found[i].finding for i in range(10)] == [FAR] * 10
    assert FAR not in [found[i].finding for i in range(10, 20)]


def test_a_class_that_nearly_all_rows_have_is_no_evidence():
    """Where nine of ten training rows are ham, five neighbours that are ham say nothing about a label."""
    train, _ = clusters(600, 5)
    test, _ = clusters(100, 6)
    draws = np.random.default_rng(7)
    given = draws.choice(3, 600, p=[0.9, 0.05, 0.05])  # unrelated to the features
    labels, predicted = np.ones(100, int), np.zeros(100, int)
    assert DOUBT not in findings(judged(test, labels, predicted, train, given))


def test_features_that_do_not_know_a_class_doubt_no_label(space):
    """Two classes that only the labels tell apart: neighbours carry either, and five of a kind come by chance."""
    train, given, test, truth = space
    draws = np.random.default_rng(8)
    given, labels = given.copy(), truth.copy()
    for classes in (given, labels):
        mixed = classes < 2
        classes[mixed] = draws.integers(2, size=mixed.sum())
    predicted = np.where(labels < 2, 1 - labels, labels)
    found = judged(test, labels, predicted, train, given)
    assert len(found) == likening.MISTAKES and DOUBT not in findings(found)
    assert any("; for most test rows labelled" in likeness.sentence for likeness in found.values())
    blind = judged(test, np.where(truth == 2, 0, truth), np.full(len(test), 2), train, np.full(len(train), 2))
    assert DOUBT not in findings(blind), "a class that training does not have"


def test_a_class_with_fewer_rows_than_neighbours_is_not_missed(space):
    train, given, test, truth = space
    given = np.where((given == 2) & (np.cumsum(given == 2) > 4), 0, given)  # four rows of tofu are left
    labels, predicted = np.full(len(test), 2), truth.copy()
    labels[30:] = predicted[30:]
    labels[:30][truth[:30] == 2] = 0
    assert DOUBT not in [found.finding for i, found in judged(test, labels, predicted, train, given).items()
                         if labels[i] == 2]  # fmt: skip


def test_similarity_is_the_cosine_of_centred_features(space):
    """Against scikit-learn; and a common offset, of which real features are full, changes nothing."""
    from sklearn.neighbors import NearestNeighbors

    train, given, test, truth = space
    predicted = (truth + 1) % 3
    found = judged(test, truth, predicted, train, given)
    assert len(found) == likening.MISTAKES
    oracle = NearestNeighbors(n_neighbors=5, metric="cosine", algorithm="brute").fit(train - train.mean(axis=0))
    far, places = oracle.kneighbors(test - train.mean(axis=0))
    for row, likeness in found.items():
        assert likeness.nearest.tolist() == places[row].tolist()
        assert likeness.similarity == pytest.approx(1 - far[row], abs=1e-5)
    moved = judged(test + 100, truth, predicted, train + 100, given)
    assert [found[i].nearest[0] for i in found] == [moved[i].nearest[0] for i in found]


def test_of_several_classes_the_surest_wrong_answer_is_voted_on(space):
    train, given, test, truth = space
    names = ("a", "b", "c")
    tags, labels = np.eye(3, dtype=bool)[given], np.eye(3, dtype=bool)[truth]
    predicted, scores = labels.copy(), np.where(labels, 0.9, 0.1).astype(np.float32)
    for row in range(10):  # the label lacks the class that the model and the neighbours see
        labels[row, truth[row]] = False
    for row in range(10, 20):  # the model lacks it
        predicted[row, truth[row]], scores[row, truth[row]] = False, 0.2
    ids = np.array([f"row{i}" for i in range(len(test))], dtype=object)
    found = likening.liken(Predictions(ids, labels, predicted, scores, names), test, train, tags)
    told = {likeness.row: likeness for likeness in found}
    assert [told[i].finding for i in range(10)].count(DOUBT) >= 8
    assert [told[i].finding for i in range(10, 20)].count(AGREE) >= 8
    doubted = next(told[i] for i in range(10) if told[i].finding == DOUBT)
    name = names[truth[doubted.row]]
    assert f"are labelled '{name}', as the model answers, and none without '{name}'" in doubted.sentence


def test_small_and_empty_cases(space):
    train, given, test, truth = space
    assert judged(test, truth, truth, train, given) == {}, "no mistake"
    predicted = (truth + 1) % 3
    few = judged(test, truth, predicted, train[:2], given[:2])
    assert {len(found.nearest) for found in few.values()} == {2}
    assert set(findings(few)) <= {OPEN, AGREE, FAR, COPY}, "two rows are too few to doubt a label"
    flat = judged(np.ones_like(test), truth, predicted, np.ones_like(train), given)
    assert len(flat) == likening.MISTAKES and all(np.isfinite(found.similarity).all() for found in flat.values())


def test_what_was_not_looked_at_is_said():
    assert likening.seen(5000, 20_000) == " (Looked at: a random 5,000 of 20,000 training rows.)"
    assert likening.seen(5000, 5000) == ""
