"""From a recipe's `data:` section to one checked table.

In: `Data`, and the modality. Out: a `Table` of rows with the modality's inputs, `label` (a class name, or the text of
several, see labelsets.py), `id`, `key` (equal for rows whose inputs are equal) and, where asked for, `split`, `group`,
`time` (float) and the columns of slice_columns.py. It must not know about models, and it changes no file.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets

from hfft import (
    bad_rows,
    file_groups,
    labelling,
    labelsets,
    mask_rows,
    moments,
    naming,
    outside,
    pictures,
    sequences,
    slice_columns,
    sources,
)
from hfft.errors import InputError, listed, meant
from hfft.recipe import Data
from hfft.sources import shown

# A cache key sees paths, not what has become of the files they name.
NOT_CACHED: dict[str, Any] = {"load_from_cache_file": False}
FOUND = dict.fromkeys(("content", "key", "problem"), datasets.Value("string"))


@dataclass(frozen=True)
class Table:
    """rows: one per usable example. declared: the class order the data set declares, or (). dropped: sentences.

    fixed: the classes are those declared, whether or not each of them occurs in train.
    """

    rows: datasets.Dataset
    declared: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    fixed: bool = False


def read(data: Data, modality: ModuleType) -> Table:
    """Read, name the columns by role, give every row its id, and refuse what cannot be learnt from.

    Raises InputError for missing files and columns, empty data, one class only and unusable rows.
    """
    if data.streaming:
        raise InputError("data.streaming is true, and this needs all rows at once; type data.streaming=false")
    if modality.MASKS:
        return _scenes(data, modality)
    folder = sources.image_folder(data) if "image" in modality.ROLES else None
    sizes: dict[str, int] = {}
    if folder and data.multi_label:
        raise InputError(
            f"{shown(data)}: a picture in a folder has the class of its folder alone; for data.multi_label write a "
            "table of paths and classes (CSV, JSON or Parquet) and name it in data.path"
        )
    if folder:
        slice_columns.refuse_folder(data, shown(data))
        table = Table(pictures.from_folder(folder, data.split.by == "predefined"), ())
    else:
        table, sizes = _tables(data, modality)
    if not len(table.rows):
        raise InputError(f"{shown(data)}: there are no rows in it")
    table = dataclasses.replace(table, rows=file_groups.added(table.rows, data))
    given = table.rows["label"][:]
    naming.check(labelsets.count(given, data.multi_label), data.labels, shown(data))
    found = labelling.check(labelling.plural(given, data), data, shown(data))
    table = named(table, data)
    rows, bad = identified(table.rows, modality)
    dropped = bad_rows.sentence(bad, sizes, shown(data))
    if bad and data.on_bad_rows == "fail":
        raise InputError(bad_rows.refusal(dropped, data))
    classes = sorted(labelsets.count(rows["label"][:], data.multi_label), key=str)
    if len(classes) < 2:
        got = listed(map(repr, classes)) or "no usable row"
        raise InputError(f"{shown(data)}: expected at least two classes, got {got}")
    return Table(rows, table.declared, (*table.dropped, *((dropped,) if bad else ()), *found))


def class_names(labels: list[str], declared: tuple[str, ...]) -> tuple[str, ...]:
    """Classes that occur: in the declared order if there is one, else numbers by value, then the others by name.

    >>> class_names(["10", "9", "b", "9"], ())
    ('9', '10', 'b')
    """
    names = set(labels)
    if names <= set(declared):
        return tuple(name for name in declared if name in names)
    return tuple(sorted(names, key=lambda name: (0, int(name), name) if name.isdecimal() else (1, 0, name)))


def named(table: Table, data: Data) -> Table:
    """Labels as `data.labels` names them; rows whose class gets no name are left out, or lose that class of several."""
    if not data.labels:
        return table
    labels = table.rows["label"][:]
    if data.multi_label:
        renamed, lost = labelling.renamed(labels, data.labels)
        said = (f"{lost:,} rows lose a class that data.labels gives no name",) if lost else ()
        rows = _with_column(table.rows.remove_columns("label"), "label", renamed)
        return Table(rows, table.declared, table.dropped + said)
    names = [data.labels.get(label, label) for label in labels]
    kept = [i for i, (old, new) in enumerate(zip(labels, names, strict=True)) if new is not None or old is None]
    rows = _with_column(table.rows.remove_columns("label"), "label", names).select(kept)
    gone = len(labels) - len(kept)
    note = (f"{gone:,} rows left out: data.labels gives their class no name",) if gone else ()
    return Table(rows, table.declared, table.dropped + note)


def _scenes(data: Data, modality: ModuleType) -> Table:
    """Pictures with masks: the classes are those that ids or colours can say, whatever occurs."""

    def tables() -> tuple[datasets.Dataset, dict[str, int], tuple[str, ...]]:
        table, sizes = _tables(data, modality)
        return table.rows, sizes, table.dropped

    found = mask_rows.read(data, tables)
    rows = file_groups.added(found.rows, data)
    return Table(rows, found.declared, (*found.dropped, *sequences.told(rows, data)), fixed=True)


def _tables(data: Data, modality: ModuleType) -> tuple[Table, dict[str, int]]:
    """(every part by role, split → its rows), in one table in the order of the parts."""
    parts = sources.load(data)
    left_out: tuple[str, ...] = ()
    if data.split.by == "predefined":
        parts, left_out = official_parts(parts, data)
    made = {name: by_role(part, data, modality, sources.beside(data, name)) for name, part in parts.items()}
    order = tuple(dict.fromkeys(name for table in made.values() for name in table.declared))
    sizes = {name: len(table.rows) for name, table in made.items()}
    return Table(_joined({name: table.rows for name, table in made.items()}, data), order, left_out), sizes


def official_parts(
    parts: dict[str, datasets.Dataset], data: Data
) -> tuple[dict[str, datasets.Dataset], tuple[str, ...]]:
    """(the parts that are train, validation or test; sentences about the others, such as "unsupervised")."""
    places = {name: pictures.SPLIT_NAMES[name.lower()] for name in parts if name.lower() in pictures.SPLIT_NAMES}
    others = [name for name in parts if name not in places]
    if others and isinstance(data.data_files, dict):
        raise InputError(
            f"{shown(data)}: data.split.by is predefined, but there is a split {others[0]!r}; "
            "expected data_files: {train: FILE, validation: FILE, test: FILE}"
        )
    if "train" not in places.values():
        raise InputError(f"{shown(data)}: data.split.by is predefined: expected a train split, got {listed(parts)}")
    why = "data.split.by is predefined, which takes train, validation and test"
    sizes = {name: f" ({len(parts[name]):,} rows)" if hasattr(parts[name], "__len__") else "" for name in others}
    left_out = tuple(f"the split {name!r}{size} is not used: {why}" for name, size in sizes.items())
    return {name: parts[name] for name in places}, left_out


def _check_there(lost: dict[str, str], there: list[str], data: Data) -> None:
    """Raise InputError for columns, by role, that a table has not."""
    if not lost:
        return
    told = "; ".join(f"no column {column!r}{meant(column, there)} for {role}" for role, column in lost.items())
    words = " ".join(f"data.columns.{role}=NAME" for role in lost)
    raise InputError(f"{shown(data)}: {told}; it has {listed(there)}; type {_separator(there)}{words}")


def by_role(part: datasets.Dataset, data: Data, modality: ModuleType, base: Path) -> Table:
    """Columns named by role, labels as class names. Other columns are left behind."""
    roles = modality.ROLES | ({} if data.label_columns or modality.MASKS else {"label": True})
    roles |= {role: data.split.by == role and not (role == "group" and data.group_pattern) for role in bad_rows.DEALING}
    for role in data.columns:
        if role not in roles:
            raise InputError(f"data.columns: no role {role!r}{meant(role, roles)}; this task has {listed(roles)}")
    if data.pixels:
        part = _with_pictures(part, data)
    given = data.columns.values()  # an optional role gives way where its column is given to another
    asked = {r for r in roles if roles[r] or r in data.columns}
    source = {r: data.columns.get(r, r) for r in roles if r in asked or (r not in given and r not in bad_rows.DEALING)}
    if data.pixels:
        source["image"] = "image"
    lost = []
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
        lost.append(role)
    _check_there({role: source[role] for role in lost}, part.column_names, data)
    _check_twins(source, part.column_names, data)
    names, declared = ([], ()) if modality.MASKS else labelling.read(part, source.get("label"), data, shown(data))
    rows = part.select_columns([source[role] for role in modality.ROLES if role in source])
    rows = rows.rename_columns({c: role for role, c in source.items() if role in modality.ROLES and role != c})
    outside.check(rows, data, base)
    try:
        rows = modality.check_types(rows, base)
    except InputError as error:
        raise InputError(f"{shown(data)}: {error}") from error
    rows = rows if modality.MASKS else _with_column(rows, "label", names)
    if "group" in source:
        groups = labelling.names_of(part[source["group"]][:], (), f"{shown(data)}: column {source['group']!r}")
        rows = _with_column(rows, "group", groups)
    if "time" in source:
        times, dates = moments.seconds(part[source["time"]][:], data.split.time_format)
        unit = _with_column(rows, "unit", ["seconds" if dates else "number"] * len(rows))
        rows = unit.add_column("time", times.tolist(), feature=datasets.Value("float64"))
    return Table(slice_columns.added(rows, part, data, source, shown(data)), declared)


def _separator(columns: list[str]) -> str:
    """A word for a table that was written with another separator, as spreadsheets do in half of Europe."""
    found = [sign for sign in (";", "\t", "|") if len(columns) == 1 and sign in columns[0]]
    return f"data.options.sep={found[0]!r}, or " if found else ""


def _check_twins(source: dict[str, str], columns: list[str], data: Data) -> None:
    """pandas calls the second of two equal columns NAME.1, and nobody would know which one was meant."""
    for role, column in source.items():
        if f"{column}.1" in columns and role not in data.columns:
            raise InputError(
                f"{shown(data)}: there are two columns {column!r}, the second is read as '{column}.1'; "
                f"type data.columns.{role}={column}, or data.columns.{role}={column}.1"
            )


def _with_pictures(part: datasets.Dataset, data: Data) -> datasets.Dataset:
    label = data.columns.get("label", "label")
    if label not in part.column_names:
        raise InputError(f"{shown(data)}: no column {label!r} for label; it has {listed(part.column_names)}")
    images = pictures.from_numbers(part, tuple(data.pixels or ()), label, shown(data))
    return images.add_column(label, part[label][:])


def _joined(parts: dict[str, datasets.Dataset], data: Data) -> datasets.Dataset:
    """One table; predefined splits become the column `split`, otherwise all parts are pooled."""
    if data.split.by == "predefined":
        parts = {
            name: _with_column(part, "split", [pictures.SPLIT_NAMES[name.lower()]] * len(part))
            for name, part in parts.items()
        }
    return datasets.concatenate_datasets(list(parts.values()))


def identified(rows: datasets.Dataset, modality: ModuleType) -> tuple[datasets.Dataset, dict[int, str]]:
    """(usable rows with `id` and `key`, row index → why it cannot be used).

    An id is the digest of input, a number for repeats, and the label. So it survives shuffling the rows.
    """
    inputs = rows.select_columns([name for name in modality.ROLES if name in rows.column_names])
    found = datasets.Features(FOUND | ({"print": datasets.Value("binary")} if modality.PRINTED else {}))
    seen = inputs.map(
        modality.inspect,
        remove_columns=inputs.column_names,
        batched=True,
        keep_in_memory=True,
        features=found,  # else the first thousand rows decide, and a problem after none is a type error
        **NOT_CACHED,
    )
    labels, problems = rows["label"][:], seen["problem"][:]
    bad = {i: p or "the label is missing" for i, p in enumerate(problems) if p or labels[i] is None}
    bad |= {i: why for i, why in bad_rows.undealt(rows).items() if i not in bad}
    count: Counter[str] = Counter()
    ids = []
    for content, label in zip(seen["content"][:], labels, strict=True):
        stem = f"{content}-{label}"
        # The number stands before the label, where no label such as "1.1" can be taken for it.
        ids.append(f"{content}.{count[stem]}-{label}" if count[stem] else stem)
        count[stem] += label is not None
    rows = _with_column(_with_column(rows, "id", ids), "key", seen["key"][:])
    if modality.PRINTED:
        rows = rows.add_column("print", seen["print"][:], feature=datasets.Value("binary"))
    return (rows.select([i for i in range(len(rows)) if i not in bad]) if bad else rows), bad


def _with_column(rows: datasets.Dataset, name: str, values: list[Any]) -> datasets.Dataset:
    return rows.add_column(name, values, feature=datasets.Value("string"))
