"""Arrow's own files: what becomes too large is told before it is read, and sound ones of any kind are let pass."""

import random
import struct

import pyarrow as pa
import pytest

from hfft import archives, arrow_sizes, declared_sizes
from hfft.errors import InputError

WORDS = ["ham", "spam", "eggs"]
SOUND = {
    "texts": pa.table({"text": [f"row {n}" for n in range(500)], "label": [n % 3 for n in range(500)]}),
    "numbers": pa.table({"a": pa.array(range(500), pa.float32()), "b": pa.array([None] * 500, pa.null())}),
    "lists": pa.table({"tokens": [[1, 2, 3]] * 400, "pair": pa.array([[1.0, 2.0]] * 400, pa.list_(pa.float32(), 2))}),
    "numbered": pa.table({"label": pa.array(WORDS * 300).dictionary_encode()}),
    "inner": pa.table({"s": [{"a": n, "b": "x" * (n % 9)} for n in range(200)]}),
    "none": pa.table({"text": pa.array([], pa.string())}),
}


def write(path, table, packed=None, stream=False, legacy=False):
    options = pa.ipc.IpcWriteOptions(compression=packed, use_legacy_format=legacy)
    made = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, made(file, table.schema, options=options) as writer:
        writer.write_table(table, 100)
    return path


@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
@pytest.mark.parametrize("packed", [None, "lz4", "zstd"])
@pytest.mark.parametrize("kind", SOUND)
def test_sound_files_are_let_pass_and_counted(kind, packed, stream, tmp_path, monkeypatch):
    path = write(tmp_path / "rows.arrow", SOUND[kind], packed, stream)
    arrow_sizes.check(path, "rows.arrow")
    told = []
    monkeypatch.setattr(archives, "refuse_bomb", lambda shown, size, becomes, more=False: told.append(becomes))
    arrow_sizes.check(path, "rows.arrow")
    assert (told[-1] if told else 0) >= SOUND[kind].nbytes, "at least what pyarrow says that it takes"
    assert not told or told[-1] <= 3 * SOUND[kind].nbytes + 20_000


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
@pytest.mark.parametrize("packed", ["lz4", "zstd"])
def test_columns_that_become_too_large_are_told(packed, stream, legacy, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FLOOR", 1 << 20)
    table = pa.table({"text": ["a" * 3_000_000] * 4, "label": [*WORDS, "ham"]})
    path = write(tmp_path / "rows.arrow", table, packed, stream, legacy)
    for check in (lambda: declared_sizes.check(path, "rows.arrow"), lambda: declared_sizes.look([str(tmp_path)])):
        with pytest.raises(InputError, match=r"rows.arrow: [\d,]+ bytes that become more than 12,000,\d+ \("):
            check()


@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
def test_a_long_value_that_is_named_often_is_told(stream, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FLOOR", 1 << 20)
    numbers = pa.array([0] * 2_000, pa.int32())
    long = pa.table({"text": pa.DictionaryArray.from_arrays(numbers, pa.array(["a" * 100_000, "b"]))})
    with pytest.raises(InputError, match="that become 200,1"):
        arrow_sizes.check(write(tmp_path / "long.arrow", long, stream=stream), "long.arrow")
    brief = pa.table({"text": pa.DictionaryArray.from_arrays(numbers, pa.array(["b", "a" * 100_000]))})
    arrow_sizes.check(write(tmp_path / "brief.arrow", brief, stream=stream), "brief.arrow")
    within = pa.table({"s": pa.StructArray.from_arrays([long["text"].chunk(0)], ["inner"])})
    with pytest.raises(InputError, match="values within others are told by number"):
        arrow_sizes.check(write(tmp_path / "within.arrow", within, stream=stream), "within.arrow")


def test_rows_of_nothing_count(tmp_path):
    path = write(tmp_path / "rows.arrow", SOUND["numbers"].select(["b"]).slice(0, 100))
    data = path.read_bytes()
    many = data.replace(struct.pack("<q", 100), struct.pack("<q", 1 << 40))
    assert many != data
    path.write_bytes(many)
    with pytest.raises(InputError, match="become more than"):
        arrow_sizes.check(path, "rows.arrow")


def test_what_is_no_arrow_or_damaged_is_let_pass_or_told_in_a_sentence(tmp_path):
    path, draw = tmp_path / "x", random.Random(0)
    whole = [write(tmp_path / "w", SOUND["numbered"], "zstd", stream).read_bytes() for stream in (False, True)]
    for number in range(1500):
        data = bytearray(whole[number % 2])
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.choice([len(data), draw.randrange(len(data))])])
        try:
            arrow_sizes.check(path, "x")
        except InputError as error:
            assert str(error).startswith("x: ")
    for text in (b"", b"a", b"text,label\nx,y\n" * 99, b'{"text": 1}\n' * 99, bytes(5000), b"\xff" * 5000):
        path.write_bytes(text)
        arrow_sizes.check(path, "x")
