"""One trial of a search: a run, or a cross-validation, of the recipe with some values; and what is kept of it.

In: words, a folder. Out: a score; files in the folder. Like repeating.py, this is where stages meet.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfft import claiming, folding, mask_records, recipe, scoring, studies, training, verbs, winners
from hfft.agreeing import agreed, first
from hfft.errors import InputError
from hfft.recipe import Recipe
from hfft.reckoning import MEMBER
from hfft.records import OUT_OF_FOLD, write_whole
from hfft.run_folder import RunFolder
from hfft.watching import OutOfTime, Unpromising, Watch, watched


def metric(wanted: Recipe) -> str:
    """The metric that chooses, as training calls it."""
    asked = str(wanted.train.get("metric_for_best_model") or "").removeprefix("eval_")
    if "[" in asked:  # of one class: known when the data are
        return asked
    return training.best_metric(wanted, scoring.keys(wanted.metrics, ("a", "b"), wanted.data.multi_label, wanted.masks))


def key(wanted: Recipe) -> str:
    """The same as `scoring.score` calls it."""
    name = metric(wanted)
    return "log_loss" if name == "loss" else name


def answers(folds: int | None) -> str:
    """Where a trial's answers to the rows that score it lie in its folder."""
    return f"predictions/{OUT_OF_FOLD if folds else 'validation'}.parquet"


def trained(name: str, words: tuple[str, ...], folder: Path, folds: int | None, wanted: str, watch: Watch) -> float:
    """One trial's score by `wanted`. Where its folder is begun, it goes on from there."""
    if folds is not None:
        return _folded(name, words, folder, folds, wanted, watch)
    run = RunFolder(folder)
    if not run.finished:
        with watched(watch), _told(folder):
            verbs.run(name, words, str(folder), (folder / "recipe.yaml").is_file(), _silent)
    return _scored(folder / answers(None), recipe.load(name, words), wanted)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What is no mistake in the recipe is kept beside the trial, for whoever has to find out."""
    try:
        yield
    except (InputError, Unpromising, OutOfTime):
        raise
    except Exception:
        if folder.is_dir():
            trace = traceback.format_exc()
            write_whole(folder / "error.txt", lambda target: target.write_text(trace, encoding="utf-8"))
        raise


def moved(root: Path, old: int, new: int) -> None:
    """What a worker left that died goes on under the number that its values have now."""
    before, after = root / f"{MEMBER}{old}", root / f"{MEMBER}{new}"
    if before.is_dir() and not after.exists():
        before.rename(after)


def lightened(root: Path, study: Any) -> None:
    """Weights are kept of the best trial and of the recipe as it is; of the others, answers and scores."""
    if study is None:  # a process other than the first
        return
    done = [trial for trial in studies.trials(study) if trial.state.is_finished()]
    scored = [trial for trial in done if trial.state.name == "COMPLETE"]
    ahead = max if study.direction.name == "MAXIMIZE" else min
    best = ahead(scored, key=lambda trial: trial.value).number if scored else None
    for trial in done:
        if trial.number != best and studies.PLAIN not in trial.user_attrs:
            folder = root / f"{MEMBER}{trial.number}"
            for path in [*folder.rglob("model"), *folder.rglob("checkpoints")]:
                shutil.rmtree(path, ignore_errors=True)


def _folded(name: str, words: tuple[str, ...], folder: Path, folds: int, wanted: str, watch: Watch) -> float:
    def after(values: list[float]) -> None:
        share = round(100 * len(values) / folds)
        if share < 100 and agreed(lambda: watch.tell(sum(values) / len(values), share)):
            raise Unpromising

    with watched(Watch(watch.metric, lambda value, share: False, watch.until)):
        facts = folding.run(name, words, str(folder), folds, 1, bool(claiming.held(folder)), _silent, after)
    if "scores" not in facts:  # a process other than the first
        return 0.0
    if "stopped" in facts:
        raise KeyboardInterrupt
    if wanted in facts["scores"]:
        return float(facts["scores"][wanted]["mean"])
    return _scored(folder / answers(folds), recipe.load(name, words), wanted)


def _scored(path: Path, made: Recipe, wanted: str) -> float:
    if not first():
        return 0.0
    value = winners.value(mask_records.read(path), made.metrics, wanted)
    if value is None:
        raise InputError(f"{wanted} is undefined on these rows; type train.metric_for_best_model=accuracy, or another")
    return value


def _silent(_: str) -> None:
    """The line of the search says enough."""
