"""CRLs as collateral services serve them: DER, PEM or hex text, whatever the content type says."""

from __future__ import annotations

import binascii
import re

from twinproof.errors import Malformed
from twinproof.wire import shown, unhex

__all__ = ["crl_der"]

_PEM = re.compile(rb"-----BEGIN X509 CRL-----([A-Za-z0-9+/=\r\n]+)-----END X509 CRL-----\s*")
_DER, _DASH, _THREE = b"\x30", b"-", b"3"


def crl_der(body: bytes, where: str) -> bytes:
    """The DER bytes, as they were signed; the first byte tells the encoding. Raises Malformed.

    30 (a SEQUENCE) is DER, `-` PEM, and `3` hex text, because hex of a SEQUENCE starts with the characters 30.
    """
    first = body[:1]
    if first == _DER:
        return body
    der = b""
    if first == _DASH:
        match = _PEM.fullmatch(body)
        if match:
            try:
                der = binascii.a2b_base64(match[1].translate(None, b"\r\n"), strict_mode=True)
            except binascii.Error as error:
                raise Malformed("a CRL that is not base64", where=where, got=shown(str(error))) from error
    elif first == _THREE:
        der = unhex(body.strip().decode("latin-1"), where)
    if not der.startswith(_DER):
        raise Malformed("not a CRL", where=where, got=shown(body[:16]), expected="DER, PEM or hex")
    return der
