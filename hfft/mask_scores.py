"""From predicted masks to numbers with intervals, whose witnesses are images or groups of images.

In: `MaskPredictions` and what is computed of their counts. Out: {key: Score}. It must not know a metric. numpy only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hfft import image_intervals, resamples
from hfft.counts import Counts
from hfft.mask_records import MaskPredictions
from hfft.records import Score

ALONE = {False: "one image alone", True: "one group alone"}  # by whether images come in groups


def of(predictions: MaskPredictions, statistic: Callable[[Counts], dict[str, np.ndarray]]) -> dict[str, Score]:
    """The values of `statistic`, keys of a class being "iou[road]"; at least one image.

    n: images; of a class, those that truly hold it. A class that no image holds has no value.
    """
    names = predictions.names
    sample = resamples.of_images([predictions.cells], [predictions.edges], predictions.groups)
    held = dict(zip(names, image_intervals.holders(sample).tolist(), strict=True))
    rows = dict(zip(names, np.count_nonzero(predictions.totals[1], axis=0).tolist(), strict=True))
    witnesses = {key: held[label(key)] for key in statistic(predictions.counts) if label(key)}
    found = {}
    for key, (value, spread) in image_intervals.of(sample, statistic, witnesses).items():
        n = rows[label(key)] if label(key) else predictions.n
        if not n or not any(rows.values()):
            found[key] = Score(None, None, None, 0, f"undefined: no {'true ' * bool(label(key))}pixels")
        elif spread is None:
            found[key] = Score(value, None, None, n, f"no interval: {ALONE[sample.grouped]}")
        else:
            found[key] = Score(value, spread.low, spread.high, n, spread.method)
    return found


def label(key: str) -> str:
    """The class that a key is about; "" for the whole split.

    >>> label("iou[road]"), label("mean_iou")
    ('road', '')
    """
    return key.partition("[")[2][:-1]
