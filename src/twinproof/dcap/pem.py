"""PEM chains, as quotes and Intel's HTTP headers carry them: certificate blocks, one after the other, nothing else."""

from __future__ import annotations

import binascii

from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["pem_certificates"]

MAX_PEM_BYTES = 16 * 1024
MAX_CHAIN = 4
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_LINE_ENDS = b"\r\n"


def pem_certificates(pem: bytes, where: str) -> tuple[bytes, ...]:
    """The DER of each block, in the order of the text; one NUL at the end is usual. Raises Malformed."""
    if len(pem) > MAX_PEM_BYTES:
        raise Malformed("chain too long", where=where, got=f"{len(pem)} bytes", expected=f"at most {MAX_PEM_BYTES}")
    *blocks, rest = pem.removesuffix(b"\x00").split(_END)
    if not 1 <= len(blocks) <= MAX_CHAIN:
        raise Malformed("wrong number of certificates", where=where, got=str(len(blocks)), expected=f"1 to {MAX_CHAIN}")
    if rest.strip(_LINE_ENDS):
        raise Malformed("text after the last certificate", where=where, got=shown(rest[:24]))
    return tuple(_decoded(block.lstrip(_LINE_ENDS), f"{where}[{index}]") for index, block in enumerate(blocks))


def _decoded(block: bytes, where: str) -> bytes:
    if not block.startswith((_BEGIN + b"\n", _BEGIN + b"\r\n")) or not block.endswith(b"\n"):
        raise Malformed("not a PEM certificate", where=where, got=shown(block[:24]))
    text = block[len(_BEGIN) :].translate(None, _LINE_ENDS)
    try:
        der = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise Malformed("not base64", where=where, got=shown(str(error))) from error
    if binascii.b2a_base64(der, newline=False) != text:  # bits beyond the last byte: a second text for the same bytes
        raise Malformed("not base64", where=where, got=shown(text[-4:]), expected="no bits beyond the last byte")
    return der
