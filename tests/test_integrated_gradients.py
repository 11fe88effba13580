"""Integrated gradients: equal to captum's, complete, and the same whatever shares the path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from captum.attr import LayerIntegratedGradients

from hfft import evidence, integrated_gradients
from hfft.errors import InputError

WORDS, CLASSES, BLANK = 40, 3, 4
SIZES = {"vocab_size": WORDS, "num_labels": CLASSES, "pad_token_id": 0}


def bert(**config):
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES, **small, **config))


def gpt():
    config = transformers.GPT2Config(
        **SIZES, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=2
    )
    return transformers.GPT2ForSequenceClassification(config)


def distilbert():
    config = transformers.DistilBertConfig(**SIZES, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
    return transformers.DistilBertForSequenceClassification(config)


def bart():
    config = transformers.BartConfig(
        **SIZES, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=2, forced_eos_token_id=2,
    )  # fmt: skip
    return transformers.BartForSequenceClassification(config)


def made(build, seed=0, sharp=8):
    """A tiny random model in double precision whose outputs differ between texts by more than rounding."""
    torch.manual_seed(seed)
    model = build().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(sharp)
    return model


def row(tokens=9, seed=0):
    """(inputs, which tokens are blanked): special tokens at both ends."""
    ids = torch.randint(5, WORDS, (1, tokens), generator=torch.Generator().manual_seed(seed))
    ids[0, 0], ids[0, -1] = 1, 2
    replaced = torch.ones(tokens, dtype=torch.bool)
    replaced[0] = replaced[-1] = False
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, replaced


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("build", [bert, gpt, distilbert])
def test_the_values_are_captums(build, several):
    model, (inputs, replaced) = made(build), row()
    found = integrated_gradients.integrate(model, inputs, 1, replaced, BLANK, 20, several)

    def answer(ids, mask):
        return evidence.of_class(model(input_ids=ids, attention_mask=mask).logits, 1, several)

    baseline = torch.where(replaced, torch.full_like(inputs["input_ids"], BLANK), inputs["input_ids"])
    oracle = LayerIntegratedGradients(answer, model.get_input_embeddings())
    expected = oracle.attribute(
        inputs["input_ids"], baseline, additional_forward_args=(inputs["attention_mask"],), n_steps=20
    )
    expected = expected.sum(dim=-1)[0].detach().numpy()
    assert np.abs(expected).max() > 1e-3
    assert found.values == pytest.approx(expected, abs=1e-6)
    assert found.values[0] == found.values[-1] == 0, "what is not blanked has no weight"


@pytest.mark.parametrize("build", [bert, gpt, distilbert, bart])
def test_the_values_add_up(build):
    model, (inputs, replaced) = made(build), row()
    found = integrated_gradients.attribute(model, inputs, 2, replaced, BLANK)
    with torch.no_grad():
        own = float(evidence.of_class(model(**inputs).logits, 2, False))
    assert found.evidence == pytest.approx(own, abs=1e-9)
    assert found.share <= integrated_gradients.ENOUGH
    assert found.values.sum() == pytest.approx(found.evidence - found.blank, abs=found.gap + 1e-9)
    finer = integrated_gradients.integrate(model, inputs, 2, replaced, BLANK, 200)
    assert finer.share < 1e-3
    assert found.values == pytest.approx(finer.values, abs=0.02 * np.abs(finer.values).sum())


def test_more_steps_are_taken_until_it_adds_up(monkeypatch):
    model, (inputs, replaced) = made(bert, sharp=30), row()
    monkeypatch.setattr(integrated_gradients, "STEPS", 1)
    found = integrated_gradients.attribute(model, inputs, 1, replaced, BLANK)
    assert found.steps > 1 and found.share <= integrated_gradients.ENOUGH
    rough = integrated_gradients.integrate(model, inputs, 1, replaced, BLANK, 1)
    assert rough.share > integrated_gradients.ENOUGH
    monkeypatch.setattr(integrated_gradients, "MOST_STEPS", 1)
    assert integrated_gradients.attribute(model, inputs, 1, replaced, BLANK).steps == 1, "an end there is"


def test_what_all_classes_share_is_no_evidence():
    """Adding the same to every logit, which softmax does not see, changes nothing; the classes' values sum to zero."""
    model, (inputs, replaced) = made(bert), row()
    before = [integrated_gradients.integrate(model, inputs, k, replaced, BLANK, 16).values for k in range(CLASSES)]
    assert np.sum(before, axis=0) == pytest.approx(np.zeros(9), abs=1e-9)
    with torch.no_grad():
        model.classifier.weight += torch.randn(16, generator=torch.Generator().manual_seed(3)).double()
    after = integrated_gradients.integrate(model, inputs, 0, replaced, BLANK, 16).values
    assert after == pytest.approx(before[0], abs=1e-9)


def test_weights_and_hooks_are_left_as_they_were():
    model, (inputs, replaced) = made(bert), row()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    integrated_gradients.attribute(model, inputs, 1, replaced, BLANK)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.get_input_embeddings()._forward_hooks


def test_a_model_that_looks_up_otherwise_is_refused():
    model, (inputs, replaced) = made(bert), row()
    model.bert.embeddings.word_embeddings = torch.nn.Embedding(WORDS, 16).double()
    model.get_input_embeddings = lambda: torch.nn.Embedding(WORDS, 16).double()
    with pytest.raises(InputError, match="cannot be explained"):
        integrated_gradients.attribute(model, inputs, 1, replaced, BLANK)
