"""The commits of a version in one line: what its users notice, breaking changes first."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["notable_changes"]

_SUBJECT = re.compile(r"(?P<type>[A-Za-z]+)(?:\([^)]*\))?(?P<breaking>!)?: +(?P<text>\S.*)")
_NOTABLE = frozenset({"feat", "fix", "perf", "security", "revert"})


def notable_changes(subjects: Sequence[str]) -> tuple[str, ...]:
    """Descriptions of features, fixes and breaking changes, oldest first within each kind."""
    breaking, others = [], []
    for subject in subjects:
        match = _SUBJECT.fullmatch(subject.strip())
        if match and match["breaking"]:
            breaking.append(f"breaking: {match['text']}")
        elif match and match["type"].lower() in _NOTABLE:
            others.append(match["text"])
    return (*breaking, *others)
