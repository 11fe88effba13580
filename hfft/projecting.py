"""What a run would cost on another machine: examples, tokens and parameters as operations, and these as time.

In: how much there is to compute, and a machine's peak, the share of it that is reached, and its links. Out: seconds and
GB. Arithmetic only, and a projection: it knows nothing of reading and start-up.
"""

from __future__ import annotations

from dataclasses import dataclass

GRADIENTS = 1  # times a forward pass: of what a layer is given, and once more those of its weights (Kaplan et al. 2020)
FLOAT = 4  # bytes
MOMENTS = 2  # of AdamW, float32 each


@dataclass(frozen=True)
class Work:
    """examples: training examples that are seen, all epochs together. forward: floating point operations of a forward
    pass of one, counting a multiplication and an addition as two. held_back: forward passes of rows that nothing is
    learnt from. batch: rows of a step on one device. activations: bytes that a row of a step keeps for its backward
    pass.
    """

    examples: int
    forward: float
    held_back: int
    parameters: int
    trained: int
    batch: int
    activations: float = 0.0


@dataclass(frozen=True)
class Machine:
    """peak: operations per second of one device, in the precision that is trained in. share: of it that a training
    step reaches. step: seconds that one takes at least, however little it computes. link: bytes per second between two
    devices.
    """

    name: str
    peak: float
    share: float
    devices: int = 1
    step: float = 0.0
    link: float = 0.0


def transformer(parameters: int, layers: int, width: int, tokens: float) -> float:
    """Operations of a forward pass of one text: two for each weight and token, and those of attention.

    parameters: without embeddings, whose rows are looked up. Kaplan et al. 2020, table 1.

    >>> round(transformer(85_000_000, 12, 768, 128) / 1e9, 2)
    22.36
    """
    return 2 * parameters * tokens + 4 * layers * width * tokens * tokens


def operations(work: Work) -> float:
    """Of all of it; what is frozen still takes its forward pass, and the gradients that go through it."""
    learning = 1 + GRADIENTS + work.trained / work.parameters
    return work.forward * (work.examples * learning + work.held_back)


def share(work: Work, seconds: float, peak: float) -> float:
    """Of a machine's peak that was reached by doing it in `seconds`."""
    return operations(work) / (seconds * peak)


def seconds(work: Work, machine: Machine) -> float:
    """Of training and evaluation. Gradients are added up in a ring, and nothing is computed meanwhile: each device
    sends and receives 2 (d - 1) / d of them (Patarasuk and Yuan 2009).
    """
    steps = work.examples / (work.batch * machine.devices)
    computing = max(operations(work) / (machine.devices * machine.peak * machine.share), steps * machine.step)
    if machine.devices == 1:
        return computing
    sent = 2 * (machine.devices - 1) / machine.devices * work.trained * FLOAT
    return computing + steps * sent / machine.link


def memory_gb(work: Work) -> float:
    """On each device: weights, gradients and moments in float32, and what a step keeps for its backward pass."""
    weights = work.parameters + (1 + MOMENTS) * work.trained
    return (weights * FLOAT + work.batch * work.activations) / 1e9
