"""Lines of a text file or of standard input, decoded the same way, in flat memory.

In: a file's name, or "-", and an encoding. Out: `Line`s with their ends. It must not know what a line holds. What is
not UTF-8 costs its own line alone; only what is wrong with the whole raises.
"""

from __future__ import annotations

import codecs
import contextlib
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hfft.errors import InputError

STDIN = "-"
CHUNK = 1 << 16  # bytes that are taken at once, at most
LONGEST = 1 << 26  # characters of a line: a file without line ends must not fill the memory
ESCAPED = ("\udc80", "\udcff")  # how Python keeps bytes that are no UTF-8


class Line(NamedTuple):
    """text: with its end. number: from 1. problem: why it cannot be read, or ""."""

    text: str
    number: int
    problem: str


def shown_as(name: str) -> str:
    """What a source is called in a sentence."""
    return "standard input" if name == STDIN else name


def check(name: str, encoding: str) -> None:
    """Raise InputError for an encoding that is none, and for a file that is no text in it, by its first bytes."""
    _check_encoding(encoding)
    if name != STDIN:
        with contextlib.closing(_bytes(name)) as data:
            _check_text(next(data, b""), name, encoding)


def lines(name: str, encoding: str) -> Iterator[Line | None]:
    """Of standard input a None whenever all that has come was given."""
    pieces: list[str] = []
    number = held = 0
    for part in _decoded(name, encoding):
        if part is None:
            yield None
            continue
        first, *others = part.split("\n")
        held += len(first)
        if held <= LONGEST:
            pieces.append(first)
        for other in others:
            number += 1
            yield _line("".join(pieces) + "\n", number) if held <= LONGEST else _long(number)
            pieces, held = [other], len(other)
    if held > LONGEST:
        yield _long(number + 1)
    elif rest := "".join(pieces):
        yield _line(rest, number + 1)


def _long(number: int) -> Line:
    return Line("\n", number, f"line {number:,} has more than {LONGEST:,} characters; is a line end missing?")


def _line(text: str, number: int) -> Line:
    if number == 1:
        text = text.removeprefix("\ufeff")
    wrong = None if text.isascii() else next((sign for sign in text if ESCAPED[0] <= sign <= ESCAPED[1]), None)
    return Line(
        text, number, "" if wrong is None else f"line {number:,} is not UTF-8 (byte 0x{ord(wrong) - 0xDC00:02x})"
    )


def _decoded(name: str, encoding: str) -> Iterator[str | None]:
    """Text as it comes. In other encodings than UTF-8 an error does not say where the next line begins: it raises."""
    plain = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    make = codecs.getincrementaldecoder("utf-8" if plain else encoding)
    decoder = make("surrogateescape" if plain else "strict")
    begun = False
    try:
        for data in _bytes(name):
            if not begun:
                _check_text(data, shown_as(name), encoding)
            begun = True
            if text := decoder.decode(data):
                yield text
                if name == STDIN and "\n" in text:
                    yield None
        yield decoder.decode(b"", True)
    except UnicodeError as error:
        why = error.reason if isinstance(error, UnicodeDecodeError) else error
        raise InputError(f"{shown_as(name)} is not {encoding} ({why}); type --encoding with another") from error


def _bytes(name: str) -> Generator[bytes, None, None]:
    try:
        if name == STDIN:
            source: Any = sys.stdin.buffer
            while chunk := source.read1(CHUNK):
                yield chunk
            return
        with Path(name).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise InputError(f"{shown_as(name)} cannot be read: {error.strerror}") from error


def _check_encoding(encoding: str) -> None:
    """Python calls hex, bz2 and rot13 encodings, too."""
    try:
        made: Any = codecs.lookup(encoding)
        codecs.getincrementaldecoder(encoding)
    except LookupError:
        made = None
    if made is None or not getattr(made, "_is_text_encoding", True):
        raise InputError(f"--encoding: Python knows no {encoding!r} for texts; expected one such as utf-8 or latin-1")


def _check_text(head: bytes, shown: str, encoding: str) -> None:
    wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") and not wide:
        raise InputError(f"{shown} is UTF-16; type --encoding utf-16")
    if b"\0" in head and not wide:
        line = head[: head.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{shown}, line {line}: a NUL byte, so this is no text; expected a text file")
