"""A fully convolutional network over any timm backbone, as a model of transformers.

Long, Shelhamer & Darrell 2015, "Fully convolutional networks for semantic segmentation": a classifier of each position
at stride 32, sharpened by classifiers of what the backbone saw at strides 16 and 8. In: pixels. Out: logits as large
as the picture. It must not know data, recipes or losses. Importing this file is what lets transformers reload a folder.

Two things are not the paper's. Scores are enlarged by plain bilinear interpolation, which is what the paper's
transposed convolutions begin as: it fits any size without cutting, and has nothing that a few epochs would leave
half learned. And the layer before the deepest score, the paper's fc6 and fc7 of VGG, is one 3 x 3 convolution:
other backbones have no such layers, and features of timm leave VGG's own out.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from torch.nn.functional import cross_entropy, interpolate, pad
from transformers import AutoConfig, AutoModelForSemanticSegmentation, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SemanticSegmenterOutput
from transformers.models.auto.modeling_auto import MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES

HEADS = {"fcn32s": (32,), "fcn16s": (32, 16), "fcn8s": (32, 16, 8)}  # strides of the scores that are added up
IGNORED = -100


@strict
class FCNConfig(PreTrainedConfig):
    """architecture: timm's name. head: fcn32s, fcn16s or fcn8s. hidden_size: channels of the layer before the deepest
    score, 0 for none. What the weights expect of pixels is in the processor that is saved beside the model.

    semantic_loss_ignore_index: a label that costs nothing, besides -100, when the model computes its loss itself.
    """

    model_type = "hfft_fcn"

    architecture: str = "resnet18"
    head: str = "fcn8s"
    hidden_size: int = 256
    hidden_dropout_prob: float = 0.1
    initializer_range: float = 0.01
    semantic_loss_ignore_index: int = 255


class Beginning(nn.Conv2d):
    """A new layer. start: spread of its weights, None for He's. A class, because transformers begins layers one by
    one, those alone that a checkpoint lacks.
    """

    def __init__(self, channels: int, out: int, size: int, start: float | None) -> None:
        super().__init__(channels, out, size, padding=size // 2)
        self.start = start


class FCNHead(nn.Module):
    """Scores at each stride, the coarse ones enlarged onto the finer ones."""

    def __init__(self, config: FCNConfig, channels: dict[int, int]) -> None:
        super().__init__()
        wide, classes = config.hidden_size, int(config.num_labels or 0)
        self.hidden = Beginning(channels[32], wide, 3, None) if wide else None
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.scores = nn.ModuleDict(
            {"32": Beginning(wide or channels[32], classes, 1, config.initializer_range)}
            | {str(stride): Beginning(channels[stride], classes, 1, 0.0) for stride in HEADS[config.head][1:]}
        )

    def forward(self, features: dict[int, torch.Tensor]) -> torch.Tensor:
        """features: by stride, (n, channels, h / stride, w / stride). Returns scores at the finest of the strides."""
        deep = features[32]
        if self.hidden is not None:
            deep = torch.relu(self.hidden(deep))
        out: torch.Tensor = self.scores["32"](self.dropout(deep))
        for stride, score in self.scores.items():
            if stride != "32":
                finer = score(features[int(stride)])
                out = finer + enlarged(out, 2, finer.shape[-2:])
        return out


class FCNForSemanticSegmentation(PreTrainedModel):
    """FCN-32s, FCN-16s or FCN-8s. Raises ValueError for a backbone without features at strides 8, 16 and 32."""

    config_class = FCNConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = "image"
    accepts_loss_kwargs = False

    def __init__(self, config: FCNConfig) -> None:
        super().__init__(config)
        if config.head not in HEADS:
            raise ValueError(f"head {config.head!r} is none of {', '.join(HEADS)}")
        self.backbone = backbone(config.architecture, config.head)
        info = self.backbone.feature_info
        self.channels = dict(zip(info.reduction(), info.channels(), strict=True))
        self.finest = min(self.channels)
        self.head = FCNHead(config, self.channels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """The backbone is as timm makes it. Scores of shallow features begin at 0, so that training begins with
        FCN-32s (section 4.2 of the paper).
        """
        if callable(anew := getattr(module, "init_non_persistent_buffers", None)):
            anew()
        if not isinstance(module, Beginning):
            return
        if module.start is None:
            init.kaiming_normal_(module.weight, nonlinearity="relu")
        else:
            init.normal_(module.weight, std=module.start)
        init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **_: Any
    ) -> SemanticSegmenterOutput:
        """Logits (n, classes, h, w) of pixels (n, 3, h, w); with labels (n, h, w), mean cross-entropy per pixel."""
        height, width = pixel_values.shape[-2:]
        below, right = max(0, 32 - height), max(0, 32 - width)
        maps = zip(self.channels.items(), self.backbone(pad(pixel_values, (0, right, 0, below))), strict=True)
        features = {stride: _channels_first(each, channels) for (stride, channels), each in maps}
        logits = enlarged(self.head(features), self.finest, (height, width))
        loss = None
        if labels is not None:
            target = labels.long().masked_fill(labels == self.config.semantic_loss_ignore_index, IGNORED)
            loss = cross_entropy(logits.float(), target, ignore_index=IGNORED)
        return SemanticSegmenterOutput(loss=loss, logits=logits)


def backbone(name: str, head: str, **options: Any) -> Any:
    """timm's `name` as features at the strides that `head` takes, the coarsest last. options: for timm.create_model."""
    strides = sorted(HEADS[head])
    return timm.create_model(name, features_only=True, out_indices=places(name, strides), **options)


def places(name: str, strides: list[int]) -> tuple[int, ...]:
    """Which of the backbone's stages have these strides, the last of each. Raises ValueError where one is missing."""
    with torch.device("meta"):
        made: Any = timm.create_model(name, features_only=True, pretrained=False)
    every = made.feature_info.reduction()
    if missing := [stride for stride in strides if stride not in every]:
        raise ValueError(
            f"an FCN adds up what its backbone sees at strides {', '.join(map(str, strides))}, and timm's {name} has "
            f"{', '.join(map(str, every))} but not {missing[0]}; choose a convolutional network, such as timm/resnet50"
        )
    return tuple(len(every) - 1 - every[::-1].index(stride) for stride in strides)


def enlarged(scores: torch.Tensor, times: int, size: tuple[int, int]) -> torch.Tensor:
    """So many times as large, bilinear, then cut to `size`: what is stretched to a size lies up to half a step aside.

    Where it falls short, because the backbone leaves the last rows out, its edge is repeated.
    """
    height, width = size
    whole = (scores.shape[-2] * times, scores.shape[-1] * times)
    out = interpolate(scores, size=whole, mode="bilinear", align_corners=False)[..., :height, :width]
    below, right = height - out.shape[-2], width - out.shape[-1]
    return pad(out, (0, right, 0, below), mode="replicate") if below or right else out


def _channels_first(features: torch.Tensor, channels: int) -> torch.Tensor:
    """Some transformers of timm have channels last."""
    last = features.shape[1] != channels and features.shape[-1] == channels
    return features.permute(0, 3, 1, 2) if last else features


AutoConfig.register(FCNConfig.model_type, FCNConfig, exist_ok=True)
AutoModelForSemanticSegmentation.register(FCNConfig, FCNForSemanticSegmentation, exist_ok=True)
# A pipeline compares names with this list alone, and calls every other model unsupported, which it then runs.
MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES.setdefault(FCNConfig.model_type, FCNForSemanticSegmentation.__name__)
