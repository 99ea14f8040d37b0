"""DER whose signed part was changed and signed again by whoever signed it: the bytes are odd, the key is right."""

from __future__ import annotations

import base64
import textwrap
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from differential.edits import edited
from twinproof_devnet.der import bit_string, oid, sequence

__all__ = ["pem_of", "resigned_certificate", "resigned_crl"]

_ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"))


def resigned_certificate(
    rng: Random, certificate: x509.Certificate, signer: ec.EllipticCurvePrivateKey
) -> tuple[str, bytes]:
    """DER."""
    what, signed = _edited_der(rng, certificate.tbs_certificate_bytes)
    return what, _signed(signed, signer)


def resigned_crl(rng: Random, der: bytes, signer: ec.EllipticCurvePrivateKey) -> tuple[str, bytes]:
    what, signed = _edited_der(rng, x509.load_der_x509_crl(der).tbs_certlist_bytes)
    return what, _signed(signed, signer)


def _signed(content: bytes, signer: ec.EllipticCurvePrivateKey) -> bytes:
    return sequence(content, _ECDSA_WITH_SHA256, bit_string(signer.sign(content, ec.ECDSA(SHA256()))))


def pem_of(der: bytes, width: int = 64) -> str:
    """PEM of whatever the bytes are."""
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), width)
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))


def _edited_der(rng: Random, der: bytes) -> tuple[str, bytes]:
    """One edit; in half of them one value is edited and the lengths around it are mended, so that it parses."""
    if rng.random() < 0.5:
        return edited(rng, der, 0, len(der))
    values = list(_values(der, 0, len(der), ()))
    start, head, end, parents = rng.choice(values)
    kind = rng.choice(("content", "content", "content", "gone", "twice", "tag", "empty", "long length"))
    tag, content = der[start], der[start + head : end]
    if kind == "content" and content:
        what, content = edited(rng, content, 0, len(content))
        new = _element(tag, content)
    elif kind == "gone":
        what, new = "left out", b""
    elif kind == "twice":
        what, new = "twice", der[start:end] * 2
    elif kind == "tag":
        tag = rng.choice((2, 3, 4, 5, 6, 12, 19, 22, 23, 24, 48, 49, 1, tag ^ 0x20))
        what, new = f"tag := {tag:#x}", _element(tag, content)
    elif kind == "long length":
        what, new = "long length", bytes([tag, 0x83]) + len(content).to_bytes(3, "big") + content
    else:
        what, new = "emptied", _element(tag, b"")
    out = der[:start] + new + der[end:]
    grown = len(new) - (end - start)
    for at, size, stop in reversed(parents):
        mended = _element(out[at], out[at + size : stop + grown])
        out, grown = out[:at] + mended + out[stop + grown :], grown + len(mended) - (stop - at) - grown
    return f"value at {start} ({der[start]:#x}) {what}", out


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    width = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | width]) + size.to_bytes(width, "big") + content


Parent = tuple[int, int, int]


def _values(
    der: bytes, start: int, end: int, parents: tuple[Parent, ...]
) -> list[tuple[int, int, int, tuple[Parent, ...]]]:
    """Start, size of tag and length, end, parents (outermost first) of every value, octet strings looked into."""
    found = []
    while start + 2 <= end:
        size, head = der[start + 1], 2
        if size & 0x80:
            width = size & 0x7F
            size, head = int.from_bytes(der[start + 2 : start + 2 + width], "big"), 2 + width
        stop = start + head + size
        if stop > end:
            break
        found.append((start, head, stop, parents))
        inside = (*parents, (start, head, stop))
        if der[start] & 0x20 or (der[start] == 4 and size > 2 and der[start + head] in {0x30, 0x03, 0x04}):
            found += _values(der, start + head, stop, inside)
        start = stop
    return found
