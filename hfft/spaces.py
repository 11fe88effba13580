"""What a search may try: recipe keys and their values, as written on the command line or in a file.

In: words such as train.learning_rate=1e-5..1e-3, or a YAML file. Out: dimensions. It must not know how they are searched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hfft.errors import InputError, listed

LOG_FROM = 10.0  # of positive ends so far apart, values are drawn by their order of magnitude
KEYS = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Dimension:
    """key: of the recipe. choices: values to take; else numbers from low to high, both included. whole: integers.

    log: drawn evenly by order of magnitude.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False

    def word(self, value: Any) -> str:
        """The override that gives the recipe this value.

        >>> Dimension("loss", ("focal",)).word("focal"), Dimension("adapt", ({"freeze": 2},)).word({"freeze": 2})
        ('loss=focal', 'adapt={freeze: 2}')
        """
        if isinstance(value, float):
            return f"{self.key}={value:.6g}"
        if isinstance(value, dict | list):
            return f"{self.key}={yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()}"
        return f"{self.key}={'null' if value is None else str(value).lower() if isinstance(value, bool) else value}"

    @property
    def first(self) -> Any:
        """A value that it may take."""
        return self.choices[0] if self.choices else int(self.low) if self.whole else self.low

    @property
    def told(self) -> str:
        if self.choices:
            return f"{self.key}: {listed([str(choice) for choice in self.choices])}"
        ends = f"{self.low:.3g} to {self.high:.3g}"
        return f"{self.key}: {ends}{', by order of magnitude' * self.log}"


def read(given: Sequence[str]) -> list[Dimension]:
    """Dimensions of `--space` arguments, each KEY=VALUES or a YAML file. Raises InputError, with what to type."""
    found: list[Dimension] = []
    for one in given:
        if "=" in one and not Path(one).is_file():
            key, _, values = one.partition("=")
            found.append(_typed(key.strip(), values.strip()))
        else:
            found += _file(Path(one))
    if not found:
        raise InputError("--space: expected what to search, such as --space train.learning_rate=1e-5..1e-3")
    if twice := sorted({one.key for one in found if sum(one.key == other.key for other in found) > 1}):
        raise InputError(f"--space: {listed(twice)} is given twice")
    return found


def _typed(key: str, values: str) -> Dimension:
    """
    >>> _typed("train.learning_rate", "1e-5..1e-3").log, _typed("train.num_train_epochs", "1..4").whole
    (True, True)
    >>> _typed("loss", "cross_entropy,focal").choices
    ('cross_entropy', 'focal')
    """
    if ".." in values:
        low, _, rest = values.partition("..")
        high, _, how = rest.partition(":")
        if how not in ("", "log", "linear"):
            raise InputError(f"--space {key}: {how!r} after the colon; expected log or linear")
        made: dict[str, Any] = {"low": _value(low), "high": _value(high)}
        return _numbers(key, made | ({"log": how == "log"} if how else {}))
    try:
        choices = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError as error:
        raise InputError(
            f"--space {key}: cannot read {values!r}; expected values between commas, or LOW..HIGH"
        ) from error
    return _choices(key, [_value(choice) if isinstance(choice, str) else choice for choice in choices])


def _file(path: Path) -> list[Dimension]:
    if not path.is_file():
        raise InputError(
            f"--space {path}: no such file; expected KEY=VALUES, such as train.learning_rate=1e-5..1e-3, or a file"
        )
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected recipe keys, each with a list of values or {{low: …, high: …}}")
    found = []
    for key, values in tree.items():
        if isinstance(values, dict) and "low" in values:
            found.append(_numbers(str(key), values))
        elif isinstance(values, list):
            found.append(_choices(str(key), values))
        else:
            raise InputError(f"{path}: {key}: expected a list of values or {{low: …, high: …}}, got {values!r}")
    return found


def _numbers(key: str, given: dict[str, Any]) -> Dimension:
    if wrong := sorted(set(given) - {*KEYS}):
        raise InputError(f"--space {key}: no {wrong[0]!r}; known: {listed(KEYS)}")
    low, high = (_number(key, given.get(end)) for end in ("low", "high"))
    if not low < high:
        raise InputError(f"--space {key}: {low:g} is not below {high:g}")
    whole = isinstance(low, int) and isinstance(high, int)
    log = bool(given.get("log", low > 0 and high / low >= LOG_FROM and not whole))
    if log and low <= 0:
        raise InputError(f"--space {key}: log needs a low end above 0, got {low:g}")
    return Dimension(key, (), float(low), float(high), whole, log)


def _number(key: str, value: Any) -> int | float:
    found = _value(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise InputError(f"--space {key}: expected two numbers, LOW..HIGH, got {value!r}")
    return found


def _choices(key: str, values: list[Any]) -> Dimension:
    if len(values) < 2:
        raise InputError(f"--space {key}: expected two values or more between commas, or LOW..HIGH, got {values}")
    return Dimension(key, tuple(values))


def _value(text: str) -> Any:
    """A number as people write it, 1e-5 included, which YAML takes for text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
