"""The verb `predict` of the command line; cli.py gives it its name."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from hfft import arranging
from hfft.errors import InputError
from hfft.phrases import INTERRUPTED, Folder, Json, Stopped, print_json, sayer

PROGRAMS = (".parquet", ".jsonl")  # outputs that no spreadsheet opens by itself
KINDS = 5  # kinds of bad rows that are told
REFIT = (
    "to promise less without training again: set abstain.max_error in {0}/recipe.yaml, delete "
    "{0}/model/calibration.json, type hfft judge {0} (hfft eval, where it has not been scored yet)"
)


def predict(
    folder: Folder,
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|FOLDER|-", help="csv, tsv, jsonl, parquet, txt; pictures; - is standard input."),
    ],
    output: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="*.parquet, *.csv or *.jsonl; of masks a folder (default: lines)."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="torch, or an export: onnx, onnx-int8, openvino.")
    ] = "torch",
    text_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column that holds the text.")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="ROLE=NAME,...", help="The same for any role: text, text_pair, image.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="A,B", help="Columns to carry over, such as an id; of csv as text.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="KIND", help="csv, tsv, jsonl, parquet, lines (default: by name).")
    ] = None,
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of a text file, such as latin-1.")] = "utf-8",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="This is process I of N that share an output.")
    ] = None,
    sets: Annotated[str, typer.Option("--set", metavar="KIND", help="lac, aps or lac_per_class.")] = "lac",
    short: Annotated[bool, typer.Option("--short", help="No probability for each class.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Probabilities without the temperature.")] = False,
    batch: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tokens of a batch of texts, or pictures of one.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that is there.")] = False,
    spreadsheet: Annotated[
        bool, typer.Option("--spreadsheet", help="csv: an apostrophe before texts that would be formulas.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Answer a file, a folder of pictures or standard input with a finished run; of any size, block by block."""
    arranging.few_kernels(folder)
    from hfft import bulk

    if spreadsheet and (output is None or output.endswith(PROGRAMS)):
        raise InputError("--spreadsheet is for csv: type --output FILE.csv with it, or leave it out")
    if as_json and output is None:
        raise InputError("--json prints the facts where answers would go; type --output FILE with it")
    roles = dict(_pair(word) for word in (columns or "").split(",") if word.strip())
    roles |= {"text": text_column} if text_column else {}
    kept = tuple(name.strip() for name in (keep or "").split(",") if name.strip())
    asked = bulk.Request(
        folder, source, output, engine, roles, kept, form, encoding, shard, sets, short, raw, batch, overwrite,
        spreadsheet,
    )  # fmt: skip
    say = sayer(True)  # stdout is for answers
    try:
        facts = bulk.predict(asked, say if os.environ.get("RANK", "0") == "0" else lambda _: None)
    except KeyboardInterrupt:
        kept_parts = f"; finished parts are in {output}.shards, and the same command goes on" if output else ""
        print(f"hfft: stopped{kept_parts}", file=sys.stderr)
        raise Stopped(INTERRUPTED) from None
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    if as_json:
        print_json(facts)
    else:
        _tell(facts)
    raise typer.Exit(facts["exit_code"])


def _tell(facts: dict) -> None:  # type: ignore[type-arg]
    say = sayer(True)
    if "missing" in facts:
        if facts["missing"]:
            left, parts = facts["missing"], facts["parts"]["all"]
            say(f"this process is done; {left:,} of {parts:,} parts come from others")
        return
    bad = facts["rows"] - facts["answered"]
    now = "" if facts["rows_now"] == facts["rows"] else f", {facts['rows_now']:,} of them by this process now"
    speed = f"{facts['seconds']:.1f} s, {facts['rows_per_second']:,.0f} rows/s"
    say(f"{facts['answered']:,} rows answered{now}: {speed}")
    if bad:
        first = facts["first_problem"]
        say(f"{bad:,} rows have no answer; the first is row {first['row']:,}: {first['why']} (column `error` says why)")
        kinds = list(facts["problems"].items())
        if len(kinds) > 1:
            more = len(kinds) - KINDS
            say(
                "".join(f"  {n:,}: {kind}\n" for kind, n in kinds[:KINDS])
                + (f"  {more:,} more kinds" if more > 0 else "")
            )
    if facts.get("formulas") and not facts["spreadsheet"] and not str(facts["output"]).endswith(PROGRAMS):
        say(
            f"{facts['formulas']:,} texts begin as formulas do (=, +, -, @), and a spreadsheet would compute them; for "
            "one, type --spreadsheet"
        )
    if facts["noted"] > 1:
        say(f"{facts['noted']:,} rows hold lines that look like rows of their own")
    if not facts["rows"]:
        say("the input has no rows: the output has the names of its columns and nothing else")
    elif facts["promise"] and facts["sure"] is not None:
        say(f"{facts['sure']:,} answers are sure: {facts['promise']}")
        if facts["threshold"] is None:
            say(REFIT.format(facts["run"]))
    if facts["rows"] and facts["set_promise"]:
        say(facts["set_promise"])
    if facts["output"]:
        print(f"answers  {facts['output']}")


def _pair(word: str) -> tuple[str, str]:
    role, equals, name = word.partition("=")
    if not (equals and role.strip() and name.strip()):
        raise InputError(f"--columns: expected role=name, such as text=tweet, got {word!r}")
    return role.strip(), name.strip()
