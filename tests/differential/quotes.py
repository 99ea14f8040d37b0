"""Mutations of real quotes: every field, every length, splices, cuts, and edits of the parts that nothing signs."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice, pairwise
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from differential.edits import FOUR_BYTES, TWO_BYTES, edited, overwritten
from differential.harness import Case
from differential.resigned import pem_of
from differential.world import Real, real_cases
from twinproof.tdx.quote import parse_quote

__all__ = ["real_quote_cases"]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256: s and ORDER - s sign the same."""
_HEADER = ((0, 2), (2, 4), (4, 8), (8, 10), (10, 12), (12, 28), (28, 44), (44, 48))
_TD = (0, 16, 64, 112, 120, 128, 136, 184, 232, 280, 328, 376, 424, 472, 520, 584, 600, 648, 649, 681, 729, 777)
_ENCLAVE = (0, 16, 20, 48, 64, 96, 128, 160, 256, 258, 260, 320, 352, 384)
_END = b"-----END CERTIFICATE-----\n"


@cache
def regions(quote: bytes) -> tuple[tuple[str, int, int], ...]:
    """Name, start and end of every field."""
    parsed = parse_quote(quote)
    found = [(f"header {start}", start, end) for start, end in _HEADER]
    body = 48
    if parsed.header.version == 5:
        found += [("body type", 48, 50), ("body size", 50, 54)]
        body = 54
    size = len(parsed.signed) - body
    cuts = (*(cut for cut in (_ENCLAVE if parsed.tee == "SGX" else _TD) if cut < size), size)
    found += [(f"report {start}", body + start, body + end) for start, end in pairwise(cuts)]
    at = len(parsed.signed)
    widths = [("signature data length", 4), ("signature r", 32), ("signature s", 32), ("key x", 32), ("key y", 32)]
    if parsed.header.version > 3:
        widths += [("outer type", 2), ("outer length", 4)]
    widths += [(f"QE report {start}", end - start) for start, end in pairwise(_ENCLAVE)]
    widths += [("QE signature r", 32), ("QE signature s", 32), ("authentication data length", 2)]
    widths += [("authentication data", len(parsed.qe_auth_data)), ("certification type", 2)]
    widths += [("certification length", 4), ("PCK chain", len(parsed.certification_data))]
    for name, width in widths:
        found.append((name, at, at + width))
        at += width
    assert at == len(parsed.raw)
    return tuple(region for region in found if region[1] < region[2])


def region(quote: bytes, name: str) -> tuple[int, int]:
    return next((start, end) for found, start, end in regions(quote) if found == name)


def _a_field(rng: Random, quote: bytes) -> tuple[str, bytes]:
    name, start, end = rng.choice(regions(quote))
    what, mutated = edited(rng, quote, start, end)
    return f"{name}, {what}", mutated


def _a_bit(rng: Random, quote: bytes) -> tuple[str, bytes]:
    at, bit = rng.randrange(len(quote)), rng.randrange(8)
    return f"byte {at} bit {bit} flipped", overwritten(quote, at, bytes([quote[at] ^ 1 << bit]))


def _a_number(rng: Random, quote: bytes) -> tuple[str, bytes]:
    """A length, type or version of another value: special ones, and those around the true one."""
    fields = [item for item in regions(quote) if re.search(r"length|type|size|header (0|2|4|8|10)$", item[0])]
    name, start, end = rng.choice(fields)
    width = end - start
    true = int.from_bytes(quote[start:end], "little")
    near = [true + step for step in (-64, -2, -1, 1, 2, 64) if 0 <= true + step < 256**width]
    value = rng.choice((*near, *(TWO_BYTES if width == 2 else FOUR_BYTES)))
    return f"{name} := {value}", overwritten(quote, start, value.to_bytes(width, "little"))


def _cut_or_grown(rng: Random, quote: bytes) -> tuple[str, bytes]:
    if rng.random() < 0.3:
        tail = rng.choice((bytes(rng.randrange(1, 100)), rng.randbytes(rng.randrange(1, 100)), quote))
        return f"{len(tail)} bytes after the end", quote + tail
    borders = [start + step for _, start, _ in regions(quote) for step in (-1, 0, 1) if start + step > 0]
    size = rng.choice((rng.choice(borders), rng.randrange(len(quote))))
    return f"cut off at {size}", quote[:size]


def _spliced(rng: Random, quote: bytes) -> tuple[str, bytes]:
    """Fields of one genuine quote in another."""
    other = rng.choice(real_cases()).quote
    names = [name for name, _, _ in regions(quote)]
    first = rng.randrange(len(names))
    last = min(len(names) - 1, first + rng.choice((0, 0, 1, 3, 8, 30)))
    theirs = {name: other[start:end] for name, start, end in regions(other)}
    mutated = b"".join(
        theirs.get(name, b"") if first <= index <= last else quote[start:end]
        for index, (name, start, end) in enumerate(regions(quote))
    )
    return f"{names[first]} .. {names[last]} of {other[:2].hex()} {len(other)}", mutated


def _other_s(rng: Random, quote: bytes) -> tuple[str, bytes]:
    """ECDSA values at and beyond their limits; the first two sign the same."""
    name = rng.choice(("signature", "QE signature"))
    (at, end), (start, _) = region(quote, f"{name} s"), region(quote, f"{name} r")
    r, s = int.from_bytes(quote[start:at], "big"), int.from_bytes(quote[at:end], "big")
    values = ((r, ORDER - s), (r, ORDER - s), (0, s), (r, 0), (0, 0), (1, 1), (r, ORDER), (ORDER, s), (s, r))
    new_r, new_s = rng.choice((*values, (r, (s + ORDER) % 2**256), ((r + ORDER) % 2**256, s), (r, 2**256 - 1)))
    return f"{name} := {new_r:x}, {new_s:x}", overwritten(
        quote, start, new_r.to_bytes(32, "big") + new_s.to_bytes(32, "big")
    )


def with_certification(quote: bytes, data: bytes, *, left_over: bytes = b"", kind: int = 5) -> bytes:
    """Another PCK chain, every length right; `left_over` stands after it, inside the signature data."""
    start, end = region(quote, "PCK chain")
    head = overwritten(quote[:start], start - 6, kind.to_bytes(2, "little") + len(data).to_bytes(4, "little"))
    grown = len(data) - (end - start) + len(left_over)
    for name in ("signature data length", "outer length"):
        for found, at, stop in regions(quote):
            if found == name:
                size = int.from_bytes(quote[at:stop], "little") + grown
                head = overwritten(head, at, size.to_bytes(4, "little"))
    return head + data + left_over


def _another_chain(rng: Random, quote: bytes) -> tuple[str, bytes]:
    start, end = region(quote, "PCK chain")
    what, chain = edited_chain(rng, quote[start:end])
    kind, left_over = 5, b""
    if rng.random() < 0.1:
        left_over = rng.choice((b"\x00", rng.randbytes(9)))
        what += f", {left_over.hex()} left over"
    if rng.random() < 0.05:
        kind = rng.randrange(9)
        what += f", certification type {kind}"
    return what, with_certification(quote, chain, left_over=left_over, kind=kind)


def edited_chain(rng: Random, chain: bytes) -> tuple[str, bytes]:
    """A PEM chain that reads almost the same."""
    blocks = [block + _END for block in chain.rstrip(b"\x00").split(_END)[:-1]]
    edits: tuple[tuple[str, Callable[[], bytes]], ...] = (
        ("as it is, rejoined", lambda: b"".join(blocks)),
        ("zeros after it", lambda: chain + bytes(rng.randrange(1, 4))),
        ("no last line end", lambda: b"".join(blocks)[:-1]),
        ("CRLF", lambda: chain.replace(b"\n", b"\r\n")),
        ("CR", lambda: chain.replace(b"\n", b"\r")),
        ("an empty line between", lambda: b"\n".join(blocks)),
        ("spaces between", lambda: b"  ".join(blocks)),
        ("text between", lambda: b"Certificate:\n".join(blocks)),
        ("text before", lambda: b"subject=CN\n" + chain),
        ("text after", lambda: b"".join(blocks) + b"bye\n"),
        ("reversed", lambda: b"".join(reversed(blocks))),
        ("leaf, root, CA", lambda: b"".join((blocks[0], blocks[-1], *blocks[1:-1]))),
        ("without the root", lambda: b"".join(blocks[:-1])),
        ("the leaf alone", lambda: blocks[0]),
        ("without the CA", lambda: blocks[0] + blocks[-1]),
        ("without the leaf", lambda: b"".join(blocks[1:])),
        ("the root twice", lambda: b"".join((*blocks, blocks[-1]))),
        ("the leaf twice", lambda: b"".join((blocks[0], *blocks))),
        ("the CA twice", lambda: b"".join((blocks[0], blocks[1], *blocks[1:]))),
        ("the CA three times more", lambda: b"".join((blocks[0], *(blocks[1:2] * 3), *blocks[1:]))),
        ("empty", lambda: b""),
        ("another label", lambda: chain.replace(b"CERTIFICATE", b"X509 CERTIFICATE")),
        ("a trusted label", lambda: chain.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")),
        ("lower-case label", lambda: chain.replace(b"CERTIFICATE", b"certificate")),
        ("a header inside", lambda: chain.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nX-A: b\n\n", 1)),
        ("lines of 76", lambda: b"".join(_wrapped(block, 76) for block in blocks)),
        ("one line", lambda: b"".join(_wrapped(block, 10_000) for block in blocks)),
        ("lines of 5", lambda: b"".join(_wrapped(block, 5) for block in blocks)),
        ("spaces in a line", lambda: chain.replace(b"\n", b" \n", 3)),
        ("a tab in a line", lambda: chain[:60] + b"\t" + chain[60:]),
        ("an indented line", lambda: chain.replace(b"\n", b"\n ", 2)),
        ("no base64 padding", lambda: chain.replace(b"=", b"")),
        ("more padding", lambda: chain.replace(b"\n-----END", b"=\n-----END")),
        ("other bits in the padding", lambda: _loose_bits(chain)),
        ("URL base64", lambda: chain.replace(b"+", b"-").replace(b"/", b"_", 1)),
        ("a byte after the DER", lambda: _of_der(blocks, rng.randrange(len(blocks)), lambda der: der + b"\x00")),
        ("another end of the signature", lambda: _of_der(blocks, rng.randrange(len(blocks)), _other_der_s)),
        ("a second leaf of another", lambda: _foreign(rng, blocks)),
        ("DER", lambda: b"".join(_der(block) for block in blocks)),
        ("a byte order mark", lambda: b"\xef\xbb\xbf" + chain),
        ("a DER edit", lambda: _der_edit(rng, blocks)),
        ("a DER edit", lambda: _der_edit(rng, blocks)),
        ("a DER edit", lambda: _der_edit(rng, blocks)),
        ("an edit", lambda: edited(rng, chain, 0, len(chain))[1]),
        ("an edit", lambda: edited(rng, chain, 0, len(chain))[1]),
    )
    what, edit = rng.choice(edits)
    return f"PCK chain {what}", edit()


def _der(block: bytes) -> bytes:
    return base64.b64decode(b"".join(block.splitlines()[1:-1]))


def _wrapped(block: bytes, width: int) -> bytes:
    return pem_of(_der(block), width).encode("ascii")


def _of_der(blocks: list[bytes], index: int, change: Callable[[bytes], bytes]) -> bytes:
    return b"".join(
        pem_of(change(_der(block))).encode("ascii") if at == index else block for at, block in enumerate(blocks)
    )


def _der_edit(rng: Random, blocks: list[bytes]) -> bytes:
    return _of_der(blocks, rng.randrange(len(blocks)), lambda der: edited(rng, der, 0, len(der))[1])


def _other_der_s(der: bytes) -> bytes:
    """The same signature with ORDER - s: other bytes, as valid."""
    signature = x509.load_der_x509_certificate(der).signature
    r, s = decode_dss_signature(signature)
    other = encode_dss_signature(r, ORDER - s)
    head = der[: -len(signature) - 3]
    grown = len(other) - len(signature)
    size = int.from_bytes(head[2:4], "big") + grown
    return head[:2] + size.to_bytes(2, "big") + head[4:] + bytes([3, len(other) + 1, 0]) + other


def _loose_bits(chain: bytes) -> bytes:
    """Base64 whose last character before `=` has bits that mean nothing."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return re.sub(rb"([A-Za-z0-9+/])(=+)", lambda m: bytes([alphabet[alphabet.index(m[1]) | 1]]) + m[2], chain)


def _foreign(rng: Random, blocks: list[bytes]) -> bytes:
    other = rng.choice(real_cases()).quote
    start, end = region(other, "PCK chain")
    leaf = other[start:end].split(_END)[0] + _END
    return b"".join((blocks[0], leaf, *blocks[1:]))


EDITS: tuple[Callable[[Random, bytes], tuple[str, bytes]], ...] = (
    _a_field,
    _a_field,
    _a_bit,
    _a_number,
    _cut_or_grown,
    _spliced,
    _other_s,
    _another_chain,
    _another_chain,
)


def real_quote_cases(rng: Random, count: int) -> Iterator[Case]:
    for base in islice(cycle(real_cases()), count):
        yield _mutated(rng, base)


def _mutated(rng: Random, base: Real) -> Case:
    what, quote = rng.choice(EDITS)(rng, base.quote)
    return base.case(what, quote or b"\x00")
