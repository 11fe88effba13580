"""The frame of every page: templates, style, script and the policy that lets nothing else run.

In: a template's name and facts. Out: HTML and a file. Foreign text is escaped by the templates, and signs that would
steer a reader's eyes or break the file are written out (see steering.py). Knows no run folder.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hfft.errors import InputError
from hfft.records import write_whole
from hfft.steering import visible

HERE = Path(__file__).parent / "templates"
STYLES = ("page.css", "figures.css", "narrow.css")
SCRIPTS = ("lists.js", "matrix.js")
GENERATOR = "hfft report"  # tells hfft's own pages from others


def render(name: str, facts: dict[str, Any], filters: dict[str, Callable[..., Any]]) -> str:
    """The page `name` as one self-contained file. The same facts give the same text."""
    style, script = _joined(STYLES), _joined(SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    frame = {"style": Markup(style), "script": Markup(script), "script_hash": f"sha256-{digest}"}
    return template(name, filters).render(**facts, **frame, generator=GENERATOR)


def template(name: str, filters: dict[str, Callable[..., Any]]) -> jinja2.Template:
    """A template of the house; a name that is missing from the facts is an error, not a blank."""
    return _environment(tuple(filters.items())).get_template(name)


@cache
def _environment(filters: tuple[tuple[str, Callable[..., Any]], ...]) -> jinja2.Environment:
    """Kept, and with it every template in the form it was compiled to: verbs that make many runs make many pages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=jinja2.StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= dict(filters)
    return environment


def write(target: Path, page: str) -> Path:
    """Put a page into its place. Raises InputError where something lies that is not a page of hfft."""
    if target.exists() and not own(target):
        raise InputError(f"{target} exists and is no page of hfft: move it away, then ask again")
    write_whole(target, lambda path: path.write_text(page, encoding="utf-8"))
    return target


def own(path: Path) -> bool:
    """Whether a file is a page that hfft wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'<meta name="generator" content="{GENERATOR}">'.encode() in file.read(4096)


@cache
def _joined(names: tuple[str, ...]) -> str:
    return "".join((HERE / name).read_text(encoding="utf-8") for name in names)


def markdown(text: object) -> str:
    """Text from the data as one line of Markdown that formats nothing and ends no table cell."""
    line = escape(" ".join(str(text).split()), quote=False)
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", line)
