"""Streams: the same rows in the same splits as in memory, and a run from end to end that never holds them all."""

import json

import datasets
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from hfft import batching, loading, splitting, streaming
from hfft.errors import InputError
from hfft.modalities import image_classification, text_classification
from hfft.recipe import Data, Split
from hfft.records import SPLITS
from tests.command import hfft
from tests.test_bad_input import TREE

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
