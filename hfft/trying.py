"""What a person types or brings becomes the answer that the page shows: the page's functions, without the page.

In: a finished run; a text, a pair of texts, or the file of a picture. Out: HTML of the answer and of the training rows
nearest to it. The model is loaded once. Like verbs.py, this is a place where stages meet. It knows no gradio.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hfft import calibrating, demo_facts, overlays, pages, palette, pictures, recipe, rooms
from hfft.errors import InputError
from hfft.recipe import Recipe
from hfft.run_folder import RunFolder

SIDE = 640  # pixels of the longer side of a painted picture
LONGEST = 100_000  # signs of a text: a page is for a text, not for a book
NOTHING = "Type a text first: there is nothing to answer."
FILTERS: dict[str, Callable[..., Any]] = {"share": lambda value: f"{value:.1f}\u00a0%"}


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
    shelf: Any = field(default=None)

    @property
    def pair(self) -> bool:
        """Whether an input is two texts."""
        return "text_pair" in (self.wanted.data.columns or {})

    def text(self, first: str | None, second: str | None = None) -> str:
        """HTML of the answer to a text, or to a pair of texts."""
        if not (first or "").strip() or (self.pair and not (second or "").strip()):
            return problem(NOTHING if not self.pair else "Type both texts first: there is nothing to answer.")
        if len(first or "") + len(second or "") > LONGEST:
            return problem(f"That text is longer than {LONGEST:,} signs; for whole files there is `hfft predict`.")
        return self._answered((first, second) if self.pair else first)

    def picture(self, path: str | None) -> str:
        """HTML of the answer to the picture in a file."""
        if not path:
            return problem("Choose a picture first: there is nothing to answer.")
        try:
            source = {"bytes": Path(path).read_bytes(), "path": None}
            image = pictures.rgb(source)
        except (OSError, ValueError) as error:
            return problem(f"This picture cannot be used: {error}.")
        if self.wanted.masks:
            return self._painted(image, self.ask([source["bytes"]])[0])
        return self._answered(source["bytes"])

    def near(self, item: Any) -> str:
        """HTML of the training rows nearest to an input, or of why there are none."""
        return "" if self.shelf is None else self.shelf.html(item)

    def _answered(self, item: Any) -> str:
        try:
            answer = self.ask([item])[0]
        except InputError as error:
            return problem(str(error))
        facts = demo_facts.answered(
            answer.prediction, answer.sure, answer.probabilities, answer.set, self.stored, self.cuts
        )
        return html("answer", facts | {"how": self.about["how"]})

    def _painted(self, image: Any, mask: np.ndarray) -> str:
        small = image.copy()
        small.thumbnail((SIDE, SIDE))
        painted = overlays.painted(small, overlays._sized(mask, small.size), self.names)
        out = io.BytesIO()
        painted.save(out, "PNG")
        src = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
        legend = demo_facts.masked(mask, self.names, palette.colours(self.names))
        return html("mask", {"src": src, "legend": legend})


def load(run: str) -> Trial:
    """The model of a finished run, ready to answer. Raises InputError where there is none."""
    folder = RunFolder.existing(run, folds=True)
    wanted = recipe.load(str(folder.root))
    modality = rooms.find("modalities", wanted.task)
    names, ask = _answerer(folder, wanted, modality)
    several = wanted.data.multi_label
    return Trial(
        folder,
        wanted,
        modality,
        names,
        ask,
        demo_facts.about(folder, wanted),
        calibrating.stored(folder),
        demo_facts.cuts(folder, names) if several else None,
    )


def html(name: str, facts: dict[str, Any]) -> str:
    """A part of the page; whatever facts hold is text, not markup."""
    return pages.template(f"demo/{name}.html.j2", FILTERS).render(**facts)


def problem(sentence: str) -> str:
    """What is wrong with an input, where the answer would stand."""
    return html("problem", {"sentence": sentence})


def _answerer(
    folder: RunFolder, wanted: Recipe, modality: ModuleType
) -> tuple[tuple[str, ...], Callable[[list[Any]], list[Any]]]:
    from hfft import ensembling, gathering, segmenting, trainer_arguments

    gathering.quiet()
    args = trainer_arguments.arguments(wanted, folder, fitting=False)
    model = ensembling.reload(folder, modality)
    if wanted.masks:
        ask = segmenting.asker(model.parts, wanted.model, args)
        return model.names, lambda inputs: ask(modality.as_rows(inputs))
    return model.names, _slow(folder, wanted, modality, model, args)


def _slow(folder: RunFolder, wanted: Recipe, modality: ModuleType, model: Any, args: Any) -> Any:
    """As hfft.load().predict, the model being loaded already; until `inferring` is there."""
    from dataclasses import make_dataclass

    from hfft import answering, biasing, conformal, ensembling, thresholds, withholding

    answer = make_dataclass("Answer", ["prediction", "sure", "probabilities", "set"])
    stored, names = calibrating.stored(folder), model.names

    def ask(inputs: list[Any]) -> list[Any]:
        raw = ensembling.probabilities(model, modality, modality.as_rows(inputs), wanted.model, args)
        scores, out = calibrating.applied(folder, raw), []
        bias = answering.biases(folder, wanted.decide, names)
        places = raw.argmax(axis=1) if bias is None else biasing.decided(raw, bias)
        for place, own, p in zip(places, raw, scores, strict=True):
            first = -own
            first[place] = -np.inf
            probabilities = {names[i]: float(p[i]) for i in first.argsort(kind="stable")}
            if wanted.data.multi_label:
                cut = thresholds.read(folder.thresholds, names)
                out.append(answer(tuple(np.array(names)[own >= cut]), True, probabilities, None))
                continue
            sure, likely = True, None
            if stored:
                limit = stored["abstain"]["threshold"]
                sure = limit is not None and p[place] >= limit
                inside = conformal.sets(conformal.lac(p[None]), withholding.limits_of(stored["sets"], "lac", names))[0]
                likely = tuple(np.array(names)[inside])
            out.append(answer(names[place], bool(sure), probabilities, likely))
        return out

    return ask
