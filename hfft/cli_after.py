"""Verbs of the command line that look into a run; cli.py gives them their names."""

from __future__ import annotations

from typing import Annotated

import typer

from hfft.phrases import Folder, Json, interruptible, print_json, sayer


def probe(
    folder: Folder,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROBE]...", help="Which ones, or templates (default: as the recipe says)."),
    ] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="60s, 5min: as much as fits.")] = None,
    rows: Annotated[int | None, typer.Option(metavar="N", help="Rows to change, whatever the time.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Test rows: one more look, kept in the ledger.")] = False,
    as_json: Json = False,
) -> None:
    """Change held-back rows a little and count how often the answer moves: typos, blur … (hfft ls --probes)."""
    from hfft import display_probes, stressing

    facts = stressing.probe(folder, names or (), budget, rows, test, sayer(as_json))
    if "probes" in facts:  # else a process other than the first
        print_json(facts) if as_json else display_probes.probed(facts)


def explain(
    folder: Folder,
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT|FILE]...", help="Texts, or picture files.")
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option("--row", metavar="ID", help="A validation row, or a kept mistake.")
    ] = None,
    mistakes: Annotated[int, typer.Option(min=0, metavar="N", help="The N surest mistakes on validation.")] = 0,
    chosen: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Explain this class, not the answer.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which words, or which part of a picture, spoke for an answer; opens no split. For debugging, not a test."""
    from hfft import display_explaining, explaining

    facts = explaining.explain(folder, inputs or (), row or (), mistakes, chosen, sayer(as_json))
    print_json(facts) if as_json else display_explaining.explained(facts)


def labels(
    folder: Folder,
    train: Annotated[
        bool, typer.Option("--train", help="Judge the training rows, too (needs the pretrained model and the data).")
    ] = False,
    as_json: Json = False,
) -> None:
    """List rows whose label looks wrong; opens no split."""
    from hfft import auditing, display

    facts = auditing.labels(folder, train, sayer(as_json))
    if "splits" in facts:
        print_json(facts) if as_json else display.doubts(facts)


def reproduce(
    folder: Folder,
    output_dir: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Of the new run (default: RUN-reproduced).")
    ] = None,
    within: Annotated[
        float, typer.Option(metavar="POINTS", help="Where bits differ: how far the leading metric may lie off.")
    ] = 0.01,
    as_json: Json = False,
) -> None:
    """Check data, versions and split of a run, train it again beside it, and say how near it came back. No test row."""
    from hfft import display_reproduced, reproducing

    with interruptible(", or the same again, which then compares"):
        facts = reproducing.reproduce(folder, output_dir, within, sayer(as_json))
    if "came_back" not in facts:  # a process other than the first
        return
    print_json(facts) if as_json else display_reproduced.reproduced(facts)
    raise typer.Exit(facts["exit_code"])
