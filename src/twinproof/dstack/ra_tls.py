"""RA-TLS: a certificate that carries the quote over its own key.

Extensions under 1.3.6.1.4.1.62397.1 (dstack `ra-tls`), each a DER OCTET STRING inside the extension value:
`.1` quote and `.2` event log text (older guests), `.8` versioned attestation, `.3` app id, `.4` usage, `.9` app info.
A value of the evidence may start with `ELGZv1`, then it is gzip, of at most 16 KiB unpacked. Evidence in both forms at
once is refused: two readers would take it from two places. Nothing that the issuer wrote is believed: the key is bound
by `report_data = SHA-512("ratls-cert:" || DER SubjectPublicKeyInfo)` in the quote.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from twinproof.dstack.app_info import AppInfo, parse_app_info
from twinproof.dstack.attestation import MAX_QUOTE_BYTES, VersionedAttestation, parse_versioned_attestation
from twinproof.dstack.event_log import EventLog, parse_event_log
from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["RaTlsEvidence", "expected_report_data", "first_certificate", "read_ra_tls_certificate"]

WHERE = "RA-TLS certificate"
MAX_CERTIFICATE_BYTES = 1 << 20
MAX_UNPACKED_BYTES = 16 << 10
MAX_USAGE_CHARS = 64
_ARC = "1.3.6.1.4.1.62397.1"
_EVIDENCE = frozenset({"1", "2", "8"})
_COMPRESSED = b"ELGZv1"
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
_GZIP = 16 + zlib.MAX_WBITS


class RaTlsEvidence(NamedTuple):
    """What the certificate carries. `app_id`, `usage` and `app_info` are claims of whoever issued it."""

    quote: bytes
    event_log: EventLog
    vm_config: str | None
    spki: bytes
    """DER SubjectPublicKeyInfo of the certificate's key."""
    app_id: bytes | None
    usage: str | None
    app_info: AppInfo | None
    attestation: VersionedAttestation | None
    """The `.8` extension, when the evidence comes from it."""

    @property
    def report_data(self) -> bytes:
        """The 64 bytes that the quote must sign for this key."""
        return expected_report_data(self.spki)


def expected_report_data(spki: bytes) -> bytes:
    """SHA-512("ratls-cert:" || DER SubjectPublicKeyInfo), 64 bytes."""
    return hashlib.sha512(b"ratls-cert:" + spki).digest()


def first_certificate(pem: bytes, where: str) -> bytes:
    """DER of the first certificate of a PEM chain: the leaf. Raises Malformed."""
    try:
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415  (loads SSH)

        return x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)
    except (ValueError, IndexError) as error:
        raise Malformed("not a PEM certificate", where=where) from error


def read_ra_tls_certificate(der: bytes) -> RaTlsEvidence:
    """Read a certificate's evidence; neither its signature nor its issuer matters. Raises Malformed, Contradiction."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise Malformed("too large", where=WHERE, got=f"{len(der)} bytes")
    spki, values = _open(der)
    quote, log_text, attestation = values.get("1"), values.get("2"), None
    if "8" in values:
        if quote is not None or log_text is not None:
            older = f"{_ARC}.1" if quote is not None else f"{_ARC}.2"
            raise Malformed("evidence in two forms", where=WHERE, got=f"{_ARC}.8 and {older}", expected="one of them")
        attestation = parse_versioned_attestation(values["8"])
        quote, log, vm_config = attestation.quote, attestation.event_log, attestation.config or None
    elif quote is None:
        raise Malformed("no quote: not an RA-TLS certificate", where=WHERE, expected=f"extension {_ARC}.8 or {_ARC}.1")
    elif log_text is None:
        raise Malformed("a quote without an event log", where=WHERE, expected=f"extension {_ARC}.2")
    else:
        log, vm_config = parse_event_log(_utf8(log_text, f"{WHERE} extension {_ARC}.2")), None
    if len(quote) > MAX_QUOTE_BYTES:
        raise Malformed("quote too large", where=WHERE, got=f"{len(quote)} bytes")
    return RaTlsEvidence(
        quote=quote,
        event_log=log,
        vm_config=vm_config,
        spki=spki,
        app_id=values.get("3"),
        usage=_usage(values["4"]) if "4" in values else None,
        app_info=parse_app_info(values["9"]) if "9" in values else None,
        attestation=attestation,
    )


def _open(der: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The key, and the octets of each extension under the arc by its last number."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415  (loads SSH)

        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        extensions = tuple(certificate.extensions)
    except (*_UNREADABLE, Warning) as error:  # a Warning where the caller turns warnings into errors
        raise Malformed("not a readable X.509 certificate", where=WHERE, got=shown(str(error), 60)) from error
    values: dict[str, bytes] = {}
    for extension in extensions:
        arc, _, last = extension.oid.dotted_string.rpartition(".")
        if arc == _ARC and isinstance(extension.value, x509.UnrecognizedExtension):
            where = f"{WHERE} extension {arc}.{last}"
            value = _octet_string(extension.value.value, where)
            values[last] = _unpacked(value, where) if last in _EVIDENCE else value
    return spki, values


def _octet_string(der: bytes, where: str) -> bytes:
    """The content of a DER OCTET STRING that fills the whole value: tag 04, a length in its shortest form, content."""
    if der[:1] != b"\x04" or len(der) < 2:
        raise Malformed("not an OCTET STRING", where=where, got=der[:2].hex())
    head, size = 2, der[1]
    if size >= 0x80:
        more = size & 0x7F
        head, size = 2 + more, int.from_bytes(der[2 : 2 + more], "big")
        if not 1 <= more <= 4 or size < 0x80 or size >> (8 * (more - 1)) == 0:
            raise Malformed("OCTET STRING length not DER", where=where, got=der[:6].hex())
    if len(der) != head + size:
        raise Malformed(
            "OCTET STRING of another length", where=where, got=f"{len(der) - head} bytes", expected=f"{size} bytes"
        )
    return der[head:]


def _unpacked(value: bytes, where: str) -> bytes:
    if not value.startswith(_COMPRESSED):
        return value
    unpacker = zlib.decompressobj(_GZIP)
    try:
        data = unpacker.decompress(value[len(_COMPRESSED) :], MAX_UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise Malformed("not gzip", where=where, got=shown(str(error), 60)) from error
    if len(data) > MAX_UNPACKED_BYTES:
        raise Malformed("unpacks to too much", where=where, expected=f"at most {MAX_UNPACKED_BYTES} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise Malformed("gzip that does not end where the value ends", where=where)
    return data


def _usage(data: bytes) -> str:
    """Such as `app:ca`, `app:custom`, `kms:rpc`."""
    usage = _utf8(data, f"{WHERE} extension {_ARC}.4")
    if len(usage) > MAX_USAGE_CHARS:
        raise Malformed("text too long", where=f"{WHERE} extension {_ARC}.4", got=f"{len(usage)} characters")
    return usage


def _utf8(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8", where=where) from error
