"""Metrics of masks against counting pixel by pixel, the case that `evaluate` gets wrong, and what is told of images."""

import math
from itertools import product

import mask_answers
import numpy as np
import pytest

from hfft import boundaries, mask_records, palette, scoring
from hfft.counts import of_cells
from hfft.errors import InputError
from hfft.mask_records import MaskPredictions
from hfft.records import Predictions, leading

METRICS = ["mean_iou", "mean_dice", "pixel_accuracy", "mean_accuracy", "boundary_f1"]
IGNORED = -100


def masks(rng, classes):
    """(truth with ignored pixels, answer) of 1 to 3 small images; classes absent from truth, answer or both."""
    there = rng.choice(classes, int(rng.integers(1, classes + 1)), replace=False)
    said = rng.choice(classes, int(rng.integers(1, classes + 1)), replace=False)
    for _ in range(int(rng.integers(1, 4))):
        shape = tuple(rng.integers(1, 6, 2))
        truth = np.where(rng.random(shape) < rng.choice([0.0, 0.2, 0.9]), IGNORED, rng.choice(there, shape))
        yield truth.astype(np.int16), rng.choice(said, shape)


def matrix(truth, answer, classes):
    kept = truth >= 0
    return np.bincount(truth[kept] * classes + answer[kept], minlength=classes**2).reshape(classes, classes)


def by_hand(pairs, classes):
    """{key: value} by going through the pixels as sets of places."""
    true, guess = ({k: set() for k in range(classes)} for _ in range(2))
    for image, (truth, answer) in enumerate(pairs):
        for place in product(*map(range, truth.shape)):
            if truth[place] != IGNORED:
                true[int(truth[place])].add((image, place))
                guess[int(answer[place])].add((image, place))
    there = [k for k in range(classes) if true[k]]
    found = {}
    for k in there:
        both, either = len(true[k] & guess[k]), len(true[k] | guess[k])
        found[f"iou[{k}]"] = both / either
        found[f"dice[{k}]"] = 2 * both / (len(true[k]) + len(guess[k]))
        found[f"class_accuracy[{k}]"] = both / len(true[k])
    if there:
        every = sum(len(true[k]) for k in there)
        found["pixel_accuracy"] = sum(len(true[k] & guess[k]) for k in there) / every
        for key, name in (("mean_iou", "iou"), ("mean_dice", "dice"), ("mean_accuracy", "class_accuracy")):
            found[key] = sum(found[f"{name}[{k}]"] for k in there) / len(there)
    return found


def test_a_thousand_random_masks_equal_counting_pixels():
    rng, seen = np.random.default_rng(7), 0
    while seen < 1000:
        classes = int(rng.integers(2, 6))
        pairs = list(masks(rng, classes))
        seen += len(pairs)
        cells = [matrix(truth.astype(int), answer, classes) for truth, answer in pairs]
        names = tuple(map(str, range(classes)))
        theirs = by_hand(pairs, classes)
        told = scoring.points(of_cells(sum(cells)), METRICS[:4], names)
        assert {key: told[key] for key in theirs} == pytest.approx(theirs, abs=1e-12)
        if classes == 3:  # the same with intervals, which take longer
            ours = scoring.score(mask_answers.predictions(cells=cells, names=names), METRICS[:4])
            assert {key for key, score in ours.items() if score.value is not None} == set(theirs)
            assert {key: ours[key].value for key in theirs} == pytest.approx(theirs, abs=1e-12)


def test_a_model_that_says_object_everywhere_gets_an_eighth():
    """`evaluate`'s mean_iou with ignore_index=0, as a training script hard-codes it, says 1.00."""
    truth = np.zeros((8, 8), int)
    truth[:4, :4] = 1
    found = scoring.score(
        mask_answers.predictions(cells=[matrix(truth, np.ones_like(truth), 2)], names=("ground", "object")), METRICS
    )
    assert found["mean_iou"].value == 0.125  # (0 + 16 / 64) / 2
    assert (found["iou[ground]"].value, found["iou[object]"].value) == (0.0, 0.25)
    assert (found["pixel_accuracy"].value, found["mean_accuracy"].value) == (0.25, 0.5)


def test_a_class_that_is_only_predicted_has_no_term_but_costs_the_others():
    found = scoring.score(mask_answers.predictions(cells=[[[6, 2], [0, 0]]], names=("a", "b")), METRICS)
    assert found["mean_iou"].value == found["iou[a]"].value == 0.75
    assert found["iou[b]"].value is None and found["iou[b]"].method == "undefined: no true pixels"


def brute_edges(truth, answer, classes, tolerance):
    truth, answer = truth.astype(int), np.where(truth < 0, IGNORED, answer)
    sets = []
    for mask in (truth, answer):
        found = {k: set() for k in range(classes)}
        for y, x in product(*map(range, mask.shape)):
            near = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            near = [mask[p] for p in near if 0 <= p[0] < mask.shape[0] and 0 <= p[1] < mask.shape[1]]
            if mask[y, x] >= 0 and any(other >= 0 and other != mask[y, x] for other in near):
                found[mask[y, x]].add((y, x))
        sets.append(found)

    def met(own, other):
        return sum(any(math.dist(a, b) <= tolerance for b in other) for a in own)

    pairs = [(sets[0][k], sets[1][k]) for k in range(classes)]
    return [[len(a), met(a, b), len(b), met(b, a)] for a, b in pairs]


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 1.5, 2.3, 12.5])
def test_boundaries_equal_every_pair_of_pixels(tolerance, monkeypatch):
    rng = np.random.default_rng(int(10 * tolerance))
    for _ in range(12):
        classes, shape = int(rng.integers(1, 5)), tuple(rng.integers(1, 12, 2))
        truth = np.where(rng.random(shape) < 0.1, IGNORED, rng.integers(0, classes, shape)).astype(np.int16)
        answer = rng.integers(0, classes, shape)
        right = brute_edges(truth, answer, classes, tolerance)
        assert boundaries.edges(truth, answer, classes, tolerance).tolist() == right
        monkeypatch.setattr(boundaries, "NEAR", 0.0)  # the way of large tolerances
        assert boundaries.edges(truth, answer, classes, tolerance).tolist() == right
        monkeypatch.undo()


def test_boundaries_of_nothing_and_of_all_ignored():
    none = np.full((4, 4), IGNORED, np.int16)
    assert not boundaries.edges(none, np.eye(4, dtype=int), 2, 1.0).any()
    one = np.zeros((4, 4), np.int16)
    assert not boundaries.edges(one, one, 1, 1.0).any()
    with pytest.raises(ValueError, match="one shape"):
        boundaries.edges(one, one[:2], 1, 1.0)


def test_boundary_f1_sees_an_outline_where_iou_hardly_does():
    truth, ragged = np.zeros((2, 60, 60), np.int16)
    truth[:, 30:], ragged[:, 30:] = 1, 1
    ragged[::4, 26:] = 1  # teeth of four pixels, one row in four
    edges = boundaries.edges(truth, ragged, 2, boundaries.tolerance(60, 60))
    counts = of_cells(matrix(truth.astype(int), ragged, 2), edges)
    found = scoring.points(counts, ["mean_iou", "boundary_f1"], ("a", "b"))
    assert found["mean_iou"] > 0.93 and found["boundary_f1"] < 0.8
    same = of_cells(matrix(truth.astype(int), truth, 2), boundaries.edges(truth, truth, 2, 1.0))
    assert scoring.points(same, ["boundary_f1"], ("a", "b"))["boundary_f1"] == 1.0
    assert scoring.points(of_cells(same.hits * np.eye(2)), ["boundary_f1"], ("a", "b")) == {}, "edges not counted"


def test_masks_and_rows_are_asked_for_their_own_metrics():
    with pytest.raises(InputError, match=r"f1 is for rows, and here masks are scored; type metrics=.mean_iou"):
        scoring.keys(["mean_iou", "f1"], ("a", "b"), masks=True)
    with pytest.raises(InputError, match=r"mean_dice is for masks, and here rows are scored; type metrics=.accuracy"):
        scoring.keys(["accuracy", "mean_dice"], ("a", "b"))
    known = scoring.keys(METRICS, mask_answers.NAMES, masks=True)
    assert known == list(scoring.score(mask_answers.predictions(3), METRICS))
    assert leading(known) == "mean_iou"
    assert known[:5] == ["mean_iou", "mean_dice", "pixel_accuracy", "mean_accuracy", "boundary_f1"]


@pytest.mark.parametrize("groups", [None, np.array(["a", "b", "b", "a", "c"], dtype=object)])
def test_what_is_written_is_read(tmp_path, groups):
    made = mask_answers.predictions(5, groups=groups)
    path = tmp_path / "test.parquet"
    made.write(path)
    found = mask_records.read(path)
    assert isinstance(found, MaskPredictions) and found.names == made.names
    assert found.ids.tolist() == made.ids.tolist()
    assert (found.matrix == made.matrix).all() and (found.edges == made.edges).all()
    assert (found.cells.toarray() == made.cells.toarray()).all()
    assert (found.groups is None) == (groups is None)
    with pytest.raises(InputError, match="are masks"):
        Predictions.read(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged: run `hfft eval"):
        mask_records.read(path)


def test_the_file_speaks_for_itself():
    """Without hfft: names and pixels, image by image."""
    row = mask_answers.predictions(cells=[[[5, 2], [0, 3]]], names=("sky", "road")).table().to_pylist()[0]
    assert list(zip(row["label"], row["prediction"], row["pixels"], strict=True)) == [
        ("sky", "sky", 5),
        ("sky", "road", 2),
        ("road", "road", 3),
    ]
    assert row["edge_class"] == ["sky", "road"] and row["edge_true"] == [3, 2]


def test_rows_come_and_go_together():
    made = mask_answers.predictions(6)
    two = made.where(np.array([True, False, True, False, False, False]))
    assert two.ids.tolist() == made.ids[[0, 2]].tolist()
    back = two.joined(made.where(np.array([1, 3, 4, 5])))
    assert (back.matrix == made.matrix).all() and back.n == 6
    turned = made.among(made.names[::-1])
    assert (turned.matrix == made.matrix[::-1, ::-1]).all()
    before, after = (scoring.score(part, METRICS) for part in (made, turned))
    assert {key: score.value for key, score in before.items()} == pytest.approx(
        {key: after[key].value for key in before}
    )
    hits, support, predicted = made.totals
    assert hits.sum() == np.trace(made.matrix) and support.sum() == predicted.sum() == made.matrix.sum()
    assert made.only_answer is None
    same = mask_answers.predictions(cells=[[[5, 0], [2, 0]]] * 2, names=("sky", "road"))
    assert same.only_answer == "sky" and same.own_iou.tolist() == pytest.approx([5 / 14] * 2)


def test_colours_differ_and_stay():
    names = ["background", *map(str, range(60))]
    found = palette.colours(names)
    assert len(set(found)) == len(names)
    assert found[:20] == palette.colours(names[:20]), "a further class changes no colour"
    apart = min(math.dist(a, b) for place, a in enumerate(found[:13]) for b in found[:place])
    assert apart > 60
