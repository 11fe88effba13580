"""What `hfft check` says of masks, in the terminal. In: facts of mask_profile.py. Out: stdout, plain when piped."""

from __future__ import annotations

from hfft import terminal
from hfft.measures import percent

MANY = 24  # classes that are shown


def classes(found: dict[str, dict[str, dict[str, float]]], sizes: dict[str, int]) -> None:
    """Images that have each class, and its share of the pixels, in every split. sizes: split → images."""
    table = terminal.table("class: images, share of pixels", *found)
    pixels = {name: int(one["pixels"]) for name, one in found["train"].items()}
    first, last, left_out = terminal.ends(pixels, MANY)
    for name in (*first, None, *last) if left_out else first:
        if name is None:
            table.add_row(f"… {left_out:,} more")
            continue
        cells = [part[name] for part in found.values()]
        table.add_row(name, *(f"{one['images']:,}  {percent(one['share']):>6}" for one in cells))
    table.add_row("all", *(f"{sizes[split]:,}  {'':>6}" for split in found))
    terminal.console().print(table)
