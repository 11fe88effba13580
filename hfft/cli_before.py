"""Verbs of the command line that come before a run; cli.py gives them their names."""

from __future__ import annotations

from typing import Annotated

import typer

from hfft.phrases import Json, Name, Option, Words, print_json, recipe_words, sayer


def lr(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps of the sweep.")] = 100,
    as_json: Json = False,
) -> None:
    """Sweep the learning rate over a hundred training steps and say which one to start from; writes nothing."""
    chosen, overrides = recipe_words(name, recipe_, words)
    from hfft import display_rates, rate_finding

    facts = rate_finding.find(chosen, overrides, steps, sayer(as_json))
    print_json(facts) if as_json else display_rates.swept(facts)
