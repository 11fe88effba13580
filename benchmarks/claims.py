"""How often hfft's claims are wrong, and what they cost: simulations whose truth is known.

    python benchmarks/claims.py            # about five minutes on one core
    python benchmarks/claims.py speed      # seconds; one or more of coverage, pairs, gates, speed

The short versions of the first three are in the test suite. Prints Markdown tables for RESULTS.md.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from hfft import comparing, estimates, gating, intervals, pairing, resamples, rooms, scoring
from hfft.counts import confusion
from hfft.gating import Evidence
from hfft.records import Predictions, Score

TRIALS = 2000
METRICS = ["accuracy", "precision", "recall", "f1", "balanced_accuracy", "mcc", "kappa", "top_k", "auroc"]
METRICS += ["average_precision", "log_loss", "brier"]


def table(title: str, heads: list[str], rows: list[list[object]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def coverage() -> None:
    """Share of 95 % intervals that hold the truth."""
    found, rng = [], np.random.default_rng(0)
    for n, share in ((100, 0.5), (100, 0.9), (100, 0.98), (1000, 0.9), (1000, 0.99)):
        held = [low <= share <= high for low, high in (intervals.wilson(k, n) for k in rng.binomial(n, share, 20_000))]
        found.append(["accuracy (Wilson)", n, f"{share:.2f} right", f"{100 * np.mean(held):.1f} %"])
    statistic = scoring.statistic(["f1", "mcc", "balanced_accuracy"])
    for counts, right in (((30, 30), 0.8), ((30, 270), 0.85), ((30,) * 10, 0.8), ((30, 60, 120, 400), 0.9)):
        prior = np.array(counts) / sum(counts)
        cells = (1 - right) * prior[:, None] * np.ones(len(prior)) / (len(prior) - 1)
        np.fill_diagonal(cells, right * prior)
        whole = resamples.of_matrix(np.round(cells * 10**9).astype(np.int64))
        truth = {key: float(value) for key, value in statistic(whole.counts(whole.times)).items()}
        held = dict.fromkeys(("f1_macro", "mcc", "balanced_accuracy"), 0)
        for trial in range(TRIALS):
            labels = np.repeat(np.arange(len(counts)), counts)  # at least these rows in each class
            luck, other = rng.random(len(labels)) < right, rng.integers(1, len(counts), len(labels))
            drawn = confusion(labels, np.where(luck, labels, (labels + other) % len(counts)), len(counts))
            spread = intervals.bca(resamples.of_matrix(drawn), statistic, resamples=1000, seed=trial)
            for key in held:
                held[key] += spread[key].low <= truth[key] <= spread[key].high
        for key, hits in held.items():
            found.append([f"{key} (BCa)", sum(counts), f"classes of {counts}", f"{100 * hits / TRIALS:.1f} %"])
    table(
        f"Coverage of 95 % intervals, {TRIALS:,} test sets each (Wilson: 20,000)", ["of", "n", "case", "holds"], found
    )


def pairs() -> None:
    """How often two equally good models are called different at 5 %."""
    rows = []
    for n, right, same in ((100, 0.85, 0.5), (1000, 0.9, 0.5), (1000, 0.9, 0.0)):
        rng, called = np.random.default_rng(1), {}
        for trial in range(TRIALS):
            labels, luck = rng.integers(0, 3, n), [rng.random(n) for _ in range(3)]
            shared = rng.random(n) < same
            wrong = [np.where(shared, luck[0], own) >= right for own in luck[1:]]
            guesses = [np.where(w, (labels + rng.integers(1, 3, n)) % 3, labels) for w in wrong]
            won, lost = int((wrong[0] & ~wrong[1]).sum()), int((wrong[1] & ~wrong[0]).sum())
            statistic = scoring.statistic(["accuracy", "f1"])
            apart = pairing.differences(labels, *guesses, 3, statistic, resamples=500, seed=trial)["f1_macro"]
            scores = [_scores(rng, labels, w) for w in wrong]
            loss = estimates.apart(
                *(rooms.find("metrics", "log_loss").estimates(labels, s)[0]["log_loss"] for s in scores)
            )
            area = estimates.apart(
                *(rooms.find("metrics", "auroc").estimates(labels, s)[0]["auroc_macro"] for s in scores)
            )
            exact, mid = pairing.mcnemar(won, lost)
            told = {
                "McNemar exact": exact < 0.05,
                "McNemar mid-p": mid < 0.05,
                "macro-F1, randomisation": apart.p < 0.05,
            }
            told |= {"macro-F1, interval without 0": not apart.low <= 0 <= apart.high}
            told |= {"log loss": loss[3] < 0.05, "AUROC": area[3] < 0.05}
            for key, value in told.items():
                called[key] = called.get(key, 0) + value
        rows += [[key, n, f"{100 * right:g} % right, {100 * same:g} % of luck shared", f"{100 * hits / TRIALS:.1f} %"]
                 for key, hits in called.items()]  # fmt: skip
    table(f"Equal models called different at 5 %, {TRIALS:,} pairs each", ["test", "n", "case", "called"], rows)


def _scores(rng: np.random.Generator, labels: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Probabilities of three classes that are lower for the true class where the model is wrong."""
    logits = rng.normal(size=(len(labels), 3))
    logits[np.arange(len(labels)), labels] += np.where(wrong, -1, 2)
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


def gates() -> None:
    """Verdicts on a model that lost five points, and on one that lost none; n = 1,000, discordance 10 %."""
    rows = []
    for drop in (0.05, 0.0):
        for rule in ({"no_worse_than": {"run": "base", "margin": 0.01}}, {"accuracy": ">= 0.90"}):
            rng, told = np.random.default_rng(2), dict.fromkeys(("pass", "fail", "cannot tell"), 0)
            for _ in range(TRIALS):
                kind = rng.choice(4, 1000, p=[0.85 - drop / 2, 0.05 + drop / 2, 0.05 - drop / 2, 0.05 + drop / 2])
                base, new = np.isin(kind, (0, 1)), np.isin(kind, (0, 2))
                labels = rng.integers(0, 2, 1000)
                guesses = [np.where(right, labels, 1 - labels) for right in (base, new)]

                def against(run: str, metric: str | None, labels=labels, guesses=guesses):  # type: ignore[no-untyped-def]
                    statistic = scoring.statistic(["accuracy"])
                    return "accuracy", pairing.differences(labels, *guesses, 2, statistic, resamples=500)["accuracy"]

                hits = int(new.sum())
                own = Score(hits / 1000, *intervals.wilson(hits, 1000), 1000, "Wilson")
                verdict = gating.judge(rule, Evidence({"accuracy": own}, against=against))[0].verdict
                told[verdict] += 1
            shares = [f"{100 * hits / TRIALS:.1f} %" for hits in told.values()]
            name = "no worse than base by 0.01" if "no_worse_than" in rule else "accuracy >= 0.90"
            rows.append([name, f"{0.90 - drop:.2f} (base 0.90)", *shares])
    table(f"Gates, n = 1,000, {TRIALS:,} models each", ["gate", "true accuracy", "pass", "fail", "cannot tell"], rows)


def speed() -> None:
    """CPU seconds for 10 classes x 100,000 rows, all metrics."""
    from hfft import calibrating
    from hfft.schema import Abstain

    n, classes, rng = 100_000, 10, np.random.default_rng(3)
    labels, names = rng.integers(0, classes, n), tuple(f"c{k}" for k in range(classes))
    ids = np.array([f"{i:08x}-c" for i in range(n)], dtype=object)

    def model(groups: np.ndarray | None) -> Predictions:
        logits = rng.normal(size=(n, classes))
        logits[np.arange(n), labels] += 2
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return Predictions(ids, labels, shares.argmax(axis=1), shares.astype(np.float32), names, groups)

    rows = []
    for kind, groups in (("rows", None), ("33,334 groups", np.array([f"g{i // 3}" for i in range(n)], dtype=object))):
        first, second = model(groups), model(groups)
        for what, call in {
            "all metrics with intervals": lambda one=first: scoring.score(one, METRICS),
            "calibration, abstaining, sets: fit and judge": lambda one=first: calibrating.judged(
                one, calibrating.fitted(one, Abstain())
            ),
            "two runs, all metrics": lambda one=first, two=second: comparing.compare([("a", one), ("b", two)], METRICS),
        }.items():
            cpu, wall = time.process_time(), time.perf_counter()
            call()
            rows.append([what, kind, f"{time.process_time() - cpu:.2f}", f"{time.perf_counter() - wall:.2f}"])
    table("100,000 rows, 10 classes", ["what", "draws", "CPU s", "wall s"], rows)
    print(f"\nPeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB.")


if __name__ == "__main__":
    parts = {part.__name__: part for part in (coverage, pairs, gates, speed)}
    for name in sys.argv[1:] or parts:
        parts[name]()
