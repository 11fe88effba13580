"""A process of a launch that is gone, or cannot be reached any more, told in one sentence by those that are left.

In: what a library raised, and whether there is something to go on with. Out: a sentence, or "" where it was something
else. It imports nothing heavy: it is asked when a command ends, and most commands have no peers.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator

from hfft.errors import causes

# What gloo and the store say, in texts of plain RuntimeErrors; NCCL has a class of its own, as the store has by now.
SIGNS = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Connection refused",
    "Broken pipe",
    "Timed out waiting",
    "Socket Timeout",
    "Application timeout caused pair closure",
    "failed to recv, got 0 bytes",
    "wait timeout after",
)
# Databases, trackers and proxies say the same of theirs. gloo begins with the place in its source; the others name
# themselves, too.
MARKS = re.compile(
    r"\bgloo\b|\bnccl\b|c10d|TCPStore|ProcessGroup|SocketImpl|Connection closed by peer \[", re.IGNORECASE
)
TAKEN = ("EADDRINUSE", "address already in use", "Address already in use")
NAMES = ("DistBackendError", "DistNetworkError", "DistStoreError")
AGAIN = "; start the same command again on every machine"
RESUMED = ", with --resume: it goes on from the newest whole checkpoint"


class LostPeerError(RuntimeError):
    """A verb has met it. begun: whether that verb has something to go on with."""

    def __init__(self, sentence: str, begun: bool) -> None:
        super().__init__(sentence)
        self.begun = begun


@contextlib.contextmanager
def going_on(begun: Callable[[], bool]) -> Iterator[None]:
    """Around a verb that takes --resume. begun: whether there is something to go on with, asked when it happened.

    Of verbs within verbs the outermost says it.
    """
    try:
        yield
    except Exception as error:
        if sentence := told(error):
            raise LostPeerError(sentence, begun()) from error
        raise


def told(error: BaseException, resumes: bool = False) -> str:
    """Why the work of a launch ended, and what to do; "" for an error of this process's own.

    resumes: whether the command that was typed takes --resume.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return ""
    chain = list(causes(error))
    met = next((one for one in chain if isinstance(one, LostPeerError)), None)
    found = (_sentence(one, resumes and met is not None and met.begun) for one in chain)
    return next((sentence for sentence in found if sentence), "")


def _sentence(error: BaseException, resumes: bool) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, LostPeerError) or not (type(error).__name__ in NAMES or _collective(error, text)):
        return ""
    if any(sign in text for sign in TAKEN):
        return (
            f"port {os.environ.get('MASTER_PORT', '')} of this machine is taken; type another one: --master_port of "
            "torchrun, --main_process_port of accelerate launch"
        )
    rank, world = int(os.environ.get("RANK", "0")), os.environ["WORLD_SIZE"]
    return (
        f"another process of this launch is gone, or cannot be reached any more ({_short(text)}), so that process "
        f"{rank + 1} of {world} stopped{AGAIN}{RESUMED if resumes else ''}"
    )


def _collective(error: BaseException, text: str) -> bool:
    """Whether it is a plain error of what the processes of a launch talk by."""
    return isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS) and bool(MARKS.search(text))


def _short(text: str) -> str:
    """What happened, without the place in the library's source and what may have caused it.

    >>> _short("[/pytorch/third_party/gloo/gloo/pair.cc:534] Connection closed by peer [127.0.0.1]:4242")
    'Connection closed by peer [127.0.0.1]:4242'
    """
    plain = re.sub(r"^\[[^\]]*\.(?:cc|cpp|h):\d+\]\s*", "", text)
    first = re.split(r"(?<=[a-z0-9])\. |Exception raised from|This may indicate", plain)[0].strip()
    return first if len(first) <= 160 else first[:157] + "…"
