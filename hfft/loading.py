"""From a recipe's `data:` section to one checked table.

In: `Data`, and the modality. Out: a `Table` of rows with the modality's inputs, `label` (a class name), `id`, `key`
(equal for rows whose inputs are equal) and, for predefined splits, `split`. It must not know about models, and it
changes no file.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets

from hfft import pictures, references
from hfft.errors import InputError, listed, meant
from hfft.recipe import Data

BUILDERS = {"csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "parquet": "parquet"}
# A cache key sees paths, not what has become of the files they name.
NOT_CACHED: dict[str, Any] = {"load_from_cache_file": False}
FILES = (*BUILDERS.values(), "imagefolder", "text")


@dataclass(frozen=True)
class Table:
    """rows: one per usable example. declared: the class order the data set declares, or (). dropped: sentences."""

    rows: datasets.Dataset
    declared: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def read(data: Data, modality: ModuleType) -> Table:
    """Read, name the columns by role, give every row its id, and refuse what cannot be learnt from.

    Raises InputError for missing files and columns, empty data, one class only and unusable rows.
    """
    folder = _image_folder(data, modality)
    by_folder = data.split.by == "predefined"
    table = Table(pictures.from_folder(folder, by_folder), ()) if folder else _tables(data, modality)
    if not len(table.rows):
        raise InputError(f"{shown(data)}: there are no rows in it")
    rows, bad = _identified(table.rows, modality)
    dropped = _sentence_of_bad(bad, shown(data))
    if bad and data.on_bad_rows == "fail":
        raise InputError(
            f"{dropped}. Rows count from 1, a header not counted. "
            "Mend them, or leave them out with data.on_bad_rows=drop"
        )
    classes = sorted(set(rows["label"][:]))
    if len(classes) < 2:
        got = listed(map(repr, classes)) or "no usable row"
        raise InputError(f"{shown(data)}: expected at least two classes, got {got}")
    return Table(rows, table.declared, (dropped,) if bad else ())


def class_names(labels: list[str], declared: tuple[str, ...]) -> tuple[str, ...]:
    """Classes that occur: in the declared order if there is one, else numbers by value, then the others by name.

    >>> class_names(["10", "9", "b", "9"], ())
    ('9', '10', 'b')
    """
    names = set(labels)
    if names <= set(declared):
        return tuple(name for name in declared if name in names)
    return tuple(sorted(names, key=lambda name: (0, int(name), name) if name.isdecimal() else (1, 0, name)))


def shown(data: Data) -> str:
    """The data as the recipe names it."""
    files = data.data_files
    if isinstance(files, dict):
        files = ", ".join(str(name) for name in files.values())
    return str(files or data.path)


def _tables(data: Data, modality: ModuleType) -> Table:
    builder, files = _source(data)
    options = dict(data.options)
    if builder == "csv" or (files is None and any(Path(builder).rglob("*.[ct]sv"))):
        options = _csv_options(data, files) | options
    try:
        loaded = datasets.load_dataset(builder, data_files=files, **options)
    except Exception as error:  # over a dozen unrelated types; each becomes one sentence that keeps the cause's words
        raise InputError(_load_sentence(error, data, builder)) from error
    parts = loaded if isinstance(loaded, dict) else {str(options.get("split", "train")): loaded}
    made = {str(name): _by_role(part, data, modality, _beside(files, name, data)) for name, part in parts.items()}
    order = tuple(dict.fromkeys(name for table in made.values() for name in table.declared))
    return Table(_joined({name: table.rows for name, table in made.items()}, data), order)


def _source(data: Data) -> tuple[str, Any]:
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
        return path
    if not Path(path).is_file():
        raise InputError(f"{name}: no such file (current folder: {Path.cwd()})")
    if not Path(path).stat().st_size:
        raise InputError(f"{name}: the file is empty (0 bytes); expected rows")
    return path


def _csv_options(data: Data, files: Any) -> dict[str, Any]:
    """Keep the file's own text: "NA", "None" and "01" are class names, not gaps and numbers."""
    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
    if files and (data.path == "tsv" or all(str(n).endswith(".tsv") for names in files.values() for n in names)):
        options["sep"] = "\t"
    if data.pixels is None:
        roles = ("text", "text_pair", "label", "image")
        options["converters"] = {data.columns.get(role, role): str for role in roles}
    return options


def _beside(files: dict[str, list[str]] | None, split: str, data: Data) -> Path:
    """The folder that relative picture paths of a split are counted from."""
    if files is None:
        return Path(references.resolve(data.path))
    return Path(files.get(str(split), next(iter(files.values())))[0]).parent


def _by_role(part: datasets.Dataset, data: Data, modality: ModuleType, base: Path) -> Table:
    """Columns named by role, labels as class names. Other columns are left behind."""
    roles = modality.ROLES | {"label": True}
    for role in data.columns:
        if role not in roles:
            raise InputError(f"data.columns: no role {role!r}{meant(role, roles)}; this task has {listed(roles)}")
    if data.pixels:
        part = _with_pictures(part, data)
    given = data.columns.values()  # an optional role gives way where its column is given to another
    source = {r: data.columns.get(r, r) for r in roles if roles[r] or r in data.columns or r not in given}
    if data.pixels:
        source["image"] = "image"
    for role, column in list(source.items()):
        if list(source.values()).count(column) > 1:
            raise InputError(
                f"data.columns: column {column!r} is given to {listed(r for r in source if source[r] == column)}"
            )
        if column in part.column_names:
            continue
        if not roles[role] and role not in data.columns:
            del source[role]
            continue
        raise InputError(
            f"{shown(data)}: no column {column!r}{meant(column, part.column_names)} for {role}; "
            f"it has {listed(part.column_names)}; type data.columns.{role}=NAME"
        )
    feature, values = part.features[source["label"]], part[source["label"]][:]
    declared = tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else ()
    names = _names_of(values, declared, source["label"])
    rows = part.select_columns([source[role] for role in roles if role != "label" and role in source])
    rows = rows.rename_columns({column: role for role, column in source.items() if role not in ("label", column)})
    return Table(_with_column(modality.check_types(rows, base), "label", names), declared)


def _with_pictures(part: datasets.Dataset, data: Data) -> datasets.Dataset:
    label = data.columns.get("label", "label")
    if label not in part.column_names:
        raise InputError(f"{shown(data)}: no column {label!r} for label; it has {listed(part.column_names)}")
    images = pictures.from_numbers(part, tuple(data.pixels or ()), label, shown(data))
    return images.add_column(label, part[label][:])


def _names_of(values: list[Any], declared: tuple[str, ...], column: str) -> list[str | None]:
    """Labels as class names, None where missing. Whole floats are the integers they came from."""
    out: list[str | None] = []
    for value in values:
        if isinstance(value, (list, dict)):
            raise InputError(f"column {column!r} holds {type(value).__name__}s: expected one class per row")
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            out.append(None)
        elif declared:
            out.append(declared[value] if value >= 0 else None)
        elif isinstance(value, float) and not value.is_integer():
            raise InputError(f"column {column!r} holds numbers such as {value:g}: expected classes, not measurements")
        else:
            out.append(str(int(value)) if isinstance(value, float) else str(value).strip() or None)
    return out


def _image_folder(data: Data, modality: ModuleType) -> Path | None:
    """The folder to list when the data is an image folder, else None."""
    if "image" not in modality.ROLES:
        return None
    named = data.data_files if data.path == "imagefolder" else data.path if data.data_files is None else None
    if not isinstance(named, str):
        return None
    path = Path(references.resolve(named)).expanduser()
    if data.path == "imagefolder" and not path.is_dir():
        raise InputError(f"{named}: no such folder (current folder: {Path.cwd()})")
    return path if path.is_dir() else None


def _joined(parts: dict[str, datasets.Dataset], data: Data) -> datasets.Dataset:
    """One table; predefined splits become the column `split`, otherwise all parts are pooled."""
    if data.split.by == "predefined":
        for name in parts:
            if name.lower() not in pictures.SPLIT_NAMES:
                raise InputError(
                    f"{shown(data)}: data.split.by is predefined, but there is a split {name!r}; "
                    "expected data_files: {train: FILE, validation: FILE, test: FILE}"
                )
        parts = {
            name: _with_column(part, "split", [pictures.SPLIT_NAMES[name.lower()]] * len(part))
            for name, part in parts.items()
        }
    return datasets.concatenate_datasets(list(parts.values()))


def _identified(rows: datasets.Dataset, modality: ModuleType) -> tuple[datasets.Dataset, dict[int, str]]:
    """(usable rows with `id` and `key`, row index → why it cannot be used).

    An id is the digest of input, a number for repeats, and the label. So it survives shuffling the rows.
    """
    inputs = rows.select_columns([name for name in modality.ROLES if name in rows.column_names])
    seen = inputs.map(
        modality.inspect, remove_columns=inputs.column_names, batched=True, keep_in_memory=True, **NOT_CACHED
    )
    labels, problems = rows["label"][:], seen["problem"][:]
    bad = {i: p or "the label is missing" for i, p in enumerate(problems) if p or labels[i] is None}
    count: Counter[str] = Counter()
    ids = []
    for content, label in zip(seen["content"][:], labels, strict=True):
        stem = f"{content}-{label}"
        # The number stands before the label, where no label such as "1.1" can be taken for it.
        ids.append(f"{content}.{count[stem]}-{label}" if count[stem] else stem)
        count[stem] += label is not None
    rows = _with_column(_with_column(rows, "id", ids), "key", seen["key"][:])
    return (rows.select([i for i in range(len(rows)) if i not in bad]) if bad else rows), bad


def _with_column(rows: datasets.Dataset, name: str, values: list[Any]) -> datasets.Dataset:
    return rows.add_column(name, values, feature=datasets.Value("string"))


def _sentence_of_bad(bad: dict[int, str], what: str) -> str:
    """The first few unusable rows, by number."""
    first = "; ".join(f"row {index + 1}: {why}" for index, why in list(bad.items())[:5])
    more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
    return f"{what}: {len(bad):,} row{'s' * (len(bad) != 1)} cannot be used ({first}{more})"


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
