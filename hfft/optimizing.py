"""Which parameters are trained, at what rate and with what weight decay: the groups that the optimizer gets.

In: arguments and a model. Out: the optimizer's class and options in the form the Trainer takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import Trainer, TrainingArguments

from hfft.errors import InputError


def optimizer(
    args: TrainingArguments, model: Any, rates: Callable[[str], float] | None = None
) -> tuple[Any, dict[str, Any]]:
    """The optimizer `Trainer` would build, with weight decay on matrices and kernels only.

    Its own rule goes by names, and lets BatchNorm weights decay. rates: share of the learning rate of each parameter by
    its name; the groups with the full rate come first, because that is the rate that is logged. Raises InputError when
    the optimizer makes groups of its own.
    """
    kind, options = Trainer.get_optimizer_cls_and_kwargs(args, model)
    own = {"params", "model", "optimizer_dict"} & set(options)
    if own and rates is not None:
        raise InputError(
            f"adapt.layer_decay: train.optim {args.optim} makes its own groups of parameters; leave one of them out"
        )
    if not own and rates is not None:
        options["params"] = _by_rate(args, model, rates)
    elif not own:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        options["params"] = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": args.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
    return kind, options


def _by_rate(args: TrainingArguments, model: Any, rates: Callable[[str], float]) -> list[dict[str, Any]]:
    """Groups of one rate each, and within a rate those that decay and those that do not."""
    groups: dict[tuple[float, bool], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((rates(name), parameter.ndim > 1), []).append(parameter)
    return [
        {"params": members, "lr": args.learning_rate * rate, "weight_decay": args.weight_decay if decays else 0.0}
        for (rate, decays), members in sorted(groups.items(), key=lambda item: item[0], reverse=True)
    ]
