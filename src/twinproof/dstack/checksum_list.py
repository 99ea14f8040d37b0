"""sha256sum.txt of an OS image: one line `<hex>  <name>` for each measured file. Its own SHA-256 is os_image_hash."""

from __future__ import annotations

import re

from twinproof.errors import Malformed
from twinproof.wire import shown, unhex

__all__ = ["CHECKSUMS", "MAX_CHECKSUMS_BYTES", "is_flat_name", "parse_checksums"]

CHECKSUMS = "sha256sum.txt"
MAX_CHECKSUMS_BYTES = 64 << 10
MAX_FILES = 256
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}", re.ASCII)


def is_flat_name(name: str) -> bool:
    """Whether it names a file beside the list, whatever the operating system: no path, no blank, no leading dot."""
    return _NAME.fullmatch(name) is not None


def parse_checksums(data: bytes) -> dict[str, bytes]:
    """SHA-256 (32 bytes) by name, in the order of the list. Blank lines are skipped. Raises Malformed."""
    if len(data) > MAX_CHECKSUMS_BYTES:
        raise Malformed("too large", where=CHECKSUMS, got=f"{len(data)} bytes", expected=f"{MAX_CHECKSUMS_BYTES}")
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("not ASCII text", where=f"{CHECKSUMS} byte {error.start}") from error
    found: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        where = f"{CHECKSUMS} line {number}"
        digest, blank, name = line.partition(" ")
        if not blank or name[:1] not in {" ", "*"}:
            raise Malformed("not a line of sha256sum", where=where, got=shown(line, 100), expected="<hex>  <name>")
        name = name[1:]
        if not is_flat_name(name):
            raise Malformed("not the name of a file in the image", where=where, got=shown(name))
        if name in found:
            raise Malformed("a file listed twice", where=where, got=name)
        if len(found) >= MAX_FILES:
            raise Malformed("too many files", where=where, expected=f"at most {MAX_FILES}")
        found[name] = unhex(digest, where, size=32)
    if not found:
        raise Malformed("no checksums", where=CHECKSUMS)
    return found
