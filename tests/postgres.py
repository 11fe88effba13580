"""A real PostgreSQL server for a test, on a port of its own, as the package of a distribution installs it."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; Debian keeps it out of the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The URL of a database, while it lasts. folder: an empty one."""
    bin_ = programs()
    assert bin_ is not None
    user = _user()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    data.mkdir()
    if user:
        try:
            for path in (folder, data):
                shutil.chown(path, user)
        except OSError as error:
            if error.errno == errno.EINVAL:  # as in a namespace of `unshare --map-root-user`
                pytest.skip("PostgreSQL needs another user than root, and there is none here")
            raise
        for path in [folder, *folder.parents][:4]:  # a temporary folder is closed to others
            path.chmod(path.stat().st_mode | 0o711)
    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1 -c fsync=off"
    _do([bin_ / "initdb", "-D", data, "-U", "hfft", "-A", "trust", "--no-sync"], user)
    _do([bin_ / "pg_ctl", "-D", data, "-o", options, "-l", data / "log", "-w", "start"], user)
    try:
        yield f"postgresql://hfft@127.0.0.1:{port}/postgres"
    finally:
        _do([bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop"], user)


def _user() -> str | None:
    """PostgreSQL refuses to be run by root: its own user, or nobody."""
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _do(command: list[Any], user: str | None) -> None:
    words = [str(word) for word in command]
    subprocess.run(words, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
