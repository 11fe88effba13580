"""All runs below a folder, in groups that answered the same test rows. The facts of the page of runs.

In: a folder. Out: plain facts. Opens no split and computes nothing; a run that cannot be read is named with the reason.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from hfft import ledger
from hfft.errors import InputError
from hfft.recipe import read_yaml
from hfft.records import SEEDS, leading, less_is_better, read_json
from hfft.run_folder import RunFolder

PATTERNS = ("*/recipe.yaml", "*/*/recipe.yaml")  # runs, and runs of several seeds
VERDICTS = ("pass", "fail", "cannot tell")


def found(root: Path) -> list[Path]:
    """Run folders in `root` or one folder below, by name; hidden ones are left out."""
    places = sorted({path.parent for pattern in PATTERNS for path in root.glob(pattern)})
    return [path for path in places if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def index(root: Path) -> dict[str, Any]:
    """{"name", "groups", "broken"}: groups share test rows and the metric that leads, largest group first.

    A group: {fingerprint, n, metric, less_is_better, runs}; its runs have the best value first. Runs without a test
    score are a group of their own, with fingerprint None. broken: [{name, reason}]. Raises InputError when there is no
    run at all.
    """
    places = found(root)
    if not places:
        raise InputError(f"{root} holds no run: expected a folder that `hfft run` wrote, or one with such folders")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    broken = []
    for place in places:
        name = place.relative_to(root).as_posix()
        try:
            facts = _run(RunFolder(place), name)
        except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            broken.append({"name": name, "reason": _reason(error, root)})
            continue
        groups.setdefault((facts.pop("rows"), facts["metric"], facts["n"]), []).append(facts)
    told = [
        {"fingerprint": key[0], "metric": key[1], "n": key[2], "runs": sorted(runs, key=_order)}
        | {"less_is_better": bool(key[1]) and less_is_better(key[1])}
        for key, runs in groups.items()
    ]
    told.sort(key=lambda group: (group["fingerprint"] is None, -len(group["runs"]), str(group["fingerprint"])))
    return {"name": root.resolve().name, "groups": told, "broken": broken}


def _run(run: RunFolder, name: str) -> dict[str, Any]:
    """What a line of the index says. rows: the test rows' fingerprint, None where they have not been scored."""
    recipe, scores = read_yaml(run.root / "recipe.yaml"), run.read_scores()
    whole = {key: score for key, score in scores.get("test", {}).items() if "[" not in key}
    metric, looks = leading(whole), ledger.read(run)
    split = read_json(run.split) if run.split.is_file() else {}
    environment = read_json(run.environment) if run.environment.is_file() else {}
    gates = read_json(run.root / "gates.json") if (run.root / "gates.json").is_file() else []
    score = whole[metric] if metric else None
    return {
        "name": name,
        "task": recipe["task"],
        "data": _data(recipe.get("data") or {}),
        "model": str((recipe.get("model") or {}).get("name", "")),
        "rows": split.get("fingerprints", {}).get("test", "unknown") if metric else None,
        "metric": metric,
        "n": score.n if score else None,
        "score": dataclasses.asdict(score) if score else None,
        "gates": {verdict: sum(gate["verdict"] == verdict for gate in gates) for verdict in VERDICTS} if metric else {},
        "looks": looks.count,
        "ledger": looks.state,
        "when": str(environment.get("started") or "")[:16].replace("T", " "),
        "report": run.report.is_file(),
        "finished": run.finished or bool(run.members),
        "seeds": (run.root.parent / SEEDS).is_file(),
    }


def _data(section: dict[str, Any]) -> str:
    """What tells the data apart: the path, of a builder such as csv the file it reads."""
    files = section.get("data_files")
    return str(files if isinstance(files, str) else section.get("path", ""))


def _order(facts: dict[str, Any]) -> tuple[float, str]:
    value = facts["score"]["value"] if facts["score"] else None
    if value is None:
        return (math.inf, facts["name"])
    return (value if less_is_better(facts["metric"]) else -value, facts["name"])


def _reason(error: Exception, root: Path) -> str:
    """What is wrong, without the path of this machine above the folder."""
    if isinstance(error, InputError):
        return str(error).replace(f"{root}/", "")
    return f"its files are not as hfft writes them ({type(error).__name__}: {error})"
