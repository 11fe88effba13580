"""Recipes at the door: every mistake in one sentence each, and nothing lost between file and object."""

import dataclasses

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hfft import notation, recipe, trainer_options
from hfft.errors import InputError
from hfft.recipe import Data, Model, Recipe, build, dump, load, locate

GOOD = {
    "task": "text_classification",
    "data": {"path": "csv", "data_files": "tweets.csv"},
    "model": {"name": "somebody/something"},
}


def mistake(**changes) -> str:
    with pytest.raises(InputError) as caught:
        build(GOOD | changes)
    return str(caught.value)


def at(section: str, **changes) -> str:
    return mistake(**{section: GOOD.get(section, {}) | changes})


def test_defaults_are_filled_in():
    made = build(GOOD)
    assert made == Recipe("text_classification", Data("csv", "tweets.csv"), Model("somebody/something"))
    assert (made.data.split.train, made.data.split.by, made.loss.name, made.seed) == (
        0.7,
        "random",
        "cross_entropy",
        42,
    )
    assert made.metrics == ["accuracy", "precision", "recall", "f1"]


def test_every_mistake_is_in_one_message():
    wrong = {
        "task": "text_clasification",
        "data": {"path": "csv", "limt": 10, "split": {"trian": 0.5}},
        "model": {"revision": 3},
        "train": {"learning_rat": 1, "output_dir": "x", "bf16": "perhaps"},
        "metrics": ["acuracy", "f1"],
        "los": "focal",
        "seed": -1,
    }
    with pytest.raises(InputError) as caught:
        build(wrong, "my.yaml")
    text = str(caught.value)
    first, *lines = text.split("\n  ")
    assert first == "my.yaml: "
    for start in (
        "task: no 'text_clasification' (did you mean 'text_classification'?); known: ",
        "data.limt: unknown key (did you mean 'limit'?); known here: path, data_files, ",
        "data.split.trian: unknown key (did you mean 'train'?); known here: train, validation, test, by, stratify",
        "model.name: is missing",
        "model.revision: input should be a valid string, got 3",
        "train.learning_rat: not a field of transformers.TrainingArguments (did you mean 'learning_rate'?)",
        "train.output_dir: cannot be set here; use --output-dir",
        "train.bf16: expected bool, got 'perhaps'",
        "metrics: no 'acuracy' (did you mean 'accuracy'?); known: accuracy, auroc, ",
        "los: unknown key (did you mean 'loss'?)",
        "seed: input should be greater than or equal to 0, got -1",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, (start, text)
    assert len(lines) == 11


def test_one_mistake_is_one_line():
    assert mistake(sede=1).startswith("recipe: sede: unknown key (did you mean 'seed'?)")
    assert "\n" not in mistake(sede=1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": []}, "data: expected a section of keys, such as data.path"),
        ({"data": None}, "data: is missing"),
        ({"train": 5}, "train: input should be a valid dictionary, got 5"),
        ({"train": {5: 1}}, "train.5: "),
        ({"metrics": []}, "metrics: list should have at least 1 item"),
        ({"metrics": "f1"}, "metrics: input should be a valid list, got 'f1'"),
        ({"gates": {"f1_macro": 0.7}}, "gates.f1_macro: 0.7 does not say in which direction; type '>= 0.7', in quotes"),
        ({"gates": {"ece": 0.05}}, "gates.ece: 0.05 does not say in which direction; type '<= 0.05', in quotes"),
        ({"gates": {"ece": ">= 0.05"}}, "gates.ece: '>= 0.05': of ece, less is better; type '<= 0.05'"),
        ({"gates": {"f1_macro": ["a"]}}, "gates.f1_macro: ['a'] is not a rule: expected one of"),
        ({"gates": {"f1_macro": True}}, "gates.f1_macro: True is not a rule: expected one of"),
        ({"gates": {"mcc": "<= -2"}}, "gates.mcc: '<= -2': it runs from -1 to 1, so the threshold must too"),
        ({"gates": {"looks": "3 times"}}, "gates.looks: expected a whole number from 0 on, the most that is allowed"),
        ({"gates": {"leaks": -1}}, "gates.leaks: expected a whole number from 0 on, the most that is allowed, got -1"),
        ({"gates": {"leaks": 0.5}}, "gates.leaks: expected a whole number from 0 on"),
        ({"gates": {"no_worse_than": "runs/base"}}, "gates.no_worse_than: expected {run: runs/base, margin: 0.01}, or"),
        ({"gates": {"no_worse_than": []}}, "gates.no_worse_than: names no run; type {run: runs/base, margin: 0.01}"),
        (
            {"gates": {"no_worse_than": [{"run": "a", "margin": 0.01}, {"run": "a"}]}},
            "gates.no_worse_than: margin is missing: expected {run: runs/base, margin: 0.01}",
        ),
        (
            {"gates": {"no_worse_than": {"run": "a", "margn": 0.01}}},
            "gates.no_worse_than: unknown key margn (did you mean 'margin'?); known here: run, margin, metric",
        ),
        (
            {"gates": {"no_worse_than": {"run": "a", "margin": 2}}},
            "gates.no_worse_than: margin: expected 0 to below 1, such as 0.01 for one point, got 2; for 2 points type",
        ),
        (
            {"gates": {"no_worse_than": {"run": "a", "margin": "1 %"}}},
            "gates.no_worse_than: margin: expected a number, such as 0.01 for one point, got '1 %'",
        ),
        (
            {"gates": {"no_worse_than": {"run": 3, "margin": 0}}},
            "gates.no_worse_than: run: expected the folder of a run",
        ),
        (
            {"gates": {"no_worse_than": {"run": "a", "margin": 0, "metric": 1}}},
            "gates.no_worse_than: metric: expected a metric's name",
        ),
        ({"gates": ["f1_macro"]}, "gates: input should be a valid dictionary"),
        ({"loss": "cros_entropy"}, "loss: no 'cros_entropy' (did you mean 'cross_entropy'?)"),
        ({"seed": True}, "seed: input should be a valid integer, got True"),
        ({"seed": 2**32}, "seed: input should be less than 4294967296"),
        ({7: 1}, "7: "),
    ],
)
def test_wrong_values(changes, expected):
    with pytest.raises(InputError) as caught:
        build(GOOD | changes)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"limit": 9}, "data.limit: input should be greater than or equal to 10, got 9"),
        ({"limit": True}, "data.limit: input should be a valid integer, got True"),
        ({"on_bad_rows": "skip"}, "data.on_bad_rows: input should be 'fail' or 'drop', got 'skip'"),
        ({"pixels": [28]}, "data.pixels: list should have at least 2 items"),
        ({"pixels": [28, 0]}, "data.pixels.1: input should be greater than 0, got 0"),
        ({"columns": {"label": 7.84}}, "data.columns.label: input should be a valid string, got 7.84"),
        ({"split": {"train": 0.9}}, "data.split: train + validation + test must be 1, not 1.2"),
        ({"split": {"train": 1, "validation": 0, "test": 0}}, "data.split.train: input should be less than 1, got 1"),
        (
            {"split": {"by": "chance"}},
            "data.split.by: input should be 'random', 'predefined', 'group', 'time' or 'hash', got 'chance'",
        ),
    ],
)
def test_wrong_data(changes, expected):
    assert expected in at("data", **changes)


def test_wrong_model():
    assert "model.sha256: string should match pattern" in at("model", sha256="ABC")
    assert "model.max_length: input should be greater than or equal to 2" in at("model", max_length=1)


@pytest.mark.parametrize("key", sorted(trainer_options.RESERVED))
def test_what_hfft_sets_cannot_be_set(key):
    assert key in trainer_options.fields(), "a name that is no field would be refused anyway"
    assert f"train.{key}: cannot be set here; {trainer_options.RESERVED[key]}" in mistake(train={key: "x"})


@pytest.mark.parametrize("old", sorted(trainer_options.RENAMED))
def test_old_names_are_told_the_new_one(old):
    assert old not in trainer_options.fields()
    assert f"train.{old}: unknown key; it is called {trainer_options.RENAMED[old]}" in mistake(train={old: 1})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("learning_rate", "5e-5", 5e-5),
        ("learning_rate", 1, 1.0),
        ("num_train_epochs", 2, 2.0),
        ("per_device_train_batch_size", "16", 16),
        ("warmup_steps", 0.1, 0.1),
        ("eval_strategy", False, "no"),
        ("save_strategy", "epoch", "epoch"),
        ("bf16", True, True),
        ("run_name", None, None),
        ("lr_scheduler_kwargs", {"num_cycles": 2}, {"num_cycles": 2}),
        ("report_to", ["tensorboard"], ["tensorboard"]),
    ],
)
def test_train_values_get_their_declared_type(key, value, expected):
    got = build(GOOD | {"train": {key: value}}).train[key]
    assert got == expected and type(got) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("learning_rate", "fast", "expected float, got 'fast'"),
        ("learning_rate", True, "expected float, got True"),
        ("learning_rate", [1], "expected float, got [1]"),
        ("per_device_train_batch_size", 16.5, "expected int, got 16.5"),
        ("per_device_train_batch_size", True, "expected int, got True"),
        ("bf16", 1, "expected bool, got 1"),
        ("bf16", "yes", "expected bool, got 'yes'"),
    ],
)
def test_train_values_of_the_wrong_type(key, value, expected):
    assert f"train.{key}: {expected}" in mistake(train={key: value})


def test_the_fields_are_those_of_the_installed_class():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say while they are imported
        from transformers import TrainingArguments
    assert set(trainer_options.fields()) == {entry.name for entry in dataclasses.fields(TrainingArguments)}
    assert trainer_options.fields()["learning_rate"] == ["float"]


@pytest.fixture
def mine(write_text):
    return write_text("mine.yaml", yaml.safe_dump(GOOD | {"train": {"learning_rate": 1e-3}}))


def test_overrides(mine):
    words = [
        "train.learning_rate=3e-5",
        "train.eval_strategy=no",
        "data.split.by=predefined",
        "data.columns.text=tweet",
        "gates.f1_macro=>= 0.7",
        "model.revision=a=b",
        "metrics=[f1]",
        "seed=7",
    ]
    made = load(mine, words)
    assert made.train == {"learning_rate": 3e-5, "eval_strategy": "no"}
    assert (made.data.split.by, made.data.columns, made.gates) == (
        "predefined",
        {"text": "tweet"},
        {"f1_macro": ">= 0.7"},
    )
    assert (made.model.revision, made.metrics, made.seed) == ("a=b", ["f1"], 7)
    assert load(mine).seed == 42, "the file is as it was"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed", "'seed': expected section.key=value"),
        ("=7", "'=7': expected section.key=value"),
        ("seed.x=7", "'seed.x=7': seed is a value, not a section"),
        ("train.lerning_rate=1", "train.lerning_rate: not a field"),
        ("dta.path=x", "dta: unknown key (did you mean 'data'?)"),
        ("model.revision=2024-13-45", None),
    ],
)
def test_overrides_that_mean_nothing(write_text, word, expected):
    path = write_text("r.yaml", yaml.safe_dump(GOOD | {"seed": 1}))
    if expected is None:
        assert load(path, [word]).model.revision == "2024-13-45"
        return
    with pytest.raises(InputError) as caught:
        load(path, [word])
    assert expected in str(caught.value)


# PyYAML writes U+0085 (a line end of old mainframes) in a form that it reads back as a space.
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | PLAIN
SHARES = st.tuples(*[st.integers(1, 50)] * 3).map(lambda t: [part / sum(t) for part in t])

RIVAL = st.fixed_dictionaries({"run": PLAIN.filter(bool), "margin": st.just(0) | st.floats(0, 0.9)})
RULES = st.fixed_dictionaries(
    {},
    optional={"leaks": st.integers(0), "looks": st.integers(0), "no_worse_than": RIVAL | st.lists(RIVAL, min_size=1)},
)


@st.composite
def trees(draw):
    shares = dict(zip(("train", "validation", "test"), draw(SHARES), strict=True))
    files = draw(st.none() | PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(PLAIN, PLAIN | st.lists(PLAIN)))
    return {
        "task": draw(st.sampled_from(["text_classification", "image_classification"])),
        "data": {
            "path": draw(PLAIN.filter(bool)),
            "data_files": files,
            "options": draw(st.dictionaries(PLAIN, SCALARS, max_size=3)),
            "columns": draw(st.dictionaries(PLAIN, PLAIN, max_size=3)),
            "pixels": draw(st.none() | st.lists(st.integers(1, 99), min_size=2, max_size=3)),
            "limit": draw(st.none() | st.integers(10, 10**6)),
            "split": shares | {"stratify": draw(st.booleans())},
        },
        "model": {
            "name": draw(PLAIN.filter(bool)),
            "revision": draw(st.none() | PLAIN),
            "config": draw(st.dictionaries(PLAIN, SCALARS | st.lists(SCALARS, max_size=2), max_size=3)),
        },
        "train": {
            "learning_rate": draw(st.floats(0, 1)),
            "eval_strategy": draw(st.sampled_from(["no", False, "steps"])),
        },
        "gates": draw(st.dictionaries(PLAIN, st.sampled_from([">= 0.7", "<5e-1"]), max_size=2)) | draw(RULES),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@settings(max_examples=60)
@given(trees())
def test_what_is_written_reads_back_equal(tree):
    made = build(tree)
    assert build(yaml.safe_load(dump(made))) == made
    assert build(notation.parse(dump(made))) == made


def test_a_recipe_is_found_by_name_path_and_run_folder(tmp_path, monkeypatch, mine):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "recipe.yaml").write_text(yaml.safe_dump(GOOD))
    (tmp_path / "tiny_textcls").mkdir()
    assert locate("tiny_textcls")[1] == recipe.SHIPPED / "tiny_textcls.yaml", "a folder of that name is no recipe"
    name, path = locate("mine.yaml")
    assert (name, path.resolve()) == ("mine", (tmp_path / "mine.yaml").resolve())
    name, path = locate("first")
    assert (name, path.resolve()) == ("first", (tmp_path / "first" / "recipe.yaml").resolve())
    assert load("first") == build(GOOD)
    monkeypatch.chdir("first")
    assert locate(".")[0] == "first"


def test_a_recipe_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty is a folder without recipe\.yaml: expected a run folder"):
        locate("empty")
    with pytest.raises(InputError, match=r"no recipe 'tiny_txtcls' \(did you mean 'tiny_textcls'\?\)"):
        locate("tiny_txtcls")
    (tmp_path / "mine.yaml").touch()
    for name, said in {"mine.yml": r"\(did you mean 'mine\.yaml'\?\)", f"{'a' * 300}/x": "no recipe 'aaa"}.items():
        with pytest.raises(InputError, match=said):
            locate(name)


def test_a_byte_order_mark_is_no_mistake(write_text):
    assert load(write_text("bom.yaml", "\ufeff" + yaml.safe_dump(GOOD))) == build(GOOD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task: [1\ndata: x\n", "is not readable as YAML at line 2, column 5: "),
        ("task: text_classification\n\tdata: 1\n", "is not readable as YAML at line 2, column 1: "),
        ("task: a: b\n", "is not readable as YAML at line 1, column 8: "),
        ("", "expected a mapping with task, data and model, got NoneType"),
        ("- task\n", "expected a mapping with task, data and model, got list"),
        ("text,label\n", "expected a mapping with task, data and model, got str"),
        ("task: a\ntask: b\n", "is not readable as YAML at line 2, column 1: the key 'task' is there twice, first at"),
    ],
)
def test_files_that_are_no_recipe(write_text, text, expected):
    path = write_text("bad.yaml", text)
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value).startswith(path) and expected in str(caught.value)


def test_a_file_that_is_not_utf8(write_text):
    with pytest.raises(InputError, match=r"latin\.yaml: line 1 is not UTF-8; save the file as UTF-8"):
        load(write_text("latin.yaml", "task: caf\xe9\n", "latin-1"))


def test_a_class_name_in_brackets_may_hold_dots_and_equal_signs():
    tree: dict = {}
    for word in ("gates.recall[v1.2]=>= 0.1", "gates.recall[a=b]=>= 0.2", "data.options.sep=="):
        recipe._override(tree, word)
    assert tree["gates"] == {"recall[v1.2]": ">= 0.1", "recall[a=b]": ">= 0.2"}
    assert tree["data"]["options"]["sep"] == "="
