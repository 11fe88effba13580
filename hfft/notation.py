"""YAML as recipes are written: what a person types is what is read, or one sentence with its line.

In: text or a file. Out: plain mappings, lists, texts, numbers, true, false and null, and back. Scalars follow YAML 1.2
and not PyYAML's 1.1: `no`, `on`, 1:30, 010, 1_000 and 2024-01-01 are texts, 5e-5 is a number. It must not know what the
keys mean.
"""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hfft.errors import InputError

TAG = "tag:yaml.org,2002:"
# https://yaml.org/spec/1.2.2/#103-core-schema, less numbers with leading zeros, which are codes.
SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
PLAIN = {TAG + name for name in (*SCALARS, "str", "map", "seq", "merge")}
MOST_NODES = 10_000  # aliases can make a few lines stand for billions of values
MOST_LEVELS = 50


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # as PyYAML declares it
    level = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """PyYAML recurses here, and Python would end that with a traceback."""
        self.level += 1
        if self.level > MOST_LEVELS:
            raise _refused(f"nested more than {MOST_LEVELS} levels deep", self.peek_event())
        node: Node | None = super().compose_node(parent, index)
        self.level -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML takes for something else than text."""


for _name, _pattern in SCALARS.items():
    _Loader.add_implicit_resolver(TAG + _name, re.compile(f"(?:{_pattern})\\Z"), None)
_Loader.add_implicit_resolver(TAG + "merge", re.compile("<<\\Z"), ["<"])
_Dumper.add_implicit_resolver(TAG + "float", re.compile(f"(?:{SCALARS['float']})\\Z"), None)


def read(path: Path) -> Any:
    """The value of a file's one YAML document. Raises InputError with one line that names the file."""
    try:
        return parse(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not UTF-8; save the file as UTF-8") from error
    except InputError as error:
        raise InputError(f"{path} {error}") from error


def parse(text: str) -> Any:
    """The value of one YAML document. Raises InputError with one line that says where and why it is not readable."""
    return copy.deepcopy(_parsed(text))


@functools.lru_cache(maxsize=32)
def _parsed(text: str) -> Any:
    """A verb reads its recipe up to ten times, and PyYAML takes 10 ms each."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return None
        _weigh(node, {})
        return _Loader("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"is not readable as YAML{place}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # characters that YAML forbids; integers of thousands of digits
        raise InputError(f"is not readable as YAML: {' '.join(str(error).split())}") from error


def write(value: Any, flow: bool = False) -> str:
    """`value` as YAML that `parse` and readers of YAML 1.1 take for the same. flow: all of it on one line."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow)
    return text.removesuffix("...\n").strip() if flow else text


def _weigh(node: Node, weights: dict[int, int]) -> int:
    """Nodes below and with this one, aliases counted as often as they are used. Refuses what no recipe needs."""
    weight = weights.get(id(node), 0)
    if weight < 0:
        raise _refused("an alias stands inside what it names", node)
    if weight:
        return weight
    weights[id(node)] = -1
    below: list[Node] = []
    if isinstance(node, MappingNode):
        _check_keys(node)
        below = [part for pair in node.value for part in pair]
    elif isinstance(node, SequenceNode):
        below = node.value
    _check_tag(node)
    weight = 1 + sum(_weigh(part, weights) for part in below)
    if weight > MOST_NODES:
        raise _refused(f"aliases make more than {MOST_NODES:,} values of it", node)
    weights[id(node)] = weight
    return weight


def _check_keys(node: MappingNode) -> None:
    """PyYAML keeps the last of several equal keys and says nothing."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise _refused("a key must be one word, not a list or a mapping", key)
        if key.value in seen:
            raise _refused(f"the key {key.value!r} is there twice, first at line {seen[key.value]}", key)
        seen[key.value] = key.start_mark.line + 1


def _check_tag(node: Node) -> None:
    if node.tag not in PLAIN:
        raise _refused(f"the tag {node.tag.replace(TAG, '!!')}: expected plain values", node)
    kind = node.tag.removeprefix(TAG)
    if isinstance(node, ScalarNode) and kind in SCALARS and not re.fullmatch(SCALARS[kind], node.value):
        raise _refused(f"{node.value!r} is no {kind}", node)


def _refused(why: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=why, problem_mark=at.start_mark)
