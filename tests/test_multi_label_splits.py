"""Rows with several classes in every kind of split, with a limit, with copies, and from a stream."""

from __future__ import annotations

import json
from collections import Counter

import datasets
import numpy as np
import pytest
import yaml

from hfft import labelsets, loading, recipe, rooms, splitting, streaming
from hfft.errors import InputError
from hfft.modalities import text_classification
from hfft.records import SPLITS, read_json
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.test_multi_label import TEXTS, tagged_texts

SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)


def parts(path: str, split: dict | None = None, **keys) -> splitting.Splits:
    data = {"path": path, "multi_label": True, "split": split or {}, **keys}
    wanted = recipe.build({"task": "text_classification", "model": {"name": "x"}, "data": data})
    table = loading.read(wanted.data, text_classification)
    return splitting.split(table, wanted.data, wanted.seed)


def written(write_text, rows, **columns) -> str:
    made = [{"text": text, "label": tags} | {name: values[i] for name, values in columns.items()}
            for i, (text, tags) in enumerate(rows)]  # fmt: skip
    return write_text("rows.jsonl", "".join(json.dumps(row) + "\n" for row in made))


def off(made: splitting.Splits) -> float:
    """The largest distance, in rows, of a class in a split from its share."""
    counts = made.report.counts
    every = {name: sum(part[name] for part in counts.values()) for name in made.labels}
    return max(
        abs(counts[split][name] - every[name] * share) for name in made.labels for split, share in SHARES.items()
    )


def test_counts_are_of_classes_and_sizes_of_rows(write_text):
    made = parts(written(write_text, tagged_texts(600)))
    report = made.report
    assert {name: report.size(name) for name in SPLITS} == {name: len(part) for name, part in made.parts.items()}
    assert sum(map(report.size, SPLITS)) == 600
    for name, part in made.parts.items():
        assert report.counts[name] == {label: labelsets.count(part["label"][:], True)[label] for label in made.labels}
    assert made.labels == ("car", "cat", "dog", "quark")
    assert "rows" in report.facts()


def test_stratified_by_class_where_chance_is_not(write_text):
    path = written(write_text, tagged_texts(600))
    assert off(parts(path)) <= 1.5
    assert off(parts(path, {"stratify": False})) > 3


def test_groups_stay_together_and_classes_near_their_shares(write_text):
    groups = [f"g{i // 5}" for i in range(600)]
    made = parts(written(write_text, tagged_texts(600), group=groups), {"by": "group"})
    where: dict[str, set[str]] = {}
    for name, part in made.parts.items():
        for group in part["group"][:]:
            where.setdefault(group, set()).add(name)
    assert all(len(places) == 1 for places in where.values())
    assert off(made) <= 3
    assert sum(map(made.report.size, SPLITS)) == 600


def test_time_and_hash_and_the_datas_own(write_text):
    rows = tagged_texts(600)
    late = parts(written(write_text, rows, time=list(range(600))), {"by": "time"}, columns={"time": "time"})
    assert max(late.parts["train"]["time"][:]) < min(late.parts["test"]["time"][:])
    hashed = parts(written(write_text, rows), {"by": "hash"})
    assert sum(map(hashed.report.size, SPLITS)) == 600
    files = {}
    for name, some in (("train", rows[:400]), ("validation", rows[400:500]), ("test", rows[500:])):
        files[name] = write_text(f"{name}.jsonl", "".join(json.dumps({"text": t, "label": g}) + "\n" for t, g in some))
    own = parts("json", {"by": "predefined"}, data_files=files)
    assert [own.report.size(name) for name in SPLITS] == [400, 100, 100]


def test_a_limit_keeps_classes_near_their_shares(write_text):
    rows = tagged_texts(600)
    made = parts(written(write_text, rows), limit=200)
    assert sum(map(made.report.size, SPLITS)) == 200
    whole = Counter(tag for _, tags in rows for tag in tags)
    kept = {name: sum(part[name] for part in made.report.counts.values()) for name in made.labels}
    assert all(abs(kept[name] - whole[name] / 3) <= 5 for name in whole)
    assert made.report.findings[0].startswith("data.limit: 200 of 600 rows are used")


def test_copies_with_another_set_are_told_and_equal_inputs_stay_together(write_text):
    rows = tagged_texts(300)
    twice = [(text.upper(), [*tags, "cat"] if i % 2 else tags) for i, (text, tags) in enumerate(rows[:60])]
    made = parts(written(write_text, rows + twice))
    keys = {name: set(part["key"][:]) for name, part in made.parts.items()}
    assert not keys["train"] & keys["test"] and not keys["train"] & keys["validation"]
    assert any("60 of 360 rows repeat" in finding for finding in made.report.findings)
    torn = sum("cat" not in tags for i, (_, tags) in enumerate(rows[:60]) if i % 2)
    assert any(f"{torn} inputs occur with more than one label" in finding for finding in made.report.findings)


def test_classes_that_cannot_be_learnt_or_measured(write_text):
    rows = [(f"{text} x", [*tags, "always"]) for text, tags in tagged_texts(200)]
    rows[0] = (rows[0][0], [*rows[0][1], "once"])
    made = parts(written(write_text, rows))
    assert any("every row of train has 'always'" in finding for finding in made.report.findings)
    assert any("no row of 'once' in test" in finding for finding in made.report.findings)
    files = {
        name: write_text(f"{name}.jsonl", "".join(json.dumps({"text": t, "label": g}) + "\n" for t, g in some))
        for name, some in (("train", [(f"row {i}", ["ab"[i % 2]]) for i in range(9)]), ("test", [("x", ["a", "c"])]),
                           ("validation", [("y", ["b"])]))
    }  # fmt: skip
    with pytest.raises(InputError, match=r"test split has classes that train has not: c.*data.labels: {'c': null}"):
        parts("json", {"by": "predefined"}, data_files=files)
    assert parts("json", {"by": "predefined"}, data_files=files, labels={"c": None}).labels == ("a", "b")


def test_a_stream_is_dealt_counted_and_trained_on_as_a_table_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    texts, tags = zip(*tagged_texts(600), strict=True)
    datasets.Dataset.from_dict({"text": list(texts), "label": list(tags)}).to_parquet("rows.parquet")
    data = {"path": "parquet", "data_files": "rows.parquet", "multi_label": True, "split": {"by": "hash"}}
    tree = TEXTS | {"data": data, "train": {"max_steps": 3}, "gates": {}}
    wanted = recipe.build(tree | {"data": data | {"streaming": True}})
    survey = streaming.survey(wanted.data, text_classification, wanted.seed)
    table = splitting.split(loading.read(recipe.build(tree).data, text_classification), recipe.build(tree).data, 42)
    assert survey.splits.report.counts == table.report.counts and survey.splits.report.rows == table.report.rows
    assert sorted(survey.splits.parts["validation"]["id"][:]) == sorted(table.parts["validation"]["id"][:])
    names = survey.splits.labels

    def echo(batch):
        return {"text": batch["text"]}

    stream = streaming.train_rows(wanted.data, text_classification, survey, echo, names, 42)
    given = {row["text"]: row["labels"] for row in stream}
    expected = labelsets.matrix(table.parts["train"]["label"][:], names).astype(float)
    assert given == dict(zip(table.parts["train"]["text"][:], expected.tolist(), strict=True))
    (tmp_path / "flow.yaml").write_text(yaml.safe_dump(tree | {"data": data | {"streaming": True}}))
    assert hfft("run", "flow.yaml") == 0
    assert hfft("eval", "runs/flow") == 0
    folder = RunFolder(tmp_path / "runs" / "flow")
    assert set(read_json(folder.thresholds)["classes"]) == set(names)
    assert "TF-IDF" in capsys.readouterr().out


def test_a_separator_that_separates_nothing_in_a_stream(tmp_path):
    rows = {"text": [f"row {i}" for i in range(50)], "label": [("a|b", "b")[i % 2] for i in range(50)]}
    datasets.Dataset.from_dict(rows).to_parquet(str(tmp_path / "rows.parquet"))
    data = {"path": str(tmp_path / "rows.parquet"), "multi_label": True, "streaming": True, "split": {"by": "hash"}}
    wanted = recipe.build(
        {"task": "text_classification", "model": {"name": "x"}, "data": data | {"label_separator": ";"}}
    )
    with pytest.raises(InputError, match="';' stands in no label"):
        streaming.survey(wanted.data, text_classification, 1)


def test_the_model_says_what_its_outputs_are():
    """A head of several classes in a single-label task, and the reverse, would be read by the wrong function."""
    from hfft import backbones
    from tests.layouts import BERT, VIT

    for tree in (BERT, VIT):
        wanted = recipe.build(tree)
        modality = rooms.find("modalities", wanted.task)
        several = backbones.load(wanted.model, modality, ("a", "b"), True).model
        single = backbones.load(wanted.model, modality, ("a", "b")).model
        assert backbones.several(several) and not backbones.several(single)
        assert single.config.problem_type is None


def test_a_single_label_task_takes_a_multi_label_checkpoint(tmp_path):
    from hfft import backbones
    from tests.layouts import BERT

    wanted = recipe.build(BERT)
    modality = rooms.find("modalities", wanted.task)
    made = backbones.load(wanted.model, modality, ("a", "b"), True)
    made.model.save_pretrained(tmp_path / "model")
    made.processor.save_pretrained(tmp_path / "model")
    again = recipe.build({**BERT, "model": {"name": str(tmp_path / "model")}})
    single = backbones.load(again.model, modality, ("a", "b")).model
    assert single.config.problem_type == "single_label_classification" and not backbones.several(single)
    assert np.isclose(
        sum(p.sum().item() for p in single.parameters()), sum(p.sum().item() for p in made.model.parameters())
    )
