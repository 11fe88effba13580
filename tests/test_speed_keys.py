"""The `speed:` section: what is read, what is refused, and that recipes without it mean what they meant."""

from __future__ import annotations

import pytest

from hfft import recipe
from hfft.errors import InputError
from hfft.recipe import Speed

GOOD = {
    "task": "text_classification",
    "data": {"path": "csv", "data_files": "tweets.csv"},
    "model": {"name": "somebody/something"},
}


def test_no_section_an_empty_one_and_nothing_below_it_are_the_default():
    made = recipe.build(GOOD)
    assert made.speed == Speed() == Speed(precision="auto", compile="auto", cache_images="auto")
    assert recipe.build(GOOD | {"speed": {}}) == recipe.build(GOOD | {"speed": None}) == made


def test_what_is_given_comes_back_from_the_file_that_a_run_keeps(tmp_path):
    made = recipe.build(GOOD | {"speed": {"precision": "bf16", "compile": False}})
    (tmp_path / "recipe.yaml").write_text(recipe.dump(made))
    assert recipe.load(str(tmp_path)) == made != recipe.build(GOOD)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["speed.precision=fp8"], "speed.precision: expected auto, fp32, bf16 or fp16, got 'fp8'"),
        (["speed.compile=maybe"], "speed.compile: expected auto, true or false, got 'maybe'"),
        (["speed.compil=true"], "speed.compil: unknown key (did you mean 'compile'?)"),
        (["speed=fast"], "speed: expected a section of keys, such as speed.precision"),
        (["train.bf16=true", "train.fp16=true"], "train.bf16 and train.fp16 are two precisions"),
        (["train.bf16=true", "speed.precision=fp32"], "train.bf16: speed.precision is fp32"),
        (["train.fp16=true", "speed.precision=bf16"], "train.fp16: speed.precision is bf16"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(words, said):
    with pytest.raises(InputError) as caught:
        recipe.load("tiny_textcls", words)
    assert said in str(caught.value)


@pytest.mark.parametrize("words", [["train.bf16=true"], ["train.bf16=true", "speed.precision=bf16"]])
def test_train_may_say_it_too(words):
    assert recipe.load("tiny_textcls", words).train["bf16"] is True
