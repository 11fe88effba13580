"""What the work of a finished run would take on other machines: measured here, projected there.

    python benchmarks/machines.py RUN [RUN ...] [--examples N]

Here: how fast this machine multiplies matrices, the operations of a forward pass of the run's model (counted by torch),
and with the run's seconds the share of the peak that its training steps reached. There: peaks are the vendors' for
dense products in the precision that is named, shares and least seconds of a step are assumptions, printed with the
table. Reading and start-up are not in it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hfft import backbones, environment, gathering, projecting, quickening, recipe, rooms, trainer_options
from hfft.projecting import Machine, Work
from hfft.run_folder import RunFolder

TERA = 1e12
SHARE, STEP = 0.25, 0.02  # of a GPU's peak, and seconds of a step at least: models this small leave most of it idle
# Peaks by the vendors' data sheets, dense. A laptop: 8 cores at 3 GHz with AVX2, 32 operations of fp32 a cycle.
ELSEWHERE = (
    ("laptop, 8 cores, fp32", 8 * 3e9 * 32, 1, 0.0),
    ("1 T4, fp16", 65 * TERA, 1, 0.0),
    ("1 L4, bf16", 121 * TERA, 1, 0.0),
    ("1 A100, bf16", 312 * TERA, 1, 0.0),
    ("1 H100, bf16", 989 * TERA, 1, 0.0),
    ("8 H100, bf16", 989 * TERA, 8, 450e9),
)


@dataclass(frozen=True)
class Measured:
    """seconds: of the training steps. work: of the run. rate: examples per second."""

    name: str
    seconds: float
    work: Work
    memory_gb: float


def peak(size: int = 1024, laps: int = 7) -> float:
    """Operations per second of a matrix product in float32, the best of a few."""
    left, right, found = torch.randn(size, size), torch.randn(size, size), []
    for _ in range(laps):
        mark = time.perf_counter()
        left @ right
        found.append(2 * size**3 / (time.perf_counter() - mark))
    return max(found[1:])


def measured(folder: str) -> Measured:
    """The work of a finished run, and what it took."""
    run = RunFolder.existing(folder)
    wanted, made = recipe.load(folder), json.loads(run.environment.read_text())
    modality = rooms.find("modalities", wanted.task)
    backbone = backbones.reload(run.model, modality)
    batch = trainer_options.resolved(wanted.train)["per_device_train_batch_size"]
    found = gathering.read(wanted, lambda _: None)
    rows = found.splits.parts["train"]
    some = rows.select(range(0, len(rows), max(1, len(rows) // (4 * batch)))).select_columns([modality.INPUT])
    prepared = modality.prepare(some, backbone.processor, wanted.model)
    inputs = modality.collator(backbone.processor)([prepared[place] for place in range(min(batch, len(prepared)))])
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in backbone.model.parameters()}
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    here = SimpleNamespace(device=torch.device("cpu"), torch_compile=False)
    plain = quickening.quick(backbone.model, here, wanted.speed, modality.INPUT == "text", ("classifier",))
    # The operations of other kernels of attention are not counted on CPU.
    with plain, sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted, hooks:
        backbone.model.train()(**{name: part for name, part in inputs.items() if name != "labels"})
    history = json.loads((run.root / "history.json").read_text())
    epochs = max(row.get("epoch", 0.0) for row in history)
    shown = len(next(iter(inputs.values())))
    work = Work(
        examples=round(epochs * len(rows)),
        forward=counted.get_total_flops() / shown,
        held_back=0,
        parameters=backbone.parameters,
        trained=backbone.parameters,
        batch=batch,
        activations=sum(size for place, size in kept.items() if place not in own) / shown,
    )
    return Measured(run.root.name, made["time"]["run"]["train"], work, made["peak_memory_gb"])


def span(seconds: float) -> str:
    return (
        f"{seconds:,.0f} s"
        if seconds < 600
        else f"{seconds / 60:,.0f} min"
        if seconds < 36000
        else f"{seconds / 3600:,.1f} h"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("runs", nargs="+", metavar="RUN")
    asked.add_argument("--examples", type=int, default=100_000)
    given = asked.parse_args()
    torch.set_num_threads(environment.cores())
    here, found = peak(), [measured(folder) for folder in given.runs]
    print(f"| {given.examples:,} training examples | " + " | ".join(one.name for one in found) + " |")
    print("|---" * (len(found) + 1) + "|")
    shares, cells = [], []
    for one in found:
        shares.append(projecting.share(one.work, one.seconds, here))
        cells.append(f"**{span(one.seconds * given.examples / one.work.examples)}**, **{one.memory_gb:.1f} GB**")
    print(f"| this machine, {environment.cores()} cores, fp32: measured | " + " | ".join(cells) + " |")
    for name, most, devices, link in ELSEWHERE:
        cells = []
        for one, share in zip(found, shares, strict=True):
            gpu = "cores" not in name
            there = Machine(name, most, SHARE if gpu else share, devices, STEP if gpu else 0.0, link)
            work = Work(**vars(one.work) | {"examples": given.examples, "held_back": 0})
            memory = f", {projecting.memory_gb(work):.1f} GB" if gpu else ""
            cells.append(f"{span(projecting.seconds(work, there))}{memory}")
        print(f"| {name}: projected | " + " | ".join(cells) + " |")
    print(f"\nBold: measured on {environment.today()}, {here / 1e9:.0f} GFLOP/s of matrix products here.")
    for one, share in zip(found, shares, strict=True):
        work = one.work
        print(
            f"{one.name}: {work.examples:,} examples in {one.seconds:.0f} s, {work.forward / 1e9:.2f} GFLOP forward "
            f"each, {work.parameters / 1e6:.1f} M parameters, {share:.0%} of the peak, batch {work.batch}."
        )
    print(f"Projected: that share of the peak on a CPU; on GPUs {SHARE:.0%} and {1000 * STEP:.0f} ms a step at least.")


if __name__ == "__main__":
    main()
