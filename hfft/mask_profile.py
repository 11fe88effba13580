"""What is in masks and their pictures: sizes, and how much of every picture each class takes.

In: rows with `image` and `pixels`. Out: a `Measured`, and shares of pixels by class and split. It must not know models
or how rows were split.
"""

from typing import Any

import datasets

from hfft import picture_rows
from hfft.measures import Measured
from hfft.recipe import Model


def measure(rows: datasets.Dataset, processor: Any | None, model: Model) -> Measured:
    """Sizes, colour modes and shapes."""
    return picture_rows.profile(rows, processor, model, 0)
