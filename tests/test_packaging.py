"""What pip installs: the wheel carries everything a run needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from hfft import recipe, rooms

ROOT = Path(__file__).parent.parent


def test_the_wheel_carries_recipes_templates_and_every_room(tmp_path):
    build = ["-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *build],
        cwd=_copy(tmp_path / "source"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    held = set(zipfile.ZipFile(next(tmp_path.glob("hfft-*.whl"))).namelist())
    assert {f"hfft/recipes/{name}.yaml" for name in recipe.shipped()} <= held
    launches = list((ROOT / "recipes" / "accelerate").glob("*.yaml"))
    assert len(launches) == 7 and {f"hfft/recipes/accelerate/{path.name}" for path in launches} <= held
    for room in ("losses", "metrics", "modalities"):
        assert {f"hfft/{room}/{name}.py" for name in rooms.names(room)} <= held
    assert {"hfft/templates/report.html.j2", "hfft/templates/card.md.j2", "hfft/py.typed", "hfft/cli.py"} <= held
    assert {f"hfft/{path.name}" for path in (ROOT / "hfft").glob("*.py")} <= held
    pages = [path for path in (ROOT / "hfft/templates").rglob("*") if path.is_file()]
    assert len(pages) > 15 and {str(path.relative_to(ROOT)) for path in pages} <= held


def _copy(target: Path) -> Path:
    """The sources alone: a build in the checkout would leave its traces there."""
    import shutil

    for name in ("hfft", "recipes"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    return target
