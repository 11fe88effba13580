"""What a slice is called, and what was found of all of them, in sentences for the terminal, the page and the card.

In: names of attributes and their values; the facts that `slicing.judged` gave. Out: titles, units, sentences. Nothing
is computed here but a rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hfft.errors import counted, listed
from hfft.records import SLICE

OWN_IOU = "image_iou"  # the measure of images with masks
LONGEST = 60  # signs of a value in a sentence


class Name(NamedTuple):
    """title of the attribute; unit of its numbers; how rows of a value are called, {} being the value."""

    title: str
    unit: str = ""
    rows: str = ""


TEXTS = {
    "words": Name("length", "words", "Texts of {}"),
    "casing": Name("casing", rows="Texts with {}"),
    "unknown_tokens": Name("tokens unknown to the tokenizer", "%", "Texts with {} unknown tokens"),
}
PICTURES = {
    "brightness": Name("brightness", "%", "Pictures with a brightness of {}"),
    "contrast": Name("contrast", "%", "Pictures with a contrast of {}"),
    "sharpness": Name("sharpness", rows="Pictures with a sharpness of {}"),
    "colourfulness": Name("colourfulness", rows="Pictures with a colourfulness of {}"),
    "pixels": Name("size", "pixels", "Pictures of {}"),
    "shape": Name("shape", rows="Pictures that are {}"),
}
HELD = {  # yes or no
    "digits": "digits",
    "question": "a question mark",
    "exclamation": "an exclamation mark",
    "url": "a URL",
    "handle": "an @handle",
    "hashtag": "a #hashtag",
    "emoji": "emoji",
    "accents": "letters beyond ASCII",
}
BARE = {("grey", "yes"): "Grey pictures", ("grey", "no"): "Pictures in colour"}


def title(attribute: str) -> str:
    """
    >>> title("unknown_tokens"), title("url"), title("slice:region"), title("grey")
    ('tokens unknown to the tokenizer', 'a URL', 'region', 'grey')
    """
    if attribute.startswith(SLICE):
        return attribute.removeprefix(SLICE)
    known = TEXTS | PICTURES
    return known[attribute].title if attribute in known else HELD.get(attribute, attribute.replace("_", " "))


def unit(attribute: str) -> str:
    """Of its numbers, such as "words"; "" where they have none."""
    return (TEXTS | PICTURES).get(attribute, Name("")).unit


def rows_of(attribute: str, value: str) -> str:
    """How the rows of a slice are called, at the beginning of a sentence.

    >>> rows_of("words", "9 to 15 words"), rows_of("url", "no"), rows_of("slice:region", "north")
    ('Texts of 9 to 15 words', 'Texts without a URL', 'Rows where region is north')
    """
    known = TEXTS | PICTURES
    if attribute in known:
        return known[attribute].rows.format(value)
    if attribute in HELD and value in ("yes", "no"):
        return f"Texts {'with' if value == 'yes' else 'without'} {HELD[attribute]}"
    return BARE.get((attribute, value), f"Rows where {title(attribute)} is {_plain(value)}")


def told(facts: dict[str, Any]) -> list[str]:
    """Confirmed slices first, then those only suspected, or that there are none, and what could have been seen."""
    tried = facts["tried"]
    if not tried:
        return [
            f"No slices: none of what is known of these {counted(facts['n'], 'row')} divides them so that "
            f"{facts['least']} or more of them stand beside others."
        ]
    sure = [row for row in facts["rows"] if row["state"] == "confirmed"]
    unsure = [row for row in facts["rows"] if row["state"] == "suspected"]
    of_images = facts.get("measure") == OWN_IOU
    rows, less = ("images", "lower") if of_images else ("rows", "less right")
    said = [f"{_told(row, of_images)}; found on one half of the test {rows}, confirmed on the other." for row in sure]
    if not sure:
        said = [f"No slice of {tried:,} tried is shown to be weaker than the rest."]
    if unsure:
        named = listed((rows_of(row["attribute"], row["value"]) for row in unsure), 5)
        said.append(
            f"Suspected on one half of the test {rows}, not confirmed on the other, so perhaps chance: {named}."
        )
    if seen := facts["visible"]:
        said.append(
            f"With so many {rows}, a slice of {100 * seen['part']:.0f} % of them must be about "
            f"{100 * seen['points']:.0f} points {less} than the rest to be confirmed in 4 of 5 cases."
        )
    return said


def _told(row: dict[str, Any], of_images: bool) -> str:
    score, apart = row["score"], row["gap"]
    if of_images:
        return (
            f"{rows_of(row['attribute'], row['value'])} have a mean IoU, image by image, of {score['value']:.3f} "
            f"[{score['low']:.3f}, {score['high']:.3f}], {_points(-apart['value'])} points less than the rest "
            f"[{_points(-apart['high'])}, {_points(-apart['low'])}]"
        )
    return (
        f"{rows_of(row['attribute'], row['value'])} are right in {100 * score['value']:.1f} % "
        f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}], {_points(-apart['value'])} points less than the rest "
        f"[{_points(-apart['high'])}, {_points(-apart['low'])}]"
    )


def _plain(value: str) -> str:
    """One short line, without signs that would steer a terminal."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
