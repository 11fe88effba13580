"""What stages hand on, to disk and back, and never half written."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft.errors import InputError
from hfft.records import Predictions, Score, fingerprint, read_json, write_json, write_whole
from hfft.run_folder import RunFolder

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=2, unique=True)


def predictions(names: tuple[str, ...], n: int = 7) -> Predictions:
    rng = np.random.default_rng(len(names))
    scores = rng.dirichlet(np.ones(len(names)), n).astype(np.float32)
    ids = np.array([f"row{i}" for i in range(n)], dtype=object)
    return Predictions(ids, rng.integers(0, len(names), n), scores.argmax(1), scores, names)


def equal(one: Predictions, other: Predictions) -> bool:
    same = [
        np.array_equal(getattr(one, field), getattr(other, field)) for field in ("ids", "labels", "predicted", "scores")
    ]
    return all(same) and one.names == other.names


@settings(max_examples=40)
@given(NAMES.map(tuple), st.integers(0, 9))
def test_predictions_come_back_whatever_the_classes_are_called(tmp_path_factory, names, n):
    path = tmp_path_factory.mktemp("p") / "run" / "predictions" / "test.parquet"
    made = predictions(names, n)
    made.write(path)
    assert equal(Predictions.read(path), made)


@pytest.mark.parametrize(
    "names", [("score_a", "a", "score_"), ("id", "label", "prediction"), ("", " "), ("10", "9", "1")]
)
def test_names_that_look_like_columns(names, tmp_path):
    made = predictions(names)
    made.write(tmp_path / "p.parquet")
    assert equal(Predictions.read(tmp_path / "p.parquet"), made)


def test_the_file_reads_without_hfft(tmp_path):
    predictions(("no", "yes")).write(tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names == ["id", "label", "prediction", "score_no", "score_yes"]
    assert set(table["label"].to_pylist()) <= {"no", "yes"}
    assert [str(table.schema.field(name).type) for name in ("id", "score_no")] == ["string", "float"]


def test_a_missing_file_says_what_to_type(tmp_path):
    with pytest.raises(InputError, match=r"does not exist: run `hfft eval .*first` first"):
        Predictions.read(RunFolder(tmp_path / "first").predictions("test"))


def test_scores_of_other_splits_stay(tmp_path):
    run = RunFolder(tmp_path)
    first, second = Score(0.5, 0.4, 0.6, 10, "Wilson"), Score(None, None, None, 0, "undefined: no rows")
    assert run.read_scores() == {}
    run.write_scores("validation", {"accuracy": first})
    run.write_scores("test", {"accuracy": first, "f1[a]": second})
    run.write_scores("test", {"accuracy": second})
    assert run.read_scores() == {"validation": {"accuracy": first}, "test": {"accuracy": second}}


def test_run_folders(tmp_path):
    with pytest.raises(InputError, match=r"is not a run folder \(no recipe\.yaml\)"):
        RunFolder.existing(tmp_path)
    (tmp_path / "recipe.yaml").touch()
    with pytest.raises(InputError, match=r"holds an unfinished run: finish it with `hfft run .* --resume`"):
        RunFolder.existing(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").touch()
    assert RunFolder.existing(str(tmp_path)) == RunFolder(tmp_path)


def test_readers_see_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "deep" / "x.json"
    write_json(path, {"old": 1})

    def half(target):
        target.write_text('{"new"')
        assert read_json(path) == {"old": 1}, "while it is being written, the old file stands"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, half)
    assert read_json(path) == {"old": 1}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"], "no half file is left behind"
    write_json(path, {"new": "é"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"new": "é"}


def test_json_that_cannot_be_read(tmp_path):
    (tmp_path / "x.json").write_text("{")
    for name in ("x.json", "none.json"):
        with pytest.raises(InputError, match=rf"{name} is not readable: "):
            read_json(tmp_path / name)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5), st.randoms(use_true_random=False))
def test_a_fingerprint_knows_rows_not_their_order(ids, random):
    before = fingerprint(ids)
    random.shuffle(ids)
    assert fingerprint(ids) == before and fingerprint([*ids, "one more"]) != before


def test_a_file_cut_short_or_without_a_column_is_told_as_what_mends_it(tmp_path):
    path = tmp_path / "run" / "predictions" / "test.parquet"
    predictions(("a", "b", "c")).write(path)
    table, whole = pq.read_table(path), path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"is damaged: run `hfft eval .*run` again"):
        Predictions.read(path)
    for column in ("label", "prediction", "id", "score_a"):
        pq.write_table(table.drop_columns([column]), path)
        with pytest.raises(InputError, match="is damaged"):
            Predictions.read(path)
