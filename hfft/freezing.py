"""Which parameters are trained: everything above a depth, the same all the time or one block more each epoch.

In: a model and its anatomy. Out: parameters that take no gradient, in modules that stay in evaluation mode. It must
not know how the rest is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from hfft.anatomy import Anatomy
from hfft.errors import InputError, counted


class Freezing:
    """Freezes a model up to a depth. Frozen modules stay in evaluation mode while the rest trains: their BatchNorm
    keeps its statistics, and their dropout is off.
    """

    def __init__(self, model: Any, places: dict[str, int], depth: Callable[[str], int]) -> None:
        # What never takes a gradient, such as fixed positions, is left alone.
        self.own = [(parameter, depth(name)) for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.modules = [(module, places[name], name) for name, module in model.named_modules()]
        self.still: list[Any] = []
        # Trainer calls model.train() before each step, and what is below it follows.
        self.handle = model.register_forward_pre_hook(self._hold)

    def _hold(self, *_: Any) -> None:
        for module in self.still:
            module.training = False

    def up_to(self, level: int, top: int) -> None:
        """Freeze depths 0 to `level`; -1 freezes nothing, `top` everything but the head."""
        for parameter, depth in self.own:
            parameter.requires_grad_(depth > level)
        names = [name for _, depth, name in self.modules if depth > level]
        # A module that holds trained ones is not still itself, unless everything but the head is.
        holds = {name[:n] for name in names for n in range(len(name)) if n == 0 or name[n] == "."}
        self.still = [m for m, depth, name in self.modules if depth <= level and (level == top or name not in holds)]

    def keep(self, modules: list[Any]) -> None:
        """Hold these modules in evaluation mode, whatever is trained."""
        self.still = modules

    def end(self) -> None:
        """Everything takes gradients again, as before."""
        self.handle.remove()
        for parameter, _ in self.own:
            parameter.requires_grad_(True)


class Unfreezing(TrainerCallback):
    """Gradual unfreezing: each epoch one more block from the top is trained (Howard and Ruder 2018, section 3.3).

    The epoch alone decides, so that a run that is resumed goes on as it would have.
    """

    def __init__(self, freezing: Freezing, anatomy: Anatomy, start: int) -> None:
        self.freezing, self.anatomy, self.start = freezing, anatomy, start

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        epoch = int((state.epoch or 0) + 1e-6)
        level = min(self.start, self.anatomy.blocks) - epoch if epoch else self.start
        self.freezing.up_to(max(level, -1), self.anatomy.top)


def level(freeze: int | str, anatomy: Anatomy) -> int:
    """Depth up to which `adapt.freeze` freezes. Raises InputError when the model has no blocks, or not so many."""
    if freeze == "none":
        return -1
    if freeze == "backbone":
        return anatomy.top
    if not anatomy.blocks:
        raise InputError(f"adapt.freeze: {freeze} blocks are to be frozen, but {_none()}; type adapt.freeze=backbone")
    if int(freeze) > anatomy.blocks:
        raise InputError(
            f"adapt.freeze: {freeze} blocks are to be frozen, but this model has {counted(anatomy.blocks, 'block')} "
            f"({anatomy.where}); type a number up to {anatomy.blocks}, or backbone"
        )
    return int(freeze)


def rates(decay: float, anatomy: Anatomy) -> Callable[[str], float]:
    """Share of the learning rate for each parameter: decay to the power of its blocks' distance from the head.

    Clark et al. 2020 (ELECTRA), appendix B. Raises InputError when the model has no blocks.
    """
    if not anatomy.blocks:
        raise InputError(f"adapt.layer_decay: {_none()}; leave the key out")
    return lambda name: decay ** (anatomy.top - min(anatomy.depth(name), anatomy.top))


def _none() -> str:
    return "no row of blocks could be found in this model"
