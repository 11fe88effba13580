"""Two halves of a split that do not move when rows are added: one to look in, one to judge by.

In: `Predictions` or `MaskPredictions`, a salt. Out: a mask of rows. It must not know what the halves are for; another
salt deals others.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from hfft.records import content_of

if TYPE_CHECKING:
    from hfft.mask_records import Answers


def first_half(predictions: Answers, salt: bytes) -> np.ndarray:
    """Mask bool (n,) of about half of the rows, by a hash of the group or of the content.

    Rows that belong together are in one half; rows added later move none.
    """
    keys = predictions.groups if predictions.groups is not None else [content_of(str(row)) for row in predictions.ids]
    digests = (hashlib.blake2b(salt + str(key).encode(), digest_size=1).digest() for key in keys)
    return np.array([digest[0] % 2 == 0 for digest in digests], dtype=bool)
