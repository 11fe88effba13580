"""Where a search keeps its trials: a file, or a database that several machines reach.

In: a URL, or a folder. Out: optuna's storage, and sentences for what goes wrong with it. It must not know trials.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfft.credentials import filled, masked
from hfft.errors import InputError, brief, full

SCHEMES = ("postgresql", "mysql", "sqlite")


@contextmanager
def reached(storage: str, begun: bool = True) -> Iterator[None]:
    """Around whatever asks the storage; what it raises for one that is not there becomes one sentence.

    begun: there may be finished trials already, and it is said that they are kept.
    """
    kept = "; finished trials are kept, --resume goes on" if begun else ""
    try:
        yield
    except ImportError as error:
        driver = "type: pip install 'hfft[postgres]'" if "postgresql" in storage else "install the driver of that URL"
        raise InputError(f"--storage {masked(storage)}: {error}; {driver}") from error
    except OSError as error:
        if full(error):  # told as of any other file
            raise
        why = error.strerror or error
        raise InputError(f"{masked(storage)}: {why}{kept}") from error
    except Exception as error:
        if not type(error).__module__.startswith(("sqlalchemy", "psycopg", "optuna")):
            raise
        why = str(getattr(error, "orig", None) or error.__cause__ or error).strip().splitlines()[0]
        raise InputError(f"--storage {masked(storage)} cannot be reached: {why}{kept}") from error


def optuna() -> Any:
    """The library, which is an extra and says no more than it must."""
    try:
        import optuna as library
    except ImportError as error:
        raise InputError("hfft tune needs optuna; type: pip install 'hfft[tune]'") from error
    library.logging.set_verbosity(library.logging.ERROR)
    return library


def opened(storage: str | None, root: Path) -> Any:
    made = optuna()
    if storage is None:
        root.mkdir(parents=True, exist_ok=True)
        return made.storages.JournalStorage(_journal(made, root / "trials.log"))
    storage = _filled(storage)
    if "://" not in storage or storage.split("://")[0].split("+")[0] not in SCHEMES:
        raise InputError(f"--storage {brief(masked(storage))}: expected a URL such as postgresql://user@host/database")
    if storage.startswith("postgresql://"):  # SQLAlchemy's own choice of a driver differs between its versions
        storage = "postgresql+psycopg://" + storage.removeprefix("postgresql://")
    for wait in (0.5, 1.0, 2.0, 4.0, None):
        try:
            return made.storages.RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})
        except Exception as error:  # two workers that come first both make the tables, and one is too late
            if wait is None or type(error).__name__ not in ("IntegrityError", "ProgrammingError"):
                raise
            time.sleep(wait)
    raise AssertionError


def _filled(storage: str) -> str:
    """The URL with each ${NAME} as the environment has it: what is typed is in the list of processes."""
    try:
        return str(filled(storage))
    except KeyError as error:
        raise InputError(f"--storage {storage}: {error.args[0]} is not set; type export {error.args[0]}=…") from error


def _journal(library: Any, file: Path) -> Any:
    """The file of a search, of which half a line, as a full disk leaves it, would make everything unreadable."""
    lock = library.storages.journal.JournalFileSymlinkLock(str(file))

    class Whole(library.storages.journal.JournalFileBackend):  # type: ignore[misc]
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            try:
                super().append_logs(logs)
            except OSError:
                _mend(file, lock)
                raise

    if file.is_file():
        _mend(file, lock)
    return Whole(str(file), lock)


def _mend(file: Path, lock: Any) -> None:
    """Take off what comes after the last whole line."""
    lock.acquire()
    try:
        text = file.read_bytes()
        if not text.endswith(b"\n"):
            os.truncate(file, text.rfind(b"\n") + 1)
    finally:
        lock.release()
