"""A learning-rate sweep in the terminal. In: what rate_finding.py returned. Out: stdout."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from hfft.terminal import console, table

LINES = 12  # of the curve
WIDTH = 40  # of its bars


def swept(facts: dict[str, Any]) -> None:
    """The curve in a dozen lines, and what to type."""
    rates, smooth = facts["rates"], facts["smooth"]
    if not smooth:
        print("The loss was not a number from the first step on: mend the data or the model.")
        return
    low = min(smooth)
    high = min(max(smooth), 2 * smooth[0] - low)  # what rises far above the start would flatten the rest
    rows = table("learning rate", "loss", "")
    rows.columns[2].justify = "left"
    for step in sorted({round(i * (len(rates) - 1) / (LINES - 1)) for i in range(LINES)}):
        share = (min(smooth[step], high) - low) / ((high - low) or 1)
        bar = Text("▪" * round(WIDTH * share))
        rows.add_row(f"{rates[step]:.1e}", f"{smooth[step]:.3f}", bar)
    console().print(rows)
    if facts["suggested"] is None:
        print(f"The loss did not fall by a twentieth in {facts['steps']} steps: no rate can be told. Type --steps 300.")
    else:
        print(
            f"The loss falls from {facts['begins']:.0e} on and is lowest at {facts['lowest']:.0e}; a tenth of that is "
            f"a rate to start from.\nOne sweep over few rows: try half and twice of it, too.\n\n"
            f"Next:   hfft run {facts['recipe']} train.learning_rate={facts['suggested']:g}"
        )
    if facts["default"]:
        print(f"(hfft's start for this kind of model, without a sweep: {facts['default']:g})")
