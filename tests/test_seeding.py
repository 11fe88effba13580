"""Several seeds: the arithmetic, the sentence, and how often the interval of the mean holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hfft import averaging, display_seeds, seeding
from hfft.intervals import wilson
from hfft.records import Score


def scored(hits: int, n: int) -> Score:
    return Score(hits / n, *wilson(hits, n), n, "Wilson")


def test_mean_spread_and_noise_by_hand():
    found = seeding.spread([scored(hits, 100) for hits in (80, 84, 85)])
    assert found and (found.least, found.most, found.n, found.values) == (0.80, 0.85, 100, [0.80, 0.84, 0.85])
    assert found.mean == pytest.approx(0.83) and found.sd == pytest.approx(np.std([0.80, 0.84, 0.85], ddof=1))
    assert found.error == pytest.approx(np.sqrt(0.83 * 0.17 / 100), abs=0.001)


def test_the_interval_has_both_limits():
    """Without row noise it is the t interval of the mean; without seed noise it is one score's normal interval."""
    values = [0.80, 0.84, 0.85, 0.79]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert seeding.interval(np.mean(values), np.std(values, ddof=1), 0.0, 4) == pytest.approx((low, high), abs=1e-12)
    assert seeding.interval(0.8, 0.0, 0.02, 4) == pytest.approx((0.8 - 1.959964 * 0.02, 0.8 + 1.959964 * 0.02))
    low, high = seeding.interval(0.8, 0.02, 0.02, 4)
    assert (high - low) / 2 == pytest.approx(np.hypot(3.182446 * 0.01, 1.959964 * 0.02))
    low, high = seeding.interval(0.8, 0.0, 0.02, 4, alike=0.0)
    assert (high - low) / 2 == pytest.approx(1.959964 * 0.01), "seeds that agree by luck do not make rows certain"


def test_likeness_is_the_mean_correlation():
    right = np.random.default_rng(0).random((4, 50)) < 0.7
    table = np.corrcoef(right)
    assert seeding.likeness(right) == pytest.approx(max(0, (table.sum() - 4) / 12))
    assert seeding.likeness(np.array([right[0]] * 3)) == pytest.approx(1)
    assert seeding.likeness(np.array([right[0], ~right[0]])) == 0
    assert seeding.likeness(np.ones((2, 9), dtype=bool)) == 1, "nothing is known"
    scores = [scored(80, 100), scored(82, 100)]
    assert seeding.spread(scores, 0.5).low > seeding.spread(scores).low


def test_what_has_no_value_is_left_out():
    whole, gone = scored(80, 100), Score(None, None, None, 0, "undefined")
    runs = [{"accuracy": whole, "f1": whole, "recall[a]": whole}, {"accuracy": scored(70, 100), "f1": gone}]
    assert list(seeding.spreads(runs)) == ["accuracy"] and seeding.spreads(runs[:1]) == {}
    sure = seeding.spread([scored(100, 100)] * 2)
    assert sure and sure.high == 1 and sure.sd == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((80, 80, 80, 81, 81) * 3, "the seed hardly matters beside the choice of test rows"),
        ((76, 80, 84) * 10, "the seed matters about as much as the choice of test rows"),
        ((20, 50, 80, 95) * 2, "the seed matters more than the choice of test rows, so a single run says little"),
        ((80, 80, 81), "3 seeds cannot tell which of the two matters more"),
        ((80, 80), "2 seeds cannot tell which of the two matters more"),
    ],
)
def test_the_sentence(values, says):
    found = seeding.spread([scored(hits, 100) for hits in values])
    said = seeding.sentence("accuracy", found)
    low, high = seeding.deviation(found)
    assert says in said and f"the test rows alone allow {100 * found.error:.1f}: " in said
    assert f"(SD over {len(values)}, the true one {100 * low:.1f} to {100 * high:.1f})" in said
    assert low <= found.sd <= high


def test_the_interval_of_the_sd_is_the_chi_square_one():
    found = seeding.spread([scored(hits, 1000) for hits in (800, 820, 835, 810)])
    expected = [found.sd * np.sqrt(3 / stats.chi2.ppf(tail, 3)) for tail in (0.975, 0.025)]
    assert seeding.deviation(found) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_seed_that_matters_is_hardly_ever_said_not_to(seeds):
    """The true SD over seeds equals the noise of rows: "hardly" and "more" must each be rare, whatever the seeds."""
    rng, said = np.random.default_rng(seeds), []
    for _ in range(1000):
        values = rng.normal(0.8, 0.0126, seeds)
        said.append(seeding.sentence("accuracy", seeding.spread([scored(round(1000 * v), 1000) for v in values])))
    assert sum("hardly matters" in each for each in said) <= 25
    assert sum("matters more than" in each for each in said) <= 25


def test_a_loss_is_told_as_it_is():
    losses = [Score(value, value - 0.02, value + 0.02, 1000, "made up") for value in (0.50, 0.55, 0.62)]
    said = seeding.sentence("log_loss", seeding.spread(losses))
    assert "seeds differ by 0.0603 (SD over 3" in said and "the test rows alone allow 0.0102" in said
    assert "points" not in said


def coverage(seeds: int, rows: int, sd: float, trials: int = 1500) -> float:
    """Share of intervals of the mean accuracy that hold the true one, other seeds and other rows drawn each time.

    Rows are easy or hard (the models' answers to a row correlate at about 0.45), each seed moves the chance of every
    row by the same amount, and each answer is drawn on its own.
    """
    rng, held = np.random.default_rng(seeds * rows), 0
    # What a seed's shift is worth on average, once chances are cut at 0 and 1.
    easy = rng.beta(0.98, 0.22, 400_000)
    truth = np.clip(easy + rng.normal(0, sd, easy.shape) * 5 * easy * (1 - easy), 0, 1).mean() if sd else 0.98 / 1.2
    for _ in range(trials):
        easy = rng.beta(0.98, 0.22, rows)
        moved = np.clip(easy + rng.normal(0, sd, (seeds, 1)) * 5 * easy * (1 - easy), 0, 1)
        right = rng.random((seeds, rows)) < moved
        found = seeding.spread([scored(int(each), rows) for each in right.sum(axis=1)], seeding.likeness(right))
        held += found.low <= truth <= found.high
    return held / trials


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("rows", [200, 1000])
@pytest.mark.parametrize("sd", [0.0, 0.01, 0.04])
def test_the_interval_of_the_mean_keeps_its_promise(seeds, rows, sd):
    assert coverage(seeds, rows, sd, 600) >= 0.935


@pytest.mark.parametrize(("metric", "verdict"), [("log_loss", "worse"), ("f1_macro", "better")])
def test_a_loss_that_rose_over_seeds_is_worse(metric, verdict, capsys):
    found = seeding.Spread(0.20, 0.01, 0.19, 0.21, 0.01, 0.15, 0.25, 500, [0.19, 0.20, 0.21])
    told, sentence = averaging._judged("a", "b", metric, found)
    assert told == verdict and sentence.startswith(f"b is {verdict} than a on average: ")
    assert ("+0.2000 of log_loss" in sentence) is ("points" not in sentence) is (metric == "log_loss")
    facts = {"second": "b", "first": "a", "differences": seeding.plain({metric: found}), "verdict": told}
    display_seeds.compared({"comparisons": [facts | {"sentence": sentence}]})
    assert ("+0.2000" if metric == "log_loss" else "+20.00") in capsys.readouterr().out.split("points")[0]
