"""What a run was made with: versions, hardware, commit, time and memory. For environment.json."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES: tuple[str, ...]
PACKAGES = ("hfft", "torch", "transformers", "datasets", "evaluate", "accelerate", "timm", "scikit-learn", "numpy")
PACKAGES += ("tokenizers", "torchvision", "pillow", "scipy")  # which make token ids, pixels and intervals


def versions() -> dict[str, str]:
    """Package → installed version, with Python's own."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_cores() -> int:
    """CPU cores for each process of a launch on this machine."""
    return max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def hardware(cores: int, accelerators: list[str], processes: int) -> dict[str, Any]:
    """What the run had to work with."""
    return {
        "cpu": _cpu(),
        "cores": cores,
        "accelerators": accelerators,
        "processes": processes,
        "system": platform.platform(),
    }


def today() -> str:
    """The date, UTC, as 2026-01-31."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def git_commit() -> str | None:
    """Commit of the current folder's repository, None outside one."""
    try:
        return _git("rev-parse", "HEAD").strip()
    except (OSError, subprocess.SubprocessError):
        return None


def peak_memory_gb() -> float:
    """Largest resident memory of this process so far, in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e9, 2)


def git_changed() -> bool:
    """Whether tracked files of the current folder's repository differ from the commit."""
    try:
        return bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return False


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, timeout=30, check=True).stdout


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or f"{os.cpu_count()} cores"
