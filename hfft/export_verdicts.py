"""May an exported model be relied on? By the largest difference of a logit, or, of 8 bits, by its answers.

In: facts of parity, or the answers of both to the same rows. Out: a verdict in words. It must not know how a file is
written or read. No torch, no transformers.
"""

from __future__ import annotations

from typing import Any

from hfft import comparing, gating
from hfft.errors import counted
from hfft.gating import Evidence, Verdict
from hfft.mask_records import Answers
from hfft.pairing import Difference
from hfft.rules import RIVAL

TOLERANCE = 1e-4  # largest difference of a logit that is rounding


def equal(parity: dict[str, Any], unit: str) -> dict[str, Any]:
    """Whether the file gives what the model gives, but for rounding."""
    gap, n = parity["largest_logit_gap"], counted(parity["n"], unit)
    told = f"the largest difference of a logit is {gap:.2g} on {n} of {parity['split']}"
    if gap <= TOLERANCE:
        return {"accepted": True, "exit_code": 0, "why": f"{told}, within {TOLERANCE:g}."}
    return {
        "accepted": False,
        "exit_code": 1,
        "why": f"{told}, and at most {TOLERANCE:g} is rounding: this export is another model and is refused. Use the "
        "model folder itself, or look at it with --keep.",
    }


def no_worse(base: Answers, other: Answers, metrics: list[str], margin: float) -> tuple[Verdict, str, Difference]:
    """(verdict, leading metric, other minus base) as the gate no_worse_than judges two runs on the same rows."""
    found = comparing.compare([("float32", base), ("8 bits", other)], metrics)[0]
    apart = comparing.cautious(base, other, found.headline, found.differences[found.headline])
    gates = {RIVAL: {"run": "the model in float32", "margin": margin}}
    evidence = Evidence({}, against=lambda *_: (found.headline, apart))
    return gating.judge(gates, evidence)[0], found.headline, apart
