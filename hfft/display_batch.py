"""The first training batch in the terminal: where its picture lies, or its texts as the model reads them."""

from __future__ import annotations

from typing import Any

from hfft import terminal
from hfft.errors import InputError
from hfft.phrases import recipe_words

LONGEST = 400  # signs of a text that are shown: its beginning and its end


def words(name: str | None, option: str | None, given: list[str] | None) -> tuple[str, tuple[str, ...], str | None]:
    """(recipe, overrides, file): the one bare word that is no override names the picture."""
    bare = [*([name] if name is not None and option is not None else []), *(given or [])]
    files = [word for word in bare if "=" not in word]
    if len(files) > 1:
        raise InputError(f"{files[1]!r}: one picture is written, to {files[0]!r}; leave the other name out")
    chosen, overrides = recipe_words(None if option else name, option, [word for word in bare if "=" in word])
    return chosen, overrides, files[0] if files else None


def batch(facts: dict[str, Any]) -> None:
    """What `hfft show --batch` found."""
    console = terminal.console()
    if "file" in facts:
        return console.print(f"{facts['file']} written: {len(facts['labels'])} rows, the first training batch")
    console.print("the first training batch; tokens are counted with the tokenizer's own")
    for number, (label, text) in enumerate(zip(facts["labels"], facts["texts"], strict=True), 1):
        of = "" if text["of"] is None else f" of {text['of']:,}"
        console.print(f"\n{number:3}  {label}: {text['tokens']:,}{of} tokens")
        if text["original"] is not None:
            console.print(f"     text   {_shortened(text['original'])}")
        console.print(f"     read   {_shortened(text['read'])}")


def _shortened(text: str) -> str:
    """On one line, without what a terminal would obey, and not longer than anybody reads."""
    plain = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    half = LONGEST // 2
    return plain if len(plain) <= LONGEST else f"{plain[:half]} … {plain[-half:]}"
