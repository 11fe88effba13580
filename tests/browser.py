"""A headless Chromium for tests of pages; where there is none it says so, and in continuous integration it fails."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing that a browser does for itself may look like the page reaching for the network.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
MISSING = "no chromium here: apt-get install chromium, or name one in HFFT_CHROMIUM"
# Boxes of visible text that lie on one another: of each element with text of its own, the lines it takes.
OVERLAPS = """() => {
  const boxes = [];
  const walker = document.createTreeWalker(document.querySelector('.page'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, owner = node.parentElement;
    if (!node.data.trim() || owner.closest('.hidden, [hidden], script, style, title')) continue;
    if (!owner.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true })) continue;
    if (owner.closest('svg.heat, .columns, option')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 2 || box.height < 2) continue;
      const clip = owner.closest('.wide');
      if (clip && box.right > clip.getBoundingClientRect().right + 1) continue;
      boxes.push({ node, text: node.data.trim().slice(0, 40), left: box.left, right: box.right,
                   top: box.top + box.height * 0.2, bottom: box.bottom - box.height * 0.2 });
    }
  }
  boxes.sort((a, b) => a.top - b.top);
  const found = [];
  for (let i = 0; i < boxes.length; i++) {
    for (let j = i + 1; j < boxes.length && boxes[j].top < boxes[i].bottom; j++) {
      const a = boxes[i], b = boxes[j];
      if (a.node !== b.node && a.left + 1 < b.right && b.left + 1 < a.right) found.push([a.text, b.text]);
    }
  }
  return { boxes: boxes.length, found };
}"""


@dataclass
class Seen:
    """What a page did that no page of hfft may do."""

    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def executable() -> str:
    """The browser's path; skips the test where there is none, fails it where CI=true promises one."""
    known = os.environ.get("HFFT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if known is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    return known


@contextmanager
def browser() -> Iterator[Any]:
    path = executable()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=path, args=QUIET)
        yield made
        made.close()


@contextmanager
def loops_closed() -> Iterator[None]:
    """gradio makes event loops in the main thread for its locks and closes none; the warnings would hit later tests."""
    made, real = [], asyncio.new_event_loop

    def counted() -> Any:
        made.append(real())
        return made[-1]

    asyncio.new_event_loop = counted
    try:
        yield
    finally:
        asyncio.new_event_loop = real
        asyncio.set_event_loop(None)
        for loop in made:
            if not loop.is_running():
                loop.close()


@contextmanager
def opened(browser: Any, page: Path, width: int = 1440, scheme: str = "light", script: bool = True) -> Iterator[Any]:
    """(page, what it did) at a width in pixels; requests other than for the file itself are counted and refused."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=script,
        service_workers="block",
    )
    tab, seen = context.new_page(), Seen()

    def ask(route: Any) -> None:
        if route.request.url == page.as_uri():
            return route.continue_()
        seen.requests.append(route.request.url)
        return route.abort()

    context.route("**/*", ask)
    tab.on("console", lambda message: seen.console.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: seen.console.append(f"error: {error}"))
    tab.on("dialog", lambda dialog: (seen.console.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    tab.set_default_timeout(10_000)
    tab.goto(page.as_uri())
    yield tab, seen
    context.close()
    assert seen.console == [], "the page said something on the console"
    assert seen.requests == [], "the page asked for something"
