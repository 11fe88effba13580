"""`data.train_share`: nested, stratified, blind to the order of rows, groups whole, and nothing but train touched."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from dataclasses import replace

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import gathering, labelsets, recipe, rooms, sharing
from hfft.errors import InputError
from hfft.loading import Table
from hfft.recipe import Split
from hfft.records import read_json
from hfft.splitting import split
from tests.command import hfft
from tests.test_splitting import data, placed, plain, table

CASES = settings(max_examples=int(os.environ.get("HFFT_CASES", "100")))
CLASSES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=2)
SHARES = st.floats(0.01, 0.99)
SEEDS = st.integers(0, 2**32 - 1)
ROWS = st.lists(st.tuples(st.sampled_from("pqrstuvwxyz"), st.sampled_from("abc")), min_size=8, max_size=80)
SETS = st.lists(st.frozensets(st.sampled_from("abcde"), max_size=4), min_size=10, max_size=120)


def chosen(units, labels, share, seed, several=False, places=None) -> set[int] | None:
    """Places in train that stay, None where the share is refused."""
    try:
        out, _ = sharing.kept(units, labels, places or ["train"] * len(units), share, seed, several)
    except InputError as error:
        assert "too few for" in str(error)
        return None
    return {i for i, place in enumerate(out) if place == "train"}


@CASES
@given(CLASSES, SHARES, SHARES, SEEDS)
def test_single_rows_are_exact_in_size_within_a_row_in_class_and_nested(counts, one, other, seed):
    rows = plain(counts)
    units, labels = [key for key, *_ in rows], [label for _, label, _ in rows]
    low, high = (chosen(units, labels, share, seed) for share in sorted((one, other)))
    small, total = max(one, other), len(rows)
    if high is None:
        assert low is None and small * total < len(counts) + 0.5
        return
    assert abs(len(high) - small * total) <= 0.5 + 1e-9
    got = Counter(labels[i] for i in high)
    raised = sum(n * small < 1 for n in counts.values())  # which take their one row from the others
    for name, n in counts.items():
        rounded = 0.5 + n / total * (len(counts) / 2 + 1)  # its own half row, and its part of those of all classes
        assert got[name] >= 1 and abs(got[name] - n * small) <= rounded + raised
    assert low is None or low <= high
    turned = chosen(units[::-1], labels[::-1], small, seed)
    assert turned == {total - 1 - i for i in high}, "the order of the rows does not count"


@CASES
@given(ROWS, SHARES, SHARES, SEEDS)
def test_units_are_whole_nested_and_have_every_class(rows, one, other, seed):
    units, labels = ([row[side] for row in rows] for side in (0, 1))
    low, high = (chosen(units, labels, share, seed) for share in sorted((one, other)))
    if high is None:
        assert low is None
        return
    assert low is None or low <= high
    assert {labels[i] for i in high} == set(labels)
    inside = {units[i] for i in high}
    assert high == {i for i, unit in enumerate(units) if unit in inside}
    assert abs(len(high) - max(one, other) * len(rows)) <= max(Counter(units).values())


@CASES
@given(SETS, SHARES, SHARES, SEEDS)
def test_several_classes_a_row(sets, one, other, seed):
    units, labels = [f"k{i}" for i in range(len(sets))], [labelsets.text(given) for given in sets]
    low, high = (chosen(units, labels, share, seed, True) for share in sorted((one, other)))
    if high is None:
        assert low is None
        return
    assert low is None or low <= high
    assert abs(len(high) - max(one, other) * len(sets)) <= 0.5 + 1e-9
    assert set.union(set(), *(sets[i] for i in high)) == set.union(set(), *sets)


def test_several_classes_a_row_are_as_near_their_shares_as_chance_is_not():
    draw = np.random.default_rng(5)
    rates = np.array([0.5, 0.2, 0.08, 0.02, 0.3])
    sets = draw.random((2000, 5)) < rates
    sets[:, 4] |= sets[:, 1]  # classes that go together
    labels = [labelsets.text(np.array(list("abcde"))[row]) for row in sets]
    units = [f"k{i}" for i in range(2000)]
    for share in (0.1, 0.25, 0.5, 0.77):
        stay = sorted(chosen(units, labels, share, 3, True))
        assert np.abs(sets[stay].sum(axis=0) - share * sets.sum(axis=0)).max() <= 3, share
        assert len(stay) == round(share * 2000)


def test_groups_of_mixed_classes_are_near_their_shares():
    draw = np.random.default_rng(6)
    units = [f"g{i}" for i in draw.integers(0, 300, 3000)]
    labels = draw.choice(list("abcd"), 3000, p=[0.6, 0.25, 0.1, 0.05]).tolist()
    for share in (0.1, 0.25, 0.5):
        got = Counter(labels[i] for i in chosen(units, labels, share, 3))
        for name, n in Counter(labels).items():
            assert abs(got[name] - share * n) <= 15, "about the rows of one group, of 10"


def test_what_is_not_train_is_left_alone_and_a_whole_share_is_nothing():
    places = ["train", "test", "", "validation", "train", "held_out"] * 20
    labels, units = list("ab") * 60, [f"k{i}" for i in range(120)]
    out, (note,) = sharing.kept(units, labels, places, 0.5, 1, False)
    assert [(a, b) for a, b in zip(places, out, strict=True) if a != b] == [("train", "")] * 20
    assert note == "data.train_share: 20 of 40 training rows are used (0.5), class proportions kept"
    assert sharing.kept(units, labels, places, 1.0, 1, False) == (places, [])


def test_a_share_that_cannot_hold_every_class_says_which_can():
    units, labels = [f"k{i}" for i in range(1000)], [f"c{i % 77}" for i in range(1000)]
    told = "data.train_share: 0.05 of 1,000 training rows is 50, too few for 77 classes; type data.train_share=0.077"
    with pytest.raises(InputError, match=told):
        sharing.kept(units, labels, ["train"] * 1000, 0.05, 1, False)
    out, _ = sharing.kept(units, labels, ["train"] * 1000, 0.077, 1, False)
    assert {label for label, place in zip(labels, out, strict=True) if place} == set(labels)
    assert out.count("train") == 77


@pytest.mark.parametrize("more", [{}, {"limit": 90}, {"shots": 12}, {"split": Split(folds=3, fold=2)}])
def test_the_other_splits_are_those_without_it(more):
    rows = [*plain({"a": 120, "b": 50, "c": 30}), ("a1", "a", ""), ("a1", "a", ""), ("b1", "b", "")]
    whole, parts = placed(split(table(rows), data(**more), 7)), {}
    for share in (0.3, 0.6):
        made = split(table(rows), data(train_share=share, **more), 7)
        parts[share] = placed(made)
        of = list(whole.values()).count("train")
        assert parts[share].items() <= whole.items()
        gone = {whole[row] for row in whole.keys() - parts[share].keys()}
        assert gone == {"train"}
        used = list(parts[share].values()).count("train")
        assert abs(used - share * of) <= 2 and made.report.method["train_share"] == share
        assert any(f"data.train_share: {used} of {of} training rows" in told for told in made.report.findings)
        assert placed(split(table(rows[::-1]), data(train_share=share, **more), 7)) == parts[share]
    assert parts[0.3].items() <= parts[0.6].items()
    assert "train_share" not in split(table(rows), data(**more), 7).report.method


def test_groups_of_the_split_stay_whole():
    rows = table(plain({"a": 200, "b": 100})).rows
    rows = rows.add_column("group", [f"g{i // 5}" for i in range(300)])
    spec = Split(by="group")
    whole = split(Table(rows, ()), data(split=spec), 3).parts["train"]
    some = split(Table(rows, ()), data(split=spec, train_share=0.25), 3).parts["train"]
    sizes: dict[str, int] = defaultdict(int)
    for group in some["group"][:]:
        sizes[group] += 1
    assert set(sizes.values()) == {5} and abs(len(some) - len(whole) / 4) <= 5
    assert isinstance(some, datasets.Dataset)


def test_seed_of_the_split_decides():
    rows = table(plain({"a": 120, "b": 50}))
    first, other = (set(split(rows, data(train_share=0.5), seed).parts["train"]["id"][:]) for seed in (1, 2))
    assert first != other


@pytest.mark.parametrize("share", ["0", "1.01", "-0.5", "nan", "a quarter"])
def test_shares_out_of_range(share, capsys):
    assert hfft("run", "tiny_textcls", f"data.train_share={share}") == 2
    assert "data.train_share: " in capsys.readouterr().err


def test_a_stream_is_refused_before_it_is_read(capsys, monkeypatch):
    monkeypatch.setattr(gathering, "read", lambda *_: pytest.fail("was read"))
    assert hfft("run", "tiny_textcls", "data.streaming=true", "data.split.by=hash", "data.train_share=0.5") == 2
    assert "data.train_share needs all rows at once; type data.streaming=false" in capsys.readouterr().err


def test_a_run_trains_on_its_share_and_says_so(tmp_path, capsys):
    words = ("data.limit=150", "train.max_steps=2", "probes.names=[]", "data.train_share=0.5")
    assert hfft("run", "tiny_textcls", *words, "--output-dir", str(tmp_path / "half")) == 0
    out = " ".join(capsys.readouterr().out.split())
    saved = pq.read_table(tmp_path / "half" / "split.parquet")["split"].to_pylist().count("train")
    assert f"data.train_share: {saved} of " in out and f"train {saved}, validation" in out
    report = read_json(tmp_path / "half" / "split.json")
    assert report["method"]["train_share"] == 0.5 and sum(report["counts"]["train"].values()) == saved
    assert "0.5 of the training rows" in (tmp_path / "half" / "report.html").read_text()
    assert hfft("eval", str(tmp_path / "half"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["n"] > 0


def test_runs_that_share_the_data_share_it_at_every_share(monkeypatch):
    wanted = recipe.load("tiny_textcls", ("data.limit=150",))
    modality, read = rooms.find("modalities", wanted.task), []
    monkeypatch.setattr(gathering.loading, "read", lambda *given: read.append(1) or "table")
    with gathering.shared():
        for share in (1.0, 0.5):
            gathering.table(replace(wanted, data=replace(wanted.data, train_share=share)), modality)
    assert len(read) == 1
