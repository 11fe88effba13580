"""A BERT that classifies by the mean of its tokens is still a plain BERT."""

from __future__ import annotations

import pytest
import torch
import transformers

from hfft import backbones, recipe, rooms, token_mean
from hfft.errors import InputError
from tests.command import hfft
from tests.layouts import BERT, LABELS

TEXTS = rooms.find("modalities", "text_classification")
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "vocab_size": 99}


def made(kind: str):
    """(a tiny classifier in evaluation, ids, mask): rows of 3 to 9 tokens, padded."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, num_labels=3, pad_token_id=0, **SIZE)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    lengths = torch.tensor([9, 3, 6, 4])
    mask = (torch.arange(9) < lengths[:, None]).long()
    return model, torch.randint(1, 99, (4, 9)) * mask, mask


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@torch.no_grad()
def test_the_head_reads_the_mean_of_the_tokens_that_are_not_padding(kind):
    model, ids, mask = made(kind)
    hidden = model.base_model(ids, mask).last_hidden_state
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.tanh(token_mean.SLOPE * torch.nn.functional.layer_norm(mean, mean.shape[-1:]))
    assert token_mean.average(model) and len(model.base_model.encoder.layer) == 3
    seen = []
    head = model.classifier if kind == "bert" else model.classifier.out_proj
    head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    model(ids, mask)
    assert torch.allclose(seen[0], expected, atol=2e-3)
    assert not torch.allclose(hidden[:, 0], mean, atol=0.1), "else the test could not fail"


def test_every_new_weight_can_be_trained():
    model, ids, mask = made("bert")
    token_mean.average(model)
    loss = model(ids, mask, labels=torch.tensor([0, 1, 2, 0])).loss
    loss.backward()
    below = model.bert.encoder.layer[0].attention.self.query.weight.grad
    assert torch.isfinite(below).all() and below.abs().max() > 0
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


def test_it_is_said_saved_plainly_and_added_once(tmp_path):
    spec = recipe.build({**BERT, "model": {**BERT["model"], "pooling": "mean"}}).model
    first = backbones.load(spec, TEXTS, LABELS)
    assert "model.pooling" in first.notes[-1]
    first.model.save_pretrained(tmp_path)
    first.processor.save_pretrained(tmp_path)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert len(plain.bert.encoder.layer) == 3 and plain.config.num_hidden_layers == 3
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), first.model.parameters(), strict=True))
    again = backbones.load(recipe.Model(name=str(tmp_path), pooling="mean"), TEXTS, LABELS)
    assert len(again.model.bert.encoder.layer) == 3 and "pooling" not in " ".join(again.notes)


def test_other_families_are_refused():
    with pytest.raises(InputError, match=r"model.pooling: mean is for bert, .*and this is electra"):
        token_mean.check("electra")
    spec = recipe.Model(name="timm/test_vit", pretrained=False, pooling="mean")
    with pytest.raises(InputError, match=r"this is timm_wrapper; leave the key out"):
        backbones.load(spec, rooms.find("modalities", "image_classification"), LABELS)


def test_the_whole_line_runs_with_it(tmp_path, capsys):
    out = str(tmp_path / "run")
    words = ["model.pooling=mean", "data.limit=300", "data.shots=8", "probes.rows=20"]
    assert hfft("run", "tiny_textcls", *words, "--output-dir", out) == 0
    assert "one more layer takes the mean" in capsys.readouterr().out
    assert hfft("eval", out) == 0
