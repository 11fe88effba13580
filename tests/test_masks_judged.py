"""Judging predicted masks: comparisons, gates, cautions, slices, baselines, and the page, from files alone."""

import dataclasses
import json
import re

import mask_answers
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hfft import (
    cautioning,
    comparing,
    display,
    judging,
    mask_baselines,
    mask_pairing,
    mask_records,
    presenting,
    reporting,
    scoring,
    slicing,
    weakness,
    weighing,
)
from hfft.errors import InputError
from hfft.records import Predictions, read_json

METRICS = ["mean_iou", "pixel_accuracy"]


def same_truth(first, rng, better):
    """Another answer to the true masks of `first`: of each wrong cell a share goes to the right one."""
    k = len(first.names)
    cells = first.cells.toarray().reshape(-1, k, k)
    moved = (cells * (1 - np.eye(k, dtype=int)) * better * rng.random((len(cells), 1, 1))).astype(np.int64)
    own = cells - moved
    own[:, range(k), range(k)] += moved.sum(axis=2)
    return dataclasses.replace(mask_answers.predictions(cells=own, names=first.names), groups=first.groups)


@pytest.fixture
def models():
    first = mask_answers.predictions(24, 3)
    return first, same_truth(first, np.random.default_rng(1), 0.5)


def test_a_better_model_is_told_image_by_image(models):
    first, second = models
    (found,) = comparing.compare([("a", first), ("b", second)], METRICS)
    assert found.headline == "mean_iou" and found.verdict == "better" and found.mcnemar is None
    assert found.sentence.startswith("b is better than a: +") and "24 images" in found.sentence
    apart = found.differences["mean_iou"]
    scores = [scoring.score(part, METRICS)["mean_iou"].value for part in models]
    assert apart.value == pytest.approx(scores[1] - scores[0])
    assert apart.low < apart.value < apart.high and apart.low > 0 and apart.n == 24
    assert apart.method == "paired jackknife over images, Student's t; randomisation, 2000 resamples"
    assert not found.lost and set(found.won) <= set(first.ids)
    assert len(found.won) == np.count_nonzero(second.own_iou > first.own_iou)


def test_the_order_of_images_and_classes_does_not_matter(models):
    first, second = models
    turned = second.where(np.arange(second.n)[::-1]).among(second.names[::-1])
    one, other = (comparing.compare([("a", first), ("b", part)], METRICS)[0] for part in (second, turned))
    assert one.differences == other.differences and one.won == other.won


def test_a_model_cannot_be_told_from_itself(models):
    (found,) = comparing.compare([("a", models[0]), ("b", models[0])], METRICS)
    assert found.verdict == "cannot tell" and found.p == 1.0 and not found.won + found.lost
    careful = comparing.cautious(models[0], models[0], "mean_iou", found.differences["mean_iou"])
    assert careful.low < -0.05 < 0.05 < careful.high, "24 images on which nothing differs do not prove equality"
    assert "0 discordant images" in careful.method


def test_what_cannot_be_compared_is_said(models):
    first, second = models
    cells = second.cells.toarray()
    cells[0, 1] += 1
    with pytest.raises(InputError, match="different true masks for 1 images"):
        comparing.compare([("a", first), ("b", mask_answers.predictions(cells=cells.reshape(-1, 5, 5)))], METRICS)
    rows = Predictions(first.ids, np.zeros(24, int), np.zeros(24, int), np.ones((24, 1), np.float32), ("a",))
    with pytest.raises(InputError, match="one answers rows, the other each pixel"):
        comparing.compare([("a", first), ("b", rows)], METRICS)
    with pytest.raises(InputError, match="24 rows and 23 rows"):
        comparing.compare([("a", first), ("b", second.where(np.arange(23)))], METRICS)


def test_false_alarms_of_comparisons_are_as_rare_as_promised():
    """Two equal models on images with a difficulty of their own: p below 5 % and intervals without 0 are rare."""
    rng, alarms = np.random.default_rng(5), []
    for seed in range(100):
        first = mask_answers.predictions(12, seed)
        parts = [same_truth(first, rng, 0.4) for _ in range(2)]
        apart = mask_pairing.differences(*parts, scoring.statistic(METRICS), 400)["mean_iou"]
        alarms.append((apart.p < 0.05, not apart.low <= 0 <= apart.high))
    by_test, by_interval = np.mean(alarms, axis=0)
    assert by_test <= 0.09 and by_interval <= 0.11


def test_one_group_cannot_tell_models_apart(models):
    first, second = (dataclasses.replace(part, groups=np.full(24, "drive")) for part in models)
    (found,) = comparing.compare([("a", first), ("b", second)], METRICS)
    assert found.verdict == "cannot tell" and "24 images, one group of images alone" in found.sentence
    assert found.sentence.endswith("Score images of more groups.") and "would be needed" not in found.sentence


def test_frames_of_a_video_change_places_together(models):
    videos = np.repeat([f"v{i}" for i in range(4)], 6).astype(object)
    parts = [dataclasses.replace(part, groups=videos) for part in models]
    plain, grouped = (mask_pairing.differences(*two, scoring.statistic(METRICS))["mean_iou"] for two in (models, parts))
    assert plain.value == grouped.value and grouped.p > 0.1 > plain.p
    assert "over groups of images" in grouped.method and grouped.high - grouped.low > plain.high - plain.low


def test_classes_are_won_and_lost_in_images_that_hold_them(models):
    rows = mask_pairing.by_class(*models)
    held = dict(zip(models[0].names, (models[0].totals[1] > 0).sum(axis=0).tolist(), strict=True))
    assert {row["name"]: row["n"] for row in rows} == {name: n for name, n in held.items() if n}
    assert all(row["won"] + row["lost"] <= row["n"] and row["p"] is None for row in rows)


def test_cautions_name_what_the_scores_leave_out():
    cells = np.zeros((6, 4, 4), int)
    cells[:, 0, 0], cells[:, 0, 3], cells[:2, 1, 0], cells[0] = 90, 10, 5, 0
    made = mask_answers.predictions(cells=cells, names=("road", "pole", "sky", "car"))
    said = " ".join(cautioning.notes(made))
    for part in (
        "6 images are the only witnesses",
        "1 image has no pixel that counts",
        "2 classes (sky, car) are in no true mask here",
        "Class car (50 pixels) is predicted without being in any true mask",
        "Class pole (1) is in fewer than 5 images, so hardly anything is known about it",
        "Class pole is never predicted",
    ):
        assert part in said
    lone = mask_answers.predictions(cells=[[[80, 0], [20, 0]]] * 40, names=("road", "sky"))
    assert "The model answers 'road' for every pixel, whatever the images hold (80.0 % truly are)" in " ".join(
        cautioning.notes(lone)
    )
    videos = dataclasses.replace(lone, groups=np.repeat(["a", "b"], 20).astype(object))
    assert "The 40 images belong to 2 groups" in cautioning.notes(videos)[0]
    assert cautioning.notes(lone.where(np.zeros(40, bool))) == ["There are no rows: nothing can be said."]


def test_a_dark_slice_is_found_by_the_images_own_iou():
    rng = np.random.default_rng(4)
    dark = np.arange(400) % 4 == 0
    cells = np.where(dark[:, None, None], mask_answers.matrices(rng, 400, skill=-2.5), mask_answers.matrices(rng, 400))
    made = mask_answers.predictions(cells=cells)
    noise = rng.choice(["left", "right"], 400).astype(object)
    facts = slicing.of_attributes(
        made, {"slice:light": np.where(dark, "night", "day").astype(object), "slice:side": noise}
    )
    worst = facts["rows"][0]
    assert facts["measure"] == "image_iou" and (worst["value"], worst["state"]) == ("night", "confirmed")
    assert worst["score"]["value"] == pytest.approx(
        made.own_iou[dark & ~slicing.halving.first_half(made, slicing.SALT)].mean()
    )
    assert "have a mean IoU, image by image, of 0." in facts["sentences"][0]
    assert "confirmed" not in [row["state"] for row in facts["rows"] if row["attribute"] == "slice:side"]


@pytest.mark.parametrize("videos", [1, 3])
def test_few_videos_make_no_slices_that_nothing_can_be_said_of(videos):
    """A slice that one video is all of, or all but one, has no interval, and so no gap."""
    groups = np.array([f"video-{place % videos}" for place in range(120)], dtype=object)
    made = mask_answers.predictions(120, seed=2, groups=groups)
    attributes = {"slice:video": groups, "slice:light": np.where(np.arange(120) % 2, "day", "night").astype(object)}
    facts = slicing.of_attributes(made, attributes)
    assert {row["attribute"] for row in facts["rows"]} == ({"slice:light"} if videos > 1 else set())
    assert (facts["overall"]["low"] is None) == (videos == 1)


@pytest.mark.parametrize("size", [1, 10])
def test_slices_of_equal_images_are_rarely_called_weaker(size):
    rng, alarms = np.random.default_rng(size), []
    units = np.repeat(np.arange(120 // size), size)
    for _ in range(400):
        values = 1 / (1 + np.exp(-rng.normal(0, 1, len(units))[units] - rng.normal(0, 1, len(units))))
        mask = (rng.permutation(units[-1] + 1) < 0.3 * units[-1])[units]
        given = None if size == 1 else units
        alarms.append(weakness.lower(values, mask, given, weakness.alike(values, given)) < 0.05)
    assert np.mean(alarms) < 0.08


def test_baselines_know_where_a_pixel_lies_and_nothing_else():
    """Sky above and road below in training masks of one size; asked at another."""
    train = np.zeros((20, 30), int)
    train[10:] = 1
    train[9, 3] = -100
    truth = np.zeros((10, 12), int)
    truth[6:], truth[0, 0] = 1, -100
    model = mask_answers.predictions(cells=np.zeros((1, 2, 2), int), names=("sky", "road"))
    made = mask_baselines.made(iter([train] * 3), iter([truth]), model)
    assert set(made) == set(mask_baselines.NAMES)
    assert made["majority"].matrix.tolist() == [[0, 71], [0, 48]], "one sky pixel is ignored, so road is commoner"
    assert made["place"].matrix.tolist() == [[59, 12], [0, 48]], "one row of sky lies where road is usual"
    assert made["place"].edges[0, 1].tolist() == [12, 12, 12, 12], "its outline is one pixel off"
    none = mask_baselines.made(iter([]), iter([]), model.where(np.zeros(1, bool)))
    assert none["place"].n == 0


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A run folder that has been judged, with a baseline and gates of each kind."""
    made = mask_answers.predictions(60, 2)
    gates = {
        "mean_iou": ">= 0.30",
        "iou[pole]": ">= 0.95",
        "iou_per_class": ">= 0.05",
        "boundary_f1": f">= {scoring.score(made, ['boundary_f1'])['boundary_f1'].value:.3f}",
    }
    folder = mask_answers.run(tmp_path_factory.mktemp("runs") / "frames", made, gates)
    same_truth(made, np.random.default_rng(0), 0.0).write(folder.predictions("test_majority"))
    light = pa.array(["night" if i % 3 else "day" for i in range(60)])
    pq.write_table(pa.table({"id": made.ids.tolist(), "slice:light": light}), folder.attributes("test"))
    with reporting.undrawn():
        return folder, judging.judge(str(folder.root))


def test_a_run_is_judged_from_its_files(scored):
    folder, facts = scored
    assert facts["n"] == 60 and facts["calibration"] is None and not (folder.root / "calibration.json").is_file()
    assert {gate["metric"]: gate["verdict"] for gate in facts["gates"]} == {
        "mean_iou": "pass",
        "iou[pole]": "fail",
        "iou_per_class": facts["gates"][2]["verdict"],
        "boundary_f1": "cannot tell",
    }
    assert set(facts["baselines"]) == {"majority"} and facts["gains"]["majority"]["metric"] == "mean_iou"
    assert facts["slices"]["measure"] == "image_iou"
    kept = read_json(folder.root / "metrics.json")["test"]
    assert list(kept)[:2] == ["mean_iou", "mean_dice"] and set(kept["mean_iou"]) == {
        "value",
        "low",
        "high",
        "n",
        "method",
    }
    with pytest.raises(InputError, match="no metric 'f1_macro'"):
        judging.judge(str(folder.root), ("gates={f1_macro: '>= 0.5'}",))
    with pytest.raises(InputError, match="accuracy is for rows, and here masks are scored"):
        judging.judge(str(folder.root), ("metrics=[accuracy]", "gates={}"))


def test_the_page_speaks_of_images_and_pixels(scored):
    folder, _ = scored
    page = folder.report.read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    for part in (
        "Test mean IoU 0.",
        "on 60 images that took no part in training",
        "Weakest IoU first. A long bar means few images",
        "What is taken for what In pixels of all 60 images together",
        "Worst images first",
        "road taken for &lt;sky&gt;: 12 % of its pixels",
        "Pixels per class and split",
        "60 60 60",
    ):
        assert part in text, part
    for absent in ("Calibration", "When not to answer", "linear probe", "undefined: not scored", "McNemar"):
        assert absent not in text, absent
    assert page.count('src="data:image/jpeg') == 5 and 'class="swatch" style="background:#e69f00"' in page
    assert reporting.render(folder).read_text(encoding="utf-8") == page
    card = (folder.model / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: image-segmentation" in card and "import hfft.fcn" in card
    assert "on 60 images" in card and "give each pixel one of 5 classes" in card


def test_two_runs_are_compared_from_their_files(scored, tmp_path, capsys):
    folder, _ = scored
    made = mask_records.MaskPredictions.read(folder.predictions("test"))
    other = mask_answers.run(tmp_path / "other", same_truth(made, np.random.default_rng(8), 0.5))
    facts = weighing.compare([str(folder.root), str(other.root)])
    (found,) = facts["comparisons"]
    assert facts["n"] == 60 and found["verdict"] == "better" and found["mcnemar"] is None
    assert [row["name"] for row in found["classes"]] == list(mask_answers.NAMES)
    assert len(found["examples"]["won"]) == 5 and json.dumps(facts)
    page = presenting.compared([str(folder.root), str(other.root)]).read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    for part in (
        "comparison · 60 test images",
        "Images won and lost By an image's own IoU",
        "IoU of both with 95 % intervals",
        "Won: answered worse by frames",
    ):
        assert part in text, part
    assert "McNemar" not in text and 'p-value</th></tr></thead><tbody> <tr><th scope="row"><bdi>road' not in page
    display.compared(facts)
    said = capsys.readouterr().out
    assert "images won, 0 lost by their own IoU" in said and "BETTER. " in said and "About" not in said
    rule = {"no_worse_than": {"run": str(folder.root), "margin": 0.02}}
    told = judging.judge(str(other.root), (f"gates={json.dumps(rule)}",))["gates"]
    assert told[0]["verdict"] == "pass" and "on the same 60 images: all of it is above -0.02" in told[0]["why"]
