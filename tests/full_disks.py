"""A disk that becomes full at a chosen write, without a disk: half of the data arrives, and nothing after it.

What writes in a run is counted here and fails here: Python's files, parquet, pictures, torch and safetensors, and the
lines of the ledger. `benchmarks/full_disk.py` fills a real disk at such a write instead.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from transformers import modeling_utils

from hfft import ledger
from hfft.run_folder import RunFolder

# What writes → which of its arguments is the file.
WRITERS = [(Path, "write_text", 0), (Path, "write_bytes", 0), (pq, "write_table", 1), (Figure, "savefig", 1)]
WRITERS += [(torch, "save", 1), (modeling_utils, "safe_save_file", 1), (ledger, "_put", 0)]


class Disk:
    """written: names of files below `root`, in the order they were written; sizes: bytes of each once it was there.

    fill: fills a real disk at the chosen write; None: this and all later ones fail here.
    """

    def __init__(self, root: Path, fill: Callable[[], None] | None = None) -> None:
        self.root, self.fill = root.resolve(), fill
        self.at: int | None = None
        self.written: list[str] = []
        self.sizes: dict[int, int] = {}

    @contextlib.contextmanager
    def full(self, at: int | None = None) -> Iterator[None]:
        """Within it the disk is full from write `at` on, counted from 0; None: it is not."""
        self.at, self.written = at, []
        with pytest.MonkeyPatch.context() as patch:
            for place, name, argument in WRITERS:
                patch.setattr(place, name, self._counted(getattr(place, name), argument))
            yield

    def _counted(self, real: Callable, argument: int) -> Callable:
        def write(*given: Any, **named: Any) -> Any:
            file = given[argument]
            path = Path(file if isinstance(file, str | Path) else file.name).resolve()
            if self.root not in path.parents:
                return real(*given, **named)
            self.written.append(str(path.relative_to(self.root)))
            if self.fill and len(self.written) - 1 == self.at:
                self.fill()
            if self.fill or self.at is None or len(self.written) <= self.at:
                number, made = len(self.written) - 1, real(*given, **named)
                self.sizes[number] = path.stat().st_size
                return made
            if hasattr(file, "write"):
                file.write(b"half a l")
            else:
                with path.open("wb") as half:
                    half.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return write


def check_whole(root: Path) -> int:
    """Every file below `root` can be read, nothing of a write that failed is left; how many there are.

    Checkpoints have digests of their own, and a folder under way, such as `.model`, is no one's until it has its name.
    """
    inner = [(path, path.relative_to(root).parts) for path in root.rglob("*") if path.is_file()]
    files = [path for path, parts in inner if not any(part[0] == "." or part == "checkpoints" for part in parts[:-1])]
    for path in files:
        assert not path.name.startswith("."), f"{path} was left"
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".parquet":
            assert pq.read_table(path).num_columns
        elif path.suffix == ".yaml":
            assert yaml.safe_load(path.read_text())
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>")
    assert ledger.read(RunFolder(root)).state in ("empty", "chained")
    return len(files)
