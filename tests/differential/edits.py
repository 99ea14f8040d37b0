"""Edits of bytes and texts that know nothing of what they edit; each says what it did."""

from __future__ import annotations

from random import Random

__all__ = ["FOUR_BYTES", "TWO_BYTES", "edited", "overwritten"]

TWO_BYTES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20, 0x7FFF, 0x8000, 0xFFFF)
FOUR_BYTES = (0, 1, 2, 3, 4, 5, 6, 0x81, 0xFFFF, 1 << 20, (1 << 20) + 1, 1 << 31, (1 << 32) - 1)


def overwritten(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def edited(rng: Random, data: bytes, start: int, end: int) -> tuple[str, bytes]:
    """One edit inside data[start:end]: a bit, a byte, a run, something put in, something taken out."""
    at = rng.randrange(start, max(end, start + 1))
    size = min(rng.choice((1, 1, 2, 4, 16, 48)), end - at)
    bit, byte, run = rng.randrange(8), rng.randrange(256), rng.randbytes(size)
    other = rng.randrange(start, max(end, start + 1))
    kind = rng.choice(("bit", "bit", "bit", "byte", "zeros", "ones", "random", "in", "out", "twice", "exchanged"))
    changed = {
        "bit": lambda: overwritten(data, at, bytes([data[at] ^ 1 << bit])),
        "byte": lambda: overwritten(data, at, bytes([byte])),
        "zeros": lambda: overwritten(data, at, bytes(size)),
        "ones": lambda: overwritten(data, at, b"\xff" * size),
        "random": lambda: overwritten(data, at, run),
        "in": lambda: data[:at] + run + data[at:],
        "out": lambda: data[:at] + data[at + size :],
        "twice": lambda: data[:at] + data[at : at + size] + data[at:],
        "exchanged": lambda: overwritten(overwritten(data, at, data[other : other + 1]), other, data[at : at + 1]),
    }[kind]()
    return f"byte {at} {kind}: bit {bit}, byte {byte:#x}, {size} bytes {run.hex()}, other {other}", changed
