"""Facts as tables in the terminal. In: what a verb returned. Out: stdout, plain when piped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from hfft import display_calibration, display_masks, display_probes, display_slices, terminal
from hfft.pairing import gained
from hfft.records import HEADLINES, leading, less_is_better

BOOTSTRAP = "BCa bootstrap, 2000 resamples"  # spelled out once below a table, not on each row
JACKKNIFE = "infinitesimal jackknife"
MANY, FEW = 20, 10  # classes of which rows are counted, and of which examples are shown
BORDERS = 5  # columns of space beside and between the two columns of examples
PER_CLASS = ("precision", "recall", "f1", "auroc", "average_precision")
PER_PIXEL = ("iou", "dice", "class_accuracy", "boundary_f1")
NAMES = {"tfidf_linear": "TF-IDF + linear", "majority": "majority class", "linear_probe": "linear probe"}
NAMES |= {"place": "class by place"}


def checked(facts: dict[str, Any], then: str | None = None) -> None:
    """What `hfft check` found: classes, sizes of the inputs, examples, and what the test split can tell.

    then: what to type next, where no rehearsal comes first.
    """
    found, sizing = facts["profile"], facts["sizing"]
    if "masks" in found:
        display_masks.classes(found["masks"], facts["rows"])
    else:
        classes(facts["counts"], sizing["recall"], facts.get("rows"))
    measures(found)
    sentences(found["sentences"])
    examples(facts["examples"], facts["counts"]["train"])
    sentences(sizing["sentences"])
    if "rehearsal" not in facts and then:
        print(f"\nNext:   {then}")


def classes(
    counts: dict[str, dict[str, int]], recall: dict[str, float | None], sizes: dict[str, int] | None = None
) -> None:
    """Rows per class and split, and the half-width of each class's recall; the largest and smallest of many classes.

    sizes: split → rows, where a row counts in each of its classes.
    """
    table = terminal.table("class", *counts, "recall to ±")
    first, last, left_out = terminal.ends(counts["train"], MANY)
    for name in (*first, None, *last) if left_out else first:
        if name is None:
            table.add_row(f"… {left_out:,} more")
            continue
        width = recall[name]
        known = "not measured" if width is None else f"{100 * width:.0f} points"
        table.add_row(name, *(f"{part[name]:,}" for part in counts.values()), known)
    table.add_row("all", *(f"{(sizes or {}).get(name) or sum(part.values()):,}" for name, part in counts.items()))
    terminal.console().print(table)


def measures(found: dict[str, Any]) -> None:
    """Quantiles of the inputs' sizes, where they differ at all."""
    table = terminal.table("inputs, all splits", "min", "5 %", "median", "95 %", "max")
    for name, spread in found["measures"].items():
        if spread["min"] < spread["max"]:
            table.add_row(name, *(f"{value:,.0f}" for value in spread.values()))
    if table.row_count:
        terminal.console().print(table)


def examples(found: dict[str, list[str]], sizes: dict[str, int]) -> None:
    """Rows of train, one line each; a single row of the largest and smallest of many classes."""
    console = terminal.console()
    first, last, left_out = terminal.ends(sizes, FEW)
    others = [name for name in found if name not in sizes]  # "no class", where several may apply to a row
    shown = (*first, *last, *others)
    names = min(max(map(len, (*shown, "class"))), console.width // 4)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", no_wrap=True, width=names)
    of_many = f", {len(first) + len(last)} of {len(sizes)} classes" if left_out else ""
    table.add_column(f"rows of train{of_many}", no_wrap=True, max_width=console.width - names - BORDERS)
    for name in shown:
        for place, line in enumerate(found.get(name, [])[: 1 if left_out else None]):
            table.add_row("" if place else name, line)
    if table.row_count:
        console.print(table)


def sentences(lines: list[str]) -> None:
    """One point each, with a hanging indent."""
    grid = Table.grid(padding=(0, 1))
    for line in lines:
        grid.add_row("-", line)
    terminal.console().print(grid)


def scores(split: str, found: dict[str, Any]) -> None:
    """Metrics of the whole split, each with its interval, n and method."""
    table = terminal.table(split, "value", "95 % interval", "n", "method")
    for key, score in found.items():
        if "[" not in key:
            method = score["method"].replace(BOOTSTRAP, "BCa").replace(JACKKNIFE, "IJ")
            table.add_row(key, _number(score["value"]), _interval(score), f"{score['n']:,}", method)
    terminal.console().print(table)
    if any(BOOTSTRAP in score["method"] for score in found.values()):
        terminal.console().print("BCa: bias-corrected and accelerated bootstrap, 2,000 resamples")
    if any(JACKKNIFE in score["method"] for score in found.values()):
        terminal.console().print(f"IJ: {JACKKNIFE}")


def beside(found: dict[str, Any], baselines: dict[str, dict[str, Any]]) -> None:
    """The model's headline scores above those of the baselines."""
    keys = _headlines(found)
    table = terminal.table(f"same rows, n = {next(iter(found.values()))['n']:,}", *keys)
    for name, part in {"this model": found, **dict(reversed(baselines.items()))}.items():
        table.add_row(NAMES.get(name, name), *(_full(part[key]) for key in keys))
    terminal.console().print(table)


def _headlines(found: dict[str, Any]) -> list[str]:
    """Macro F1 and accuracy where they were asked for, else the metric that leads."""
    return [key for key in HEADLINES if key in found] or [key for key in (leading(found),) if key]


def verdict(facts: dict[str, Any]) -> None:
    """What `hfft eval` found: scores, each class, baselines, notes, gates, and where to read on."""
    console = terminal.console()
    scores("test", facts["test"])
    per_class(facts["test"])
    beside(facts["test"], facts["baselines"])
    for name, apart in reversed(facts["gains"].items()):
        console.print(gained(NAMES.get(name, name), apart))
    if clean := facts.get("test_without_copies"):
        rows = next(iter(clean.values()))["n"]
        told = ", ".join(f"{key} {_full(clean[key])}" for key in _headlines(clean))
        console.print(f"Without rows that look like one of an earlier split ({rows:,} are left): {told}")
    if found := facts.get("calibration"):
        display_calibration.calibration(found)
    display_probes.probes(facts.get("probes"))
    if found := facts.get("slices"):
        display_slices.slices(found)
    for note in facts["notes"]:
        console.print(f"note: {note}")
    if found := facts.get("parity"):
        console.print(f"parity: {'not told: ' * (found['passed'] is None)}{found['why']}.")
    for gate in facts["gates"]:
        console.print(f"gate {gate['metric']} {gate['rule']}: {gate['verdict'].upper()}. {gate['why']}")
    looks(facts)
    if facts["gates"]:
        console.print(_in_all(facts["gates"]))
    if not facts["report"]:
        console.print(f"\nNothing was written: {facts['run']} keeps the verdict of its own recipe.")
        return
    console.print(f"\nreport  {facts['report']}")
    if "members" in facts:
        console.print(f"Next:   hfft compare {facts['run']} RUN     (a single run, on the same test rows)")
        return
    then = f"hfft cp {facts['run']} mine.yaml     (put your own data in, then: hfft check mine.yaml)"
    if Path("mine.yaml").exists():
        then = f"hfft compare {facts['run']} OTHER     (which of two runs is better, on the same test rows)"
    if facts["calibration"] is None:  # of masks, which `hfft explain` knows nothing about
        console.print(f"Next:   {then}")
        return
    console.print(
        f"Next:   hfft explain {facts['run']} --mistakes 5     (what spoke for its surest mistakes on validation)"
    )
    console.print(f"        {then}")


def _in_all(gates: list[dict[str, Any]]) -> str:
    """The verdicts once more in one line, below everything that was told since."""
    parts = []
    for verdict in ("pass", "fail", "cannot tell"):
        named = [f"{gate['metric']} {gate['rule']}" for gate in gates if gate["verdict"] == verdict]
        parts += [f"{len(named)} {verdict}" + (f" ({'; '.join(named)})" if verdict != "pass" else "")] if named else []
    return f"\nGATES   {', '.join(parts)}"


def looks(facts: dict[str, Any]) -> None:
    """How often the test rows have been looked at, and what that is worth."""
    console, found = terminal.console(), facts["openings"]
    for place, sentence in enumerate(found["sentences"]):  # none where the ledger is gone
        console.print(sentence if place else f"{sentence[:-1]} ({facts['run']}/ledger.jsonl).")
    if found["warning"]:
        console.print(f"\n!! {found['warning']}")


def compared(facts: dict[str, Any]) -> None:
    """Differences of each run from the first, rows won and lost, and the verdict in words."""
    console = terminal.console()
    for found in facts["comparisons"]:
        table = terminal.table(f"{found['second']} minus {found['first']}", "difference", "95 % interval", "p")
        for key, apart in found["differences"].items():
            unit = 1 if less_is_better(key) else 100
            low, value, high = (f"{unit * apart[part]:+.2f}" for part in ("low", "value", "high"))
            table.add_row(key, value, f"[{low}, {high}]", f"{apart['p']:.3g}")
        console.print(table)
        won, lost = len(found["won"]), len(found["lost"])
        test = ""
        if found["mcnemar"]:
            exact, mid = found["mcnemar"]
            test = f" (McNemar: exact p = {exact:.3g}, mid-p = {mid:.3g})"
        noun = facts.get("noun", "row")
        by = " by their own IoU" if noun == "image" else test
        console.print(f"{won:,} {noun}s won, {lost:,} lost{by}")
        for kind in ("won", "lost"):
            for row in found["examples"][kind]:
                text = " ".join((row["text"] or row["id"]).split())
                shown = text if len(text) <= console.width - 60 else text[: console.width - 61] + "…"
                wrong = f"{row['label']}, taken for {row['prediction']}" if noun == "row" else row["prediction"]
                console.print(f"  {kind}: {shown}   ({wrong})")
        display_probes.apart(found)
        console.print(f"\n{found['verdict'].upper()}. {found['sentence']}\n")
    if facts.get("noun") == "image":
        console.print(
            "Points of 100; paired intervals over the same images: jackknife with Student's t; p-values: "
            "randomisation, 2,000 resamples."
        )
        return
    console.print(
        "Points of 100 (losses as they are); paired intervals and p-values over the same rows: bootstrap and "
        "randomisation, 2,000 resamples; of metrics of probabilities, infinitesimal jackknife."
    )


def per_class(found: dict[str, Any], limit: int = 20) -> None:
    """Precision, recall and F1 of each class, or its IoU; the worst ones when there are many."""
    lead = next((stem for stem in ("f1", *PER_PIXEL) if any(key.startswith(f"{stem}[") for key in found)), None)
    if lead is None:
        return
    names = [key[len(lead) + 1 : -1] for key in found if key.startswith(f"{lead}[")]
    kinds = [kind for kind in (*PER_CLASS, *PER_PIXEL) if f"{kind}[{names[0]}]" in found]
    shown = sorted(names, key=lambda name: found[f"{lead}[{name}]"]["value"] or 0)[:limit]
    shown = shown if len(names) > limit else names
    title = "class" if len(names) <= limit else f"worst {limit} of {len(names)} classes"
    table = terminal.table(title, *kinds)
    for name in shown:
        table.add_row(
            name, *(f"{_full(found[f'{kind}[{name}]'])} n {found[f'{kind}[{name}]']['n']:,}" for kind in kinds)
        )
    terminal.console().print(table)


def doubts(facts: dict[str, Any], limit: int = 10) -> None:
    """What `hfft labels` found: the most doubtful rows, what the flags may mean, scores with and without them."""
    console = terminal.console()
    found = facts["doubts"]
    if found:
        table = terminal.table(
            "most doubtful" if len(found) > limit else "doubtful", "label", "suggested", "in label", "input"
        )
        for row in found[:limit]:
            label, other = (_excerpt(row[key], 24) for key in ("label", "suggested"))
            confidence = (row["confidence_in_label"], row["confidence_in_suggested"])
            shown = " | ".join(row[key] for key in ("text", "text_pair", "image") if row.get(key)) or row["id"]
            table.add_row(row["split"], label, f"{other} {confidence[1]:.3f}", f"{confidence[0]:.3f}", _excerpt(shown))
        console.print(table)
    for part in facts["splits"].values():
        console.print(part["sentence"], soft_wrap=True)
    _sensitivity({split: part for split, part in facts["splits"].items() if "as_labelled" in part})
    console.print(f"\nrows    {facts['csv']}", soft_wrap=True)


def _sensitivity(splits: dict[str, Any]) -> None:
    """Scores as labelled beside scores without the flagged rows."""
    if not splits:
        return
    table = terminal.table("sensitivity", "as labelled", "flagged rows left out")
    for split, part in splits.items():
        for key in HEADLINES:
            if key in part["as_labelled"]:
                table.add_row(f"{split} {key}", _full(part["as_labelled"][key]), _full(part["without_flagged"][key]))
    terminal.console().print(table)
    terminal.console().print(
        "Flagged rows are rows this model got wrong, so leaving them out raises its score whether they are mislabelled "
        "or not: report the first column.",
        soft_wrap=True,
    )


def _excerpt(text: str, limit: int = 70) -> str:
    """One line of a text, without characters that would steer the terminal."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _full(score: dict[str, Any]) -> str:
    return f"{_number(score['value'])} {_interval(score)}".strip()


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"


def _interval(score: dict[str, Any]) -> str:
    return "" if score["low"] is None else f"[{score['low']:.4f}, {score['high']:.4f}]"
