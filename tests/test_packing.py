"""Without padding: the padded model's logits and gradients, whatever the model and the batch; others step aside."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import transformers

from hfft import packed_attention, packing

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
BERT = {**SIZES, "vocab_size": 90, "max_position_embeddings": 40, "num_labels": 3}
KINDS = {
    "bert": BERT,
    "roberta": {**BERT, "pad_token_id": 1},
    "xlm-roberta": {**BERT, "pad_token_id": 1},
    "camembert": {**BERT, "pad_token_id": 1},
    "electra": {**BERT, "embedding_size": 16},
    "albert": {**BERT, "embedding_size": 16},
    "distilbert": {
        "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "vocab_size": 90, "max_position_embeddings": 40,
        "num_labels": 3,
    },
}  # fmt: skip
OTHERS = {"mpnet": BERT, "deberta-v2": BERT, "funnel": {"vocab_size": 90, "d_model": 32, "num_labels": 3}}
LENGTHS = {
    "mixed": (9, 1, 4, 12, 2),
    "many": (7, 2, 12, 1, 5, 9, 3, 3, 12, 8, 4),
    "one of them alone": (6,),
    "all alike": (5, 5, 5),
    "two": (3, 11),
}


def made(kind: str, sizes: dict) -> torch.nn.Module:
    """A tiny model with random weights that are large enough for attention to matter, and no dropout."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **sizes)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    for name, parameter in model.named_parameters():
        if "LayerNorm" not in name and "layer_norm" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.train()


def batch(lengths: tuple[int, ...], left: bool = False) -> dict[str, torch.Tensor]:
    """Random ids, padded on the right or left with 1, which is what padding is for RoBERTa."""
    ids = torch.randint(5, 90, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    mask = mask.flip(1) if left else mask
    return {"input_ids": ids.masked_fill(~mask, 1), "attention_mask": mask.long()}


def answers(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(logits, gradient of each parameter) of a loss that weighs every logit differently."""
    model.zero_grad()
    logits = model(**inputs).logits
    (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).sum().backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def same(one: tuple, other: tuple) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=1e-5, atol=1e-5)
    assert one[1].keys() == other[1].keys()
    for name, gradient in one[1].items():
        torch.testing.assert_close(gradient, other[1][name], rtol=1e-4, atol=1e-5 * (1 + float(gradient.abs().max())))


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_gradients_are_those_of_the_padded_model(kind):
    model = made(kind, KINDS[kind])
    batches = [batch(lengths) for lengths in LENGTHS.values()] + [batch((4, 9), left=True)]
    padded = [answers(model, inputs) for inputs in batches]
    packed = packing.Packed(model)
    for inputs, expected in zip(batches, padded, strict=True):
        same(answers(model, inputs), expected)
    packed.end()
    assert model.config._attn_implementation == "sdpa"
    torch.testing.assert_close(answers(model, batches[0])[0], padded[0][0], rtol=0, atol=0)


def test_layers_see_no_padding_and_one_length_is_left_alone():
    model = made("bert", BERT)
    packed, seen = packing.Packed(model), []
    model.bert.encoder.layer[1].register_forward_pre_hook(lambda layer, args: seen.append(tuple(args[0].shape)))
    for lengths in ((9, 1, 4), (5, 5, 5)):
        model(**batch(lengths))
    packed.end()
    assert seen == [(1, 14, 32), (3, 5, 32)]


@pytest.mark.parametrize("kind", OTHERS)
def test_a_model_that_it_does_not_fit_is_left_as_it_was(kind):
    model = made(kind, OTHERS[kind])
    inputs = batch((9, 3))
    before, hooks = answers(model, inputs), copy.copy(model.config)
    with pytest.raises(packing.Unfit, match=r"^its (layers|answers|attention) "):
        packing.Packed(model)
    assert model.training and model.config._attn_implementation == hooks._attn_implementation
    torch.testing.assert_close(answers(model, inputs)[0], before[0], rtol=0, atol=0)


def test_layers_that_are_given_numbers_to_add_are_packed_and_those_that_are_given_nothing_are_told():
    model = made("bert", BERT)
    inputs = batch((9, 3, 6))
    plain = answers(model, inputs)
    with_numbers = model.bert.encoder.register_forward_pre_hook(
        lambda _, args, kwargs: (args, kwargs | {"attention_mask": added(kwargs["attention_mask"])}), with_kwargs=True
    )
    packed = packing.Packed(model)
    assert packed.tried
    same(answers(model, inputs), plain)
    packed.end()
    with_numbers.remove()
    model.bert.encoder.register_forward_pre_hook(
        lambda _, args, kwargs: (args, kwargs | {"attention_mask": None}), with_kwargs=True
    )
    with pytest.raises(packing.Unfit, match="given no mask"):
        packing.Packed(model)


def added(mask: torch.Tensor | None) -> torch.Tensor | None:
    """What eager attention adds to its scores: 0, and the least number where there is padding."""
    return None if mask is None else (~mask.bool()).float() * torch.finfo(torch.float32).min


def test_a_head_that_says_nothing_proves_nothing():
    model = made("bert", BERT)
    torch.nn.init.zeros_(model.classifier.weight)
    with pytest.raises(packing.Unfit, match="answers alike"):
        packing.Packed(model)


def test_a_head_that_reads_every_token_is_given_every_token():
    model = made("bert", BERT)
    inputs = batch((9, 3, 6))

    class Mean(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            mask = model.mask[:, :, None]
            return (hidden * mask).sum(1) / mask.sum(1)

    def note(bert, args, kwargs):
        model.mask = kwargs["attention_mask"]

    model.bert.pooler = Mean()
    model.bert.register_forward_pre_hook(note, with_kwargs=True)
    expected = answers(model, inputs)
    packed = packing.Packed(model)
    assert not packed.first
    same(answers(model, inputs), expected)
    packed.end()
    model.bert.pooler.forward = lambda hidden: hidden.mean(1)  # padding counts: what it reads cannot be left out
    with pytest.raises(packing.Unfit, match="answers would change"):
        packing.Packed(model)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_few_shapes_of_products_change_nothing(kind, lengths, monkeypatch):
    model, inputs = made(kind, KINDS[kind]), batch(lengths)
    expected = answers(model, inputs)
    packed = packing.Packed(model)
    monkeypatch.setattr(packed_attention, "by_shape", lambda keys: True)
    same(answers(model, inputs), expected)
    packed.end()


def test_in_half_precision_products_have_few_shapes(monkeypatch):
    model, shapes, widths = made("bert", BERT), set(), set()
    packed, real = packing.Packed(model), packed_attention._attended

    def attended(query, key, *given):
        widths.add(key.shape[2])
        return real(query, key, *given)

    monkeypatch.setattr(packed_attention, "_attended", attended)
    first = model.bert.encoder.layer[0].intermediate.dense
    first.register_forward_hook(lambda module, args, out: shapes.add(args[0].shape[1]))
    with torch.autocast("cpu", torch.bfloat16):
        for lengths in ((9, 1, 4, 12, 2), (11, 11, 11, 11, 10), (7, 3)):
            model(**batch(lengths))
    packed.end()
    assert shapes == {32, 64} and widths == {16}


@pytest.mark.parametrize("lengths", [*LENGTHS.values(), (30, 30)], ids=[*LENGTHS, "two alike"])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_come_from_products_of_few_shapes_and_stay_the_same(kind, lengths):
    """Whether rows have one length or not: packed weights are compiled for each number of tokens."""
    model, inputs, tokens = made(kind, KINDS[kind]).eval(), batch(lengths), []
    expected, packed = model(**inputs).logits, packing.Packed(model)
    hook = packed.stack.register_forward_pre_hook(
        lambda stack, args, kwargs: tokens.append((kwargs.get("hidden_states", args[0] if args else None)).shape),
        with_kwargs=True,
    )  # after the packing one
    with torch.inference_mode():
        found = model(**inputs).logits
    hook.remove()
    packed.end()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    whole = sum(lengths) + -sum(lengths) % packed_attention.ANSWERED
    assert tokens and tokens[-1][:2] == (1, whole)


def test_first_tokens_ask_in_float32_and_all_others_in_half_precision(monkeypatch):
    model, kinds, real = made("bert", BERT), [], packed_attention._attended

    def attended(query, key, value, *given):
        out = real(query, key, value, *given)
        kinds.append((query.shape[2] == 1, {x.dtype for x in (query, key, value, out)}))
        return out

    packed = packing.Packed(model)
    monkeypatch.setattr(packed_attention, "_attended", attended)
    with torch.autocast("cpu", torch.bfloat16):
        model(**batch((9, 3, 6, 12, 2))).logits.sum().backward()
    packed.end()
    assert (True, {torch.float32}) in kinds and (False, {torch.bfloat16}) in kinds and len({str(k) for k in kinds}) == 2
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.bert.encoder.parameters())


def test_half_precision_of_autocast_is_as_near_as_it_can_be():
    model = made("bert", BERT)
    inputs = batch((9, 3, 6))
    expected = answers(model, inputs)[0]
    packed = packing.Packed(model)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(**inputs).logits
    packed.end()
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1 * float(expected.abs().max()))


def test_gradient_checkpointing_takes_the_same_steps():
    model = made("bert", BERT)
    inputs = batch((9, 3, 6))
    expected = answers(model, inputs)
    for reentrant in (True, False):
        model.activation_checkpointing_enable({"use_reentrant": reentrant})
        packed = packing.Packed(model)
        same(answers(model, inputs), expected)
        packed.end()


def test_attention_dropout_drops_and_keeps_the_mean():
    model = made("bert", BERT | {"num_hidden_layers": 1})
    inputs = batch((9, 3, 6))
    packed = packing.Packed(model)
    still = model(**inputs).logits
    for layer in model.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.3
    drawn = torch.stack([model(**inputs).logits.detach() for _ in range(2)])
    packed.end()
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], still)


def test_nothing_of_it_is_saved(tmp_path):
    model = made("bert", BERT)
    names = list(model.state_dict())
    model.save_pretrained(tmp_path / "before")
    packed = packing.Packed(model)
    model.save_pretrained(tmp_path / "within")
    assert list(model.state_dict()) == names
    packed.end()
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "within" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    assert "hfft" not in json.dumps(json.loads((tmp_path / "within" / "config.json").read_text()))


def test_several_threads_ask_one_model_as_evaluation_does():
    model = made("bert", BERT).eval()
    batches = [batch(tuple(range(1 + n % 5, 30, 1 + n % 4))) for n in range(60)]
    batches += [batch((5 + n,) * (1 + n % 9)) for n in range(20)] + [batch((30, 2 + n)) for n in range(9)]
    with torch.no_grad():
        alone = [model(**one).logits for one in batches]
        packed = packing.Packed(model)
    with ThreadPoolExecutor(4) as threads:
        beside = list(threads.map(lambda one: torch.inference_mode()(model)(**one).logits, batches))
    packed.end()
    for one, other in zip(alone, beside, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)
