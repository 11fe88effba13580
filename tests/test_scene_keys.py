"""Keys of a recipe that have a meaning for masks only, or none for them."""

from __future__ import annotations

from typing import Any

import pytest

from hfft import recipe
from hfft.errors import InputError

SCENES: dict[str, Any] = {
    "task": "semantic_segmentation",
    "data": {"path": "scenes"},
    "model": {"name": "timm/resnet18"},
    "metrics": ["mean_iou"],
}
PICTURES = {**SCENES, "task": "image_classification", "metrics": ["accuracy"]}


def mistake(base: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        recipe.build({key: {**base[key], **changes.pop(key, {})} if key in ("data", "model") else base[key]
                      for key in base} | changes)  # fmt: skip
    return str(caught.value)


@pytest.mark.parametrize("size", [96, [64, 96]])
def test_sides_are_read_and_written(size):
    wanted = recipe.build({**SCENES, "model": {"name": "timm/resnet18", "image_size": size, "window": True}})
    assert wanted.model.image_size == size and wanted.model.side == (96 if size == 96 else 64)
    assert recipe.build(recipe.notation.parse(recipe.dump(wanted))) == wanted


@pytest.mark.parametrize(
    "model, said",
    [
        ({"image_size": 4}, "model.image_size: a side has 8 pixels or more, and 4 is less"),
        ({"image_size": [64, 4]}, "model.image_size: a side has 8 pixels or more, and 4 is less"),
        ({"image_size": [64, 64, 3]}, r"expected a side in whole pixels, or \[height, width\], not \[64, 64, 3\]"),
        ({"image_size": "64x96"}, r"or \[height, width\], not '64x96'"),
        ({"head": "fcn4s"}, "model.head: .*fcn8s"),
        ({"stride": 20}, r"model: stride is for windows"),
        (
            {"window": True, "image_size": [64, 96], "stride": 65},
            "model: stride 65 is .* between windows: type 1 to 64",
        ),
        ({"window": True, "image_size": 64, "stride": 0}, "stride 0 is the distance between windows"),
        ({"truncation": "tail"}, "model.truncation is for rows of one class or one text"),
        ({"pooling": "mean", "max_length": 9}, "model.max_length is for .*\n.*model.pooling is for"),
    ],
)
def test_mistakes_of_the_model_are_said(model, said):
    import re

    assert re.search(said, mistake(SCENES, model=model)), mistake(SCENES, model=model)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"augment": {"mixup": 0.2, "erase": 0.1}}, "augment: erase, mixup do not move a mask along with its picture"),
        ({"augment": {"typos": 0.2}}, "augment: typos does not move a mask"),
        ({"augment": {"scale": [2.0, 0.5]}}, "augment: scale is [least, most], and 2 is more than 0.5"),
        ({"augment": {"scale": [0.5]}}, "augment.scale"),
        ({"data": {"shots": 5}}, "data.shots is for rows of one class"),
        ({"data": {"multi_label": True}}, "data.multi_label is for rows of one class"),
        ({"data": {"labels": {"a": "b"}}}, "data.labels is for rows of one class"),
        ({"data": {"pixels": [8, 8]}}, "data.pixels is for rows of one class"),
        ({"sampler": "class_balanced"}, "sampler is for rows of one class"),
        ({"decide": "logit_adjustment"}, "decide is for rows of one class"),
        ({"loss": {"name": "dice", "weights": "sqrt"}}, "loss.weights: dice counts all classes alike already"),
        ({"loss": {"name": "cross_entropy", "gamma": 1.0}}, "loss.gamma: cross_entropy does not use it; loss=focal"),
    ],
)
def test_what_has_no_meaning_for_masks_is_said(changes, said):
    assert said in mistake(SCENES, **changes)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"augment": {"scale": [0.5, 2.0]}}, "augment.scale is for semantic_segmentation, and the task is image_class"),
        ({"model": {"head": "fcn8s"}}, "model.head is for semantic_segmentation"),
        ({"model": {"window": True}}, "model.window is for semantic_segmentation"),
        ({"model": {"image_size": [64, 96]}}, "image_classification takes square images; type one side, such as model"),
    ],
)
def test_what_has_a_meaning_for_masks_only_is_said(changes, said):
    assert said in mistake(PICTURES, **changes)


def test_remedies_of_masks():
    wanted = recipe.build({**SCENES, "loss": {"name": "cross_entropy_dice", "weights": "sqrt"}})
    assert recipe.remedies.balanced(wanted)
    assert recipe.remedies.balanced(recipe.build({**SCENES, "loss": "dice"}))
    assert not recipe.remedies.balanced(recipe.build(SCENES))
