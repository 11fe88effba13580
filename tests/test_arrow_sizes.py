"""Arrow's own files: what becomes too large is told before it is read, and sound ones of any kind are let pass."""

import random
import struct

import pyarrow as pa
import pytest

from hfft import archives, arrow_sizes, declared_sizes
from hfft.errors import InputError

MOST, TOO_MUCH = 1 << 20, 1 << 40
WORDS = ["ham", "spam", "eggs"]
NUMBERED = pa.array(WORDS * 300).dictionary_encode()
SOUND = {
    "texts": pa.table({"text": [f"row {n}" for n in range(500)], "label": [n % 3 for n in range(500)]}),
    "numbers": pa.table({"a": pa.array(range(500), pa.float32()), "b": pa.array([None] * 500, pa.null())}),
    "lists": pa.table({"tokens": [[1, 2, 3]] * 400, "pair": pa.array([[1.0, 2.0]] * 400, pa.list_(pa.float32(), 2))}),
    "numbered": pa.table({"label": NUMBERED}),
    "within": pa.table({"s": pa.StructArray.from_arrays([NUMBERED], ["dictionary<inner"])}),
    "lists of numbered": pa.table({"tags": pa.ListArray.from_arrays(list(range(0, 901, 3)), NUMBERED)}),
    "views": pa.table({"text": pa.array(WORDS * 100, pa.string_view())}),
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
def test_sound_files_are_counted(kind, packed, stream, tmp_path):
    path, table = write(tmp_path / "rows.arrow", SOUND[kind], packed, stream), SOUND[kind]
    assert arrow_sizes._could_be(path)
    (becomes,) = arrow_sizes.become(path, MOST).values()
    letters = {"numbered": 3300, "within": 3300, "lists of numbered": 3300, "views": 1100}  # as often as they are named
    assert letters.get(kind, table.nbytes // 2) <= becomes <= 3 * table.nbytes + 4_000


@pytest.mark.parametrize("kind", ["numbered", "within"])
def test_sound_files_are_let_pass(kind, tmp_path):
    declared_sizes.look([str(write(tmp_path / "rows.arrow", SOUND[kind], "zstd"))])


LONG = pa.array(["a" * 100_000, "b"])
OFTEN = pa.array([0] * 2_000, pa.int32())
NAMED = pa.DictionaryArray.from_arrays(OFTEN, LONG)
FIXED = pa.DictionaryArray.from_arrays(OFTEN, pa.array([b"a" * 100_000], pa.binary(100_000)))
# Fifty views of one text: its length, its first letters, the buffer it is in and where.
VIEWS = pa.py_buffer(struct.pack("<i4sii", 100_000, b"aaaa", 0, 0) * 50)
SHOWN = pa.Array.from_buffers(pa.string_view(), 50, [None, VIEWS, pa.py_buffer(b"a" * 100_000)])
BOMBS = {
    "packed": pa.table({"text": ["a" * 3_000_000] * 4, "label": [*WORDS, "ham"]}),
    "named": pa.table({"text": NAMED}),
    "fixed": pa.table({"text": FIXED}),
    "within": pa.table({"s": pa.StructArray.from_arrays([NAMED], ["inner"])}),
    "lists": pa.table({"s": pa.ListArray.from_arrays(list(range(0, 2001, 2)), NAMED)}),
    "views": pa.table({"text": SHOWN}),
}


@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
@pytest.mark.parametrize("kind", BOMBS)
def test_what_becomes_too_large_is_counted(kind, stream, tmp_path):
    path = write(tmp_path / "rows.arrow", BOMBS[kind], "zstd", stream, legacy=stream)
    assert arrow_sizes._could_be(path) and arrow_sizes.become(path, MOST)["becomes"] > MOST


def disguised(data):
    """An Arrow file that begins as none, a stream that ends as Parquet, one that breaks off after its first batch."""
    yield "rows.arrow", b"XXXX" + data[False][4:]
    yield "rows.arrow", data[True] + archives.PARQUET
    yield "rows.arrow", data[True][: -len(data[True]) // 4]


def test_what_becomes_too_large_is_told_however_it_is_disguised(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FLOOR", MOST)
    table = pa.table({"text": ["a" * 30_000] * 400})
    data = {stream: write(tmp_path / "rows.arrow", table, "zstd", stream).read_bytes() for stream in (False, True)}
    for number, (name, changed) in enumerate([("plain.arrow", data[False]), *disguised(data)]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / name).write_bytes(changed)
        with pytest.raises(InputError, match=r"arrow: [\d,]+ bytes that become more than [\d,]+ \(|is damaged"):
            declared_sizes.look([str(tmp_path / str(number))])


def test_a_process_of_its_own_has_no_more_memory_than_that(tmp_path, monkeypatch):
    path = write(tmp_path / "rows.arrow", pa.table({"text": ["a" * 30_000_000] * 12}), "zstd")  # one batch of 360 MB
    monkeypatch.setattr(archives, "FLOOR", 1 << 26)
    with pytest.raises(InputError, match="become more than 67,108,865 "):  # it was refused the memory for it
        arrow_sizes.check(path, "rows.arrow")


def test_rows_of_nothing_count(tmp_path):
    path = write(tmp_path / "rows.arrow", SOUND["numbers"].select(["b"]).slice(0, 100))
    many = path.read_bytes().replace(struct.pack("<q", 100), struct.pack("<q", 1 << 40))
    path.write_bytes(many)
    assert arrow_sizes.become(path, MOST)["becomes"] > MOST


def test_whatever_pyarrow_reads_is_counted_and_what_it_does_not_is_told(tmp_path):
    path, draw = tmp_path / "x", random.Random(0)
    seeds = [write(tmp_path / "w", SOUND[kind], "zstd", True).read_bytes() for kind in ("numbered", "texts", "inner")]
    ends = {"read": 0, "not": 0}
    for number in range(450):
        data = bytearray(seeds[number % 3])
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        told = arrow_sizes.become(path, TOO_MUCH)
        try:
            with pa.ipc.open_stream(path) as stream:
                read = [batch for batch in stream if batch.validate(full=True) is None]
        except (pa.ArrowException, OSError, ValueError, KeyError):
            ends["not"] += 1
            assert told.get("becomes", 0) in (0, TOO_MUCH + 1), "told, or nothing of it is read, or it wants too much"
            continue
        ends["read"] += 1
        assert told["becomes"] >= sum(batch.num_rows for batch in read)
    assert min(ends.values()) > 20


def test_other_files_are_no_arrow(tmp_path):
    for text in (b"", b"a", b"text,label\nx,y\n" * 99, b'{"text": 1}\n' * 99, bytes(5000), "té\n".encode() * 99):
        (tmp_path / "x").write_bytes(text)
        assert not arrow_sizes._could_be(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"\xff" * 5000)  # begins as a stream does
    arrow_sizes.check(tmp_path / "x", "x")
