"""Where the version stands: the files and lines of `.bumpversion.toml`, read without changing anything.

One list for reading and for writing: bump-my-version edits exactly the lines that are found here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.release.versions import Version
from twinproof.wire import Fields, shown

__all__ = ["CONFIG", "VersionFile", "agreed_version", "read_version_files"]

CONFIG = ".bumpversion.toml"
_FIELD = "{current_version}"
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class VersionFile:
    """A file, and the regular expression of its version's line with `{current_version}` in it."""

    path: str
    search: str

    def version_in(self, text: str, *, pre_release: bool = False) -> Version:
        """The version in this file's text; a pre-release only where asked for.

        Raises Malformed unless exactly one line holds one.
        """
        before, _, after = self.search.partition(_FIELD)
        found = re.findall(rf"{before}(?P<version>[^\"'\s]*){after}", text.removeprefix(_BOM), re.MULTILINE)
        if len(found) != 1:
            raise Malformed("the version has to stand exactly once", where=self.path, got=f"{len(found)} times")
        return (Version.parse_release if pre_release else Version.parse)(found[0], self.path)


def read_version_files(text: str) -> tuple[VersionFile, ...]:
    """The `[[tool.bumpversion.files]]` of the configuration, in its order. Raises Malformed."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"not a TOML file: {error}", where=CONFIG) from error
    table = Fields(document, CONFIG).child("tool").child("bumpversion")
    for name in ("commit", "tag", "allow_dirty"):
        if table.boolean(name):
            raise Malformed("has to be false: twinproof commits and tags", where=f"{CONFIG}.{name}", got="true")
    files = []
    for entry in table.objects("files", max_items=64):
        search = entry.text("search", max_chars=200)
        if not entry.boolean("regex") or search.count(_FIELD) != 1 or not search.startswith("^"):
            expected = "regex = true, and a search that starts with ^ and holds {current_version} once"
            raise Malformed(
                "a search that could find other lines", where=entry.where, got=shown(search), expected=expected
            )
        files.append(VersionFile(entry.text("filename", max_chars=255), search))
    if not files:
        raise Malformed("no file holds the version", where=CONFIG)
    return tuple(files)


def agreed_version(found: Sequence[tuple[str, Version]]) -> Version:
    """The one version that all files say. Raises Malformed with every file and its value when they do not agree."""
    if len({version for _, version in found}) != 1:
        raise Malformed(
            "the version's sources disagree",
            got=", ".join(f"{path} says {version}" for path, version in found),
            hint="set all of them to the version that was released last",
        )
    return found[0][1]
