"""The one exception that means: the input is wrong, not the program.

Raised anywhere, caught only at the command line, where it becomes one sentence on stderr and exit code 2.
Say what came, what was expected and what to type.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hfft.steering import on_one_line

# In the words of libraries: the last two are all that torch.save says.
FULL = ("No space left on device", "PytorchStreamWriter failed writing file", "basic_ios::clear: iostream error")
# A slip in a program, hfft's own perhaps. Raised while another error was handled it is the news, and not what came
# before; and of a worker process its text may quote that whole story.
SLIPS: tuple[type[Exception], ...] = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError)
SLIPS += (NotImplementedError, RecursionError, SyntaxError, TypeError)


class InputError(Exception):
    """The user's input cannot be used; the message is shown to them as it stands."""


class NoRoomError(InputError):
    """The disk is too full for what is asked: no fault of the recipe."""


class MachineError(InputError):
    """The machine failed a work under way, on one process of a launch perhaps: no fault of the recipe. See mishaps.py.

    mishap: what happened, what helps, and another way out. again: what to type then, "" where that is not known.
    """

    def __init__(self, mishap: Any, again: str = "") -> None:
        self.mishap = mishap
        then = f"{again}: what is finished is kept" if again else "the same again"
        super().__init__(f"{mishap.what}; {mishap.cure}, then type {then}{mishap.instead}")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, after what was under way has been saved; the message says how to go on."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it comes from: what it was raised from, or, of a library's, what was being handled then."""
    while error is not None:
        yield error
        error = error.__cause__ or (error.__context__ if _wraps(error) else None)


def _wraps(error: BaseException) -> bool:
    """Whether it is of the kinds in which libraries tell what another part of them met: theirs, and two of Python's."""
    plain = type(error).__module__ == "builtins" and not isinstance(error, (OSError, RuntimeError))
    return not (error.__suppress_context__ or plain or isinstance(error, SLIPS))


def full(error: BaseException | None) -> bool:
    """Whether a disk without space is what an error comes from; libraries wrap that in errors of their own."""
    return any(map(_full, causes(error)))


def _full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    told = not isinstance(error, SLIPS) and any(sign in str(error) for sign in FULL)
    return told or isinstance(error, NoRoomError)


def meant(word: object, known: Iterable[object]) -> str:
    """A hint " (did you mean 'x'?)" when a known name is close to `word`, else an empty string.

    >>> meant("acuracy", ["accuracy", "f1"])
    " (did you mean 'accuracy'?)"
    >>> meant("zzz", ["accuracy"])
    ''
    """
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if not close:
        lowered = {name.lower(): name for name in names}
        close = [lowered[key] for key in difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.6)]
    return f" (did you mean {close[0]!r}?)" if close else ""


def counted(n: int, noun: str) -> str:
    """A number with its noun in the right form.

    >>> counted(1, "row"), counted(1200, "class")
    ('1 row', '1,200 classes')
    """
    return f"{n:,} {noun}{'' if n == 1 else 'es' if noun.endswith('s') else 's'}"


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Names joined for a sentence, cut after `limit` with the number left out. They may come from data.

    >>> listed("abc", limit=2)
    'a, b … and 1 more'
    """
    items = [on_one_line(name) for name in names]
    tail = f" … and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + tail


def classes(names: Sequence[str], one: str, many: str, limit: int = 5) -> str:
    """Classes as the subject of a sentence. one, many: its verb.

    >>> classes(["road"], "is", "are"), classes(["road", "car"], "is", "are")
    ('Class road is', '2 classes (road, car) are')
    """
    return f"Class {names[0]} {one}" if len(names) == 1 else f"{len(names)} classes ({listed(names, limit)}) {many}"


def brief(value: object, limit: int = 80) -> str:
    """A value for a sentence, cut after `limit` characters.

    >>> brief("abcdefgh", limit=6)
    "'abcd…"
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
