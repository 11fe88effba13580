"""Where a model's embeddings, blocks and head are, found in its own structure and not by a list of names.

In: any classifier of transformers, or of timm in its wrapper. Out: the depth of every part: 0 is the embeddings or
stem, 1 to n the blocks, then what comes after them, then the head. It must not know what the depths are used for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch

from hfft import token_mean
from hfft.errors import InputError

NUMBERED = re.compile(r"(.*?)(\d+)")
BEFORE_OR_AFTER = ("stem", "pre_logits", "head")  # names of rows of layers that are no blocks


@dataclass(frozen=True)
class Anatomy:
    """head: names of its modules. where: what the blocks are called. blocks: how many. places: module → its depth."""

    head: tuple[str, ...]
    where: str
    blocks: int
    places: dict[str, int]

    @property
    def top(self) -> int:
        """Depth of what lies between the last block and the head: poolers and last norms."""
        return self.blocks + 1

    def depth(self, parameter: str) -> int:
        """Depth of a parameter: that of the innermost module that was there when the model was taken apart."""
        owner = parameter
        while owner not in self.places:
            owner = owner.rpartition(".")[0]
        return self.places[owner]


def dissect(model: Any, fresh: tuple[str, ...] = ()) -> Anatomy:
    """The parts of a model. fresh: parameters that were made anew, which belong to the head wherever they are.

    blocks is 0 where none can be found. Raises InputError when there is no head.
    """
    head = _head(model, fresh)
    blocks, where = _blocks(model, head)
    if getattr(model.config, token_mean.MARK, False):  # what averages tokens comes after the blocks, and is none
        blocks = blocks[:-1]
    top = len(blocks) + 1
    members = {name: place for place, block in enumerate(blocks, 1) for name in block}
    places, last = {}, False
    for name, _ in model.named_modules():
        parts = name.split(".")
        paths = [".".join(parts[: n + 1]) for n in range(len(parts))]
        inside = next((members[path] for path in paths if path in members), None)
        if any(path in head for path in paths):
            places[name] = top + 1
        elif inside is not None:
            places[name], last = inside, last or inside == len(blocks)
        elif not name or any(other.startswith(f"{name}.") for other in members) or "embed" in name or not last:
            # What holds the blocks owns class tokens and positions, which are embeddings.
            places[name] = 0 if blocks else top
        else:
            places[name] = top
    return Anatomy(head, where, len(blocks), places)


def _head(model: Any, fresh: tuple[str, ...]) -> tuple[str, ...]:
    """Modules that turn features into classes: timm's own answer, or what transformers puts beside the base model."""
    if hasattr(model, "timm_model"):
        found = model.timm_model.get_classifier()
        parts = found if isinstance(found, (tuple, list)) else [found]
        names = {id(module): name for name, module in model.named_modules()}
        head = [names[id(part)] for part in parts if id(part) in names and any(True for _ in part.parameters())]
    else:
        base = model.base_model_prefix if model.base_model is not model else None
        if not base and hasattr(model, "backbone"):  # transformers gives UPerNet no prefix
            base = "backbone"
        head = [n for n, m in model.named_children() if base and n != base and any(True for _ in m.parameters())]
    known = {name for name, _ in model.named_modules()}
    for name in fresh:
        owner = name.rpartition(".")[0]
        if owner in known and not any(owner == part or owner.startswith(f"{part}.") for part in head):
            head.append(owner)
    if not head:
        raise InputError(f"adapt: no head could be found in {type(model).__name__}, so nothing can be frozen below it")
    return tuple(head)


def _blocks(model: Any, head: tuple[str, ...]) -> tuple[list[list[str]], str]:
    """(the module names of each block, what they are called): the largest row of parts that the model runs through."""
    rows: list[tuple[int, list[list[str]], str]] = []
    _collect(model, "", head, rows)
    # Twin layers deep inside are no blocks; two lists of layers, as of an encoder and a decoder, hold half each.
    rows = [row for row in rows if " … " not in row[2] or row[0] > _weight(model, head) / 2]
    if not rows:
        return [], ""
    if getattr(model.config, "is_encoder_decoder", False):
        rows = [row for row in rows if row[2].rpartition(".")[2] == rows[0][2].rpartition(".")[2]]
        return [block for row in rows for block in row[1]], " and ".join(row[2] for row in rows)
    _, blocks, where = max(rows, key=lambda row: row[0])
    return blocks, where


def _weight(model: Any, head: tuple[str, ...]) -> int:
    """Parameters that blocks may be made of: all but the head and the embeddings, which are most of a small model."""
    lookups = {id(p) for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if id(parameter) not in lookups and not any(name.startswith(f"{part}.") for part in head)
    )


def _collect(module: Any, name: str, head: tuple[str, ...], rows: list[tuple[int, list[list[str]], str]]) -> None:
    """Every outermost list of parts below `module`: a ModuleList, a Sequential, or siblings such as layer1 … layer4."""
    stem = f"{name}." if name else ""
    children = [
        (stem + key, child)
        for key, child in module.named_children()
        if stem + key not in head
        and any(True for _ in child.parameters())
        and not any(part in key for part in BEFORE_OR_AFTER)
    ]
    if isinstance(module, (torch.nn.ModuleList, torch.nn.Sequential)) and (len(children) > 1 or "." in name):
        if children:
            rows.append((_size(children), _joined(module, stem), name))
        return
    series: dict[str, list[tuple[str, Any]]] = {}
    for path, child in children:
        if found := NUMBERED.fullmatch(path.rpartition(".")[2]):
            series.setdefault(found[1], []).append((path, child))
    taken: set[str] = set()
    for members in series.values():
        if len(members) > 1 and all(
            isinstance(child, (torch.nn.Sequential, type(members[0][1]))) for _, child in members
        ):
            rows.append((_size(members), [[path] for path, _ in members], f"{members[0][0]} … {members[-1][0]}"))
            taken |= {path for path, _ in members}
    for path, child in children:
        if path not in taken:
            _collect(child, path, head, rows)


def _joined(module: Any, stem: str) -> list[list[str]]:
    """The children, each with weights of its own beginning a block; norms and activations join the one before."""
    blocks: list[list[str]] = []
    for key, child in module.named_children():
        begins = any(parameter.ndim > 1 for parameter in child.parameters())
        if begins or not blocks:
            blocks.append([stem + key])
        else:
            blocks[-1].append(stem + key)
    return blocks


def _size(parts: list[tuple[str, Any]]) -> int:
    return sum(parameter.numel() for _, part in parts for parameter in part.parameters())
