"""A version's GitHub Release as a plan: made once, completed by a re-run, never changed after it was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinproof.errors import Refused

__all__ = ["Plan", "Published", "Wanted", "plan_release"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`assets` are SHA-256 digests (hex) by file name; `latest` only for the highest plain version."""

    tag: str
    commit: str
    body: str
    prerelease: bool
    latest: bool
    assets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """What GitHub has under this tag: `assets` as in `Wanted`."""

    id: int
    draft: bool
    tag: str
    body: str
    prerelease: bool
    assets: Mapping[str, str]
    asset_ids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to do. Publishing comes last, so that a release is there complete or as a draft."""

    create: bool
    edit: bool
    delete: tuple[str, ...]
    upload: tuple[str, ...]
    publish: bool

    @property
    def nothing(self) -> bool:
        return not (self.create or self.edit or self.delete or self.upload or self.publish)


def plan_release(wanted: Wanted, found: Published | None) -> Plan:
    """Raises Refused when a published release says something else: each difference is named."""
    if found is None:
        return Plan(create=True, edit=False, delete=(), upload=tuple(wanted.assets), publish=True)
    differences = [
        name
        for name, same in (
            ("the notes", _lines(found.body) == _lines(wanted.body)),
            ("whether it is a pre-release", found.prerelease == wanted.prerelease),
        )
        if not same
    ]
    wrong = tuple(name for name in found.assets if found.assets[name] != wanted.assets.get(name))
    missing = tuple(name for name in wanted.assets if name not in found.assets)
    if not found.draft:
        differences += [f"the file {name}" for name in (*wrong, *missing)]
        if differences:
            raise Refused(
                f"this release is published and differs in {', '.join(differences)}",
                where=wanted.tag,
                hint="a released version never changes: release a higher one",
            )
        return Plan(create=False, edit=False, delete=(), upload=(), publish=False)
    again = tuple(name for name in wrong if name in wanted.assets)
    return Plan(create=False, edit=bool(differences), delete=wrong, upload=(*again, *missing), publish=True)


def _lines(text: str) -> list[str]:
    """GitHub may give a text back with other line ends."""
    return text.replace("\r\n", "\n").rstrip().split("\n")
