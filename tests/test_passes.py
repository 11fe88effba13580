"""A pass of rows through a model: the Trainer's numbers, whatever shares a batch, and training as if nothing was."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from hfft import (
    backbones,
    evaluation_loop,
    int8_linear,
    packed_linear,
    passes,
    recipe,
    rooms,
    token_table,
    trainer_arguments,
)
from hfft.run_folder import RunFolder
from tests.layouts import BERT, LABELS, VIT, fit, image_rows, text_rows

KINDS = {"bert": BERT, "vit": VIT, "convolutions": {**VIT, "model": VIT["model"] | {"name": "timm/test_efficientnet"}}}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """kind → (backbone, modality, prepared rows with labels, arguments)."""
    out, root = {}, tmp_path_factory.mktemp("passes")
    for kind, tree in KINDS.items():
        wanted = recipe.build({**tree, "train": {"per_device_eval_batch_size": 7}})
        modality = rooms.find("modalities", wanted.task)
        transformers.set_seed(0)
        backbone = backbones.load(wanted.model, modality, LABELS)
        rows = text_rows(root) if kind == "bert" else image_rows()
        if kind == "convolutions":  # whose random weights would answer nothing but zeros
            pixels = modality.prepare(rows, backbone.processor, wanted.model)[:]["pixel_values"]
            norms = [part for part in backbone.model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
            for part in norms:
                part.momentum = None
            with torch.no_grad():
                backbone.model.train()(torch.stack(list(pixels)))
        args = trainer_arguments.arguments(wanted, RunFolder(root / kind), fitting=False)
        out[kind] = (backbone, modality, modality.prepare(rows, backbone.processor, wanted.model), args)
    return out


def trainer_of(backbone, modality, args):
    found = transformers.Trainer(
        model=copy.deepcopy(backbone.model), args=args, data_collator=modality.collator(backbone.processor),
        compute_metrics=lambda made: {"right": float((made.predictions.argmax(1) == made.label_ids).mean())},
        compute_loss_func=lambda outputs, labels, **_: torch.nn.functional.cross_entropy(outputs["logits"], labels),
    )  # fmt: skip
    found.remove_callback(transformers.PrinterCallback)
    return found


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_is_what_the_tokenizer_pads(side, settings):
    backbone, modality, prepared, _ = settings["bert"]
    tokenizer = copy.deepcopy(backbone.processor)
    tokenizer.padding_side = side
    table = token_table.of(prepared, tokenizer)
    assert len(set(table.lengths.tolist())) > 4
    for places in ([5], [0, 9, 3, 3], list(range(64)), [2, 11, 20]):
        rows = [{k: v for k, v in prepared[i].items() if k != "labels"} for i in places]
        padded, got = modality.collator(tokenizer)(rows), table.batch(places)
        assert set(got) == set(padded)
        assert all(np.array_equal(got[name], padded[name].numpy()) for name in got)


def test_a_table_of_chosen_rows_holds_these_rows(settings):
    backbone, _, prepared, _ = settings["bert"]
    some = token_table.of(prepared.select([7, 3, 40]), backbone.processor)
    assert some.lengths.tolist() == [len(prepared[i]["input_ids"]) for i in (7, 3, 40)]
    assert some.batch([1])["input_ids"].tolist() == [prepared[3]["input_ids"]]


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_trainer_and_each_row_is_asked_once(kind, settings):
    backbone, modality, prepared, args = settings[kind]
    truth = trainer_of(backbone, modality, args).predict(prepared).predictions
    seen = []
    collate = modality.collator(backbone.processor)
    found = passes.outputs(backbone.model, prepared, collate, backbone.processor, args, seen.extend)
    assert abs(found - truth).max() < 1e-5 < abs(truth - truth[::-1]).max()
    assert sorted(seen) == list(range(64))
    assert kind != "bert" or seen != sorted(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_several_processes_find_the_same_bits_as_one(kind, settings, monkeypatch):
    backbone, modality, prepared, args = settings[kind]
    asked = (backbone.model, prepared, modality.collator(backbone.processor), backbone.processor)
    alone = passes.outputs(*asked, args)
    parts = []

    def caught(box, mine):
        parts.append(mine)
        raise StopIteration

    monkeypatch.setattr(torch.distributed, "all_gather_object", caught)
    for rank in range(3):

        class Of:
            world_size, process_index = 3, rank

            def __getattr__(self, name):
                return getattr(args, name)

        with pytest.raises(StopIteration):
            passes.outputs(*asked, Of())
    places = [place for part in parts for batch, _ in part for place in batch]
    values = np.concatenate([rows for part in parts for _, rows in part])
    assert sorted(places) == list(range(64)) and min(map(len, parts)) > 1
    assert np.array_equal(values, alone[places])


@pytest.mark.parametrize("kind", KINDS)
def test_the_loop_gives_what_the_trainers_own_gives(kind, settings):
    backbone, modality, prepared, args = settings[kind]
    trainer = trainer_of(backbone, modality, args)
    # 63 rows in batches of 7: a short last one would count as much as the others in the Trainer's loss.
    rows = prepared.select(range(63))
    truth = trainer.evaluate(rows)
    evaluation_loop.install(trainer, backbone.processor, args)
    found = trainer.evaluate(rows)
    for key in ("eval_right", "eval_loss"):
        assert found[key] == pytest.approx(truth[key], abs=1e-5)
    assert found["eval_loss"] > 0.1


def test_what_is_raised_in_the_middle_leaves_torch_its_threads(settings):
    backbone, modality, prepared, args = settings["bert"]
    before, collate = torch.get_num_threads(), modality.collator(backbone.processor)
    torch.set_num_threads(3)
    try:
        with pytest.raises(ZeroDivisionError):
            passes.outputs(backbone.model, prepared, collate, backbone.processor, args, lambda places: 1 // 0)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_evaluation_draws_nothing_and_changes_no_mode(settings):
    backbone, modality, prepared, args = settings["convolutions"]
    trainer = trainer_of(backbone, modality, args)
    evaluation_loop.install(trainer, backbone.processor, args)
    model = trainer.model.train()
    frozen = next(module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d))
    frozen.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes, drawn = [module.training for module in model.modules()], torch.get_rng_state()
    trainer.evaluate(prepared)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [module.training for module in model.modules()] == modes and len(set(modes)) == 2
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_training_is_the_same_to_the_last_bit_with_and_without_evaluation(tmp_path):
    told, weights = {}, {}
    for name, strategy in {"without": "no", "with": "steps"}.items():
        train = {"eval_strategy": strategy, "eval_steps": 1, "per_device_train_batch_size": 16}
        told[name] = fit("bert", tmp_path / name, train, dropout=0.3)
        weights[name] = (tmp_path / name / "model" / "model.safetensors").read_bytes()
    assert told["with"] == told["without"] and len(told["with"]) == 4
    assert weights["with"] == weights["without"]


def test_packed_layers_are_there_while_it_answers_and_gone_afterwards():
    torch.manual_seed(0)
    inner = torch.nn.Linear(12, 7)
    model = torch.nn.Sequential(inner, torch.nn.ReLU(), torch.nn.Linear(7, 7, bias=False), torch.nn.Linear(7, 3))
    model[3].register_forward_pre_hook(lambda *_: None)  # somebody listens: it stays
    x = torch.randn(5, 12)
    expected, kept = model(x), [id(part) for part in model]
    with pytest.raises(KeyError), packed_linear.answering(model) as count:
        assert count == 2 and type(model[0]) is packed_linear.PackedLinear and type(model[3]) is torch.nn.Linear
        assert torch.equal(model[0].weight, inner.weight)
        assert torch.allclose(model(x), expected, atol=1e-6)
        raise KeyError
    assert [id(part) for part in model] == kept and torch.equal(model(x), expected)


@pytest.mark.skipif(not packed_linear.usable(), reason="this processor has no such kernel")
def test_packed_layers_take_few_tokens_in_whole_multiples(monkeypatch):
    torch.manual_seed(0)
    plain, taken = torch.nn.Linear(12, 7), []
    layer, product = packed_linear.PackedLinear(plain), packed_linear.PackedLinear._product

    def spied(self, x):
        taken.append(x.numel() // 12)
        return product(self, x)

    monkeypatch.setattr(packed_linear.PackedLinear, "_product", spied)
    with torch.inference_mode():
        for shape in [(12,), (1, 12), (0, 12), (31, 12), (3, 11, 12), (64, 12), (255, 12), (5, 53, 12)]:
            x = torch.randn(shape)
            found = layer(x)
            assert found.shape == (*shape[:-1], 7) and torch.allclose(found, plain(x), atol=1e-5)
        assert taken == [32, 32, 0, 32, 64, 64, 256, 265], "many are not copied"
        model = torch.nn.Sequential(plain)
        packed_linear.pack(model)
        assert torch.allclose(model(x[0, :3]), plain(x[0, :3]), atol=1e-5)
    assert taken[-1] == 3, "of one row, which is answered at once, filling up would be most of the time"


def test_products_in_8_bits_are_near_and_a_row_is_answered_alike_beside_any_other():
    if not int8_linear.works():
        pytest.skip("this processor has no fast products of 8 bits")
    torch.manual_seed(0)
    plain = torch.nn.Linear(256, 128)
    x = torch.randn(3, 9, 256) * torch.tensor([1.0, 30.0, 0.0])[:, None, None]
    with torch.inference_mode():
        made = int8_linear.layer(plain)
        found, expected = made(x), plain(x)
        # Rounding by half a step of each scale moves a product by at most that of the one times the size of the other.
        steps = x.abs().amax(2, keepdim=True) / 127 / 2, plain.weight.abs().amax(1) / 127 / 2
        bound = steps[0] * plain.weight.abs().sum(1) + steps[1] * (x.abs() + steps[0]).sum(2, keepdim=True)
        assert found.shape == expected.shape and bool(((found - expected).abs() <= bound + 1e-5).all())
        assert 0 < (found - expected)[0].abs().mean() < 0.01
        assert torch.equal(made(x[:1, 4:5]), found[:1, 4:5]) and torch.equal(found[2], expected[2])
    assert int8_linear.layer(torch.nn.Linear(256, 3)) is None, "a head stays as it is"


def test_validation_in_8_bits_is_said_and_trains_the_same_model(tmp_path, monkeypatch):
    monkeypatch.setattr(int8_linear, "works", lambda: True)
    monkeypatch.setattr(int8_linear, "SMALLEST", 32)
    asked = []
    monkeypatch.setattr(int8_linear, "layer", lambda linear: asked.append(linear.out_features))
    weights = {}
    for wanted in (False, True):
        train = {"eval_strategy": "steps", "eval_steps": 2, "per_device_train_batch_size": 16}
        fit("bert", tmp_path / f"{wanted}", train, changes={"speed": {"int8": wanted}})
        weights[wanted] = (tmp_path / f"{wanted}" / "model" / "model.safetensors").read_bytes()
        assert bool(asked) == wanted
    assert weights[True] == weights[False] and set(asked) == {32, 3}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "no linear layer of 128"),
        ({"bf16": True}, "training computes in bf16"),
        ({"device": torch.device("meta")}, "this is meta"),
        ({"masks": True}, "masks are made by convolutions"),
    ],
)
def test_where_there_are_no_8_bits_a_sentence_says_so(changes, why):
    args = SimpleNamespace(**{"device": torch.device("cpu"), "bf16": False, "fp16": False} | changes)
    found, told = int8_linear.chosen("probes", torch.nn.Linear(64, 64), args, changes.get("masks", False))
    assert found is None and told.startswith("speed.int8 changes nothing: ") and why in told
