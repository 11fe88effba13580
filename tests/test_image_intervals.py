"""Intervals whose witnesses are images: their coverage, and what few images, groups and rare classes do to them."""

import mask_answers
import numpy as np
import pytest

from hfft import image_intervals, resamples, scoring
from hfft.counts import of_cells
from hfft.mask_records import MaskPredictions

WHOLE = ["mean_iou", "pixel_accuracy"]


def truth(there):
    """Values of very many images."""
    cells = mask_answers.matrices(np.random.default_rng(99), 60_000, there=there)
    return scoring.points(of_cells(cells.sum(0)), WHOLE, mask_answers.NAMES)


@pytest.mark.parametrize(("images", "least"), [(6, 0.90), (25, 0.92)])
def test_coverage(images, least):
    """Short version of benchmarks/mask_intervals.py, with a class in every seventh image."""
    rng, trials = np.random.default_rng(images), 250
    right = truth(mask_answers.THERE)
    held = {key: [] for key in right}
    for _ in range(trials):
        cells = mask_answers.matrices(rng, images)
        found = scoring.score(mask_answers.predictions(cells=cells), WHOLE)
        occurring = cells.sum((0, 2)) > 0
        right["mean_iou"] = np.mean(
            [right[f"iou[{n}]"] for n, o in zip(mask_answers.NAMES, occurring, strict=True) if o]
        )
        for key, value in right.items():
            if found[key].value is not None:
                held[key].append(found[key].low <= value <= found[key].high)
    shares = {key: np.mean(each) for key, each in held.items()}
    assert min(shares.values()) >= least, shares
    assert shares["pixel_accuracy"] < 0.985, "not by being wide"


def test_a_million_pixels_more_tell_nothing():
    cells = mask_answers.matrices(np.random.default_rng(1), 12)
    small, large = (scoring.score(mask_answers.predictions(cells=cells * times), WHOLE) for times in (1, 100))
    for key in small:
        for end in ("value", "low", "high"):
            one, other = (getattr(part[key], end) for part in (small, large))
            assert one == pytest.approx(other, abs=1e-12) if one is not None else other is None


def test_frames_of_a_video_are_one_witness():
    cells = mask_answers.matrices(np.random.default_rng(2), 8)
    frames = np.repeat(cells, 10, axis=0)
    videos = np.repeat([f"v{place}" for place in range(8)], 10).astype(object)
    alone = scoring.score(mask_answers.predictions(cells=cells), WHOLE)["mean_iou"]
    grouped = scoring.score(mask_answers.predictions(cells=frames, groups=videos), WHOLE)["mean_iou"]
    apart = scoring.score(mask_answers.predictions(cells=frames), WHOLE)["mean_iou"]
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))
    assert "over groups of images" in grouped.method and grouped.n == 80
    assert apart.high - apart.low < 0.5 * (grouped.high - grouped.low)


def test_the_standard_error_is_the_jackknife_image_by_image():
    made = mask_answers.predictions(9, seed=3)
    each = [made.where(np.arange(9) != place) for place in range(9)]
    values = np.array([scoring.points(part.counts, ["pixel_accuracy"], made.names)["pixel_accuracy"] for part in each])
    error, degrees = image_intervals.spread(values, np.ones(9, int))
    assert error == pytest.approx(np.sqrt(8 / 9 * ((values - values.mean()) ** 2).sum()))
    assert 1 <= degrees <= 8
    sample = resamples.of_images([made.cells], [made.edges])
    deleted = np.concatenate([scoring.statistic(["pixel_accuracy"])(c)["pixel_accuracy"] for c in sample.jackknifed()])
    assert deleted == pytest.approx(values)


def test_degrees_fall_where_few_images_carry_the_spread():
    even, lone = np.tile([1.0, -1.0], 10), np.zeros(20)
    lone[0] = 1.0
    assert image_intervals.spread(even, np.ones(20, int))[1] == 19
    assert image_intervals.spread(lone, np.ones(20, int))[1] < 2.5
    assert image_intervals.spread(np.zeros(20), np.ones(20, int)) == (0.0, 19)


def test_a_perfect_score_on_few_images_is_not_certain():
    cells = np.tile(np.diag([50, 50]), (6, 1, 1))
    found = scoring.score(mask_answers.predictions(cells=cells, names=("a", "b")), ["mean_iou"])
    assert found["mean_iou"].value == found["mean_iou"].high == 1.0 and found["mean_iou"].low < 0.65
    assert found["mean_iou"].method.endswith("widened to Wilson on 6 images")


def test_a_class_in_three_images_has_three_witnesses():
    cells = np.tile(np.array([[90, 5], [0, 0]]), (30, 1, 1))
    cells[:3, 1] = [[4, 6], [5, 5], [6, 4]]
    found = scoring.score(mask_answers.predictions(cells=cells, names=("a", "b")), ["mean_iou"])
    rare = found["iou[b]"]
    assert rare.n == 3 and rare.method.endswith("widened to Wilson on 3 images")
    assert rare.low < 0.03 and rare.high > 0.5
    assert found["iou[a]"].high - found["iou[a]"].low < 0.05


def test_one_image_has_no_interval_and_none_no_value():
    one = scoring.score(mask_answers.predictions(1), ["pixel_accuracy"])["pixel_accuracy"]
    assert one.value is not None and one.low is None and one.method == "no interval: one image alone"
    none = mask_answers.predictions(3).where(np.zeros(3, bool))
    assert isinstance(none, MaskPredictions)
    assert {score.value for score in scoring.score(none, WHOLE).values()} == {None}
    ignored = scoring.score(mask_answers.predictions(cells=np.zeros((3, 2, 2)), names=("a", "b")), WHOLE)
    assert {score.method for score in ignored.values()} == {"undefined: no pixels", "undefined: no true pixels"}


def test_differences_of_two_models_stay_in_range():
    wide = image_intervals.apart(0.5, np.array([0.0, 1.0]), np.ones(2, int))
    assert (wide.low, wide.high) == (-1.0, 1.0)
    assert image_intervals.apart(0.5, np.array([0.5]), np.ones(1, int)).low == -1.0
