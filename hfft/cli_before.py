"""Verbs of the command line that come before a run; cli.py gives them their names."""

from __future__ import annotations

from typing import Annotated

import typer

from hfft.phrases import (
    INTERRUPTED,
    Json,
    Name,
    Option,
    Words,
    model_words,
    numbers,
    print_json,
    recipe_words,
    sayer,
)


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


def imbalance(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Seeds for each arm.")] = 3,
    arms: Annotated[str | None, typer.Option(metavar="A,B", help="Remedies to train (default: all of them).")] = None,
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Default: runs/RECIPE_imbalance.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Train what is missing.")] = False,
    as_json: Json = False,
) -> None:
    """Train the recipe plain and with each remedy against imbalance, and say which is worth it, or that none is."""
    from hfft import bakeoff, display_imbalance

    chosen, overrides = recipe_words(name, recipe_, words)
    wanted = None if arms is None else [arm.strip() for arm in arms.split(",") if arm.strip()]
    facts = bakeoff.run(chosen, overrides, output_dir, seeds, wanted, resume, sayer(as_json))
    if "arms" in facts:  # else a process other than the first
        print_json(facts) if as_json else display_imbalance.judged(facts)


def learn_curve(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    shares: Annotated[
        str, typer.Option(metavar="A,B,C", help="Shares of the training rows, ascending.")
    ] = "0.1,0.25,0.5,1",
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of each share.")] = 1,
    same_steps: Annotated[
        bool, typer.Option("--same-steps/--same-epochs", help="Of every share: those of the whole, or the recipe's.")
    ] = True,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Say what relabelling suspicious rows could be worth.")
    ] = True,
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Default: runs/RECIPE_curve.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Train what is missing.")] = False,
    as_json: Json = False,
) -> None:
    """Train on growing shares of the training rows, and say what twice as many would be worth. Opens no test split."""
    from hfft import display_curves, learning_curves

    chosen, overrides = recipe_words(name, recipe_, words)
    wanted = numbers("--shares", shares)
    facts = learning_curves.run(
        chosen, overrides, output_dir, wanted, seeds, same_steps, labels, resume, sayer(as_json)
    )
    if "points" in facts:  # else a process other than the first
        print_json(facts) if as_json else display_curves.judged(facts)
    raise typer.Exit(INTERRUPTED if "stopped" in facts else 0)


def cv(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    folds: Annotated[int, typer.Option(metavar="K", help="Folds, each held out once.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", help="Deal the rows into folds so often.")] = 1,
    space: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUES|FILE", help="Tune in each fold anew, as hfft tune does.")
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", help="With --space: trials in each fold.")] = 10,
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Default: runs/RECIPE_cv.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Train the folds that are missing.")] = False,
    as_json: Json = False,
) -> None:
    """Cross-validate: train the recipe without each fold in turn, and judge the answers to it. Opens no test split."""
    from hfft import display_folds, folding, nesting

    chosen, overrides = recipe_words(name, recipe_, words)
    if space:
        facts = nesting.run(chosen, overrides, output_dir, folds, repeats, space, trials, resume, sayer(as_json))
    else:
        facts = folding.run(chosen, overrides, output_dir, folds, repeats, resume, sayer(as_json))
    if "scores" in facts:  # else a process other than the first
        print_json(facts) if as_json else display_folds.judged(facts)
    raise typer.Exit(INTERRUPTED if "stopped" in facts else 0)


def tune(
    name: Name = None,
    words: Words = None,
    recipe_: Option = None,
    space: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUES|FILE", help="LOW..HIGH, or A,B,C; any key; repeatable.")
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", help="In all; the first is the recipe as it is.")] = 20,
    minutes: Annotated[float | None, typer.Option(metavar="M", help="Stop after so long.")] = None,
    folds: Annotated[int | None, typer.Option(metavar="K", help="Score by cross-validation.")] = None,
    shares: Annotated[
        str | None, typer.Option(metavar="A,B,1", help="Shares of the training rows, the best going on to the next.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="A database for many machines (default: a file in the folder).")
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name in the storage (default: the folder's).")
    ] = None,
    no_pruning: Annotated[bool, typer.Option("--no-pruning", help="Train every trial to its end.")] = False,
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Default: runs/RECIPE_tune.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search, or join it.")] = False,
    as_json: Json = False,
) -> None:
    """Search recipe keys, and say what the best is worth beyond luck. Opens no test split."""
    from hfft import display_trials, tuning

    chosen, overrides = recipe_words(name, recipe_, words)
    facts = tuning.run(
        chosen, overrides, space or (), output_dir, trials, minutes, folds,
        numbers("--shares", shares) if shares else (), storage, study, not no_pruning, resume, sayer(as_json),
    )  # fmt: skip
    if "trials" in facts:  # else a process other than the first
        print_json(facts) if as_json else display_trials.judged(facts)
    raise typer.Exit(INTERRUPTED if "stopped" in facts else 0)


def rank(
    name: Name = None,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL|KEY=VALUE]...", help="More models; override the recipe.")
    ] = None,
    recipe_: Option = None,
    models: Annotated[
        list[str] | None, typer.Option("--models", metavar="A B | A,B", help="Models, as model.name takes them.")
    ] = None,
    finalists: Annotated[
        int, typer.Option(metavar="N", help="Then fine-tune the best N on growing shares of the rows (0: no training).")
    ] = 0,
    rows: Annotated[
        int, typer.Option(metavar="N", help="Training and validation rows for the probes, at most.")
    ] = 5000,
    output_dir: Annotated[str | None, typer.Option(metavar="FOLDER", help="Default: runs/RECIPE_rank.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Do what is missing.")] = False,
    as_json: Json = False,
) -> None:
    """Say which pretrained model to start from, before training: probes, time, memory. Opens no test split."""
    chosen, overrides, named = model_words(name, recipe_, words, models)
    from hfft import display_ranks, ranking

    facts = ranking.run(chosen, named, overrides, output_dir, finalists, rows, resume, sayer(as_json))
    if "models" in facts:  # else a process other than the first
        print_json(facts) if as_json else display_ranks.judged(facts)
    raise typer.Exit(INTERRUPTED if "stopped" in facts else 0)
