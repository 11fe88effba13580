"""Operations, time and memory elsewhere: against sums done by hand, and what must hold whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hfft import projecting
from hfft.projecting import Machine, Work

WORK = Work(examples=1000, forward=1e9, held_back=200, parameters=10**8, trained=10**8, batch=10, activations=1e7)
CPU = Machine("a CPU", peak=1e11, share=0.5)
PAIR = Machine("two GPUs", peak=1e12, share=0.5, devices=2, link=1e10)


def test_a_run_by_hand():
    assert projecting.operations(WORK) == 1e9 * (3 * 1000 + 200)
    assert projecting.seconds(WORK, CPU) == pytest.approx(3.2e12 / 5e10)
    # 50 steps; of two devices each sends and receives all 10^8 gradients of 4 bytes once.
    assert projecting.seconds(WORK, PAIR) == pytest.approx(3.2e12 / 1e12 + 50 * 4e8 / 1e10)
    assert projecting.share(WORK, projecting.seconds(WORK, CPU), CPU.peak) == pytest.approx(0.5)
    assert projecting.memory_gb(WORK) == pytest.approx(1.6 + 0.1)  # 16 bytes a weight, 10 rows of 10 MB


def test_small_steps_take_the_least_time_there_is():
    assert projecting.seconds(WORK, replace(CPU, step=2.0)) == 200
    assert projecting.seconds(WORK, replace(CPU, step=1e-6)) == projecting.seconds(WORK, CPU)


def test_what_is_frozen_costs_less_time_and_memory_but_not_nothing():
    half = replace(WORK, trained=WORK.trained // 2)
    assert 2 / 3 < projecting.operations(half) / projecting.operations(WORK) < 1
    assert projecting.memory_gb(WORK) - projecting.memory_gb(half) == pytest.approx(0.5 * 1.2)


@pytest.mark.parametrize("tokens", [16, 100])
def test_operations_of_an_encoder_are_those_that_torch_counts(tokens):
    width, layers = 32, 3
    one = torch.nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True)
    body = torch.nn.TransformerEncoder(one, layers, enable_nested_tensor=False).train()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:  # others are not counted on CPU
        body(torch.randn(1, tokens, width))
    matrices = sum(p.numel() for p in body.parameters() if p.ndim == 2)
    assert counted.get_total_flops() == pytest.approx(projecting.transformer(matrices, layers, width, tokens), rel=0.01)
