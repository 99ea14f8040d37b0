"""Text of others inside a Markdown document that people read on a forge: it is shown, and does nothing."""

from __future__ import annotations

import re

__all__ = ["inert"]

_SPACE = "&#8203;"  # of no width
_ADDRESS = re.compile(r"(?i)(://|www\.|(?:mailto|xmpp):)")


def inert(text: str) -> str:
    """Nothing in it ends a cell, starts a tag, a link, a formula or code, or mentions a person.

    An address stays text: forges make links of bare addresses too.
    """
    text = "".join(char if char.isprintable() else " " for char in text)
    for char in "\\`*_[]|#~$":
        text = text.replace(char, f"\\{char}")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("@", f"@{_SPACE}")
    return _ADDRESS.sub(lambda match: f"{match[0][:-1]}{_SPACE}{match[0][-1]}", text)
