"""Samplers: how often each class and row is shown, the same length in every epoch, and only rows of train."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import backbones, recipe, resampling, rooms
from hfft.errors import InputError
from hfft.recipe import Augment, Sampler
from hfft.resampling import Resampled, rows_of
from tests.layouts import BERT, LABELS, TAGS, VIT, image_rows, text_rows

NAMES = rooms.names("samplers")
UNEVEN = np.repeat([0, 1, 2], [70, 25, 5])
IMAGES = rooms.find("modalities", "image_classification")


def shown(name: str, labels: np.ndarray = UNEVEN, epoch: int = 0, **options) -> np.ndarray:
    return rows_of(Sampler(name, **options), labels, 3, epoch)


def by_row(name: str, labels: np.ndarray = UNEVEN, epochs: int = 1, **options) -> np.ndarray:
    """How often each row is shown in all epochs together."""
    return sum(np.bincount(shown(name, labels, e, **options), minlength=len(labels)) for e in range(epochs))


def test_over_sampling_shows_every_class_as_often_as_the_largest():
    times = by_row("over_sampling")
    assert [times[c == UNEVEN].sum() for c in range(3)] == [70, 70, 70]
    assert (times[:70] == 1).all(), "no row of the largest class twice"
    assert set(times[70:95]) == {2, 3} and set(times[95:]) == {14}, "rows of a class differ by one at most"


def test_under_sampling_shows_other_rows_in_each_epoch_and_none_twice():
    times = by_row("under_sampling")
    assert [times[c == UNEVEN].sum() for c in range(3)] == [5, 5, 5] and times.max() == 1
    assert not np.array_equal(shown("under_sampling"), shown("under_sampling", epoch=1))
    assert (by_row("under_sampling", epochs=200) > 0).all(), "in the end every row is seen"


def test_class_balanced_shows_equal_shares_in_as_many_rows_as_train_has():
    for epoch in range(5):
        drawn = shown("class_balanced", epoch=epoch)
        assert len(drawn) == 100 and sorted(np.bincount(UNEVEN[drawn])) == [33, 33, 34]
    times = by_row("class_balanced", epochs=600)
    for c, size in enumerate((70, 25, 5)):
        np.testing.assert_allclose(times[c == UNEVEN].mean(), 600 * 100 / 3 / size, rtol=0.01)
        np.testing.assert_allclose(times[c == UNEVEN], 600 * 100 / 3 / size, rtol=0.35)


@pytest.mark.parametrize("threshold", [None, 0.1, 0.5])
def test_repeat_factor_is_the_square_root_of_rarity(threshold):
    share = np.array([0.70, 0.25, 0.05])
    factor = np.maximum(1, np.sqrt((threshold or 1 / 3) / share))
    lengths = {len(shown("repeat_factor", epoch=e, threshold=threshold)) for e in range(50)}
    assert lengths == {int(factor @ (share * 100) + 0.5)}
    epochs = 400
    times = by_row("repeat_factor", epochs=epochs, threshold=threshold) / epochs
    for c in range(3):
        assert times[c == UNEVEN].mean() == pytest.approx(factor[c], rel=0.03)
    once = by_row("repeat_factor", threshold=threshold)
    assert (once >= np.floor(factor[UNEVEN])).all() and (once <= np.floor(factor[UNEVEN]) + 1).all()


def test_repeat_factor_of_several_classes_is_that_of_the_rarest():
    labels = np.zeros((100, 3))
    labels[:80, 0] = labels[:20, 1] = labels[:4, 2] = 1  # rows 80 and up have none
    times = by_row("repeat_factor", labels, threshold=0.16)
    assert (times[:4] == 2).all(), "the square root of 0.16 / 0.04"
    assert (times[4:] == 1).all()


def test_class_balanced_of_several_classes_draws_for_each_of_them_and_for_none():
    labels = np.zeros((100, 2))
    labels[:60, 0] = labels[50:70, 1] = 1
    times = by_row("class_balanced", labels, epochs=300) / 300
    per = 100 / 3
    assert times[:50].mean() == pytest.approx(per / 60, rel=0.05)
    assert times[50:60].mean() == pytest.approx(per / 60 + per / 20, rel=0.05), "rows of both"
    assert times[60:70].mean() == pytest.approx(per / 20, rel=0.05)
    assert times[70:].mean() == pytest.approx(per / 30, rel=0.05), "rows of no class"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=60), seed=st.integers(0, 9))
def test_every_epoch_has_the_same_length_and_rows_of_train_only(name, labels, seed):
    labels = np.array(labels)
    epochs = [rows_of(Sampler(name), labels, seed, e) for e in range(4)]
    assert len({len(rows) for rows in epochs}) == 1
    for rows in epochs:
        assert rows.min() >= 0 and rows.max() < len(labels) and (np.diff(rows) >= 0).all()
        assert set(labels[rows]) == set(labels), "no class is lost"
    np.testing.assert_array_equal(epochs[2], rows_of(Sampler(name), labels, seed, 2), "seed and epoch decide")


@pytest.mark.parametrize("name", NAMES)
def test_a_class_with_one_row(name):
    labels = np.array([0] * 30 + [1] * 9 + [2])
    if name == "under_sampling":
        with pytest.raises(InputError) as caught:
            resampling.check(Sampler(name), labels, LABELS)
        assert str(caught.value) == (
            "sampler: class 'tofu' has one training row, so that under_sampling would show 3 of 40 rows per epoch; "
            "choose another sampler, or leave the class out with data.labels={tofu: null}"
        )
        return
    first, second = resampling.check(Sampler(name), labels, LABELS)
    rows, times = {"over_sampling": (90, "30"), "class_balanced": (40, "13"), "repeat_factor": (45, "4")}[name]
    assert first == f"sampler: {name} shows {rows} rows per epoch; train has 40"
    assert second.startswith(f"class 'tofu' has one training row, which {name} shows ")
    assert second.endswith(" times per epoch: it will be learnt by heart")
    assert abs(int(second.split(" shows ")[1].split()[0]) - int(times)) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_all_rows_of_one_class(name):
    with pytest.raises(InputError, match=r"^sampler: all training rows are of class 'spam', so there is nothing"):
        resampling.check(Sampler(name), np.ones(9, dtype=int), LABELS)


def test_samplers_for_one_class_per_row_are_refused_for_several():
    for name in ("over_sampling", "under_sampling"):
        with pytest.raises(InputError, match=rf"^sampler: {name} is .*choose class_balanced, repeat_factor$"):
            resampling.check_sampler(recipe.build({**TAGS, "sampler": name}).sampler, True)
    resampling.check_sampler(Sampler("repeat_factor"), True)
    resampling.check_sampler(Sampler(), True)


def test_rows_come_as_the_data_set_gives_them(tmp_path):
    wanted = recipe.build(BERT)
    modality = rooms.find("modalities", wanted.task)
    processor = backbones.load(wanted.model, modality, LABELS).processor
    rows = modality.prepare(text_rows(tmp_path), processor, wanted.model)
    labels = np.array([0 if i % 8 < 5 else 1 if i % 8 < 7 else 2 for i in range(64)])
    made = Resampled(rows, labels, Sampler("over_sampling"), 0)
    assert len(made) == 120 and len(made.__getitems__([0, 119])) == 2
    for place in (0, 60, 119):
        assert made[place] == rows[int(made.drawn[place])]
    assert made.__getitems__([7, 3]) == [made[7], made[3]]
    before = made.drawn
    made.epoch = 1
    assert len(made) == 120 and not np.array_equal(before, made.drawn)


def test_copies_of_a_picture_are_changed_differently_and_the_first_as_without_a_sampler():
    wanted = recipe.build(VIT)
    processor = backbones.load(wanted.model, IMAGES, LABELS).processor
    rows, augment = image_rows().select(range(12)), Augment(flip=True, crop=0.3)
    labels = np.array([0] * 9 + [1] * 2 + [2])
    plain = IMAGES.prepare(rows, processor, wanted.model, augment, 1)
    made = Resampled(IMAGES.prepare(rows, processor, wanted.model, augment, 1), labels, Sampler("over_sampling"), 1)
    batch = made.__getitems__(list(range(len(made))))
    copies = [item["pixel_values"] for item, row in zip(batch, made.drawn, strict=True) if row == 11]
    assert len(copies) == 9 and len({tuple(c.flatten().tolist()) for c in copies}) == 9
    for epoch in (0, 2):
        made.epoch = plain.format["format_kwargs"]["transform"].epoch = epoch
        for row in (0, 9, 11):
            place = int(np.searchsorted(made.drawn, row))
            assert torch.equal(made[place]["pixel_values"], plain[row]["pixel_values"])
            assert set(made[place]) == set(plain[row]) == {"pixel_values", "labels"}
