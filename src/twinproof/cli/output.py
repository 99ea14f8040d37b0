"""How this terminal wants its text: NO_COLOR, width, encoding."""

from __future__ import annotations

import os
import shutil
import sys

from twinproof.report.style import Style

__all__ = ["style_of"]

NARROWEST, WIDEST = 60, 120


def style_of() -> Style:
    """Colour only on a terminal without NO_COLOR; 80 columns where there is no terminal; ASCII where UTF-8 is not."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((80, 24)).columns if terminal else 80
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return Style(
        colour=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        unicode=encoding.startswith("utf"),
        width=max(NARROWEST, min(WIDEST, width)),
    )
