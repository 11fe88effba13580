"""A process of a launch that is gone, or cannot be reached any more, told in one sentence by those that are left.

In: what a library raised. Out: a sentence, or "" where it was something else. It imports nothing heavy: it is asked
when a command ends, and most commands have no peers.
"""

from __future__ import annotations

import os
import re

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
TAKEN = ("EADDRINUSE", "address already in use", "Address already in use")
NAMES = ("DistBackendError", "DistNetworkError", "DistStoreError")


def told(error: BaseException) -> str:
    """Why the work of a launch ended, and how it goes on; "" for an error of this process's own."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return ""
    seen: BaseException | None = error
    while seen is not None:
        if found := _sentence(seen):
            return found
        seen = seen.__cause__ or seen.__context__
    return ""


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if not (type(error).__name__ in NAMES or (isinstance(error, RuntimeError) and _gloo(text))):
        return ""
    if any(sign in text for sign in TAKEN):
        return (
            f"port {os.environ.get('MASTER_PORT', '')} of this machine is taken; type another one: --master_port of "
            "torchrun, --main_process_port of accelerate launch"
        )
    rank, world = int(os.environ.get("RANK", "0")), os.environ["WORLD_SIZE"]
    return (
        f"another process of this launch is gone, or cannot be reached any more ({_short(text)}), so that process "
        f"{rank + 1} of {world} stopped; start the same command again on every machine, with --resume: it goes on from "
        "the newest whole checkpoint"
    )


def _gloo(text: str) -> bool:
    return any(sign in text for sign in SIGNS)


def _short(text: str) -> str:
    """What happened, without the place in the library's source and what may have caused it.

    >>> _short("[/pytorch/third_party/gloo/gloo/pair.cc:534] Connection closed by peer [127.0.0.1]:4242")
    'Connection closed by peer [127.0.0.1]:4242'
    """
    plain = re.sub(r"^\[[^\]]*\.(?:cc|cpp|h):\d+\]\s*", "", text)
    first = re.split(r"(?<=[a-z0-9])\. |Exception raised from|This may indicate", plain)[0].strip()
    return first if len(first) <= 160 else first[:157] + "…"
