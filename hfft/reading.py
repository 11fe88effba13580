"""A recipe's data, read and split as every verb needs it, with what was found said aloud.

In: a `Recipe`. Out: `Splits`. It brings the stages loading and splitting together, and has metrics and gates checked as
soon as the classes are known: before any model is opened.
"""

from __future__ import annotations

from collections.abc import Callable

import datasets

from hfft import gating, loading, rooms, scoring, splitting, training
from hfft.errors import listed
from hfft.recipe import Recipe

Say = Callable[[str], None]


def splits(wanted: Recipe, say: Say) -> splitting.Splits:
    """Read and split, and say what was found; metric and gate names are checked as soon as the classes are known."""
    quiet()
    modality = rooms.find("modalities", wanted.task)
    found = splitting.split(loading.read(wanted.data, modality), wanted.data, wanted.seed)
    sizes = ", ".join(f"{name} {found.report.size(name):,}" for name in found.parts)
    say(f"data: {loading.shown(wanted.data)}: {sizes} rows; {len(found.labels)} classes: {listed(found.labels)}")
    for finding in found.report.findings:
        say(f"  note: {finding}")
    known = scoring.keys(wanted.metrics, found.labels)
    gating.check(wanted.gates, known)
    training.best_metric(wanted, known)
    return found


def quiet() -> None:
    """`datasets` draws a bar per step and logs what it also raises; hfft says the same once."""
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
