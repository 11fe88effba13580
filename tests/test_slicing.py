"""Slices: a weak one is found, a random one is not, and what is told of it comes from rows that did not choose it."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import slices as simulated
from hfft import display_slices, halving, slice_telling, slicing
from hfft.errors import InputError
from hfft.records import Predictions
from tests.probabilities import drawn, drawn_several


@pytest.fixture(scope="module")
def planted() -> tuple[Predictions, dict[str, np.ndarray]]:
    """2,000 rows, 5 % of them right in 60 % and the others in 85 %."""
    return simulated.world(2000, np.random.default_rng(1), grouped=False, weak=0.6)


def states(facts) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in facts["rows"]:
        found.setdefault(row["state"], []).append(row["attribute"])
    return found


def test_a_planted_weak_slice_of_a_twentieth_is_found_and_told(planted):
    facts = slicing.of_attributes(*planted)
    assert states(facts)["confirmed"] == ["slice:planted"]
    worst = facts["rows"][0]
    assert (worst["value"], worst["title"], worst["gap_from"]) == ("here", "planted", "the half that did not choose it")
    assert worst["gap"]["low"] <= -0.25 <= worst["gap"]["high"] < 0 and worst["p"] <= 0.05
    assert facts["sentences"][0].startswith("Rows where planted is here are right in ")
    assert "found on one half of the test rows, confirmed on the other." in facts["sentences"][0]
    assert facts["tried"] == len(facts["rows"]) > 30 and sum(facts["halves"]) == facts["n"] == 2000
    json.dumps(facts)


def test_weak_slices_are_found_most_of_the_time():
    found = sum(
        "slice:planted"
        in states(slicing.of_attributes(*simulated.world(2000, rng, False, weak=0.6))).get("confirmed", [])
        for rng in map(np.random.default_rng, range(40))
    )
    assert found >= 32  # benchmarks/slices.py: 92 %


@pytest.mark.parametrize("grouped", [False, True])
def test_where_no_slice_is_weaker_none_is_confirmed(grouped):
    """80 test sets, 15 attributes each; more than 5 % of them (with 99.9 % certainty) would be 12. See
    benchmarks/slices.py for 2,000."""
    alarms, suspected = 0, 0
    for seed in range(80):
        facts = slicing.of_attributes(*simulated.world(500, np.random.default_rng(seed), grouped))
        found = states(facts)
        alarms += "confirmed" in found
        suspected += "suspected" in found
    assert alarms <= 11
    assert suspected > 14, "the first half alone would raise many alarms"


def test_the_confirming_half_does_not_choose(planted):
    """Answers of the second half turned around: other p-values, the same suspects."""
    predictions, attributes = planted
    half = halving.first_half(predictions, slicing.SALT)
    turned = dataclasses.replace(predictions, predicted=np.where(half, predictions.predicted, 0))
    before, after = (slicing.of_attributes(p, attributes) for p in (predictions, turned))
    chosen = [{(r["attribute"], r["value"]) for r in f["rows"] if r["p"] is not None} for f in (before, after)]
    assert chosen[0] == chosen[1] and chosen[0]
    assert not states(after).get("confirmed")
    assert all(row["gap"]["value"] == 0 for row in after["rows"] if row["p"] is not None)


def test_scores_are_those_of_the_rows_they_name(planted):
    predictions, attributes = planted
    right = predictions.labels == predictions.predicted
    half = halving.first_half(predictions, slicing.SALT)
    for row in slicing.of_attributes(predictions, attributes)["rows"]:
        if row["attribute"] not in ("url", "slice:region", "slice:planted"):
            continue
        mask = attributes[row["attribute"]] == row["value"]
        asked = np.ones(2000, dtype=bool) if row["p"] is None else ~half
        assert row["n"] == mask.sum() and row["score"]["n"] == (mask & asked).sum()
        assert row["score"]["value"] == pytest.approx(right[mask & asked].mean())
        assert row["rest"]["value"] == pytest.approx(right[~mask & asked].mean())


def test_rows_are_sorted_by_state_and_then_by_how_much_weaker_they_are_at_least(planted):
    rows = slicing.of_attributes(*planted)["rows"]
    order = [(slicing.ORDER.index(row["state"]), row["gap"]["high"]) for row in rows]
    assert order == sorted(order)


def test_the_order_of_the_rows_does_not_matter(planted):
    predictions, attributes = planted
    turned = np.random.default_rng(0).permutation(predictions.n)
    again = slicing.of_attributes(
        predictions.where(turned), {name: values[turned] for name, values in attributes.items()}
    )
    assert again["sentences"] == slicing.of_attributes(*planted)["sentences"]


def test_small_and_nearly_whole_slices_are_not_tried():
    rows = drawn(400, 3, 1)
    column = np.array(["small"] * 29 + ["large"] * 371, dtype=object)
    assert slicing.of_attributes(rows, {"a": column})["tried"] == 0
    column[:30] = "small"
    column[30:40] = "other"
    found = slicing.of_attributes(rows, {"a": column})
    assert [(row["value"], row["n"]) for row in sorted(found["rows"], key=lambda row: row["n"])] == [
        ("small", 30),
        ("large", 360),
    ]
    few = slicing.of_attributes(drawn(25, 3, 1), {"words": np.arange(25.0)})
    assert few["tried"] == 0 and few["rows"] == [] and few["visible"] is None
    assert few["sentences"] == [
        "No slices: none of what is known of these 25 rows divides them so that 30 or more of them stand beside others."
    ]


def test_of_several_classes_the_whole_row_has_to_be_right():
    rows = drawn_several(300, 4, 1)
    facts = slicing.of_attributes(rows, {"words": np.arange(300.0)})
    right = (rows.labels == rows.predicted).all(axis=1)
    assert facts["overall"]["value"] == pytest.approx(right.mean())
    assert facts["overall"]["value"] < (rows.labels == rows.predicted).mean()


def test_a_model_without_errors_has_no_weak_slices():
    rows = drawn(300, 3, 1)
    perfect = dataclasses.replace(rows, predicted=rows.labels)
    facts = slicing.of_attributes(perfect, {"words": np.arange(300.0)})
    assert states(facts) == {"not told": ["words"] * 4} and facts["visible"] is None
    assert facts["sentences"] == ["No slice of 4 tried is shown to be weaker than the rest."]


def test_attributes_are_matched_by_id_and_what_is_missing_is_said(tmp_path):
    rows, path = drawn(200, 3, 1), tmp_path / "run" / "predictions" / "test_attributes.parquet"
    path.parent.mkdir(parents=True)
    assert slicing.judged(rows, path) is None
    table = pa.table({"id": rows.ids, "words": np.arange(200.0), "url": ["yes", "no"] * 100})
    pq.write_table(table.take(np.arange(200)[::-1]), path)
    found = slicing.read(path, rows.ids)
    assert found["words"].tolist() == list(range(200)) and found["url"].tolist() == ["yes", "no"] * 100
    assert slicing.judged(rows, path)["tried"] == 6
    pq.write_table(table.slice(3), path)
    with pytest.raises(InputError, match=r"knows nothing of 3 of the predicted rows: run `hfft eval .*run` again"):
        slicing.judged(rows, path)
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="is damaged: run `hfft eval"):
        slicing.judged(rows, path)


def test_sentences_name_what_was_suspected_and_what_could_be_seen():
    score = {"value": 0.6123, "low": 0.55, "high": 0.67, "n": 80, "method": "Wilson"}
    row = {"attribute": "words", "value": "40 words or more", "state": "confirmed", "score": score}
    row["gap"] = {"value": -0.14, "low": -0.2, "high": -0.08}
    other = row | {"attribute": "url", "value": "yes", "state": "suspected"}
    facts = {"tried": 40, "rows": [row, other], "visible": {"part": 0.1, "points": 0.116}, "n": 900, "least": 30}
    assert slice_telling.told(facts) == [
        "Texts of 40 words or more are right in 61.2 % [55.0, 67.0], 14.0 points less than the rest [8.0, 20.0]; found "
        "on one half of the test rows, confirmed on the other.",
        "Suspected on one half of the test rows, not confirmed on the other, so perhaps chance: Texts with a URL.",
        "With so many rows, a slice of 10 % of them must be about 12 points less right than the rest to be confirmed "
        "in 4 of 5 cases.",
    ]


def test_the_terminal_shows_the_worst_and_whatever_is_confirmed(planted, capsys):
    facts = slicing.of_attributes(*planted)
    display_slices.slices(facts)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.rstrip().endswith(("confirmed", "suspected", "not told")) for line in lines) == 5
    assert any("Rows where planted is here" in line and line.rstrip().endswith("confirmed") for line in lines)
    assert lines[-1].startswith("With so many rows")


def test_few_large_groups_on_one_half_are_no_slice_without_a_rest():
    """Where a half holds nothing but the slice, there is nothing to hold it against, and no slice stops the verb."""
    for seed in range(40):
        draws = np.random.default_rng(seed)
        groups = np.repeat([f"site {draws.integers(10**6)}" for _ in range(6)], 40)
        strong = draws.permuted(np.repeat([True, True, False, False, False, False], 1))
        right = np.where(np.repeat(strong, 40), draws.random(240) < 0.95, draws.random(240) < 0.3)
        labels = np.zeros(240, int)
        scores = np.full((240, 2), 0.5, np.float32)
        ids = np.array([f"r{seed}{i}-a" for i in range(240)], object)
        found = Predictions(ids, labels, np.where(right, 0, 1), scores, ("a", "b"), groups.astype(object))
        weak = np.where(np.repeat(strong, 40), "strong", "weak").astype(object)
        facts = slicing.of_attributes(found, {"slice:kind": weak, "slice:site": groups.astype(object)})
        assert all(row["gap"]["value"] is not None for row in facts["rows"] if row["p"] is not None)
