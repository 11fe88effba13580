"""A learning-rate range test: the rate grows with every step, and the loss says where it begins to help and to harm.

In: the callbacks of `Trainer`; then rates and losses. Out: a `Reading`. Source: Smith 2017, Cyclical learning rates,
section 3.3; the smoothing and the rule for reading it off are hfft's own (docs/training.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import TrainerCallback

LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.9  # weight of what was before in the running mean of the losses
DIVERGED = 3.0  # times the smoothed loss at its lowest, after which a sweep ends
LEAST = 10  # steps, below which a curve says nothing
FALL = 0.05  # share of its first value by which the loss must fall somewhere


class Sweep(TrainerCallback):
    """Raises the learning rate from LOWEST to HIGHEST in equal factors, one a step; ends when the loss has diverged.

    rates, losses: of the steps that were taken. Groups of parameters keep the ratios of their rates. The recipe it
    trains by must have learning_rate 1 and a constant schedule, and log every step.
    """

    speed = 0.0  # `training.fit` asks whatever watches for it

    def __init__(self, steps: int) -> None:
        self.factor = (HIGHEST / LOWEST) ** (1 / (steps - 1))
        self.rate = LOWEST
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
        self.rate = LOWEST * self.factor**state.global_step
        for group in optimizer.param_groups:
            group["lr"] = self.rate * group["initial_lr"]

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or not math.isfinite(loss):
            return
        self.rates.append(self.rate)
        self.losses.append(float(loss))
        smooth = smoothed(np.array(self.losses))
        if len(smooth) >= LEAST and smooth[-1] > DIVERGED * smooth.min():
            control.should_training_stop = True


@dataclass(frozen=True)
class Reading:
    """suggested: a tenth of the rate at which the smoothed loss is lowest, None when it never falls by FALL.

    begins, lowest: rates from which the loss falls, and where it is lowest. smooth: float (steps,).
    """

    suggested: float | None
    begins: float | None
    lowest: float | None
    smooth: np.ndarray


def read(rates: np.ndarray, losses: np.ndarray) -> Reading:
    """What a sweep says. rates, losses: float (steps,), of the steps in their order.

    >>> rates = np.geomspace(1e-6, 1, 100)
    >>> losses = 1 - 0.5 / (1 + (1e-3 / rates)) + (rates / 0.1) ** 2
    >>> read(rates, losses).suggested
    0.003
    """
    smooth = smoothed(losses)
    if len(smooth) < LEAST:
        return Reading(None, None, None, smooth)
    bottom = int(smooth.argmin())
    first = float(losses[: max(LEAST // 2, 1)].mean())  # at these rates nothing is learned yet
    fall = first - float(smooth[bottom])
    if fall < FALL * first:
        return Reading(None, None, None, smooth)
    # The last step before the bottom at which a tenth of the whole fall had not yet happened.
    begins = int(np.flatnonzero(smooth[: bottom + 1] >= first - fall / 10)[-1])
    return Reading(_short(rates[bottom] / 10), float(rates[begins]), float(rates[bottom]), smooth)


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Running mean with weights that fall by SMOOTHING a step, corrected for its short start."""
    out, mean = np.empty(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        out[step] = mean / (1 - SMOOTHING ** (step + 1))
    return out


def _short(rate: float) -> float:
    """One significant digit: a sweep knows no more."""
    return float(f"{rate:.0e}")
