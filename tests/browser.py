"""A real headless Chromium for tests of pages: offline, fresh, and with an account of everything that it said."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["Visit", "axe_source", "chromium", "from_disk", "picture", "until_repeated", "visiting"]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = Path(__file__).resolve().parent / "web" / "axe"
PICTURES = Path(__file__).resolve().parents[1] / "screenshots"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; where it is missing, skipped on a desk and a failure in CI."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing: .ci/run has to install it")
        pytest.skip("Chromium is not installed: no page was opened")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page, what it wrote to its console, and every address that it asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def visiting(
    browser: Browser,
    url: str,
    *,
    width: int = 1200,
    scheme: Literal["light", "dark"] = "light",
    offline: bool = True,
    javascript: bool = True,
) -> Iterator[Visit]:
    """The page in a context of its own: no cookies, no cache, and no network unless it is asked for."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, offline=offline, color_scheme=scheme, java_script_enabled=javascript
    )
    visit = Visit(context.new_page())
    visit.page.set_default_timeout(30_000)
    visit.page.on("console", lambda message: visit.said.append(f"{message.type}: {message.text}"))
    visit.page.on("pageerror", lambda error: visit.said.append(f"error: {error}"))
    visit.page.on("request", lambda request: visit.asked.append(request.url))
    visit.page.goto(url)
    yield visit
    context.close()


@contextmanager
def from_disk(
    browser: Browser,
    folder: Path,
    text: str,
    *,
    width: int = 1200,
    scheme: Literal["light", "dark"] = "light",
    javascript: bool = True,
    seconds: float = 30.0,
) -> Iterator[Visit]:
    """The page of this text, opened as a file; with JavaScript, when its own verification has ended."""
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    with visiting(browser, path.as_uri(), width=width, scheme=scheme, javascript=javascript) as visit:
        if javascript:
            until_repeated(visit, seconds=seconds)
        yield visit


def until_repeated(visit: Visit, *, seconds: float = 30.0) -> None:
    """Waits until the page has verified itself again."""
    visit.page.wait_for_selector("#browser-result[data-done]", state="attached", timeout=1000 * seconds)


def picture(visit: Visit, name: str) -> None:
    """Kept beside the repository's files, in a folder that git ignores: what CI hands to people."""
    PICTURES.mkdir(exist_ok=True)
    visit.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def axe_source(directory: Path) -> str:
    """The checker's script, installed from its lock file; skipped on a desk without npm, a failure in CI."""
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("npm is missing: .ci/run has to install it")
        pytest.skip("npm is not installed: accessibility was not checked")
    folder = directory / "axe"
    shutil.copytree(AXE, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
