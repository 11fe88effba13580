"""What texts and pictures look like: traits that change with what they name, and with nothing else."""

import datasets
import numpy as np
import pytest
from PIL import Image, ImageFilter

from hfft import picture_traits, text_traits
from hfft.modalities import image_classification, text_classification


@pytest.mark.parametrize(
    ("trait", "held", "free"),
    [
        ("digits", "room 101", "room one"),
        ("question", "why?", "why"),
        ("question", "なぜ\uff1f", "なぜ"),
        ("exclamation", "stop!", "stop."),
        ("url", "see HTTPS://x.org", "the httpd server"),
        ("url", "www.x.org", "awww.no"),
        ("handle", "thanks @user", "mail me@here.org"),
        ("hashtag", "so #blessed", "we are #1"),
        ("emoji", "fine 🙂", "fine :)"),
        ("emoji", "❤", "naïve"),
        ("accents", "naïve", "naive 🙂"),
    ],
)
def test_a_mark_is_found_where_it_is_and_nowhere_else(trait, held, free):
    assert text_traits.traits([held, free])[trait] == ["yes", "no"]


class Halves:
    """A tokenizer that knows words without an x."""

    unk_token_id = 0

    def __call__(self, texts, **options):
        assert not options["truncation"] and not options["add_special_tokens"]
        return {"input_ids": [[0 if "x" in word else 1 for word in text.split()] for text in texts]}


def test_unknown_tokens_are_a_share_of_each_text():
    assert text_traits.unknown(["a x", "", "x x x", "a b"] * 700, Halves()) == [50.0, 0.0, 100.0, 0.0] * 700
    assert text_traits.unknown(["a"], object()) is None


def test_a_pair_of_texts_is_looked_at_as_one():
    rows = datasets.Dataset.from_dict({"text": ["Is it?", "no"], "text_pair": ["yes 1", None], "id": ["a", "b"]})
    found = text_classification.attributes(rows, Halves())
    assert found["digits"] == ["yes", "no"] and found["question"] == ["yes", "no"]
    assert found["words"] == [4.0, 1.0] and found["unknown_tokens"] == [0.0, 0.0]
    assert all(len(values) == 2 for values in found.values())


def noise(width: int = 160, height: int = 120, colour: bool = True) -> Image.Image:
    """Coloured blocks with some structure."""
    rng = np.random.default_rng(0)
    small = rng.integers(40, 200, (12, 16, 3), dtype=np.uint8)
    small = small if colour else np.repeat(small[..., :1], 3, axis=2)
    return Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST)


def test_each_picture_trait_moves_with_its_own_change():
    plain = picture_traits.of(noise())
    brighter = picture_traits.of(noise().point(lambda level: level + 50))
    flatter = picture_traits.of(noise().point(lambda level: 120 + (level - 120) // 3))
    blurred = picture_traits.of(noise().filter(ImageFilter.GaussianBlur(3)))
    grey = picture_traits.of(noise(colour=False))
    assert brighter["brightness"] == pytest.approx(plain["brightness"] + 50 / 2.55, abs=0.5)
    assert brighter["contrast"] == pytest.approx(plain["contrast"], abs=0.1)
    assert flatter["contrast"] == pytest.approx(plain["contrast"] / 3, rel=0.1)
    assert blurred["sharpness"] < plain["sharpness"] / 5
    assert blurred["brightness"] == pytest.approx(plain["brightness"], abs=0.5)
    assert (plain["grey"], grey["grey"], grey["colourfulness"]) == ("no", "yes", 0)
    assert plain["colourfulness"] > 20


def test_sharpness_does_not_hang_on_the_size_of_the_file():
    ones = [picture_traits.of(noise(side, side * 3 // 4))["sharpness"] for side in (256, 512, 1024)]
    assert max(ones) < 1.3 * min(ones)
    shapes = [picture_traits.of(Image.new("RGB", size))["shape"] for size in ((5, 4), (4, 5), (9, 8), (1, 400))]
    assert shapes == ["wide", "upright", "square", "upright"]


def test_the_modality_describes_pictures_in_their_order():
    images = [Image.new("RGB", (8, 8), (level, level, level)) for level in range(0, 250, 5)]
    found = image_classification.attributes(image_classification.as_rows(images), None)
    assert found["brightness"] == pytest.approx([level / 2.55 for level in range(0, 250, 5)], abs=0.01)
    assert set(found) == set(picture_traits.of(images[0])) and set(found["grey"]) == {"yes"}
    assert image_classification.attributes(image_classification.as_rows(images).select([]), None) == {}
