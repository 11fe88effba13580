"""The doors that a stranger's bytes come through, and bytes to try them with.

A door is called with a folder to work in and the bytes of one file; it comes back where they were accepted, and raises
InputError where they were refused. Anything else is a fault of hfft. Bytes are mutations of sound files: cut, flipped,
repeated, spliced, with words in them that have broken parsers before.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import strategies as st
from PIL import Image

from hfft import (
    archives,
    card_front,
    input_rows,
    jpegs,
    loading,
    mask_classes,
    masks,
    model_files,
    pages,
    picture_rows,
    pictures,
    recipe,
    records,
)
from hfft.errors import InputError
from hfft.modalities import image_classification, text_classification
from hfft.recipe import Data

ROWS = [(f'row number {i}, it\'s "fine"\nand é', ("bad", "good")[i % 2]) for i in range(8)]
TREE: dict[str, Any] = {
    "task": "text_classification",
    "data": {"path": "csv", "data_files": "rows.csv", "columns": {"text": "a", "label": "b"}, "split": {"train": 0.7}},
    "model": {"name": "never/opened", "config": {"hidden_size": 32}},
    "train": {"learning_rate": 5e-5, "num_train_epochs": 2},
    "gates": {"f1_macro": ">= 0.5", "recall[good]": "> 0.1"},
    "metrics": ["accuracy", "f1"],
    "probes": {
        "names": ["typos"],
        "templates": [{"text": "{who} was {what}", "label": "a", "fill": {"who": ["x"], "what": ["y"]}}],
    },
    "augment": {"word_dropout": 0.1},
    "loss": {"name": "focal", "gamma": 2},
    "seed": 1,
}
WORDS = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b'"', b"'", b",", b";", b"\t", b"{", b"}", b"[", b"]", b": "]
WORDS += [b"- ", b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system ['true']", b"!!binary ", b"? ", b"|\n", b"%"]
WORDS += [b">\n", b"1e999", b"-1", b"0", b"9" * 400, b"NaN", b"null", b"true", b"~", b".inf", b"0x7f", b"1_0", b"\xc3"]
WORDS += ["\u202e\u2028\ufeff\U0001f389".encode(), b"\xed\xa0\x80", b"\x1b[2J", b"${HOME}", b"../" * 9, b"(" * 300]
WORDS += [b"[" * 300, b'{"a":' * 300, b"IHDR", b"IDAT", b"IEND", b"PAR1", b"\xff\xd8\xff\xe1", b"Exif\0\0", b"II*\0"]
WORDS += [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"seed: ", b"data:\n  ", b"train:\n  ", b"model: "]
WORDS += [b"split:\n  by: ", b"group_pattern: (a+)+$", b"labels: {a: b}"]


def _csv(sep: str = ",", end: str = "\n") -> bytes:
    cell = lambda text: '"' + text.replace('"', '""') + '"'  # noqa: E731
    lines = [sep.join(("text", "label")), *(sep.join((cell(text), label)) for text, label in ROWS)]
    return end.join([*lines, ""]).encode()


def _parquet(**options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": [t for t, _ in ROWS], "label": [n for _, n in ROWS]}), out, **options)
    return out.getvalue()


def _picture(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    picture = Image.radial_gradient("L").resize((40, 30)).convert(mode)
    picture.save(out, kind, **options)
    return out.getvalue()


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _picture("JPEG", exif=exif)


def _packed() -> list[bytes]:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/rows.csv", _csv() * 20)
    with tarfile.open(fileobj=tarred, mode="w:gz") as file:
        entry = tarfile.TarInfo("a/rows.csv")
        entry.size = 10
        file.addfile(entry, io.BytesIO(b"0123456789"))
    return [zipped.getvalue(), tarred.getvalue(), gzip.decompress(tarred.getvalue()), gzip.compress(_csv())]


@functools.cache
def seeds(door: str) -> list[bytes]:
    """Sound files of a door."""
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS).encode()
    array = json.dumps([{"text": text, "label": label} for text, label in ROWS]).encode()
    still = [_picture("PNG"), _picture("PNG", "P"), _picture("PNG", "LA"), _picture("GIF"), _picture("BMP"), _turned()]
    still += [_picture("TIFF", compression="tiff_lzw"), _picture("TIFF", "I;16"), _picture("WEBP"), _picture("JPEG")]
    classes = {"classes": {"0": "road", "1": "car"}, "ignore_index": 255}
    card = "---\nlicense: mit\ntags: [a, b]\nmodel-index:\n- name: x\n---\n# Title\n"
    found = {
        "recipe": [
            yaml.safe_dump(TREE, sort_keys=False).encode(),
            *(p.read_bytes() for p in recipe.shipped().values()),
        ],
        "words": [b"train.learning_rate=3e-5", b"gates.recall[v1.2]=>= 0.5", b"data.split={by: group, train: 0.5}"],
        "csv": [_csv(), _csv("\t"), _csv(end="\r\n"), b"\xef\xbb\xbf" + _csv(), gzip.compress(_csv())],
        "jsonl": [lines, array],
        "parquet": [_parquet(), _parquet(compression="zstd", use_dictionary=False), _parquet(compression="none")],
        "lines": [_csv(), lines, _parquet()],
        "image": still,
        "mask": [_picture("PNG", "P"), _picture("PNG", "L"), _picture("PNG", "I;16"), _picture("TIFF", "L")],
        "archive": _packed(),
        "weights": [_weights()],
        "card": [card.encode()],
        "json": [json.dumps(classes).encode(), b'["road", "car"]'],
    }
    return found[door]


def _weights() -> bytes:
    import torch

    out = io.BytesIO()
    torch.save({"a.weight": torch.zeros(3, 4), "b": [1, "x", None]}, out)
    return out.getvalue()


def mutated(door: str) -> st.SearchStrategy[bytes]:
    """Sound files with one to six edits; now and then bytes that were never a file."""
    edit = st.tuples(
        st.sampled_from(["cut", "drop", "flip", "set", "word", "again", "splice"]),
        st.floats(0, 1), st.integers(0, 64), st.sampled_from(WORDS), st.sampled_from(seeds(door)),
    )  # fmt: skip
    made = st.builds(edited, st.sampled_from(seeds(door)), st.lists(edit, min_size=1, max_size=6))
    return st.one_of(made, made, made, made, st.binary(max_size=300))


def edited(data: bytes, edits: list[tuple[str, float, int, bytes, bytes]]) -> bytes:
    for kind, share, size, word, other in edits:
        at = int(share * len(data))
        part = data[at : at + size]
        new = {
            "cut": b"", "drop": b"", "flip": bytes(sign ^ (1 << size % 8) for sign in part[:3]), "word": word,
            "set": b"\xff" * len(part), "again": part * 5, "splice": other[int(share * len(other)) :],
        }[kind]  # fmt: skip
        rest = b"" if kind in ("cut", "splice") else data[at:] if kind == "word" else data[at + len(part) :]
        if kind == "flip":
            rest = data[at + len(part[:3]) :]
        data = data[:at] + new + rest
    return data


def _table(name: str) -> Callable[[Path, bytes], object]:
    def door(folder: Path, data: bytes) -> object:
        (folder / name).write_bytes(data)
        builder = {"csv": "csv", "jsonl": "json", "parquet": "parquet"}[name.rpartition(".")[2]]
        return loading.read(Data(path=builder, data_files=str(folder / name)), text_classification)

    return door


def _recipe(folder: Path, data: bytes) -> object:
    (folder / "mine.yaml").write_bytes(data)
    made = recipe.load(str(folder / "mine.yaml"))
    assert recipe.build(yaml.safe_load(recipe.dump(made))) == made, "what is written is not what was read"
    return made


def _words(folder: Path, data: bytes) -> object:
    (folder / "mine.yaml").write_text("task: text_classification\ndata: {path: rows.csv}\nmodel: {name: m}\n")
    return recipe.load(str(folder / "mine.yaml"), data.decode("utf-8", "surrogateescape").split("\n"))


def _lines(folder: Path, data: bytes) -> object:
    for kind in input_rows.FORMATS:
        (folder / "rows").write_bytes(data)
        try:
            for row in input_rows.opened(str(folder / "rows"), kind).rows:
                assert row is None or isinstance(row.values, dict)
        except InputError:
            continue
    return None


def _image(folder: Path, data: bytes) -> object:
    source = {"bytes": data, "path": None}
    found = image_classification.inspect({"image": [source]})["problem"][0]
    if found is not None:
        raise InputError(found)
    assert picture_rows.pixels(source).shape[2] == 3 and pictures.header(source).width > 0
    return jpegs.pixels(source)


def _mask(folder: Path, data: bytes) -> object:
    source = {"bytes": data, "path": None}
    try:
        return masks.values(source), masks.values(source, colours=True)
    except ValueError as error:
        raise InputError(str(error)) from error


def _archive(folder: Path, data: bytes) -> object:
    (folder / "rows").write_bytes(data)
    return archives.check(folder / "rows", "rows")


def _weights_door(folder: Path, data: bytes) -> object:
    (folder / "w.pth").write_bytes(data)
    return model_files.tensors(folder / "w.pth")


def _card(folder: Path, data: bytes) -> object:
    text = data.decode("utf-8", "replace")
    return card_front.replaced(text, {"license": "mit"}), pages.markdown(text), card_front.spoken(card_front.read(text))


def _json(folder: Path, data: bytes) -> object:
    (folder / "classes.json").write_bytes(data)
    records.read_json(folder / "classes.json")
    return mask_classes._of_file(folder / "classes.json")


DOORS: dict[str, Callable[[Path, bytes], object]] = {
    "recipe": _recipe, "words": _words, "csv": _table("rows.csv"), "jsonl": _table("rows.jsonl"),
    "parquet": _table("rows.parquet"), "lines": _lines, "image": _image, "mask": _mask, "archive": _archive,
    "weights": _weights_door, "card": _card, "json": _json,
}  # fmt: skip


def tried(door: str, folder: Path, data: bytes) -> str:
    """ "accepted", or the sentence. Whatever else is raised is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, on damaged files
        try:
            DOORS[door](folder, data)
        except InputError as error:
            assert str(error).strip(), "a refusal without a word"
            return str(error)
    return "accepted"
