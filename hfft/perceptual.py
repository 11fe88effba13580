"""Pictures that are copies of one another across the parts of a split: re-encoded, resized, brightened, cropped a bit.

In: fingerprints of decoded upright pictures and the part each belongs to. Out: `Matches`. Must not know labels, tables
or files. A 64-bit DCT hash (pHash: Zauner 2010) finds candidates; thumbnails, registered against small crops and blurs
(`hfft.registration`), decide. How alike *different* pictures of this data are is measured, see `matches`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.fft import dctn

from hfft import registration
from hfft.hamming import near
from hfft.neighbours import Best, Matches, keep, nothing_yet

SIDE = registration.SIDE
TILES = 4  # colour thumbnail: TILES x TILES x RGB
RADIUS = 7  # bits by which the hashes of copies differ at most (measured: 99 % within 4, small crops by the inner hash)
INNER = 0.03  # share of each border outside the inner hash, so that a slightly cropped copy still meets its original
FLAT = 2.0  # grey levels of standard deviation; below, a picture shows nothing
HUE = 24.0  # grey levels by which a copy's colour tiles may differ once brightness is taken out, on average
DISTANCE = 0.19  # of registered standardised thumbnails, |a - b|; the correlation is 1 - d^2 / 2
SAMPLE = 3000  # rows of part 0 whose look-alikes set the threshold
SPARED = 2  # sampled rows by which a place may be fuller than the emptiest: one pair of copies says nothing
STEPS = DISTANCE * 0.94 ** np.arange(20)  # thresholds to choose from

PRINT = np.dtype(
    [
        ("digest", "<u8"),  # of all pixels and the size
        ("hash", "<u8"),
        ("inner", "<u8"),
        ("grey", "u1", (SIDE, SIDE)),
        ("colour", "u1", (TILES, TILES, 3)),
        ("contrast", "<f4"),  # the largest standard deviation of a channel, at full size
    ]
)


def fingerprint(picture: Image.Image) -> bytes:
    """What is kept of a picture, `PRINT.itemsize` bytes; the picture is taken as it stands, upright, as RGB.

    A digest of the pixels (equal pixels, however stored), the pHash of the whole and of its inner part, a 24 x 24 grey
    thumbnail (16 x 16 proved too coarse to tell two handwritten ones from two copies), a 4 x 4 colour thumbnail and
    the contrast at full size, which tells an empty picture from a fine texture.
    """
    rgb = picture.convert("RGB")
    grey = rgb.convert("L")
    width, height = grey.size
    box = (INNER * width, INNER * height, (1 - INNER) * width, (1 - INNER) * height)
    pixels = np.asarray(rgb)
    content = hashlib.blake2b(pixels.tobytes() + f"{width}x{height}".encode(), digest_size=8).digest()
    row = np.zeros((), dtype=PRINT)
    row["digest"] = np.frombuffer(content, dtype="<u8")[0]
    row["hash"], row["inner"] = _phash(grey, (0, 0, width, height)), _phash(grey, box)
    row["grey"] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    row["colour"] = np.asarray(rgb.resize((TILES, TILES), Image.Resampling.BOX))
    row["contrast"] = _contrast(rgb)
    return row.tobytes()


def _contrast(rgb: Image.Image) -> float:
    """The largest standard deviation of a channel; from histograms, which is many times as fast as from the pixels."""
    counts, level = np.array(rgb.histogram(), dtype=np.float64).reshape(3, 256), np.arange(256)
    counts /= counts.sum(axis=1, keepdims=True)
    mean = (counts * level).sum(axis=1, keepdims=True)
    return float(np.sqrt((counts * (level - mean) ** 2).sum(axis=1)).max())


def _phash(grey: Image.Image, box: tuple[float, float, float, float]) -> int:
    """64 bits: which of the 8 x 8 lowest frequencies of the 32 x 32 picture lie above their median."""
    small = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS, box=box), dtype=np.float64)
    low = dctn(small, type=2)[:8, :8]
    return int(np.packbits(low > np.median(low)).view(">u8")[0])


def matches(prints: Sequence[bytes], part: np.ndarray, seed: int = 0) -> Matches:
    """For every picture (n,) its copy in every other part, if there is one; `part`: (n,) integers from 0.

    Equal pixels are copies. Pictures that show nothing (`FLAT`) are copies when all channels' means agree to one grey
    level. All others: candidates by hash, then the correlation of the thumbnails in the best registration, given that
    the colours agree.

    The threshold: different pictures of one data set can be very alike (handwritten ones). For `SAMPLE` rows of part 0
    the distance to the nearest other row of part 0 is measured. Copies within the part lie low and thin out upwards;
    look-alikes begin somewhere and grow steeply. Between them is a valley: of the values up to `DISTANCE` the threshold
    is the largest with no more nearest neighbours around it (from 15 % below to 20 % above) than the emptiest has,
    give or take `SPARED`.
    Without copies that is just below the first look-alikes; copies fill the low end, which moves the emptiest place
    up, never into the look-alikes' rise.
    """
    best = nothing_yet(part)
    rows = np.frombuffer(b"".join(prints), dtype=PRINT)
    leader, of = _leaders(rows["digest"], best.part)
    _same_digest(rows["digest"], leader, best)
    flat = rows["contrast"][leader] < FLAT
    _flat(rows["colour"], leader[flat], best)
    # A fine texture leaves a blank thumbnail: nothing to compare but the digest.
    shown = leader[~flat & (rows["grey"][leader].std(axis=(1, 2)) >= FLAT)]
    distance = _calibrated(rows[shown], best.part[shown], seed)
    i, j, crowded = _candidates(rows[shown], best.part[shown])
    apart, more = registration.distance(rows["grey"][shown], i, j, distance)
    close = apart <= distance
    keep(best, shown[i[close]], shown[j[close]], 1 - apart[close] ** 2 / 2)
    return Matches(best.index[of], best.similarity[of], 1 - distance**2 / 2, _note(distance, crowded + more))


def _leaders(digest: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first row of each distinct picture in each part, sorted by digest and part; every row's first row)."""
    order = np.lexsort((np.arange(len(part)), part, digest))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (digest[order][1:] != digest[order][:-1]) | (part[order][1:] != part[order][:-1])
    of = np.empty(len(order), dtype=np.int64)
    of[order] = order[new][np.cumsum(new) - 1]
    return order[new], of


def _same_digest(digest: np.ndarray, leader: np.ndarray, best: Best) -> None:
    """Leaders of equal pictures stand side by side, one per part."""
    for step in range(1, best.index.shape[1]):
        same = np.flatnonzero(digest[leader][:-step] == digest[leader][step:])
        keep(best, leader[same], leader[same + step], np.ones(len(same)))


def _flat(colour: np.ndarray, leader: np.ndarray, best: Best) -> None:
    """One-coloured pictures match the first row of another part whose colour is within one level in each channel."""
    mean = np.rint(colour[leader].mean(axis=(1, 2))).astype(np.int64) + 1
    key = ((best.part[leader] * 258 + mean[:, 0]) * 258 + mean[:, 1]) * 258 + mean[:, 2]
    order = np.lexsort((leader, key))
    first = order[np.concatenate([[True], key[order][1:] != key[order][:-1]])] if len(order) else order
    shifts = [(r * 258 + g) * 258 + b for r in (-1, 0, 1) for g in (-1, 0, 1) for b in (-1, 0, 1)]
    for step in range(best.index.shape[1]):
        for shift in shifts:
            wanted = key % 258**3 + step * 258**3 + shift
            at = np.searchsorted(key[first], wanted).clip(max=max(len(first) - 1, 0))
            hit = np.flatnonzero(key[first][at] == wanted) if len(first) else np.zeros(0, dtype=np.int64)
            keep(best, leader[hit], leader[first[at[hit]]], np.full(len(hit), 1.0 - bool(shift) / 255))


def _candidates(rows: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Pairs (i, j) from different parts that have close hashes and colours, and how many rows met crowded hashes."""
    found, crowded = [np.zeros(0, dtype=np.int64)], 0
    for one in np.unique(part)[:-1]:
        ours, theirs = np.flatnonzero(part == one), np.flatnonzero(part > one)
        pairs, capped = _close(rows, theirs, ours)
        found.append(pairs)
        crowded += capped
    pair = np.concatenate(found)
    return pair // len(rows), pair % len(rows), crowded


def _close(rows: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, int]:
    """(pairs,) i * len(rows) + j, i of `ours` and j of `theirs`, each once; rows that met crowded hashes."""
    whole, inner = rows["hash"], rows["inner"]
    found, crowded = [], 0
    for a, b in ((whole, whole), (inner, whole), (whole, inner)):
        for left, right, capped in near(a[ours], b[theirs], RADIUS):
            i, j = ours[left], theirs[right]
            alike = (i != j) & _same_colours(rows["colour"], i, j)
            found.append(i[alike] * len(rows) + j[alike])
            crowded += capped
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found])), crowded


def _same_colours(colour: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Whether the tiles' colours, apart from their brightness, differ by less than HUE levels on average."""
    a, b = (colour[k].astype(np.float32) for k in (i, j))
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    return np.abs(a - b).mean(axis=(1, 2, 3)) < HUE


def _calibrated(rows: np.ndarray, part: np.ndarray, seed: int) -> float:
    """The largest distance at which look-alikes do not yet occur; see `matches`."""
    train = np.flatnonzero(part == 0)
    sample = np.random.default_rng(seed).permutation(train)[:SAMPLE]
    pair, _ = _close(rows, np.sort(sample), train)
    i, j = pair // max(len(rows), 1), pair % max(len(rows), 1)
    nearest = np.full(len(rows), np.inf)
    apart, _ = registration.distance(rows["grey"], i, j, 1.2 * DISTANCE)
    np.minimum.at(nearest, i, apart)
    nearest = nearest[sample]
    around = np.array([((nearest > 0.85 * step) & (nearest <= 1.2 * step)).sum() for step in STEPS])
    return float(STEPS[np.flatnonzero(around <= around.min() + SPARED)[0]])


def _note(distance: float, crowded: int) -> str:
    notes = []
    if distance < DISTANCE:
        notes.append(
            f"Different pictures of the training part are so alike that only pairs with a correlation of at least "
            f"{1 - distance**2 / 2:.4f} count as copies (the default is {1 - DISTANCE**2 / 2:.4f})."
        )
    if crowded:
        notes.append(
            f"{crowded:,} times a picture resembled so many others that only the nearest of them were compared."
        )
    return " ".join(notes)
