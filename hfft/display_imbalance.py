"""The bake-off in the terminal. In: what bakeoff.py returned. Out: stdout, plain when piped."""

from __future__ import annotations

from typing import Any

from hfft import terminal


def judged(facts: dict[str, Any]) -> None:
    """One row per arm, the recommendation, and what was left out."""
    screen = terminal.console()
    screen.print(f"\nOn {facts['n']:,} validation rows, means over {facts['seeds']} seeds:")
    columns = ("macro-F1", "minus plain", "p", "worst recall", "minus plain", "log loss, minus plain", "seconds")
    grid = terminal.table("arm", *columns)
    for row in facts["arms"]:
        f1, worst, loss = row["f1_macro"], row["worst"], row["log_loss"]
        own = f1["difference"]
        grid.add_row(
            row["arm"] + " *" * (row["arm"] == facts["recommended"]),
            f"{f1['mean']:.4f}",
            _points(own),
            "" if own is None else _chance(f1["adjusted_p"]),
            f"{100 * worst['mean']:.1f} {worst['class']}",
            _points(worst["difference"]),
            "as plain" if row["free"] else _loss(loss),
            "0" if row["free"] else f"{row['seconds']:.0f}",
        )
    screen.print(grid)
    share = f"{100 * facts['level']:.4g}"
    screen.print(
        f"Differences in points of 100 with intervals of {share} %, which hold together for all arms; they allow for "
        "other seeds and other rows. p: of macro-F1, adjusted for all arms. Seconds: of training with one seed. "
        f"{facts['about']}\n"
    )
    for sentence in facts["sentences"]:
        screen.print(sentence)
    for arm, why in facts["left_out"].items():
        screen.print(f"{arm} was left out: {why}")
    screen.print(f"\nfacts   {facts['run']}/imbalance.json\npage    {facts['run']}/imbalance.html")
    more = f" {facts['type']}" if facts.get("type") else ""
    print(f"Next:   hfft run {facts['recipe_name']}{more}, then hfft eval on that run (opens the test split, once)")


def _points(apart: dict[str, Any] | None) -> str:
    if apart is None:
        return ""
    value, low, high = (100 * apart[part] for part in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _loss(loss: dict[str, Any]) -> str:
    apart = loss["difference"]
    if apart is None:
        return f"{loss['mean']:.3f}"
    return f"{apart['value']:+.3f} [{apart['low']:+.3f}, {apart['high']:+.3f}]"


def _chance(p: float) -> str:
    return "≤ 0.001" if p <= 0.001 else f"{p:.3f}"
