"""The verb of the command line that opens a page to try a model; cli.py gives it its name."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from hfft.errors import InputError, counted
from hfft.phrases import Folder, Json, print_json, sayer


def demo(
    folder: Folder,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Where the page listens.")] = 7860,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    neighbours: Annotated[
        int, typer.Option(min=0, metavar="N", help="Training rows looked at for the nearest (0: the data is not read).")
    ] = 1000,
    space: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Open nothing; write a Space for the Hub into this folder.")
    ] = None,
    model_id: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="With --space: the pushed model (default: its files).")
    ] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="With --space: put a few validation rows in, for all to see.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --space: write a Space of hfft's anew; nothing else is replaced.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Open a page in the browser to try a model: type a text or bring a picture, and read what it answers."""
    if space is None:
        if model_id or examples or overwrite or as_json:
            raise InputError(
                "--model-id, --examples, --overwrite and --json are for --space FOLDER, which writes a Space"
            )
        with contextlib.suppress(KeyboardInterrupt):  # at any time: there is nothing to resume
            from hfft import demo_page

            demo_page.serve(folder, port, host, browse, neighbours, sayer(as_json))
        return None
    from hfft import demo_space

    facts = demo_space.write(folder, space, model_id, examples, sayer(as_json), overwrite)
    if as_json:
        return print_json(facts)
    many = counted(len(facts["files"]), "file")
    many += f", {facts['bytes'] / 1e6:.1f} MB"
    print(f"{facts['space']}: {many}, nothing sent anywhere; to see the page: python {facts['space']}/app.py")
