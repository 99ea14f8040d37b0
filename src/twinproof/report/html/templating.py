"""Templates in which every value is escaped, and hashes that allow a page its own style and script and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from twinproof.errors import UsageError
from twinproof.report.verdict_text import time_text

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["ASSETS", "csp_hash", "environment_of", "shared_templates", "templates_in", "visible"]

ASSETS = files(__package__) / "assets"


def environment_of(templates: Mapping[str, str]) -> Environment:
    """The templates, with every value escaped and every unknown name an error. Raises UsageError without Jinja2."""
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as error:
        raise UsageError("an HTML report needs Jinja2", hint="pip install 'twinproof[web]'") from error
    made = Environment(
        autoescape=True, loader=DictLoader(templates), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["visible"] = visible
    made.filters["time"] = time_text
    return made


def templates_in(folder: Traversable) -> dict[str, str]:
    """Texts by file name."""
    return {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".jinja")}


def shared_templates() -> dict[str, str]:
    """What reports and served pages have in common: the frame, tables, drawings."""
    return templates_in(ASSETS)


def visible(text: str) -> str:
    """The text with every character that would not show, or would turn the text around, written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)


def csp_hash(text: str) -> str:
    """The source expression for an inline style or script (CSP level 3, 2.3.1), with its quotes."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
