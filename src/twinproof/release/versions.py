"""Versions of a release: read strictly, compared as Semantic Versioning orders them, raised by one part.

A bump makes X.Y.Z and nothing else. A tag made by hand may carry a pre-release (`v1.2.0-rc.1`): it is built and
published as one, and is neither the latest version nor deployed by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Literal, get_args

from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["PARTS", "Part", "Version", "release_of_tag", "version_of_tag"]

Part = Literal["major", "minor", "patch"]
PARTS: tuple[Part, ...] = get_args(Part)
_NUMBER = r"(0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)
_IDENTIFIER = r"(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_RELEASE = re.compile(rf"{_VERSION.pattern}(?:-(?P<pre>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?", re.ASCII)
MAX_CHARS = 60


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """Semantic Versioning 2.0.0 without build metadata, which does not order and cannot stand in an image tag."""

    major: int
    minor: int
    patch: int
    pre: str = ""
    """`rc.1`; empty for a plain version."""

    @classmethod
    def parse(cls, text: str, where: str) -> Version:
        """Raises Malformed for anything but X.Y.Z: no leading zeros, no suffix, no `v`."""
        match = _VERSION.fullmatch(text)
        if match is None:
            hint = "release a plain X.Y.Z first" if re.match(r"v?[0-9]+\.[0-9]+", text) else ""
            raise Malformed("not a plain version", where=where, got=shown(text, 60), expected="X.Y.Z", hint=hint)
        return cls(int(match[1]), int(match[2]), int(match[3]))

    @classmethod
    def parse_release(cls, text: str, where: str) -> Version:
        """X.Y.Z, or X.Y.Z-pre.1. Raises Malformed."""
        found = _released(text)
        if found is None:
            raise Malformed("not a version", where=where, got=shown(text, 60), expected="X.Y.Z or X.Y.Z-rc.N")
        return found

    def raised(self, part: Part) -> Version:
        """The next version: the parts below the raised one start again at zero."""
        if part == "major":
            return Version(self.major + 1, 0, 0)
        if part == "minor":
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)

    @property
    def tag(self) -> str:
        return f"v{self}"

    def __lt__(self, other: Version) -> bool:
        return self._precedence < other._precedence

    @property
    def _precedence(self) -> tuple[int, int, int, bool, tuple[tuple[int, int, str], ...]]:
        """Semantic Versioning 2.0.0, 11: numbers below words, and a pre-release below its version."""
        parts = self.pre.split(".") if self.pre else []
        identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
        return self.major, self.minor, self.patch, not self.pre, identifiers

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")


def version_of_tag(tag: str) -> Version | None:
    """The plain version that a tag names; None for a tag of any other form, pre-releases too."""
    found = release_of_tag(tag)
    return found if found and not found.pre else None


def release_of_tag(tag: str) -> Version | None:
    """The version or pre-release that a tag names; None for a tag of any other form."""
    return _released(tag.removeprefix("v")) if tag.startswith("v") else None


def _released(text: str) -> Version | None:
    match = _RELEASE.fullmatch(text) if len(text) <= MAX_CHARS else None
    return Version(int(match[1]), int(match[2]), int(match[3]), match["pre"] or "") if match else None
