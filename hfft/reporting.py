"""What may be said about a finished run: the page and the model card.

In: the files of a run folder. Out: `report.html` with its figures, and the text of `model/README.md`. Nothing is
computed from the model, so a year-old run can be reported again in a second. No torch, no transformers.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from hfft import (
    behaviour_figures,
    calibration_figures,
    calibration_telling,
    card_front,
    card_marks,
    figures,
    gallery,
    limitations,
    openings,
    pages,
    shipping_facts,
    steering,
)
from hfft.records import write_whole
from hfft.run_folder import RunFolder
from hfft.summarising import inline, summarise, title

# Up to here a table of counts stays legible; above it the page draws a heat map and lists the confusions.
TABLE_CLASSES = 20
SHOWN_CLASSES = 20
SHOWN_MISTAKES = 24
_undrawn: ContextVar[bool] = ContextVar("undrawn", default=False)


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """Within it pages come without the PNG copies of their figures: for verbs that make many runs."""
    token = _undrawn.set(True)
    try:
        yield
    finally:
        _undrawn.reset(token)


def render(run: RunFolder) -> Path:
    """Write the page and its figures; return the page's path. The same files give the same bytes."""
    facts = summarise(run)
    if not _undrawn.get():
        _draw(run, facts)
    page = pages.render("report.html.j2", facts | _shown(run, facts), FILTERS)
    write_whole(run.report, lambda target: target.write_text(page, encoding="utf-8"))
    return run.report


def _shown(run: RunFolder, facts: dict[str, Any]) -> dict[str, Any]:
    """What the page needs besides the facts: axes, curves, rows to look at."""
    # A trivial baseline far below would squeeze every interval into its dot: the axis is the model's and its rival's.
    rival = (facts["headline"] or {}).get("baseline") or {"title": ""}
    groups = facts["overall"] + facts["averages"] + facts["validation"]
    drawn = [row for group in groups if group["drawn"] for row in group["rows"]]
    rows = [row["score"] for row in drawn if row["model"] or row["who"] == rival["title"]]
    ranked, split = facts["classes"]["ranked_by"], facts["split"]
    return {
        "commands": _commands(facts),
        "recipe_text": yaml.safe_dump(facts["recipe"], sort_keys=False, allow_unicode=True),
        "axis": figures.axis(rows),
        "class_axis": figures.axis([row["cells"][ranked] for row in facts["classes"]["rows"]]),
        "gap_axis": behaviour_figures.axis([row["gap"] for row in (facts["slices"] or {"rows": []})["rows"]]),
        "probe_top": behaviour_figures.top((facts["probes"] or {"probes": []})["probes"]),
        "curves": figures.curves(facts["history"]),
        "same_loss": _same_loss(facts["recipe"]),
        "measures": calibration_telling.MEASURES,
        "set_names": calibration_telling.SETS,
        "mistakes": gallery.mistakes(run.mistakes(split), facts["neighbours"]),
        "changed": gallery.changed(run.probe_examples((facts["probes"] or {}).get("split", split))),
        "limits": {"classes": SHOWN_CLASSES, "mistakes": SHOWN_MISTAKES, "table": TABLE_CLASSES},
    }


def _same_loss(recipe: dict[str, Any]) -> bool:
    """Whether the training loss is the plain cross-entropy that validation losses are."""
    loss, augment = recipe.get("loss") or "cross_entropy", recipe.get("augment") or {}
    smoothed = (recipe.get("train") or {}).get("label_smoothing_factor")
    changed = [smoothed, recipe.get("sampler"), augment.get("mixup"), augment.get("cutmix")]
    return loss in ("cross_entropy", "binary_cross_entropy") and not any(changed)


def card(run: RunFolder) -> str:
    """The model card: Markdown with YAML front matter as the Hub reads it. Holds no path of this machine."""
    facts = summarise(run)
    front = yaml.safe_dump(card_front.front(facts), sort_keys=False, allow_unicode=True)
    shown = [name for name in _on_the_card(facts) if (run.figures / name).is_file()]
    more: dict[str, Any] = {"front": front, "figures": shown, "room": f"{card_marks.BEGIN}\n{card_marks.END}"}
    more |= {"limits": limitations.limits(facts), "misuses": limitations.purpose(facts), "commands": _commands(facts)}
    more |= {"exports": [path.name for path in shipping_facts.exports(run, shipping_facts.weights(run))]}
    if facts["task"] == "text_classification":
        more |= {"longest": shipping_facts.longest(run, facts["recipe"]["model"].get("max_length"))}
    more |= {"source": card_front.source_name(facts["recipe"].get("data", {}))}
    more |= {"pair": "text_pair" in (facts["recipe"].get("data", {}).get("columns") or {})}
    return card_marks.sealed(pages.template("card.md.j2", FILTERS).render(**facts, **more))


def _on_the_card(facts: dict[str, Any]) -> list[str]:
    """Names of figures; slices may be values of the user's own columns, and are told in sentences alone."""
    return ["confusion_matrix.png", f"{facts['classes']['ranked_by']}_per_class.png", "reliability.png", "probes.png"]


def _commands(facts: dict[str, Any]) -> list[str]:
    recipe, again = (shlex.quote(f"{facts['path']}{end}") for end in ("/recipe.yaml", "-again"))
    verb = f"cv {recipe} {facts['dealt']}" if facts["folds"] else f"run {recipe}"
    return [f"hfft {verb} --output-dir {again}", f"hfft eval {again}"]


def _draw(run: RunFolder, facts: dict[str, Any]) -> None:
    """PNG copies of the figures, for slides and the Hub."""
    table, ranked = facts["confusion"], facts["classes"]["ranked_by"]
    if table:
        figures.draw_confusion(run.figures / "confusion_matrix.png", table["names"], table["cells"])
    if found := facts["masks"]:
        shares = [[round(100 * share) for share in row or [0] * len(found["classes"])] for row in found["cells"]]
        figures.draw_confusion(run.figures / "confusion_matrix.png", [c["name"] for c in found["classes"]], shares)
    if rows := [(row["name"], row["cells"][ranked]) for row in facts["classes"]["rows"]]:
        figures.draw_intervals(run.figures / f"{ranked}_per_class.png", title(ranked), rows)
    found = facts["calibration"] or {}
    if "bins" in (found.get("before") or {}):
        parts = {"as trained": found["before"], "with temperature": found["after"]}
        shown = {name: part["bins"] for name, part in parts.items() if part}
        calibration_figures.draw_reliability(run.figures / "reliability.png", shown)
    if facts["probes"]:
        behaviour_figures.draw_probes(run.figures / "probes.png", facts["probes"]["probes"])
    if facts["slices"] and facts["slices"]["rows"]:
        behaviour_figures.draw_slices(run.figures / "slices.png", facts["slices"], title(facts["slices"]["measure"]))
    if found.get("selective"):
        calibration_figures.draw_curve(run.figures / "risk_coverage.png", found["selective"])


def _percent_parts(score: dict[str, Any]) -> str:
    """A share with its interval, the value stronger than its brackets."""
    if score["value"] is None:
        return Markup('<span class="u">unknown</span>')
    value, *ends = calibration_telling.percent(score).split(" [")
    brackets = Markup(' <span class="i">[{}</span>').format(ends[0]) if ends else ""
    return Markup('<span class="v">{}</span>{}').format(value, brackets)


def _signed(value: float, digits: int = 1) -> str:
    """A difference with its sign, nothing without one; the minus is as wide as the plus.

    >>> _signed(1.26), _signed(-0.04)
    ('+1.3', '0.0')
    """
    told = f"{value:+.{digits}f}"
    return told.replace("-", "\u2212") if float(told) else told[1:]


def _beyond(method: str, usual: str) -> str:
    """What a method says beyond the usual one, all of it where it is another.

    >>> _beyond("Wilson, widened", "Wilson"), _beyond("BCa", "Wilson")
    ('widened', 'BCa')
    """
    return method.removeprefix(f"{usual}, ") if usual else method


FILTERS: dict[str, Callable[..., Any]] = {
    "decimals": lambda value: f"{value:.3f}",
    "grouped": lambda number: f"{number:,}",
    "interval": card_front.interval,
    "score_text": calibration_telling.decimals,
    "signed": _signed,
    "signed3": lambda value: _signed(value, 3),
    "md": pages.markdown,
    "percent": calibration_telling.percent,
    "percent_parts": _percent_parts,
    "beside": calibration_telling.beside,
    "exports_only": openings.beside,
    "beyond": _beyond,
    "diagram": calibration_figures.diagram,
    "risk_curve": calibration_figures.curve,
    "severity_marks": behaviour_figures.severity_marks,
    "at": figures.at,
    "title_of": title,
    "inline": inline,
    "public": card_front.public,
    "wraps": lambda name: Markup("_<wbr>").join(steering.visible(str(name)).split("_")),
}
