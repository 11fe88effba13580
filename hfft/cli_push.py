"""The verb `push` of the command line; cli.py gives it its name."""

from __future__ import annotations

from typing import Annotated

import typer

from hfft.phrases import Folder, Json, print_json, sayer


def push(
    folder: Folder,
    to: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Default: the recipe's train.hub_model_id.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    space: Annotated[bool, typer.Option("--space", help="Push the page to try it, too, as a Space.")] = False,
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the run and its weights.")] = None,
    licence: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="Of the model, such as mit (default: the base model's)."),
    ] = None,
    language: Annotated[str | None, typer.Option(metavar="CODE", help="Of the texts, such as en.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what hfft did not write.")] = False,
    as_json: Json = False,
) -> None:
    """Push a run's model, card and figures to the Hugging Face Hub in one commit, and check what comes back."""
    from hfft import pushing
    from hfft.pushed_cards import RECIPE, Wanted

    where = RECIPE if to is None else to
    wanted = Wanted(where, private, tag, licence, language, overwrite, dry_run, space)
    facts = pushing.push(folder, wanted, sayer(as_json))
    if as_json:
        print_json(facts)
    elif facts["commit"]:
        print(f"\nmodel   {facts['url']}\ntag     {facts['tag']}")
        if facts.get("space"):
            print(f"page    {facts['space']['url']}")
