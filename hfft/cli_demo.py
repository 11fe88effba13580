"""The verb of the command line that opens a page to try a model; cli.py gives it its name."""

from __future__ import annotations

from typing import Annotated

import typer

from hfft.phrases import Folder, Json, sayer


def demo(
    folder: Folder,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Where the page listens.")] = 7860,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    neighbours: Annotated[
        int, typer.Option(min=0, metavar="N", help="Training rows looked at for the nearest (0: the data is not read).")
    ] = 1000,
    as_json: Json = False,
) -> None:
    """Open a page in the browser to try a model: type a text or bring a picture, and read what it answers."""
    from hfft import demo_page

    demo_page.serve(folder, port, host, browse, neighbours, sayer(as_json))
