"""Data that would fill memory or disk, lead out of its folder, or keep a regular expression busy for ever."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from hfft import (
    archives,
    declared_sizes,
    file_groups,
    input_rows,
    loading,
    outside,
    pictures,
    sources,
    text_lines,
    unusable,
)
from hfft.errors import InputError
from hfft.modalities import image_classification, text_classification
from hfft.recipe import Data
from tests.command import hfft

SOUND = "text,label\n" + "".join(f"row number {i},{('bad', 'good')[i % 2]}\n" for i in range(12))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of kilobytes, so that no test has to make gigabytes."""
    monkeypatch.setattr(archives, "FLOOR", 100_000)


def packed(kind: str, data: bytes, name: str = "rows.csv") -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, data)
    elif kind.startswith("tar"):
        with tarfile.open(fileobj=out, mode="w:gz" if kind == "tar.gz" else "w") as file:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    else:
        module = __import__({"gz": "gzip", "bz2": "bz2", "xz": "lzma"}[kind])
        out.write(module.compress(data))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip", "tar.gz"])
def test_a_bomb_is_told_before_it_is_opened(kind, tmp_path, small, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.packed").write_bytes(packed(kind, b"x" * 20_000_000))
    tree = {"task": "text_classification", "model": {"name": "never/opened"}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(tree | {"data": {"path": "csv", "data_files": "rows.packed"}}))
    assert hfft("check", "mine.yaml", "--fast") == 2
    told = capsys.readouterr().err
    assert "rows.packed: " in told and "times as many); 200 times, or 1 GiB, are let pass" in told
    assert not list(tmp_path.glob("rows.packed?*"))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip", "tar", "tar.gz"])
def test_a_sound_archive_is_let_pass(kind, tmp_path, small):
    (tmp_path / "rows").write_bytes(packed(kind, SOUND.encode()))
    assert archives.check(tmp_path / "rows", "rows") == kind.removeprefix("tar.")
    assert archives.kind(tmp_path / "rows") == kind.removeprefix("tar.")


@given(st.integers(0, 1 << 44))
def test_what_is_let_pass_grows_with_the_file_and_ends(size):
    assert min(archives.FLOOR, archives.MOST) <= archives.allowed(size) <= archives.MOST
    assert archives.allowed(size) <= archives.allowed(size + 1)


@pytest.mark.parametrize(
    "name", ["../x.csv", "/etc/x.csv", "a/../../x.csv", "..\\x.csv", "C:\\x.csv", "a/b/../../../x"]
)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_name_that_leads_out_of_its_archive(kind, name, tmp_path):
    (tmp_path / "rows").write_bytes(packed(kind, b"x", name))
    with pytest.raises(InputError, match="leads out of the archive; nothing was unpacked"):
        archives.check(tmp_path / "rows", "rows")


def test_a_file_without_a_name(tmp_path):
    (tmp_path / "rows").write_bytes(packed("zip", b"x", "N.csv").replace(b"N.csv", b"\0.csv"))  # it ends at the 0
    with pytest.raises(InputError, match="rows: a file in it has no name; nothing was unpacked"):
        archives.check(tmp_path / "rows", "rows")


@pytest.mark.parametrize(("kind", "target", "told"), [
    (tarfile.SYMTYPE, "/etc/passwd", "a link that leads out"), (tarfile.SYMTYPE, "../../x", "a link that leads out"),
    (tarfile.LNKTYPE, "../x", "a link that leads out"), (tarfile.CHRTYPE, "", "a device or a pipe"),
    (tarfile.FIFOTYPE, "", "a device or a pipe"),
])  # fmt: skip
def test_what_is_no_file_in_a_tar(kind, target, told, tmp_path):
    with tarfile.open(tmp_path / "rows.tar", "w") as file:
        entry = tarfile.TarInfo("a/x")
        entry.type, entry.linkname = kind, target
        file.addfile(entry)
    with pytest.raises(InputError, match=told):
        archives.check(tmp_path / "rows.tar", "rows.tar")


@pytest.mark.parametrize("outer", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("name", ["rows.csv.gz", "a/rows.zip", "rows.dat", "x.jpg", "rows.CSV", "m.parquet"])
def test_what_is_packed_within_an_archive_is_not_looked_into_and_so_refused(outer, name, tmp_path):
    inner = SOUND.encode() if name.endswith((".zip", ".parquet")) else gzip.compress(SOUND.encode())
    (tmp_path / "rows").write_bytes(packed(outer, inner, name))
    with pytest.raises(InputError, match=f"rows: '{name}' in it is packed itself, .*unpack it, and name"):
        archives.check(tmp_path / "rows", "rows")
    for ours in ("rows.csv", "a/b/x.jpg", "rows", "notes.dat"):
        (tmp_path / "rows").write_bytes(packed(outer, SOUND.encode(), ours))
        archives.check(tmp_path / "rows", "rows")


@pytest.mark.parametrize("inner", ["gz", "bz2", "zip"])
def test_what_is_packed_twice(inner, tmp_path):
    (tmp_path / "rows").write_bytes(gzip.compress(packed(inner, SOUND.encode())))
    with pytest.raises(InputError, match="rows: what is packed in it is packed itself; unpack it once"):
        archives.check(tmp_path / "rows", "rows")


def test_an_archive_behind_something_else_is_one(tmp_path):
    """`datasets` and `tarfile` know more signs than the first bytes."""
    made = {"zip": SOUND.encode() + packed("zip", b"x" * 600), "tar": old_tar(), "xz": old_xz(old_tar())}
    for kind, data in made.items():
        (tmp_path / "rows.csv").write_bytes(data)
        assert archives.kind(tmp_path / "rows.csv") == kind == archives.check(tmp_path / "rows.csv", "rows")
    for data in (SOUND.encode() + b"PK\5\6" + b"x" * 18, b"", b"x", b"\0" * 2000, SOUND.encode() * 20):
        (tmp_path / "rows.csv").write_bytes(data)
        assert archives.kind(tmp_path / "rows.csv") is None


def old_tar() -> bytes:
    """As tar wrote it before there was a sign in it."""
    data = bytearray(packed("tar", SOUND.encode()))
    data[257:265] = bytes(8)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def old_xz(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


@given(st.binary(max_size=200), st.sampled_from(sorted(archives.MAGIC)))
def test_damaged_archives_are_a_sentence(tmp_path_factory, rest, magic):
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(magic + rest)
    try:
        archives.check(path, "damaged")
    except InputError as error:
        assert str(error).startswith("damaged: ")


def columns(**made: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(made), out)
    return out.getvalue()


def repeated(text: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([text]))


def test_a_text_named_again_and_again_is_told(tmp_path, small):
    """The rows are never spelt out: 60 KB here, and 3 GB if they were."""
    (tmp_path / "rows.parquet").write_bytes(columns(text=repeated("x" * 1_000_000, 3000)))
    with pytest.raises(InputError, match=r"rows.parquet: [\d,]+ bytes that become more than [\d,]+"):
        declared_sizes.look([str(tmp_path / "rows.parquet")])
    with pytest.raises(InputError, match="let pass"):
        input_rows.opened(str(tmp_path / "rows.parquet"), "parquet")
    with pytest.raises(InputError, match="let pass"):
        declared_sizes.look([str(tmp_path)])


@pytest.mark.parametrize("name", ["rows.parquet", "rows.gz"])
@pytest.mark.parametrize("pattern", ["*/rows.*", "**/*", "sub/*"])
def test_a_pattern_is_looked_at_file_by_file(name, pattern, tmp_path, small, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    bomb = columns(text=repeated("x" * 1_000_000, 300)) if name.endswith("parquet") else gzip.compress(b"x" * 10**7)
    (tmp_path / "sub" / name).write_bytes(bomb)
    data = Data(path="parquet" if name.endswith("parquet") else "csv", data_files={"train": ["sub/none.csv", pattern]})
    (tmp_path / "sub" / "none.csv").write_text(SOUND)
    with pytest.raises(InputError, match=rf"sub/{name}: [\d,]+ bytes that become more than"):
        sources.load(data)
    with pytest.raises(InputError, match=rf"sub/{name}: [\d,]+ bytes that become more than"):
        sources.load(Data(path="csv", data_files=f"file://{tmp_path}/sub/{name}"))


def test_files_of_a_folder_are_told_by_what_is_in_them(tmp_path, small):
    """Not by their names: `datasets` goes by the first bytes."""
    (tmp_path / "rows.csv").write_bytes(gzip.compress(b"text,label\n" + b"x" * 10**7))
    with pytest.raises(InputError, match=r"rows\.csv: [\d,]+ bytes that become more than"):
        sources.load(Data(path=str(tmp_path)))
    (tmp_path / "a.csv.d").mkdir()
    for name in ("a.csv.d/x.jpg", "rows.csv.png"):  # CSV files to `datasets`, as it goes by any part of a name
        (tmp_path / "rows.csv").rename(tmp_path / name)
        with pytest.raises(InputError, match="become more than"):
            declared_sizes.look([str(tmp_path)])
        (tmp_path / name).rename(tmp_path / "rows.csv")


def test_pictures_of_a_folder_are_not_opened(tmp_path, monkeypatch):
    for name in ("a/1.jpg", "a/b.0001.png", "c/2.JPEG", "metadata.csv", "c/notes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "c/leads-nowhere").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "c/pipe")
    seen: list[str] = []
    monkeypatch.setattr(archives, "kind", lambda path: seen.append(path.name))
    declared_sizes.look([str(tmp_path)])
    assert not declared_sizes.packed([str(tmp_path)])
    assert seen == ["metadata.csv", "notes"] * 2


def test_a_million_equal_numbers_are_told(tmp_path, small):
    (tmp_path / "rows.parquet").write_bytes(columns(n=np.zeros(1_000_000)))
    with pytest.raises(InputError, match="bytes that become 8,0"):
        declared_sizes.check(tmp_path / "rows.parquet", "rows.parquet")


def test_a_picture_named_again_within_a_struct_is_told(tmp_path, small):
    data = repeated("x" * 100_000, 500)
    parts = [data.dictionary_decode().cast(pa.binary()), repeated("p", 500).dictionary_decode()]
    image = pa.StructArray.from_arrays(parts, ["bytes", "path"])
    (tmp_path / "rows.parquet").write_bytes(columns(image=image))
    with pytest.raises(InputError, match="let pass"):
        declared_sizes.check(tmp_path / "rows.parquet", "rows.parquet")


def test_sound_parquet_is_let_pass(tmp_path, small):
    texts = [f"text number {i} of many" for i in range(9000)]
    (tmp_path / "rows.parquet").write_bytes(columns(text=texts, label=repeated("good", 9000), n=range(9000)))
    declared_sizes.look([str(tmp_path)])


def png(size: int, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("1", (size, size)).save(out, "PNG", **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [9_500, 12_000, 20_000])
def test_pictures_of_too_many_pixels(size):
    """Between 89 and 179 million pixels Pillow itself only warns."""
    with pytest.raises(ValueError, match="too large"):
        pictures.rgb({"bytes": png(size), "path": None})


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_chunk_that_unfolds_to_a_gigabyte(name):
    held = zlib.compress(b"x" * 200_000_000, 9)
    data = {b"zTXt": b"k\0\0" + held, b"iTXt": b"k\0\1\0\0\0" + held, b"iCCP": b"k\0\0" + held}[name]
    plain = png(8)
    made = plain[:33] + chunk(name, data) + plain[33:]
    try:
        assert pictures.rgb({"bytes": made, "path": None}).size == (8, 8)
    except ValueError as error:
        assert "broken" in str(error)
    assert PngImagePlugin.MAX_TEXT_MEMORY <= 1 << 26


@pytest.mark.parametrize("kind", ["EPS", "PCX", "TGA", "SGI"])
def test_formats_that_nobody_photographs_in_are_no_pictures(kind):
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, kind)
    with pytest.raises(ValueError, match="not an image"):
        pictures.rgb({"bytes": out.getvalue(), "path": None})


def table(*paths: str) -> str:
    return "image,label\n" + "".join(f"{path},{'ab'[i % 2]}\n" for i, path in enumerate(paths))


def from_table(data: Data, base: Path, **made: Any) -> None:
    import datasets

    outside.check(datasets.Dataset.from_dict(made), data, base)


@pytest.mark.parametrize("path", ["/etc/hostname", "../mine.png", "sub/../../mine.png", "~/x.png", "link.png"])
def test_a_table_out_of_an_archive_names_its_own_files_alone(path, tmp_path):
    (tmp_path / "mine.png").write_bytes(png(4))
    here = tmp_path / "data"
    here.mkdir()
    (here / "link.png").symlink_to(tmp_path / "mine.png")
    (here / "own.png").write_bytes(png(4))
    (here / "rows.csv.gz").write_bytes(gzip.compress(table("own.png", path).encode()))
    borrowed = Data(path="csv", data_files=str(here / "rows.csv.gz"))
    from_table(borrowed, here, image=["own.png"])
    if path.startswith("~"):  # a folder of that name, which is not there
        from_table(borrowed, here, image=[path])
        return
    with pytest.raises(InputError, match=r"row 2: .* lies outside of the data"):
        from_table(borrowed, here, image=["own.png", path])
    with pytest.raises(InputError, match=r"row 1: .* lies outside of the data"):
        from_table(borrowed, here, image=[{"bytes": None, "path": path}])
    from_table(borrowed, here, image=[{"bytes": png(4), "path": path}])
    with pytest.raises(InputError, match="lies outside of the data"):
        loading.read(borrowed, image_classification)
    (here / "rows.csv").write_text(table("own.png", path))
    from_table(Data(path=str(here / "rows.csv")), here, image=["own.png", path])


def test_a_data_set_of_the_hub_names_files_of_the_cache_alone(tmp_path, monkeypatch):
    cached = tmp_path / "hub" / "x.png"
    cached.parent.mkdir()
    monkeypatch.setattr(outside.constants, "HF_HUB_CACHE", str(cached.parent))
    borrowed = Data(path="some/pictures")
    from_table(borrowed, Path("some/pictures"), image=[{"bytes": None, "path": str(cached)}, None])
    with pytest.raises(InputError, match=r"some/pictures: row 1: .* lies outside"):
        from_table(borrowed, Path("some/pictures"), image=["/etc/hostname"])
    from_table(Data(path="csv", data_files="https://example.org/x.csv"), Path(), text=["/etc/hostname"])


def test_an_archive_in_a_folder_or_behind_a_pattern_is_not_ours(tmp_path):
    own, borrowed = tmp_path / "own", tmp_path / "borrowed"
    for folder in (own, borrowed):
        folder.mkdir()
        (folder / "rows.csv").write_text(table("x.png", "/etc/hostname"))
    (borrowed / "more.zip").write_bytes(packed("zip", table("/etc/hostname").encode()))
    for data, told in (
        (Data(path=str(own)), False),
        (Data(path="csv", data_files=f"{own}/*.csv"), False),
        (Data(path="csv", data_files=f"{tmp_path}/*/rows.csv"), False),
        (Data(path=str(borrowed)), True),
        (Data(path=str(own), options={"data_dir": "../borrowed"}), True),
        (Data(path="csv", data_files=f"{borrowed}/*.zip"), True),
        (Data(path="csv", data_files={"train": f"{own}/rows.csv", "test": f"{tmp_path}/*/*"}), True),
        (Data(path="csv", data_files="https://example.org/*.csv"), True),
        (Data(path="csv", data_files="hf://datasets/some/rows/x.csv"), True),
        (Data(path="some/pictures"), True),
    ):
        assert sources.elsewhere(data) == told, data
    with pytest.raises(InputError, match="lies outside of the data"):
        loading.read(Data(path=str(borrowed)), image_classification)
    (borrowed / "more.zip").unlink()
    with pytest.raises(InputError, match=r"x\.png|no image|hostname"):  # ours now: they are looked for, and are none
        loading.read(Data(path=str(borrowed)), image_classification)


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"^(a|aa)+$", r"(.*)*x", r"^(\w+\s?)*$"])
def test_a_pattern_that_tries_every_way_is_given_up(pattern, monkeypatch):
    monkeypatch.setattr(file_groups, "SECONDS", 0.2)
    names = ["a" * 40 + "!"] * 3
    try:
        assert len(file_groups._groups(pattern, names)) == 3  # `regex` sees through some of them
    except InputError as error:
        assert "takes more than 0.2 s to look for in 3 file names" in str(error)


@pytest.mark.parametrize("pattern", ["(a{99999999999999999999})", "(" * 900, "(a)" + "b" * 2000, "(?P<1>a)", "a"])
def test_patterns_that_are_none(pattern):
    from hfft import recipe

    tree = {"task": "image_classification", "data": {"path": "p", "group_pattern": pattern}, "model": {"name": "m"}}
    with pytest.raises(InputError, match=r"data\.group_pattern"):
        recipe.build(tree)


def test_a_whole_file_in_one_cell_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(unusable, "MOST", 5_000)
    (tmp_path / "rows.csv").write_text(SOUND + "x" * 5_001 + ",good\n")
    with pytest.raises(InputError, match="row 13: the text has 5,001 characters, and 5,000 are the most"):
        loading.read(Data(path=str(tmp_path / "rows.csv")), text_classification)
    assert unusable.why("x" * 5_001).startswith("the text has 5,001")
    assert text_classification.keys({"text": ["x" * 5_001, "fine"]})[0] is None


@pytest.mark.parametrize("ending", ["csv", "jsonl", "txt"])
def test_a_line_without_end_costs_itself_alone(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(text_lines, "LONGEST", 100_000)
    rows = {"csv": ["text\n", "one\n", "x" * 300_000 + "\n", "two\n"], "txt": ["one\n", "x" * 300_000 + "\n", "two"]}
    rows["jsonl"] = ['{"text": "one"}\n', '{"text": "' + "x" * 300_000 + '"}\n', '{"text": "two"}\n']
    (tmp_path / f"rows.{ending}").write_text("".join(rows[ending]))
    kind = input_rows.kind_of(f"rows.{ending}", None)
    found = list(input_rows.opened(str(tmp_path / f"rows.{ending}"), kind).rows)
    assert [row.values.get("text") for row in found if not row.problem] == ["one", "two"]
    assert ["more than 100,000 characters" in row.problem for row in found] == [False, True, False]
