"""How often what the neighbours of a mistake say is right, where the truth is known: planted wrong labels and copies.

python -m benchmarks.neighbours     # from the root of a checkout; a minute on one core. The table in docs/mistakes.md.

Gaussian classes, and the 8 x 8 digits that come with scikit-learn; a share of all labels, of training rows too, is
changed at random. The model is a logistic regression fitted to the changed labels.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from hfft import likening
from hfft.likening import AGREE, COPY, DOUBT, FAR
from hfft.records import Predictions

NOISE, COPIES, SEEDS = (0.0, 0.02, 0.05, 0.1), 10, 6
EDGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


def gaussian(separation: float, seed: int, n: int = 3000, classes: int = 4, wide: int = 32):
    draws = np.random.default_rng(seed)
    truth = draws.integers(classes, size=n)
    return separation * np.eye(classes, wide)[truth] + draws.normal(size=(n, wide)), truth


def digits(blur: float, seed: int):
    pixels, truth = load_digits(return_X_y=True)
    draws = np.random.default_rng(seed)
    order = draws.permutation(len(truth))
    return (pixels + blur * draws.normal(size=pixels.shape))[order], truth[order]


def measure(features: np.ndarray, truth: np.ndarray, noise: float, seed: int):
    """(share of test rows whose neighbours carry their label, [(finding, label is wrong, row is a copy)])."""
    draws = np.random.default_rng(seed + 1000)
    classes = truth.max() + 1
    given = truth.copy()
    wrong = draws.random(len(truth)) < noise
    given[wrong] = (truth[wrong] + draws.integers(1, classes, wrong.sum())) % classes
    half = len(truth) // 2
    train, test = features[:half].astype(np.float32), features[half:].astype(np.float32)
    test[:COPIES] = train[:COPIES] + 0.02 * train.std() * draws.normal(size=(COPIES, train.shape[1]))
    labels = given[half:].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(max_iter=300).fit(train, given[:half])
    scores = model.predict_proba(test).astype(np.float32)
    labels[:COPIES] = (scores[:COPIES].argmax(axis=1) + 1) % classes  # so that copies are among the mistakes
    ids = np.array([str(i) for i in range(len(test))], dtype=object)
    predictions = Predictions(ids, labels, scores.argmax(axis=1), scores, tuple(map(str, range(classes))))
    found = likening.liken(predictions, test, train, given[:half])
    near = likening.nearest(test, train)[0]
    agree = float(((given[:half][near] == labels[:, None]).mean(axis=1) > 0.5).mean())
    return agree, [(one.finding, bool(wrong[half:][one.row]), one.row < COPIES) for one in found]


def main() -> None:
    cells: dict[tuple[float, float], Counter] = defaultdict(Counter)
    made = [(gaussian, s) for s in (2, 2.5, 3, 3.5, 4, 5)] + [(digits, s) for s in (0, 4, 8, 12)]
    for build, strength in made:
        for noise in NOISE:
            for seed in range(SEEDS):
                agree, rows = measure(*build(strength, seed), noise, seed)
                cell = cells[next(edge for edge in EDGES if agree <= edge), noise]
                cell["sets"] += 1
                for finding, wrong, copied in rows:
                    cell[finding] += 1
                    cell[finding, "wrong"] += wrong
                    cell["wrong"] += wrong and not copied
                    cell["found"] += wrong and not copied and finding == DOUBT
                    cell["copies"] += copied
                    cell[finding, "copy"] += copied
    print(
        "agree up to | noise | sets | doubts: wrong | wrong found | agreeing: wrong | copies found | copy alarms | far"
    )
    for (edge, noise), cell in sorted(cells.items()):
        told = [
            f"{edge:11.2f} | {noise:5.2f} | {cell['sets']:4}",
            share(cell[DOUBT, "wrong"], cell[DOUBT]),
            share(cell["found"], cell["wrong"]),
            share(cell[AGREE, "wrong"], cell[AGREE]),
            share(cell[COPY, "copy"], cell["copies"]),
            f"{cell[COPY] - cell[COPY, 'copy']:3} | {cell[FAR]:3}",
        ]
        print(" | ".join(told))


def share(part: int, whole: int) -> str:
    return f"{part / whole:4.2f} of {whole:4}" if whole else f"   - of {whole:4}"


if __name__ == "__main__":
    main()
