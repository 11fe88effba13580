"""The command line, run in this process."""

from __future__ import annotations

from hfft.cli import main


def hfft(*words: str) -> int:
    """Exit code of `hfft WORDS`."""
    try:
        main(list(words))
    except SystemExit as end:
        return int(end.code or 0)
    return 0
