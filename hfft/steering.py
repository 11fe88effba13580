"""Signs that steer a terminal or a reader's eyes are written out: what comes from data is shown, and obeyed nowhere.

In: any text that may hold something from a file. Out: the same with ⟨U+001B⟩ where an escape sign was. It must not
know where a text goes.
"""

from __future__ import annotations

import re
from typing import Any

# Control characters but tab and line feed (U+0085 ends a line as well), the line and paragraph ends U+2028 and U+2029,
# lone surrogates, and the signs that turn the direction of what follows, MARKS among them: a class name with one of
# them would look like another.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
MARKS = "\u061c\u200e\u200f"  # letters without a shape: people who write from right to left do type them
LEFTWARD = re.compile(  # what is written from right to left: Hebrew, Arabic and their like
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)


def visible(value: Any) -> Any:
    """Text with signs that steer or break written out as ⟨U+202E⟩; anything else, and markup, as it is.

    Of a text that has words from right to left the MARKS are a part, and stay. Kinds of str, such as numpy's, are text.

    >>> visible("gro\u202eup"), visible("spam\u200f"), visible(3)
    ('gro⟨U+202E⟩up', 'spam⟨U+200F⟩', 3)
    """
    if not isinstance(value, str) or hasattr(value, "__html__") or not STEERING.search(value):
        return value
    lines = value.replace("\r\n", "\n").replace("\r", "\n")
    kept = MARKS if LEFTWARD.search(lines) else ""
    return STEERING.sub(lambda found: found[0] if found[0] in kept else _written(found), lines)


def escaped(text: str) -> str:
    """JSON that says the same and holds no such sign: json itself leaves those beyond 0x1f as they are.

    >>> escaped('"a\x9b31m"')
    '"a\\\\u009b31m"'
    """
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def on_one_line(name: object) -> str:
    """A name as a part of a sentence: a line end in it would begin a sentence of its own, which hfft has not said.

    Of a name every such sign is written out, whatever it is written in: two names must not look the same.

    >>> on_one_line("x\\nhfft: all is well")
    'x⟨U+000A⟩hfft: all is well'
    """
    return STEERING.sub(_written, str(visible(str(name)))).replace("\n", "⟨U+000A⟩")


def _written(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"
