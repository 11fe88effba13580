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
import threading
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from hfft import anatomy
from hfft.errors import InputError
from hfft.packed_attention import Layout, attention, in_inference

NAME = "hfft_packed"  # of the attention function; transformers never writes it into config.json
NEAR = 1e-5  # of a logit, and relative where logits are large
LENGTHS = (7, 3, 11)  # of the rows that a model is tried on


class Unfit(Exception):  # noqa: N818 - a reason, told in one line, and not an error
    """Why the layers of a model cannot run without padding."""


class Packed:
    """A model whose layers run without padding, from here to `end`. Raises Unfit where they cannot, and leaves all as
    it was.

    Where the head reads each row's first token alone, the feed-forward part of the last layer is run on no other. Rows
    of one length, where gradients are wanted, and rows padded on the left, whose first place is no token, are left
    alone. Works under DistributedDataParallel, LoRA and gradient checkpointing, whose second pass is given the same
    `Layout`.
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
        except Exception as error:  # whatever a model makes of rows that nobody meant it for
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
            self.handles += _only_first(self.last.attention)

    def _differs(self, inputs: dict[str, torch.Tensor], padded: torch.Tensor) -> str:
        """Why it will not do, or ""."""
        self.tried = False
        try:
            packed = _logits(self.model, inputs)
        except Exception as error:
            return f"its layers need padding ({type(error).__name__})"
        if not self.tried:
            return "its layers are given no mask that tells padding"
        if torch.allclose(packed, padded, rtol=NEAR, atol=NEAR):
            return ""
        return f"its answers would change by {float((packed - padded).abs().max()):.1g}"

    def _pack(self, stack: Any, args: Any, kwargs: Any) -> Any:
        given = self.takes.bind(*args, **kwargs)
        hidden, mask = given.arguments["hidden_states"], given.arguments.get("attention_mask")
        if mask is None:  # rows of one length
            if not in_inference(hidden):
                return None
            mask = hidden.new_ones(hidden.shape[:2], dtype=torch.bool)
        keys = mask[:, 0, 0] if mask.ndim == 4 else mask
        keys = keys == 0 if keys.is_floating_point() else keys.bool()  # of numbers: what is added to a score
        if not keys[:, 0].all():
            return None
        layout, self.tried = Layout.of(keys, self.brief), True
        given.arguments["hidden_states"] = hidden.flatten(0, 1).index_select(0, layout.taken)[None]
        given.arguments["attention_mask"] = layout
        return given.args, given.kwargs

    def _unpack(self, stack: Any, args: Any, kwargs: Any, output: Any) -> Any:
        layout = _layout(args, kwargs)
        if layout is None:
            return None
        packed = output[0][0]
        if not self.first:
            empty = packed.new_zeros(layout.keys.numel(), packed.shape[-1])
            packed = empty.index_copy(0, layout.real, packed[: len(layout.real)])
        output["last_hidden_state"] = packed.view(len(layout.keys), -1, packed.shape[-1])
        return output


def _layout(args: Any, kwargs: Any) -> Layout | None:
    """What a module was given in the place of a mask. Nothing is kept in between: several threads may ask one model."""
    return next((given for given in (*args, *kwargs.values()) if isinstance(given, Layout)), None)


def _only_first(attention: Any) -> list[Any]:
    """Hooks by which attention gives each row's first token alone, (1, rows, hidden), and where its parts are those of
    BERT asks about no other, and projects no other.
    """
    query, output = getattr(getattr(attention, "self", None), "query", None), getattr(attention, "output", None)
    if not (isinstance(query, torch.nn.Module) and isinstance(output, torch.nn.Module)):
        return [attention.register_forward_hook(_firsts, with_kwargs=True)]
    under_way = threading.local()  # these parts are not given the layout

    def begin(module: Any, args: Any, kwargs: Any) -> None:
        under_way.layout = _layout(args, kwargs)

    def narrow(module: Any, args: Any) -> Any:
        layout = under_way.layout
        return args if layout is None else tuple(x.index_select(1, layout.first) for x in args)

    def widen(module: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        layout = under_way.layout
        if layout is None:
            return out
        empty = out.new_zeros(1, len(layout.real) + layout.spare, out.shape[-1])
        return empty.index_copy(1, layout.first, out)

    return [
        attention.register_forward_pre_hook(begin, with_kwargs=True),
        query.register_forward_pre_hook(narrow),
        query.register_forward_hook(widen),
        output.register_forward_pre_hook(narrow),
    ]


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
