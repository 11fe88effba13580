"""Which model to start from, on answers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hfft import picking, rank_figures
from hfft.picking import MAJORITY, WORDS, Entry
from hfft.records import Predictions


def answers(right: np.ndarray, sure: float = 0.8, groups: np.ndarray | None = None) -> Predictions:
    """Two classes in turn, right where `right` says so."""
    labels = np.arange(len(right)) % 2
    predicted = np.where(right, labels, 1 - labels)
    scores = np.full((len(right), 2), 1 - sure, dtype=np.float32)
    scores[np.arange(len(right)), predicted] = sure
    ids = np.array([f"r{i:05d}" for i in range(len(right))], dtype=object)
    return Predictions(ids, labels, predicted, scores, ("no", "yes"), groups)


def share(n: int, wrong: int, start: int = 0) -> np.ndarray:
    out = np.ones(n, dtype=bool)
    out[start : start + wrong] = False
    return out


def model(name: str, wrong: int, ms: float, start: int = 0, n: int = 1000, logme: float = 0.0) -> Entry:
    made = answers(share(n, wrong, start))
    return Entry(name, made, made, {"ms_per_row": ms, "logme": logme})


def test_the_quickest_of_those_that_cannot_be_told_from_the_best_is_recommended():
    entries = [
        model("bad", 300, 0.5),
        model("good", 100, 4.0, logme=1.0),
        model("near", 105, 1.0, 50),
        model("slow", 104, 9.0, 40),
    ]
    bare = [Entry(MAJORITY, answers(np.arange(1000) % 2 == 0)), Entry(WORDS, answers(share(1000, 250)))]
    facts = picking.judged([*entries, *bare], ["accuracy"])
    assert [row["name"] for row in facts["models"]] == ["good", "slow", "near", "bad"]
    assert (facts["best"], facts["recommended"], set(facts["tied"])) == ("good", "near", {"good", "near", "slow"})
    assert {row["name"]: row["frontier"] for row in facts["models"]} == {
        "good": True, "slow": False, "near": True, "bad": True
    }  # fmt: skip
    assert len(facts["pairs"]) == 6 + 2, "all pairs of models, and the best against each baseline"
    told = " ".join(picking.sentences(facts, 5))
    assert (
        "Start from near: it cannot be told from good, and takes 1.00 ms a row instead of 4.00. At worst it is " in told
    )
    assert (
        "good is better than bad: +20.0 points of accuracy" in told
        and "good is better than the baseline TF-IDF" in told
    )
    assert MAJORITY not in told, "that it is better than always the same answer goes without saying"


def test_p_values_are_adjusted_for_all_pairs_together():
    entries = [model("a", 100, 1.0), model("b", 126, 1.0, 100), model("c", 300, 1.0, 300), model("d", 310, 1.0, 200)]
    alone = picking.judged(entries[:2], ["accuracy"])["pairs"][0]
    together = next(pair for pair in picking.judged(entries, ["accuracy"])["pairs"] if pair["other"] == "b")
    assert together["p"] > 1.5 * alone["p"] and together["difference"] == alone["difference"]


def test_where_less_is_better_the_least_leads_and_a_better_baseline_is_called_better():
    entries = [
        Entry("sure", answers(share(400, 20), 0.9), answers(share(400, 20)), {"ms_per_row": 1.0, "logme": 0.0}),
        Entry("unsure", answers(share(400, 20), 0.6), answers(share(400, 20)), {"ms_per_row": 2.0, "logme": 0.0}),
        Entry(WORDS, answers(share(400, 4), 0.99)),
    ]
    facts = picking.judged(entries, ["log_loss"])
    assert facts["best"] == facts["recommended"] == "sure" and not facts["models"][1]["frontier"]
    pair = next(pair for pair in facts["pairs"] if pair["other"] == "unsure")
    assert pair["told"] and pair["difference"]["value"] < 0
    told = " ".join(picking.sentences(facts, 5))
    assert (
        "sure is WORSE than the baseline TF-IDF + linear" in told
        and "Start from sure: its probe is better than every other" in told
    )
    drawn = rank_figures.plot(facts)
    sure, unsure = (next(m for m in drawn["marks"] if m["row"]["name"] == name) for name in ("sure", "unsure"))
    assert sure["y"] < unsure["y"] and sure["x"] < unsure["x"], "up and left is better"


def test_equal_answers_are_never_told_apart_and_rows_of_a_group_are_one_witness():
    entries = [model("one", 50, 2.0), model("other", 50, 1.0)]
    facts = picking.judged(entries, ["f1", "accuracy"])
    assert facts["metric"] == "f1_macro" and facts["recommended"] == "other" and not facts["pairs"][0]["told"]
    low, high = (facts["pairs"][0]["difference"][end] for end in ("low", "high"))
    assert low < 0 < high, "that they agree on these rows does not show that they are the same"
    groups = np.array([f"g{i // 40}" for i in range(1000)], dtype=object)
    rows = [answers(share(1000, wrong), groups=groups) for wrong in (80, 120)]
    grouped = picking.against(("a", rows[0]), [("b", rows[1])], "accuracy")[0]
    alone = picking.against(("a", answers(share(1000, 80))), [("b", answers(share(1000, 120)))], "accuracy")[0]
    assert alone["told"] and not grouped["told"]


@pytest.mark.parametrize("costs", [(1.0, 1.0), (0.01, 300.0)])
def test_the_plot_holds_every_mark(costs):
    facts = picking.judged([model("a", 0, costs[0]), model("b", 400, costs[1])], ["accuracy"])
    drawn = rank_figures.plot(facts)
    for mark in drawn["marks"]:
        assert rank_figures.LEFT <= mark["x"] <= rank_figures.RIGHT
        assert rank_figures.TOP <= mark["high"] <= mark["y"] <= mark["low"] <= rank_figures.BOTTOM
    assert len(drawn["y"]) >= 2 and drawn["x"]
