"""Probes of pictures: strengths against oracles, at every size, and masks that move with their picture."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, label

from hfft import disturbing, perturbing, rooms
from hfft.perturbing import perturbed, title

PROBES = [probe for name in rooms.names("probes") if (probe := rooms.find("probes", name)).INPUT == "image"]
GRADED = [probe for probe in PROBES if probe.SEVERITIES > 1]
SEED = 11


def scene(seed: int, side: int = 224) -> Image.Image:
    """Soft shapes and edges in colour."""
    rng = np.random.default_rng([SEED, seed])
    soft = np.stack([gaussian_filter(rng.normal(size=(112, 112)), 6, mode="wrap") for _ in range(3)], axis=-1)
    picture = Image.fromarray(np.uint8(np.clip(125 + 45 * soft / soft.std(), 0, 255))).resize((side, side))
    draw = ImageDraw.Draw(picture)
    for _ in range(8):
        x, y, wide, high = (int(side * share) for share in rng.uniform(0.05, 0.6, 4))
        draw.rectangle((x, y, x + wide // 2, y + high // 2), fill=tuple(map(int, rng.integers(0, 256, 3))))
    return picture


# The seven bars of a pocket calculator's digits: top, upper left, upper right, middle, lower left, lower right, bottom.
BARS = [
    (8, 4, 19, 6),
    (7, 5, 9, 14),
    (18, 5, 20, 14),
    (8, 13, 19, 15),
    (7, 14, 9, 23),
    (18, 14, 20, 23),
    (8, 22, 19, 24),
]
LIT = ["1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111", "1111011"]


def digit(number: int) -> Image.Image:
    """White on black, 28 px."""
    picture = Image.new("RGB", (28, 28))
    for bar, lit in zip(BARS, LIT[number], strict=True):
        if lit == "1":
            ImageDraw.Draw(picture).rectangle(bar, fill=(255, 255, 255))
    return picture


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=float)


def distance(probe, picture: Image.Image, severity: int, rows: int = 12) -> float:
    """Mean change of a value; 0 where the probe does not apply."""
    found = [perturbed(probe, picture, severity, str(row)) for row in range(rows)]
    return float(np.mean([0 if new is None else abs(array(new) - array(picture)).mean() for new in found]))


def flat(value: int, side: int = 224) -> Image.Image:
    return Image.new("RGB", (side, side), (value, value, value))


def coloured(value: int, side: int = 224) -> Image.Image:
    return Image.new("RGB", (side, side), (value, value, value + 1))


@pytest.mark.parametrize("probe", GRADED, ids=title)
@pytest.mark.parametrize("side", [32, 120])
def test_a_higher_severity_is_stronger(probe, side):
    scenes = [scene(seed, side) for seed in range(25)]
    far = [
        float(np.mean([distance(probe, picture, severity, 4) for picture in scenes]))
        for severity in range(1, probe.SEVERITIES + 1)
    ]
    assert far[0] > 0.05 and far == sorted(set(far))


@pytest.mark.parametrize("probe", [probe for probe in PROBES if probe.SAFE], ids=title)
def test_a_safe_probe_leaves_a_digit_readable(probe):
    """The nearest of ten clean digits, by correlation, is still its own: 28 px, the strongest severity."""
    clean = [array(digit(number))[..., 0].ravel() for number in range(10)]
    hits = tried = 0
    for number in range(10):
        for row in range(12):
            found = perturbed(probe, digit(number), probe.SEVERITIES, str(row))
            if found is not None and array(found).std():
                alike = [np.corrcoef(array(found).mean(axis=-1).ravel(), other)[0, 1] for other in clean]
                hits, tried = hits + (int(np.argmax(alike)) == number), tried + 1
    assert title(probe) == "saturation" or tried > 50
    assert hits >= 0.9 * tried


@pytest.mark.parametrize("name", ["grey", "saturation"])
def test_a_grey_picture_has_no_colours_to_change(name):
    assert perturbed(rooms.find("probes", name), digit(3), 1, "row") is None


@pytest.mark.parametrize(
    "name", ["gaussian_blur", "defocus_blur", "motion_blur", "pixelate", "contrast", "shift", "rotate"]
)
def test_one_colour_stays_one_colour(name):
    probe = rooms.find("probes", name)
    for side in (1, 2, 28, 224):
        assert perturbed(probe, coloured(70, side), probe.SEVERITIES, "row") is None


def test_a_symmetric_picture_is_its_own_mirror():
    assert perturbed(rooms.find("probes", "flip"), digit(7), 1, "row") is not None
    assert perturbed(rooms.find("probes", "flip"), digit(8), 1, "row") is None
    assert perturbed(rooms.find("probes", "flip"), flat(9), 1, "row") is None


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_noise_has_the_strength_it_names(severity):
    """Deviations of a grey where nothing is cut off; a colour has noise in each channel, a grey one noise for all."""
    gauss, shot, impulse = (rooms.find("probes", f"{name}_noise") for name in ("gaussian", "shot", "impulse"))
    noise = array(perturbed(gauss, coloured(127), 1, "row")) - 127
    assert noise.std() == pytest.approx(0.08 * 255, rel=0.02) and abs(noise[..., 0] - noise[..., 1]).mean() > 10
    noise = array(perturbed(shot, coloured(60), 1, "row")) - 60
    assert noise.std() == pytest.approx(255 * np.sqrt(60 / 255 / shot.PHOTONS[0]), rel=0.02)
    assert perturbed(shot, flat(0), severity, "row") is None, "no light, no noise"
    found = array(perturbed(impulse, coloured(127), severity, "row"))
    for value in (0, 255):
        assert (found == value).mean() == pytest.approx(impulse.SHARES[severity - 1] / 2, rel=0.05)
    for probe in (gauss, shot, impulse):
        grey = array(perturbed(probe, flat(127), severity, "row"))
        assert (grey == grey[..., :1]).all()


def test_blurs_are_what_they_are_called():
    """A white dot becomes a bell, a disk and a line, and no light is lost."""
    dot = Image.new("RGB", (224, 224))
    dot.paste((255, 255, 255), (107, 107, 116, 116))
    bell = array(perturbed(rooms.find("probes", "gaussian_blur"), dot, 4, "row"))
    assert abs(bell[..., 0] - gaussian_filter(array(dot)[..., 0], np.hypot(4, 0.4))).max() < 8  # Pillow: three boxes
    disk, line = (
        array(perturbed(rooms.find("probes", f"{name}_blur"), dot, 5, "row")) for name in ("defocus", "motion")
    )
    wide = [extent(found[..., 0] > 2) for found in (disk, line)]
    assert wide[0] == pytest.approx((29, 29), abs=2) and wide[1] == pytest.approx((39, 9), abs=4)
    for found in (bell, disk, line):
        assert found.sum() == pytest.approx(array(dot).sum(), rel=0.02)


def extent(inside: np.ndarray) -> tuple[float, float]:
    """Length along and across a spot's main direction, px, as of a filled bar."""
    assert label(inside, np.ones((3, 3)))[1] == 1
    places = np.argwhere(inside) - np.argwhere(inside).mean(axis=0)
    turned = places @ np.linalg.eigh(places.T @ places)[1]
    across, along = np.ptp(turned, axis=0) + 1
    return float(along), float(across)


def test_kernels_sum_to_one_and_grow():
    for radius in (0.6, 0.71, 1.4, 3, 10):
        assert disturbing.disk(radius).sum() == pytest.approx(1)
    for angle in np.linspace(0, np.pi, 7):
        kernel = disturbing.line(9, angle)
        y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
        assert kernel.sum() == pytest.approx(1) and kernel.min() >= 0
        assert (kernel * x).sum() == pytest.approx(0, abs=1e-9) and (kernel * y).sum() == pytest.approx(0, abs=1e-9)
        spread = (kernel * (x * np.cos(angle) + y * np.sin(angle)) ** 2).sum()
        assert spread == pytest.approx(9**2 / 12, rel=0.15), "variance of a bar of length 9"


@pytest.mark.parametrize(
    "name", ["gaussian_noise", "shot_noise", "impulse_noise", "gaussian_blur", "motion_blur", "pixelate"]
)
def test_a_large_photo_is_disturbed_as_much_as_its_small_copy(name):
    """A changed photo of 896 px, made as small as a model wants it, is as far from its original as one of 224 px."""
    probe, large = rooms.find("probes", name), scene(5, 896)
    small = large.resize((224, 224), Image.Resampling.BOX)
    for severity in (1, 5):
        after = perturbed(probe, large, severity, "row").resize((224, 224), Image.Resampling.BOX)
        far = abs(array(after) - array(small)).mean()
        assert far == pytest.approx(distance(probe, small, severity), rel=0.25)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_a_coin_decides_between_more_and_less(name):
    probe, picture = rooms.find("probes", name), scene(6)
    found = {perturbed(probe, picture, 3, str(row)).tobytes() for row in range(40)}
    assert len(found) == 2
    spread = sorted(np.frombuffer(pixels, np.uint8).astype(float).std() for pixels in found)
    level = sorted(np.frombuffer(pixels, np.uint8).mean() for pixels in found)
    before = array(picture)
    assert (level[0] < before.mean() < level[1]) if name == "brightness" else (spread[0] < before.std() < spread[1])


def test_a_square_hides_the_share_it_names():
    probe = rooms.find("probes", "occlusion")
    for size in ((224, 224), (40, 300), (28, 28)):
        picture = Image.new("RGB", size, (0, 9, 0))
        for severity in range(1, 6):
            hidden = (array(perturbed(probe, picture, severity, "row"))[..., 0] == 127).mean()
            assert hidden == pytest.approx(probe.SHARES[severity - 1], rel=0.35)


@pytest.mark.parametrize("name", ["shift", "rotate", "flip"])
@pytest.mark.parametrize("size", [(224, 224), (60, 90), (31, 28)])
def test_a_mask_moves_with_its_picture(name, size):
    """A picture painted with its mask's ids shows the same ids after the move, up to pixels on an edge."""
    probe, fill = rooms.find("probes", name), 255
    mask = np.zeros((size[1], size[0]), np.int32)
    mask[: size[1] // 3] = 1
    mask[:, size[0] // 2 :] += 2
    for severity in range(1, probe.SEVERITIES + 1):
        for row in range(6):
            rngs = [perturbing.generator(probe, severity, str(row)) for _ in range(2)]
            picture = Image.fromarray(np.repeat(np.uint8(mask * 60)[..., None], 3, axis=2))
            after = array(probe.perturb(picture, severity, rngs[0]))[..., 0] / 60
            moved = probe.moved(mask, severity, rngs[1], fill)
            assert (
                moved.dtype == mask.dtype and moved.shape == mask.shape and set(np.unique(moved)) <= {0, 1, 2, 3, 255}
            )
            kept = moved != fill
            share = {"flip": 1, "shift": 0.6, "rotate": 0.7}[name]
            assert kept.mean() >= share and (name == "flip" or not kept.all())
            agree = np.rint(after[kept]) == moved[kept]
            assert agree.mean() >= (0.93 if name == "rotate" else 1)
            assert (moved != mask).any()


def test_a_mask_is_filled_with_0_unless_told():
    probe = rooms.find("probes", "shift")
    moved = probe.moved(np.full((40, 40), 7), 5, perturbing.generator(probe, 5, "row"))
    assert set(np.unique(moved)) == {0, 7}
