"""Random changes of training pictures that keep their class: timm's own transforms, drawn the same way every time.

In: the recipe's `augment:` section and the checkpoint's processor. Out: a function from a picture to pixels. It must
not know which rows it sees; it is never handed rows that are held back.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from hfft.recipe import Augment


def pixels_of(augment: Augment, processor: Any) -> Callable[[Image.Image], Any]:
    """picture → float tensor (3, side, side), normalised as the checkpoint expects, changed at random.

    RandAugment: Cubuk et al. 2020; random erasing: Zhong et al. 2020, with the mean colour for what is gone.
    """
    from timm.data import auto_augment, create_transform

    options = geometry(processor) | {"scale": (augment.crop or 1.0, 1.0), "color_jitter": augment.color_jitter}
    options |= {"ratio": (3 / 4, 4 / 3) if augment.crop else (1.0, 1.0), "hflip": 0.5 if augment.flip else 0.0}
    options |= {"auto_augment": augment.policy, "re_prob": augment.erase or 0.0}
    made: Any = create_transform(**options, is_training=True)
    for step in made.transforms:
        for change in getattr(step, "ops", ()):
            if getattr(change, "aug_fn", None) is auto_augment.posterize:
                change.aug_fn = _posterize
    return made


def steps_of(augment: Augment, processor: Any) -> tuple[Callable[[np.ndarray], Any] | None, Any]:
    """`pixels_of` in two: what is the same in every epoch, and what is drawn. The first is None with random crops.

    The first: uint8 array (h, w, 3) → uint8 tensor (3, side, side). Together they are not drawn as `pixels_of` is: the
    first takes no random numbers of the row's.
    """
    made: Any = pixels_of(augment, processor)
    if augment.crop is not None or not hasattr(made.transforms[0].interpolation, "value"):  # or one drawn each time
        return None, made
    whole, *drawn = made.transforms
    return partial(_square, whole.size, whole.interpolation), type(made)(drawn)


def _square(size: tuple[int, int], interpolation: Any, pixels: np.ndarray) -> Any:
    """The largest square from the middle at (height, width), which is what timm crops where it must keep all.

    By torch: a pixel may be another one by 1 or 2 of 255, which is nothing beside what is drawn next.
    """
    import torch
    from torchvision.transforms.v2.functional import resized_crop  # the first version would compute in floats

    high, wide, _ = pixels.shape
    side = min(high, wide)
    where = ((high - side) // 2, (wide - side) // 2, side, side)
    found = resized_crop(torch.from_numpy(pixels).permute(2, 0, 1), *where, list(size), interpolation, antialias=True)
    return found.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def _posterize(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """With one bit at least: timm draws none for strong changes, which is a black picture, and Pillow refuses it."""
    return image if bits >= 8 else ImageOps.posterize(image, max(bits, 1))


def as_tensor(image: Image.Image) -> Any:
    """uint8 tensor (3, height, width), in memory (height, width, 3), of an RGB picture."""
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's random numbers start from `seed` inside, and go on undisturbed outside.

    A picture's changes then depend on its own seed alone: not on the batch, the number of workers, or a resume.
    """
    import torch

    before, arrays = random.getstate(), np.random.get_state()  # timm's RandAugment draws from both
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(arrays)


def geometry(processor: Any) -> dict[str, Any]:
    """Size, mean, standard deviation and interpolation of either kind of image processor."""
    if hasattr(processor, "data_config"):
        return {key: processor.data_config[key] for key in ("input_size", "mean", "std", "interpolation")}
    size = dict(getattr(processor, "crop_size", None) or processor.size)
    height = size.get("height") or size["shortest_edge"]
    return {
        "input_size": (3, height, size.get("width") or height),
        "mean": tuple(processor.image_mean),
        "std": tuple(processor.image_std),
    }
