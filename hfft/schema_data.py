"""The `data:` section of a recipe: where the rows come from and which columns matter. Part of schema.py.

Checks of single keys and of keys that exclude each other are here; it must not know files or tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hfft import hues
from hfft.schema_split import Split

STRICT = {"extra": "forbid"}
LONGEST = 1_000  # signs of a regular expression


def as_text(value: Any) -> Any:
    """Columns without a header are called 0, 1, 2 …, and YAML reads those as numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _colours(value: dict[str, Any]) -> dict[str, Any]:
    """The same; raises ValueError for what is no colour, and for a colour that two classes have."""
    hues.codes(value)
    return value


def _pattern(value: str | None) -> str | None:
    """The same; raises ValueError for what is no regular expression with a group."""
    if value is not None and len(value) > LONGEST:
        raise ValueError(f"a regular expression of {len(value):,} signs; {LONGEST} are the most")
    try:
        groups = 1 if value is None else re.compile(value).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{value!r} is no regular expression ({error})") from error
    if not groups:
        raise ValueError(f"{value!r} has no group: put what says where a file belongs in ( ), such as '^(.*?)_'")
    return value


@dataclass(frozen=True)
class Data:
    """Where the rows come from and which columns matter."""

    __pydantic_config__ = STRICT
    path: Annotated[
        str,
        Field(
            min_length=1, description="csv, json, parquet, imagefolder, scenes; a file or folder; or a Hub data set id"
        ),
    ]
    data_files: Annotated[
        str | list[str] | dict[str, str | list[str]] | None,
        Field(description="file, files, or one entry per split {train: …, validation: …, test: …}"),
    ] = None
    options: Annotated[
        dict[str, Any], Field(description="further arguments of datasets.load_dataset (name, revision, sep, encoding)")
    ] = field(default_factory=dict)
    columns: Annotated[
        dict[str, Annotated[str, BeforeValidator(as_text)]],
        Field(description="role → column of the data, such as {text: tweet, label: mood}"),
    ] = field(default_factory=dict)
    multi_label: Annotated[
        bool, Field(description="any number of classes may apply to a row, or none: a label is a list of classes")
    ] = False
    label_separator: Annotated[
        str | None, Field(min_length=1, description="multi_label: the sign between the classes of a cell, such as '|'")
    ] = None
    label_columns: Annotated[
        list[str] | None, Field(min_length=2, description="multi_label: one column of 0 and 1 per class, by its name")
    ] = None
    pixels: Annotated[
        list[Annotated[int, Field(strict=True, gt=0)]] | None,
        Field(
            min_length=2, max_length=3, description="[height, width(, channels)]: an image is a row of numbers 0 to 255"
        ),
    ] = None
    limit: Annotated[
        int | None, Field(strict=True, ge=10, description="use only this many rows, class proportions kept")
    ] = None
    shots: Annotated[
        int | None,
        Field(strict=True, ge=1, description="train on so many rows of each class, drawn by the split's seed"),
    ] = None
    train_share: Annotated[
        float,
        Field(gt=0, le=1, description="train on this share of the training rows only, class proportions kept"),
    ] = 1.0
    class_text: Annotated[
        str | None, Field(description="train on this text for each class, too, such as This text expresses {label}.")
    ] = None
    class_text_rows: Annotated[
        int, Field(strict=True, ge=1, description="how often each class's own text is in train")
    ] = 8
    streaming: Annotated[
        bool, Field(description="read rows as they come, never all at once; goes with split.by hash or predefined")
    ] = False
    shuffle_buffer: Annotated[
        int, Field(strict=True, ge=1, description="streaming: rows held in memory to shuffle among")
    ] = 10_000
    on_bad_rows: Annotated[
        Literal["fail", "drop"], Field(description="what to do with empty texts, missing labels, broken images")
    ] = "fail"
    labels: Annotated[
        dict[Annotated[str, BeforeValidator(as_text)], Annotated[str, BeforeValidator(as_text)] | None],
        Field(description="class → its new name, or null to leave its rows out; equal new names merge classes"),
    ] = field(default_factory=dict)
    on_leak: Annotated[
        Literal["drop", "fail", "warn"],
        Field(description="copies of held-back rows: drop them from train, refuse the data, or only report"),
    ] = "drop"
    copy_at: Annotated[
        float | None,
        Field(gt=0, le=1, description="similarity from which a look-alike counts as a copy (default: 0.8 for texts)"),
    ] = None
    slices: Annotated[
        list[str], Field(description="further columns to tell scores by, such as region; the model never sees them")
    ] = field(default_factory=list)
    classes: Annotated[
        str
        | list[Annotated[str, BeforeValidator(as_text)]]
        | dict[Annotated[str, BeforeValidator(as_text)], str | int | None]
        | None,
        Field(
            description="of masks: names in the order of their ids, {id: name} (null: counts nowhere), or a JSON file; "
            "default: classes.json beside the data, else the ids themselves"
        ),
    ] = None
    ignore: Annotated[
        int | None,
        Field(
            strict=True,
            description="id of the pixels that count nowhere (default: 255, or what the classes' file says)",
        ),
    ] = None
    colors: Annotated[
        dict[str, Any],
        AfterValidator(_colours),
        Field(
            description="of RGB masks: {class: '#rrggbb'}, [r, g, b] or a list of several; ignore: what counts nowhere"
        ),
    ] = field(default_factory=dict)
    group_pattern: Annotated[
        str | None,
        AfterValidator(_pattern),
        Field(
            description="a regular expression whose first group says what a picture belongs to (of its name or path)"
        ),
    ] = None
    split: Split = field(default_factory=Split)

    def __post_init__(self) -> None:
        for key in ("label_separator", "label_columns"):
            if getattr(self, key) is not None and not self.multi_label:
                raise ValueError(f"{key} is for rows with several classes; type data.multi_label=true")
        if self.class_text is not None and "{label}" not in self.class_text:
            raise ValueError(
                f"class_text needs {{label}}, where the class's name goes, such as 'About {{label}}.'; got "
                f"{self.class_text!r}"
            )
        if self.class_text is not None and (self.multi_label or self.streaming):
            other = "data.multi_label" if self.multi_label else "data.streaming"
            raise ValueError(f"data.class_text is for rows of one class each, held in memory, and not for {other}")
        if self.shots is not None and (self.multi_label or self.streaming):
            other = "data.multi_label" if self.multi_label else "data.streaming"
            raise ValueError(
                f"data.shots counts rows of one class each, held in memory; {other} has none such: leave one out"
            )
        if self.train_share != 1 and self.streaming:
            raise ValueError("data.train_share needs all rows at once; type data.streaming=false or leave it out")
        if self.pixels is not None and self.slices:
            raise ValueError("data.pixels takes all columns but one, which data.slices is not; leave one out")
        if self.label_columns is None:
            return
        if self.label_separator is not None or "label" in self.columns:
            other = "data.columns.label" if "label" in self.columns else "data.label_separator"
            raise ValueError(f"the classes are in data.label_columns, and {other} says otherwise; leave one out")
        if self.pixels is not None:
            raise ValueError("data.pixels takes all columns but one, which data.label_columns is not; leave one out")
        if len(set(self.label_columns)) < len(self.label_columns):
            raise ValueError("data.label_columns names a column twice")
