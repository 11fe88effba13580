"""A search in the terminal. In: what tuning.py returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal
from hfft.records import less_is_better

SHOWN = 12  # trials in the table


def judged(facts: dict[str, Any]) -> None:
    """The best trials, what became of the others, the sentences, and what to type next."""
    screen = terminal.console()
    rows = facts["trials"]
    sign = 1 if less_is_better(facts["metric"]) else -1
    done = sorted((row for row in rows if row["value"] is not None), key=lambda row: sign * row["value"])
    grid = terminal.table("values", "trial", facts["metric"], "seconds")
    shown = done[:SHOWN] + [row for row in done[SHOWN:] if row["plain"]]
    for row in shown:
        values = "the recipe as it is" if row["plain"] else " ".join(row["words"])
        grid.add_row(values, str(row["number"]), f"{row['value']:.4f}", f"{row['seconds']:.0f}")
    screen.print(grid)
    if len(done) > len(shown):
        screen.print(f"… and {len(done) - len(shown)} more")
    for state in ("ended early", "failed", "running", "waiting"):
        if some := [row for row in rows if row["state"] == state]:
            screen.print(f"{len(some)} {state}: trial {', '.join(str(row['number']) for row in some)}")
    for why in dict.fromkeys(row["why"] for row in rows if row["why"]):
        screen.print(f"  failed: {why}")
    for sentence in facts["sentences"]:
        screen.print(sentence)
    if facts["importance"]:
        shares = ", ".join(f"{key} {100 * share:.0f} %" for key, share in facts["importance"].items())
        screen.print(f"What mattered (PED-ANOVA, {len(done)} trials): {shares}.")
    screen.print(f"\nfacts   {facts['run']}/tuning.json\npage    {facts['run']}/tuning.html")
    if not facts["best_recipe"] or facts["best"] == facts["plain"]:
        more = "learn-curve {}     (would more rows help?)"
        if facts["task"].endswith("_segmentation"):  # which `hfft learn-curve` knows nothing about
            more = "run {} --seeds 3     (how far do seeds differ?)"
        screen.print(f"Next:   hfft {more.format(facts['recipe_name'])}")
    else:
        screen.print(f"best    {facts['best_recipe']}")
        screen.print(f"Next:   hfft run {facts['best_recipe']} --seeds 3     (would other seeds say the same?)")
