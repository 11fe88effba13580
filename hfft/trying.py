"""What a person types or brings becomes the answer that the page shows: the page's functions, without the page.

In: a finished run; a text, a pair of texts, or the file of a picture. Out: HTML of the answer and of the training rows
nearest to it. The model is loaded once. Like verbs.py, this is a place where stages meet. It knows no gradio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from hfft import calibrating, demo_facts, gallery, inferring, overlays, pages, palette, pictures
from hfft.errors import InputError
from hfft.recalling import Shelf
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder

SIDE = 640  # pixels of the longer side of a painted picture
LONGEST = 100_000  # signs of a text: a page is for a text, not for a book
FILTERS: dict[str, Callable[..., Any]] = {"share": lambda value: f"{value:.1f} %"}


@dataclass
class Trial:
    """A model to try, and what is said of it. ask: inputs → answers, or of masks int16 (h, w) arrays."""

    folder: RunFolder
    wanted: Recipe
    modality: ModuleType
    names: tuple[str, ...]
    ask: Callable[[list[Any]], list[Any]]
    about: dict[str, Any]
    stored: dict[str, Any] | None = None
    cuts: dict[str, float] | None = None
    shelf: Shelf = field(default_factory=Shelf)

    @property
    def pair(self) -> bool:
        """Whether an input is two texts."""
        return "text_pair" in (self.wanted.data.columns or {})

    def answer(self, *inputs: str | None) -> str:
        """HTML of the answer to a text, a pair of texts or the file of a picture, or of what is wrong with it."""
        try:
            item = self._item(*inputs)
            found = self.ask([item])[0]
        except InputError as error:
            return html("problem", {"sentence": str(error)})
        if self.wanted.masks:
            return self._painted(pictures.rgb({"bytes": item, "path": None}), found)
        facts = demo_facts.answered(
            found.prediction, found.sure, found.probabilities, found.set, self.stored, self.cuts
        )
        return html("answer", facts | {"how": self.about["how"]})

    def near(self, *inputs: str | None) -> str:
        """HTML of the training rows nearest to an input, or of why there are none; "" where it has no answer."""
        try:
            item = self._item(*inputs)
            rows = self.shelf.find(item) if self.shelf.find else []
        except InputError:
            return ""
        return html("near", {"rows": rows, "sentence": self.shelf.sentence})

    def _item(self, first: str | None, second: str | None = None) -> Any:
        """An input as `ask` takes it. Raises InputError for one that has no answer."""
        if self.modality.INPUT == "image":
            return _picture(first)
        if not (first or "").strip() or (self.pair and not (second or "").strip()):
            raise InputError(f"Type {'both texts' if self.pair else 'a text'} first: there is nothing to answer.")
        if len(first or "") + len(second or "") > LONGEST:
            raise InputError(f"That is more than {LONGEST:,} signs; for whole files there is hfft predict.")
        return (first, second) if self.pair else first

    def _painted(self, image: Any, mask: np.ndarray) -> str:
        scale = min(SIDE / max(image.size), 1.0)
        scale = max(scale, float(SIDE // 2 // max(image.size)))  # a tiny one is enlarged, each pixel to a square
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
        painted = overlays.painted(image.resize(size, way), overlays.sized(mask, size), self.names)
        src = gallery.data_uri(pictures.png(painted))
        legend = demo_facts.masked(mask, self.names, palette.colours(self.names))
        return html("mask", {"src": src, "legend": legend})


def load(run: str) -> Trial:
    """The model of a finished run, ready to answer. Raises InputError where there is none."""
    answerer = inferring.load(run)
    folder, wanted, names = RunFolder(Path(run)), answerer.wanted, answerer.names
    return Trial(
        folder,
        wanted,
        answerer.modality,
        names,
        (lambda inputs: list(answerer.segment(inputs))) if answerer.masks else answerer.answers,
        demo_facts.about(folder, wanted),
        calibrating.stored(folder),
        answerer.rule.shown_cuts,
    )


def html(name: str, facts: dict[str, Any]) -> str:
    """A part of the page; whatever facts hold is text, not markup."""
    return pages.template(f"demo/{name}.html.j2", FILTERS).render(**facts).replace(" %", "\u00a0%")


def _picture(path: str | None) -> bytes:
    """The bytes of a picture that can be used. Raises InputError otherwise, without the name of a temporary file."""
    if not path:
        raise InputError("Choose a picture first: there is nothing to answer.")
    try:
        data = Path(path).read_bytes()
        pictures.rgb({"bytes": data, "path": None})
    except (OSError, ValueError) as error:
        raise InputError(f"This picture cannot be used: {error}.") from error
    return data
