"""Mixup and CutMix: soft labels that sum to one, training rows only, the same draw every time, an exact loss."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from hfft import backbones, mixing, objectives, recipe, rooms
from hfft.errors import InputError
from hfft.recipe import Augment
from tests.layouts import BERT, CHECKPOINTS, LABELS, VIT, fit, image_rows, whole_and_resumed

IMAGES = rooms.find("modalities", "image_classification")
BOTH = Augment(mixup=0.4, cutmix=1.0)


@pytest.fixture(scope="module")
def processor():
    return backbones.load(recipe.build(VIT).model, IMAGES, LABELS).processor


def rows_of(processor, augment, seed=1):
    return IMAGES.prepare(image_rows(), processor, recipe.build(VIT).model, augment, seed)


def mixed(processor, augment, places=range(16), seed=1, epoch=0):
    rows = rows_of(processor, augment, seed)
    rows.format["format_kwargs"]["transform"].epoch = epoch
    return mixing.collator(IMAGES.collator(processor), augment, 3)([rows[i] for i in places])


@pytest.mark.parametrize("augment", [Augment(mixup=0.4), Augment(cutmix=1.0), BOTH])
@pytest.mark.parametrize("count", [16, 7, 2, 1])
def test_labels_are_shares_that_sum_to_one_in_even_and_odd_batches(augment, count, processor):
    batch = mixed(processor, augment, range(count))
    assert set(batch) == {"pixel_values", "labels"}
    assert batch["labels"].shape == (count, 3) and batch["pixel_values"].shape[0] == count
    assert torch.allclose(batch["labels"].sum(1), torch.ones(count)) and (batch["labels"] >= 0).all()


def test_mixup_is_the_sum_by_shares_of_each_row_and_the_one_before(processor):
    augment = Augment(mixup=0.4)
    plain = IMAGES.collator(processor)([{**row} for row in rows_of(processor, Augment(crop=1.0)).select(range(3))])
    whole = torch.stack([row["pixel_values"] for row in rows_of(processor, augment).select(range(3))])
    batch = mixed(processor, augment, range(3))  # classes 0, 1 and 2
    share = float(batch["labels"][1, 1])
    assert plain["labels"].tolist() == [0, 1, 2] and 0 < share < 1
    assert torch.allclose(batch["labels"], share * torch.eye(3) + (1 - share) * torch.eye(3).roll(1, 0))
    assert torch.allclose(batch["pixel_values"], share * whole + (1 - share) * whole.roll(1, 0), atol=1e-6)


def test_cutmix_labels_are_shares_of_the_area(processor):
    whole = torch.rand(3, 3, 32, 32)
    for draw in range(6):
        rows = [{"pixel_values": whole[i], "labels": i, mixing.DRAW: draw} for i in range(3)]
        batch = mixing.collator(IMAGES.collator(processor), Augment(cutmix=1.0), 3)(rows)
        kept = (batch["pixel_values"][1] == whole[1]).all(dim=0)
        assert float(batch["labels"][1, 1]) == pytest.approx(float(kept.float().mean()), abs=1e-6)
        assert torch.equal(batch["pixel_values"][1][:, ~kept], whole[0][:, ~kept])


def test_the_draw_depends_on_seed_epoch_and_rows_only(processor):
    torch.manual_seed(1)
    first = mixed(processor, BOTH)
    torch.manual_seed(2)
    again = mixed(processor, BOTH)
    assert torch.equal(first["labels"], again["labels"])
    assert torch.equal(first["pixel_values"], again["pixel_values"])
    for other in (
        mixed(processor, BOTH, seed=2),
        mixed(processor, BOTH, epoch=1),
        mixed(processor, BOTH, range(1, 17)),
    ):
        assert not torch.equal(first["labels"], other["labels"])
    before = torch.random.get_rng_state()
    mixed(processor, BOTH)
    assert torch.equal(before, torch.random.get_rng_state())


def test_rows_that_are_held_back_are_never_mixed(processor):
    rows = IMAGES.prepare(image_rows(), processor, recipe.build(VIT).model)
    picked = [rows[i] for i in range(5)]
    held = mixing.collator(IMAGES.collator(processor), BOTH, 3)(picked)
    plain = IMAGES.collator(processor)(picked)
    assert held["labels"].tolist() == [0, 1, 2, 0, 1]
    assert torch.equal(held["pixel_values"], plain["pixel_values"])


def test_the_loss_of_a_mixed_batch_is_its_closed_form():
    torch.manual_seed(0)
    logits, first, second, share = torch.randn(6, 3), torch.arange(6) % 3, (torch.arange(6) + 1) % 3, 0.7
    soft = share * torch.eye(3)[first] + (1 - share) * torch.eye(3)[second]
    compute = objectives.loss_function(recipe.Loss("cross_entropy"))
    found = compute(SimpleNamespace(logits=logits), soft)
    entropy = torch.nn.functional.cross_entropy
    expected = share * entropy(logits, first) + (1 - share) * entropy(logits, second)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    # As Trainer counts: every number that is not -100, over all accumulation steps.
    halves = [
        compute(SimpleNamespace(logits=logits[part]), soft[part], torch.tensor(18)) for part in (slice(3), slice(3, 6))
    ]
    assert float(sum(halves)) == pytest.approx(float(expected), rel=1e-6)


def test_a_run_that_is_resumed_in_an_epoch_mixes_as_the_whole_run_did(tmp_path):
    train = {"per_device_train_batch_size": 15}
    steps, whole, cut = whole_and_resumed("vit", tmp_path, train, {"mixup": 0.4, "cutmix": 1.0, "flip": True})
    assert whole == cut
    plain = fit("vit", tmp_path / "plain", CHECKPOINTS | train)
    assert plain[0]["loss"] != steps[0]["loss"]


def test_a_worker_mixes_as_the_main_process_does(processor):
    def batches(workers):
        rows = rows_of(processor, replace(BOTH, crop=0.5))
        collate = mixing.collator(IMAGES.collator(processor), BOTH, 3)
        return list(torch.utils.data.DataLoader(rows, batch_size=15, num_workers=workers, collate_fn=collate))

    for one, other in zip(batches(0), batches(1), strict=True):
        assert torch.equal(one["pixel_values"], other["pixel_values"]) and torch.equal(one["labels"], other["labels"])


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ({**VIT, "augment": {"mixup": 0.2}, "train": {"per_device_train_batch_size": 1}}, "mixup mixes .* 2 or more"),
        ({**VIT, "augment": {"cutmix": 1}, "data": {"path": "csv", "multi_label": True}}, "cutmix mixes .*multi_label"),
        ({**BERT, "augment": {"mixup": 0.2}}, "mixup is for pictures, and the rows are texts"),
        ({**BERT, "augment": {"flip": True, "crop": 0.5}}, "flip, crop are for pictures"),
        ({**VIT, "augment": {"word_dropout": 0.1}}, "word_dropout is for texts, and the rows are pictures"),
        ({**VIT, "augment": {"randaugment": "rand-x9"}}, "randaugment 'rand-x9' is not one of timm's strings"),
        ({**VIT, "augment": {"randaugment": True, "color_jitter": 0.4}}, "drop one"),
        ({**VIT, "augment": {"mixup": 0}}, "augment.mixup: .*greater than 0"),
        ({**VIT, "augment": {"mixupp": 0.2}}, r"augment.mixupp: unknown key \(did you mean 'mixup'"),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_is_read(tree, told):
    with pytest.raises(InputError, match=told):
        recipe.build(tree)
