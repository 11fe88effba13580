"""The accumulator keeps each row's best match per part, in whatever order and chunks the pairs come."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hfft.neighbours import could_improve, keep, nothing_yet


def brute(part, pairs):
    """{(row, part): (similarity, other)} by looking at every pair in turn."""
    best = {}
    for i, j, similarity in pairs:
        for row, other in ((i, j), (j, i)):
            if part[row] != part[other]:
                key = (row, part[other])
                best[key] = min(best.get(key, (0.0, -1)), (-similarity, other))
    return best


PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from([0.25, 0.5, 1.0])), max_size=40)


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), PAIRS, st.integers(1, 40))
def test_the_same_as_looking_at_every_pair_in_turn(part, pairs, chunk):
    best = nothing_yet(np.array(part))
    for low in range(0, len(pairs), chunk):
        i, j, similarity = map(np.array, zip(*pairs[low : low + chunk], strict=True))
        keep(best, i, j, similarity)
    expected = brute(part, pairs)
    for row in range(8):
        for other in range(best.index.shape[1]):
            similarity, index = expected.get((row, other), (0.0, -1))
            assert (best.similarity[row, other], best.index[row, other]) == (-similarity, index)


@given(st.lists(st.integers(0, 2), min_size=8, max_size=8), PAIRS, PAIRS.filter(len))
def test_pairs_that_could_improve_are_those_that_do(part, before, after):
    best = nothing_yet(np.array(part))
    if before:
        keep(best, *map(np.array, zip(*before, strict=True)))
    for i, j, similarity in after:
        pair = np.array([i]), np.array([j]), np.array([similarity])
        hope = could_improve(best, *pair)[0]
        held = best.index.copy(), best.similarity.copy()
        keep(best, *pair)
        changed = (held[0] != best.index).any() or (held[1] != best.similarity).any()
        assert hope == changed


def test_no_rows_and_no_pairs():
    none = np.zeros(0, dtype=np.int64)
    best = nothing_yet(none)
    keep(best, none, none, np.zeros(0))
    assert best.index.shape == (0, 0)
    best = nothing_yet(np.array([0, 2]))
    keep(best, none, none, np.zeros(0))
    assert best.index.tolist() == [[-1, -1, -1]] * 2 and best.index.dtype == np.int64
    assert best.similarity.dtype == np.float32
