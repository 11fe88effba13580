"""Baselines of several classes: the majority's answer, and one logistic regression per class with a threshold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from hfft import baselines, labelsets, thresholds
from hfft.errors import InputError
from hfft.records import Predictions
from tests.test_multi_label import tagged_texts

NAMES = ("car", "cat", "dog", "quark")


def test_the_majority_says_of_each_class_what_most_rows_say():
    labels = np.array([[True, False], [True, True]])
    found = baselines.majority({"a": 60, "b": 30}, labels, np.array(["x", "y"]), ("a", "b"), 100)
    assert found.predicted.tolist() == [[True, False]] * 2 and found.multi_label
    assert found.scores[0].tolist() == pytest.approx([0.6, 0.3])


def test_tfidf_finds_the_words_of_each_class_and_no_test_label_reaches_it():
    train, test = tagged_texts(500, 1), tagged_texts(200, 2)
    given, labels = (labelsets.matrix([labelsets.text(tags) for _, tags in rows], NAMES) for rows in (train, test))
    texts, asked = [text for text, _ in train], [text for text, _ in test]
    ids = np.array([str(i) for i in range(200)], dtype=object)
    found = baselines.tfidf_tagger(texts, given, asked, labels, ids, NAMES)
    assert f1_score(labels, found.predicted, average="macro") > 0.9
    blind = baselines.tfidf_tagger(texts, given, asked, ~labels, ids, NAMES)
    assert (blind.predicted == found.predicted).all() and (blind.scores == found.scores).all()


def test_the_probe_is_a_regression_per_class_cut_where_every_fifth_training_row_says():
    draws = np.random.default_rng(0)
    train, test = draws.normal(size=(400, 6)), draws.normal(size=(50, 6))
    given = np.column_stack([train[:, 0] > 1, train[:, 1] > 0.8, np.zeros(400, bool), np.ones(400, bool)])
    labels = np.column_stack([test[:, 0] > 1, test[:, 1] > 0.8, np.zeros(50, bool), np.ones(50, bool)])
    ids = np.arange(50).astype(str)
    found = baselines.linear_probe(train, given, test, labels, ids, NAMES)
    scaler, held = StandardScaler().fit(train), np.arange(400) % 5 == 4
    seen, asked = scaler.transform(train), scaler.transform(test)
    assert found.scores[:, 2].tolist() == [0.0] * 50 and found.scores[:, 3].tolist() == [1.0] * 50
    for place in (0, 1):
        model = LogisticRegression(C=0.01, max_iter=1000).fit(seen, given[:, place])
        np.testing.assert_allclose(found.scores[:, place], model.predict_proba(asked)[:, 1], atol=1e-6)
        early = LogisticRegression(C=0.01, max_iter=1000).fit(seen[~held], given[~held, place])
        late = early.predict_proba(seen[held])[:, 1].astype(np.float32)
        one = Predictions(ids, given[held][:, [place]], given[held][:, [place]], late[:, None], NAMES[:1])
        cut = thresholds.tune(one)[0]
        assert (found.predicted[:, place] == (found.scores[:, place] >= cut)).all()
        assert cut < 0.5


@pytest.mark.parametrize("several", [False, True])
def test_texts_without_a_word_are_refused_by_name_and_not_by_the_vectoriser(several):
    given = np.array([[True, False], [False, True]])
    rest = (["!!"], given[:1] if several else np.array([0]), np.array(["r"]), ("a", "b"))
    with pytest.raises(InputError, match="holds a letter or a digit"):
        if several:
            baselines.tfidf_tagger(["...", "?!"], given, *rest)
        else:
            baselines.tfidf_linear([("...", "a"), ("?!", "b")], *rest)


def test_weights_of_the_words_are_bounded_over_all_classes(monkeypatch):
    """The most frequent word stays, which says nothing, where there may be one; memory goes by words times classes."""
    train = [(f"every {name}", name) for name in "abc"] * 3
    rest = (np.arange(3), np.array(["r", "s", "t"]), ("a", "b", "c"))
    assert baselines.tfidf_linear(train, ["a", "b", "c"], *rest).predicted.tolist() == [0, 1, 2]
    monkeypatch.setattr(baselines, "WEIGHTS", 3)
    assert len(np.unique(baselines.tfidf_linear(train, ["every a", "every b", "every c"], *rest).scores, axis=0)) == 1


def test_of_fewer_than_five_rows_none_is_held_back_and_one_half_stays():
    given = np.array([[True, False], [False, True], [True, True], [False, False]])
    found = baselines.tfidf_tagger(["a", "b", "a b", "c"], given, ["a"], given[:1], np.array(["r"]), ("a", "b"))
    assert found.predicted.tolist() == (found.scores >= 0.5).tolist()
