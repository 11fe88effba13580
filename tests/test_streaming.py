"""Streams: the same rows in the same splits as in memory, and a run from end to end that never holds them all."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from hfft import (
    batching,
    checking,
    gathering,
    loading,
    recipe,
    splitting,
    spooling,
    streaming,
    trainer_arguments,
)
from hfft.errors import InputError
from hfft.modalities import image_classification, text_classification
from hfft.recipe import Data, Split
from hfft.records import SPLITS
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import together
from tests.test_bad_input import TREE

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("late", "lost", "kind", "quick", "calm")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """`datasets` sleeps for seconds at the end of each pass over several shards, for threads of pyarrow."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)


def rows(n: int = 400) -> list[tuple[str, str]]:
    """Texts with their labels; every seventh is there twice, once in capitals."""
    made = [(f"{WORDS[i % 5]} delivery number {i}", ("good", "bad")[i % 2]) for i in range(n)]
    return made + [(text.upper(), label) for text, label in made[::7]]


@pytest.fixture
def shards(tmp_path):
    """Three Parquet files."""
    texts, labels = zip(*rows(), strict=True)
    whole = datasets.Dataset.from_dict({"text": texts, "label": labels})
    for number in range(3):
        whole.shard(3, number).to_parquet(str(tmp_path / f"part-{number}.parquet"))
    return [str(tmp_path / f"part-{number}.parquet") for number in range(3)]


def spec(files, **options) -> Data:
    options.setdefault("split", Split(by="hash"))
    return Data("parquet", files, streaming=True, **options)


def refused(data: Data, modality=text_classification) -> str:
    with pytest.raises(InputError) as caught:
        streaming.survey(data, modality, 1)
    return str(caught.value)


def test_a_stream_is_dealt_as_a_table_is(shards, monkeypatch):
    monkeypatch.setattr(batching, "BATCH", 37)
    data = spec(shards)
    found = streaming.survey(data, text_classification, 1, SPLITS)
    table = loading.read(Data("parquet", shards, split=Split(by="hash")), text_classification)
    whole = splitting.split(table, Data("parquet", shards, split=Split(by="hash")), 1)
    assert found.splits.labels == whole.labels and found.splits.report.counts == whole.report.counts
    for name in SPLITS:
        for column in ("id", "text", "label"):
            assert found.splits.parts[name][column][:] == whole.parts[name][column][:]
    assert found.splits.report.method["streaming"] and found.splits.report.method["rows_read"] == len(rows())


def test_fingerprints_do_not_depend_on_order_but_on_every_row(shards, monkeypatch):
    before = streaming.survey(spec(shards), text_classification, 1).splits.report.fingerprints
    monkeypatch.setattr(batching, "BATCH", 50)
    assert streaming.survey(spec(shards[::-1]), text_classification, 1).splits.report.fingerprints == before
    changed = pq.read_table(shards[0]).slice(1)
    pq.write_table(changed, shards[0])
    after = streaming.survey(spec(shards), text_classification, 1).splits.report.fingerprints
    assert sum(after[name] != before[name] for name in SPLITS) == 1
    moved = next(name for name in SPLITS if after[name] != before[name])
    with pytest.raises(InputError, match=f"the {moved} split is not the one this run was made with"):
        streaming.reopened(spec(shards), text_classification, 1, moved, before[moved])


def test_training_rows_come_once_an_epoch_in_another_order(shards):
    data = spec(shards, shuffle_buffer=100)
    found = streaming.survey(data, text_classification, 1, ("train",))
    stream = streaming.train_rows(
        data, text_classification, found, lambda batch: {"n": batch["text"]}, found.splits.labels, 3
    )
    first = [(row["n"], found.splits.labels[row["labels"]]) for row in stream]
    train = found.splits.parts["train"]
    assert len(stream) == len(first) == found.splits.report.size("train")
    assert sorted(first) == sorted(zip(train["text"][:], train["label"][:], strict=True))
    assert [(row["n"], found.splits.labels[row["labels"]]) for row in stream] == first, "the same epoch again"
    stream.set_epoch(1)
    second = [(row["n"], found.splits.labels[row["labels"]]) for row in stream]
    assert second != first and sorted(second) == sorted(first)


def test_official_splits_give_way_and_a_missing_one_is_cut_by_hash(tmp_path):
    parts = {"train": rows(300), "test": [*rows(301)[300:301], *rows(7)[:3]]}
    files = {}
    for name, part in parts.items():
        texts, labels = zip(*part, strict=True)
        files[name] = str(tmp_path / f"{name}.parquet")
        datasets.Dataset.from_dict({"text": texts, "label": labels}).to_parquet(files[name])
    data = spec(files, split=Split(by="predefined"))
    found = streaming.survey(data, text_classification, 1, SPLITS)
    texts = {name: set(part["text"][:]) for name, part in found.splits.parts.items()}
    assert texts["test"] == {text for text, _ in parts["test"]}
    assert not {text.lower() for text in texts["test"]} & {t.lower() for t in texts["train"] | texts["validation"]}
    assert found.splits.report.leaks["left_out"]["train"] == 4, "three rows and the capitals of one"
    assert 30 < len(texts["validation"]) < 80
    stream = streaming.train_rows(data, text_classification, found, lambda b: {"n": b["text"]}, ("bad", "good"), 1)
    assert {row["n"] for row in stream} == texts["train"]
    assert "data.on_leak is fail: mend the data" in refused(spec(files, split=Split(by="predefined"), on_leak="fail"))


def test_what_cannot_be_streamed_is_refused(shards, tmp_path):
    assert "type data.split.by=hash" in refused(spec(shards, split=Split()))
    assert "data.limit" in refused(spec(shards, limit=100))
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / "a" / "1.png")
    folder = Data(str(tmp_path / "pictures"), streaming=True, split=Split(by="hash"))
    assert "a folder of pictures" in refused(folder, image_classification)
    with pytest.raises(InputError, match=r"type data.streaming=false"):
        loading.read(spec(shards), text_classification)


def test_bad_rows_are_told_by_number_or_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(batching, "BATCH", 100)
    texts, labels = zip(*rows(300), strict=True)
    path = str(tmp_path / "d.parquet")
    holes = [None if i == 250 else text for i, text in enumerate(texts)]
    datasets.Dataset.from_dict({"text": holes, "label": labels}).to_parquet(path)
    assert "row 251: the text is empty" in refused(spec([path]))
    found = streaming.survey(spec([path], on_bad_rows="drop"), text_classification, 1)
    assert "1 row cannot be used and is left out" in found.splits.report.findings
    assert sum(found.splits.report.size(name) for name in SPLITS) == len(texts) - 1


def test_slips_in_labels_are_found_over_the_whole_stream(tmp_path, monkeypatch):
    monkeypatch.setattr(batching, "BATCH", 100)
    texts, labels = zip(*rows(300), strict=True)
    path = str(tmp_path / "d.parquet")
    slipped = ["Good" if i == 299 else label for i, label in enumerate(labels)]
    datasets.Dataset.from_dict({"text": texts, "label": slipped}).to_parquet(path)
    assert "'Good' (1 row) and 'good'" in refused(spec([path]))
    assert streaming.survey(spec([path], labels={"Good": "good"}), text_classification, 1).splits.labels == (
        "bad",
        "good",
    )
    assert "has no class 'spam'" in refused(spec([path], labels={"spam": "good", "Good": "good"}))


def test_pictures_stream_from_parquet(tmp_path):
    pictures = [Image.new("RGB", (8, 8), (i % 256, i // 256 * 90, 7)) for i in range(300)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["x", "b"])})
    path = str(tmp_path / "p.parquet")
    datasets.Dataset.from_dict({"image": pictures, "label": [i % 2 for i in range(300)]}, features=features).to_parquet(
        path
    )
    data = spec([path])
    found = streaming.survey(data, image_classification, 1, ("validation", "train"))
    assert found.splits.labels == ("x", "b"), "the declared order"

    def count(batch):
        return {"n": [len(image["bytes"]) for image in batch["image"]]}

    stream = streaming.train_rows(data, image_classification, found, count, found.splits.labels, 1)
    assert len(list(stream)) == len(found.splits.parts["train"]) == len(stream)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_from_end_to_end(shards, tmp_path, monkeypatch, capsys, workers):
    monkeypatch.chdir(tmp_path)
    data = {"path": "parquet", "data_files": "part-*.parquet", "streaming": True, "split": {"by": "hash"}}
    train = {"num_train_epochs": 2, "per_device_train_batch_size": 32, "dataloader_num_workers": workers}
    (tmp_path / "flow.yaml").write_text(yaml.safe_dump({**TREE, "data": data, "train": train}))
    assert hfft("run", "flow.yaml") == 0
    history = json.loads((tmp_path / "runs" / "flow" / "history.json").read_text())
    report = json.loads((tmp_path / "runs" / "flow" / "split.json").read_text())
    steps = -(-sum(report["counts"]["train"].values()) // 32)
    assert [row["step"] for row in history if "eval_f1_macro" in row] == [steps, 2 * steps], "epochs mean something"
    assert not (tmp_path / "runs" / "flow" / "split.parquet").exists()
    assert hfft("eval", "runs/flow") == 0
    said = capsys.readouterr().out
    assert f"scoring {sum(report['counts']['test'].values())} test rows" in said and "TF-IDF + linear" in said
    scores = json.loads((tmp_path / "runs" / "flow" / "metrics.json").read_text())
    assert scores["test"]["accuracy"]["n"] == sum(report["counts"]["test"].values())


def parquet(path, texts, labels, **columns) -> str:
    datasets.Dataset.from_dict({"text": texts, "label": labels, **columns}).to_parquet(str(path))
    return str(path)


def trained_on(data: Data, found) -> list[str]:
    """Texts that the training stream gives."""
    names = found.splits.labels
    return sorted(row["n"] for row in streaming.train_rows(data, text_classification, found, echo, names, 1))


def echo(batch):
    return {"n": batch["text"]}


def overlap(found, split: str, other: str) -> dict[str, int]:
    (pair,) = [p for p in found.splits.report.leaks["overlaps"] if (p["split"], p["with"]) == (split, other)]
    return pair


def test_a_sample_is_random_over_a_stream_sorted_by_class(tmp_path, monkeypatch):
    monkeypatch.setattr(batching, "BATCH", 50)
    path = parquet(
        tmp_path / "d.parquet",
        [f"text {i}" for i in range(900)] + ["ok"] * 100,
        ["a"] * 450 + ["b"] * 450 + ["a"] * 100,
    )
    data = spec([path], split=Split(by="hash", salt="1"))
    found = streaming.survey(data, text_classification, 1, ("train",), sample=200)
    train = found.splits.parts["train"]
    drawn = found.sample
    assert len(drawn) == 200 and set(drawn["text"][:]) <= set(train["text"][:])
    share = train["label"][:].count("b") / len(train)
    assert abs(drawn["label"][:].count("b") / 200 - share) < 0.12, "two classes, as often as in train"
    assert train["text"][:].count("ok") == 100, "or choose another salt"
    assert 5 < drawn["text"][:].count("ok") < 45, "equal inputs neither come nor go together"
    again = streaming.survey(data, text_classification, 1, sample=200).sample
    assert again["id"][:] == drawn["id"][:]
    assert streaming.survey(data, text_classification, 2, sample=200).sample["text"][:] != drawn["text"][:]
    assert sorted(streaming.survey(data, text_classification, 1, sample=5000).sample["text"][:]) == sorted(
        train["text"][:]
    )


def test_a_sample_holds_no_more_than_twice_its_size():
    sample = spooling.Sample(10, 1)
    rows = datasets.Dataset.from_dict({"key": [str(i) for i in range(25)], "id": [f"{i}-a" for i in range(25)]})
    for _ in range(40):
        sample.add(rows)
        assert sum(len(table) for table, _ in sample.held) <= 20
    assert len(sample.rows()) == 10


@pytest.mark.parametrize("policy", ["drop", "warn", "fail"])
def test_an_input_of_two_groups_is_seen(tmp_path, policy):
    """Each text is in two groups, which are hashed to different splits more often than not."""
    texts = [f"text {i % 150}" for i in range(300)]
    labels = [("a", "b")[i % 2] for i in range(299)] + ["a"]  # the last text has two labels
    path = parquet(tmp_path / "d.parquet", texts, labels, who=[f"g{i}" for i in range(300)])
    columns = {"group": "who"}
    split = Split(by="hash", train=0.6, validation=0.2, test=0.2)
    data = spec([path], split=split, columns=columns, on_leak=policy)
    if policy == "fail":
        said = refused(data)
        assert "have copies in train" in said and "data.on_leak is fail" in said
        return
    found = streaming.survey(data, text_classification, 1, SPLITS)
    kept = {name: part["text"][:] for name, part in found.splits.parts.items()}
    apart = all(not set(kept[a]) & set(kept[b]) for a, b in [("train", "test"), ("validation", "test")])
    assert apart == (policy == "drop")
    assert trained_on(data, found) == sorted(kept["train"])
    met = overlap(found, "test", "train")
    whole = found if policy == "warn" else None
    if whole:
        train = set(kept["train"])
        assert met["rows"] == met["normalised"] == sum(text in train for text in kept["test"]) > 10
        assert len(kept["train"]) + len(kept["validation"]) + len(kept["test"]) == 300
        assert any("copies are kept" in line for line in found.splits.report.findings)
        assert found.splits.report.leaks["left_out"] == {}
    else:
        assert met["rows"] > 10 and found.splits.report.leaks["left_out"]["train"] > 10
        table = loading.read(dataclasses.replace(data, streaming=False), text_classification)
        held = splitting.split(table, dataclasses.replace(data, streaming=False), 1).report
        assert found.splits.report.counts == held.counts, "as in memory"
        (same,) = [p for p in held.leaks["overlaps"] if (p["split"], p["with"]) == ("test", "train")]
        assert {**met, "exact": 0, "normalised": 0} == {**same, "exact": 0, "normalised": 0}


@pytest.mark.parametrize("policy", ["drop", "warn", "fail"])
def test_official_splits_hold_their_groups(tmp_path, policy):
    files = {
        "train": parquet(
            tmp_path / "train.parquet",
            [f"text {i}" for i in range(400)],
            [("a", "b")[i % 2] for i in range(400)],
            who=[f"g{i // 4}" for i in range(400)],
        ),
        "test": parquet(tmp_path / "test.parquet", ["new 1", "new 2"], ["a", "b"], who=["g0", "other"]),
    }
    data = spec(files, split=Split(by="predefined"), columns={"group": "who"}, on_leak=policy)
    if policy == "fail":
        assert "1 group of test has rows in" in refused(data)
        return
    found = streaming.survey(data, text_classification, 1, SPLITS)
    groups = {name: set(part["group"][:]) for name, part in found.splits.parts.items()}
    assert not groups["train"] & groups["validation"] and len(groups["validation"]) > 3, "a cut keeps groups whole"
    assert ("g0" in groups["train"] | groups["validation"]) == (policy == "warn")
    assert sum(overlap(found, "test", other)["groups"] for other in ("train", "validation")) == 1
    assert found.splits.report.leaks["left_out"].get("train", 0) == (4 if policy == "drop" else 0)
    assert trained_on(data, found) == sorted(found.splits.parts["train"]["text"][:])


def test_kept_copies_are_told(tmp_path):
    train = [f"text {i}" for i in range(300)]
    files = {
        "train": parquet(tmp_path / "train.parquet", train, [("a", "b")[i % 2] for i in range(300)]),
        "validation": parquet(tmp_path / "validation.parquet", ["TEXT 0", "new"], ["a", "b"]),
        "test": parquet(tmp_path / "test.parquet", ["text 1", "text 1", "text 2", "other"], ["b", "a", "a", "b"]),
    }
    found = streaming.survey(spec(files, split=Split(by="predefined"), on_leak="warn"), text_classification, 1)
    report = found.splits.report
    assert report.counts["train"] == {"a": 150, "b": 150}
    met = overlap(found, "test", "train")
    kinds = {"exact": 0, "normalised": 3, "near": 0, "similar": 0, "conflicting": 1, "groups": 0}
    assert met == {"split": "test", "with": "train", "rows": 3, **kinds}
    assert overlap(found, "validation", "train")["rows"] == 1 and overlap(found, "test", "validation")["rows"] == 0
    assert "3 rows of test have copies in train (3 normalised), 1 of them with another label" in report.findings
    assert "copies are kept, because data.on_leak is warn; a stream is not scored without them" in report.findings


@pytest.mark.parametrize("modality", [text_classification, image_classification])
def test_keys_are_those_of_the_inspection(modality):
    if modality is text_classification:
        batch = {"text": ["A  b", "a B", " ", None, "ﬁ"], "text_pair": ["x", "X", "y", None, None]}
    else:
        encoded = [datasets.Image().encode_example(Image.new("RGB", (4, 4), (i, 0, 0))) for i in range(2)]
        batch = {"image": [*encoded, None, {"path": None, "bytes": b"no picture"}]}
    seen = modality.inspect(batch)
    expected = [None if problem else key for key, problem in zip(seen["key"], seen["problem"], strict=True)]
    assert modality.keys(batch) == expected and None in expected and len({*expected}) > 2 - (len(expected) > 4)


def test_pictures_train_from_a_stream(tmp_path, monkeypatch, capsys):
    """Two shards sorted by class, through the encoder of a real model."""
    monkeypatch.chdir(tmp_path)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dark", "light"])})
    for label in range(2):
        shots = [Image.new("RGB", (32, 32), (label * 128 + i, i, 7)) for i in range(100)]
        part = datasets.Dataset.from_dict({"image": shots, "label": [label] * 100}, features=features)
        part.to_parquet(str(tmp_path / f"part-{label}.parquet"))
    tree = {
        "task": "image_classification",
        "data": {"path": "parquet", "data_files": "part-*.parquet", "streaming": True, "split": {"by": "hash"}},
        "model": {"name": "timm/test_resnet", "pretrained": False, "image_size": 32},
        "augment": {"flip": True},
        "train": {"num_train_epochs": 1, "per_device_train_batch_size": 32},
    }
    (tmp_path / "shots.yaml").write_text(yaml.safe_dump(tree))
    assert hfft("run", "shots.yaml") == 0, capsys.readouterr().err
    assert hfft("eval", "runs/shots") == 0, capsys.readouterr().err
    notes = json.loads((tmp_path / "runs" / "shots" / "notes.json").read_text())
    assert not any("TF-IDF" in note for note in notes)


def test_a_check_tells_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gathering, "SHOWN", 60)
    parquet(tmp_path / "d.parquet", [f"text {i}" for i in range(600)], ["a"] * 450 + ["b"] * 150)
    data = {"path": "parquet", "data_files": "d.parquet", "streaming": True, "split": {"by": "hash"}}
    (tmp_path / "flow.yaml").write_text(yaml.safe_dump({**TREE, "data": data}))
    facts = checking.check("flow.yaml", fast=True, say=lambda _: None)
    train = facts["counts"]["train"]
    profile = facts["profile"]
    whole = sum(train.values())
    assert profile["sentences"][0] == (
        f"Inputs were measured on a random 60 of {whole:,} training rows and all validation rows."
    )
    assert profile["balance"]["largest_rows"] == train["a"] and profile["balance"]["smallest_rows"] == train["b"]
    assert set(facts["examples"]) == {"a", "b"}


def test_a_rehearsal_reads_the_stream(tmp_path, monkeypatch):
    """What stops the stream alone is told before training."""
    monkeypatch.chdir(tmp_path)
    parquet(tmp_path / "d.parquet", [f"text {i}" for i in range(200)], ["a", "b"] * 100)
    data = {"path": "parquet", "data_files": "d.parquet", "streaming": True, "split": {"by": "hash"}}
    (tmp_path / "flow.yaml").write_text(yaml.safe_dump({**TREE, "data": data}))

    def broken(rows):
        raise RuntimeError("the second pass fails")

    monkeypatch.setattr(spooling.Stream, "__iter__", broken)
    facts = checking.check("flow.yaml", say=lambda _: None)
    (problem,) = facts["rehearsal"]["problems"]
    assert problem["step"] == "inputs" and "the second pass fails" in problem["what"]


def test_a_recipe_may_choose_who_makes_batches(shards, tmp_path):
    tree = {**TREE, "data": {"path": "parquet", "data_files": shards, "streaming": True, "split": {"by": "hash"}}}
    args = trainer_arguments.arguments(recipe.build(tree), RunFolder(tmp_path / "run"))
    assert args.accelerator_config.dispatch_batches is False
    tree["train"] = {"max_steps": 1, "accelerator_config": {"dispatch_batches": True, "even_batches": False}}
    args = trainer_arguments.arguments(recipe.build(tree), RunFolder(tmp_path / "run"))
    assert args.accelerator_config.dispatch_batches is True and args.accelerator_config.even_batches is False


SHARING = """
import json, os, sys
import datasets
datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
from hfft import backbones, gathering, predicting, recipe, trainer_arguments, training
from hfft.modalities import text_classification as modality
from hfft.run_folder import RunFolder
from pathlib import Path

rank = os.environ["RANK"]
wanted, folder = recipe.load("flow.yaml"), RunFolder(Path("runs/flow"))
args = trainer_arguments.arguments(wanted, folder)
found = gathering.read(wanted, lambda _: None)
backbone = backbones.load(wanted.model, modality, found.splits.labels)
seen = []
collate = modality.collator(backbone.processor)
def watched(rows):
    seen.extend(backbone.processor.decode(row["input_ids"], skip_special_tokens=True) for row in rows)
    return collate(rows)
modality.collator = lambda processor: watched
validation = predicting.labelled(found.splits.parts["validation"], backbone)
train = gathering.training_rows(found, wanted, backbone)
fit = training.fit(wanted, args, backbone, modality, train, validation, folder)
Path(f"seen-{rank}.json").write_text(json.dumps({"seen": seen, "size": len(train), "held": len(validation)}))
"""


def test_two_processes_share_a_stream(shards, tmp_path):
    """Every training row once over both, but for those that fill the last batch up; texts of different lengths."""
    data = {"path": "parquet", "data_files": "part-*.parquet", "streaming": True, "split": {"by": "hash"}}
    options = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "eval_strategy": "no", "save_strategy": "no"}
    train = {**options, "load_best_model_at_end": False}
    speed = {"precision": "fp32"}  # which reads no rows to measure anything
    (tmp_path / "flow.yaml").write_text(yaml.safe_dump({**TREE, "data": data, "train": train, "speed": speed}))
    (tmp_path / "share.py").write_text(SHARING)
    together("share.py", cwd=tmp_path)
    first, second = (json.loads((tmp_path / f"seen-{rank}.json").read_text()) for rank in range(2))
    survey = streaming.survey(spec(shards), text_classification, 1, ("train",))
    expected = Counter(text.lower() for text in survey.splits.parts["train"]["text"][:])
    size = first["size"]
    assert sum(expected.values()) == size == second["size"]
    got = Counter(first["seen"]) + Counter(second["seen"])
    spare = got - expected
    assert not expected - got, "no row is lost"
    assert sum(spare.values()) == -size % 16, "none is doubled, but to fill up the last batch"
    assert abs(len(first["seen"]) - len(second["seen"])) <= 8
