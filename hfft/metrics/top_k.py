"""Top_k: the share of rows whose true class is among the k most probable ones, for k = 2, 3 and 5 below the classes.

Classes that tie with the true one stand before it: a model that gives all classes the same must not look good.

>>> import numpy as np
>>> whole, _ = estimates(np.array([0, 2]), np.array([[0.3, 0.5, 0.2], [0.5, 0.3, 0.2]]))
>>> whole["top_2"].value  # the first row's class is second, the second row's third
0.5
"""

from __future__ import annotations

import numpy as np

from hfft.estimates import SHARE, Estimate, mean

MULTI_LABEL = False
DEPTHS = (2, 3, 5)


def estimates(labels: np.ndarray, scores: np.ndarray) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """({"top_2": …, "top_3": …, "top_5": …}, nothing per class); none of them for two classes."""
    own = np.asarray(scores)[np.arange(len(labels)), labels]
    rank = (np.asarray(scores) >= own[:, None]).sum(axis=1)
    return {f"top_{k}": mean(rank <= k, SHARE) for k in DEPTHS if k < np.shape(scores)[1]}, {}
