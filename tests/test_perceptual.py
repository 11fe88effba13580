"""Copies of pictures: found after what files go through, not invented where different pictures look alike."""

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from scipy.ndimage import gaussian_filter

from hfft import hamming, registration
from hfft.perceptual import DISTANCE, PRINT, fingerprint, matches

SEED = 5


def scene(seed: int, side: int = 40) -> Image.Image:
    """A picture with soft shapes and colours, unlike any other seed's."""
    rng = np.random.default_rng([SEED, seed])
    soft = np.stack([gaussian_filter(rng.normal(size=(side, side)), 3, mode="wrap") for _ in range(3)], axis=-1)
    shared = gaussian_filter(rng.normal(size=(side, side, 1)), (3, 3, 0), mode="wrap")
    pixels = 2 * shared + soft
    return Image.fromarray(np.uint8(np.clip(120 + 45 * pixels / pixels.std(), 0, 255)))


def digit(seed: int) -> Image.Image:
    """A stroke like a written 1: all of them look alike, no two are the same."""
    rng = np.random.default_rng([SEED, 1, seed])
    picture = Image.new("L", (280, 280))
    ends = [(140 + rng.normal(0, 12), 50 + rng.normal(0, 8)), (140 + rng.normal(0, 12), 230 + rng.normal(0, 8))]
    ImageDraw.Draw(picture).line(ends, fill=255, width=int(rng.integers(22, 34)))
    return picture.resize((28, 28), Image.Resampling.BOX).convert("RGB")


def stored(picture: Image.Image, form: str, **options: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return Image.open(file).convert("RGB")


def resized(picture: Image.Image, factor: float) -> Image.Image:
    small = tuple(round(side * factor) for side in picture.size)
    return picture.resize(small, Image.Resampling.BILINEAR).resize(picture.size, Image.Resampling.BILINEAR)


def cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    box = (0.02 * width, 0.02 * height, 0.98 * width, 0.98 * height)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)


COPIES = {
    "png": lambda picture: stored(picture, "PNG"),
    "jpeg 95": lambda picture: stored(picture, "JPEG", quality=95),
    "jpeg 60": lambda picture: stored(picture, "JPEG", quality=60),
    "smaller": lambda picture: resized(picture, 0.6),
    "larger": lambda picture: resized(picture, 1.5),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.12),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.85),
    "contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.88),
    "crop": cropped,
    "blur": lambda picture: picture.filter(ImageFilter.GaussianBlur(0.6)),
}


def prints(make, seeds) -> list[bytes]:
    return [fingerprint(make(seed)) for seed in seeds]


def part_of(*sizes: int) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_and_nothing_else(name):
    originals = prints(scene, range(100))
    copies = [fingerprint(COPIES[name](scene(seed))) for seed in range(0, 100, 2)]
    others = prints(scene, range(1000, 1050))
    found = matches(originals + copies + others, part_of(100, 50, 50))
    assert (found.index[100:150, 0] == range(0, 100, 2)).mean() >= 0.99
    assert (found.index[0:100:2, 1] == range(100, 150)).mean() >= 0.99
    assert (found.index[1:100:2] == -1).all() and (found.index[150:] == -1).all()
    assert found.note == "" and found.threshold == pytest.approx(1 - DISTANCE**2 / 2)


def test_equal_pixels_have_similarity_one_however_they_are_stored():
    picture = scene(1)
    found = matches([fingerprint(picture), fingerprint(stored(picture, "PNG"))], part_of(1, 1))
    assert found.index.tolist() == [[-1, 1], [0, -1]] and found.similarity.max() == 1


@pytest.mark.parametrize("copied", [0, 20])
def test_the_threshold_stays_below_look_alikes_also_when_train_holds_copies(copied):
    """Strokes are so alike that the default threshold would call many of them copies."""
    train = prints(digit, range(400))
    train += [fingerprint(stored(digit(seed), "JPEG", quality=75)) for seed in range(copied)]
    test = [fingerprint(stored(digit(seed), "JPEG", quality=85)) for seed in range(100, 140)]
    test += prints(digit, range(2000, 2100))
    found = matches(train + test, part_of(len(train), 140))
    mine = found.index[len(train) :, 0]
    assert found.threshold > 1 - DISTANCE**2 / 2 and "count as copies" in found.note
    assert (mine[:40] == range(100, 140)).mean() >= 0.95
    assert (mine[40:] >= 0).sum() <= 2


def flat(*colour: int) -> bytes:
    return fingerprint(Image.new("RGB", (20, 20), colour))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (flat(90, 90, 90), flat(90, 90, 90), True),
        (flat(90, 90, 90), flat(91, 90, 90), True),
        (flat(0, 0, 0), flat(255, 255, 255), False),
        (flat(90, 90, 90), flat(94, 94, 94), False),
        (flat(76, 76, 76), flat(255, 0, 0), False),  # the same grey
        (flat(255, 0, 0), flat(0, 0, 255), False),
        (flat(255, 0, 0), flat(0, 0, 0), False),  # no carry from one channel into the next
    ],
)
def test_flat_pictures_match_by_colour_only(one, other, alike):
    assert (matches([one, other], part_of(1, 1)).index >= 0).any() == alike


def test_a_fine_texture_is_no_copy_of_another_nor_of_a_blank():
    noise = [Image.fromarray(np.random.default_rng(k).integers(0, 256, (480, 480, 3), dtype=np.uint8)) for k in (1, 2)]
    found = matches([*map(fingerprint, noise), flat(127, 127, 127), fingerprint(noise[0])], np.array([0, 1, 2, 3]))
    assert found.index.max(axis=1).tolist() == [3, -1, -1, 0]


def test_the_same_shapes_in_other_colours_are_no_copy():
    picture = np.asarray(scene(3).convert("L"))
    red, blue = (np.zeros((*picture.shape, 3), dtype=np.uint8) for _ in range(2))
    red[..., 0], blue[..., 2] = picture // 2 + 60, picture // 2 + 60
    found = matches([fingerprint(Image.fromarray(pixels)) for pixels in (red, blue)], part_of(1, 1))
    assert (found.index == -1).all()


def test_order_and_names_of_parts_do_not_matter():
    rows = prints(scene, range(60)) + [fingerprint(COPIES["jpeg 60"](scene(seed))) for seed in range(40)]
    part = np.random.default_rng(SEED).integers(0, 3, 100)
    found = matches(rows, part)
    order = np.random.default_rng(SEED).permutation(100)
    turned = matches([rows[row] for row in order], part[order])
    np.testing.assert_allclose(turned.similarity, found.similarity[order], atol=1e-6)
    other = np.array([2, 0, 1])
    np.testing.assert_array_equal(matches(rows, other[part]).index[:, other], found.index)
    np.testing.assert_array_equal(matches(rows, part).index, found.index)
    assert (found.index >= 0).sum() > 20


@given(st.integers(0, 2**32), st.integers(0, 7))
def test_near_finds_every_pair_within_the_radius(seed, radius):
    rng = np.random.default_rng(seed)
    theirs = rng.integers(0, 2**64, 50, dtype=np.uint64)
    ours = theirs[rng.integers(0, 50, 60)]
    for _ in range(9):
        ours = ours ^ (np.uint64(1) << rng.integers(0, 64, 60, dtype=np.uint64))
    found = {
        (i, j) for a, b, _ in hamming.near(ours, theirs, radius) for i, j in zip(a.tolist(), b.tolist(), strict=True)
    }
    assert found == {
        (i, j) for i in range(60) for j in range(50) if (int(ours[i]) ^ int(theirs[j])).bit_count() <= radius
    }


def test_equal_hashes_of_very_many_pictures_are_counted_not_compared(monkeypatch):
    monkeypatch.setattr(hamming, "CROWD", 50)
    hashes = np.zeros(2000, dtype=np.uint64)
    found = list(hamming.near(hashes, hashes, 7))
    assert sum(len(i) for i, _, _ in found) <= 4 * 17 * 2000 * 50 and sum(capped for _, _, capped in found) > 0


def test_degenerate_hashes_end():
    """One bright pixel somewhere on black: hashes are made of rounding, thumbnails of one spot."""
    pixels = np.zeros((1500, 28, 28), dtype=np.uint8)
    pixels[np.arange(1500), np.arange(1500) % 28, np.arange(1500) // 28 % 28] = 255
    rows = [fingerprint(Image.fromarray(one)) for one in pixels]
    found = matches(rows, np.arange(1500) % 2)
    assert (found.similarity[found.index >= 0] > 0.95).all()


def test_the_distance_of_a_view_is_small_and_of_another_picture_is_not():
    grey = np.stack([np.asarray(scene(k).convert("L").resize((24, 24))) for k in range(4)])
    zero, other = np.zeros(3, dtype=np.int64), np.array([1, 2, 3])
    assert registration.distance(grey, zero, zero, 0.2)[0] == pytest.approx(0, abs=2e-3)
    assert (registration.distance(grey, zero, other, 0.2)[0] == np.inf).all()
    far = registration.distance(grey, zero, other, 2.0)[0]
    np.testing.assert_allclose(far, registration.distance(grey, other, zero, 2.0)[0], atol=1e-6)
    plain = registration.standardised(grey)
    assert (far <= np.linalg.norm(plain[zero] - plain[other], axis=1) + 1e-6).all()


def test_the_hash_is_imagehash_s():
    imagehash = pytest.importorskip("imagehash")
    for seed in range(20):
        row = np.frombuffer(fingerprint(scene(seed)), dtype=PRINT)[0]
        bits = np.unpackbits(np.array([row["hash"]], dtype=">u8").view(np.uint8))
        np.testing.assert_array_equal(bits, imagehash.phash(scene(seed)).hash.ravel())


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (300, 200)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK"])
def test_any_size_and_mode_has_a_print(size, mode):
    assert len(fingerprint(Image.new(mode, size))) == PRINT.itemsize


def test_no_rows_and_one_part():
    assert matches([], np.zeros(0, dtype=np.int64)).index.shape == (0, 0)
    assert (matches(prints(scene, [1, 1]), part_of(2)).index == -1).all()


def peak(n: int) -> int:
    rows, part = prints(scene, range(50)) * (n // 50), np.arange(n) % 3
    array = np.frombuffer(b"".join(rows), dtype=PRINT).copy()
    array["digest"] = np.arange(n)
    array["hash"] = array["inner"] = np.random.default_rng(SEED).integers(0, 2**64, n, dtype=np.uint64)
    rows = [row.tobytes() for row in array]
    tracemalloc.start()
    matches(rows, part)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_grows_with_the_rows_not_with_their_square():
    assert peak(4000) < 2.6 * peak(2000)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (500, 375)])
@pytest.mark.parametrize("spread", [0, 1, 255])
def test_the_contrast_is_the_largest_standard_deviation_of_a_channel(size, spread):
    rng = np.random.default_rng(SEED)
    pixels = np.uint8(rng.integers(0, [1, spread + 1, spread // 2 + 1], size=(*size, 3)))
    held = np.frombuffer(fingerprint(Image.fromarray(pixels)), dtype=PRINT)[0]["contrast"]
    assert held == pytest.approx(pixels.reshape(-1, 3).std(axis=0).max(), rel=1e-5, abs=1e-6)
