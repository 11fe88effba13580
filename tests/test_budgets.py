"""What fits into a budget, and sentences from patterns."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfft import budgets, patterns, recipe
from hfft.errors import InputError
from tests.layouts import BERT

LEVELS = {"blur": 5, "jpeg": 5, "flip": 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("2 min", 120), ("1.5h", 5400), ("90 seconds", 90), (45, 45), ("0", 0), (".5 minutes", 30)],
)
def test_durations_as_people_write_them(text, seconds):
    assert budgets.seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-3s", "5 days ago", "", "1s 2s", True, "5 ss", "nan"])
def test_what_is_no_duration_is_said(text):
    with pytest.raises(ValueError, match="expected seconds, or a text such as 60s"):
        budgets.seconds(text)


@pytest.mark.parametrize(
    ("budget", "rows", "severities"),
    [
        (1000, 2000, {"blur": (1, 2, 3, 4, 5), "jpeg": (1, 2, 3, 4, 5), "flip": (1,)}),  # all of it costs 220 s
        (110, 1000, {"blur": (1, 2, 3, 4, 5), "jpeg": (1, 2, 3, 4, 5), "flip": (1,)}),
        (10.9, 150, {"blur": (1, 3, 5), "jpeg": (1, 3, 5), "flip": (1,)}),  # 99 rows at all severities
        (6.9, 200, {"blur": (3,), "jpeg": (3,), "flip": (1,)}),
        (2.5, 100, {"blur": (3,), "jpeg": (3,)}),
        (0.9, 0, {}),
    ],
)
def test_first_severities_go_then_probes(budget, rows, severities):
    found = budgets.plan(LEVELS, dict.fromkeys(LEVELS, 0.01), 2000, budget)
    assert (found.rows, found.severities) == (rows, severities)
    assert found.left_out == tuple(name for name in LEVELS if name not in severities)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 5), min_size=1),
    st.lists(st.floats(1e-4, 0.5), min_size=8, max_size=8),
    st.integers(1, 5000),
    st.floats(0, 500),
)
def test_a_plan_keeps_to_its_budget_and_loses_no_probe(levels, costs, n, budget):
    prices = dict(zip("abcdefgh", costs, strict=True))
    found = budgets.plan(levels, prices, n, budget)
    spent = found.rows * sum(prices[name] * len(part) for name, part in found.severities.items())
    assert spent <= budget + 1e-9 and found.rows <= n
    assert {*found.severities, *found.left_out} == set(levels)
    assert all(part and max(part) <= levels[name] for name, part in found.severities.items())
    assert not found.severities or found.rows >= min(n, 100)


@given(st.floats(0, 500), st.integers(1, 3000))
def test_what_a_gate_is_about_keeps_its_strengths_whatever_the_budget(budget, n):
    found = budgets.plan(LEVELS, dict.fromkeys(LEVELS, 0.01), n, budget, whole=["jpeg"])
    assert found.severities["jpeg"] == (1, 2, 3, 4, 5) and found.rows >= min(n, 100)
    assert {*found.severities, *found.left_out} == set(LEVELS)
    others = sum(len(part) for name, part in found.severities.items() if name != "jpeg")
    assert not others or found.rows * (5 + others) * 0.01 <= budget


def test_rows_that_the_recipe_sets_are_tried_at_every_severity():
    found = budgets.plan(LEVELS, dict.fromkeys(LEVELS, 1e6), 2000, 1, rows=300)
    assert found.rows == 300 and found.severities["blur"] == (1, 2, 3, 4, 5) and not found.left_out


def test_a_pattern_makes_every_sentence_once():
    fill = {"name": ["Ann", "Bo"], "adjective": ["kind", "late", "kind"]}
    made = patterns.filled("{name} was {adjective}, {name}!", fill)
    assert made == [f"{n} was {a}, {n}!" for n, a in itertools.product(["Ann", "Bo"], ["kind", "late"])]
    assert patterns.filled("nothing to fill {{}}", {}) == ["nothing to fill {}"]


def test_of_billions_of_sentences_a_sample_is_drawn_always_the_same():
    fill = {key: [f"{key}{i}" for i in range(1000)] for key in "abc"}
    made = patterns.filled("{a} {b} {c}", fill)
    assert made == patterns.filled("{a} {b} {c}", fill)
    assert 1990 <= len(made) == len(set(made)) <= 2000
    assert len({text.split()[0] for text in made}) > 500
    more = {key: [f"{key}{i}" for i in range(1000)] for key in "abcdefgh"}
    assert len(patterns.filled(" ".join(f"{{{key}}}" for key in more), more)) == 2000


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ({"text": "{name} was", "label": "a"}, "recipe: probes.templates, number 1: fill has no words for {name}"),
        ({"text": "it was", "label": "a", "fill": {"who": ["x"]}}, "fill.who has no place in 'it was'"),
        ({"text": "{0} was", "label": "a"}, "expected a name such as {name}"),
        ({"text": "{ was", "label": "a"}, "cannot be read"),
        ({"text": "{a:{b}} was", "label": "a", "fill": {"a": ["x"]}}, "without : or !"),
        ({"text": "{a!r} was", "label": "a", "fill": {"a": ["x"]}}, "without : or !"),
        ({"text": "was", "lable": "a"}, "unknown key (did you mean 'label'?)"),
    ],
)
def test_a_wrong_template_is_told_with_the_recipe(template, says):
    with pytest.raises(InputError) as error:
        recipe.build({**BERT, "probes": {"templates": [template]}})
    assert says in str(error.value)


def test_a_recipe_with_probes_reads_back_as_it_was_written(write_text):
    tree = {**BERT, "probes": {"names": ["casing"], "budget": "5min", "rows": 20}}
    tree["probes"]["templates"] = [{"text": "{who} was", "label": "x", "fill": {"who": ["Ann"]}}]
    wanted = recipe.build(tree)
    assert recipe.load(write_text("r.yaml", recipe.dump(wanted))) == wanted
    assert wanted.probes.templates[0].fill == {"who": ["Ann"]}


@pytest.mark.parametrize(
    ("probes", "says"),
    [
        ({"budget": "soon"}, "recipe: probes.budget: 'soon' is no duration: expected seconds, or a text such as 60s"),
        (
            {"names": ["casng"]},
            "probes.names: no 'casng' (did you mean 'casing'?); known: accents, casing",
        ),
        ({"name": ["casing"]}, "probes.name: unknown key (did you mean 'names'?)"),
    ],
)
def test_wrong_probes_are_told_with_the_recipe(probes, says):
    with pytest.raises(InputError) as error:
        recipe.build({**BERT, "probes": probes})
    assert says in str(error.value)
    assert "jpeg" not in str(error.value) and "{'" not in str(error.value)


def test_gates_on_probes_may_be_nested_as_words_on_the_command_line_make_them():
    nested = recipe.build({**BERT, "gates": {"probe": {"casing": {"flip_rate": "<= 0.05"}}}})
    assert nested.gates == recipe.build({**BERT, "gates": {"probe.casing.flip_rate": "<= 0.05"}}).gates
    assert nested.gates == {"probe.casing.flip_rate": "<= 0.05"}
