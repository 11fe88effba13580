"""The schema of a recipe, declared once: key, type, default, bounds and a sentence for people.

Frozen dataclasses; pydantic reads the annotations at the door (see recipe.py), the rest of hfft never meets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from hfft import budgets, patterns
from hfft.schema_adapt import Adapt, Lora
from hfft.schema_augment import Augment
from hfft.schema_data import Data, as_text
from hfft.schema_decide import Decide, by_name
from hfft.schema_imbalance import Loss, Sampler, named
from hfft.schema_model import Model
from hfft.schema_speed import Speed
from hfft.schema_split import Share, Split

STRICT = {"extra": "forbid"}


def _duration(value: Any) -> Any:
    """The same; raises ValueError for what is no duration."""
    budgets.seconds(value)
    return value


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
    label: Annotated[str, BeforeValidator(as_text), Field(description="the class that each of the sentences has")]
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
    speed: Speed = field(default_factory=Speed)
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
    def unit(self) -> str:
        """What one input is called."""
        return "image" if self.masks else "row"

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
SECTIONS |= {"speed.": Speed}
