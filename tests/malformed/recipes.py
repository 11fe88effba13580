"""Malformed recipes: every trap of YAML, every type in the wrong place, and words of the command line."""

from __future__ import annotations

from typing import Any

import yaml

from tests.malformed.case import BASE, Case, Files

ROWS = ("text,label\n" + "".join(f"{text},{label}\n" for text, label in BASE)).encode()
SOUND = "task: text_classification\ndata:\n  path: rows.csv\nmodel:\n  name: never/opened\n"
LAUGHS = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
LAUGHS += [f"&a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]


def files(text: str | bytes) -> Files:
    return {"rows.csv": ROWS, "mine.yaml": text if isinstance(text, bytes) else text.encode()}


def refused(name: str, text: str | bytes, sentence: str) -> Case:
    return Case(name, files(text), sentence=f"mine.yaml{sentence}")


def made(name: str, text: str | bytes, key: str = "seed", value: Any = 42) -> Case:
    """A recipe that must be read, with this value under this key."""
    return Case(name, files(text), values={key: value})


def more(line: str, sentence: str) -> Case:
    """A sound recipe with one more line (… of many) that must be refused."""
    return refused(line if len(line) < 40 else line[:40] + "…", SOUND + line + "\n", sentence)


def word(text: str, expected: Any, key: str = "") -> Case:
    """A word of the command line: the sentence it ends in, or the value that it gives to `key`."""
    name = f"word {text[:30]!r}"
    if key:
        return Case(name, files(SOUND), (text,), values={key: expected})
    return Case(name, files(SOUND), (text,), sentence=expected)


FILES = [
    refused("tab for indentation", SOUND.replace("  path", "\tpath"), " is not readable as YAML at line 3, column 1: found character '\\t'"),
    refused("list for a recipe", "- a\n- b\n", ": expected a mapping with task, data and model, got list"),
    refused("text for a recipe", "hello\n", ": expected a mapping with task, data and model, got str"),
    refused("number for a recipe", "5\n", ": expected a mapping with task, data and model, got int"),
    refused("empty recipe", "", ": expected a mapping with task, data and model, got NoneType"),
    refused("recipe of comments", "# hello\n", ": expected a mapping with task, data and model, got NoneType"),
    refused("two documents", SOUND + "---\n" + SOUND, " is not readable as YAML at line 6, column 1: but found another document"),
    refused("utf-16 recipe", SOUND.encode("utf-16"), ": line 1 is not UTF-8; save the file as UTF-8"),
    refused("latin-1 recipe", SOUND.encode() + "loss: café\n".encode("latin-1"), ": line 6 is not UTF-8"),
    refused("NUL in a recipe", SOUND + "loss: a\0b\n", " is not readable as YAML: unacceptable character #x0000"),
    refused("bell in a recipe", SOUND + "loss: a\ab\n", " is not readable as YAML: unacceptable character #x0007"),
    refused("pictures for a recipe", b"\x89PNG\r\n\x1a\n" + bytes(99), ": line 1 is not UTF-8"),
    made("BOM before a recipe", b"\xef\xbb\xbf" + SOUND.encode()),
    made("CRLF in a recipe", SOUND.replace("\n", "\r\n")),
    made("CR in a recipe", SOUND.replace("\n", "\r")),
    made("aliases", SOUND + "train: {learning_rate: &x 1.0e-4, weight_decay: *x}\n", "train.weight_decay", 1e-4),
    made("merged keys", SOUND + "train:\n  <<: {learning_rate: 1.0e-4, weight_decay: 0.5}\n  weight_decay: 0.1\n", "train", {"learning_rate": 1e-4, "weight_decay": 0.1}),
    Case("folder for a recipe", files(SOUND) | {"mine.yaml": lambda path: path.mkdir()}, sentence="mine.yaml is a folder without recipe.yaml"),
    Case("recipe that links to itself", files(SOUND) | {"mine.yaml": lambda path: path.symlink_to("mine.yaml")}, sentence="no recipe 'mine.yaml'"),
]  # fmt: skip

STRUCTURE = [
    more("task: image_classification", " is not readable as YAML at line 6, column 1: the key 'task' is there twice, first at line 1"),
    more("train:\n  learning_rate: 1\n  learning_rate: 2", " is not readable as YAML at line 8, column 3: the key 'learning_rate' is there twice"),
    more("train: {1: a, '1': b}", "…the key '1' is there twice"),
    more("seed: *x", " is not readable as YAML at line 6, column 7: found undefined alias 'x'"),
    more("train:\n  <<: 5", " is not readable as YAML at line 7, column 7: expected a mapping"),
    more("train: &a\n  learning_rate: [*a]", " is not readable as YAML at line 6, column 8: an alias stands inside what it names"),
    more("metrics: &m [*m]", " is not readable as YAML at line 6, column 10: an alias stands inside"),
    more("train:\n" + "".join(f"  a{i}: {laugh}\n" for i, laugh in enumerate(LAUGHS)), "…aliases make more than 10,000 values"),
    more("  config:\n" + "".join(f"    a{i}: {laugh}\n" for i, laugh in enumerate(LAUGHS)), "…aliases make more than 10,000 values"),
    more("loss: " + "[" * 500 + "]" * 500, " is not readable as YAML at line 6, column 56: nested more than 50 levels deep"),
    more("gates: " + "{a: " * 3000 + "1" + "}" * 3000, "…nested more than 50 levels deep"),
    more("metrics: " + "[" * 100_000, "…nested more than 50 levels deep"),
    more("{a: 1}: b", " is not readable as YAML at line 6, column 1: a key must be one word"),
    more("? [a]\n: b", " is not readable as YAML at line 6, column 3: a key must be one word"),
    more("loss: !!python/object/apply:os.system ['touch owned']", " is not readable as YAML at line 6, column 7: the tag !!python/object/apply:os.system"),
    more("loss: !mine x", "…the tag !mine: expected plain values"),
    more("loss: !!binary aGk=", "…the tag !!binary: expected plain values"),
    more("loss: !!set {a}", "…the tag !!set: expected plain values"),
    more("seed: !!timestamp x", "…the tag !!timestamp: expected plain values"),
    more("loss: !!bool x", "…'x' is no bool"),
    more("loss: !!int ''", "…'' is no int"),
    more("seed: !!float 1:30", "…'1:30' is no float"),
    *(more(f"{key}: x", f": …{told}") for key, told in (
        ("1", "1: keys should be strings"), ("null", "None: keys should be strings"), ("true", "keys should be strings, got True"),
        ("''", ": unknown key"), ("1.5", "1.5: keys should be strings"), ("no", "no: unknown key"), ("2020-01-01", "2020-01-01: unknown key"),
        ("data.path", "data.path: unknown key"), ("sede", "sede: unknown key (did you mean 'seed'?)"),
    )),
]  # fmt: skip

SCALARS = [
    made("5e-5 is a number", SOUND + "train: {learning_rate: 5e-5}\n", "train.learning_rate", 5e-5),
    made("5e-5 is a number where nobody checks", SOUND + "  config: {dropout: 5e-5}\n", "model.config", {"dropout": 5e-5}),
    made("1_000 is a thousand", SOUND + "train: {save_steps: 1_000}\n", "train.save_steps", 1000.0),
    Case("no is a word", files(SOUND.replace("rows.csv", "rows.csv\n  columns: {text: no}")), sentence="rows.csv: no column 'no' for text"),
    made("eval_strategy: no", SOUND + "train: {eval_strategy: no}\n", "train.eval_strategy", "no"),
    made("stratify: no", SOUND.replace("rows.csv", "rows.csv\n  split: {stratify: no}"), "data.split.stratify", False),
    made("a date is a word", SOUND + "  revision: 2024-01-01\n", "model.revision", "2024-01-01"),
    made("no such date", SOUND + "  revision: 2024-13-45\n", "model.revision", "2024-13-45"),
    made("seed: ~", SOUND + "seed: ~\n"),
    made("nothing below a section", SOUND + "train:\ngates:\n"),
    more("seed: 1_000", ": seed: input should be a valid integer, got '1_000'"),
    more("seed: 010", ": seed: input should be a valid integer, got '010'"),
    more("seed: 1:30", ": seed: input should be a valid integer, got '1:30'"),
    more("seed: 0x10", ": seed: input should be a valid integer, got '0x10'"),
    more("seed: 2024-01-01", ": seed: input should be a valid integer, got '2024-01-01'"),
    more("seed: " + "9" * 5000, " is not readable as YAML: Exceeds the limit"),
    more("loss: no", ": loss: no 'no'; known: …cross_entropy"),
    more("train: {bf16: yes}", ": train.bf16: expected bool, got 'yes'"),
]  # fmt: skip

# key → values that must be refused; the sentence names the key.
WRONG: dict[str, list[str]] = {
    "task": ["5", "[a]", "''", "null", "true", "text_clasification"],
    "data": ["rows.csv", "[rows.csv]", "5", "{}", "null"],
    "data.path": ["5", "[a]", "{a: b}", "''", "null", "true"],
    "data.data_files": ["5", "true", "{train: 5}", "[[a]]"],
    "data.options": ["5", "[a]", "x", "{1: a}"],
    "data.columns": ["5", "[text]", "text", "{text: [a]}", "{text: null}", "{text: true}", "{text: 1.5}", "{1: text}"],
    "data.pixels": [
        "5",
        "x",
        "[x, y]",
        "[0, 1]",
        "[-1, 1]",
        "[1]",
        "[1, 1, 1, 1]",
        "[1.5, 2]",
        "[.inf, 1]",
        "[true, true]",
    ],
    "data.limit": ["x", "0", "-5", "1.5", ".inf", ".nan", "true", "[1]", "1e3"],
    "data.on_bad_rows": ["ignore", "5", "true", "no"],
    "data.split": ["random", "[1]", "5", "{train: 0.5}", "{trian: 0.5}"],
    "data.split.train": ["x", "0", "1", "-1", "2", ".inf", ".nan", "[1]", "1e-400", "0.9"],
    "data.split.by": ["chance", "5", "no", "[random]"],
    "data.split.stratify": ["5", "maybe", "[true]", "1.5"],
    "model": ["x", "[a]", "5", "{}", "null"],
    "model.name": ["5", "[a]", "''", "null"],
    "model.revision": ["5", "true", "[a]"],
    "model.sha256": ["x", "5"],
    "model.pretrained": ["5", "maybe", "[true]"],
    "model.config": ["5", "[a]", "x"],
    "model.max_length": ["0", "1", "x", "1.5", ".inf", "true"],
    "model.image_size": ["0", "x", "[1, 2]", ".nan"],
    "train": ["5", "[a]", "x", "''"],
    "train.learning_rate": ["x", "[1]", "{a: 1}", ".inf", "-.inf", ".nan", "null", "true", "1e999"],
    "train.per_device_train_batch_size": ["1.5", "x", "true"],
    "train.optim": ["5", "[a]"],
    "train.lerning_rate": ["1"],
    "train.seed": ["1"],
    "augment": ["x", "[a]", "5"],
    "augment.flip": ["5", "x"],
    "augment.crop": ["0", "2", "-1", ".nan", ".inf", "x"],
    "loss": ["x", "5", "[a]", "''", "../losses/focal", "__init__"],
    "metrics": ["[]", "x", "5", "{a: 1}", "[5]", "[[a]]", "[null]", "['']"],
    "gates": [
        "5",
        "[a]",
        "{f1_macro: 0.7}",
        "{f1_macro: ''}",
        "{f1_macro: '>= nan'}",
        "{f1_macro: '>= 2'}",
        "{1: x}",
        "{'': x}",
    ],
    "seed": ["x", "-1", "1.5", ".inf", ".nan", "true", "4294967296", "[1]", "''", "1e3"],
}


def wrong(key: str, value: str) -> Case:
    """A sound recipe with the value in the place of the key."""
    tree: dict[str, Any] = {
        "task": "text_classification",
        "data": {"path": "rows.csv"},
        "model": {"name": "never/opened"},
    }
    *sections, last = key.split(".")
    at = tree
    for section in sections:
        at = at.setdefault(section, {})
    at[last] = "VALUE"
    text = yaml.safe_dump(tree).replace("VALUE", value)
    named = key.removesuffix(".train") if value == "0.9" else key  # shares that do not sum to 1
    return Case(f"{key}: {value}", files(text), sentence=named)


WORDS = [
    word("seed", "'seed': expected section.key=value"),
    word("=5", "'=5': expected section.key=value"),
    word("a..b=1", "'a..b=1': expected section.key=value"),
    word(".=1", "'.=1': expected section.key=value"),
    word("data.=1", "'data.=1': expected section.key=value"),
    word(".data=1", "'.data=1': expected section.key=value"),
    word("task.x=1", "'task.x=1': task is a value, not a section"),
    word("train=5", "train: input should be a valid dictionary, got 5"),
    word("data=5", "data: expected a section of keys, such as data.path"),
    word("data.path=", "data.path: input should be a valid string, got None"),
    word("loss=[", "loss: no '['"),
    word("loss={a: 1, a: 2}", "loss: no '{a: 1, a: 2}'"),
    word("metrics=accuracy", "metrics: input should be a valid list, got 'accuracy'"),
    word("seed=1=2", "seed: input should be a valid integer, got '1=2'"),
    word("seed=007", "seed: input should be a valid integer, got '007'"),
    word("seed=\0", "seed: input should be a valid integer, got '\\x00'"),
    word("seed=\udcff", "seed: input should be a valid integer, got '\\udcff'"),
    word("task=!!python/object/apply:os.getcwd []", "task: no '!!python"),
    word("loss=&a [*a]", "loss: no '&a [*a]'"),
    word("loss=" + "[" * 3000, "loss: no '[[["),
    word("data.path='rows.csv", "'rows.csv: no such file or folder"),
    word("data.columns={text: text, text: label}", "data.columns: input should be a valid dictionary"),
    word("data.columns.text=no", "rows.csv: no column 'no'"),
    word("train.learning_rate='3e-5'", 3e-5, "train.learning_rate"),
    word("data.path=rows.csv # a comment", "rows.csv", "data.path"),
    word("gates.f1_macro=>=0.5", ">=0.5", "gates.f1_macro"),
    word("model.config.a.b.c=1", {"a": {"b": {"c": 1}}}, "model.config"),
    word("seed=", 42, "seed"),
]  # fmt: skip

CASES = [
    *FILES,
    *STRUCTURE,
    *SCALARS,
    *(wrong(key, value) for key, values in WRONG.items() for value in values),
    *WORDS,
]
