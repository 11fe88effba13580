"""The stock Trainer, whose checkpoints are whole or not there, and which goes on from one as if it had never stopped.

In: what Trainer takes. Out: the same training. Each checkpoint is written into a hidden folder beside its place, sealed
and flushed to the disk, moved into place, and only then older ones go. What Trainer forgets over a resume (the running
loss, that training was over) is kept in one more file of the checkpoint. It must not know which checkpoint to take.
"""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import rotate_checkpoints

from hfft import checkpoints
from hfft.agreeing import agreed, gathered
from hfft.errors import InputError
from hfft.records import read_json, write_json


class SavingTrainer(Trainer):
    """changed: the recipe or the launch is another one than before, and what ended training then need not end it now.

    Overridden are what Trainer does around a checkpoint and around an epoch: how it trains stays its own.
    """

    def __init__(self, *args: Any, changed: bool = False, **named: Any) -> None:
        super().__init__(*args, **named)
        self.changed, self.over, self.writing = changed, False, False
        self.point: Path | None = None
        self.add_callback(_Beginning(self))

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **named: Any) -> Any:
        self.point = Path(str(resume_from_checkpoint)) if resume_from_checkpoint else None
        return super().train(resume_from_checkpoint, *args, **named)

    def begin(self) -> None:
        """Before the first step: clear up, and take over what the checkpoint holds beyond Trainer's own files."""
        root = Path(str(self.args.output_dir))
        if self.args.should_save:  # no process can be saving: that takes a step of all of them
            checkpoints.sweep(root)
        if self.point is None:
            return
        state: Any = self.state
        self.args.eval_on_start = False  # it was evaluated then
        state.compute_steps(self.args, state.max_steps)  # else the old recipe's, which may have been changed
        _name_best(state, root)
        if self.changed and (best := state.best_model_checkpoint) and agreed(lambda: checkpoints.flaw(Path(best))):
            state.best_metric, state.best_model_checkpoint, state.best_global_step = None, None, 0
        early = _ended(read_json(self.point / checkpoints.STATE)) and not self.changed
        self.over = early or state.global_step >= state.max_steps
        if (self.point / checkpoints.RUNNING).is_file():
            self._take(read_json(self.point / checkpoints.RUNNING))
        if self.args.should_save and checkpoints.every(root)[-1:] == [self.point]:  # killed before it had done so
            rotate_checkpoints(str(root), self.args.save_total_limit, state.best_model_checkpoint)

    def _take(self, kept: dict[str, Any]) -> None:
        if len(kept["loss"]) == self.args.world_size:
            self._tr_loss.fill_(kept["loss"][self.args.process_index])
        self._total_loss_scalar, self._globalstep_last_logged = kept["total"], kept["logged"]

    def _run_epoch(self, *args: Any, **named: Any) -> None:
        if self.over:  # Trainer would take a step before it looks
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **named)

    def _finalize_training(self, *args: Any, **named: Any) -> Any:
        done = super()._finalize_training(*args, **named)
        # Trainer divides by the steps of this launch; the sum is of all.
        self.state.log_history[-1]["train_loss"] = self._total_loss_scalar / max(self.state.global_step, 1)
        return done

    def _get_output_dir(self, trial: Any) -> str:
        place = super()._get_output_dir(trial)
        return str(checkpoints.hidden(Path(place), self.state.global_step)) if self.writing else place

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        args, state = self.args, self.state
        root, step = Path(str(args.output_dir)), state.global_step
        self.writing = True
        try:
            super()._save_checkpoint(model, trial)  # rotation sees one checkpoint there, and removes none
        except BaseException:
            if args.should_save:  # of a full disk, above all: what is there already stays the newest
                shutil.rmtree(checkpoints.hidden(root, step), ignore_errors=True)
            raise
        finally:
            self.writing = False
        losses = gathered([float(self._tr_loss)], args.world_size)  # now all have written their parts
        if args.should_save:
            made = checkpoints.hidden(root, step) / f"{checkpoints.NAME}{step}"
            sums = {"loss": losses, "total": self._total_loss_scalar, "logged": self._globalstep_last_logged}
            facts = {"processes": args.world_size, "planned": self._planned()}
            write_json(made / checkpoints.RUNNING, facts | sums)
            _name_best(state, root)
            state.save_to_json(str(made / checkpoints.STATE))
            self._drop_unplanned(checkpoints.settle(root, step))
            rotate_checkpoints(str(root), args.save_total_limit, state.best_model_checkpoint)
        if args.world_size > 1:
            torch.distributed.barrier()
        _name_best(state, root)

    def _planned(self) -> bool:
        """Whether the recipe asks for a checkpoint here, and not a signal that stops the run."""
        args, state = self.args, self.state
        ends = self.control.should_training_stop or state.global_step >= state.max_steps
        at = {"steps": state.global_step % (state.save_steps or 1) == 0, "epoch": float(state.epoch or 0).is_integer()}
        return ends or at.get(str(getattr(args.save_strategy, "value", args.save_strategy)), True)

    def _drop_unplanned(self, newest: Path) -> None:
        """A run that nobody stopped would not have them, and what rotates out or is averaged goes by their number."""
        for folder in checkpoints.every(newest.parent):
            if folder not in (newest, Path(self.state.best_model_checkpoint or "")) and not checkpoints.planned(folder):
                shutil.rmtree(folder)

    def _load_best_model(self) -> None:
        best = Path(str(self.state.best_model_checkpoint))
        if why := agreed(lambda: checkpoints.flaw(best)):
            raise InputError(
                f"{best}, the best checkpoint, cannot be used: {why}; type `hfft run {best.parent.parent} --resume` to "
                "train from one that can"
            )
        super()._load_best_model()


class _Beginning(TrainerCallback):
    """Trainer sets its sums to 0 just before this, and its first step comes after it."""

    def __init__(self, trainer: SavingTrainer) -> None:
        # A Trainer that held itself would keep its model until the garbage is collected.
        self.trainer = weakref.ref(trainer)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if (trainer := self.trainer()) is not None:
            trainer.begin()


def _ended(was: dict[str, Any]) -> bool:
    """Whether training had come to its end before its last step, by patience or by time, when this was saved."""
    control = was.get("stateful_callbacks", {}).get("TrainerControl", {}).get("args", {})
    return bool(control.get("should_training_stop")) and was["global_step"] < was["max_steps"]


def _name_best(state: Any, root: Path) -> None:
    """Where the best checkpoint is: not where it was written, nor where the run lay before it was moved."""
    step, name = state.best_global_step, Path(state.best_model_checkpoint or "").name
    if step and (root / f"{checkpoints.NAME}{step}").is_dir():
        name = f"{checkpoints.NAME}{step}"
    state.best_model_checkpoint = str(root / name) if name else None
