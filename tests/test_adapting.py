"""Freezing, features computed once, gradual unfreezing and rates by depth."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hfft import adapting, anatomy, backbones, optimizing, precomputing, recipe, rooms, trainer_arguments
from hfft.errors import InputError
from hfft.run_folder import RunFolder
from tests.adaptations import EPOCHS, TOGETHER, built, dropping, fit, losses, made

HERE = Path(__file__).parent
FAST = {"learning_rate": 0.5, "num_train_epochs": 3}


def weights(root: Path) -> dict[str, torch.Tensor]:
    return load_file(root / "model" / "model.safetensors")


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each tensor."""
    assert set(one) == set(other)
    return {name: float((one[name].double() - other[name].double()).abs().max()) for name in one}


@pytest.mark.parametrize("kind", ["bert", "timm"])
def test_features_computed_once_give_the_weights_of_training_through_the_backbone(kind, tmp_path, monkeypatch):
    train = EPOCHS | FAST
    _, backbone, said = fit(kind, tmp_path / "once", {"freeze": "backbone"}, train)
    assert any(line.startswith("features: 64 rows for training and 64 for validation") for line in said)

    def refuse(*_):
        raise precomputing.Unfit("a test says so")

    monkeypatch.setattr(precomputing, "features", refuse)
    _, _, told = fit(kind, tmp_path / "through", {"freeze": "backbone"}, train)
    assert told == ["features are not computed once: a test says so; every step runs through the frozen backbone"]
    before = {k: v for k, v in made(built(kind, {}, {})).model.state_dict().items()}
    found = apart(weights(tmp_path / "once"), weights(tmp_path / "through"))
    assert max(found.values()) < 1e-5
    moved = {k for k, v in apart(weights(tmp_path / "once"), before).items() if v > 0}
    assert moved == {name for name in found if "classifier" in name} and len(moved) == 2
    assert max(apart(weights(tmp_path / "once"), before).values()) > 0.01, "the head learnt something"
    assert all(parameter.requires_grad for parameter in backbone.model.parameters())
    assert not list((tmp_path / "once").glob(".features*"))
