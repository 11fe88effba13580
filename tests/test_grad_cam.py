"""Grad-CAM: equal to captum's on the layer it chooses, and a layer that the answer depends on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from captum.attr import LayerGradCam

from hfft import backbones, evidence, grad_cam, recipe, rooms
from hfft.errors import InputError
from tests.layouts import LABELS, VIT

IMAGES = rooms.find("modalities", "image_classification")


def timm(name, side):
    transformers.set_seed(0)
    wanted = recipe.build({**VIT, "model": {"name": f"timm/{name}", "pretrained": False, "image_size": side}})
    return backbones.load(wanted.model, IMAGES, LABELS).model.eval()


def plain(name):
    torch.manual_seed(0)
    if name == "vit":
        config = transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=64,
            patch_size=16, num_labels=3,
        )  # fmt: skip
        return transformers.ViTForImageClassification(config).eval()
    if name == "swin":
        config = transformers.SwinConfig(
            image_size=64, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4, num_labels=3
        )
        return transformers.SwinForImageClassification(config).eval()
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], num_labels=3)
    return transformers.ResNetForImageClassification(config).eval()


def pixels(side, seed=0):
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_the_map_of_a_convolutional_model_is_captums(name, several):
    model, picture = timm(name, 96), pixels(96)
    found = grad_cam.attribute(model, picture, 1, several)
    layer = model.get_submodule(found.layer)

    def answer(values):
        return evidence.of_class(model(pixel_values=values).logits, 1, several)

    expected = LayerGradCam(answer, layer).attribute(picture, relu_attributions=True)[0, 0].detach().numpy()
    assert min(found.cells.shape) >= grad_cam.SIDE
    assert found.cells == pytest.approx(expected, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize(("model", "side", "shape"), [
    (lambda: timm("test_vit", 64), 64, (4, 4)), (lambda: plain("vit"), 64, (4, 4)),
    (lambda: plain("swin"), 64, (16, 16)), (lambda: plain("resnet"), 64, (8, 8)),
    (lambda: timm("test_vit", 32), 32, (2, 2)),
])  # fmt: skip
def test_patches_and_channels_find_their_places(model, side, shape):
    built = model()
    maps = [grad_cam.attribute(built, pixels(side, seed), k).cells for seed in range(4) for k in range(3)]
    assert {found.shape for found in maps} == {shape}
    assert all((found >= 0).all() and np.isfinite(found).all() for found in maps)
    assert sum(found.max() > 0 for found in maps) > 6


def test_a_class_token_takes_the_map_from_before_the_last_attention():
    """After it, patches have no gradient: a map of the last layer would be empty."""
    found = grad_cam.attribute(plain("vit"), pixels(64), 0)
    assert found.layer == "vit.layers.1.layernorm_before" or found.layer.endswith("1.layernorm_before")


def test_the_map_stays_in_its_place():
    """A mirrored picture has a mirrored map in a model that cannot tell left from right."""
    model = plain("resnet")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.copy_((module.weight + module.weight.flip(-1)) / 2)
    # An odd side, so that strides meet the same pixels from either end.
    picture = pixels(65)
    straight, mirrored = (grad_cam.attribute(model, part, 1).cells for part in (picture, picture.flip(-1)))
    assert straight.max() > 0 and abs(straight - straight[:, ::-1]).max() > 0.05 * straight.max()
    assert mirrored[:, ::-1] == pytest.approx(straight, rel=1e-3, abs=1e-5 * straight.max())


def test_hooks_are_gone_and_pixels_are_left_alone():
    model, picture = timm("test_resnet", 64), pixels(64)
    before = picture.clone()
    grad_cam.attribute(model, picture, 0)
    assert torch.equal(picture, before) and not picture.requires_grad
    assert not [module for module in model.modules() if module._forward_hooks]


def test_a_model_without_a_map_is_refused():
    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3 * 8 * 8, 3)

        def forward(self, pixel_values):
            return transformers.modeling_outputs.ImageClassifierOutput(logits=self.head(pixel_values.flatten(1)))

    with pytest.raises(InputError, match="no feature map"):
        grad_cam.attribute(Flat(), pixels(8), 0)
