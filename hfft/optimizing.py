"""Which parameters are trained, at what rate and with what weight decay: the groups that the optimizer gets.

In: arguments and a model. Out: the optimizer's class and options in the form the Trainer takes.
"""

from __future__ import annotations

from typing import Any

from transformers import Trainer, TrainingArguments


def optimizer(args: TrainingArguments, model: Any) -> tuple[Any, dict[str, Any]]:
    """The optimizer `Trainer` would build, with weight decay on matrices and kernels only.

    Its own rule goes by names, and lets BatchNorm weights decay.
    """
    kind, options = Trainer.get_optimizer_cls_and_kwargs(args, model)
    if not {"params", "model", "optimizer_dict"} & set(options):
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        options["params"] = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": args.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
    return kind, options
