"""Signs that steer a terminal or a reader's eyes are written out: what comes from data is shown, and obeyed nowhere.

In: any text that may hold something from a file. Out: the same with ⟨U+001B⟩ where an escape sign was. It must not
know where a text goes.
"""

from __future__ import annotations

import re
from typing import Any

# Control characters but tab and line feed, lone surrogates, and the signs that turn the direction of what follows:
# a class name with one of them would look like another.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def visible(value: Any) -> Any:
    """Text with signs that steer or break written out as ⟨U+202E⟩; anything else, and markup, as it is.

    >>> visible("gro\u202eup"), visible(3)
    ('gro⟨U+202E⟩up', 3)
    """
    if type(value) is not str or not STEERING.search(value):
        return value
    lines = value.replace("\r\n", "\n").replace("\r", "\n")
    return STEERING.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", lines)


def escaped(text: str) -> str:
    """JSON that says the same and holds no such sign: json itself leaves those beyond 0x1f as they are.

    >>> escaped('"a\x9b31m"')
    '"a\\\\u009b31m"'
    """
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def on_one_line(name: object) -> str:
    """A name as a part of a sentence: a line end in it would begin a sentence of its own, which hfft has not said.

    >>> on_one_line("x\\nhfft: all is well")
    'x⟨U+000A⟩hfft: all is well'
    """
    return str(visible(str(name))).replace("\n", "⟨U+000A⟩")
