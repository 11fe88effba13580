"""Splits as properties: whatever the table, rows are dealt once, by content, and equal inputs stay together."""

from collections import Counter, defaultdict
from types import SimpleNamespace

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hfft import splitting
from hfft.dealing import at_random as deal
from hfft.errors import InputError
from hfft.limiting import quotas
from hfft.loading import Table
from hfft.modalities import text_classification
from hfft.recipe import Data, Split
from hfft.records import SPLITS, fingerprint, read_json
from hfft.run_folder import RunFolder
from hfft.splitting import reopen, split, write

Row = tuple[str, str, str]  # key, label, place ("" unless predefined)


def table(rows: list[Row], declared: tuple[str, ...] = ()) -> Table:
    """Ids as loading makes them: equal (key, label) pairs are numbered."""
    count: Counter[tuple[str, str]] = Counter()
    columns: dict[str, list[str]] = {"id": [], "key": [], "label": [], "split": []}
    for key, label, place in rows:
        number = count[key, label]
        count[key, label] += 1
        columns["id"].append(f"{key}.{number}-{label}")
        for name, value in (("key", key), ("label", label), ("split", place)):
            columns[name].append(value)
    if not any(columns["split"]):
        del columns["split"]
    return Table(datasets.Dataset.from_dict(columns), declared)


def data(**options) -> Data:
    spec = options.pop("split", Split())
    return Data("csv", "d.csv", split=spec, **options)


def plain(counts: dict[str, int]) -> list[Row]:
    """So many distinct rows per class."""
    return [(f"{label}{i}", label, "") for label, n in counts.items() for i in range(n)]


def placed(made) -> dict[str, str]:
    """id → split; every id once."""
    out = [(i, name) for name, part in made.parts.items() for i in part["id"][:]]
    assert len(out) == len(dict(out)), "a row is in two splits"
    return dict(out)


def refused(*arguments) -> str:
    with pytest.raises(InputError) as caught:
        split(*arguments)
    return str(caught.value)


SHARES = st.tuples(*[st.integers(1, 12)] * 3).map(
    lambda t: {s: part / sum(t) for s, part in zip(SPLITS, t, strict=True)}
)
SEEDS = st.integers(0, 2**32 - 1)
CLASSES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=2)
ROWS = st.lists(st.tuples(st.integers(0, 25).map(str), st.sampled_from("abc"), st.just("")), min_size=2, max_size=50)


@given(CLASSES, SHARES, SEEDS, st.booleans())
def test_deal_gives_every_key_one_split(counts, shares, seed, stratify):
    classes = {key: label for key, label, _ in plain(counts)}
    out, _ = deal(classes, shares, seed, stratify)
    assert out.keys() == classes.keys()
    assert set(out.values()) <= set(SPLITS)


@settings(max_examples=50)
@given(CLASSES, SHARES, SEEDS, st.booleans(), st.randoms(use_true_random=False))
def test_deal_is_deterministic_and_blind_to_order(counts, shares, seed, stratify, random):
    classes = {key: label for key, label, _ in plain(counts)}
    shuffled = list(classes.items())
    random.shuffle(shuffled)
    assert deal(classes, shares, seed, stratify) == deal(dict(shuffled), shares, seed, stratify)


@given(CLASSES, SHARES, SEEDS)
def test_every_class_is_in_every_split_when_it_has_enough_keys(counts, shares, seed):
    out, findings = deal({key: label for key, label, _ in plain(counts)}, shares, seed, True)
    met = defaultdict(set)
    for key, place in out.items():
        met[key[0]].add(place)
    for label, n in counts.items():
        assert met[label] == (set(SPLITS) if n > 2 else {"train"})
    alone = sorted(f"{label} ({n})" for label, n in counts.items() if n <= 2)
    assert len(findings) == bool(alone)
    for name in alone:
        assert name in findings[0]


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(14, 200), min_size=2),
    st.sampled_from([(0.7, 0.15, 0.15), (0.6, 0.2, 0.2), (0.5, 0.25, 0.25)]),
    SEEDS,
)
def test_class_counts_are_close_to_ideal(counts, shares, seed):
    """When no class is rare: each count within one row of its share, per cut; there are two cuts."""
    wanted = dict(zip(SPLITS, shares, strict=True))
    out, findings = deal({key: label for key, label, _ in plain(counts)}, wanted, seed, True)
    assert not findings
    got = Counter((key[0], place) for key, place in out.items())
    for label, n in counts.items():
        for place, share in wanted.items():
            assert abs(got[label, place] - n * share) < (1.5 if place == "train" else 2)
    for place, share in wanted.items():
        assert abs(sum(got[label, place] for label in counts) - sum(counts.values()) * share) <= 1


def test_another_seed_is_another_split():
    classes = {key: label for key, label, _ in plain({"a": 40, "b": 40})}
    shares = dict(zip(SPLITS, (0.7, 0.15, 0.15), strict=True))
    assert len({tuple(sorted(deal(classes, shares, seed, True)[0].items())) for seed in range(5)}) == 5


def test_without_stratify_proportions_are_left_to_chance():
    classes = {key: label for key, label, _ in plain({"a": 50, "b": 50})}
    shares = dict(zip(SPLITS, (0.7, 0.15, 0.15), strict=True))
    seen = {stratify: set() for stratify in (True, False)}
    for stratify, counts in seen.items():
        for seed in range(8):
            out, _ = deal(classes, shares, seed, stratify)
            counts.add(sum(place == "test" and key[0] == "a" for key, place in out.items()))
    assert seen[True] <= {7, 8} and len(seen[False]) > 2


@settings(max_examples=60)
@given(ROWS, SEEDS, st.booleans(), st.randoms(use_true_random=False))
def test_split_is_disjoint_complete_by_content_and_keeps_equal_inputs_together(rows, seed, stratify, random):
    spec = data(split=Split(0.5, 0.25, 0.25, stratify=stratify))
    try:
        made = split(table(rows), spec, seed)
    except InputError:
        assume(False)
    where = placed(made)
    assert where.keys() == set(table(rows).rows["id"][:])
    by_key = defaultdict(set)
    for identity, place in where.items():
        by_key[identity.split(".")[0]].add(place)
    assert all(len(places) == 1 for places in by_key.values())
    random.shuffle(rows)
    again = split(table(rows), spec, seed)
    assert placed(again) == where and again.report == made.report and again.labels == made.labels
    for name in SPLITS:
        assert again.parts[name]["id"][:] == made.parts[name]["id"][:] == sorted(made.parts[name]["id"][:])


@settings(max_examples=60)
@given(ROWS, SEEDS, st.integers(10, 60), st.randoms(use_true_random=False))
def test_limit_keeps_proportions_to_within_one_row(rows, seed, limit, random):
    spec = data(split=Split(0.5, 0.25, 0.25), limit=limit)
    try:
        made = split(table(rows), spec, seed)
    except InputError:
        assume(False)
    where = placed(made)
    assert len(where) == min(limit, len(rows))
    kept, whole = Counter(i.rpartition("-")[2] for i in where), Counter(label for _, label, _ in rows)
    enough = {label: min(n, 3) for label, n in whole.items()}
    assert all(kept[label] >= n for label, n in enough.items())
    common = {label: n for label, n in whole.items() if n * len(where) >= enough[label] * len(rows)}
    if common == whole:
        assert all(abs(kept[label] - n * len(where) / len(rows)) < 1 for label, n in whole.items())
    note = f"data.limit: {limit:,} of {len(rows):,} rows are used, class proportions kept"
    assert any(finding.startswith(note) for finding in made.report.findings) == (limit < len(rows))
    if limit < len(rows):
        assert (note in made.report.findings) == (common == whole), "a class above its share is named"
    random.shuffle(rows)
    assert placed(split(table(rows), spec, seed)) == where


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(SPLITS), st.sampled_from("abcdefghijkl")), st.integers(1, 500), min_size=1
    ),
    st.integers(10, 600),
)
def test_quotas_are_whole_and_leave_no_class_without_rows(sizes, limit):
    assume(limit < sum(sizes.values()))
    sizes = dict(sorted(sizes.items()))
    try:
        found, _ = quotas(sizes, limit)
    except InputError as error:
        trained = sum(place == "train" for place, _ in sizes)
        assert trained > limit and f"type data.limit={trained} or more" in str(error)
        return
    assert sum(found.values()) == limit and found.keys() == sizes.keys()
    assert all(found[stratum] <= n for stratum, n in sizes.items())
    assert all(found[stratum] for stratum in sizes if stratum[0] == "train")
    floor = {stratum: min(n, 3 if stratum[0] == "train" else 1) for stratum, n in sizes.items()}
    if sum(floor.values()) <= limit:
        assert all(found[stratum] >= n for stratum, n in floor.items())
        above = {stratum: n for stratum, n in sizes.items() if found[stratum] > floor[stratum]}
        if above:  # these keep their proportions among each other: one share fits them all to within a row
            lowest, highest = ([(found[s] + one) / n for s, n in above.items()] for one in (-1, 1))
            assert max(lowest) < min(highest)


def test_a_limit_keeps_a_rare_class_that_can_be_split():
    made = split(table(plain({"a": 600, "b": 400, "rare": 3})), data(limit=100), 1)
    assert [made.report.counts[name]["rare"] for name in SPLITS] == [1, 1, 1]
    assert sum(made.report.size(name) for name in SPLITS) == 100
    note = "data.limit: 100 of 1,003 rows are used, class proportions kept but for small classes: rare"
    assert made.report.findings == [note]


def test_a_limit_prefers_distinct_inputs_of_a_rare_class():
    """Three copies of one input would all have to stay in train."""
    rows = [*plain({"a": 500, "b": 500}), *[("r0", "rare", "")] * 30, ("r1", "rare", ""), ("r2", "rare", "")]
    for seed in range(5):
        made = split(table(rows), data(limit=60), seed)
        assert [made.report.counts[name]["rare"] for name in SPLITS] == [1, 1, 1]


def test_shots_thin_train_alone_and_do_not_look_at_the_order_of_rows():
    rows = [*plain({"a": 60, "b": 40, "c": 20}), *[("c0", "c", "")] * 50]
    whole, few = split(table(rows), data(), 7), split(table(rows), data(shots=2), 7)
    assert dict(few.report.counts["train"]) == {"a": 2, "b": 2, "c": 2}
    assert len(set(few.parts["train"]["key"][:])) == 6, "copies of one input are no two shots"
    for name in ("validation", "test"):
        assert few.parts[name]["id"][:] == whole.parts[name]["id"][:]
    assert placed(split(table(rows[::-1]), data(shots=2), 7)) == placed(few)
    assert placed(split(table(rows), data(shots=2), 8)) != placed(few)
    total = whole.report.size("train")
    assert f"data.shots: 6 of {total} training rows are used, 2 of each class" in few.report.findings


def test_shots_name_the_classes_that_have_fewer():
    made = split(table(plain({"a": 60, "b": 9})), data(shots=20), 1)
    n = made.report.counts["train"]["b"]
    assert made.report.counts["train"]["a"] == 20 and n < 20
    assert any(f"20 of each class; fewer there are of 'b' ({n})" in found for found in made.report.findings)


def test_shots_need_one_class_a_row_in_memory():
    for other in ({"multi_label": True}, {"streaming": True}):
        with pytest.raises(ValueError, match=f"data.shots counts rows of one class.*data.{next(iter(other))}"):
            data(shots=2, **other)


def test_a_limit_names_the_classes_it_thins():
    many = {f"c{i}": 10 for i in range(8)}
    made = split(table(plain({"a": 100} | many)), data(limit=20), 1)
    assert set(made.labels) == {"a", *many}
    thinned = next(finding for finding in made.report.findings if finding.startswith("data.limit leaves fewer"))
    assert thinned.startswith("data.limit leaves fewer than 3 rows of c0 (1 of 10), c1 (1 of 10)")
    message = refused(table(plain({f"c{i}": 10 for i in range(11)})), data(limit=10), 1)
    assert message == "data.limit: 10 rows cannot hold 11 classes; type data.limit=11 or more"


def test_a_limit_on_predefined_splits_leaves_train_every_class():
    """A class that train has is never said to be missing from it."""
    sizes = {
        ("train", "a"): 500,
        ("train", "b"): 500,
        ("train", "c"): 2,
        ("validation", "a"): 40,
        ("validation", "b"): 40,
    }
    sizes |= {("test", "a"): 100, ("test", "b"): 100, ("test", "c"): 200}
    rows = [(f"{place}{label}{i}", label, place) for (place, label), n in sizes.items() for i in range(n)]
    rows += [(f"testc{i}", "c", "train") for i in range(100)]  # train loses these to test: they cannot count as kept
    spec = Split(by="predefined")
    for seed in range(5):
        made = split(table(rows), data(split=spec, limit=30), seed)
        assert made.report.counts["train"]["c"] == 2
        assert sum(made.report.size(name) for name in SPLITS) == 30
        assert "left out for that: 100 rows of train" in made.report.findings
    many = {("train", f"c{i}"): 10 for i in range(10)} | {
        ("test", "c0"): 10,
        ("validation", "c0"): 10,
        ("test", "c1"): 5,
    }
    rows = [(f"{place}{label}{i}", label, place) for (place, label), n in many.items() for i in range(n)]
    made = split(table(rows), data(split=spec, limit=12), 1)
    assert "data.limit leaves no row in test of c1 (5)" in made.report.findings
    assert len(made.labels) == 10


def test_repeated_test_inputs_are_no_independent_rows():
    rows = [(f"{place}{label}{i % 6}", label, place) for place in SPLITS for label in "ab" for i in range(12)]
    made = split(table(rows), data(split=Split(by="predefined")), 1)
    sentence = "test has 24 rows but only 12 distinct inputs: its intervals are too narrow"
    assert sentence in made.report.findings
    few = [*official(train=50, validation=20, test=50), ("testa0", "a", "test"), ("testa1", "a", "test")]
    made = split(table(few), data(split=Split(by="predefined")), 1)
    assert not any("distinct inputs" in finding for finding in made.report.findings), "98 % are distinct"


def test_limit_does_not_look_at_the_order_of_rows_that_differ_in_case_only():
    """ "Good" and "good" share a key, not an id."""
    columns = {"id": [f"id{i}" for i in range(40)], "key": [str(i // 4) for i in range(40)], "label": list("ab") * 20}
    rows = datasets.Dataset.from_dict(columns)
    spec = data(split=Split(0.5, 0.25, 0.25), limit=19)
    forward = split(Table(rows, ()), spec, 1)
    backward = split(Table(rows.select(range(39, -1, -1)), ()), spec, 1)
    assert placed(forward) == placed(backward)


def test_what_is_reported():
    rows = [*plain({"a": 40, "b": 40, "rare": 2}), ("a0", "a", ""), ("a1", "b", "")]
    made = split(Table(table(rows).rows, (), ("3 rows left out",)), data(), 7)
    assert made.report.findings == [
        "3 rows left out",
        "one class has too few distinct rows to be split, all in train and not measured: rare (2)",
        "2 of 84 rows repeat an earlier input; equal inputs stay in one split",
        "1 input occurs with more than one label",
        "no row of 'rare' in validation",
        "no row of 'rare' in test",
    ]
    assert made.labels == ("a", "b", "rare")
    for name, part in made.parts.items():
        assert made.report.size(name) == len(part)
        assert made.report.counts[name] == {label: Counter(part["label"][:])[label] for label in made.labels}
        assert made.report.fingerprints[name] == fingerprint(part["id"][:])
    method = made.report.method
    assert (method["by"], method["seed"], method["rows_read"], method["limit"]) == ("random", 7, 84, None)


def test_declared_order_is_kept():
    assert split(table(plain({"a": 20, "b": 20}), ("b", "c", "a")), data(), 1).labels == ("b", "a")


# --- predefined splits

PREDEFINED = st.lists(
    st.tuples(st.integers(0, 30).map(str), st.sampled_from("ab"), st.sampled_from(SPLITS)), min_size=4, max_size=60
)


@settings(max_examples=80)
@given(PREDEFINED, SEEDS)
def test_official_splits_stay_and_train_gives_way(rows, seed):
    try:
        made = split(table(rows), data(split=Split(by="predefined")), seed)
    except InputError:
        assume(False)
    where = placed(made)
    given_place = dict(zip(table(rows).rows["id"][:], (place for *_, place in rows), strict=True))
    if {"validation", "test"} <= {place for *_, place in rows}:
        assert all(given_place[identity] == place for identity, place in where.items()), "no row changes its split"
    test = {identity for identity, place in given_place.items() if place == "test"}
    if test:
        assert {identity for identity, place in where.items() if place == "test"} == test, "the official test is whole"
    by_key = defaultdict(set)
    for identity, place in where.items():
        by_key[identity.split(".")[0]].add(place)
    assert all(len(places) == 1 for places in by_key.values())
    gone = given_place.keys() - where.keys()
    held_back = {identity.split(".")[0] for identity, place in given_place.items() if place in ("validation", "test")}
    assert {identity.split(".")[0] for identity in gone} <= held_back, "only what would leak leaves"
    assert any("left out" in finding for finding in made.report.findings) == bool(gone)


def official(**sizes: int) -> list[Row]:
    return [(f"{place}{label}{i}", label, place) for place, n in sizes.items() for label in "ab" for i in range(n)]


def test_a_missing_validation_split_is_cut_from_train():
    made = split(table(official(train=100, test=10)), data(split=Split(by="predefined")), 1)
    sizes = {name: len(part) for name, part in made.parts.items()}
    assert sizes == {"train": 165, "validation": 35, "test": 20}  # 0.15 of 0.85
    assert "there is no validation split: cut from train (18%)" in made.report.findings
    assert all(identity.startswith("test") for identity in made.parts["test"]["id"][:])


def test_a_missing_test_split_is_cut_from_train():
    made = split(table(official(train=100, validation=10)), data(split=Split(by="predefined")), 1)
    assert {name: len(part) for name, part in made.parts.items()} == {"train": 165, "validation": 20, "test": 35}


def test_without_train_nothing_can_be_learnt():
    message = refused(table(official(test=10, validation=10)), data(split=Split(by="predefined")), 1)
    assert message == "data.split.by is predefined: expected a train split, got test, validation"


def test_a_class_that_train_has_not_shows_both_lists():
    rows = [*official(train=20, validation=5, test=5), ("new", "c", "test")]
    message = refused(table(rows), data(split=Split(by="predefined")), 1)
    assert message == (
        "the test split has classes that train has not: c. Train has a, b; test has a, b, c. "
        "To leave these rows out: data.labels: {'c': null}"
    )


def test_one_class_in_train():
    rows = [row for row in official(train=20, validation=5, test=5) if row[1:] != ("b", "train")]
    assert "the train split has one class only, 'a'" in refused(table(rows), data(split=Split(by="predefined")), 1)


def test_too_few_rows():
    message = refused(table(plain({"a": 2, "b": 2})), data(), 1)
    assert message == "d.csv: 4 rows are too few: the validation split would be empty"


# --- on disk


@pytest.fixture
def run(tmp_path):
    """A run folder with the splits of 80 rows."""
    folder = RunFolder(tmp_path / "run")
    write(split(table(plain({"a": 40, "b": 40})), data(), 3), folder)
    return folder


def test_what_is_written(run):
    made = split(table(plain({"a": 40, "b": 40})), data(), 3)
    saved = pq.read_table(run.root / "split.parquet")
    assert dict(zip(saved["id"].to_pylist(), saved["split"].to_pylist(), strict=True)) == placed(made)
    tree = read_json(run.split)
    assert set(tree) == {"method", "counts", "fingerprints", "findings", "leaks"}
    assert tree["counts"] == made.report.counts and tree["fingerprints"] == made.report.fingerprints
    assert sorted(path.name for path in run.root.iterdir()) == ["split.json", "split.parquet"]


@pytest.mark.parametrize("name", SPLITS)
def test_reopening_finds_the_rows_whatever_their_order(run, name):
    rows = plain({"a": 40, "b": 40})
    made = split(table(rows), data(), 3).parts[name]
    for order in (rows, rows[::-1]):
        assert reopen(table(order), run, name)["id"][:] == made["id"][:]


def test_rows_added_elsewhere_do_not_disturb(run):
    rows = [*plain({"a": 40, "b": 40}), ("new", "a", "")]
    assert len(reopen(table(rows), run, "test")) == 12


def test_reopening_detects_changed_and_missing_rows(run):
    rows = plain({"a": 40, "b": 40})
    key, label = reopen(table(rows), run, "test")["id"][0].split("-")[0].split(".")[0], "a"
    changed = [(key, "b", "") if row[0] == key else row for row in rows]
    edited = [(f"{key}!", label, "") if row[0] == key else row for row in rows]
    missing = [row for row in rows if row[0] != key]
    for others in (changed, edited, missing):
        with pytest.raises(InputError) as caught:
            reopen(table(others), run, "test")
        message = str(caught.value)
        assert message.startswith(
            "the test split is not the one this run was made with: 12 rows expected (fingerprint "
        )
        assert "11 of them found" in message and "train again on the data as it is now" in message
        reopen(table(others), run, "validation")


def test_a_split_file_that_was_edited_is_detected(run):
    saved = pq.read_table(run.root / "split.parquet")
    pq.write_table(saved.slice(0, len(saved) - 1), run.root / "split.parquet")
    with pytest.raises(InputError, match="the test split is not the one this run was made with"):
        reopen(table(plain({"a": 40, "b": 40})), run, "test")


# --- groups, times, hashes


def with_columns(rows: list[Row], **columns) -> Table:
    made = table(rows).rows
    for name, values in columns.items():
        made = made.add_column(name, values)
    return Table(made, ())


def test_groups_stay_in_one_split():
    rows = plain({"a": 60, "b": 60})
    groups = [f"g{i % 30}" for i in range(120)]
    made = split(with_columns(rows, group=groups), data(split=Split(by="group")), 1)
    met = defaultdict(set)
    for name, part in made.parts.items():
        for group in part["group"][:]:
            met[group].add(name)
    assert len(met) == 30 and all(len(where) == 1 for where in met.values())
    assert made.report.method["by"] == "group"


def test_a_group_column_without_a_group_split_is_refused():
    table_ = with_columns(plain({"a": 40, "b": 40}), group=[f"g{i % 9}" for i in range(80)])
    assert "data.split.by=group" in refused(table_, data(), 1)
    made = split(table_, data(on_leak="warn"), 1)
    assert any("groups of test have rows in train" in finding for finding in made.report.findings)


def test_hash_goes_by_group_where_there_is_one():
    rows = plain({"a": 200, "b": 200})
    spec = Split(by="hash")
    made = split(with_columns(rows, group=[f"g{i % 50}" for i in range(400)]), data(split=spec), 1)
    assert made.report.leaks["overlaps"][1]["groups"] == 0
    more = [*rows, *[(f"new{i}", "a", "") for i in range(100)]]
    before = placed(split(table(rows), data(split=spec), 1))
    after = placed(split(table(more), data(split=spec), 1))
    assert {i: after[i] for i in before} == before, "old rows stay where they were"


def test_time_splits_leave_the_gap_and_old_copies_out():
    rows = [*plain({"a": 50, "b": 50}), ("a0", "a", "")]
    times = [float(i) for i in [*range(0, 100, 2), *range(1, 100, 2)]] + [99.5]
    table_ = with_columns(rows, time=times, unit=["number"] * 101)
    made = split(table_, data(split=Split(by="time", gap=3.0)), 1)
    latest = {name: max(part["time"][:]) for name, part in made.parts.items()}
    earliest = {name: min(part["time"][:]) for name, part in made.parts.items()}
    assert earliest["validation"] - latest["train"] >= 3 and earliest["test"] - latest["validation"] >= 3
    assert made.report.leaks["left_out"] == {"train": 1, "validation": 0}, "a0 comes again at the end"
    assert "4 rows lie in the gap before validation or test and are left out" in made.report.findings


def test_dates_and_numbers_are_not_mixed():
    rows = plain({"a": 20, "b": 20})
    mixed = with_columns(rows, time=[float(i) for i in range(40)], unit=["number"] * 20 + ["seconds"] * 20)
    assert "some files hold dates and others numbers" in refused(mixed, data(split=Split(by="time")), 1)


# --- the leak guard on disk


def leaky(policy: str, **options):
    rows = [*official(train=30, validation=8, test=8), ("testa0", "b", "train"), ("testb1", "b", "train")]
    return split(table(rows), data(split=Split(by="predefined"), on_leak=policy, **options), 1)


def test_leaks_are_written_for_people_and_for_eval(tmp_path):
    dropped, kept = leaky("drop"), leaky("warn")
    assert [len(made.parts["train"]) for made in (dropped, kept)] == [60, 62]
    for name, made in (("dropped", dropped), ("kept", kept)):
        write(made, RunFolder(tmp_path / name))
        lines = (tmp_path / name / "leaks.csv").read_text(encoding="utf-8-sig").splitlines()
        assert len(lines) == 3 and lines[0].startswith("id,split,label,text,other_id,other_split")
        assert lines[1].startswith("testa0.0-a,test,,,testa0.0-b,train,b,") and lines[1].endswith("exact,1.0,True")
        saved = pq.read_table(tmp_path / name / "split.parquet").to_pylist()
        marked = {row["id"] for row in saved if row["leak"]}
        assert marked == ({"testa0.0-a", "testb1.0-b"} if name == "kept" else set())
    assert "2 rows of test have copies in train (2 exact), 1 of them with another label" in dropped.report.findings
    assert read_json(tmp_path / "kept" / "split.json")["leaks"]["overlaps"][1]["exact"] == 2


def test_rows_of_straddling_groups_are_scored_apart(tmp_path):
    table_ = with_columns(plain({"a": 40, "b": 40}), group=[f"g{i % 9}" for i in range(80)])
    write(split(table_, data(on_leak="warn"), 1), RunFolder(tmp_path / "run"))
    saved = pq.read_table(tmp_path / "run" / "split.parquet").to_pylist()
    assert {row["leak"] for row in saved if row["split"] == "test"} == {"group"}
    assert {row["leak"] for row in saved if row["split"] == "train"} == {None}


def test_a_copy_is_counted_once_and_only_of_rows_that_are_used():
    """Each of 20 test rows is in train twice, as it is and in capitals."""
    rows = official(train=60, validation=10, test=10)
    rows += [(f"test{label}{i}", label, "train") for label in "ab" for i in range(10) for _ in range(2)]
    spec = Split(by="predefined")
    whole = split(table(rows), data(split=spec), 1)
    assert "20 rows of test have copies in train (20 exact)" in whole.report.findings
    few = split(table(rows), data(split=spec, limit=30), 1)
    size = few.report.size("test")
    assert any(line.startswith(f"{size} rows of test have copies in train") for line in few.report.findings)
    assert {leak.id for leak in few.leaks} == set(few.parts["test"]["id"][:])


def test_a_leak_can_be_refused():
    with pytest.raises(InputError, match="2 rows of test have copies in train"):
        leaky("fail")


# --- look-alikes, with a real search


def spread(texts: dict[str, list[str]]) -> Table:
    """Predefined splits of texts that are all different, classes in turn."""
    rows = [(f"{place}{i}", "ab"[i % 2], place) for place, part in texts.items() for i in range(len(part))]
    made = table(rows).rows.add_column("text", [text for part in texts.values() for text in part])
    return Table(made, ())


def test_near_copies_leave_train_from_the_similarity_that_the_recipe_says():
    words = [f"parcel {i} of order {i * 7919} went to the wrong door in street {i * 31}" for i in range(60)]
    parts = {"train": words[:40], "validation": words[40:50], "test": words[50:]}
    parts["train"][0] = words[50] + " today"
    for copy_at, gone in ((None, 1), (0.99, 0)):
        made = split(
            spread(parts), data(split=Split(by="predefined"), copy_at=copy_at), 1, modality=text_classification
        )
        assert len(made.parts["train"]) == 40 - gone


def test_one_passage_with_many_questions_is_no_copy():
    passage = "The museum opened in 1911 in the old mint, moved twice, and shows coins of four empires to this day. "
    rows = [(f"k{i}", "ab"[i % 2], place) for i, place in enumerate(["train"] * 30 + ["validation"] * 8 + ["test"] * 8)]
    questions = [f"{word} {i} {word * 2}" for i, word in enumerate(f"q{n * 7919:x}uestion" for n in range(46))]
    made = table(rows).rows.add_column("text", [passage] * 46).add_column("text_pair", questions)
    made = split(Table(made, ()), data(split=Split(by="predefined")), 1, modality=text_classification)
    assert len(made.parts["train"]) == 30 and not made.leaks


def test_what_a_person_finds_a_row_by():
    assert splitting._excerpt({"text": "how", "text_pair": "why"}) == "how | why"
    assert splitting._excerpt({"text": "how", "text_pair": None}) == "how" == splitting._excerpt({"text": "how"})
    assert splitting._excerpt({"text": "x" * 300}) == "x" * 200
    assert splitting._excerpt({"image": {"path": "a/b.png", "bytes": None}}) == "a/b.png"
    assert splitting._excerpt({"image": {"path": None}}) == splitting._excerpt({"image": None}) == ""


def test_a_split_without_leaks_has_the_same_columns(run):
    schema = pq.read_schema(run.root / "split.parquet")
    assert [(name, str(kind)) for name, kind in zip(schema.names, schema.types, strict=True)] == [
        ("id", "string"), ("split", "string"), ("leak", "string"),
    ]  # fmt: skip


def test_neighbours_are_told_in_the_rows_of_the_table():
    """Rows of part -1 are not looked at; the first row that is looked at can be somebody's neighbour, too."""

    class Search:
        @staticmethod
        def near(rows, part, seed, least):
            assert rows["id"][:] == ["b", "c", "d"] and part.tolist() == [0, 2, 1] and (seed, least) == (7, 0.65)
            index = np.array([[-1, -1], [0, 2], [0, -1]])
            return SimpleNamespace(index=index, similarity=(index >= 0) * 0.9, note="looked")

    rows = datasets.Dataset.from_dict({"id": ["a", "b", "c", "d", "e"]})
    index, similarity, note = splitting._near(rows, Search, 7, 0.65, np.array([-1, 0, 2, 1, -1]))
    assert index.tolist() == [[-1, -1, -1], [-1, -1, -1], [1, 3, -1], [1, -1, -1], [-1, -1, -1]]
    assert similarity.tolist() == [[0, 0, 0], [0, 0, 0], [0.9, 0.9, 0], [0.9, 0, 0], [0, 0, 0]] and note == "looked"


def test_equal_inputs_with_several_labels_count_as_the_most_frequent():
    assert splitting._classes(["k", "k", "k", "m", "m"], ["b", "b", "a", "b", "a"]) == {"k": "b", "m": "a"}
    assert splitting._repeats(["k", "m"], ["a", "b"]) == []
    assert splitting._repeats(["k", "k", "m", "m", "n"], ["a", "b", "b", "a", "a"]) == [
        "2 of 5 rows repeat an earlier input; equal inputs stay in one split",
        "2 inputs occur with more than one label",
    ]
    assert splitting._repeats(["k"] * 2, ["a", "b"])[1] == "1 input occurs with more than one label"


def test_a_missing_share_is_told_for_both_splits():
    made = split(table(official(train=100)), data(split=Split(by="predefined")), 1)
    assert made.report.findings[:2] == [
        "there is no validation split: cut from train (15%)",
        "there is no test split: cut from train (15%)",
    ]


def test_times_that_are_dates_are_told_as_dates():
    day = 86_400.0
    table_ = with_columns(plain({"a": 20, "b": 20}), time=[i * day for i in range(40)], unit=["seconds"] * 40)
    made = split(table_, data(split=Split(by="time", gap="2 days")), 1)
    assert made.report.findings[0].startswith("times: train 1970-01-01 to ")
    assert any("rows lie in the gap" in finding for finding in made.report.findings)


def test_another_seed_is_another_group_split():
    table_ = with_columns(plain({"a": 60, "b": 60}), group=[f"g{i % 30}" for i in range(120)])
    made = [placed(split(table_, data(split=Split(by="group")), seed)) for seed in range(4)]
    assert len({tuple(sorted(each.items())) for each in made}) == 4
