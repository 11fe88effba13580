"""What a search may try: recipe keys and their values, as written on the command line or in a file.

In: words such as train.learning_rate=1e-5..1e-3, or a YAML file. Out: dimensions, checked against a recipe. It must not
know how they are searched.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfft import notation, recipe
from hfft.errors import InputError, listed

LOG_FROM = 10.0  # of positive ends so far apart, values are drawn by their order of magnitude
KEYS = ("low", "high", "log")
TRIES = 200  # combinations that are drawn to find one that a value fits into
# Keys that a search must leave alone: what is scored, and on which rows, has to be the same for all trials.
FIXED = {
    "task": "it is the question itself",
    "data": "all trials must be scored on the same rows",
    "metrics": "all trials must be scored alike",
    "gates": "all trials must be judged alike",
    "probes": "it changes no training",
    "abstain": "it changes no training",
    "seed": "the best of several seeds is luck and nothing else",
    "train.seed": "the best of several seeds is luck and nothing else",
    "train.metric_for_best_model": "all trials must be chosen alike",
}


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

        >>> Dimension("loss", ("focal",)).word("focal"), Dimension("adapt.freeze", (2, "none")).word(2)
        ('loss=focal', 'adapt.freeze=2')
        """
        shown = f"{value:.6g}" if isinstance(value, float) else notation.write(value, flow=True)
        return f"{self.key}={shown}"

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that have to be possible if all are: every choice, or both ends."""
        return self.choices or tuple(int(end) if self.whole else end for end in (self.low, self.high))

    def drawn(self, rng: random.Random) -> Any:
        """A value at random."""
        if self.choices:
            return rng.choice(self.choices)
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            return min(max(round(value), int(self.low)), int(self.high)) if self.whole else value
        return rng.randint(int(self.low), int(self.high)) if self.whole else rng.uniform(self.low, self.high)

    @property
    def told(self) -> str:
        if self.choices:
            return f"{self.key}: {listed([notation.write(choice, flow=True) for choice in self.choices])}"
        ends = f"{self.low:g} to {self.high:g}" if self.whole else f"{self.low:.3g} to {self.high:.3g}"
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
    for key in (dimension.key for dimension in found):
        for fixed, why in FIXED.items():
            if f"{key}.".startswith(f"{fixed}."):
                raise InputError(f"--space {key}: {why}; type it as a word of the recipe instead: {key}=…")
    return found


def check(space: Sequence[Dimension], name: str, overrides: Sequence[str]) -> None:
    """Raise InputError where a value fits the recipe neither alone nor with any of the other dimensions' values."""
    rng = random.Random(0)
    for one in space:
        _there(one)
        numbers = [value for value in one.choices or (one.low,) if isinstance(value, (int, float))]
        if one.key == "train.learning_rate" and min(numbers, default=1) <= 0:
            raise InputError(f"--space {one.told}: a learning rate is above 0")
        for value in one.ends:
            try:
                recipe.load(name, (*overrides, one.word(value)))
            except InputError as error:
                others = [other for other in space if other is not one]
                if not others or not any(_fits(name, overrides, one.word(value), others, rng) for _ in range(TRIES)):
                    raise InputError(f"--space {one.word(value)}: {error}") from error


def _there(one: Dimension) -> None:
    """Raise InputError for a model whose folder is not there: told now, and not when it is drawn."""
    for choice in one.choices if one.key == "model.name" else ():
        if str(choice).startswith((".", "/", "~")) and not Path(str(choice)).expanduser().exists():
            raise InputError(f"--space model.name: {choice}: no such file or folder (current folder: {Path.cwd()})")


def words(space: Sequence[Dimension], params: Mapping[str, Any]) -> tuple[str, ...]:
    """The overrides of one trial. params: key → value; keys that are missing keep the recipe's value."""
    return tuple(one.word(params[one.key]) for one in space if one.key in params)


def combinations(space: Sequence[Dimension], most: int) -> list[dict[str, Any]] | None:
    """Every combination, where there are `most` of them or fewer; else None.

    >>> len(combinations([Dimension("a", (1, 2)), Dimension("b", (), 1, 3, whole=True)], 10))
    6
    """
    sizes = [len(one.choices) or (int(one.high - one.low) + 1 if one.whole else 0) for one in space]
    if not all(sizes) or math.prod(sizes) > most:
        return None
    values = [one.choices or tuple(range(int(one.low), int(one.high) + 1)) for one in space]
    keys = [one.key for one in space]
    return [dict(zip(keys, row, strict=True)) for row in itertools.product(*values)]


def _fits(name: str, overrides: Sequence[str], word: str, others: list[Dimension], rng: random.Random) -> bool:
    try:
        recipe.load(name, (*overrides, word, *(other.word(other.drawn(rng)) for other in others)))
    except InputError:
        return False
    return True


def _typed(key: str, values: str) -> Dimension:
    """
    >>> _typed("train.learning_rate", "1e-5..1e-3").log, _typed("train.num_train_epochs", "1..4").whole
    (True, True)
    >>> _typed("loss", "cross_entropy,focal").choices
    ('cross_entropy', 'focal')
    """
    if ".." in values and "," not in values:
        low, _, rest = values.partition("..")
        high, _, how = rest.partition(":")
        if how not in ("", "log", "linear"):
            raise InputError(f"--space {key}: {how!r} after the colon; expected log or linear")
        made: dict[str, Any] = {"low": _value(key, low), "high": _value(key, high)}
        return _numbers(key, made | ({"log": how == "log"} if how else {}))
    found = _value(key, f"[{values}]")
    return _choices(key, found)


def _file(path: Path) -> list[Dimension]:
    if not path.is_file():
        raise InputError(
            f"--space {path}: no such file; expected KEY=VALUES, such as train.learning_rate=1e-5..1e-3, or a file"
        )
    tree = notation.read(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected recipe keys, each with a list of values or {{low: …, high: …}}")
    found = []
    for key, values in _flat(tree).items():
        if isinstance(values, dict):
            found.append(_numbers(key, values))
        elif isinstance(values, list):
            found.append(_choices(key, values))
        elif isinstance(values, str) and ".." in values:
            found.append(_typed(key, values))
        else:
            raise InputError(f"{path}: {key}: expected a list of values or {{low: …, high: …}}, got {values!r}")
    return found


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
    """Sections as dotted keys: train: {learning_rate: …} as well as train.learning_rate: …"""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        inside = isinstance(value, dict) and not {"low", "high"} & {*value}
        out |= {f"{key}.{name}": part for name, part in _flat(value).items()} if inside else {str(key): value}
    return out


def _numbers(key: str, given: dict[str, Any]) -> Dimension:
    if wrong := sorted(set(given) - {*KEYS}):
        raise InputError(f"--space {key}: no {wrong[0]!r}; known: {listed(KEYS)}")
    low, high = (_number(key, given.get(end)) for end in ("low", "high"))
    if not low < high:
        raise InputError(f"--space {key}: {low:g} is not below {high:g}")
    whole = isinstance(low, int) and isinstance(high, int) and low >= 0 and high - low > 1
    log = bool(given.get("log", low > 0 and high / low >= LOG_FROM and not whole))
    if log and low <= 0:
        raise InputError(f"--space {key}: log needs a low end above 0, got {low:g}")
    return Dimension(key, (), float(low), float(high), whole, log)


def _number(key: str, found: Any) -> int | float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise InputError(f"--space {key}: expected two numbers, LOW..HIGH, got {found!r}")
    return found


def _choices(key: str, values: list[Any]) -> Dimension:
    if len(values) < 2:
        raise InputError(f"--space {key}: expected two values or more between commas, or LOW..HIGH, got {values}")
    shown = [notation.write(value, flow=True) for value in values]
    if len({*shown}) < len(shown):
        raise InputError(f"--space {key}: a value is given twice in {listed(shown)}")
    return Dimension(key, tuple(values))


def _value(key: str, text: str) -> Any:
    try:
        return notation.parse(text)
    except InputError as error:
        raise InputError(
            f"--space {key}: cannot read {text!r}; expected values between commas, or LOW..HIGH"
        ) from error
