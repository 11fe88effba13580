"""From predictions to calibration.json and back: what is fitted on which rows, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
import re
import resource
import time
from pathlib import Path

import numpy as np
import pytest

from hfft import calibrating, calibration_telling, conformal, display_calibration, recipe, reliability, tempering
from hfft.errors import InputError
from hfft.records import Predictions, write_json
from hfft.run_folder import RunFolder
from hfft.schema import Abstain
from tests.probabilities import drawn, drawn_several

WANTED = Abstain(max_error=0.10)


@pytest.fixture(scope="module")
def pair() -> tuple[Predictions, Predictions]:
    return drawn(2000, 4, 1, 1.8, spread=3), drawn(1500, 4, 2, 1.8, spread=3)


@pytest.fixture(scope="module")
def stored(pair):
    return calibrating.fitted(pair[0], WANTED)


@pytest.fixture(scope="module")
def facts(pair, stored):
    return calibrating.judged(pair[1], stored)


def settle_and_judge(run, rows, wanted):
    """What `hfft judge` does of it: settle, judge, write."""
    facts = calibrating.judged(rows, calibrating.settled(run, wanted))
    write_json(run.root / calibrating.FILE, facts)
    return facts


def test_the_temperature_is_found_and_helps(stored, facts):
    temperature = stored["temperature"]
    assert temperature["low"] < 1.8 < temperature["high"]
    assert facts["before"]["ece"]["miscalibrated"] and facts["before"]["lean"]["low"] > 0
    assert facts["after"]["ece"]["value"] < facts["before"]["ece"]["value"]
    assert facts["gain"]["nll"]["high"] < 0
    change = facts["after"]["nll"]["value"] - facts["before"]["nll"]["value"]
    assert facts["gain"]["nll"]["value"] == pytest.approx(change, abs=1e-12)


def test_threshold_and_sets_use_other_rows_than_the_temperature(pair, stored):
    rows = pair[0]
    half = calibrating.first_half(rows)
    assert stored["rows"] == {"temperature": int(half.sum()), "thresholds": int((~half).sum())}
    assert 0.45 < half.mean() < 0.55
    flipped = dataclasses.replace(rows, labels=np.where(half, (rows.labels + 1) % 4, rows.labels))
    other = calibrating.fitted(flipped, WANTED)
    assert other["temperature"]["value"] != stored["temperature"]["value"]
    spoilt = dataclasses.replace(rows, labels=np.where(half, rows.labels, (rows.labels + 1) % 4))
    other = calibrating.fitted(spoilt, WANTED)
    assert other["temperature"] == stored["temperature"] and other["sets"] != stored["sets"]
    assert other["abstain"]["threshold"] is None


def test_rows_that_belong_together_are_in_one_half():
    grouped = drawn(400, 3, 1, groups=40)
    half = calibrating.first_half(grouped)
    assert all(len(set(half[grouped.groups == group])) == 1 for group in set(grouped.groups))
    ids = np.array(["aa-ham", "aa.1-ham", "aa-spam", "bb-ham"], dtype=object)
    same = dataclasses.replace(drawn(4, 3, 1), ids=ids)
    assert len(set(calibrating.first_half(same)[:3])) == 1


def test_the_order_of_the_rows_does_not_matter(pair, stored):
    moved = pair[0].where(np.random.default_rng(0).permutation(pair[0].n))
    other = calibrating.fitted(moved, WANTED)
    assert other["temperature"]["value"] == pytest.approx(stored["temperature"]["value"], rel=1e-6)
    assert other["abstain"]["answered"] == stored["abstain"]["answered"]
    assert other["sets"]["lac"]["quantile"] == pytest.approx(stored["sets"]["lac"]["quantile"], rel=1e-6)


def test_what_is_stored_can_be_used_in_plain_python(tmp_path, pair, stored):
    """As docs/calibration.md shows it: the file alone, numpy, no hfft."""
    rows, path = pair[1], tmp_path / "calibration.json"
    write_json(path, stored)
    found = json.loads(path.read_text())
    logits = np.log(np.maximum(rows.scores.astype(np.float64), 1e-38))
    z = logits / found["temperature"]["value"]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    facts = calibrating.judged(rows, found)
    right = p[np.arange(rows.n), rows.labels]
    assert facts["sets"]["lac"]["coverage"]["value"] == pytest.approx(
        np.mean(1 - right <= found["sets"]["lac"]["quantile"])
    )
    answered = p.max(axis=1) >= found["abstain"]["threshold"]
    assert facts["selective"]["promise"]["on_test"]["answered"]["value"] == pytest.approx(answered.mean())
    wrong = (rows.predicted != rows.labels)[answered]
    assert facts["selective"]["promise"]["on_test"]["error"]["value"] == pytest.approx(wrong.mean())
    limits = [found["sets"]["lac_per_class"]["quantiles"][name] for name in found["classes"]]
    own = facts["sets"]["lac_per_class"]
    assert own["size"]["value"] == pytest.approx((1 - p <= np.array(limits)).sum(axis=1).mean())
    assert own["per_class"]["c2"]["value"] == pytest.approx(np.mean(1 - right[rows.labels == 2] <= limits[2]))
    sizes = conformal.sets(conformal.aps(p), found["sets"]["aps"]["quantile"]).sum(axis=1)
    assert facts["sets"]["aps"]["size"]["value"] == pytest.approx(sizes.mean())
    assert facts["sets"]["aps"]["empty"]["value"] == 0


def test_the_code_in_the_docs_runs(tmp_path, monkeypatch, pair, stored, facts):
    page = (Path(__file__).parent.parent / "docs" / "calibration.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "json.loads" in block)
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "model" / "calibration.json", stored)
    rows, names = pair[1], {"logits": np.log(pair[1].scores.astype(np.float64))}
    exec(code, names)
    each = np.arange(rows.n), rows.labels
    assert names["answered"].mean() == pytest.approx(facts["selective"]["promise"]["on_test"]["answered"]["value"])
    for kind in ("lac", "aps", "per_class"):
        own = facts["sets"]["lac_per_class" if kind == "per_class" else kind]
        assert names[kind][each].mean() == pytest.approx(own["coverage"]["value"]), kind
        assert names[kind].sum(axis=1).mean() == pytest.approx(own["size"]["value"]), kind


def test_promises_are_kept_on_rows_like_these():
    """400 pairs of validation and test: mean coverage as promised, the error rate promised broken in at most 5 %."""
    covered, broken, missed = [], 0, 0
    for seed in range(200):
        stored = calibrating.fitted(drawn(600, 3, 2 * seed, 1.5, 3), WANTED)
        rows = drawn(4000, 3, 2 * seed + 1, 1.5, 3)
        p = tempering.apply(rows.scores, stored["temperature"]["value"])
        strange = conformal.lac(p)[np.arange(rows.n), rows.labels]
        covered.append(np.mean(strange <= stored["sets"]["lac"]["quantile"]))
        low, _ = conformal.chance(np.array([stored["sets"]["n"]]), np.array([rows.n]), 0.9)
        missed += covered[-1] < low
        threshold = stored["abstain"]["threshold"]
        if threshold is not None:
            kept = p.max(axis=1) >= threshold
            broken += (rows.predicted != rows.labels)[kept].mean() > 0.10
    assert 0.895 <= np.mean(covered) <= 0.91
    assert broken / 200 <= 0.05 and missed / 200 <= 0.06


def test_facts_are_json_and_the_same_twice(pair, stored, facts):
    assert json.loads(json.dumps(facts, allow_nan=False)) == json.loads(json.dumps(calibrating.judged(pair[1], stored)))
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored


def test_intervals_hold_their_values(facts):
    def walk(tree):
        if isinstance(tree, dict):
            if {"value", "low", "high", "n"} <= set(tree) and tree["low"] is not None:
                yield tree
            tree = tree.values()
        if not isinstance(tree, (str, int, float, type(None))):
            for part in tree:
                yield from walk(part)

    found = list(walk(facts))
    assert len(found) > 60
    assert not [score for score in found if not score["low"] <= score["value"] <= score["high"]]


def test_the_sentences_say_what_the_numbers_say(facts):
    told = calibration_telling.told(facts)
    assert "it takes confidence back" in told["calibration"][0]
    assert "a perfectly calibrated model of this size would show" in told["calibration"][1]
    assert told["calibration"][1].endswith("nothing to see.") != facts["after"]["ece"]["miscalibrated"]
    assert told["calibration"][2].endswith("the temperature helps.")
    assert (
        told["answering"][0].startswith("Answers ")
        and "(promised: at most 10 % with 95 % confidence" in told["answering"][0]
    )
    assert len(told["sets"]) == 3 and "MISSED" not in " ".join(told["sets"]) and not told["unbounded"]


def test_what_goes_wrong_is_said(pair, stored):
    """Test rows of another kind: a promise that is broken, sets that miss, a temperature that hurts."""
    rows = pair[1]
    labels = np.where(np.arange(rows.n) % 4 == 0, (rows.labels + 1) % 4, rows.labels)
    told = calibration_telling.told(calibrating.judged(dataclasses.replace(rows, labels=labels), stored))
    assert "MISCALIBRATED, on average" in told["calibration"][1] and "too sure" in told["calibration"][1]
    assert "BROKEN" in told["answering"][0] and "MISSED" in told["sets"][0]
    cold = stored | {"temperature": stored["temperature"] | {"value": 0.5}}
    told = calibration_telling.told(calibrating.judged(rows, cold))
    assert "adds confidence" in told["calibration"][0] and told["calibration"][2].endswith("HURTS on these rows.")
    strict = calibrating.fitted(drawn(60, 4, 5), Abstain(max_error=0.01, coverage=0.95))
    told = calibration_telling.told(calibrating.judged(rows, strict))
    assert told["answering"][0].startswith("No threshold keeps an error of 1 % with 95 % confidence on")
    assert "in every set per class" in told["unbounded"][0] and "fewer than 19" in told["unbounded"][0]


def test_groups_are_told_and_widen(pair, stored):
    rows = pair[1].where(np.repeat(np.arange(150), 10))
    grouped = dataclasses.replace(rows, groups=np.repeat(np.arange(150), 10).astype(str).astype(object))
    alone, facts = calibrating.judged(rows, stored), calibrating.judged(grouped, stored)
    assert facts["groups"] == 150 and facts["sets"]["lac"]["chance"] is None
    for path in (("before", "ece"), ("before", "brier"), ("sets", "lac", "coverage"), ("selective", "aurc")):
        wide, narrow = facts, alone
        for key in path:
            wide, narrow = wide[key], narrow[key]
        assert wide["value"] == pytest.approx(narrow["value"], abs=1e-12)
        assert wide["high"] - wide["low"] > 1.7 * (narrow["high"] - narrow["low"]), path
    assert "150 groups" in calibration_telling.told(facts)["calibration"][-1]


def test_several_classes_per_row_get_a_temperature_and_no_promises(capsys):
    stored = calibrating.fitted(drawn_several(800, 4, 1, 2.0), WANTED)
    assert stored["temperature"]["low"] > 1.5 and stored["abstain"] is None and stored["sets"] is None
    facts = calibrating.judged(drawn_several(600, 4, 2, 2.0), stored)
    assert facts["after"]["classwise_ece"]["value"] < facts["before"]["classwise_ece"]["value"]
    assert facts["selective"] is None and facts["sets"] is None
    display_calibration.calibration(json.loads(json.dumps(facts)))
    assert "not for rows with several classes" in capsys.readouterr().out


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("make", [drawn, drawn_several])
def test_a_handful_of_rows_never_crashes(n, make, capsys):
    stored = calibrating.fitted(make(n, 3, 1), WANTED)
    for rows in (make(n, 3, 2), make(40, 3, 2)):
        facts = calibrating.judged(rows, stored)
        display_calibration.calibration(json.loads(json.dumps(facts, allow_nan=False)))
    assert capsys.readouterr().out.count("\n") > 4


@pytest.mark.parametrize(("right", "sure"), [(True, 0.999), (True, 1.0), (False, 1.0), (True, 1 / 3)])
def test_degenerate_models_never_crash(right, sure):
    labels = np.arange(60) % 3
    answers = labels if right else (labels + 1) % 3
    scores = np.full((60, 3), (1 - sure) / 2, dtype=np.float32)
    scores[np.arange(60), answers] = sure
    rows = dataclasses.replace(drawn(60, 3, 1), labels=labels, predicted=answers, scores=scores)
    stored = calibrating.fitted(rows, WANTED)
    facts = calibrating.judged(rows, stored)
    assert stored["temperature"]["value"] == 1.0 and facts["after"] is None
    assert "stays 1 (not fitted" in calibration_telling.told(facts)["calibration"][0]
    assert facts["selective"]["e_aurc"]["value"] == pytest.approx(0, abs=1e-12)
    json.dumps(facts, allow_nan=False)


def folder(path, validation: Predictions | None) -> RunFolder:
    run = RunFolder(path)
    run.model.mkdir(parents=True)
    if validation is not None:
        validation.write(run.predictions("validation"))
    return run


def test_a_run_from_before_gets_its_calibration_when_it_is_evaluated(tmp_path, pair, stored):
    run = folder(tmp_path / "old", pair[0])
    assert calibrating.stored(run) is None
    facts = settle_and_judge(run, pair[1], WANTED)
    assert json.loads((run.root / "calibration.json").read_text()) == json.loads(json.dumps(facts))
    assert calibrating.stored(run) == stored


def test_a_run_without_validation_predictions_is_judged_as_it_is(tmp_path, pair):
    run = folder(tmp_path / "bare", None)
    facts = settle_and_judge(run, pair[1], WANTED)
    assert facts["temperature"] is None and facts["sets"] is None and facts["selective"]["promise"] is None
    told = calibration_telling.told(facts)
    assert told["calibration"][0].startswith("No temperature is stored") and not told["answering"]
    assert not (run.model / "calibration.json").exists()


def test_files_of_another_kind_are_refused_with_a_way_out(tmp_path, pair, stored):
    run = folder(tmp_path / "new", None)
    write_json(run.model / "calibration.json", stored | {"version": 2})
    with pytest.raises(InputError, match="not of version 1, which this hfft knows: delete it, then `hfft judge"):
        calibrating.stored(run)
    write_json(run.model / "calibration.json", stored | {"classes": ["x", "y"]})
    with pytest.raises(InputError, match="other classes than the data: delete it, then `hfft judge"):
        calibrating.fits(run, pair[1].names)


def test_the_recipe_says_what_is_promised():
    tree = {"task": "text_classification", "data": {"path": "x.csv"}, "model": {"name": "m"}}
    assert recipe.build(tree).abstain == Abstain(0.05, 0.95, 0.90)
    assert recipe.build(tree | {"abstain": {"max_error": 0.02}}).abstain.max_error == 0.02
    with pytest.raises(InputError, match=r"abstain\.max_eror: unknown key \(did you mean 'max_error'"):
        recipe.build(tree | {"abstain": {"max_eror": 0.02}})
    with pytest.raises(InputError, match=r"abstain\.coverage"):
        recipe.build(tree | {"abstain": {"coverage": 90}})


@pytest.mark.parametrize("groups", [0, 5000])
def test_everything_takes_less_than_two_seconds(groups):
    validation, test = (drawn(100_000, 10, seed, 1.5, groups=groups) for seed in (1, 2))
    memory, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    facts = calibrating.judged(test, calibrating.fitted(validation, WANTED))
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 400_000, "kB"
    assert facts["after"]["ece"]["value"] < facts["before"]["ece"]["value"]


def test_one_hot_and_brier():
    labels = np.array([0, 2])
    assert reliability.one_hot(labels, 3).tolist() == [[True, False, False], [False, False, True]]
    several = np.array([[True, False]])
    assert reliability.one_hot(several, 2) is several
    assert reliability.brier(np.array([[0.5, 0.5]]), several).tolist() == [0.25]


def test_classes_that_come_together_do_not_make_a_perfect_model_look_miscalibrated():
    """Eight classes that always come together, 40 perfect worlds: draws class by class would call half of them."""
    called = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        chance = rng.random(200)
        labels = np.repeat((rng.random(200) < chance)[:, None], 8, axis=1)
        scores = np.repeat(chance[:, None], 8, axis=1).astype(np.float32)
        names = tuple(f"c{k}" for k in range(8))
        found = reliability.measured(scores, labels, scores > 0.5, names, None)
        called += found["classwise_ece"]["miscalibrated"]
    assert called <= 6
