"""Which tags an image gets, and whether it may have them: a released version never changes its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinproof.errors import Refused
from twinproof.release.versions import Version

__all__ = ["image_tags", "missing_tags"]


def image_tags(commit: str, version: Version | None) -> tuple[str, ...]:
    """`:<commit>` for every push, and `:X.Y.Z` for a release. There is no `latest`: what is deployed has a digest."""
    return (commit, str(version)) if version else (commit,)


def missing_tags(image: str, digest: str, wanted: Sequence[str], found: Mapping[str, str | None]) -> tuple[str, ...]:
    """The tags still to be written. Raises Refused, before any is written, when one has other content.

    `found` is what the registry holds under each tag: a digest, or None for nothing.
    """
    for tag in wanted:
        there = found[tag]
        if there is not None and there != digest:
            raise Refused(
                "this tag exists with other content, and a released version never changes",
                where=f"{image}:{tag}",
                got=there,
                expected=digest,
                hint="release a higher version; if the source is the same, the build is not reproducible",
            )
    return tuple(tag for tag in wanted if found[tag] is None)
