"""What the verbs of the command line share: their arguments, and how words, sentences and facts are told."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from hfft import credentials
from hfft.errors import InputError, Interrupted
from hfft.steering import escaped, visible

INTERRUPTED = 130  # what typer makes of Ctrl-C


class Stopped(SystemExit):
    """Ctrl-C, of which a verb has said what it means."""


@contextlib.contextmanager
def interruptible(besides: str = "") -> Iterator[None]:
    """Around one training: a stop that was saved is told in its own sentence. besides: what else it means."""
    try:
        yield
    except Interrupted as stop:
        if os.environ.get("RANK", "0") == "0":
            print(f"hfft: {stop}{besides}", file=sys.stderr, flush=True)
        raise Stopped(INTERRUPTED) from None


Words = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Override the recipe.")]
Name = Annotated[str | None, typer.Argument(metavar="RECIPE", help="A recipe's name, a YAML file, or a run folder.")]
Option = Annotated[str | None, typer.Option("--recipe", metavar="RECIPE", help="The same, as an option.")]
Folder = Annotated[str, typer.Argument(metavar="RUN", help="The folder that `hfft run` wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Print the facts as JSON on stdout; sentences go to stderr.")]


def recipe_words(name: str | None, option: str | None, words: list[str] | None) -> tuple[str, tuple[str, ...]]:
    """(recipe, overrides): with --recipe, the first bare word is an override like the others."""
    overrides = list(words or [])
    if option is not None and name is not None:
        overrides.insert(0, name)
        name = None
    chosen = option or name
    if chosen is None:
        raise InputError("which recipe? type its name (hfft ls lists them), a YAML file, or a run folder")
    if wrong := [word for word in overrides if "=" not in word]:
        raise InputError(f"{wrong[0]!r}: expected section.key=value, such as train.num_train_epochs=1")
    return chosen, tuple(overrides)


def as_typed(verb: str, name: str, overrides: tuple[str, ...], output_dir: str | None) -> str:
    """A command that means just what was given, to be copied.

    >>> as_typed("run", "mine.yaml", ("data.limit=500",), None)
    'hfft run mine.yaml data.limit=500'
    """
    return shlex.join(["hfft", verb, name, *overrides, *(["--output-dir", output_dir] if output_dir else [])])


def numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of an option that takes several, such as "0.1,0.5,1"."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise InputError(f"{option}: expected numbers with commas between them, got {text!r}") from None


def model_words(
    name: str | None, option: str | None, words: list[str] | None, models: list[str] | None
) -> tuple[str, tuple[str, ...], list[str]]:
    """(recipe, overrides, models): what follows --models without a "=" is one of them, too.

    >>> model_words("tiny", None, ["b", "seed=1"], ["a,c"])
    ('tiny', ('seed=1',), ['a', 'c', 'b'])
    """
    given = list(words or [])
    if option is not None and name is not None:
        given.insert(0, name)
        name = None
    named = [part.strip() for model in models or [] for part in model.split(",") if part.strip()]
    if models:
        named += [word for word in given if "=" not in word]
        given = [word for word in given if "=" in word]
    return *recipe_words(name, option, given), named


def safe(sentence: object) -> str:
    """A sentence as it may be printed: names in it come from data, and addresses from people."""
    return credentials.masked(str(visible(str(sentence))))


def sayer(as_json: bool) -> Callable[[str], None]:
    """What prints sentences: on stdout, or beside facts in JSON on stderr."""

    def say(sentence: str) -> None:
        print(safe(sentence), file=sys.stderr if as_json else sys.stdout, flush=True)

    return say


def first_line(path: Path) -> str:
    """A recipe's first comment line."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Within it what is printed has arrived at the end: into a file on a full disk it does not, and that is told."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            pass
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would try once more at its end
            raise


def print_json(facts: Any) -> None:
    print(escaped(json.dumps(facts, indent=1, ensure_ascii=False)))
