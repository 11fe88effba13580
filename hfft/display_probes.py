"""Probes in the terminal. In: facts of probes.json. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal

SHOWN = 3  # sentences of templates that failed


def probes(found: dict[str, Any] | None, asked: list[str] | None = None) -> None:
    """How often each probe changed the answer, what that costs, and what was not tried.

    asked: probes that were tried now, where others are told from earlier.
    """
    if not found:
        return
    console = terminal.console()
    flips = [probe for probe in found["probes"] if probe["measure"] == "flip_rate"]
    others = [probe for probe in found["probes"] if probe["measure"] != "flip_rate"]
    if flips:
        heads = ("rows", "answers that flip")
        if any(probe.get("pixels") for probe in flips):
            heads = ("images", "pixels answered otherwise")
        table = terminal.table(f"{heads[0]} changed by", heads[1], f"points of {found['metric']} lost", "n")
        for probe in flips:
            aside = " (not seen by the model)" if probe["unseen"] and not probe.get("pixels") else ""
            name = probe["title"] + aside + _earlier(probe, asked)
            table.add_row(name, _percent(probe["rate"]), _points(probe["drop"]), f"{probe['n']:,}")
        console.print(table)
    if others:
        table = terminal.table("what should be answered", "failures", "a failure is", "n")
        for probe in others:
            name = probe["title"] + _earlier(probe, asked)
            table.add_row(name, _percent(probe["rate"]), probe["a_failure"], f"{probe['n']:,}")
            for part in (part for part in probe["severities"] if "title" in part):
                table.add_row(f"  {part['title']}", _percent(part["rate"]), "", f"{part['rate']['n']:,}")
        console.print(table)
    for row in [row for probe in others for row in probe.get("failures", [])][:SHOWN]:
        wrong = f"{row['prediction']} ({row['confidence']:.2f}), not {row['label']}"
        console.print(f"  wrong class: {row['text']!r} is answered {wrong}")
    for sentence in found["sentences"]:
        console.print(sentence)


def probed(facts: dict[str, Any]) -> None:
    """What `hfft probe` found."""
    console = terminal.console()
    if not facts["asked"]:
        console.print("No probe was asked for (probes.names), and the recipe has no templates.")
        return
    probes(facts["probes"], facts["asked"])
    for probe in facts["probes"]["probes"]:
        if probe["name"] in facts["asked"]:
            console.print(f"- {probe['sentence']}")
    console.print(f"\nfacts   {facts['run']}/probes.json")


def apart(found: dict[str, Any]) -> None:
    """Which of two runs is steadier, probe by probe, on rows that both saw changed alike."""
    if not found.get("probes"):
        return
    split = found["probes"][0]["split"]
    heads = (found["first"], found["second"], "difference, paired", "p (Holm)", "n")
    table = terminal.table(f"failures on {split} rows changed by", *heads)
    for row in found["probes"]:
        rates = (f"{100 * row[who]:.1f} %" for who in ("first", "second"))
        gap = row["difference"]
        some = sorted(set(row["tried"][0]) ^ set(row["tried"][1]))
        aside = f" (strength {', '.join(map(str, row['severities']))})" if some else ""
        table.add_row(row["title"] + aside, *rates, _points(gap), f"{gap['p']:.3g}", f"{row['n']:,}")
    terminal.console().print(table)


def listing(rows: list[dict[str, Any]]) -> None:
    """Every probe there is, as `perturbing.catalogue` has them."""
    for kind in dict.fromkeys(row["input"] for row in rows):
        table = terminal.table(f"probes of {kind}s", "by default", "strengths", "what is changed")
        table.columns[-1].justify = "left"
        for row in rows:
            if row["input"] == kind:
                table.add_row(row["name"], "yes" if row["safe"] else "", str(row["severities"]), row["says"])
        terminal.console().print(table)
    terminal.console().print("Others by name: probes.names in a recipe, or hfft probe RUN NAME …")


def _earlier(probe: dict[str, Any], asked: list[str] | None) -> str:
    return "" if asked is None or probe["name"] in asked else " (earlier)"


def _percent(score: dict[str, Any]) -> str:
    if score["value"] is None:
        return "does not apply"
    return f"{100 * score['value']:.1f} % [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


def _points(drop: dict[str, Any] | None) -> str:
    if drop is None:
        return "—"
    return f"{100 * drop['value']:+.1f} [{100 * drop['low']:+.1f}, {100 * drop['high']:+.1f}]"
