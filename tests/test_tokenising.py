"""Texts that are too long, and texts that are changed while training: what is kept, by which draw, on which rows."""

from __future__ import annotations

import itertools
import random

import datasets
import numpy as np
import pytest
import torch

from hfft import (
    backbones,
    cutting,
    evaluate_modules,
    noising,
    pooling,
    predicting,
    recipe,
    rehearsing,
    resampling,
    rooms,
    trainer_arguments,
    training,
)
from hfft.errors import InputError
from hfft.problems import Trial
from hfft.recipe import Augment
from hfft.run_folder import RunFolder
from tests.layouts import BERT, LABELS, SMALL, STILL, VIT, WORDS, fit, text_rows, whole_and_resumed

TEXTS = rooms.find("modalities", "text_classification")
LONG = " ".join(WORDS[i % len(WORDS)] for i in range(30))
PAIRS = {**BERT, "model": {**BERT["model"], "truncation": "windows"}}
PAIRS |= {"data": {"path": "csv", "columns": {"text_pair": "b"}}}
MOVED = Augment(word_dropout=0.3, typos=0.5)


@pytest.fixture(scope="module")
def backbone():
    return backbones.load(recipe.build(BERT).model, TEXTS, LABELS)


def spec(**keys):
    return recipe.build({**BERT, "model": {**BERT["model"], **keys}}).model


def ids_of(backbone, rows, augment=None, seed=1, epoch=0, **keys):
    """Token ids of each prepared row."""
    made = TEXTS.prepare(datasets.Dataset.from_dict(rows), backbone.processor, spec(**keys), augment, seed)
    if epoch:
        made.format["format_kwargs"]["transform"].epoch = epoch
    return [row["input_ids"] for row in made]


def plain(backbone, *texts):
    return backbone.processor(*texts)["input_ids"]


@pytest.mark.parametrize("way", ["head", "tail", "head_tail", "windows"])
def test_texts_that_fit_are_whole_whatever_the_way(way, backbone):
    texts = ["the quick fox", "", "dog"]
    assert ids_of(backbone, {"text": texts}, max_length=16, truncation=way) == [plain(backbone, t) for t in texts]


def test_each_way_keeps_its_part_between_the_special_tokens(backbone):
    whole = plain(backbone, LONG)
    first, *body, last = whole
    kept = {"head": body[:8], "tail": body[-8:], "head_tail": [*body[:4], *body[-4:]]}
    for way, expected in kept.items():
        assert ids_of(backbone, {"text": [LONG]}, max_length=10, truncation=way) == [[first, *expected, last]], way


def test_windows_hold_every_token_and_share_the_stride(backbone):
    first, *body, last = plain(backbone, LONG)
    found = ids_of(backbone, {"text": [LONG]}, max_length=10, truncation="windows", stride=3)
    assert all(row[0] == first and row[-1] == last and len(row) == 10 for row in found)
    parts = [row[1:-1] for row in found]
    assert all(one[-3:] == other[:3] for one, other in itertools.pairwise(parts[:-1]))
    assert parts[0] == body[:8] and parts[-1] == body[-8:]
    joined = parts[0] + [token for part in parts[1:-1] for token in part[3:]]
    assert joined == body[: len(joined)] and len(body) - len(joined) < 5
    assert len(parts) == cutting.counts(np.array([len(body)]), 8, 3)[0]


def test_the_longer_text_of_a_pair_is_cut_as_tokenizers_do(backbone):
    pairs = {"text": ["quick fox", LONG, LONG], "text_pair": [LONG, "lazy dog", f"seven {LONG}"]}
    head = ids_of(backbone, pairs, max_length=12)
    for ids, first, second in zip(
        ids_of(backbone, pairs, max_length=12, truncation="tail"), pairs["text"], pairs["text_pair"], strict=True
    ):
        whole = plain(backbone, first, second)
        sep = whole[-1]
        assert len(ids) == 12 and ids.count(sep) == 2
        one, two = ids[1 : ids.index(sep)], ids[ids.index(sep) + 1 : -1]
        assert one == whole[1 : whole.index(sep)][-len(one) :] and two == whole[whole.index(sep) + 1 : -1][-len(two) :]
    tails = ids_of(backbone, pairs, max_length=12, truncation="tail")
    assert [row.index(sep) for row in tails] == [row.index(sep) for row in head], "the same budgets as `head`"


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ({**BERT, "model": {**BERT["model"], "stride": 3}}, "stride is for windows"),
        ({**BERT, "model": {**BERT["model"], "truncation": "windows", "stride": 9, "max_length": 9}}, "nothing new"),
        ({**BERT, "model": {**BERT["model"], "truncation": "middle"}}, "model.truncation: .*'head_tail'"),
        ({**VIT, "model": {**VIT["model"], "truncation": "tail"}}, "tail is for texts, and the rows are pictures"),
        (PAIRS, "windows are cut from one text.*head_tail"),
        ({**BERT, "augment": {"word_dropout": 1}}, "augment.word_dropout: .*less than 1"),
        ({**BERT, "augment": {"typos": 1.5}}, "augment.typos: .*less than or equal to 1"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told_before_anything_is_read(tree, told):
    with pytest.raises(InputError, match=told):
        recipe.build(tree)


def test_what_only_a_tokenizer_knows_is_told_in_one_sentence(backbone):
    with pytest.raises(InputError, match=r"^model.stride: expected less than 8, .* got 9"):
        TEXTS.encoder(backbone.processor, spec(truncation="windows", stride=9, max_length=10))
    with pytest.raises(InputError, match=r"^model.max_length: expected at least 4, got 3"):
        TEXTS.encoder(backbone.processor, spec(truncation="tail", max_length=3))
    with pytest.raises(InputError, match=r"^model.truncation: windows .* pairs; type head, tail or head_tail"):
        ids_of(backbone, {"text": [LONG], "text_pair": [LONG]}, truncation="windows", max_length=10)


def test_noise_is_drawn_by_seed_epoch_and_text_only(backbone):
    texts = {"text": [f"{word} {LONG}" for word in WORDS]}
    first = ids_of(backbone, texts, MOVED)
    random.seed(9)
    assert first == ids_of(backbone, texts, MOVED)
    turned = ids_of(backbone, {"text": texts["text"][::-1]}, MOVED)
    assert first == turned[::-1], "the order of rows does not matter"
    assert first != ids_of(backbone, texts, MOVED, epoch=1) and first != ids_of(backbone, texts, MOVED, seed=2)
    assert first != ids_of(backbone, texts), "and something changes"


def test_a_samplers_copies_of_a_text_are_changed_each_in_its_own_way(backbone):
    rows = datasets.Dataset.from_dict({"text": [LONG] * 2 + [f"seven {LONG}"], "labels": [0, 0, 1]})
    made = TEXTS.prepare(rows, backbone.processor, spec(), MOVED, 1)
    over = resampling.Resampled(
        made, np.array([0, 0, 1]), recipe.build({**BERT, "sampler": "over_sampling"}).sampler, 1
    )
    assert over.drawn.tolist() == [0, 1, 2, 2]
    first, second = (row["input_ids"] for row in over.__getitems__([2, 3]))
    assert first != second and first == made[2]["input_ids"] and [row["labels"] for row in over] == [0, 0, 1, 1]


def test_each_text_of_a_pair_has_its_own_noise(backbone):
    tokenizer = backbone.processor
    found = ids_of(backbone, {"text": [LONG], "text_pair": [f"seven {LONG}"]}, Augment(word_dropout=0.5))[0]
    sep = found.index(tokenizer.sep_token_id)
    one, two = tokenizer.decode(found[1:sep]), tokenizer.decode(found[sep + 1 : -1])
    assert 0 < len(one.split()) < 30 and 0 < len(two.split()) < 31 and two != f"seven {one}"


def test_words_are_left_out_but_never_all_and_shares_are_met():
    words = " ".join(f"w{i}" for i in range(4000))
    kept = noising.thinned(words, 0.25, random.Random(1)).split()
    assert len(kept) / 4000 == pytest.approx(0.75, abs=0.03) and set(kept) <= set(words.split())
    assert all(len(noising.thinned("only this", 0.99, random.Random(i)).split()) >= 1 for i in range(50))
    assert noising.thinned("", 0.5, random.Random(1)) == "" and noising.thinned("  ", 0.5, random.Random(1)) == ""
    slipped = noising.mistyped("flight " * 2000, 0.3, random.Random(1)).split()
    assert len(slipped) == 2000 and sum(word != "flight" for word in slipped) / 2000 == pytest.approx(0.3, abs=0.04)
    assert (
        noising.mistyped("@united not now http://abcd.com", 1.0, random.Random(1)) == "@united not now http://abcd.com"
    )


def test_training_draws_one_window_of_each_text_in_each_epoch(backbone):
    texts = {"text": [f"{word} {LONG}" for word in WORDS]}
    windows = {"max_length": 10, "truncation": "windows", "stride": 2}
    held = {tuple(row) for row in ids_of(backbone, texts, **windows)}
    drawn = [ids_of(backbone, texts, Augment(), epoch=epoch, **windows) for epoch in range(6)]
    assert all(len(rows) == len(WORDS) for rows in drawn) and drawn[0] == ids_of(backbone, texts, Augment(), **windows)
    assert {tuple(row) for rows in drawn for row in rows} <= held
    assert all(len({tuple(rows[i]) for rows in drawn}) > 1 for i in range(len(WORDS))), "otherwise in each epoch"


def test_a_run_that_is_resumed_in_an_epoch_reads_what_the_whole_run_read(tmp_path, monkeypatch):
    keys = {"truncation": "windows", "max_length": 8, "stride": 2}
    monkeypatch.setitem(BERT, "model", {**BERT["model"], **keys})
    _, whole, cut = whole_and_resumed("bert", tmp_path, {}, {"word_dropout": 0.2, "typos": 0.2})
    assert whole == cut


def test_validation_texts_are_the_same_with_and_without_noise(tmp_path, monkeypatch):
    seen, prepare = [], TEXTS.prepare

    def spied(rows, *given):
        out = prepare(rows, *given)
        seen.append([row["input_ids"] for row in out])
        return out

    monkeypatch.setattr(TEXTS, "prepare", spied)
    for asked in ({}, {"word_dropout": 0.3, "typos": 0.5}):
        fit("bert", tmp_path / str(len(asked)), {"max_steps": 1}, augment=asked)
    plain_train, validation, train, held = seen
    assert validation == held == plain_train and train != held


def test_a_text_gets_the_mean_of_its_windows_logits_in_the_order_of_the_rows(backbone, tmp_path):
    rows = text_rows(tmp_path).select(range(12)).select_columns("text")
    windows = spec(truncation="windows", max_length=6, stride=1)
    args = trainer_arguments.arguments(recipe.build(BERT), RunFolder(tmp_path / "run"), fitting=False)
    asked = (backbone.model, backbone.processor, TEXTS, rows)
    found = predicting.outputs(*asked, windows, args)
    assert found.shape == (12, 3)
    prepared = TEXTS.prepare(rows, backbone.processor, windows)
    taken, owners = pooling.apart(prepared)
    assert len(taken) > len(rows) and "document" not in taken.column_names
    with torch.no_grad():
        each = [backbone.model(**{k: torch.tensor([v]) for k, v in row.items()}).logits[0].numpy() for row in taken]
    for number in range(12):
        expected = np.mean([logits for logits, owner in zip(each, owners, strict=True) if owner == number], axis=0)
        assert found[number] == pytest.approx(expected, abs=1e-5)


def test_validation_while_training_scores_texts_and_not_windows(tmp_path, monkeypatch):
    windows = {"truncation": "windows", "max_length": 6, "stride": 1}
    monkeypatch.setitem(BERT, "model", {**BERT["model"], **windows, "config": SMALL | STILL})
    asked = []
    monkeypatch.setattr(
        pooling, "mean", lambda values, owners, real=pooling.mean: asked.append(values) or real(values, owners)
    )
    seen = []
    real = evaluate_modules.together

    def together(*given):
        compute = real(*given)

        def spied(prediction):
            seen.append((prediction.predictions.shape, prediction.label_ids.tolist()))
            return compute(prediction)

        return spied

    monkeypatch.setattr(training.evaluate_modules, "together", together)
    fit("bert", tmp_path / "a", {"max_steps": 1, "eval_strategy": "steps", "eval_steps": 1})
    assert seen == [((64, 3), [i % 3 for i in range(64)])]
    assert len(asked[0]) > 64


def test_check_tells_what_each_way_keeps_and_costs(backbone, tmp_path):
    rows = datasets.Dataset.from_dict({"text": [LONG] * 3 + ["the quick fox"] * 7})
    lengths = [len(ids) for ids in plain(backbone, rows["text"][:])]

    def told(**keys):
        found = TEXTS.profile(rows, backbone.processor, spec(**keys), 4)
        return found.facts["truncation"], " ".join(found.sentences)

    facts, said = told(max_length=12, stride=None)
    windows = len(ids_of(backbone, rows[:], truncation="windows", max_length=12))
    assert facts["ways"]["windows"] == windows / 10
    assert facts["ways"]["tokens_kept"] == sum(min(n - 2, 10) for n in lengths) / sum(n - 2 for n in lengths)
    assert "head (now), tail, head_tail keep" in said and f"{windows / 10:.2f} per text" in said
    assert "tail (now)" in told(max_length=12, truncation="tail")[1]
    _, said = told(max_length=12, truncation="windows")
    assert f"Windows of 12 tokens: {windows / 10:.2f} per text" in said and "no token is lost" in said
    assert "model.truncation" not in told(max_length=64)[1], "nothing is cut"
    pairs = rows.add_column("text_pair", [LONG] * 10)
    assert TEXTS.profile(pairs, backbone.processor, spec(max_length=12), 4).facts["truncation"]["ways"] is None
    wanted = recipe.build({**BERT, "model": {**BERT["model"], "truncation": "windows", "max_length": 12}})
    trial = Trial(wanted, {}, LABELS, TEXTS, RunFolder(tmp_path))
    assert rehearsing._asked(trial, backbone, rows) == windows, "what a quote counts"
