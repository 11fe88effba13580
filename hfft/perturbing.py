"""One change of one held-back row, the same whoever asks: a probe, a severity and the row's content decide every bit.

In: a probe (a module of hfft/probes/), an input, what the row holds. Out: the changed input, or None where the probe
does not apply. It must not know models or labels: two models, and two recipes, see the same changed rows.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from hfft import rooms
from hfft.errors import InputError, listed

ROOM = "probes"
INVARIANCE, DIRECTION = "invariance", "direction"  # the answer stays; confidence in it has to fall


def perturbed(probe: ModuleType, item: Any, severity: int, content: str) -> Any | None:
    """`item`, a text or an RGB picture, as the probe changes it; None where it does not apply or changes nothing.

    severity: 1 to probe.SEVERITIES. content: what the row holds, as in its id.
    """
    found = probe.perturb(item, severity, generator(probe, severity, content))
    return None if found is None or same(found, item) else found


def moved(probe: ModuleType, mask: np.ndarray, severity: int, content: str, fill: int) -> np.ndarray:
    """A mask (h, w) as `perturbed` moves its picture, by the same random numbers; `fill` where the picture left."""
    if not hasattr(probe, "moved"):
        return mask
    found: np.ndarray = probe.moved(mask, severity, generator(probe, severity, content), fill)
    return found


def generator(probe: ModuleType, severity: int, content: str) -> Any:
    """Random numbers for one change: a `random.Random` for texts, a numpy `Generator` for pictures."""
    key = f"{probe.__name__}\x1f{severity}\x1f{content}".encode("utf-8", "surrogatepass")
    seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    return random.Random(seed) if probe.INPUT == "text" else np.random.default_rng(seed)


def same(one: Any, other: Any) -> bool:
    """Whether two texts, or two pictures, are equal in every sign or pixel."""
    if isinstance(one, str):
        return bool(one == other)
    return bool(one.size == other.size and one.tobytes() == other.tobytes())


def fitting(kind: str) -> list[str]:
    """Names of the probes for this kind of input, "text" or "image"."""
    return [name for name in rooms.names(ROOM) if kind == rooms.find(ROOM, name).INPUT]


def chosen(names: Sequence[str] | None, kind: str, where: str = "probes.names: ") -> list[ModuleType]:
    """The probes of these names in their order, or the safe ones; kind: "text" or "image".

    where: what a sentence about a wrong name begins with. Raises InputError for an unknown name and for a probe of
    another kind of input.
    """
    if names is None:
        every = (rooms.find(ROOM, name) for name in rooms.names(ROOM))
        return [probe for probe in every if kind == probe.INPUT and probe.SAFE]
    probes = [rooms.find(ROOM, name) for name in dict.fromkeys(names)]
    if wrong := [probe for probe in probes if kind != probe.INPUT]:
        raise InputError(
            f"{where}{title(wrong[0])!r} is for {wrong[0].INPUT}s and the rows are {kind}s; "
            f"known for them: {listed(fitting(kind), limit=40)}"
        )
    return probes


def catalogue() -> list[dict[str, Any]]:
    """Every probe there is: name, input, kind, safe (on by default), severities, and what it changes."""
    found = [(name, rooms.find(ROOM, name)) for name in rooms.names(ROOM)]
    return [
        {"name": name, "input": probe.INPUT, "kind": probe.KIND, "safe": probe.SAFE}
        | {"severities": probe.SEVERITIES, "says": probe.SAYS}
        for name, probe in sorted(found, key=lambda pair: pair[1].INPUT != "text")
    ]


def title(probe: ModuleType) -> str:
    """A probe's name: that of its file."""
    return probe.__name__.rpartition(".")[2]
