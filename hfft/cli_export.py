"""The verb `export` of the command line; cli.py gives it its name."""

from __future__ import annotations

from typing import Annotated

import typer

from hfft.phrases import Folder, Json, print_json, sayer


def export(
    folder: Folder,
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="onnx, onnx-int8 (8 bits), openvino or litert.")
    ] = "onnx",
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Default: RUN/exports/FORMAT.")] = None,
    margin: Annotated[
        float, typer.Option(metavar="SHARE", help="How much worse 8 bits may be, such as 0.01 for one point.")
    ] = 0.01,
    rows: Annotated[int, typer.Option(metavar="N", help="Rows for parity and speed.")] = 200,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the files there, whatever was found.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make an export that is there anew.")] = False,
    as_json: Json = False,
) -> None:
    """Write the model for onnxruntime, OpenVINO or LiteRT, and hold it against the model before it is kept."""
    from hfft import display_export, exporting

    facts = exporting.export(folder, kind, output_dir, margin, rows, keep, overwrite, sayer(as_json))
    print_json(facts) if as_json else display_export.exported(facts)
    raise typer.Exit(facts["exit_code"])
