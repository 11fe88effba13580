"""Which builder of `datasets` reads a recipe's data, from which files, with which options.

In: `Data`. Out: its parts by split name, as `datasets` reads them, columns and labels untouched. It must not know
what the columns mean, and it changes no file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
from datasets.data_files import resolve_pattern

from hfft import pictures, references
from hfft.errors import InputError, listed
from hfft.recipe import Data

BUILDERS = {"csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "parquet": "parquet"}
FILES = (*BUILDERS.values(), "imagefolder", "text")
TABLES = {f".{ending}" for ending in (*BUILDERS, "arrow", "tar")}
ROLES = ("text", "text_pair", "label", "image", "group", "time")  # the columns whose text a CSV file keeps
FINDERS = ("name", "data_dir", "revision")  # the options that decide which files of a folder are read


def shown(data: Data) -> str:
    """The data as the recipe names it."""
    files = data.data_files
    if isinstance(files, dict):
        files = ", ".join(str(name) for name in files.values())
    return str(files or data.path)


def load(data: Data) -> dict[str, Any]:
    """Split name → rows, `IterableDataset` with `data.streaming`, else `Dataset`.

    Raises InputError for whatever keeps `datasets.load_dataset` from making tables of it.
    """
    if data.split.by == "predefined" and data.options.get("split") is not None:
        raise InputError(
            "data.options.split picks parts, but data.split.by is predefined and takes the data's own; leave one out"
        )
    builder, files = _source(data)
    options = dict(data.options)
    if "streaming" in options:
        raise InputError("data.options.streaming: write data.streaming: true instead")
    try:
        if _is_csv(builder, files, options):
            options = _csv_options(data, files) | options
        loaded = datasets.load_dataset(builder, data_files=files, streaming=data.streaming, **options)
    except Exception as error:  # over a dozen unrelated types; each becomes one sentence that keeps the cause's words
        raise InputError(_load_sentence(error, data, builder)) from error
    if isinstance(loaded, list):
        raise InputError("data.options.split: expected one text, such as train or train+test, got several")
    if isinstance(loaded, dict):  # DatasetDict or IterableDatasetDict
        return {str(name): part for name, part in loaded.items()}
    return {str(options.get("split") or "train"): loaded}


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
    if data.path == "imagefolder" and not path.is_dir():
        raise InputError(f"{named}: no such folder (current folder: {Path.cwd()})")
    if not path.is_dir():
        return None
    tables = data.path != "imagefolder" and any(p.suffix.lower() in TABLES for p in path.rglob("*"))
    return path if pictures.in_folders(path) or not tables else None


def _source(data: Data) -> tuple[str, dict[str, list[str]] | None]:
    """(builder or Hub id, data_files): pkg:// resolved, local files seen to exist."""
    files = data.data_files
    if files is not None:
        by_split = files if isinstance(files, dict) else {"train": files}
        checked = {
            split: [_existing(name) for name in ([names] if isinstance(names, str) else names)]
            for split, names in by_split.items()
        }
        return BUILDERS.get(data.path, data.path), checked
    path = Path(references.resolve(data.path)).expanduser()
    suffix = path.suffix.lstrip(".").lower()
    if path.is_file():
        if suffix not in BUILDERS:
            expected = f"expected one of {listed(BUILDERS)}, or data.path with data_files"
            raise InputError(f"{data.path}: unknown ending; {expected}")
        return BUILDERS[suffix], {"train": [_existing(str(path))]}
    if data.path in FILES:
        raise InputError(f"data.path is {data.path}, but data.data_files is missing: name the file or folder to read")
    if not path.is_dir() and (suffix in BUILDERS or data.path.startswith((".", "/", "~")) or data.path.count("/") > 1):
        raise InputError(f"{data.path}: no such file or folder (current folder: {Path.cwd()})")
    return str(path) if path.is_dir() else data.path, None


def _existing(name: str) -> str:
    """A local file that is there and not empty, or a URL or pattern, which `datasets` resolves itself."""
    path = references.resolve(name)
    if "://" in path:
        return path
    path = str(Path(path).expanduser())
    if "*" in path:
        try:
            resolve_pattern(path, "")  # load_dataset passes silently over a pattern that nothing matches
        except FileNotFoundError as error:
            raise InputError(f"{name}: no file matches this pattern (current folder: {Path.cwd()})") from error
        return path
    if not Path(path).is_file():
        raise InputError(f"{name}: no such file (current folder: {Path.cwd()})")
    if not Path(path).stat().st_size:
        raise InputError(f"{name}: the file is empty (0 bytes); expected rows")
    return path


def _is_csv(builder: str, files: dict[str, list[str]] | None, options: dict[str, Any]) -> bool:
    """Will the CSV builder read it? For a folder `datasets` decides, by the most frequent ending in it."""
    if files is not None or not Path(builder).is_dir():
        return builder == "csv"
    finders = {key: options[key] for key in FINDERS if key in options}
    return bool(datasets.load_dataset_builder(builder, **finders).name == "csv")


def _csv_options(data: Data, files: dict[str, list[str]] | None) -> dict[str, Any]:
    """Keep the file's own text: "NA", "None" and "01" are class names, not gaps and numbers."""
    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
    if files and (data.path == "tsv" or all(str(n).endswith(".tsv") for names in files.values() for n in names)):
        options["sep"] = "\t"
    if data.pixels is None:
        columns = [data.columns.get(role, role) for role in ROLES]
        options["converters"] = dict.fromkeys(columns, str)
        if "header" in data.options and data.options["header"] is None and "names" not in data.options:
            # Without a header pandas counts the columns; `datasets` makes names of the numbers only afterwards.
            options["converters"] |= {int(name): str for name in columns if name.isdecimal()}
    return options


def _load_sentence(error: Exception, data: Data, builder: str) -> str:
    """The root cause of a loading failure in one line, with what to type where that is known."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    text = " ".join(str(cause).split())[:300] or type(cause).__name__
    if isinstance(cause, UnicodeDecodeError):
        return f"{shown(data)}: not UTF-8 (at byte {cause.start:,}); type data.options.encoding=latin-1, or what it is"
    if "corresponds to no data" in text:
        return f"{shown(data)}: there are no rows in it"
    if builder in FILES:
        return f"{shown(data)}: not readable as {builder}: {text}"
    words = f"{type(error).__name__} {type(cause).__name__} {text}"
    if any(word in words for word in ("Offline", "Connect", "resolution")):
        return f"{builder!r} is neither a local file nor folder, and the Hugging Face Hub cannot be reached ({text})"
    return f"{builder!r}: the data set cannot be loaded: {text}"
