"""`python -m tests.peers CASE`: one of two processes that train nothing, and say how it ended."""

import os
import sys
import time
from pathlib import Path

import torch

from hfft import launches, lost_peers
from hfft.agreeing import gathered
from hfft.errors import InputError

FIRST = os.environ.get("RANK") == "0"


def waits_in_vain() -> str:
    """The second machine stays, and takes no part."""
    launches.meet(1.0)
    if not FIRST:
        time.sleep(2.5)
        return "slept"
    try:
        gathered([1], 2)
    except RuntimeError as error:
        return lost_peers.told(error)
    return "nothing was missed"


def look(folder: str) -> str:
    """Each machine looks into a folder of its own, or into the same."""
    launches.meet(60.0)
    launches.WAIT = 0.3
    launches.shared(lambda: Path(folder.replace("OWN", os.environ["RANK"])), 2)
    return "shared"


def compare(one: str, other: str) -> str:
    launches.meet(60.0)
    launches.same("the recipe", one if FIRST else other, "copy one file to all of them", 2)
    return "same"


if __name__ == "__main__":
    try:
        print(globals()[sys.argv[1]](*sys.argv[2:]))
    except InputError as told:
        print(told)
    if torch.distributed.is_initialized() and sys.argv[1] != "waits_in_vain":
        torch.distributed.destroy_process_group()
