"""Which texts hold nothing that can be answered, said the same way in a data set, a file to predict and a Python list.

In: a value where a text should be. Out: what is wrong with it. It must not know where it comes from.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from hfft.errors import brief

EMPTY = "the text is empty"
MOST = 10_000_000  # characters of a text: ten long books; what is longer is a whole file in one cell
INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")


def why(value: Any) -> str:
    """What is wrong with a text, or "".

    >>> why("fine"), why("\u200b "), why(None), why(5)
    ('', 'the text is empty', 'the text is missing', 'the text is 5: expected text')
    """
    if value is None:
        return "the text is missing"
    if not isinstance(value, str):
        return f"the text is {brief(value, 40)}: expected text"
    if len(value) > MOST:
        return too_long(value)
    if halved(value):
        return "the text holds half a sign (a lone surrogate)"
    return "" if any(map(visible, value)) else EMPTY


def too_long(value: str) -> str:
    """What is wrong with a text of more than MOST characters."""
    return f"the text has {len(value):,} characters, and {MOST:,} are the most; is a quote missing?"


def visible(sign: str) -> bool:
    """No space, control or format sign: a text of zero-width spaces is as empty as one of spaces."""
    return unicodedata.category(sign) not in INVISIBLE


def halved(value: str) -> bool:
    """Whether a lone surrogate is in it, which has no UTF-8 form."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
