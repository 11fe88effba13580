"""The loop of a search: a trial is asked for, trained, and told; until enough, or no more time.

In: a study, a space, and how a trial is trained. Out: the study, with more trials. Like repeating.py, this is where
stages meet.
"""

from __future__ import annotations

import functools
import gc
import os
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hfft import recipe, spaces, storages, studies
from hfft.agreeing import agreed
from hfft.errors import InputError, MachineError, full
from hfft.milestones import Milestones
from hfft.spaces import Dimension
from hfft.watching import OutOfTime, Unpromising, Watch

WARM = 4  # trials that are never ended early, so that there is a median to be below


@dataclass
class Search:
    """name, words: of the recipe. space: what is tried. total: trials. until: `time.perf_counter()` of the end.

    metric: that chooses, as training calls it. storage: for messages. train: (number, words, watch) → score; runs one
    trial and tells `watch` how it goes. again: (old number, number) → None; brings what a dead worker left to its new
    place.
    """

    name: str
    words: tuple[str, ...]
    space: Sequence[Dimension]
    total: int
    metric: str
    seed: int
    storage: str
    train: Callable[[int, tuple[str, ...], Watch], float]
    again: Callable[[int, int], None] = lambda old, new: None
    until: float | None = None
    prune: bool = True
    spent: list[float] = field(default_factory=list)


def run(search: Search, study: Any, way: Milestones, after: Callable[[], None] = lambda: None) -> None:
    """Run trials until there is none left. after: called when one is finished. study: None but on the first process.

    After Ctrl-C the trial at hand is given back, to be run by the next that asks, and KeyboardInterrupt goes on.
    """
    gc.collect()
    gc.freeze()  # what is there already need not be looked through after each trial: that takes half a second
    try:
        _run(search, study, way, after)
    finally:
        gc.unfreeze()


def _run(search: Search, study: Any, way: Milestones, after: Callable[[], None]) -> None:
    while True:
        if search.until is not None and search.spent and agreed(lambda: not _time_left(search)):
            return
        trial: Any = None

        def ask() -> Any:
            nonlocal trial
            with storages.reached(search.storage):
                trial = studies.ask(study, search.space, search.total, lambda p: _identity(search, p), search.seed)
            return None if trial is None else (trial.number, studies.params(trial, search.space), trial.user_attrs)

        found = agreed(ask)
        if found is None:
            return
        number, params, attributes = found
        words = (*search.words, *spaces.words(search.space, params))
        if (old := attributes.get("again")) is not None:
            agreed(functools.partial(search.again, old, number))
        with way.step(f"trial-{number}") as step:
            _one(search, study, trial, number, words, studies.PLAIN in attributes, step)
            gc.collect()  # a trainer and its model hold on to one another
        after()


def _one(search: Search, study: Any, trial: Any, number: int, words: tuple[str, ...], plain: bool, step: Any) -> None:
    """Train one trial and tell the study how it went. plain: the recipe as it is, which has to be possible."""
    began = time.perf_counter()
    first = not search.spent
    watch = Watch(search.metric, lambda value, share: _reported(search, study, trial, value, share))
    watch.until = None if first else search.until
    try:
        with _beating(trial):
            value = search.train(number, words, watch)
    except Unpromising:
        step.passed = True
        return _tell(search, study, trial, None, "PRUNED")
    except OutOfTime:
        step.passed = True
        return _back(search, study, trial)
    except KeyboardInterrupt:
        _back(search, study, trial)
        raise
    except Exception as error:
        if plain or not _harmless(error):
            _back(search, study, trial)
            raise
        why = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {' '.join(str(error).split())}"
        step.passed = True
        agreed(functools.partial(_noted, trial, why[:400]))
        return _tell(search, study, trial, None, "FAIL")
    step.value = value
    search.spent.append(time.perf_counter() - began)
    return _tell(search, study, trial, value, "COMPLETE")


def _back(search: Search, study: Any, trial: Any) -> None:
    """The trial is run again by whoever asks next."""
    if trial is not None:
        with storages.reached(search.storage):
            studies.given_back(study, trial)


def _harmless(error: Exception) -> bool:
    """Whether an error is that of one trial: its values do not go together, or do not fit into memory.

    On several processes only what all of them meet alike is.
    """
    alike = isinstance(error, InputError) and not isinstance(error, MachineError)
    return not full(error) and (alike or os.environ.get("WORLD_SIZE", "1") == "1")


def _reported(search: Search, study: Any, trial: Any, value: float, share: int) -> bool:
    """Whether a training is to end here: below the median of the others at this point (Golovin et al. 2017, 3.2.1)."""
    with storages.reached(search.storage):
        trial.report(value, share)
        return search.prune and studies.unpromising(study, trial, WARM)


def _noted(trial: Any, why: str) -> None:
    trial.set_user_attr("why", why)


def _tell(search: Search, study: Any, trial: Any, value: float | None, state: str) -> None:
    def tell() -> None:
        with storages.reached(search.storage):
            studies.tell(study, trial, value, state)

    agreed(tell)


@contextmanager
def _beating(trial: Any) -> Any:
    if trial is None:  # a process other than the first
        yield
    else:
        with studies.alive(trial):
            yield


def _time_left(search: Search) -> bool:
    """Whether half of a usual trial still fits."""
    usual = sorted(search.spent)[len(search.spent) // 2]
    return search.until is None or time.perf_counter() + usual / 2 < search.until


def _identity(search: Search, params: dict[str, Any]) -> str:
    """The recipe that values make: trials with the same one would be the same."""
    try:
        return recipe.dump(recipe.load(search.name, (*search.words, *spaces.words(search.space, params))))
    except InputError:  # told when it is run
        return repr(sorted(params.items()))
