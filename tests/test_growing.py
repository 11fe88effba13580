"""Small pictures first: which steps see which size, in training only, and which models can; BatchNorm that is kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from hfft import arranging, batch_norms, growing
from hfft.errors import InputError
from tests.layouts import fit

CONV = {"name": "timm/test_efficientnet", "pretrained": False, "image_size": 64}


class Seen(torch.nn.Module):
    """Remembers the size of what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        self.sizes.append(tuple(pixel_values.shape))
        return pixel_values.mean()


@pytest.mark.parametrize(
    ("asked", "full", "expected"),
    [
        ("auto", 224, [128, 160, 224]),
        ("auto", 64, [32, 48, 64]),
        ("auto", 32, [32]),
        ([96], 224, [96, 224]),
        ([96, 224], 224, [96, 224]),
        ([224], 224, [224]),
    ],
)
def test_the_last_size_is_the_full_one(asked, full, expected):
    assert growing.sides(asked, full) == expected


def test_a_size_above_the_models_is_refused():
    with pytest.raises(InputError, match=r"^speed.image_sizes: 256 is more than the 224 pixels"):
        growing.sides([96, 256], 224)


def test_the_step_alone_decides_and_evaluation_is_at_full_size():
    model = Seen()
    watch = growing.Growing(model, [8, 12, 16])
    pixels = torch.rand(2, 3, 16, 16)
    for step in (*range(7), 3):  # 3 again, as after a resume
        watch.on_step_begin(None, SimpleNamespace(global_step=step, max_steps=7), None)
        model.train()(pixel_values=pixels)
        model.eval()(pixel_values=pixels)
    assert [size[-1] for size in model.sizes[::2]] == [8, 8, 8, 12, 12, 16, 16, 12]
    assert set(model.sizes[1::2]) == {(2, 3, 16, 16)}
    watch.on_step_begin(None, SimpleNamespace(global_step=0, max_steps=7), None)
    watch.on_train_end(None, None, None)
    assert model.train()(pixel_values=pixels) == pixels.mean(), "no hook is left"


def test_smaller_pictures_have_the_mean_of_what_falls_together():
    pixels = torch.rand(2, 3, 16, 16)
    flat = pixels.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert growing.smaller(flat, 16).mean() == pytest.approx(float(pixels.mean()), abs=1e-3)
    assert torch.allclose(growing.smaller(torch.full((1, 3, 20, 20), 0.3), 8), torch.tensor(0.3))


def test_training_grows_and_a_model_of_one_size_is_refused(tmp_path):
    sizes = {"speed": {"image_sizes": [32]}}
    steps = fit("vit", tmp_path / "conv", {"max_steps": 4}, changes={"model": CONV, **sizes})
    plain = fit("vit", tmp_path / "plain", {"max_steps": 4}, changes={"model": CONV})
    assert len(steps) == 4 and steps[0] != plain[0]
    with pytest.raises(InputError, match=r"^speed.image_sizes: this model takes no pictures of 32 x 32 \("):
        fit("vit", tmp_path / "vit", {}, changes={"model": {"name": "timm/test_vit3", "pretrained": False}, **sizes})


def test_kept_statistics_stay_while_scales_train():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Dropout())
    handle = batch_norms.keep(model)
    pixels = torch.rand(8, 3, 4, 4)
    model.train()(pixels).sum().backward()
    assert model[2].training, "dropout is not touched"
    assert model[1].running_mean.eq(0).all() and model[1].num_batches_tracked == 0
    assert model[1].weight.grad.abs().sum() > 0
    handle.remove()
    model.train()(pixels)
    assert model[1].num_batches_tracked == 1
    assert batch_norms.keep(torch.nn.Linear(2, 2)) is None


def test_a_run_keeps_them_and_a_model_without_any_is_refused(tmp_path):
    from safetensors.torch import load_file

    for asked in (True, False):
        adapt = {"adapt": {"freeze_statistics": asked}}
        fit("vit", tmp_path / str(asked), {"max_steps": 2}, changes={"model": CONV, **adapt})
    kept, moved = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("True", "False"))
    means = [name for name in kept if name.endswith("running_mean")]
    assert means and all(not kept[name].any() for name in means) and any(moved[name].any() for name in means)
    with pytest.raises(InputError, match=r"^adapt.freeze_statistics: this model has no BatchNorm"):
        fit("vit", tmp_path / "vit", {}, changes={"adapt": {"freeze_statistics": True}})


def test_what_becomes_of_freed_memory_is_known(monkeypatch):
    arranging.keep_memory.cache_clear()
    assert arranging.memory() == "system", "nobody asked"
    monkeypatch.setattr(arranging.sys, "platform", "darwin")
    assert not arranging.keep_memory() and arranging.memory() == "system"
    arranging.keep_memory.cache_clear()
