"""Where the wall time of a verb goes: phases, side by side and within one another, that add up to the whole.

In: names of phases, where work begins and ends. Out: seconds of each. A second belongs to the innermost phase alone;
what is in none is "other". It must not know what is done in a phase.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")

START, OTHER = "start", "other"
SHOWN = 6  # entries of the line that is printed
_command: ContextVar[bool] = ContextVar("command", default=False)
_running: ContextVar[Timeline | None] = ContextVar("running", default=None)


class Timeline:
    """Seconds by phase since `began`. now: the clock. outer: a timeline that this one is a part of, and tells all.

    A timeline that begins with the process has the time before it as its phase "start".
    """

    def __init__(
        self,
        began: float | None = None,
        outer: Timeline | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.now, self.outer = now, outer
        self.began = self.mark = now()
        self.spent: dict[str, float] = {}
        self.firsts: dict[str, float] = {}
        self.stack = [OTHER]
        if began is not None:
            self.spent[START], self.began = self.mark - began, began

    def enter(self, name: str) -> None:
        self.lap(self.stack[-1])
        self.stack.append(name)

    def leave(self) -> None:
        self.lap(self.stack[-1])
        self.stack.pop()

    def lap(self, name: str) -> None:
        """What went by since the last change belongs to `name`, in every timeline that is open."""
        now = self.now()
        line: Timeline | None = self
        while line is not None:
            line.spent[name] = line.spent.get(name, 0.0) + now - line.mark
            line.mark, line = now, line.outer

    def first(self, name: str) -> None:
        """That `name` happens now; of its times only the first is kept, as seconds since the timeline began."""
        self.firsts.setdefault(name, round(self.now() - self.began, 2))

    def seconds(self) -> dict[str, float]:
        """Phase → seconds up to now, largest first, to 0.01; "all" is their sum."""
        self.lap(self.stack[-1])
        rounded = {name: round(value, 2) for name, value in self.spent.items()}
        ordered = dict(sorted(((n, v) for n, v in rounded.items() if v or n == OTHER), key=lambda item: -item[1]))
        return ordered | {"all": round(sum(ordered.values()), 2)}


def is_command() -> None:
    """The process is a command: the timeline that opens next began with it."""
    _command.set(True)


def timed(verb: Callable[Given, Made]) -> Callable[Given, Made]:
    """A verb with a timeline of its own, which is also a part of that of the verb that calls it."""

    @functools.wraps(verb)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Made:
        outer = _running.get()
        began = process_began() if outer is None and _command.get() else None
        _command.set(False)  # a second verb in the same process begins when it is called
        if outer is not None:
            outer.lap(outer.stack[-1])
        token = _running.set(Timeline(began, outer))
        try:
            return verb(*args, **kwargs)
        finally:
            if outer is not None and (line := _running.get()) is not None:
                line.lap(line.stack[-1])
            _running.reset(token)

    return run


@contextmanager
def phase(name: str) -> Iterator[None]:
    """What is done inside belongs to `name`; where no timeline is open, nothing happens."""
    line = _running.get()
    if line is None:
        yield
        return
    line.enter(name)
    try:
        yield
    finally:
        line.leave()


def lap(name: str) -> None:
    """What went by since the last change of phase belongs to `name`."""
    if (line := _running.get()) is not None:
        line.lap(name)


def first(name: str) -> None:
    """As `Timeline.first`, of the timeline that is open."""
    if (line := _running.get()) is not None:
        line.first(name)


def firsts() -> dict[str, float]:
    """What `first` was told, in the timeline that is open."""
    line = _running.get()
    return {} if line is None else line.firsts


def seconds() -> dict[str, float]:
    """As `Timeline.seconds` of the timeline that is open; empty where none is."""
    line = _running.get()
    return {} if line is None else line.seconds()


def told(found: dict[str, float]) -> str:
    """The line for people, at most six entries, the largest first and the rest named "other".

    >>> told({"train": 41.23, "start": 6.0, "other": 0.21, "all": 47.44})
    'time: train 41.2 s, start 6.0 s, other 0.2 s; 47.4 s in all'
    """
    named = [(name, value) for name, value in found.items() if name not in (OTHER, "all")]
    shown = named[: SHOWN - 1]
    rest = found.get(OTHER, 0.0) + sum(value for _, value in named[SHOWN - 1 :])
    parts = [f"{name} {value:.1f} s" for name, value in [*shown, (OTHER, rest)]]
    return f"time: {', '.join(parts)}; {found['all']:.1f} s in all"


def process_began() -> float:
    """When this process was started, on the clock of `time.perf_counter`."""
    stat = Path("/proc/self/stat")
    if stat.is_file() and hasattr(time, "CLOCK_BOOTTIME"):
        # Field 22, counted after the name in brackets, which may hold anything: ticks since boot (proc(5)). What is
        # derived from the time of day, as psutil does, is off by up to a second.
        ticks = int(stat.read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    else:
        import psutil

        age = time.time() - psutil.Process().create_time()
    return time.perf_counter() - max(age, 0.0)
