"""Attention over rows that lie one after the other: which tokens are whose, and the function that layers call.

In: queries, keys and values of a batch's real tokens, and a `Layout`. Out: what attention gives for each of them. It
must not know a model. On a CPU rows of like length are padded together, a few at a time: what attention computes for
padding grows with the square of the width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from hfft import dropping

SHORT = 64  # tokens; from about 100 on the fused kernel wins
PART = 4  # rows that are padded to one width, on CPU
# Products of half precision on a CPU, and those of packed weights (packed_linear.py), are compiled for each shape, some
# ms and half a MB each time: few shapes, a little more to compute. Tokens of a batch are whole multiples, in inference
# larger ones, and so are widths of a part where attention, too, is in half precision.
TOKENS, ANSWERED, WIDTH = 32, 64, 16


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a batch are. keys: real tokens of the padded batch, bool (rows, width)."""

    keys: torch.Tensor
    real: torch.Tensor  # place of each token in the padded batch, int (tokens,)
    shown: torch.Tensor  # token that each place shows, int (rows * width,); padding shows the first: finite, and masked
    brief: frozenset[int] = frozenset()  # modules that are asked about first tokens alone
    spare: int = 0  # tokens after the real ones that nobody reads: the first, again
    parts: tuple[Layout, ...] = ()  # rows of like length, whose tokens follow one another; attention goes part by part
    heads: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    @property
    def taken(self) -> torch.Tensor:
        """Places of the tokens that layers are given, int (tokens and spare ones,)."""
        return torch.cat([self.real, self.real[:1].expand(self.spare)]) if self.spare else self.real

    @property
    def first(self) -> torch.Tensor:
        """Each row's first token, int (rows,)."""
        return self.shown[:: self.keys.shape[1]]

    @classmethod
    def of(cls, keys: torch.Tensor, brief: frozenset[int] = frozenset()) -> Layout:
        compiled = by_shape(keys)
        fill = ANSWERED if in_inference(keys) else TOKENS if compiled else 1
        if keys.device.type != "cpu" or not len(keys) or (len(keys) <= PART and fill == 1):
            return cls._whole(keys, keys.flatten().nonzero()[:, 0], brief)
        wide = torch.nn.functional.pad(keys, (0, -keys.shape[1] % WIDTH)) if compiled else keys
        ends = keys.shape[1] - keys.flip(1).int().argmax(1)  # a row's last token, and one more
        order = ends.argsort()
        parts = []
        for rows in order.split(PART):
            width = int(ends[rows[-1]])
            part = wide[rows, : width + (-width % WIDTH if compiled else 0)]
            parts.append(cls._whole(part, part.flatten().nonzero()[:, 0], brief))
        row, place = keys[order].nonzero().T
        return cls._whole(keys, order[row] * keys.shape[1] + place, brief, tuple(parts), -len(row) % fill)

    @classmethod
    def _whole(
        cls,
        keys: torch.Tensor,
        real: torch.Tensor,
        brief: frozenset[int],
        parts: tuple[Layout, ...] = (),
        spare: int = 0,
    ) -> Layout:
        shown = torch.zeros(keys.numel(), dtype=torch.int64, device=keys.device)
        shown[real] = torch.arange(len(real), device=keys.device)
        return cls(keys, real, shown, brief, spare, parts)

    def bias(self, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the scores of all queries, (rows, 1, 1, width)."""
        return torch.zeros_like(self.keys, dtype=dtype).masked_fill_(~self.keys, -math.inf)[:, None, None]

    def by_head(self, heads: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(shown, real) for numbers with heads: padded are (rows, heads, width), packed are (tokens, heads)."""
        if heads not in self.heads:
            rows, width = self.keys.shape
            each = torch.arange(heads, device=self.keys.device)
            shown = self.shown.view(rows, 1, width) * heads + each[:, None]
            row, place = self.real // width, self.real % width
            real = (row[:, None] * heads + each) * width + place[:, None]
            self.heads[heads] = shown.flatten(), real.flatten()
        return self.heads[heads]


def by_shape(keys: torch.Tensor) -> bool:
    """Whether products are compiled for each shape: in half precision on a CPU."""
    return keys.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def in_inference(x: torch.Tensor) -> bool:
    """Whether layers may have packed weights: in inference on a CPU."""
    return x.device.type == "cpu" and torch.is_inference_mode_enabled()


class _Padded(torch.autograd.Function):
    """Packed numbers as a padded batch. What padding shows takes no part in anything, so it has no gradient; torch
    would add it all up, which takes far longer.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, shown: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(real)
        return x.index_select(0, shown)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return grads[0].index_select(0, ctx.saved_tensors[0]), None, None


class _Real(torch.autograd.Function):
    """The real numbers of a padded batch, each of them once; the gradient of padding is 0."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(real)
        ctx.length = len(x)
        return x.index_select(0, real)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        empty = grads[0].new_zeros(ctx.length, *grads[0].shape[1:])
        return empty.index_copy_(0, ctx.saved_tensors[0], grads[0]), None


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers' attention interface asks for. query, key, value: (1, heads, tokens, size) with a `Layout` for
    the mask, otherwise (rows, heads, width, size). Returns the same with heads and tokens exchanged.
    """
    if not isinstance(attention_mask, Layout):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **more)
    scale = 1 / math.sqrt(query.shape[3]) if scaling is None else scaling
    if not attention_mask.parts:
        return _of_part(module, query * scale, key, value, attention_mask, dropout), None
    lengths = [*(len(part.real) for part in attention_mask.parts), attention_mask.spare]
    *given, _ = zip(*(x.split(lengths, 2) for x in (query * scale, key, value)), strict=True)
    each = zip(given, attention_mask.parts, strict=True)
    found = [_of_part(module, q, k, v, part, dropout) for (q, k, v), part in each]
    spare = value.new_zeros(1, attention_mask.spare, *found[0].shape[2:])
    return torch.cat([*found, spare.to(found[0].dtype)], 1), None


def _of_part(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, dropout: float
) -> torch.Tensor:
    """The same of rows that are padded to one width; query is scaled already."""
    heads, size = query.shape[1], query.shape[3]
    shown, real = layout.by_head(heads)
    rows, width = layout.keys.shape

    def padded(x: torch.Tensor) -> torch.Tensor:
        flat = x.transpose(1, 2).reshape(-1, size)
        return _Padded.apply(flat, shown, real).view(rows, heads, width, size)

    if id(module) in layout.brief:
        first = layout.first
        asked = query[0].transpose(0, 1).index_select(0, first)[:, :, None]
        key, value = padded(key), padded(value)
        whole = by_shape(layout.keys)  # one query of each row: five products to compile for each width, of no weight
        if whole:
            asked, key, value = asked.float(), key.float(), value.float()
        with torch.autocast("cpu", enabled=False):  # where it is not whole, it is off already
            out = _attended(asked, key, value, layout, dropout)
        empty = out.new_zeros(query.shape[2], heads, size)
        return empty.index_copy(0, first, out[:, :, 0])[None]
    out = _attended(padded(query), padded(key), padded(value), layout, dropout)
    packed: torch.Tensor = _Real.apply(out.reshape(-1, size), real)
    return packed.view(1, -1, heads, size)


def _attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, p: float) -> torch.Tensor:
    """Attention over real keys. query, scaled already: (rows, heads, asked, size); key, value: (…, width, size).

    On CPU torch has no fused kernel with dropout, and on short rows its fused one is slower than its parts.
    """
    if query.device.type != "cpu" or not (p or key.shape[2] <= SHORT):
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=layout.keys[:, None, None], dropout_p=p, scale=1.0
        )
    weights = (query @ key.transpose(-1, -2) + layout.bias(query.dtype)).softmax(-1)
    return (dropping.dropped(weights, p) if p else weights).to(value.dtype) @ value
