"""Which tokens of a text that is too long are kept: its beginning, its end, both, or all of them in windows.

In: numbers of tokens. Out: places of tokens, and what each way keeps and costs. It must not know texts or tokenizers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WAYS = ("head", "tail", "head_tail", "windows")
SHARED = 4  # neighbouring windows share one in so many of their tokens, unless the recipe says how many


def kept(length: int, room: int, way: str) -> list[int]:
    """Places of the tokens that stay of `length`, at most `room`.

    head_tail: the first and the last half of the room, the first with the odd one (Sun et al., How to Fine-Tune BERT
    for Text Classification?, 2019, section 5.3.1, where a first quarter and a last three quarters did best).

    >>> kept(6, 3, "head"), kept(6, 3, "tail"), kept(6, 3, "head_tail"), kept(2, 3, "tail")
    ([0, 1, 2], [3, 4, 5], [0, 1, 5], [0, 1])
    """
    if length <= room:
        return [*range(length)]
    first = {"head": room, "tail": 0, "head_tail": room - room // 2}[way]
    return [*range(first), *range(length - (room - first), length)]


def windows(length: int, room: int, stride: int) -> list[range]:
    """Windows of `room` tokens, each sharing `stride` with the one before; the last ends where the text does.

    >>> [list(window) for window in windows(7, 4, 1)], windows(9, 4, 1)[-1], windows(2, 4, 1)
    ([[0, 1, 2, 3], [3, 4, 5, 6]], range(5, 9), [range(0, 2)])
    """
    if length <= room:
        return [range(length)]
    starts = [*range(0, length - room, room - stride), length - room]
    return [range(start, start + room) for start in starts]


def counts(lengths: np.ndarray, room: int, stride: int) -> np.ndarray:
    """How many windows each text has, int (n,). lengths: tokens of each text without special ones.

    >>> counts(np.array([2, 4, 7, 9]), 4, 1).tolist()
    [1, 1, 2, 3]
    """
    over = np.maximum(np.asarray(lengths) - room, 0)
    return 1 + -(-over // (room - stride))  # type: ignore[no-any-return]


def shared(lengths: Sequence[int], room: int) -> list[int]:
    """The room of each text of a row, where the longer of a pair is cut first, as tokenizers do.

    >>> shared([9], 4), shared([1, 9], 6), shared([9, 8], 5), shared([2, 3], 6)
    ([4], [1, 5], [3, 2], [2, 4])
    """
    if len(lengths) == 1:
        return [room]
    short = min(*lengths, room // 2)
    return [short, room - short] if lengths[0] <= lengths[1] else [room - short, short]
