"""One entry of the allow-list of OS images: which image, and the register values that it legitimately produces.

`twinproof image measure` prints entries in the form read here:

    [[policy.images]]
    hash = "..."        # os_image_hash: SHA-256 of sha256sum.txt, 32 bytes
    version = "0.5.4"
    dev = false
    mrtd = ["..."]      # 48 bytes each; a legacy image has one for each order of adding pages
    rtmr1 = ["..."]
    rtmr2 = ["..."]

Without registers an entry is matched by hash alone, which needs evidence that carries the image's own measurement
document ("TDX lite"); with them a legacy image is matched too.
"""

from __future__ import annotations

from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.wire import Fields, shown, unhex

__all__ = ["REGISTERS", "OsImage", "read_os_image"]

KEYS = ("hash", "version", "dev", "mrtd", "rtmr1", "rtmr2")
REGISTERS = ("mrtd", "rtmr1", "rtmr2")
HASH_BYTES, REGISTER_BYTES = 32, 48
MAX_VALUES = 16


class OsImage(NamedTuple):
    """`hash` is 32 bytes; each register value is 48 bytes, and any one of a register's values is legitimate."""

    hash: bytes
    version: str
    dev: bool
    mrtd: tuple[bytes, ...] = ()
    rtmr1: tuple[bytes, ...] = ()
    rtmr2: tuple[bytes, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether the entry holds register values; it holds those of all three registers or of none."""
        return bool(self.mrtd)

    @property
    def title(self) -> str:
        return f"{self.version}{' (development)' if self.dev else ''}"

    def to_json(self) -> dict[str, object]:
        registers = {name: [value.hex() for value in getattr(self, name)] for name in REGISTERS}
        return {"hash": self.hash.hex(), "version": self.version, "dev": self.dev, **registers}


def read_os_image(fields: Fields) -> OsImage:
    """One `[[policy.images]]` table. Raises Malformed for unknown keys, wrong sizes and half an entry."""
    for name in fields.raw:
        if name not in KEYS:
            raise Malformed("unknown key", where=fields.where, got=shown(name, 40), expected=", ".join(KEYS))
    mrtd, rtmr1, rtmr2 = (_values(fields, name) for name in REGISTERS)
    if len({bool(values) for values in (mrtd, rtmr1, rtmr2)}) > 1:
        raise Malformed(
            "registers of half an image", where=fields.where, expected="all of mrtd, rtmr1 and rtmr2, or none"
        )
    version = fields.text("version", max_chars=64)
    if not version.isprintable() or not version:
        raise Malformed("not a version", where=f"{fields.where}.version", got=shown(version, 40))
    return OsImage(
        hash=fields.hex("hash", size=HASH_BYTES),
        version=version,
        dev=fields.boolean("dev"),
        mrtd=mrtd,
        rtmr1=rtmr1,
        rtmr2=rtmr2,
    )


def _values(fields: Fields, name: str) -> tuple[bytes, ...]:
    if name not in fields:
        return ()
    texts = fields.texts(name, max_items=MAX_VALUES, max_chars=2 * REGISTER_BYTES)
    return tuple(unhex(text, f"{fields.where}.{name}[{i}]", size=REGISTER_BYTES) for i, text in enumerate(texts))
