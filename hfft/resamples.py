"""Test sets as a bootstrap draws them again: what is drawn at once, alike draws counted once.

In: labels, the predictions of one or more models, groups. Out: a `Sample`, whose resamples become `Counts` for each
model. It knows no metric. numpy, scipy.

What is drawn is a row or, where rows belong to groups (one patient, one user), a whole group: its rows are no
independent witnesses (Davison & Hinkley 1997, section 3.8). Drawing n rows with replacement and counting them is one
multinomial draw over the kinds of row, so rows are touched once, whatever the number of resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from hfft.counts import Counts

# Elements of one working array: about ten such arrays of 8 bytes live at once, whatever the number of classes.
CHUNK = 2_000_000
EDGES = 4  # numbers of a class's boundary, see `Counts`


@dataclass(frozen=True)
class Tallies:
    """What each kind of draw adds to a model's counts: hits, support, predicted (classes, kinds); right (1, kinds).

    edges: of masks, (classes x 4, kinds), the four numbers of a class beside each other; None elsewhere.
    """

    hits: csr_array
    support: csr_array
    predicted: csr_array
    right: csr_array
    edges: csr_array | None = None


@dataclass(frozen=True)
class Sample:
    """times: int (kinds,), how often each kind of draw occurs. models: tallies of each. rows: (1, kinds), its rows.

    occurring: mask (classes,) of classes with true rows, which averages run over in every resample.
    """

    times: np.ndarray
    models: tuple[Tallies, ...]
    rows: csr_array
    occurring: np.ndarray
    multi_label: bool
    grouped: bool

    @property
    def classes(self) -> int:
        return len(self.occurring)

    @property
    def width(self) -> int:
        """Numbers that a resample is told by."""
        return self.classes * (1 if self.models[0].edges is None else EDGES)

    @property
    def draws(self) -> int:
        """How many rows, or groups, one resample draws."""
        return int(self.times.sum())

    def counts(self, times: np.ndarray, model: int = 0) -> Counts:
        """Counts (..., classes) of `times` (..., kinds) for one of the models."""
        # Sums over classes must run in memory order, or equal counts would give values that differ in the last bit.
        return self._told(model, lambda part: np.ascontiguousarray((part @ times.T).T))

    def each(self, model: int = 0) -> Iterator[tuple[np.ndarray, Counts]]:
        """(kinds, Counts (kinds, classes) of one draw of each kind), in parts."""
        for some in _parts(len(self.times), self.width):
            yield some, self._told(model, partial(_columns, some))

    def jackknifed(self, model: int = 0) -> Iterator[Counts]:
        """Counts (kinds, classes) without one draw of each kind in turn, in parts."""
        full = self.counts(self.times, model)
        for _, one in self.each(model):
            yield replace(one, **{name: getattr(full, name) - getattr(one, name) for name in told(one)})

    def resampled(self, resamples: int, seed: int) -> Iterator[np.ndarray]:
        """How often each kind is drawn, int (some, kinds), in parts; the same for all models."""
        rng = np.random.default_rng(seed)
        n, width = self.draws, len(self.times)
        owner = np.repeat(np.arange(width), self.times)
        for some in _parts(resamples, max(width, self.width)):
            if n >= 10 * width:
                yield rng.multinomial(n, self.times / n, size=len(some))
            else:  # the same distribution; with few draws per kind, drawing them is cheaper than a binomial per kind
                picks = (owner[rng.integers(0, n, size=n, dtype=np.int64)] for _ in some)
                # In columns, as a sparse product reads it.
                yield np.stack([np.bincount(pick, minlength=width) for pick in picks], axis=1).T

    def halved(self, resamples: int, seed: int) -> Iterator[np.ndarray]:
        """Of each kind the number that a fair coin picks, int (some, kinds), in parts."""
        rng, width = np.random.default_rng(seed), len(self.times)
        several = np.flatnonzero(self.times > 1)
        for some in _parts(resamples, max(width, self.width)):
            if 2 * len(several) >= width:
                yield rng.binomial(self.times, 0.5, (len(some), width))
                continue
            # Mostly draws that are alone of their kind: coins are cheaper than binomials.
            kept = rng.integers(0, 2, (width, len(some)), dtype=np.int8).astype(np.int64)
            kept[several] = rng.binomial(self.times[several][:, None], 0.5, (len(several), len(some)))
            yield kept.T

    def _told(self, model: int, taken: Callable[[csr_array], np.ndarray]) -> Counts:
        """Counts of what `taken` makes of each tally (something, kinds): arrays (..., something)."""
        told = self.models[model]
        counts = Counts(taken(told.hits), taken(told.support), taken(told.predicted), occurring=self.occurring)
        if told.edges is not None:
            edges = taken(told.edges)
            return replace(counts, edges=edges.reshape(*edges.shape[:-1], -1, EDGES))
        if not self.multi_label:
            return counts
        return replace(counts, right=taken(told.right)[..., 0], rows=taken(self.rows)[..., 0])


def sample(labels: np.ndarray, guesses: Sequence[np.ndarray], classes: int, groups: np.ndarray | None = None) -> Sample:
    """The rows as draws. labels and each of guesses: int (n,), or bool (n, classes). groups: (n,) or None."""
    labels = np.asarray(labels)
    first, kind, times = alike(labels, [np.asarray(guess) for guess in guesses], classes)
    truth = _marks(labels[first], classes)
    marks = [_marks(np.asarray(guess)[first], classes) for guess in guesses]
    told = [(truth.multiply(guess), truth, guess, _right(truth, guess)) for guess in marks]
    rows = csr_array(np.ones((1, len(times)), dtype=np.int64))
    if groups is not None:
        times, composed = _composed(kind, len(times), groups)
        told, rows = [tuple(part @ composed for part in parts) for parts in told], rows @ composed
    occurring = truth.sum(axis=1) > 0
    if not occurring.any():  # rows that no class applies to: averages run over all classes
        occurring = np.ones(classes, dtype=bool)
    models = tuple(Tallies(*(csr_array(part) for part in parts)) for parts in told)
    return Sample(times, models, csr_array(rows), occurring, labels.ndim == 2, groups is not None)


def told(counts: Counts) -> tuple[str, ...]:
    """Names of the arrays that draws add up to."""
    more = ("right", "rows") if counts.multi_label else () if counts.edges is None else ("edges",)
    return ("hits", "support", "predicted", *more)


def of_images(cells: Sequence[csr_array], edges: Sequence[np.ndarray], groups: np.ndarray | None = None) -> Sample:
    """Images as draws, or groups of them; of each model cells (n, K * K) and edges (n, K, 4) of the same n images.

    Pixels of an image are no independent witnesses, so an image is drawn with all that it adds to the counts.
    """
    n, classes = edges[0].shape[:2]
    own, number = np.arange(n), n
    if groups is not None:
        _, own = np.unique(np.asarray(groups).astype(str), return_inverse=True)
        number = int(own.max(initial=-1)) + 1
    drawn = csr_array((np.ones(n, dtype=np.int64), (np.arange(n), own)), shape=(n, number))
    square, every = np.arange(classes * classes), np.ones(classes * classes, dtype=np.int64)
    shape = (classes, classes * classes)
    true, guess = (csr_array((every, (part, square)), shape) for part in np.divmod(square, classes))
    right = csr_array((every[:classes], (np.arange(classes), np.arange(classes) * (classes + 1))), shape)
    models = []
    for one, edge in zip(cells, edges, strict=True):
        hits, support, predicted = (csr_array(which @ one.T @ drawn) for which in (right, true, guess))
        none, flat = csr_array((1, number), dtype=np.int64), csr_array(edge.reshape(n, -1).T)
        models.append(Tallies(hits, support, predicted, none, csr_array(flat @ drawn)))
    occurring = models[0].support.sum(axis=1) > 0
    if not occurring.any():
        occurring = np.ones(classes, dtype=bool)
    times, rows = np.ones(number, dtype=np.int64), drawn.sum(axis=0)[None]
    return Sample(times, tuple(models), csr_array(rows), occurring, False, groups is not None)


def of_matrix(matrix: np.ndarray) -> Sample:
    """The rows that a confusion matrix (classes, classes) counts, rows true, columns predicted."""
    true, guess = np.nonzero(matrix)
    counted = sample(true, [guess], len(matrix))
    return Sample(matrix[true, guess].astype(np.int64), *(getattr(counted, name) for name in REST))


REST = ("models", "rows", "occurring", "multi_label", "grouped")


def alike(labels: np.ndarray, guesses: list[np.ndarray], classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(a row of each kind, the kind of each row, rows of each kind); a kind is what truth and all models say."""
    if labels.ndim == 2:
        bits = np.packbits(np.concatenate([labels, *guesses], axis=1), axis=1)
        code: np.ndarray = np.ascontiguousarray(bits).view(np.dtype((np.void, bits.shape[1])))[:, 0]
    else:
        code = labels.astype(np.int64)
        crowded = float(classes) ** (len(guesses) + 1) >= 2.0**62
        for guess in guesses:
            code = np.asarray(code * classes + guess)
            if crowded:  # ranks keep the order, and the next product inside 64 bits
                code = np.unique(code, return_inverse=True)[1]
    _, first, kind, times = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    return first, kind, times.astype(np.int64)


def _marks(values: np.ndarray, classes: int) -> csr_array:
    """Which classes apply, int64 (classes, n)."""
    if values.ndim == 2:
        return csr_array(values.T.astype(np.int64))
    ones = np.ones(len(values), dtype=np.int64)
    return csr_array((ones, (values, np.arange(len(values)))), shape=(classes, len(values)))


def _right(truth: csr_array, guess: csr_array) -> csr_array:
    """Columns in which both say exactly the same, int64 (1, n)."""
    apart = abs(truth - guess).sum(axis=0)
    return csr_array((apart == 0).astype(np.int64)[None])


def _composed(kind: np.ndarray, kinds: int, groups: np.ndarray) -> tuple[np.ndarray, csr_array]:
    """(how often each composition of a group occurs, rows of each kind in it (kinds, compositions))."""
    _, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    ones = np.ones(len(kind), dtype=np.int64)
    rows = csr_array((ones, (group, kind)), shape=(int(group.max(initial=-1)) + 1, kinds))
    rows.sum_duplicates()
    ends = rows.indptr
    seen: dict[tuple[bytes, bytes], list[int]] = {}
    for place in range(rows.shape[0]):
        inside = slice(ends[place], ends[place + 1])
        seen.setdefault((rows.indices[inside].tobytes(), rows.data[inside].tobytes()), []).append(place)
    return np.array([len(places) for places in seen.values()]), rows[[places[0] for places in seen.values()]].T


def _columns(some: np.ndarray, part: csr_array) -> np.ndarray:
    return np.ascontiguousarray(part[:, some].toarray().T)


def _parts(total: int, width: int) -> Iterator[np.ndarray]:
    """0 … total - 1 in pieces, such that a piece times `width` is no more than CHUNK."""
    step = max(1, CHUNK // max(width, 1))
    for start in range(0, total, step):
        yield np.arange(start, min(start + step, total))
