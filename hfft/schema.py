"""The schema of a recipe, declared once: key, type, default, bounds and a sentence for people.

Frozen dataclasses; pydantic reads the annotations at the door (see recipe.py), the rest of hfft never meets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hfft import budgets, patterns
from hfft.schema_adapt import Adapt, Lora
from hfft.schema_augment import Augment
from hfft.schema_decide import Decide, by_name
from hfft.schema_imbalance import Loss, Sampler, named
from hfft.schema_model import Model
from hfft.schema_split import Share, Split

STRICT = {"extra": "forbid"}


def _as_text(value: Any) -> Any:
    """Columns without a header are called 0, 1, 2 …, and YAML reads those as numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _duration(value: Any) -> Any:
    """The same; raises ValueError for what is no duration."""
    budgets.seconds(value)
    return value


@dataclass(frozen=True)
class Data:
    """Where the rows come from and which columns matter."""

    __pydantic_config__ = STRICT
    path: Annotated[
        str, Field(min_length=1, description="csv, json, parquet, imagefolder; a file or folder; or a Hub data set id")
    ]
    data_files: Annotated[
        str | list[str] | dict[str, str | list[str]] | None,
        Field(description="file, files, or one entry per split {train: …, validation: …, test: …}"),
    ] = None
    options: Annotated[
        dict[str, Any], Field(description="further arguments of datasets.load_dataset (name, revision, sep, encoding)")
    ] = field(default_factory=dict)
    columns: Annotated[
        dict[str, Annotated[str, BeforeValidator(_as_text)]],
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
        dict[Annotated[str, BeforeValidator(_as_text)], Annotated[str, BeforeValidator(_as_text)] | None],
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


@dataclass(frozen=True)
class Abstain:
    """What is promised of the answers: an error rate when unsure rows are left out, and sets that hold the truth."""

    __pydantic_config__ = STRICT
    max_error: Annotated[Share, Field(description="error rate promised among the rows that are answered")] = 0.05
    confidence: Annotated[Share, Field(description="probability with which that promise must hold")] = 0.95
    coverage: Annotated[Share, Field(description="share of rows whose set of classes must hold the right one")] = 0.90


@dataclass(frozen=True)
class Template:
    """Sentences whose class is known, made by filling a pattern's {places} with every combination of words."""

    __pydantic_config__ = STRICT
    text: Annotated[str, Field(min_length=1, description="a pattern, such as '{name} was {adjective}'")]
    label: Annotated[str, BeforeValidator(_as_text), Field(description="the class that each of the sentences has")]
    fill: Annotated[dict[str, list[str]], Field(description="place → words, such as {adjective: [great, lovely]}")] = (
        field(default_factory=dict)
    )

    def __post_init__(self) -> None:
        if wrong := patterns.mistake(self.text, self.fill):
            raise ValueError(wrong)


@dataclass(frozen=True)
class Probes:
    """Small changes of held-back rows, after which the answer should stay, or move in a known direction."""

    __pydantic_config__ = STRICT
    budget: Annotated[
        str | float,
        AfterValidator(_duration),
        Field(description="time they may take: 60s, 5 min; capped at 30 % of training's time unless names is set"),
    ] = "60s"
    names: Annotated[
        list[str] | None, Field(description="names from hfft/probes/ (default: the safe ones; []: none)")
    ] = None
    rows: Annotated[
        int | None,
        Field(strict=True, ge=1, description="held-back rows to change, whatever it costs (default: budget)"),
    ] = None
    templates: Annotated[
        list[Template], Field(description="sentences the model must get right: {text, label, fill}")
    ] = field(default_factory=list)


@dataclass(frozen=True)
class Recipe:
    """One fine-tuning job, complete: what `hfft run` needs to know."""

    __pydantic_config__ = STRICT
    task: Annotated[str, Field(description="a name from hfft/modalities/")]
    data: Data
    model: Model
    train: Annotated[dict[str, Any], Field(description="any transformers.TrainingArguments field")] = field(
        default_factory=dict
    )
    augment: Augment = field(default_factory=Augment)
    adapt: Adapt = field(default_factory=Adapt)
    loss: Annotated[Loss, BeforeValidator(named)] = field(default_factory=Loss)
    sampler: Annotated[Sampler, BeforeValidator(named)] = field(default_factory=Sampler)
    metrics: Annotated[list[str], Field(min_length=1, description="names from hfft/metrics/")] = field(
        default_factory=lambda: ["accuracy", "precision", "recall", "f1"]
    )
    gates: Annotated[
        dict[str, Any],
        Field(
            description="metric: '>= 0.70', judged on the interval; leaks: 0; looks: 3; no_worse_than: {run, margin}"
        ),
    ] = field(default_factory=dict)
    decide: Annotated[Decide, BeforeValidator(by_name)] = field(default_factory=Decide)
    abstain: Abstain = field(default_factory=Abstain)
    probes: Probes = field(default_factory=Probes)
    seed: Annotated[
        int, Field(strict=True, ge=0, lt=2**32, description="of the split, the new head and the order of rows")
    ] = 42

    @property
    def masks(self) -> bool:
        """Whether a class is learnt for each pixel."""
        return self.task.endswith("_segmentation")

    @property
    def dealt(self) -> Data:
        """The data as its rows are dealt: an image has all the classes of its mask."""
        return replace(self.data, multi_label=True) if self.masks else self.data

    @property
    def split_seed(self) -> int:
        """What rows are dealt and limited by: the same for runs that differ in their training seed alone."""
        return self.seed if self.data.split.seed is None else self.data.split.seed


SECTIONS = {"": Recipe, "data.": Data, "data.split.": Split, "model.": Model, "augment.": Augment, "abstain.": Abstain}
SECTIONS |= {"decide.": Decide}
SECTIONS |= {"probes.": Probes}
SECTIONS |= {"adapt.": Adapt, "adapt.lora.": Lora}
SECTIONS |= {"loss.": Loss, "sampler.": Sampler}
