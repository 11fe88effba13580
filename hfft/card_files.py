"""The card on disk: written anew after each verb, and never over what somebody else wrote.

In: a run folder and the text of its card. Out: `model/README.md`, and a sentence where it was left alone. It must not
know what a card says.
"""

from __future__ import annotations

from pathlib import Path

from hfft import card_marks
from hfft.records import write_whole
from hfft.run_folder import RunFolder

NEW, BEFORE = "card_new.md", "card_before.md"


def write(run: RunFolder, text: str) -> str:
    """Write the card, with the author's own words of the one before; "" or what became of a card edited elsewhere."""
    path = run.model / "README.md"
    old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if card_marks.ours(old) and not card_marks.untouched(old):
        _put(run.root / NEW, text)
        return (
            f"{path} was edited outside the lines for your own words and is kept; the new card is {run.root / NEW}: "
            f"delete the edited one and type hfft report {run.root} to take it"
        )
    if not old or card_marks.ours(old):
        _put(path, card_marks.kept(text, old))
        return ""
    kept = _free(run.root / BEFORE, old)  # an older hfft's, or not hfft's at all
    _put(kept, old)
    _put(path, text)
    return f"{path} had no mark of hfft; what it held is now {kept}"


def _free(path: Path, text: str) -> Path:
    """The path, or path-2 and so on where other words are there: nobody's are lost."""
    number, found = 1, path
    while found.exists() and found.read_text(encoding="utf-8", errors="replace") != text:
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def _put(path: Path, text: str) -> None:
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))
