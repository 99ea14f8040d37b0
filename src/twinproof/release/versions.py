"""Versions of a release, X.Y.Z and nothing else: read strictly, compared as numbers, raised by one part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["PARTS", "Part", "Version", "version_of_tag"]

Part = Literal["major", "minor", "patch"]
PARTS: tuple[Part, ...] = get_args(Part)
_NUMBER = r"(0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Semantic Versioning 2.0.0 without pre-release and build: a release is one that everybody can order."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str, where: str) -> Version:
        """Raises Malformed for anything but X.Y.Z: no leading zeros, no suffix, no `v`."""
        match = _VERSION.fullmatch(text)
        if match is None:
            hint = "release a plain X.Y.Z first" if re.match(r"v?[0-9]+\.[0-9]+", text) else ""
            raise Malformed("not a plain version", where=where, got=shown(text, 60), expected="X.Y.Z", hint=hint)
        return cls(*map(int, match.groups()))

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

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def version_of_tag(tag: str) -> Version | None:
    """The version that a tag names; None for a tag of any other form."""
    match = _VERSION.fullmatch(tag.removeprefix("v")) if tag.startswith("v") else None
    return Version(*map(int, match.groups())) if match else None
