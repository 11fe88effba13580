"""Which mistakes are kept: every confused pair has its examples before any pair has many."""

from __future__ import annotations

from collections import Counter

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft import erring, figures, gallery, predicting, rooms
from hfft.records import Predictions

TEXTS = rooms.find("modalities", "text_classification")


def answered(n: int, classes: int, seed: int, right: float = 0.0) -> Predictions:
    """Rows of which a share is answered rightly; a few pairs are confused far more often, and more surely."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(classes, size=n)
    step = np.minimum(1 + draws.geometric(0.4, size=n), classes - 1)
    predicted = np.where(draws.random(n) < right, labels, (labels + step) % classes)
    scores = draws.random((n, classes)) * 0.1
    scores[np.arange(n), predicted] = 1 + 4 / step * draws.random(n)
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    ids = np.array([f"row{i}" for i in range(n)], dtype=object)
    return Predictions(ids, labels, predicted, scores, tuple(f"class {i}" for i in range(classes)))


def written(predictions, path, texts=None):
    rows = datasets.Dataset.from_dict({"text": texts or [f"text {i}" for i in range(predictions.n)]})
    predicting.write_mistakes(predictions, rows, TEXTS, path)
    return pq.read_table(path).to_pylist()


def cells(rows):
    return Counter((row["label"], row["prediction"]) for row in rows)


def test_every_confused_pair_keeps_its_three_surest(tmp_path):
    found = answered(4000, 12, 0, right=0.4)
    every = written(answered(500, 12, 0), tmp_path / "few.parquet")
    assert len(every) == 500, "all of them, where there is room"
    kept = written(found, tmp_path / "mistakes.parquet")
    assert len(kept) == predicting.MISTAKES < (found.labels != found.predicted).sum()
    sure = [row["confidence"] for row in kept]
    assert sure == sorted(sure, reverse=True)
    wrong = np.flatnonzero(found.labels != found.predicted)
    whole = {}
    for row in wrong[np.argsort(-found.scores[wrong, found.predicted[wrong]], kind="stable")]:
        pair = found.names[found.labels[row]], found.names[found.predicted[row]]
        whole.setdefault(pair, []).append(f"row{row}")
    assert len(whole) > 80
    assert any(len(rows) > 20 for rows in whole.values())
    held = {row["id"] for row in kept}
    for rows in whole.values():
        assert set(rows[:3]) <= held
    rest = sorted(
        (row["confidence"] for row in kept if row["id"] not in {i for part in whole.values() for i in part[:3]}),
    )
    left = [found.scores[int(i[3:])].max() for part in whole.values() for i in part[3:] if i not in held]
    assert rest[0] >= max(left), "beyond those three, the surest"


def test_more_pairs_than_room_each_have_one_as_far_as_it_goes(tmp_path):
    found = answered(9000, 77, 1)
    kept = written(found, tmp_path / "mistakes.parquet")
    pairs = {tuple(pair) for pair in zip(found.labels.tolist(), found.predicted.tolist(), strict=True)}
    assert len(kept) == predicting.MISTAKES and len(pairs) > 600 / 2
    assert len(cells(kept)) == min(len(pairs), predicting.MISTAKES)


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 4))
def test_no_kind_has_two_before_each_has_one(kinds, each):
    order = erring.first_of_each(kinds, each).tolist()
    assert sorted(order) == list(range(len(kinds)))
    for kept in range(len(kinds) + 1):
        counts = Counter(kinds[i] for i in order[:kept])
        waiting = [kind for kind in set(kinds) if counts[kind] < min(each, kinds.count(kind))]
        assert all(counts[kind] + 1 >= min(each, max(counts.values(), default=0)) for kind in waiting)


def page_file(path, rows):
    columns = {"id": pa.string(), "label": pa.string(), "prediction": pa.string(), "confidence": pa.float64()}
    columns |= {"text": pa.string(), "text_pair": pa.string(), "image": pa.binary()}
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(columns)), path)


def test_the_page_keeps_an_example_of_every_cell_within_its_bytes(tmp_path):
    """Pictures of one kind, however large and sure, do not push the others out."""
    path = tmp_path / "mistakes.parquet"
    picture = b"\x89PNG" + bytes(6000)
    rows = [
        {
            "id": f"{i}",
            "label": f"{0 if i < 300 else i}",
            "prediction": "x",
            "confidence": 1 - i / 600,
            "image": picture,
        }
        for i in range(600)
    ]
    page_file(path, rows)
    found = gallery.mistakes(path)
    assert sum(len(row["src"]) for row in found["rows"]) <= gallery.MISTAKE_BYTES
    assert found["left_out"] == 600 - len(found["rows"]) > 200
    assert len(cells(found["rows"])) == 301
    sure = [row["confidence"] for row in found["rows"]]
    assert sure == sorted(sure, reverse=True)


def test_long_texts_count_and_are_cut(tmp_path):
    path = tmp_path / "mistakes.parquet"
    row = {"label": "a", "prediction": "b", "confidence": 0.5, "text": "w " * 50_000, "text_pair": "short"}
    page_file(path, [row | {"id": str(i)} for i in range(600)])
    found = gallery.mistakes(path)["rows"]
    assert {len(row["text"]) for row in found} == {gallery.QUOTED}
    assert found[0]["text"].endswith("…") and found[0]["text_pair"] == "short"


def test_the_shares_of_confused_pairs_add_up():
    found = figures.confusions(answered(800, 6, 2, right=0.7))
    assert sum(pair["share"] for pair in found["pairs"]) == pytest.approx(1)
    assert found["pairs"][0]["share"] == found["pairs"][0]["count"] / found["wrong"]
    none = figures.confusions(answered(50, 6, 2, right=1.0))
    assert none["pairs"] == [] and none["wrong"] == 0
