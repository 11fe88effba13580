"""Which builder of `datasets` reads a recipe's data, from which files, with which options.

In: `Data`. Out: its parts by split name, as `datasets` reads them, columns and labels untouched. It must not know
what the columns mean, and it changes no file.
"""

from __future__ import annotations

import functools
import glob
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
from datasets.data_files import resolve_pattern

from hfft import credentials, declared_sizes, faults, pictures, reaching, references, source_faults
from hfft.errors import InputError, brief, listed
from hfft.recipe import Data
from hfft.source_faults import BUILDERS, FILES, Files, shown

TABLES = {f".{ending}" for ending in (*BUILDERS, "arrow", "tar")}
ROLES = ("text", "text_pair", "label", "image", "mask", "group", "time")  # the columns whose text a CSV file keeps
# `datasets` tells its servers of each table that it opens, local ones, too; where the user says so, it may.
datasets.config.HF_UPDATE_DOWNLOAD_COUNTS &= "HF_UPDATE_DOWNLOAD_COUNTS" in os.environ
FINDERS = ("name", "data_dir", "revision")  # the options that decide which files of a folder are read


def load(data: Data) -> dict[str, Any]:
    """Split name → rows, `IterableDataset` with `data.streaming`, else `Dataset`.

    Raises InputError for whatever keeps `datasets.load_dataset` from making tables of it.
    """
    chosen = data.options.get("split")
    if data.split.by == "predefined" and chosen is not None:
        raise InputError(
            "data.options.split picks parts, but data.split.by is predefined and takes the data's own; leave one out"
        )
    builder, files = _source(data)
    _is_packed.cache_clear()
    declared_sizes.look(_local(_names(builder, files, data)))
    if files is None or chosen is not None:
        loaded = _load(data, builder, files)
    else:  # each file by itself: labels are numbers in one and names in another, and meet by name later
        loaded = {
            name: part for split, names in files.items() for name, part in _load(data, builder, {split: names}).items()
        }
    for name, part in loaded.items():
        if not data.streaming:
            _check_texts(part, f"{shown(data)}: {f'{name} ' * (len(loaded) > 1)}")
    return loaded


def _load(data: Data, builder: str, files: Files | None) -> dict[str, Any]:
    """What `datasets.load_dataset` makes of it, by split."""
    options = dict(_filled(data.options))
    if "streaming" in options:
        raise InputError("data.options.streaming: write data.streaming: true instead")
    if "trust_remote_code" in options:
        raise InputError("data.options.trust_remote_code: `datasets` runs no code of data sets any more; leave it out")
    try:
        if _is_csv(builder, files, options):
            options = _csv_options(data, files) | options
        elif name := next((path for path in _json_files(builder, files) if faults.null(path)), None):
            raise InputError(f"{name}: line 1 is null: expected an object")
        elif files is None and not references.is_folder(builder):
            reaching.why()  # goes offline where the Hub does not answer
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells would be lost
            loaded = datasets.load_dataset(builder, data_files=_escaped(files), streaming=data.streaming, **options)
    except InputError:
        raise
    except Exception as error:  # over a dozen unrelated types; each becomes one sentence that keeps the cause's words
        raise InputError(credentials.masked(source_faults.sentence(error, data, builder, files, options))) from error
    if isinstance(loaded, list):
        raise InputError("data.options.split: expected one text, such as train or train+test, got several")
    if isinstance(loaded, dict):  # DatasetDict or IterableDatasetDict
        return {str(name): part for name, part in loaded.items()}
    return {str(options.get("split") or "train"): loaded}


def elsewhere(data: Data) -> bool:
    """Whether somebody else packed it: a data set of the Hub, a file behind an address, an archive, or a folder or
    pattern with one among its files."""
    builder, files = _source(data)
    if files is None and not Path(builder).is_absolute():
        return True
    names = _names(builder, files, data)
    return any("://" in name for name in names) or _is_packed(names)


@functools.lru_cache(maxsize=8)  # a stream asks for each batch
def _is_packed(names: tuple[str, ...]) -> bool:
    return declared_sizes.packed(_local(names))


def _names(builder: str, files: Files | None, data: Data) -> tuple[str, ...]:
    """What the recipe has read: files, patterns and addresses, or a folder."""
    if files is not None:
        return tuple(name for names in files.values() for name in names)
    inside = _filled(data.options.get("data_dir"))
    return (builder, str(Path(builder, inside))) if isinstance(inside, str) else (builder,)


def _local(names: Iterable[str]) -> list[str]:
    """The files and folders of this machine among them, also those that a pattern or an address of it leads to."""
    found: dict[str, None] = {}
    for name in names:
        path = name.rpartition("::")[2].removeprefix("file://")
        if references.is_file(path) or references.is_folder(path):
            found[path] = None
        elif "*" in path and "://" not in path:
            found |= dict.fromkeys(_matching(path))
    return list(found)


def _matching(pattern: str) -> list[str]:
    """The files that `datasets` would read for it."""
    try:
        return resolve_pattern(pattern, "")  # type: ignore[no-any-return]
    except FileNotFoundError:
        return []


def beside(data: Data, split: str) -> Path:
    """The folder that relative picture paths of a split are counted from."""
    files = _source(data)[1]
    if files is None:
        return Path(references.resolve(data.path))
    return Path(files.get(split, next(iter(files.values())))[0]).parent


def image_folder(data: Data) -> Path | None:
    """The folder whose folders are classes of pictures, or None when the data is something else."""
    named = data.data_files if data.path == "imagefolder" else data.path if data.data_files is None else None
    if not isinstance(named, str):
        return None
    path = Path(references.resolve(named)).expanduser()
    if not references.is_folder(path):
        if data.path == "imagefolder":
            raise InputError(f"{named}: no such folder (current folder: {Path.cwd()})")
        return None
    tables = data.path != "imagefolder" and any(p.suffix.lower() in TABLES for p in path.rglob("*"))
    return path if pictures.in_folders(path) or not tables else None


def _source(data: Data) -> tuple[str, Files | None]:
    """(builder or Hub id, data_files): pkg:// resolved, local files seen to exist."""
    if data.path == "pandas":
        raise InputError(f"data.path: pandas: {faults.NO_PICKLES}")
    files = _filled(data.data_files)
    if files is not None:
        by_split = files if isinstance(files, dict) else {"train": files}
        if not by_split or not all(by_split.values()):
            raise InputError("data.data_files names no file: type data.data_files=FILE")
        checked = {
            split: [_existing(name) for name in ([names] if isinstance(names, str) else names)]
            for split, names in by_split.items()
        }
        return BUILDERS.get(data.path, data.path), checked
    path = Path(references.resolve(_filled(data.path))).expanduser()
    suffix = path.suffix.lstrip(".").lower()
    if references.is_file(path):
        if suffix not in BUILDERS and path.suffix.lower() not in faults.PICKLES:
            expected = f"expected one of {listed(BUILDERS)}, or data.path with data_files"
            raise InputError(f"{data.path}: unknown ending; {expected}")
        known = _existing(str(path))  # which refuses pickles
        return BUILDERS[suffix], {"train": [known]}
    if data.path in FILES:
        raise InputError(f"data.path is {data.path}, but data.data_files is missing: name the file or folder to read")
    if references.is_folder(path):
        return str(path.resolve()), None  # "." has no name, and `datasets` wants one
    if suffix in BUILDERS or data.path.startswith((".", "/", "~")) or data.path.count("/") > 1 or " " in data.path:
        raise InputError(_absent(data.path, path, "file or folder"))
    return data.path, None


def _existing(name: str) -> str:
    """A local file that is there and not empty, or a URL or pattern, which `datasets` resolves itself."""
    path = references.resolve(name)
    if "://" in path:
        return path
    path = str(Path(path).expanduser())
    if "*" in path and not references.is_file(path):
        if not _matching(path):  # load_dataset passes silently over a pattern that nothing matches
            raise InputError(f"{name}: no file matches this pattern (current folder: {Path.cwd()})")
        return path
    if not references.is_file(path):
        raise InputError(_absent(name, path, "file"))
    if Path(path).suffix.lower() in faults.PICKLES:
        raise InputError(f"{name}: {faults.NO_PICKLES}")
    if not Path(path).stat().st_size:
        raise InputError(f"{name}: the file is empty (0 bytes); expected rows")
    return path


def _filled(value: Any) -> Any:
    """The same with each ${NAME} as the environment has it: what a secret of a recipe is written as."""
    try:
        return credentials.filled(value)
    except KeyError as error:
        raise InputError(
            f"data: ${{{error.args[0]}}} is not in the environment; type export {error.args[0]}=…"
        ) from error


def _absent(name: str, path: str | Path, wanted: str) -> str:
    """Why there is no file under a name."""
    if references.is_folder(path):
        return f"{name}: expected a {wanted}, this is a folder"
    if len(str(path)) < 4096 and os.path.lexists(path):
        return f"{name}: expected a {wanted}, this is a pipe, a device, or a link that leads nowhere"
    return f"{name if len(name) < 200 else brief(name)}: no such {wanted} (current folder: {Path.cwd()})"


def _json_files(builder: str, files: Files | None) -> Iterable[Path]:
    if files is None and Path(builder).is_absolute():
        return (path for path in Path(builder).rglob("*.json*") if path.is_file())
    return map(Path, source_faults.local(files) if builder == "json" else [])


def _escaped(files: Files | None) -> Files | None:
    """A file that is there is meant by its own name: `datasets` would take rows[1].csv for a pattern."""
    local = set(source_faults.local(files))
    return files and {split: [glob.escape(n) if n in local else n for n in names] for split, names in files.items()}


def _check_texts(part: datasets.Dataset, where: str) -> None:
    """Raises InputError for the first text that is not UTF-8: only JSON and Parquet files get so far with one."""
    for column in part.column_names:
        texts = part.data.column(column)
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            continue
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid as error:
            for row, value in enumerate(texts.cast(pa.large_binary()).to_pylist(), 1):
                if value is not None and value.decode("utf-8", "replace").encode() != value:
                    raise InputError(f"{where}row {row:,}: column {column!r} is not UTF-8") from error


def _is_csv(builder: str, files: Files | None, options: dict[str, Any]) -> bool:
    """Will the CSV builder read it? For a folder `datasets` decides, by the most frequent ending in it."""
    if files is not None or not Path(builder).is_dir():
        return builder == "csv"
    finders = {key: options[key] for key in FINDERS if key in options}
    return bool(datasets.load_dataset_builder(builder, **finders).name == "csv")


def _csv_options(data: Data, files: Files | None) -> dict[str, Any]:
    """Keep the file's own text: "NA", "None" and "01" are class names, not gaps and numbers."""
    # Without index_col=False a file with more cells than the header has its columns shifted.
    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "index_col": False}
    if files and (data.path == "tsv" or all(str(n).endswith(".tsv") for names in files.values() for n in names)):
        options["sep"] = "\t"
    if data.pixels is None:
        columns = [*(data.columns.get(role, role) for role in ROLES), *data.slices]
        options["converters"] = dict.fromkeys(columns, str)
        if "header" in data.options and data.options["header"] is None and "names" not in data.options:
            # Without a header pandas counts the columns; `datasets` makes names of the numbers only afterwards.
            options["converters"] |= {int(name): str for name in columns if name.isdecimal()}
    return options
