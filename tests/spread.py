"""`python -m tests.spread WORDS` is `hfft WORDS` with FSDP on CPUs, where accelerate would leave it out without a word.

torch shards on gloo as it does on NCCL; accelerate only never asks it to (AcceleratorState, MULTI_CPU).
"""

import sys
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from hfft import spreading
from tests.host import run

begin = AcceleratorState.__init__


def begun(self: Any, *given: Any, fsdp_plugin: Any = None, **more: Any) -> None:
    begin(self, *given, fsdp_plugin=fsdp_plugin, **more)
    if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        self.fsdp_plugin = fsdp_plugin


if __name__ == "__main__":
    AcceleratorState.__init__ = begun  # type: ignore[method-assign]
    spreading.LEFT_OUT = ()
    run(sys.argv[1:])
