"""Probing: what is asked, what is counted, and what is kept, with models whose answers are known beforehand."""

from __future__ import annotations

import types
from dataclasses import replace

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hfft import answers, perturbing, picture_rows, probing, robustness, rooms, steadiness
from hfft.answers import AS_IT_IS, TEMPLATES
from hfft.errors import InputError
from hfft.intervals import wilson
from hfft.probing import Subject
from hfft.records import Predictions
from hfft.schema import Template

NAMES = ("calm", "loud")
TEXT = rooms.find("modalities", "text_classification")
IMAGE = rooms.find("modalities", "image_classification")
METRICS = ["accuracy", "f1"]


def made(name, change, **settings):
    """A probe of this test's own."""
    module = types.ModuleType(f"hfft.probes.{name}")
    given = {"INPUT": "text", "KIND": "invariance", "SAFE": True, "SEVERITIES": 1, "SAYS": name, "perturb": change}
    module.__dict__.update(given | settings)
    return module


def answered(rows, sure):
    """Predictions of a model that is `sure` of "loud" for each row, float (n,)."""
    scores = np.column_stack([1 - sure, sure]).astype(np.float32)
    labels = np.array([NAMES.index(label) for label in rows["label"][:]])
    groups = np.array(rows["group"][:], dtype=object) if "group" in rows.column_names else None
    return Predictions(np.array(rows["id"][:], dtype=object), labels, scores.argmax(axis=1), scores, NAMES, groups)


def shouting(rows):
    """Loud where more than half of the letters are capitals: a model that capitals alone decide."""
    return answered(rows, np.array([np.mean([sign.isupper() for sign in text]) for text in rows["text"][:]]))


def texts(n=200, groups=None):
    """Small letters throughout; every fourth is labelled loud all the same, so that model is wrong there."""
    columns = {"text": [f"row {i} speaks" for i in range(n)], "id": [f"c{i}-calm" for i in range(n)]}
    columns["label"] = ["loud" if i % 4 == 0 else "calm" for i in range(n)]
    return datasets.Dataset.from_dict(columns | ({"group": groups} if groups else {}))


def subject(rows, ask=shouting, modality=TEXT, processor=None):
    return Subject(modality, processor, rows, ask, ask(rows))


def shout_some(text, severity, rng):
    """Capitals for rows whose number is divisible by four (severity 1) or two (severity 2)."""
    return text.upper() if int(text.split()[1]) % (4 // severity) == 0 else None


def how(part, probes, n=None):
    about = {p.__name__.rpartition(".")[2]: {"kind": p.KIND, "safe": True, "says": p.SAYS} for p in probes}
    for one in about.values():
        one |= {"of": len(part.rows)}
    fixed = {"n": n or len(part.rows), "sampled": len(part.rows), "seconds": 1.0, "budget": 60.0, "left_out": []}
    return fixed | {"probes": about}


def test_flips_and_drops_are_those_of_the_rows_that_were_changed():
    part, probe = subject(texts()), made("shout", shout_some, SEVERITIES=2)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1, 2))
    assert {cell: found.n for cell, found in cells.items()} == {AS_IT_IS: 200, ("shout", 1): 50, ("shout", 2): 100}
    found = robustness.facts(cells, how(part, [probe]), METRICS)["probes"][0]
    assert (found["n"], found["of"], found["unseen"]) == (100, 200, False)
    first, second = found["severities"]
    # Every changed row is answered "loud": of severity 1 all of them are labelled so, of severity 2 every other.
    assert first["rate"] == {"value": 1.0, "low": wilson(50, 50)[0], "high": 1.0, "n": 50, "method": "Wilson"}
    assert second["rate"]["value"] == 1.0 and second["rate"]["n"] == 100
    assert found["rate"]["n"] == 100 == found["drop"]["n"], "rows, however often each was changed"
    assert "clustered" in found["rate"]["method"]
    alone = robustness.facts(cells, how(part, [probe]), ["accuracy"])["probes"][0]["severities"]
    assert [part["drop"]["value"] for part in alone] == [-1.0, 0.0]  # from all wrong to all right; half and half


def test_the_drop_is_that_of_the_metric_that_leads():
    from sklearn.metrics import f1_score

    part, probe = subject(texts()), made("shout", shout_some, SEVERITIES=2)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (2,))
    found = robustness.facts(cells, how(part, [probe]), METRICS)
    assert found["metric"] == "f1_macro"
    before, after = answers.beside(cells[AS_IT_IS], cells["shout", 2]), cells["shout", 2]
    expected = [f1_score(one.labels, one.predicted, average="macro", zero_division=0) for one in (before, after)]
    drop = found["probes"][0]["severities"][0]["drop"]
    assert drop["value"] == pytest.approx(expected[0] - expected[1]) and drop["low"] <= drop["value"] <= drop["high"]


def test_a_probe_that_changes_no_answer_is_not_sure_of_it():
    part, probe = subject(texts(40)), made("dots", lambda text, severity, rng: f"{text}.")
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1,))
    found = robustness.facts(cells, how(part, [probe]), ["accuracy"])["probes"][0]
    assert found["rate"]["value"] == 0 and found["rate"]["high"] == pytest.approx(wilson(0, 40)[1])
    assert found["unseen"] and "the model does not see the change" in found["sentence"]
    assert found["drop"]["low"] < -0.03 and found["drop"]["high"] > 0.03
    twice = made("dots", lambda text, severity, rng: text + "." * severity, SEVERITIES=2)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, twice, (1, 2))
    pooled = robustness.facts(cells, how(part, [twice]), ["accuracy"])["probes"][0]["drop"]
    assert pooled["low"] < -0.03 and pooled["high"] > 0.03, "the same rows twice are no more certain"


def test_rows_of_a_group_are_one_witness():
    probe = made("shout", shout_some)
    wide, narrow = (subject(texts(400, [f"g{i // size}" for i in range(400)])) for size in (40, 1))
    rates = []
    for part in (wide, narrow):
        change = made(
            "shout", lambda text, severity, rng: text.upper() if int(text.split()[1]) % 80 < 40 else text + "."
        )
        cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, change, (1,))
        rates.append(robustness.facts(cells, how(part, [probe]), ["accuracy"])["probes"][0]["rate"])
    assert rates[0]["value"] == rates[1]["value"] == 0.5
    assert rates[0]["high"] - rates[0]["low"] > 2 * (rates[1]["high"] - rates[1]["low"])


def test_of_a_direction_confidence_has_to_fall():
    def louder(rows):
        return answered(rows, np.array([0.5 + 0.01 * text.count("!") for text in rows["text"][:]]))

    rows = texts(60)
    part = subject(rows, louder)
    more = made("more", lambda text, severity, rng: text + "!" * (int(text.split()[1]) % 3), KIND="direction")
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, more, (1,))
    found = robustness.facts(cells, how(part, [more]), METRICS)["probes"][0]
    assert found["measure"] == "failure_rate" and found["drop"] is None
    assert found["n"] == 40, "a third of the rows got no sign, so they were not changed"
    assert found["rate"]["value"] == 0.0, "0.5 for both classes is answered calm, of which every sign takes away"


def test_templates_are_right_or_wrong():
    templates = [Template("{who} SHOUTS", "loud", {"who": ["ANN", "BO"]}), Template("she said", "loud")]
    cells = probing.from_templates(TEXT, shouting, templates)
    about = {TEMPLATES: {"kind": answers.MINIMUM, "safe": True, "says": "sentences", "of": 3}}
    found = robustness.facts(cells, how(subject(texts(4)), []) | {"probes": about}, METRICS)
    assert [part["rate"]["value"] for part in found["probes"][0]["severities"]] == [0.0, 1.0]
    assert found["probes"][0]["rate"]["value"] == pytest.approx(1 / 3) and found["metric"] is None
    failing = probing.wrong_sentences(cells, templates)
    assert failing == [{"template": 2, "text": "she said", "label": "loud", "prediction": "calm", "confidence": 1.0}]
    about[TEMPLATES] |= {"patterns": [{"text": one.text, "label": one.label} for one in templates]}
    told = robustness.facts(cells, how(subject(texts(4)), []) | {"probes": about}, METRICS)["probes"][0]
    assert [part["title"] for part in told["severities"]] == ["{who} SHOUTS → loud", "she said → loud"]
    assert told["a_failure"] == "wrong class"
    assert set(robustness.scores(found)) == {
        "probe.templates.failure_rate", "probe.templates.1.failure_rate", "probe.templates.2.failure_rate"
    }  # fmt: skip


def test_a_model_with_one_answer_is_told_of(tmp_path):
    part = subject(texts(), lambda rows: answered(rows, np.zeros(len(rows))))
    probe = made("shout", shout_some, SEVERITIES=2)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1, 2))
    found = robustness.facts(cells, how(part, [probe]), METRICS)
    assert found["sentences"][0].startswith("The model answers 'calm' for every one of these rows")
    other = subject(texts())
    cells = {AS_IT_IS: answered(other.rows, np.arange(200) % 2.0)} | probing.probed(other, probe, (1,))
    assert not robustness.facts(cells, how(other, [probe]), METRICS)["sentences"]


def test_what_was_left_out_is_said():
    part, probe = subject(texts()), made("shout", shout_some, SEVERITIES=3)
    cells = {AS_IT_IS: answered(part.rows, np.arange(200) % 2.0)} | probing.probed(part, probe, (2,))
    about = how(part, [probe], 900) | {"left_out": ["url"], "budget": 24.0, "capped": True}
    about["probes"]["shout"] |= {"severities": [2], "strengths": 3}
    found = robustness.facts(cells, about, METRICS)
    assert found["left_out"] == ["url", "shout at strengths 1 and 3"] and found["probes"][0]["left_out"] == [1, 3]
    limit = "probes.budget, here 24 s, capped at 30 % of the time training took"
    assert found["sentences"][0].endswith(f"the same for every model. More take more time ({limit}).")
    assert found["sentences"][1] == f"Not tried for lack of time ({limit}): url; shout at strengths 1 and 3."
    assert "+0.0" not in found["probes"][0]["sentence"] or "lost" in found["probes"][0]["sentence"]


def test_what_is_lost_has_one_sign_in_tables_and_sentences():
    part, probe = subject(texts()), made("shout", shout_some, SEVERITIES=2)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1,))
    found = robustness.facts(cells, how(part, [probe]), METRICS)["probes"][0]
    assert f"{100 * found['drop']['value']:+.1f} points of f1_macro lost [" in found["sentence"]


def test_the_worst_examples_show_what_was_changed():
    part = subject(texts())
    probe, still = made("shout", shout_some, SEVERITIES=2), made("dots", lambda text, severity, rng: f"{text}.")
    cells = (
        {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1, 2)) | probing.probed(part, still, (1,))
    )
    rows = probing.examples(part, cells[AS_IT_IS], cells, [probe, still]).to_pylist()
    assert len(rows) == probing.KEPT and {row["probe"] for row in rows} == {"shout"}
    for row in rows:
        assert row["text_after"] == row["text_before"].upper() != row["text_before"]
        assert (row["prediction_before"], row["prediction_after"], row["label"]) == ("calm", "loud", "calm")
        assert row["severity"] == 2 and row["confidence_before"] == 1.0 and row["confidence_after"] > 0.5
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_row_is_ranked_by_its_worst_failure():
    """It fails surely at severity 1 and barely at 2: it comes before one that fails in between."""

    def sure(rows):
        levels = {"calm": 0.1, "A1": 0.99, "A2": 0.51, "B1": 0.9}
        return answered(rows, np.array([levels[text] for text in rows["text"][:]]))

    rows = datasets.Dataset.from_dict({"text": ["calm"] * 2, "id": ["b-calm", "a-calm"], "label": ["calm"] * 2})
    part = subject(rows, sure)
    cells = {AS_IT_IS: part.answered}
    for severity, texts_now, places in ((1, ["B1", "A1"], [0, 1]), (2, ["A2"], [1])):
        cells["steps", severity] = sure(TEXT.changed(rows.select(places), texts_now))
    probe = made("steps", lambda text, severity, rng: f"{text}{severity}", SEVERITIES=2)
    found = probing.examples(part, part.answered, cells, [probe]).to_pylist()
    assert [(row["id"], row["severity"]) for row in found] == [("a-calm", 1), ("b-calm", 1)]


def pictures(n=12, side=40):
    images = [Image.new("RGB", (side, side + 8), (100 + i, 100, 100)) for i in range(n)]
    rows = {"image": [datasets.Image().encode_example(image) for image in images]}
    rows |= {"id": [f"p{i}-calm" for i in range(n)], "label": ["calm"] * n}
    features = datasets.Features(
        {"image": datasets.Image(decode=False), "id": datasets.Value("string"), "label": datasets.Value("string")}
    )
    return datasets.Dataset.from_dict(rows, features=features)


def bright(rows):
    means = [np.asarray(picture_rows.decoded(source)).mean() / 255 for source in rows["image"][:]]
    return answered(rows, np.array(means))


def processor(side):
    return types.SimpleNamespace(size={"height": side}, image_mean=[0.5], image_std=[0.5])


def test_pictures_are_changed_without_loss_and_reach_the_model():
    part = subject(pictures(), bright, IMAGE, processor(40))
    lighter = made("lighter", lambda image, severity, rng: image.point(lambda x: x + 60 * severity), INPUT="image")
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, lighter, (1, 2))
    assert (cells[AS_IT_IS].scores == part.answered.scores).all(), "no picture was made smaller"
    for severity in (1, 2):
        gone = cells["lighter", severity].scores[:, 1] - cells[AS_IT_IS].scores[:, 1]
        np.testing.assert_allclose(gone, 60 * severity / 255, atol=1e-6)
    rows = probing.examples(part, cells[AS_IT_IS], cells, [lighter]).to_pylist()
    assert rows and all(row["image_after"][:4] == b"\x89PNG" != row["image_before"] for row in rows)


def test_large_pictures_are_compared_with_themselves_made_smaller():
    asked = []

    def sizes(rows):
        asked.append([picture_rows.decoded(source).size for source in rows["image"][:]])
        return bright(rows)

    part = subject(pictures(3, side=400), sizes, IMAGE, processor(50))
    probing.reference(part)
    assert asked == [[(400, 408)] * 3, [(50, 51)] * 3]


def test_the_sample_is_one_for_all_models_and_grows_without_changing():
    ids = [f"c{i}-calm" for i in range(500)]
    order = probing.order(ids)
    assert sorted(order.tolist()) == list(range(500)) and order.tolist() != list(range(500))
    shuffled = np.random.default_rng(0).permutation(500)
    other = probing.order([ids[i] for i in shuffled])
    assert [ids[i] for i in order] == [ids[shuffled[i]] for i in other]
    renamed = probing.order([row.replace("calm", "loud") for row in ids])
    assert renamed.tolist() == order.tolist(), "what a row holds decides, not its label"


def test_a_change_depends_on_probe_severity_and_row_alone():
    probe = made("dice", lambda text, severity, rng: f"{text} {rng.random()}")
    first = [perturbing.perturbed(probe, "x", 1, content) for content in "abc"]
    assert first == [perturbing.perturbed(probe, "x", 1, content) for content in "abc"] and len(set(first)) == 3
    assert perturbing.perturbed(probe, "x", 2, "a") != first[0]
    assert perturbing.perturbed(made("dices", probe.perturb), "x", 1, "a") != first[0]


def test_answers_are_written_read_and_merged(tmp_path):
    part, probe = subject(texts(20)), made("shout", shout_some, SEVERITIES=2)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1, 2))
    answers.write(tmp_path / "a.parquet", cells)
    found = answers.read(tmp_path / "a.parquet")
    assert list(found) == list(cells)
    for cell, predictions in cells.items():
        assert found[cell].groups is None and (found[cell].scores == predictions.scores).all()
        assert found[cell].ids.tolist() == predictions.ids.tolist() and found[cell].names == NAMES
    some = subject(texts(20).select(range(10, 20)))
    still = made("dots", lambda text, severity, rng: f"{text}.")
    later = {AS_IT_IS: probing.reference(some)} | probing.probed(some, still, (1,))
    both = answers.merged(found, later, {"dots"})
    assert set(both) == {AS_IT_IS, ("shout", 1), ("shout", 2), ("dots", 1)}
    assert sorted(both[AS_IT_IS].ids) == sorted(cells[AS_IT_IS].ids)
    again = answers.merged(both, {AS_IT_IS: later[AS_IT_IS]}, {"shout"})
    assert set(again) == {AS_IT_IS, ("dots", 1)}
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:200])
    with pytest.raises(InputError, match=r"b\.parquet is damaged"):
        answers.read(tmp_path / "b.parquet")


def test_examples_of_other_probes_stay(tmp_path):
    part, probe = subject(texts()), made("shout", shout_some, SEVERITIES=2)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1,))
    table, path = probing.examples(part, cells[AS_IT_IS], cells, [probe]), tmp_path / "e.parquet"
    probing.keep_examples(table, {"shout"}, path)
    probing.keep_examples(None, {"templates"}, path)
    assert pq.read_table(path).to_pylist() == table.to_pylist() != []
    probing.keep_examples(None, {"shout"}, path)
    assert pq.read_table(path).num_rows == 0


def test_a_probe_of_another_kind_of_input_is_refused_by_name():
    with pytest.raises(InputError, match="'casing' is for texts and the rows are images"):
        perturbing.chosen(["casing"], "image")
    assert [perturbing.title(probe) for probe in perturbing.chosen(["casing", "casing"], "text")] == ["casing"]
    assert all(probe.SAFE and probe.INPUT == "text" for probe in perturbing.chosen(None, "text"))


def test_two_models_are_compared_on_the_rows_both_saw_changed_alike():
    """The second ignores capitals at severity 1, where the first is moved by every one of them."""

    def half_deaf(rows):
        heard = [text.isupper() and int(text.split()[1]) % 4 == 2 for text in rows["text"][:]]
        return answered(rows, np.array(heard, dtype=float))

    probe = made("shout", shout_some, SEVERITIES=2)
    runs = []
    for part in (subject(texts()), subject(texts().select(range(100)), half_deaf)):
        runs.append({AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1, 2)))
    found = steadiness.apart(*runs, {"shout": "invariance", "absent": "invariance"})
    assert [row["name"] for row in found] == ["shout"] and found[0]["n"] == 50
    assert found[0]["first"] == 1.0 and found[0]["second"] == pytest.approx(25 / 75)
    gap = found[0]["difference"]
    assert gap["value"] == pytest.approx(-50 / 75) and gap["low"] < gap["value"] < gap["high"] < 0 and gap["p"] < 1e-6


def test_few_discordant_rows_widen_the_side_on_which_they_lie():
    """Of 100 rows 2 fail with the first alone and 7 with the second alone."""
    kept = {(1, str(row)): (0.0, str(row)) for row in range(100)}
    one = kept | {(1, str(row)): (1.0, str(row)) for row in (0, 1)}
    other = kept | {(1, str(row)): (1.0, str(row)) for row in range(2, 9)}
    gap = steadiness._difference("shout", sorted(kept), one, other)["difference"]
    assert gap["value"] == pytest.approx(0.05)
    assert gap["high"] == pytest.approx(wilson(7, 100)[1]) and gap["low"] == pytest.approx(-wilson(2, 100)[1])
    back = steadiness._difference("shout", sorted(kept), other, one)["difference"]
    assert (back["low"], back["high"]) == pytest.approx((-gap["high"], -gap["low"]))


def test_the_rates_shown_are_those_of_what_both_runs_changed():
    """The first was asked at both strengths, the second at the stronger one alone."""
    part, probe = subject(texts()), made("shout", shout_some, SEVERITIES=2)
    both = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1, 2))
    quiet = subject(texts(), lambda rows: answered(rows, np.zeros(len(rows))))
    one = {AS_IT_IS: probing.reference(quiet)} | probing.probed(quiet, probe, (2,))
    row = steadiness.apart(both, one, {"shout": "invariance"})[0]
    assert (row["n"], row["severities"], row["first"], row["second"]) == (100, [2], 1.0, 0.0)
    assert row["difference"]["value"] == row["second"] - row["first"]
    low, high = wilson(100, 100)
    assert row["sides"]["first"] == {"value": 1.0, "low": low, "high": high, "n": 100, "method": "Wilson"}


def test_templates_are_compared_sentence_by_sentence_wherever_they_stand():
    said = Template("{who} SHOUTS", "loud", {"who": ["ANN", "BO"]}), Template("SHE SAID", "loud")
    first = probing.from_templates(TEXT, shouting, said)
    deaf = probing.from_templates(
        TEXT, lambda rows: answered(rows, np.zeros(len(rows))), [Template("spoken", "loud"), said[1], said[0]]
    )
    row = steadiness.apart(first, deaf, {TEMPLATES: answers.MINIMUM})[0]
    assert -1 <= row["difference"]["low"] <= row["difference"]["high"] <= 1
    assert (row["n"], row["first"], row["second"]) == (3, 0.0, 1.0), "the sentence of one recipe alone does not count"
    assert steadiness.apart(first, first, {TEMPLATES: answers.MINIMUM})[0]["difference"]["value"] == 0
    other = probing.from_templates(TEXT, shouting, [Template("SHE SAID", "calm")])
    assert not steadiness.apart(first, other, {TEMPLATES: answers.MINIMUM}), "the same words with another class"


def test_templates_of_older_runs_are_not_compared():
    """Their rows were numbered, which does not tell what was asked."""
    found = probing.from_templates(TEXT, shouting, [Template("SHE SAID", "loud")])
    old = {cell: replace(part, ids=np.array(["template-1.0"], dtype=object)) for cell, part in found.items()}
    assert not steadiness.apart(old, old, {TEMPLATES: answers.MINIMUM})


def test_a_model_against_itself_is_as_steady_and_that_is_not_certain():
    part, probe = subject(texts(60)), made("shout", shout_some)
    cells = {AS_IT_IS: probing.reference(part)} | probing.probed(part, probe, (1,))
    gap = steadiness.apart(cells, cells, {"shout": "invariance"})[0]["difference"]
    assert gap["value"] == 0 and gap["p"] == 1 and gap["low"] < -0.05 < 0.05 < gap["high"]


def test_few_rows_that_differ_are_tested_exactly():
    """4 to 0 is no difference at 5 %, whatever the other 496 rows say."""
    rows = texts(500)
    still = answered(rows, np.zeros(500))
    moved = answered(rows, np.array([1.0] * 4 + [0.0] * 496))
    one, other = ({AS_IT_IS: still, ("shout", 1): after} for after in (moved, still))
    gap = steadiness.apart(one, other, {"shout": "invariance"})[0]["difference"]
    assert gap["p"] == pytest.approx(0.0625) and gap["low"] < 0 < gap["high"]
