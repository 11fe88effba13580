"""What is in the data: sizes of the inputs, balance of the classes, what sizes give away, and a few rows to look at.

In: the splits and what their modality measures. Out: plain facts, and sentences made of them. Inputs of all splits are
counted and measured, which tells nothing about any answer; rows that a person is shown come from train alone, and what
can be guessed from sizes is scored on validation. Knows no modality and no model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import datasets
import numpy as np

from hfft import labelsets, mask_profile
from hfft.intervals import FEW_ROWS, wilson
from hfft.limiting import draw
from hfft.measures import Measured, percent, spread
from hfft.recipe import Model
from hfft.records import NONE

MOST = 50_000  # rows measured, by a draw: tokens of a million reviews would take minutes
SHOWN = 2  # rows of a class
LONGEST = 300  # characters of a row that is shown
LEAF = 10  # rows in a leaf of the tree
STRONG = 10.0  # largest : smallest class, from which training tends to leave the smallest out
ONE_SIDED = 0.80  # share of the largest class, above which accuracy says little
# Share of the errors of always answering the largest class that vanish when only sizes are looked at. Honest data has
# some (0.2 on tweets by sentiment: news are longer); MARKED is enough where one class is TWICE as long as another.
GIVEN_AWAY, MARKED, TWICE = 0.25, 0.05, 2.0


def profile(
    parts: dict[str, datasets.Dataset],
    modality: ModuleType,
    processor: Any | None,
    model: Model,
    batch: int = 16,
    seed: int = 0,
    counts: dict[str, int] | None = None,
    sizes: dict[str, int] | None = None,
) -> dict[str, Any]:
    """rows, measured; measures: {name: quantiles}; inputs: the modality's own facts; balance; shortcut; sentences.

    parts: split → rows with the modality's inputs, `label` and `id`. processor: what makes the model's inputs, or None
    where it cannot be had: tokens are not counted then. batch: rows of a training batch. counts: class → training rows,
    where `parts` holds only some of them. sizes: split → rows, where a row may have several classes; what sizes of the
    inputs give away is not looked for then. Of masks, `masks` says how much each class takes (see mask_profile.py).
    """
    picked = _picked(parts, seed)
    rows = datasets.concatenate_datasets(list(picked.values()))
    total = sum(map(len, parts.values()))
    measured: Measured = modality.profile(rows, processor, model, batch)
    places = np.repeat(list(picked), [len(part) for part in picked.values()])
    labels = np.array(rows["label"][:], dtype=object)
    several = bool(sizes)
    shared = balance(counts or labelsets.count(parts["train"]["label"][:], several), (sizes or {}).get("train"))
    classes = len(set(labels.tolist()))
    given: dict[str, Any] = {"sentence": None}
    if not several and (places == "train").sum() >= LEAF * classes:  # fewer rows a class: a tree could only guess
        given = shortcut(measured.rows | measured.marks, labels, places)
    told = labelsets.described(labels[places == "train"].tolist(), shared) if several else _balance_sentences(shared)
    masked: dict[str, Any] = {}
    if modality.MASKS:
        shares = mask_profile.by_split(parts, tuple(counts or ()))
        shared = balance({name: int(one["pixels"]) for name, one in shares["train"].items()})
        told = mask_profile.described(shares, measured.facts.get("input_size"))
        masked = {"masks": shares}
    sentences = [*measured.sentences, *told, *([given["sentence"]] if given["sentence"] else [])]
    if len(rows) < total:
        sentences.insert(0, f"Inputs were measured on {len(rows):,} of {total:,} rows, drawn at random.")
    return {
        "rows": total,
        "measured": len(rows),
        "measures": {name: spread(values) for name, values in measured.rows.items()},
        "inputs": measured.facts,
        "balance": shared,
        "shortcut": given,
        "sentences": sentences,
        **masked,
    }


def balance(counts: Mapping[str, int], rows: int | None = None) -> dict[str, Any]:
    """Of the training rows: largest and smallest class, their ratio, majority share, effective number of classes.

    The effective number is exp(entropy of the shares) (Hill 1973, order 1): equal classes count fully. rows: of train,
    where they are not the sum of the counts.

    >>> round(balance({"a": 50, "b": 50})["effective_classes"], 6), balance({"a": 90, "b": 10})["ratio"]
    (2.0, 9.0)
    """
    ordered = sorted((name for name in counts if counts[name]), key=lambda name: (-counts[name], name))
    largest, smallest, total = ordered[0], ordered[-1], sum(counts.values())
    entropy = -sum(counts[name] / total * math.log(counts[name] / total) for name in ordered)
    return {
        "classes": len(ordered),
        "largest": largest,
        "smallest": smallest,
        "largest_rows": counts[largest],
        "smallest_rows": counts[smallest],
        "ratio": counts[largest] / counts[smallest],
        "majority_share": counts[largest] / (rows or total),
        "effective_classes": math.exp(entropy),
    }


def shortcut(measures: dict[str, np.ndarray], labels: np.ndarray, places: np.ndarray) -> dict[str, Any]:
    """What the measures alone give away: a small decision tree, trained on train, scored on validation.

    measures: name → (n,). labels: class names (n,). places: split of each row (n,). Out: accuracy, majority (what the
    largest training class scores there), the measure that tells most, its median by class, and a sentence or None.
    A model trained on such data may learn the sizes, and fails where they change.
    """
    from sklearn.tree import DecisionTreeClassifier

    train, held = places == "train", places == "validation"
    columns = np.column_stack(list(measures.values()))
    # 16 leaves or more: enough for thresholds of a few classes, too few to remember rows.
    leaves = max(16, 2 * len(set(labels.tolist())))
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=LEAF, random_state=0)
    tree.fit(columns[train], labels[train].astype(str))
    hits, rows = int((tree.predict(columns[held]) == labels[held].astype(str)).sum()), int(held.sum())
    majority = float(np.mean(labels[held] == Counter(labels[train].tolist()).most_common(1)[0][0]))
    telling = list(measures)[int(np.argmax(tree.feature_importances_))]
    names = sorted(set(labels[train].tolist()))
    medians = {name: float(np.median(measures[telling][train & (labels == name)])) for name in names}
    facts = {"accuracy": hits / rows, "majority": majority, "measure": telling, "medians": medians, "sentence": None}
    sure = (wilson(hits, rows)[0] - majority) / max(1 - majority, 1 / rows)
    enough = [medians[name] for name in names if np.sum(train & (labels == name)) >= FEW_ROWS]
    twice = bool(enough) and max(enough) >= TWICE * min(enough)
    if sure > GIVEN_AWAY or (sure > MARKED and twice):
        facts["sentence"] = _shortcut_sentence(facts, list(measures))
    return facts


def examples(
    train: datasets.Dataset, modality: ModuleType, seed: int, multi_label: bool = False
) -> dict[str, list[str]]:
    """class → two distinct training rows, each as one line, drawn by content and seed alone; none where
    a row has nothing that a person could look up."""
    first: dict[str, dict[str, int]] = {}
    for index, (key, label) in enumerate(zip(train["key"][:], train["label"][:], strict=True)):
        for name in (labelsets.names(label) or (NONE,)) if multi_label else (label,):
            first.setdefault(name, {}).setdefault(key, index)
    shown: dict[str, list[str]] = {}
    for name, keys in sorted(first.items()):
        chosen = sorted(keys, key=lambda key: draw(key, seed))[:SHOWN]
        lines = (modality.line(train[keys[key]]) for key in chosen)
        shown[name] = [_printable(line) for line in lines if line]
    return shown


def _picked(parts: dict[str, datasets.Dataset], seed: int) -> dict[str, datasets.Dataset]:
    """The same share of every split, MOST rows in all."""
    total = sum(map(len, parts.values()))
    if total <= MOST:
        return parts
    draws = np.random.default_rng(seed)
    sizes = {name: max(1, len(part) * MOST // total) for name, part in parts.items()}
    return {
        name: part.select(np.sort(draws.choice(len(part), sizes[name], replace=False))) for name, part in parts.items()
    }


def _printable(text: str) -> str:
    """Without control characters, which a terminal would obey, and not longer than anybody reads."""
    plain = "".join(char if char.isprintable() else " " for char in text[: LONGEST + 1])
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def _balance_sentences(found: dict[str, Any]) -> list[str]:
    if found["ratio"] < 1.5:
        out = [f"The classes are balanced: always answering one of them scores {found['majority_share']:.2f} accuracy."]
    else:
        out = [
            f"Largest : smallest class {found['ratio']:.1f} : 1 in train ({found['largest']} "
            f"{found['largest_rows']:,}, {found['smallest']} {found['smallest_rows']:,}); always answering "
            f"{found['largest']!r} scores {found['majority_share']:.2f} accuracy."
        ]
    if found["ratio"] >= STRONG or found["majority_share"] >= ONE_SIDED:
        out.append(
            f"Strongly imbalanced (as if {found['effective_classes']:.1f} equal classes): judge by f1_macro and each "
            f"class's recall, not by accuracy, and collect more rows of {found['smallest']!r} first."
        )
    return out


def _shortcut_sentence(facts: dict[str, Any], measures: list[str]) -> str:
    medians = sorted(facts["medians"].items(), key=lambda item: item[1])
    (low_name, low), (high_name, high) = medians[0], medians[-1]
    spreads = f"; median {facts['measure']} {low:,.0f} in {low_name!r}, {high:,.0f} in {high_name!r}" * (low != high)
    return (
        f"Sizes give classes away: {', '.join(measures)} alone answer {percent(facts['accuracy'])} of the validation "
        f"rows right, the largest class {percent(facts['majority'])}{spreads}. A model may learn that instead."
    )
