"""`python -m tests.spread WORDS` is `hfft WORDS` with FSDP or DeepSpeed on CPUs, where accelerate would leave them out
without a word.

Both shard on gloo as they do on NCCL; accelerate only never asks them to (AcceleratorState, MULTI_CPU).
"""

import sys
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from hfft import spreading
from tests.host import run

begin = AcceleratorState.__init__


def begun(self: Any, *given: Any, fsdp_plugin: Any = None, deepspeed_plugin: Any = None, **more: Any) -> None:
    begin(self, *given, fsdp_plugin=fsdp_plugin, deepspeed_plugin=deepspeed_plugin, **more)
    if self.distributed_type != DistributedType.MULTI_CPU:
        return
    for kind, name, plugin in (
        (DistributedType.FSDP, "fsdp_plugin", fsdp_plugin),
        (DistributedType.DEEPSPEED, "deepspeed_plugins", deepspeed_plugin),
    ):
        if plugin is not None:
            self.distributed_type = PartialState._shared_state["distributed_type"] = kind
            setattr(self, name, plugin)


if __name__ == "__main__":
    AcceleratorState.__init__ = begun  # type: ignore[method-assign]
    spreading.LEFT_OUT = ()
    run(sys.argv[1:])
