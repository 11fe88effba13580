"""Evaluation while the Trainer trains, in the place of its own loop: sorted rows, hardly any padding, one pass.

In: a Trainer, and what is known of its rows. Out: what `Trainer.evaluation_loop` gives: outputs and labels in the rows'
order, metrics, and the loss as the mean over all rows. Training goes on as if nothing had been evaluated: Trainer's own
loop draws a random number each time. It must not know which rows they are.
"""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput, EvalPrediction, denumpify_detensorize

from hfft import arranging, passes, spreading
from hfft.packed_linear import Make


def install(trainer: Trainer, processor: Any, asked: TrainingArguments, layer: Make | None = None) -> None:
    """Let the Trainer evaluate by `passes`, wherever it can.

    Its own loop stays where the model is spread over processes or compiled, with another way to the loss, and where
    metrics are made batch by batch, as those of masks are. processor: of the rows. asked: the Trainer's arguments, but
    with the precision of answers. layer: see packed_linear.answering.
    """
    args: Any = asked
    if args.batch_eval_metrics or args.include_for_metrics:
        return
    known = weakref.ref(trainer)  # a Trainer that held itself would keep its model until the garbage is collected
    if args.torch_compile or spreading.way(args) or args.device.type == "xla":
        trainer.evaluation_loop = partial(_over_rows, known)  # type: ignore[method-assign, assignment]
        return

    def loop(dataloader: Any, description: str, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> EvalLoopOutput:
        return evaluated(known(), dataloader.dataset, processor, args, metric_key_prefix, layer)

    trainer.evaluation_loop = loop  # type: ignore[method-assign, assignment]


def _over_rows(known: Any, *given: Any, **options: Any) -> EvalLoopOutput:
    """Trainer's own loop, with the loss as the mean over all rows: its own is one of batches, and where processes have
    unequal shares, some rows count twice.
    """
    trainer = known()
    found = Trainer.evaluation_loop(trainer, *given, **options)
    prefix = options.get("metric_key_prefix", "eval")
    return found._replace(
        metrics=(found.metrics or {}) | {f"{prefix}_loss": _loss(trainer, found.predictions, found.label_ids)}
    )


def _loss(trainer: Any, logits: Any, labels: Any) -> float:
    with torch.no_grad():
        return float(trainer.compute_loss_func({"logits": torch.from_numpy(logits)}, torch.from_numpy(labels)))


def evaluated(
    trainer: Any, rows: Any, processor: Any, asked: Any, prefix: str, layer: Make | None = None
) -> EvalLoopOutput:
    """Outputs, labels and metrics of prepared rows with `labels`."""
    args = copy.copy(asked)
    args.fp16_full_eval = args.bf16_full_eval = False  # they would cast the weights that are being trained
    model = trainer.accelerator.unwrap_model(trainer.model)
    handler = trainer.callback_handler
    sizes: list[int] = []
    handler.eval_dataloader = sizes  # callbacks are handed the rows of each batch so far

    def after(places: np.ndarray) -> None:
        sizes.append(len(places))
        trainer.control = handler.on_prediction_step(trainer.args, trainer.state, trainer.control)

    arranging.give_back()
    with contextlib.nullcontext() if args.bf16 or args.fp16 else _whole(model):
        found = passes.outputs(model, rows, trainer.data_collator, processor, args, after, layer)
    labels = labels_of(rows)
    metrics: dict[str, Any] = {}
    if trainer.compute_metrics is not None:
        metrics = trainer.compute_metrics(EvalPrediction(predictions=found, label_ids=labels))
    metrics["loss"] = _loss(trainer, found, labels)
    named = {f"{prefix}_{key.removeprefix(f'{prefix}_')}": value for key, value in metrics.items()}
    return EvalLoopOutput(found, labels, denumpify_detensorize(named), len(labels))


@contextlib.contextmanager
def _whole(model: Any) -> Iterator[None]:
    """Within it the model computes in float32: accelerate wraps the forward of one that trains in another precision."""
    wrapped, plain = (model.__dict__.get(name) for name in ("forward", "_original_forward"))
    if plain is not None:
        model.forward = plain
    try:
        yield
    finally:
        if plain is not None:
            model.forward = wrapped


def labels_of(rows: Any) -> np.ndarray:
    """Class ids (n,), or a number for each class (n, classes), of prepared rows; no picture is decoded for them."""
    plain = rows.with_format("numpy", columns=["labels"])[:]["labels"] if hasattr(rows, "with_format") else rows.labels
    labels = np.asarray(plain)
    return labels.astype(np.float32) if labels.dtype.kind == "f" else labels.astype(np.int64)
