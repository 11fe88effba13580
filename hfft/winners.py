"""What the best of many trials is worth, when the same rows scored them all and chose among them.

In: the answers of every trial to the same rows, and the metric that chose. Out: the gain over the recipe as it was,
what luck alone would have given, what is left of it, and an interval that allows for the choice. It must not know how
trials were made. numpy, scipy.

To first order a score's error is the mean of its rows' pulls (the influence function), so all scores can be thrown
again at once: normal weights on the rows, the same for every trial, as in a multiplier bootstrap. The largest of these
errors is what the best of equally good trials would be ahead by (the reality check of White 2000, Econometrica 68; each
in units of its own standard error, as Hansen 2005 has it, so that a trial that failed does not blur the others).
How much of the gain is left is estimated as James and Stein do (Efron and Morris 1973): scores are moved towards their
mean by the share of their spread that their rows' noise explains. Trials that failed outright, which may be the recipe
as it was, are kept out of it and stay where they are: they would make any noise look small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hfft import estimates, resamples, rooms, scoring
from hfft.errors import InputError
from hfft.mask_records import Answers, MaskPredictions
from hfft.records import less_is_better

DRAWS, CHUNK = 4000, 500
FEW = 5  # trials whose spread says little
FAILED = 3.0  # robust standard deviations below the median from which a trial counts as failed outright


@dataclass(frozen=True)
class Gain:
    """gain: best minus plain, in units of the metric, positive where better. luck: expected gain if all were equal.

    left: of the gain, shrunk. low, high: interval of the gain that holds for whichever trial was chosen. p: of a gain
    this large if no trial were better than plain. noise: share of the trials' spread that their rows explain, 0 to 1.
    trials, n: how many, on how many rows.
    """

    gain: float
    luck: float
    left: float
    low: float
    high: float
    p: float
    noise: float
    trials: int
    n: int


def judged(
    values: np.ndarray,
    pulls: np.ndarray,
    plain: int,
    groups: np.ndarray | None = None,
    dropped: np.ndarray | None = None,
    seed: int = 0,
) -> Gain | None:
    """The best of `values` against that of the recipe as it was; None for fewer than two trials.

    values: (trials,), more is better. pulls: (rows, trials), of each row on each value, mean 0. plain: place of the
    recipe as it was. groups: numbers (rows,) of rows that are no independent witnesses. dropped: (rows, more), pulls on
    the difference to plain of trials that were dropped on the way, after a look at the same rows: luck chose them, too.
    """
    n, trials = pulls.shape
    if trials < 2:
        return None
    more = 0 if dropped is None else dropped.shape[1]
    pulls = pulls if dropped is None else np.concatenate([pulls, dropped], axis=1)
    if groups is not None:
        summed = np.zeros((int(groups.max()) + 1, trials + more))
        np.add.at(summed, groups, pulls)
        pulls = summed
    best, rng = int(np.argmax(values)), np.random.default_rng(seed)
    gain, kept = float(values[best] - values[plain]), _near(values)
    thrown = np.concatenate([rng.standard_normal((CHUNK, len(pulls))) @ pulls / n for _ in range(DRAWS // CHUNK)])
    apart = thrown.copy()
    apart[:, :trials] -= thrown[:, plain : plain + 1]
    errors = np.sqrt((apart**2).mean(axis=0))
    known = errors > 0  # not of plain itself, nor of trials with all of its answers
    scaled = apart[:, known] / errors[known] if known.any() else np.zeros((DRAWS, 1))
    own = float(errors[best])
    p = float((1 + (scaled.max(axis=1) >= gain / own - 1e-12).sum()) / (1 + DRAWS)) if own and gain > 0 else 1.0
    low = gain - own * float(np.quantile(scaled.max(axis=1), 0.975))
    high = gain + own * float(np.quantile(-scaled.min(axis=1), 0.975))
    luck = float(apart[:, [*kept, *range(trials, trials + more)]].max(axis=1).clip(0).mean())
    noise = _noise(values[kept], pulls[:, kept] / n)
    middle = float(values[kept].mean())
    ends = [middle + (1 - noise) * (values[k] - middle) if k in kept else values[k] for k in (best, plain)]
    left = float(ends[0] - ends[1])
    if len(kept) < FEW:  # their spread is hardly known: take all off that luck is worth
        left = min(left, max(gain - luck, 0.0))
    return Gain(gain, luck, left, low, high, p, noise, trials + more, n)


def _near(values: np.ndarray) -> np.ndarray:
    """Places of the trials that did not fail outright."""
    middle = np.median(values)
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return np.flatnonzero(values >= middle - FAILED * spread)


def _noise(values: np.ndarray, errors: np.ndarray) -> float:
    """Expected over observed variance of trials. errors: (rows, trials); scores are sums."""
    if len(values) < 2:
        return 1.0
    centred = errors - errors.mean(axis=1, keepdims=True)
    expected, observed = float((centred**2).sum()) / (len(values) - 1), float(values.var(ddof=1))
    return min(expected / observed, 1.0) if observed > 0 else 1.0


def expected_best(values: np.ndarray) -> list[float]:
    """Expected best of k of the trials drawn at random, for k = 1 … all (Dodge et al. 2019, without replacement).

    values: more is better.

    >>> expected_best(np.array([1.0, 2.0, 3.0]))
    [2.0, 2.6666666666666665, 3.0]
    """
    ordered, n = np.sort(values), len(values)
    ranks = np.arange(1, n + 1)
    return [float((np.array([math.comb(r - 1, k - 1) for r in ranks]) / math.comb(n, k)) @ ordered) for k in ranks]


def value(predictions: Answers, metrics: Sequence[str], key: str) -> float | None:
    """The metric `key`, one of `scoring.keys(metrics)` or log_loss; more may be worse.

    Raises InputError for the loss of masks, whose probabilities are kept nowhere.
    """
    if key not in (found := scoring.score(predictions, metrics)):
        if isinstance(predictions, MaskPredictions):
            raise InputError(
                f"{key} is not kept of masks, and trials need it; type train.metric_for_best_model=mean_iou, or another"
            )
        found = scoring.score(predictions, ["log_loss"])
    return found[key].value


def pulls(predictions: Answers, key: str, metrics: Sequence[str]) -> np.ndarray | None:
    """Of each row on the metric, float (n,), turned so that more is better; None for a metric of one class alone.

    For a metric of answers, the change that leaving a row out makes, times n - 1 (the jackknife's influence values,
    Efron 1982, section 3.3).
    """
    if isinstance(predictions, MaskPredictions):
        module = next((name for name in metrics if "[" not in key and key in _keys(name, predictions)), None)
        return None if module is None else _image_pulls(predictions, key, module)
    module = next((name for name in (*metrics, "log_loss") if "[" not in key and key in _keys(name, predictions)), None)
    if module is None:
        return None
    if scoring.is_graded(rooms.find("metrics", module)):
        found = scoring.graded(predictions, [module])[key].pull
        return -found if less_is_better(key) else found
    labels, guess, classes = predictions.labels, predictions.predicted, len(predictions.names)
    statistic = scoring.statistic([module])
    _, kind, _ = resamples.alike(labels, [guess], classes)
    drawn = resamples.sample(labels, [guess], classes)
    whole = float(statistic(drawn.counts(drawn.times))[key])
    without = np.concatenate([statistic(part)[key] for part in drawn.jackknifed()])
    each: np.ndarray = (predictions.n - 1) * (whole - without)[kind]
    return each - each.mean()


def _image_pulls(predictions: MaskPredictions, key: str, module: str) -> np.ndarray:
    """The same of images with masks."""
    statistic = scoring.statistic([module])
    drawn = resamples.of_images([predictions.cells], [predictions.edges])
    without = np.concatenate([statistic(part)[key] for part in drawn.jackknifed()])
    each: np.ndarray = (predictions.n - 1) * (without.mean() - without)
    return each


def numbered(predictions: Answers) -> np.ndarray | None:
    """Groups of the rows as numbers."""
    return estimates.numbered(predictions.groups)


def _keys(module: str, predictions: Answers) -> list[str]:
    masks = isinstance(predictions, MaskPredictions)
    return scoring.keys([module], predictions.names, predictions.multi_label, masks)
