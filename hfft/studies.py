"""The trials of a search, kept where several workers can reach them: in a file, or in a database.

In: a storage, a space. Out: trials to run, one at a time, each given to one worker only. optuna draws the values, and
is imported here alone. It must not know what a trial does.
"""

from __future__ import annotations

import difflib
import os
import random
import socket
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hfft import spaces, storages
from hfft.errors import InputError, brief
from hfft.spaces import Dimension

BEAT, SILENT = 20.0, 180.0  # seconds between signs of life, and without one until a worker on another machine is dead
PLAIN, BURIED = "plain", "buried"  # attributes of trials
DRAWN = 200  # combinations drawn in search of one that was not tried


def opened(
    storage: str | None, root: Path, name: str, settings: dict[str, Any], maximize: bool, begun: bool = False
) -> Any:
    """The study `name`, begun if need be. storage: URL of a database, or None for a file in `root`.

    settings: what all workers must agree on, as plain data. begun: here, at least. Raises InputError where the storage
    cannot be reached, or holds a study of that name with other settings.
    """
    optuna = storages.optuna()
    direction = "maximize" if maximize else "minimize"
    with storages.reached(storage or str(root), begun):
        kept = storages.opened(storage, root)
        try:
            study = optuna.create_study(storage=kept, study_name=name, direction=direction)
            study.set_user_attr("settings", settings)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=kept, study_name=name)
    found = _patient(lambda: study.user_attrs.get("settings"))
    if found != settings:
        closed(study)
        raise InputError(f"the study {name!r} {differing(found or {}, settings)}; type that, or --study NAME")
    return study


def differing(found: dict[str, Any], settings: dict[str, Any]) -> str:
    """ "was begun with another space (a: 1, 2 instead of a: 1)": the first of the settings that differs, as it was."""
    other = next(key for key in settings if found.get(key) != settings[key])
    then, now = found.get(other), settings[other]
    if other == "recipe":
        apart = list(difflib.unified_diff((then or "").splitlines(), now.splitlines(), n=0, lineterm=""))[2:]
        then, now = (next((line[1:].strip() for line in apart if line[0] == sign), "") for sign in "-+")
    return f"was begun with another {other}: {brief(then)}, and not {brief(now)}"


def closed(study: Any) -> None:
    """Give the connections of a database back."""
    kept = getattr(study._storage, "_backend", study._storage)
    if hasattr(kept, "engine"):
        kept.remove_session()
        kept.engine.dispose()


def trials(study: Any) -> list[Any]:
    """All that count, in their order: not those whose worker died and which were given out again."""
    failed = _state("FAIL")
    return [t for t in study.get_trials(deepcopy=False) if t.state != failed or BURIED not in t.user_attrs]


def ask(
    study: Any, space: Sequence[Dimension], total: int, identity: Callable[[dict[str, Any]], str], seed: int
) -> Any:
    """The next trial to run, or None when `total` have been given out, or all that differ.

    identity: values → text that is the same where two trials would be. Trials of workers that died come first.
    """
    _bury(study)
    waiting = _state("WAITING")
    for _ in range(DRAWN):
        known = trials(study)
        if len(known) >= total and not any(trial.state == waiting for trial in known):
            return None
        study.sampler = _sampler(_seed(known, seed))
        trial = study.ask()
        for key, value in {"host": socket.gethostname(), "pid": os.getpid(), "alive": time.time()}.items():
            trial.set_user_attr(key, value)
        before = _before(study, trial)
        if len(before) >= total and "again" not in trial.user_attrs:  # another worker was quicker
            _drop(study, trial)
            continue
        params = {} if PLAIN in trial.user_attrs else _suggested(trial, space)
        taken = {one.user_attrs.get("identity") for one in before}
        if (told := identity(params)) not in taken:
            trial.set_user_attr("identity", told)
            return trial
        _drop(study, trial)
        if (other := _untried(space, identity, taken, seed + trial.number)) is None:
            return None
        if not any(one.state == waiting for one in trials(study)):
            study.enqueue_trial(other)
    return None


def _before(study: Any, trial: Any) -> list[Any]:
    """Earlier trials, once other workers have said what they try: two that ask at the same moment draw alike."""
    earlier: list[Any] = []
    for _ in range(50):
        earlier = [one for one in trials(study) if one.number < trial.number]
        if all("identity" in one.user_attrs for one in earlier if one.state == _state("RUNNING")):
            break
        time.sleep(0.05)
    return earlier


def params(trial: Any, space: Sequence[Dimension]) -> dict[str, Any]:
    """key → value of a trial, as the recipe takes them. Choices are kept by their place: any value can be one."""
    return {
        one.key: one.choices[trial.params[one.key]] if one.choices else trial.params[one.key]
        for one in space
        if one.key in trial.params
    }


def begin(study: Any, promoted: Sequence[Any] = ()) -> None:
    """The first trial of a study is the recipe as it is; then come trials of another study that are run again."""
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial({}, user_attrs={PLAIN: True})
        for trial in promoted:
            study.enqueue_trial(trial.params, user_attrs={"of": trial.number})


def best(study: Any, most: int) -> list[Any]:
    """The best finished trials, the recipe as it is left out."""
    done = [t for t in trials(study) if t.state == _state("COMPLETE") and PLAIN not in t.user_attrs]
    return sorted(done, key=lambda t: t.value, reverse=study.direction.name == "MAXIMIZE")[:most]


def busy(study: Any) -> bool:
    """Whether a worker that lives has a trial at hand, or one waits."""
    _bury(study)
    return any(trial.state in (_state("RUNNING"), _state("WAITING")) for trial in trials(study))


def unpromising(study: Any, trial: Any, warm: int) -> bool:
    """Whether the trial is below the median of the others, of which `warm` have ended, at the point it has come to."""
    study.pruner = storages.optuna().pruners.MedianPruner(n_startup_trials=warm)
    return bool(trial.should_prune())


def tell(study: Any, trial: Any, value: float | None, state: str) -> None:
    """The end of a trial: COMPLETE with its score, PRUNED or FAIL without."""
    study.tell(trial, value, state=_state(state))


def given_back(study: Any, trial: Any) -> None:
    """A trial that was interrupted is run again by whoever asks next."""
    frozen = next(one for one in study.get_trials(deepcopy=False) if one.number == trial.number)
    _again(study, frozen)


@contextmanager
def alive(trial: Any) -> Iterator[None]:
    """While it lasts, others see that the worker of this trial lives."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            with suppress(Exception):  # the end of the trial meets the same fault, and tells it
                trial.set_user_attr("alive", time.time())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def importance(study: Any, space: Sequence[Dimension], least: int) -> dict[str, float] | None:
    """key → share of what the values of trials explain, adding up to 1; None with fewer than `least` trials."""
    optuna = storages.optuna()
    kept = [trial for trial in trials(study) if trial.state == _state("COMPLETE") and trial.params]
    if len(kept) < least or len(space) < 2 or len({trial.value for trial in kept}) < 2:
        return None
    copy = optuna.create_study(direction=study.direction)
    copy.add_trials(kept)
    found = optuna.importance.get_param_importances(copy)
    return {key: float(value) for key, value in found.items()}


def _state(name: str) -> Any:
    return getattr(storages.optuna().trial.TrialState, name)


def _sampler(seed: int) -> Any:
    optuna = storages.optuna()
    with warnings.catch_warnings():  # grouping is new in optuna; without it one trial without values ends all learning
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


def _suggested(trial: Any, space: Sequence[Dimension]) -> dict[str, Any]:
    for one in space:
        if one.choices:
            trial.suggest_categorical(one.key, list(range(len(one.choices))))
        elif one.whole:
            trial.suggest_int(one.key, int(one.low), int(one.high), log=one.log)
        else:
            trial.suggest_float(one.key, one.low, one.high, log=one.log)
    return params(trial, space)


def _untried(space: Sequence[Dimension], identity: Callable[[dict[str, Any]], str], taken: set[Any], seed: int) -> Any:
    """Values, as optuna keeps them, of a trial that differs from all; None where there is none, or none was found."""
    rng = random.Random(seed)
    every = spaces.combinations(space, 10 * DRAWN)
    drawn = every if every is not None else [{one.key: one.drawn(rng) for one in space} for _ in range(DRAWN)]
    rng.shuffle(drawn)
    for values in drawn:
        if identity(values) not in taken:
            return {one.key: one.choices.index(values[one.key]) if one.choices else values[one.key] for one in space}
    return None


def _bury(study: Any) -> None:
    """Give out again what a worker was doing that is dead."""
    running, here = _state("RUNNING"), socket.gethostname()
    for trial in trials(study):
        if trial.state != running or "pid" not in trial.user_attrs:
            continue
        facts = trial.user_attrs
        silent = time.time() - facts.get("alive", 0.0)
        if _gone(facts["pid"]) if facts["host"] == here else silent > SILENT:
            _again(study, trial)


def _again(study: Any, trial: Any) -> None:
    optuna = storages.optuna()
    kept = {key: value for key, value in trial.user_attrs.items() if key in (PLAIN, "of")}
    # Whoever finds the trial finished already has lost the race to give it out again.
    with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
        study._storage.set_trial_user_attr(trial._trial_id, BURIED, True)
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={**kept, "again": trial.number})


def _drop(study: Any, trial: Any) -> None:
    trial.set_user_attr(BURIED, True)
    study.tell(trial, state=_state("FAIL"))


def _gone(pid: int) -> bool:
    """Whether no process of this machine has that number."""
    if pid == os.getpid():
        return True  # an earlier trial of this very process, which has ended it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _seed(known: Sequence[Any], seed: int) -> int:
    """For the next draw: the same after a stop and a start; another for each of several workers at work."""
    others = [t for t in known if t.state == _state("RUNNING") and t.user_attrs.get("pid") != os.getpid()]
    own = zlib.crc32(f"{socket.gethostname()} {os.getpid()}".encode()) if others else 0
    return (seed * 1_000_003 + 7919 * len(known) + own) % 2**32


def _patient(found: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `found` finds, waiting a little for the worker that began the study to write it."""
    end = time.monotonic() + seconds
    while (value := found()) is None and time.monotonic() < end:
        time.sleep(0.2)
    return value
