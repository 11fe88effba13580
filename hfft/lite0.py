"""EfficientNet-Lite0 weights in the layout of the original PyTorch ports, renamed for timm's `tf_efficientnet_lite0`.

Stage depths 1, 2, 2, 3, 3, 4, 1; inputs scaled to [-1, 1] (mean and std 0.5), SAME padding, BatchNorm eps 1e-3. timm's
own `efficientnet_lite0` takes the same tensors but pads and normalises otherwise, and predicts worse with them.
"""

from __future__ import annotations

from typing import Any

ARCHITECTURE = "tf_efficientnet_lite0"
DEPTHS = (1, 2, 2, 3, 3, 4, 1)
TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
PREPROCESSING = {
    "input_size": [3, 224, 224],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "classifier": "classifier",
    "first_conv": "conv_stem",
}


def recognises(state: dict[str, Any]) -> bool:
    """Whether `state` has this layout: one flat list of 16 blocks."""
    blocks = {key.split(".")[1] for key in state if key.startswith("_blocks.")}
    return "_conv_stem.weight" in state and blocks == {str(index) for index in range(sum(DEPTHS))}


def renamed(state: dict[str, Any]) -> dict[str, Any]:
    """The same tensors under timm's names."""
    places = [(stage, index) for stage, depth in enumerate(DEPTHS) for index in range(depth)]
    out = {}
    for key, tensor in state.items():
        parts = key.split(".")
        if parts[0] != "_blocks":
            out[".".join([TOP[parts[0]], *parts[1:]])] = tensor
            continue
        stage, index = places[int(parts[1])]
        names = FIRST if stage == 0 else OTHER
        out[".".join(["blocks", str(stage), str(index), names[parts[2]], *parts[3:]])] = tensor
    return out
