"""A bundle's text without what it shares with others, and back, byte for byte.

A canonical bundle (`bundle_to_json`) has each member at the start of a line, after exactly one space. A shared member's
text, from there to the next member, is taken out and named by its SHA-256; joining puts texts back at their places.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from twinproof.errors import Malformed

__all__ = ["SHARED", "Pieces", "cut", "join"]

SHARED = (b"app_compose", b"collateral")
_MEMBER = re.compile(rb'\n "([a-z_]+)": ')


@dataclass(frozen=True, slots=True)
class Pieces:
    """`rest` is the text without the shared parts; `places` are offsets in it and the digests that belong there."""

    rest: bytes
    places: tuple[tuple[int, str], ...]


def cut(text: bytes) -> tuple[Pieces, dict[str, bytes]]:
    """The pieces of a canonical bundle, and the shared texts by their digests (hex)."""
    starts = [(match.start(), match[1]) for match in _MEMBER.finditer(text)]
    rest, places, shared, at = b"", [], {}, 0
    for (start, name), (end, _) in pairwise([*starts, (len(text), b"")]):
        if name in SHARED:
            part = text[start:end]
            digest = hashlib.sha256(part).hexdigest()
            shared[digest] = part
            rest += text[at:start]
            places.append((len(rest), digest))
            at = end
    return Pieces(rest + text[at:], tuple(places)), shared


def join(pieces: Pieces, shared: Mapping[str, bytes]) -> bytes:
    """The bundle's text. Raises Malformed for a part that is not there, or for places that are none."""
    parts, at = [], 0
    for place, digest in pieces.places:
        if digest not in shared:
            raise Malformed("a shared part of this bundle is missing or was changed", where=f"objects/{digest}")
        if not at <= place <= len(pieces.rest):
            raise Malformed("a part belongs to no place of this bundle", where=f"objects/{digest}", got=str(place))
        parts += [pieces.rest[at:place], shared[digest]]
        at = place
    return b"".join((*parts, pieces.rest[at:]))
