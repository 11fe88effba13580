"""Training without padding: the layers of an encoder run on a batch's real tokens, one after the other.

In: a classifier whose stack of layers takes (rows, width, hidden) and an attention mask. Out: the same model object
with two hooks around that stack, and a way to take them off. Embeddings and head see padded batches as ever: names of
weights, saved files and everything else stay what they are. It must not know data, recipes or the Trainer.

The stack is handed (1, tokens, hidden), and a `Layout` in the place of the mask, which its layers pass on unread to the
attention function; nothing else mixes tokens. That function lays queries, keys and values out as the padded batch that
`scaled_dot_product_attention` needs, and picks the real tokens of what it gives.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from hfft import anatomy, dropping
from hfft.errors import InputError

NAME = "hfft_packed"  # of the attention function; transformers never writes it into config.json
NEAR = 1e-5  # of a logit, and relative where logits are large
SHORT = 64  # tokens; from about 100 on the fused kernel wins
PART = 4  # rows that attention pads to one width, on CPU
LENGTHS = (7, 3, 11)  # of the rows that a model is tried on


class Unfit(Exception):  # noqa: N818 - a reason, told in one line, and not an error
    """Why the layers of a model cannot run without padding."""


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a batch are. keys: real tokens of the padded batch, bool (rows, width)."""

    keys: torch.Tensor
    real: torch.Tensor  # place of each token in the padded batch, int (tokens,)
    shown: torch.Tensor  # token that each place shows, int (rows * width,); padding shows the first: finite, and masked
    brief: frozenset[int] = frozenset()  # modules that are asked about first tokens alone
    parts: tuple[Layout, ...] = ()  # rows of like length, whose tokens follow one another; attention goes part by part
    heads: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    @property
    def first(self) -> torch.Tensor:
        """Each row's first token, int (rows,)."""
        return self.shown[:: self.keys.shape[1]]

    @classmethod
    def of(cls, keys: torch.Tensor, brief: frozenset[int] = frozenset()) -> Layout:
        if keys.device.type != "cpu" or len(keys) <= PART:
            return cls._whole(keys, keys.flatten().nonzero()[:, 0], brief)
        ends = keys.shape[1] - keys.flip(1).int().argmax(1)  # a row's last token, and one more
        order = ends.argsort()
        parts = []
        for rows in order.split(PART):
            part = keys[rows, : int(ends[rows[-1]])]
            parts.append(cls._whole(part, part.flatten().nonzero()[:, 0], brief))
        row, place = keys[order].nonzero().T
        return cls._whole(keys, order[row] * keys.shape[1] + place, brief, tuple(parts))

    @classmethod
    def _whole(
        cls, keys: torch.Tensor, real: torch.Tensor, brief: frozenset[int], parts: tuple[Layout, ...] = ()
    ) -> Layout:
        shown = torch.zeros(keys.numel(), dtype=torch.int64, device=keys.device)
        shown[real] = torch.arange(len(real), device=keys.device)
        return cls(keys, real, shown, brief, parts)

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
    lengths = [len(part.real) for part in attention_mask.parts]
    split = zip(*(x.split(lengths, 2) for x in (query * scale, key, value)), attention_mask.parts, strict=True)
    return torch.cat([_of_part(module, *given, dropout) for given in split], 1), None


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
        out = _attended(asked, padded(key), padded(value), layout, dropout)
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


class Packed:
    """A model whose layers run without padding, from here to `end`. Raises Unfit where they cannot, and leaves all as
    it was.

    Where the head reads each row's first token alone, the feed-forward part of the last layer is run on no other. Rows
    of one length, and rows padded on the left, whose first place is no token, are left alone. Works under
    DistributedDataParallel, LoRA and gradient checkpointing, whose second pass is given the same `Layout`.
    """

    def __init__(self, model: Any, fresh: tuple[str, ...] = ()) -> None:
        self.model = model
        self.stack, self.last = _stack(model, fresh)
        self.takes = inspect.signature(self.stack.forward)
        self.handles: list[Any] = []
        self.was = model.config._attn_implementation
        if self.was != "sdpa":
            raise Unfit(f"its attention is {self.was}, not sdpa")
        if model.config.output_hidden_states:
            raise Unfit("its layers' own outputs are asked for")
        AttentionInterface.register(NAME, attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        try:
            inputs = _inputs(model)
            padded, reason = _logits(model, inputs), ""
        except (TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise Unfit(f"it cannot be tried on made-up rows ({type(error).__name__})") from error
        if float((padded.amax(0) - padded.amin(0)).max()) < 10 * NEAR:
            raise Unfit("it answers alike whatever it reads, so nothing can be compared")
        for first in (True, False):
            self._begin(first)
            reason = self._differs(inputs, padded)
            if not reason:
                return
            self.end()
        raise Unfit(reason)

    def end(self) -> None:
        """The model as it was."""
        for handle in self.handles:
            handle.remove()
        self.model.config._attn_implementation = self.was

    def _begin(self, first: bool) -> None:
        """first: whether only first tokens go through the last feed-forward part and to the head."""
        self.first = first and isinstance(getattr(self.last, "attention", None), torch.nn.Module)
        self.brief = frozenset(map(id, self.last.attention.modules())) if self.first else frozenset()
        self.model.config._attn_implementation = NAME
        self.handles = [
            self.stack.register_forward_pre_hook(self._pack, with_kwargs=True),
            self.stack.register_forward_hook(self._unpack, with_kwargs=True),
        ]
        if self.first:
            self.handles.append(self.last.attention.register_forward_hook(_firsts, with_kwargs=True))

    def _differs(self, inputs: dict[str, torch.Tensor], padded: torch.Tensor) -> str:
        """Why it will not do, or ""."""
        try:
            packed = _logits(self.model, inputs)
        except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            return f"its layers need padding ({type(error).__name__})"
        if torch.allclose(packed, padded, rtol=NEAR, atol=NEAR):
            return ""
        return f"its answers would change by {float((packed - padded).abs().max()):.1g}"

    def _pack(self, stack: Any, args: Any, kwargs: Any) -> Any:
        given = self.takes.bind(*args, **kwargs)
        hidden, mask = given.arguments["hidden_states"], given.arguments.get("attention_mask")
        if mask is None:
            return None
        keys = (mask[:, 0, 0] if mask.ndim == 4 else mask).bool()
        if not keys[:, 0].all():
            return None
        layout = Layout.of(keys, self.brief)
        given.arguments["hidden_states"] = hidden.flatten(0, 1).index_select(0, layout.real)[None]
        given.arguments["attention_mask"] = layout
        return given.args, given.kwargs

    def _unpack(self, stack: Any, args: Any, kwargs: Any, output: Any) -> Any:
        layout = _layout(args, kwargs)
        if layout is None:
            return None
        packed = output[0][0]
        if not self.first:
            empty = packed.new_zeros(layout.keys.numel(), packed.shape[-1])
            packed = empty.index_copy(0, layout.real, packed)
        output["last_hidden_state"] = packed.view(len(layout.keys), -1, packed.shape[-1])
        return output


def _layout(args: Any, kwargs: Any) -> Layout | None:
    """What a module was given in the place of a mask. Nothing is kept in between: several threads may ask one model."""
    return next((given for given in (*args, *kwargs.values()) if isinstance(given, Layout)), None)


def _firsts(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
    """What attention gives for each row's first token alone, (1, rows, hidden)."""
    layout = _layout(args, kwargs)
    if layout is None:
        return output
    return output[0].index_select(1, layout.first), *output[1:]


def _stack(model: Any, fresh: tuple[str, ...]) -> tuple[Any, Any]:
    """(the module that runs through the layers, the last of them). Raises Unfit where none takes hidden states and a
    mask.
    """
    try:
        where = anatomy.dissect(model, fresh).where
    except InputError as error:
        raise Unfit("its layers are not found") from error
    stack = model.get_submodule(where.rpartition(".")[0]) if where and " " not in where else None
    if stack is None or not {"hidden_states", "attention_mask"} <= {*inspect.signature(stack.forward).parameters}:
        raise Unfit("its layers are not found")
    return stack, model.get_submodule(where)[-1]


def _inputs(model: Any) -> dict[str, torch.Tensor]:
    """A small batch of made-up rows of different lengths, padded on the right."""
    config, device = model.config, next(model.parameters()).device
    pad = config.pad_token_id or 0
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    ids = 1 + (torch.arange(mask.numel()).view(mask.shape) * 7919 + 13) % (config.vocab_size - 1)
    ids[ids == pad] = (pad + 1) % config.vocab_size
    ids[~mask] = pad
    return {"input_ids": ids.to(device), "attention_mask": mask.long().to(device)}


@torch.no_grad()
def _logits(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Without dropout; every part of the model is left in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    try:
        logits: torch.Tensor = model.eval()(**inputs).logits
        return logits
    finally:
        for module in training:
            module.training = True
