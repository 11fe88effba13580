"""The command line: words in, sentences and exit codes out. A stage is imported only when its verb is called.

Exit codes: 0 done, 1 a gate failed or a run did not come back, 2 the input is wrong (one sentence on stderr), 3 a gate
cannot be decided.
"""

from __future__ import annotations

import inspect
import io
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from hfft import (
    arranging,
    cli_after,
    cli_before,
    cli_demo,
    cli_ending,
    cli_export,
    cli_predict,
    cli_push,
    mishaps,
    scratch,
    timeline,
)
from hfft.errors import InputError
from hfft.phrases import (
    INTERRUPTED,
    Folder,
    Json,
    Name,
    Option,
    Stopped,
    Words,
    as_typed,
    first_line,
    flushed,
    interruptible,
    print_json,
    recipe_words,
    safe,
    sayer,
)

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Fine-tune image and text models from a recipe, and know whether the result can be trusted.",
    epilog="Recipes take section.key=value words: hfft run bert_textcls train.num_train_epochs=1 data.limit=2000",
)  # fmt: skip


@app.command("ls")
def ls(
    probes: Annotated[bool, typer.Option("--probes", help="List the probes instead.")] = False, as_json: Json = False
) -> None:
    """List the recipes that come with hfft."""
    from hfft import recipe

    if probes:
        return _list_probes(as_json)
    found = {name: first_line(path) for name, path in recipe.shipped().items()}
    if as_json:
        return print_json(found)
    for name, line in found.items():
        print(f"{name:20} {line}")
    print("\nNext: hfft show NAME, hfft cp NAME my_recipe.yaml, hfft run NAME")


@app.command("show")
def show(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    keys: Annotated[bool, typer.Option("--keys", help="List every key a recipe may have.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Show the first training batch: texts, or a picture [FILE.png].")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print a recipe, checked, with every default written out; or the batch that training would begin with."""
    import dataclasses

    from hfft import recipe
    from hfft.trainer_options import resolved

    if batch:
        return _show_batch(name, recipe_, words, as_json)
    if keys:
        for key, default, sentence in recipe.describe():
            print(f"{key:22} {sentence}  [{default}]")
        return
    chosen, overrides = recipe_words(name, recipe_, words)
    wanted = recipe.load(chosen, overrides)
    wanted = dataclasses.replace(wanted, train=resolved(wanted.train, wanted.adapt.average))
    if as_json:
        return print_json(dataclasses.asdict(wanted))
    print(recipe.dump(wanted), end="")
    if "learning_rate" not in wanted.train:
        print("# train.learning_rate: not in the recipe; hfft run takes the start for the kind of model and says so")


@app.command("cp")
def cp(name: Name = None, target: Annotated[str, typer.Argument(metavar="FILE")] = "recipe.yaml") -> None:
    """Copy a recipe to a file of your own; never overwrites one."""
    from hfft import recipe, records

    _, source = recipe.locate(recipe_words(name, None, None)[0])
    path = Path(target) / source.name if Path(target).is_dir() else Path(target)
    if path.exists():
        raise InputError(f"{path} exists and is not overwritten; type another name")
    records.write_whole(path, lambda target: target.write_bytes(source.read_bytes()))
    print(f"{path} written; edit it, then: hfft run {path}")


@app.command("check")
def check(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Where the run would be.")] = None,
    hub: Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Ask the Hub if you may push there.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Read the data only; rehearse nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Read recipe and data as training would, and rehearse the run in small: what is there, and what would stop it."""
    if fast and hub:
        raise InputError("--fast leaves the rehearsal out, and --hub is a part of it; type one of them")
    chosen, overrides = recipe_words(name, recipe_, words)
    from hfft import checking, display, display_rehearsal

    facts = checking.check(chosen, overrides, output_dir, hub, fast, sayer(as_json))
    then = None if Path(chosen).is_dir() else as_typed("run", chosen, overrides, output_dir)  # a run is not run again
    print_json(facts) if as_json else display.checked(facts, then)
    if "rehearsal" not in facts:
        return
    if not as_json:
        display_rehearsal.rehearsal(facts["rehearsal"], then)
    raise typer.Exit(2 if facts["rehearsal"]["problems"] else 0)


app.command("lr")(cli_before.lr)
app.command("imbalance")(cli_before.imbalance)
app.command("cv")(cli_before.cv)
app.command("tune")(cli_before.tune)
app.command("learn-curve")(cli_before.learn_curve)
app.command("rank")(cli_before.rank)


@app.command("run")
def run(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Default: runs/RECIPE.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest whole checkpoint.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Resume in spite of a changed recipe or data.")] = False,
    seeds: Annotated[int | None, typer.Option(metavar="N", help="Train with N seeds on one split.")] = None,
    as_json: Json = False,
) -> None:
    """Fine-tune as a recipe says. The test split stays closed."""
    chosen, overrides = recipe_words(name, recipe_, words)
    if force and (not resume or seeds is not None):
        raise InputError("--force is for one run that goes on: type it with --resume, and without --seeds")
    if not resume and seeds is None:
        from hfft import claiming  # light: a folder that is taken is told before the imports below

        claiming.early(chosen, output_dir)
    from hfft import display, pushing

    if seeds is not None:
        return _run_seeds(chosen, overrides, output_dir, seeds, resume, as_json)
    with interruptible():
        facts = pushing.run(chosen, overrides, output_dir, resume, sayer(as_json), force)
    if "validation" not in facts:  # a process other than the first
        return
    if as_json:
        return print_json(facts)
    display.scores("validation", facts["validation"])
    if "pushed" in facts:
        print(f"\npushed  {facts['pushed']['url']}, as {facts['pushed']['tag']}")
    print(f"\nmodel   {facts['run']}/model\nNext:   hfft eval {facts['run']}     (opens the held-out test split)")


@app.command("eval")
def eval_(folder: Folder, as_json: Json = False) -> None:
    """Score a run, the runs of several seeds, or the models of all folds as one, on the held-out test split."""
    arranging.few_kernels(folder)
    from hfft import display, display_seeds, repeating, verbs

    many = repeating.holds(folder)
    facts = (repeating if many else verbs).evaluate(folder, sayer(as_json))
    if "test" not in facts:
        return
    print_json(facts) if as_json else (display_seeds.tested if many else display.verdict)(facts)
    if (parity := facts.get("parity") or {}).get("passed") is False:
        print(f"hfft: {safe(parity['why'])}", file=sys.stderr, flush=True)
    raise typer.Exit(facts["exit_code"])


@app.command("compare")
def compare(
    folders: Annotated[list[str], typer.Argument(metavar="RUN_A RUN_B...", help="Scored runs; the first is the base.")],
    as_json: Json = False,
) -> None:
    """Say which of two scored runs, or more, is better on the same test rows, or that it cannot be told."""
    from hfft import averaging, display, display_folds, display_seeds, fold_weighing, weighing

    ways = {fold_weighing: display_folds, averaging: display_seeds}
    way = next((way for way in ways if way.concerns(folders)), weighing)
    facts = way.compare(folders)
    print_json(facts) if as_json else ways.get(way, display).compared(facts)


@app.command("judge")
def judge(folder: Folder, words: Words = None, as_json: Json = False) -> None:
    """Judge a scored run, or folds, again from prediction files: no model, no look. Takes metrics= and gates.NAME=."""
    from hfft import display, display_folds, fold_judging, judging

    folds = fold_judging.concerns(folder)
    facts = (fold_judging if folds else judging).judge(folder, recipe_words(folder, None, words)[1])
    print_json(facts) if as_json else (display_folds.judged if folds else display.verdict)(facts)
    raise typer.Exit(facts["exit_code"])


@app.command("report")
def report(
    folders: Annotated[list[str], typer.Argument(metavar="RUN...", help="One run, several runs, or a folder of runs.")],
) -> None:
    """Write report.html again; of several runs a page that compares them, of a folder of runs an index."""
    from hfft import presenting

    print(presenting.report(folders, sayer(True)))


app.command("probe")(cli_after.probe)
app.command("explain")(cli_after.explain)
app.command("labels")(cli_after.labels)
app.command("reproduce")(cli_after.reproduce)
app.command("export")(cli_export.export)
app.command("predict")(cli_predict.predict)
app.command("push")(cli_push.push)
app.command("demo")(cli_demo.demo)


def _show_batch(name: str | None, recipe_: str | None, words: list[str] | None, as_json: bool) -> None:
    from hfft import display_batch

    chosen, overrides, target = display_batch.words(name, recipe_, words)
    from hfft import showing

    facts = showing.batch(chosen, overrides, target, sayer(as_json))
    print_json(facts) if as_json else display_batch.batch(facts)


def _list_probes(as_json: bool) -> None:
    from hfft import display_probes, perturbing

    found = perturbing.catalogue()
    print_json(found) if as_json else display_probes.listing(found)


def _run_seeds(
    chosen: str, overrides: tuple[str, ...], output_dir: str | None, seeds: int, resume: bool, as_json: bool
) -> None:
    from hfft import display_seeds, repeating

    facts = repeating.run(chosen, overrides, output_dir, seeds, resume, sayer(as_json))
    if "members" in facts:  # else a process other than the first
        print_json(facts) if as_json else display_seeds.trained(facts)


def _resumes(words: list[str]) -> bool:
    """Whether the verb that is typed takes --resume."""
    verbs = (verb.callback for verb in app.registered_commands if words[:1] == [verb.name])
    return any("resume" in inspect.signature(verb).parameters for verb in verbs if verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a wrong input ends as one sentence on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # class names and file names hold signs that a terminal may not know
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if arguments is None:  # of the process itself, and not of a caller in Python
        timeline.is_command()
        arranging.importing()
        # Pillow's own word on pictures that hfft refuses in one sentence of its own.
        warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    try:
        resumes = _resumes(sys.argv[1:] if arguments is None else arguments)
        with cli_ending.told(arguments is None, resumes), scratch.stopped_by_sigterm(), mishaps.told(), flushed():
            app(arguments, prog_name="hfft")
    except SystemExit as end:
        if end.code == INTERRUPTED and not isinstance(end, Stopped):
            print("hfft: stopped; what was begun goes on with the same command and --resume", file=sys.stderr)
        raise
