"""Parquet files that say little and become much, and sound ones, which are let pass without being read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft import archives, declared_sizes, parquet_pages, parquet_sizes
from hfft.errors import InputError
from hfft.parquet_pages import DATA, DATA_2

LONG = "x" * 10_000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of kilobytes, so that no test has to make gigabytes."""
    monkeypatch.setattr(archives, "FLOOR", 100_000)
    monkeypatch.setattr(archives, "RATIO", 5)


def written(path: Path, column: pa.Array, **options: Any) -> Path:
    pq.write_table(pa.table({"c": column}), path, **{"compression": "zstd"} | options)
    return path


def varint(value: int, length: int = 0) -> bytes:
    """As thrift writes a whole number from 0, padded to a length."""
    value, out = value * 2, []
    while value or len(out) < length or not out:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out[:-1], out[-1] & 127])


def forged(path: Path, name: str, small: int, place: int = 0) -> Path:
    """The same file with a small number in the place of what its footer says, which is as long as before.

    place: which of the equal numbers of the footer it is.
    """
    data = path.read_bytes()
    begin = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    true = varint(getattr(column, name))
    parts = data[begin:].split(true)
    before, after = true.join(parts[: place + 1]), true.join(parts[place + 1 :])
    path.write_bytes(data[:begin] + before + varint(small, len(true)) + after)
    assert getattr(pq.ParquetFile(path).metadata.row_group(0).column(0), name) == small
    return path


def test_what_the_footer_adds_up_is_not_believed(tmp_path, small):
    path = written(tmp_path / "x.parquet", pa.array(["x" * 2_000_000] * 10), use_dictionary=False)
    forged(path, "total_uncompressed_size", 1_000)
    assert path.stat().st_size < 5_000
    assert pq.read_table(path).nbytes > 20_000_000, "pyarrow reads it without a word"
    with pytest.raises(InputError, match=r"become [\d,]{10}"):
        parquet_sizes.check(path, "x.parquet")


@pytest.mark.parametrize("kind", [pa.string(), pa.int64()])
def test_fewer_values_than_there_are(kind, tmp_path, small):
    """pyarrow reads whole pages, and goes by the rows."""
    path = written(tmp_path / "x.parquet", pa.array(["7"] * 15_000).cast(kind), use_dictionary=False)
    forged(path, "num_values", 1, place=1)
    assert pq.read_table(path).num_rows == 15_000
    with pytest.raises(InputError, match=r"become [\d,]+"):
        parquet_sizes.check(path, "x.parquet")


REPEATED: dict[str, tuple[Any, pa.DataType]] = {
    "map": ([[("k", LONG)]] * 300, pa.map_(pa.string(), pa.string())),
    "keys": ([[(LONG, 1)]] * 300, pa.map_(pa.string(), pa.int8())),
    "fixed": ([[LONG, LONG]] * 200, pa.list_(pa.string(), 2)),
    "list": ([[LONG] * 300], pa.list_(pa.string())),
    "large": ([[LONG] * 300], pa.large_list(pa.large_string())),
    "view": ([LONG] * 300, pa.string_view()),
    "deep": ([[{"a": [LONG], "b": 1}]] * 300, pa.list_(pa.struct({"a": pa.list_(pa.binary()), "b": pa.int8()}))),
    "bytes": ([LONG.encode()] * 300, pa.binary(10_000)),
    "numbers": ([[7] * 1000] * 1000, pa.list_(pa.int64())),
    "missing": ([None] * 1_000_000, pa.string()),
    "missing lists": ([None] * 1_000_000, pa.list_(pa.list_(pa.bool_()))),
    "padded": ([None] * 1_000, pa.list_(pa.int64(), 1_000)),
    "padded texts": ([None] * 1_000, pa.list_(pa.string(), 1_000)),
}


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_repeated_within_lists_and_maps_is_told(name, tmp_path, small):
    path = written(tmp_path / "x.parquet", pa.array(REPEATED[name][0], REPEATED[name][1]))
    assert path.stat().st_size < 25_000
    with pytest.raises(InputError, match=r"x\.parquet: [\d,]+ bytes that become (more than )?[\d,]+"):
        parquet_sizes.check(path, "x.parquet")


def test_lists_of_fixed_length_within_others(tmp_path, small):
    path = written(tmp_path / "x.parquet", pa.array([[None] * 1000], pa.list_(pa.list_(pa.int64(), 1000))))
    with pytest.raises(InputError, match=r"column \S+ alone could become 8,000,000"):
        parquet_sizes.check(path, "x.parquet")
    tame = pa.array([[[0.5, 1.5]] * 1000], pa.list_(pa.list_(pa.float64(), 2)))
    parquet_sizes.check(written(tmp_path / "tame.parquet", tame), "x.parquet")


@pytest.mark.parametrize("nested", [False, True])
def test_texts_that_go_on_where_others_end(nested, tmp_path, small, monkeypatch):
    """DELTA_BYTE_ARRAY: each text is what it shares with the one before it, and a rest."""
    monkeypatch.setattr(parquet_sizes, "BLOCK", 200_000)
    texts = pa.array([[LONG] * 300]) if nested else pa.array([LONG] * 300)
    options = {"use_dictionary": False, "column_encoding": {"c.list.element" if nested else "c": "DELTA_BYTE_ARRAY"}}
    path = written(tmp_path / "x.parquet", texts, **options)
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size < 20_000
    told = r"alone could become [\d,]+" if nested else r"become more than [\d,]+"
    with pytest.raises(InputError, match=told):
        parquet_sizes.check(path, "x.parquet")
    sound = pa.array([f"number {i} of many texts that begin alike" for i in range(1500)])
    options["column_encoding"] = {"c": "DELTA_BYTE_ARRAY"}
    parquet_sizes.check(written(tmp_path / "sound.parquet", sound, **options), "sound")


def test_a_file_of_rows_is_told_by_its_end(tmp_path, small):
    """pyarrow does not look at the first bytes; a zip may lie in the footer."""
    path = written(tmp_path / "x.parquet", pa.array([LONG] * 300))
    path.write_bytes(b"\x1f\x8b\x08\x00" + path.read_bytes()[4:])
    assert pq.read_table(path).num_rows == 300
    with pytest.raises(InputError, match="become more than"):
        declared_sizes.check(path, "x.parquet")


SOUND: dict[str, pa.Array] = {
    "texts": pa.array([f"text {i} of many" for i in range(3000)]),
    "nested": pa.array([[{"a": f"{i}", "b": [i, i]}] * (i % 3) for i in range(2000)]),
    "map": pa.array([[(f"key {i}", i)] for i in range(2000)], pa.map_(pa.string(), pa.int64())),
    "numbers": pa.array(np.random.default_rng(0).random(3000)),
    "vectors": pa.FixedSizeListArray.from_arrays(pa.array(np.random.default_rng(0).random(8000)), 8),
    "none": pa.array([], pa.string()),
    "nulls": pa.nulls(50),
}
WRITERS: list[dict[str, Any]] = [
    {"compression": "snappy"}, {"compression": "none"}, {"data_page_version": "2.0", "compression": "gzip"},
    {"use_dictionary": False, "compression": "lz4", "write_page_index": True, "data_page_size": 500},
    {"compression": "brotli", "dictionary_pagesize_limit": 300, "row_group_size": 700, "write_page_checksum": True},
]  # fmt: skip


@pytest.mark.parametrize("options", WRITERS)
@pytest.mark.parametrize("name", SOUND)
def test_sound_files_are_let_pass_by_their_headers_alone(name, options, tmp_path, small, monkeypatch):
    monkeypatch.setattr(archives, "FLOOR", 1_000_000_000)
    monkeypatch.setattr(parquet_sizes, "_count", lambda *_: pytest.fail("it was read"))
    path = written(tmp_path / "x.parquet", SOUND[name], **options)
    parquet_sizes.check(path, "x.parquet")
    meta = pq.ParquetFile(path).metadata
    with path.open("rb") as opened:
        for group in range(meta.num_row_groups):
            for place in range(meta.num_columns):
                column = meta.row_group(group).column(place)
                pages = list(parquet_pages.of(opened, column))
                held = sum(page.size for page in pages)
                assert sum(page.values for page in pages if page.kind in (DATA, DATA_2)) == column.num_values
                assert not pages or abs(column.total_uncompressed_size - held) < 200 * len(pages)


def test_a_page_that_is_none(tmp_path):
    path = written(tmp_path / "x.parquet", pa.array(["one", "two"]))
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 8 + path.read_bytes()[12:])
    with pytest.raises(InputError, match=r"x\.parquet is damaged: no page of column 'c' begins at byte 4"):
        parquet_sizes.check(path, "x.parquet")


class Column:
    data_page_offset, dictionary_page_offset, has_dictionary_page = 0, None, False
    total_compressed_size, num_values, path_in_schema = 10_000, 100, "c"


@given(st.binary(max_size=300))
def test_any_bytes_are_pages_or_none(data):
    try:
        for page in parquet_pages.of(io.BytesIO(data), Column):
            assert page.size >= 0 and page.values >= 0
    except ValueError as error:
        assert "no page of column 'c' begins" in str(error)


def test_headers_are_read_as_thrift_reads_them():
    """A number that comes with another type is passed over, and of a long one the lower 32 bits count."""
    head = b"\x15\x00" + b"\x15" + varint(1 << 32 | 70) + b"\x15\x0a" + b"\x06\x06" + varint(9) + b"\x00"
    fields = parquet_pages._Compact(head).struct()
    assert fields[1, 5] == 0 and fields[2, 5] == 70 and fields[3, 5] == 5
    with pytest.raises(ValueError, match="too deep"):
        parquet_pages._Compact(b"\x1c" * 200).struct()
    with pytest.raises(ValueError, match="no such type"):
        parquet_pages._Compact(b"\x19\xf0" + b"\xff" * 8 + b"\x0f").struct()


def test_lists_of_repeated_texts_in_many_row_groups_are_counted(tmp_path, small):
    """As any large table of tags has them: pyarrow has no way to join the numbers of two groups."""
    lists = pa.array([["drama", "film noir"], [], ["drama"]] * 3000)
    path = written(tmp_path / "tags.parquet", lists, row_group_size=1000)
    counted = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "FLOOR", 200_000)
        spelt = parquet_sizes._spelt
        patch.setattr(parquet_sizes, "_spelt", lambda column: counted.append(spelt(column)) or counted[-1])
        parquet_sizes.check(path, "tags.parquet")
    assert len(counted) > 9 and counted[0] in (0, *range(3000, 30_000))
    bomb = written(tmp_path / "bomb.parquet", pa.array([[LONG] * 3] * 900), row_group_size=100)
    with pytest.raises(InputError, match=r"bomb\.parquet"):
        parquet_sizes.check(bomb, "bomb.parquet")
