"""What the documents say is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from hfft import recipe, rooms
from hfft.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_recipes_page_lists_the_schema():
    page = (ROOT / "docs" / "recipes.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \| `(.*)` \|$", page, re.M)
    assert [(key, default, sentence.replace("\\|", "|")) for key, sentence, default in rows] == recipe.describe()
    assert len(rows) > 20


def test_readme_names_verbs_and_recipes_that_exist():
    verbs = {command.name for command in app.registered_commands}
    used = set(re.findall(r"hfft (ls|show|cp|check|run|eval|labels|report|predict|push|compare)\b", README))
    assert used and used <= verbs
    named = set(re.findall(r"\b(?:--recipe|RECIPE=|hfft (?:cp|run)) ?([a-z0-9]+_[a-z]+cls)\b", README))
    assert len(named) >= 2 and named <= set(recipe.shipped())


def test_readme_recipe_is_valid():
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", README, re.S) if b.startswith("task:"))
    import yaml

    assert recipe.build(yaml.safe_load(block)).task in rooms.names("modalities")


def test_links_lead_somewhere():
    seen = 0
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
            seen += 1
    assert seen >= 4


def test_no_placeholder_is_left():
    assert "@@" not in README
