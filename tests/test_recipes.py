"""Every recipe that ships loads, and says in its first lines what it is and what to expect."""

import pytest

from hfft import gating, recipe, rooms, scoring

SHIPPED = recipe.shipped()


def test_there_are_recipes():
    assert len(SHIPPED) >= 8
    assert {"bert_textcls", "lite0_imgcls", "tiny_textcls", "tiny_imgcls"} <= set(SHIPPED)
    assert {recipe.load(name).task for name in SHIPPED} == set(rooms.names("modalities"))


@pytest.mark.parametrize("name", SHIPPED)
def test_it_loads_and_survives_writing(name, write_text):
    made = recipe.load(name)
    assert recipe.load(write_text("again.yaml", recipe.dump(made))) == made
    assert set(made.data.columns) <= {"label", *rooms.find("modalities", made.task).ROLES}
    for rule in made.gates.values():
        gating.parse(rule)
    assert scoring.keys(made.metrics, ("a", "b"), masks=made.masks)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_head_says_what_it_is_and_what_to_expect(name):
    lines = SHIPPED[name].read_text(encoding="utf-8").splitlines()
    head = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    assert head and len(head[0]) > 40
    assert any(line.startswith("# Expect: ") for line in head), "the second line: # Expect: the measured result"


@pytest.mark.parametrize("name", SHIPPED)
def test_what_comes_from_packages_is_there(name):
    """The demo packages are part of the developer's setup: a reference that finds nothing is a typing mistake."""
    from hfft import references

    made = recipe.load(name)
    for reference in (made.data.data_files, made.model.name):
        if isinstance(reference, str) and reference.startswith(references.SCHEME):
            assert references.resolve(reference) != reference
            assert made.model.sha256 or not made.model.pretrained or made.model.name != reference


def test_a_recipe_knows_from_its_task_whether_pixels_have_classes():
    for task in rooms.names("modalities"):
        tree = {"task": task, "data": {"path": "csv"}, "model": {"name": "x"}, "metrics": ["accuracy"]}
        assert recipe.build(tree).masks == rooms.find("modalities", task).MASKS, task
