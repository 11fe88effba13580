"""What the training rows say about a mistake: the nearest of them, as the pretrained model sees it.

In: features and answers of training and test rows. Out: per mistake its nearest training rows and a finding. numpy
only; it must not know texts, pictures or files. Features have to come from weights that were never fitted to these
labels: the fine-tuned model draws rows together by their label, so its neighbours would only repeat what it answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from hfft import erring
from hfft.errors import brief, counted
from hfft.records import Predictions

MISTAKES, NEAREST = 50, 5  # the most confident mistakes, and training rows of each
COPY, DOUBT, AGREE = "near copy in train", "label may be wrong", "neighbours agree with the label"
FAR, OPEN = "nothing similar in train", "neighbours do not settle it"
FINDINGS = (COPY, DOUBT, AGREE, FAR, OPEN)
# A copy is ten times nearer than the nearest training row of a usual test row. In a feature space of d dimensions the
# share of rows that come so near by chance is about 0.7 * 0.1^(d/2) (Facco et al. 2017): below 1 in 1,000 from 6 on. A
# fixed similarity would fire always in one model's space and never in another's, and a percentile would always fire.
COPY_RATIO = 0.1
# Below this two vectors differ by the rounding of float32 only: what counts where most test rows are copies.
SAME = 1e-5
FAR_SHARE = 0.05
MANY, CHANCE = 4, 0.05  # neighbours that carry the answer, and how likely as many may be by the class's share alone
# Where the neighbours of fewer rows of a class carry its label, at most half of the doubts are right at 2 % of wrong
# labels; above it, seven of ten and more (benchmarks/neighbours.py).
TOLD = 0.7
BLOCK = 1000  # test rows that are compared with the training rows at once


@dataclass(frozen=True)
class Likeness:
    """One mistake. row: its place among the test rows. nearest: places of training rows (k,), nearest first."""

    row: int
    nearest: np.ndarray
    similarity: np.ndarray
    finding: str
    sentence: str


@dataclass(frozen=True)
class Votes:
    """What k neighbours carry: the model's answer, bool (k,), or the row's label, bool (k,); words for both.

    share: of the training rows looked at that carry the answer. known: how many of them carry the label.
    """

    answer: np.ndarray
    label: np.ndarray
    share: float
    known: int
    told: float
    words: tuple[str, str]


def liken(predictions: Predictions, test: np.ndarray, train: np.ndarray, given: np.ndarray) -> list[Likeness]:
    """The nearest training rows of the most confident mistakes, the surest mistake first, and what they mean.

    test, train: features (n, d), (m, d). given: the training rows' classes, int (m,), or which of several apply, bool
    (m, classes). Similarity is the cosine of features that are centred on the training rows: without that, any two
    rows of some models are alike (Mu & Viswanath 2018).
    """
    chosen = erring.mistakes(predictions)[0][:MISTAKES]
    if not len(chosen) or not len(train):
        return []
    near, similarity = nearest(test, train)
    usual = similarity[:, 0]
    copy_at = 1 - max(COPY_RATIO * float(np.median(1 - usual)), SAME)
    found = []
    for row in chosen:
        votes = _votes(predictions, int(row), given, near)
        nearer = float((usual > usual[row]).mean())
        told = _judged(votes, similarity[row], copy_at, nearer)
        found.append(Likeness(int(row), near[row], similarity[row], *told))
    return found


def nearest(test: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places of training rows, their similarity), both (n, k), nearest first."""
    centre = train.mean(axis=0)
    known, asked = _unit(train - centre), _unit(test - centre)
    k, places, similarity = min(NEAREST, len(train)), [], []
    for start in range(0, len(asked), BLOCK):
        alike = asked[start : start + BLOCK] @ known.T
        near = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(alike, near, axis=1), axis=1, kind="stable")
        places.append(np.take_along_axis(near, order, axis=1))
        similarity.append(np.take_along_axis(alike, places[-1], axis=1))
    return np.concatenate(places), np.minimum(np.concatenate(similarity), 1.0)


def seen(looked: int, whole: int) -> str:
    """What limits every sentence: that not all training rows were looked at; "" where they were."""
    return f" (Looked at: a random {looked:,} of {whole:,} training rows.)" if looked < whole else ""


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length one, float32; a row of zeros stays."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _votes(predictions: Predictions, row: int, given: np.ndarray, near: np.ndarray) -> Votes:
    """Of several classes the vote is about the surest wrong answer alone: does that class apply, or not?

    near: nearest training rows of every test row (n, k).
    """
    labels, answers = predictions.labels, predictions.predicted
    if predictions.multi_label:
        column = int(erring.answers(predictions.where(np.array([row])))[0].argmax())
        labels, answers, given = labels[:, column], answers[:, column], given[:, column]
        name = brief(predictions.names[column])
        words = (name, f"without {name}") if answers[row] else (f"without {name}", name)
    else:
        words = brief(predictions.names[answers[row]]), brief(predictions.names[labels[row]])
    right = given == labels[row]
    told = right[near[labels == labels[row]]].mean(axis=1) > 0.5
    carried = given == answers[row]
    own = near[row]
    return Votes(carried[own], right[own], float(carried.mean()), int(right.sum()), float(told.mean()), words)


def _judged(votes: Votes, similarity: np.ndarray, copy_at: float, nearer: float) -> tuple[str, str]:
    """(finding, sentence). similarity: of the neighbours. nearer: share of test rows with a more alike nearest."""
    answer, label = votes.words
    k, for_answer, for_label = len(similarity), int(votes.answer.sum()), int(votes.label.sum())
    if similarity[0] >= copy_at:
        return COPY, f"A training row is nearly the same (similarity {similarity[0]:.3f}) and {_of_copy(votes)}"
    if nearer >= 1 - FAR_SHARE:
        return FAR, (
            f"Its nearest training row is less alike (similarity {similarity[0]:.2f}) than those of "
            f"{100 * nearer:.0f} % of the test rows: nothing like it was trained on."
        )
    doubted = for_answer >= MANY and not for_label
    if doubted and votes.told >= TOLD and votes.known >= k and _tail(for_answer, k, votes.share) <= CHANCE:
        return DOUBT, (
            f"{for_answer} of the {k} nearest training rows are labelled {answer}, as the model answers, and none "
            f"{label}, while most neighbours of {100 * votes.told:.0f} % of the test rows labelled {label} carry that "
            "label: this one may be wrong."
        )
    if for_label > k / 2:
        return AGREE, (
            f"{for_label} of the {k} nearest training rows are labelled {label} like this row: "
            "training shows it right, and the model errs all the same."
        )
    poor = f"; for most test rows labelled {label} they carry other labels" if votes.told < TOLD else ""
    return OPEN, (
        f"Of the {counted(k, 'nearest training row')}, {for_label} carry the label {label} and {for_answer} the "
        f"answer {answer}: they do not settle it{poor}."
    )


def _of_copy(votes: Votes) -> str:
    answer, label = votes.words
    if votes.label[0]:
        return f"is labelled {label} as well: the model saw the answer and errs all the same."
    if votes.answer[0]:
        return (
            f"is labelled {answer}, as the model answers, while this row is labelled {label}: "
            "one of the two labels may be wrong."
        )
    return "is labelled otherwise again: the two labels do not fit together."


def _tail(hits: int, k: int, share: float) -> float:
    """P(at least `hits` of `k` carry a class of this share), binomial."""
    return sum(comb(k, i) * share**i * (1 - share) ** (k - i) for i in range(hits, k + 1))
