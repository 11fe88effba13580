"""What of a run may leave this machine: a list of what is allowed, never of what is not.

In: a run folder. Out: a clean folder with copies, paths of this machine taken out of them, and digests of the files.
It must not know the Hub. Rows, predictions, checkpoints, pickles and the environment are not on the list.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hfft import card_front, credentials, notation, shipping_facts
from hfft.errors import InputError
from hfft.records import read_json, write_json
from hfft.run_folder import EXPORTS, RunFolder

MANIFEST = "hfft.json"  # which files of a repository are hfft's
CARD = "README.md"
# Of the model, and of what it is exported to: weights, config, processor, and how its scores become answers.
ALLOWED = re.compile(
    r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|(generation_)?config\.json"
    r"|(pre|image_)?processor_config\.json|preprocessor_config\.json|special_tokens_map\.json|added_tokens\.json"
    r"|tokenizer(_config)?\.json|tokenizer\.model|vocab\.(txt|json)|merges\.txt|(spiece|spm|sentencepiece\.bpe)\.model"
    r"|chat_template\.jinja|(calibration|decision|thresholds)\.json"
)
EXPORTED = re.compile(r"model\.onnx(\.data|_data)?|openvino_model\.(xml|bin)|model\.tflite|export\.json|README\.md")
FIGURE = re.compile(r"!\[[^\]]*\]\((?:\.\./)?figures/([\w.-]+\.png)\)")
# Keys of configs that may hold where a file lay, and keys of recipes whose value nobody should see.
PLACES = ("_name_or_path", "name_or_path", "tokenizer_file", "vocab_file", "merges_file", "auto_map")
SECRET = re.compile(r"token|secret|password|passwd|credential|api_?key|access_?key|storage_options", re.IGNORECASE)
NAMES = ("labels", "columns", "gates", "probes", "metrics", "colors")  # of a recipe: what looks like a path is none
TOKEN = re.compile(rb"hf_[A-Za-z0-9]{30,}")
UNSEARCHED = re.compile(r"(^|/)(tokenizer\.json|vocab\.(txt|json)|merges\.txt|.*\.(model|safetensors|bin|tflite|png))$")
BLOCK = 1 << 20


def collect(run: RunFolder, recipe: dict[str, Any], folder: Path, card: str) -> list[str]:
    """Copy what is allowed into the empty `folder`, with `card` as its README.md. Returns the paths in it, sorted.

    recipe: as its file has it.
    """
    for path in sorted(run.model.iterdir()):
        if ALLOWED.fullmatch(path.name):
            _copy(path, folder / path.name)
    digest = shipping_facts.weights(run)
    for export in shipping_facts.exports(run, digest):
        for path in sorted(export.iterdir()):
            if ALLOWED.fullmatch(path.name) or EXPORTED.fullmatch(path.name):
                _copy(path, folder / EXPORTS / export.name / path.name)
    if run.metrics.is_file():
        _copy(run.metrics, folder / run.metrics.name)
    if parity := shipping_facts.parity(run):  # numbers alone: ids of rows are digests of what rows say
        told = {key: value for key, value in parity.items() if not isinstance(value, (list, dict))}
        write_json(folder / shipping_facts.PARITY, told)
    (folder / "recipe.yaml").write_text(notation.write(public_recipe(recipe)), encoding="utf-8")
    for name in dict.fromkeys(FIGURE.findall(card)):
        if (run.figures / name).is_file():
            _copy(run.figures / name, folder / "figures" / name)
    (folder / CARD).write_text(card, encoding="utf-8")
    return listing(folder)


def listing(folder: Path) -> list[str]:
    """Paths of all files below a folder, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def manifest(run: RunFolder, folder: Path, files: Iterable[str], digests: dict[str, str]) -> None:
    """Write hfft.json: the run, its weights, and every file with its digest."""
    tree = {"version": 1, "run": run.root.resolve().name, "weights_sha256": digests.get("model.safetensors")}
    tree |= {"files": {path: digests[path] for path in files}}
    (folder / MANIFEST).write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def public_recipe(tree: Any, key: str = "") -> Any:
    """A recipe without paths of this machine and secrets.

    >>> public_recipe({"path": "/home/maria/x.csv", "options": {"token": "x", "sep": ","}, "labels": {"/a": "/b"}})
    {'path': 'x.csv', 'options': {'sep': ','}, 'labels': {'/a': '/b'}}
    """
    if isinstance(tree, dict):
        kept = {name: part for name, part in tree.items() if not SECRET.search(str(name))}
        return {name: part if name in NAMES else public_recipe(part, str(name)) for name, part in kept.items()}
    if isinstance(tree, list):
        return [public_recipe(part, key) for part in tree]
    return credentials.masked(card_front.public(tree)) if isinstance(tree, str) else tree


def check(folder: Path, files: Iterable[str], run: RunFolder, token: str | None) -> dict[str, str]:
    """path → sha256. Raises InputError for a file that holds a token, or names a folder of this machine."""
    homes = {str(Path.home()), str(run.root.resolve()), str(Path.cwd()), os.environ.get("HF_HOME", "")}
    paths = [f"{home}/".encode() for home in sorted(homes, key=len, reverse=True) if len(home) > 1]
    out = {}
    for name in files:
        out[name], held = _read(folder / name, [] if UNSEARCHED.search(name) else paths, token)
        if held:
            raise InputError(f"{name} holds {held}, which nobody else should see; take it out and push again")
    return out


def _read(path: Path, paths: list[bytes], token: str | None) -> tuple[str, str]:
    """(sha256, what it gives away). A token is not shown: it may end up in a log."""
    digest, tail, held = hashlib.sha256(), b"", ""
    secret = token.encode() if token else None
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            seen = tail + block
            if (secret and secret in seen) or TOKEN.search(seen):
                held = "a token"
            elif known := next((one for one in paths if one in seen), None):
                held = held or known.decode()
            tail = block[-256:]
    return digest.hexdigest(), held


def _copy(source: Path, target: Path) -> None:
    """A copy, a link where it can be; of a config that names a place on this machine, one without the name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".json" and not UNSEARCHED.search(source.name):
        tree = read_json(source)
        clean = _placeless(tree)
        if clean != tree:
            target.write_text(json.dumps(clean, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            return
    try:
        os.link(source, target)  # weights are large
    except OSError:
        shutil.copyfile(source, target)


def _placeless(tree: Any, key: str = "") -> Any:
    if isinstance(tree, dict):
        return {name: _placeless(part, str(name)) for name, part in tree.items()}
    if isinstance(tree, list):
        return [_placeless(part, key) for part in tree]
    return card_front.public(tree) if isinstance(tree, str) and key in PLACES else tree
