"""Answers to every pixel: windows against whole images, what is counted, and what a probe moves."""

from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import scene_models
import torch
from PIL import Image
from torch import nn
from transformers import SegformerImageProcessor
from transformers.modeling_outputs import SemanticSegmenterOutput

from hfft import backbones, gathering, masks, pictures, pixel_counting, probing, recipe, segmenting, training
from hfft.backbones import Backbone
from hfft.errors import InputError
from hfft.modalities import semantic_segmentation
from hfft.probes import flip, occlusion, rotate, shift
from hfft.recipe import Model

NAMES = ("dark", "bright", "red")
CPU = SimpleNamespace(
    device=torch.device("cpu"), per_device_eval_batch_size=2, process_index=0, world_size=1, bf16=False, fp16=False
)


class ByColour(nn.Module):
    """Each pixel for itself, so that windows, mirrors and batches cannot change an answer: red, bright or dark."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.config = SimpleNamespace(id2label=dict(enumerate(NAMES)))

    def forward(self, pixel_values: torch.Tensor) -> SemanticSegmenterOutput:
        seen = pixel_values[:, :, :: self.stride, :: self.stride]
        dark, bright = -seen.mean(dim=1), seen.mean(dim=1)
        red = 2 * (seen[:, 0] - seen[:, 1])
        return SemanticSegmenterOutput(logits=torch.stack([dark, bright, red], dim=1))


def backbone(height: int, width: int, stride: int = 1) -> Backbone:
    half = [0.5] * 3
    processor = SegformerImageProcessor(size={"height": height, "width": width}, image_mean=half, image_std=half)
    return Backbone(ByColour(stride), processor, ())


def scene(height: int, width: int, seed: int) -> tuple[Image.Image, np.ndarray]:
    """Patches of 4 by 4 pixels of the three classes, and the classes; a corner counts nowhere."""
    rng = np.random.default_rng(seed)
    ids = np.kron(rng.integers(0, 3, (-(-height // 4), -(-width // 4))), np.ones((4, 4), int))[:height, :width]
    colours = np.array([[20, 20, 20], [230, 230, 230], [220, 10, 10]], dtype=np.uint8)[ids]
    ids[:3, :5] = masks.IGNORED
    return Image.fromarray(colours), ids.astype(np.int16)


def table(sizes: list[tuple[int, int]]) -> datasets.Dataset:
    scenes = [scene(height, width, seed) for seed, (height, width) in enumerate(sizes)]
    columns = {
        "image": [{"path": "", "bytes": pictures.png(image)} for image, _ in scenes],
        "mask": [{"path": "", "bytes": masks.encode(ids)} for _, ids in scenes],
        "id": [f"{seed}-m" for seed in range(len(sizes))],
        "label": ['["dark"]'] * len(sizes),
    }
    kinds = {"image": datasets.Image(decode=False), "mask": datasets.Image(decode=False)}
    return datasets.Dataset.from_dict(
        columns, features=datasets.Features(kinds | dict.fromkeys(("id", "label"), datasets.Value("string")))
    )


SIZES = [(40, 60), (33, 31), (16, 16), (70, 20), (5, 90)]


@pytest.mark.parametrize(("window", "stride"), [((16, 24), None), ((16, 16), 5), ((64, 64), None)])
def test_windows_of_any_size_give_every_pixel_its_answer(window, stride):
    spec = Model("x", window=True, stride=stride)
    rows = table(SIZES)
    found = list(segmenting.answers([backbone(*window)], rows, spec, CPU))
    assert [one.place for one in found] == list(range(len(SIZES)))
    for one, (height, width) in zip(found, SIZES, strict=True):
        assert one.answer.shape == (height, width)
        counts = one.truth != masks.IGNORED
        assert counts.sum() == height * width - 15
        assert (one.answer[counts] == one.truth[counts]).all()


def test_an_image_is_counted_at_the_size_of_its_mask_whatever_the_model_sees():
    rows = table([(40, 60), (80, 120)])
    found = segmenting.predict([backbone(40, 60)], rows, Model("x"), CPU)
    assert found.cells.sum(axis=1).tolist() == [40 * 60 - 15, 80 * 120 - 15]
    first = found.cells.toarray()[0].reshape(3, 3)
    assert (first == np.diag(first.diagonal())).all()
    assert found.own_iou[0] == 1.0
    assert 0.5 < found.own_iou[1] < 1.0  # read at half its size


def test_several_models_answer_by_the_mean_of_their_probabilities():
    one, other = backbone(20, 20), backbone(20, 20)
    other.model.forward = lambda pixel_values: SemanticSegmenterOutput(
        logits=torch.tensor([0.0, 0.0, 50.0]).view(1, 3, 1, 1).expand(len(pixel_values), 3, 20, 20)
    )
    found = list(segmenting.answers([one, other], table([(20, 20)]), Model("x"), CPU))
    assert (found[0].answer == 2).all()  # as sure as can be of red, against one that is less than sure


def test_batches_are_dealt_to_processes_whole_and_each_image_once():
    rows = table(SIZES)
    parts = [SimpleNamespace(**vars(CPU) | {"process_index": rank, "world_size": 2}) for rank in range(2)]
    places = [
        [one.place for one in segmenting.answers([backbone(16, 16)], rows, Model("x"), args, shared=True)]
        for args in parts
    ]
    assert places == [[0, 1, 4], [2, 3]]


def test_what_is_watched_while_training_is_what_is_counted_at_the_end():
    rows = table([(32, 32)] * 5)
    part = backbone(32, 32, stride=4)
    whole = segmenting.predict([part], rows, Model("x"), CPU)
    running = pixel_counting.Running(["mean_iou", "pixel_accuracy", "boundary_f1"], NAMES)
    prepared = semantic_segmentation.prepare(rows, part.processor, Model("x"))
    for start in (0, 2, 4):
        batch = [prepared[i] for i in range(start, min(start + 2, 5))]
        labels = torch.stack([row["labels"] for row in batch])
        logits = part.model(pixel_values=torch.stack([row["pixel_values"] for row in batch])).logits
        assert logits.shape[-2:] == (8, 8)
        told = running(SimpleNamespace(predictions=pixel_counting.matrices(logits, labels)), compute_result=start == 4)
    matrix = whole.cells.sum(axis=0).reshape(3, 3)
    assert told["pixel_accuracy"] == pytest.approx(matrix.trace() / matrix.sum())
    assert "boundary_f1" not in told and "iou[red]" in told
    assert running.total.sum() == 0  # the next evaluation begins anew


def test_probes_change_images_at_the_size_that_the_model_sees():
    rows = table([(64, 96)])
    whole, window = backbone(32, 32).processor, backbone(32, 32).processor
    window.do_resize = False  # as `model.window` sets it
    (small,), smaller = semantic_segmentation.contents(rows, whole)
    assert smaller and min(small.image.size) == 32 and small.mask.shape == small.image.size[::-1]
    (kept,), smaller = semantic_segmentation.contents(rows, window)
    assert not smaller and kept.image.size == (96, 64) and kept.mask.shape == (64, 96)


def test_boundaries_alone_are_no_metric_to_choose_a_checkpoint_by():
    wanted = recipe.load("tiny_semseg", ("metrics=[boundary_f1]",))
    assert training.watched(wanted, NAMES) == [] and training.best_metric(wanted, []) == "loss"
    chosen = recipe.load("tiny_semseg", ("train.metric_for_best_model=boundary_f1",))
    with pytest.raises(InputError, match=r"train.metric_for_best_model: no 'boundary_f1'"):
        gathering.check_names(chosen, NAMES)


def test_a_probe_that_moves_what_is_seen_moves_masks_along():
    """The model answers each pixel by its colour, so a picture that is moved has its answers moved: nothing flips."""
    part, rows = backbone(48, 48), table([(48, 48), (48, 64)])
    spec = Model("x", window=True)
    ask, segment = (lambda some: segmenting.predict([part], some, spec, CPU)), segmenting.asker([part], spec, CPU)
    subject = probing.Subject(semantic_segmentation, part.processor, rows, ask, None, segment)
    part_ready = probing.ready(subject)
    assert part_ready.answered.flipped.tolist() == [0.0, 0.0]
    for probe in (flip, shift):
        for cell in probing.probed(part_ready, probe, [1]).values():
            assert cell.flipped.tolist() == [0.0, 0.0], probe
            assert (cell.own_iou == 1).all()
            lost = part_ready.answered.cells.sum() - cell.cells.sum()
            assert (lost > 0) == (probe is shift), "what came in from outside counts nowhere"
    (turned,) = probing.probed(part_ready, rotate, [2]).values()
    assert (turned.own_iou > 0.7).all()  # its pixels lie between others
    (hidden,) = probing.probed(part_ready, occlusion, [5]).values()
    assert 0 < hidden.flipped.max() < 0.2


def test_a_checkpoint_that_knows_the_classes_in_another_order_answers_in_that_of_the_masks(tmp_path):
    folder = scene_models.segformer(tmp_path / "model", NAMES)
    spec = Model(str(folder), image_size=[64, 64])
    own, other = (backbones.load(spec, semantic_segmentation, names) for names in (NAMES, NAMES[::-1]))
    assert backbones.class_order(other.model) == NAMES[::-1]
    pixels = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    with torch.no_grad():
        first, second = (part.model.eval()(pixel_values=pixels).logits for part in (own, other))
    assert first.std() > 0
    assert torch.equal(second, first.flip(1))
