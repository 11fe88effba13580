"""What `hfft probe` was asked for: names, time and rows from the command line in the place of the recipe's.

In: a run's recipe, words. Out: the recipe for this one time. What is wrong is told of the word that was typed, and not
of the recipe. No torch, no transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hfft import budgets, perturbing, robustness, rooms
from hfft.answers import TEMPLATES
from hfft.errors import InputError, brief, listed, meant
from hfft.perturbing import ROOM
from hfft.recipe import Recipe


def applied(
    wanted: Recipe, kind: str, names: Sequence[str] = (), budget: str | float | None = None, rows: int | None = None
) -> Recipe:
    """The recipe with these probes and no others, this budget or so many rows; of gates, those about these probes.

    kind: "text" or "image". names: of hfft/probes/, and "templates" for the recipe's own sentences; none: as the recipe
    has it. Raises InputError that names what was typed wrongly.
    """
    probes = wanted.probes
    if budget is not None:
        try:
            budgets.seconds(budget)
        except ValueError as error:
            raise InputError(f"budget: {error}") from error
        probes = replace(probes, budget=budget, rows=None)
    if rows is not None:
        if rows < 1:
            raise InputError(f"rows: expected 1 or more, got {rows}")
        probes = replace(probes, rows=rows)
    if not names:
        return replace(wanted, probes=probes)
    known = [*perturbing.fitting(kind), TEMPLATES]
    for name in names:
        if name != TEMPLATES and name not in rooms.names(ROOM):
            raise InputError(f"no probe {brief(name)}{meant(name, known)}; known for {kind}s: {listed(known, 40)}")
    if TEMPLATES in names and not probes.templates:
        raise InputError("the recipe of this run has no templates: write probes.templates before training")
    own = [name for name in names if name != TEMPLATES]
    perturbing.chosen(own, kind, "")
    gates = {key: rule for key, rule in wanted.gates.items() if set(robustness.asked({key: rule})) & set(own)}
    probes = replace(probes, names=own, templates=probes.templates if TEMPLATES in names else [])
    return replace(wanted, probes=probes, gates=gates)
