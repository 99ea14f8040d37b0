"""Quotes with one defect: their frame, their header, where their certificates are, and who signed them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from twinproof_devnet.certificate import new_key
from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import Json, Rig, edited
from twinproof_devnet.host import Tampering, TdxHost, raw_point, raw_signature
from twinproof_devnet.machine import Machine
from twinproof_devnet.quote import CertificationData

__all__ = ["quote_cases"]

_FORMAT, _HEADER, _CERTIFICATION = "dcap.quote_format", "dcap.header", "dcap.certification_data"
_SIGNATURE = "dcap.quote_signature"
_SIGNED_SIZE = 632
"""Header and TD report of version 4."""
_AFTER_LENGTH = _SIGNED_SIZE + 4
_OUTER = _AFTER_LENGTH + 128
"""Outer certification data: type, length, QE report, its signature, QE authentication data, certification data."""
_QE_AUTH_SIZE = _OUTER + 6 + 384 + 64
_INNER_SIZE = _QE_AUTH_SIZE + 2 + 32 + 2
_VENDOR_AT = 12


def quote_cases(rig: Rig) -> Iterator[Case]:
    """Steps 1, 2, 3 and 14."""
    yield from _frames(rig)
    yield from _lengths(rig)
    yield from _headers(rig)
    yield from _certification(rig)
    yield from _signatures(rig)


def _frames(rig: Rig) -> Iterator[Case]:
    good = rig.quote()
    for name, description, data in (
        ("empty", "no bytes at all", b""),
        ("four-bytes", "the first four bytes of a quote", good[:4]),
        ("ff", "100 bytes of ff", b"\xff" * 100),
        ("cut", "the last byte is missing", good[:-1]),
        ("cut-in-report", "cut off inside the report", good[:600]),
        ("hex-text", "the hex text of a quote instead of its bytes", good.hex().encode()),
        ("version-1", "version 1", edited(good, 0, b"\x01\x00")),
        ("version-2", "version 2", edited(good, 0, b"\x02\x00")),
        ("version-6", "version 6", edited(good, 0, b"\x06\x00")),
        ("version-260", "version 0x0104: the low byte is a known one", edited(good, 0, b"\x04\x01")),
        ("tee-type-2", "an unknown TEE type", edited(good, 4, b"\x02")),
        ("tee-type-high-byte", "TEE type 0x181: the low byte is TDX", edited(good, 4, b"\x81\x01")),
        ("v3-tdx", "version 3 with TEE type TDX", edited(good, 0, b"\x03\x00")),
    ):
        yield rig.refuse(_FORMAT, name, description, quote=data)
    yield rig.refuse(_FORMAT, "huge", "64 KiB of zeros after the quote", quote=good + bytes(1 << 16), rule=Rule.STRICT)
    yield rig.refuse(
        _FORMAT,
        "outer-type-5",
        "outer certification data of another type than 6",
        quote=rig.quote(tampering=Tampering(outer_kind=5)),
        rule=Rule.STRICT,
    )
    for body, kind, size in (
        ("TD1.0", 0, 584),
        ("TD1.0", 5, 584),
        ("TD1.0", 3, 584),
        ("TD1.5", 3, 584),
        ("TD1.5", 2, 648),
        ("TD1.5ex", 4, 884),
        ("TD1.5ex", 3, 885),
        ("TD1.0", 1, 384),
    ):
        tampering = Tampering(body_type=kind, body_size=size)
        yield rig.refuse(
            _FORMAT,
            f"v5-{body.lower().replace('.', '')}-type-{kind}-size-{size}",
            f"a body of {body} described as type {kind} of {size} bytes",
            quote=rig.quote(5, body, tampering=tampering),
        )


def _lengths(rig: Rig) -> Iterator[Case]:
    good = rig.quote()

    def changed(at: int, size: int, by: int) -> bytes:
        value = int.from_bytes(good[at : at + size], "little") + by
        return edited(good, at, value.to_bytes(size, "little"))

    for name, at, size in (
        ("signature-data", _SIGNED_SIZE, 4),
        ("outer", _OUTER + 2, 4),
        ("qe-auth-data", _QE_AUTH_SIZE, 2),
        ("certification-data", _INNER_SIZE, 4),
    ):
        for word, by in (("long", 1), ("short", -1)):
            rule = Rule.GENUINE if word == "long" and name != "qe-auth-data" else Rule.STRICT
            yield rig.refuse(
                _FORMAT,
                f"{name}-one-too-{word}",
                f"the length of the {name.replace('-', ' ')} is one byte too {word}",
                quote=changed(at, size, by),
                rule=rule,
            )
    yield rig.refuse(
        _FORMAT,
        "qe-auth-data-65535",
        "the length of the QE authentication data is 65535",
        quote=edited(good, _QE_AUTH_SIZE, b"\xff\xff"),
    )
    yield rig.refuse(
        _FORMAT,
        "signature-data-4294967295",
        "the length of the signature data is 2^32 - 1",
        quote=edited(good, _SIGNED_SIZE, b"\xff" * 4),
    )
    inside = int.from_bytes(good[_SIGNED_SIZE:_AFTER_LENGTH], "little") + 7
    yield rig.refuse(
        _FORMAT,
        "left-over",
        "seven bytes after the certification data, inside the signature data",
        quote=edited(good, _SIGNED_SIZE, inside.to_bytes(4, "little")) + b"unsigned"[:7],
        rule=Rule.STRICT,
    )


def _headers(rig: Rig) -> Iterator[Case]:
    vendor = rig.quote()[_VENDOR_AT : _VENDOR_AT + 16]
    for name, value in (("zero", bytes(16)), ("one-bit", bytes([vendor[0] ^ 1]) + vendor[1:])):
        tampering = Tampering(header=lambda header, value=value: replace(header, qe_vendor_id=value))  # type: ignore[misc]
        yield rig.refuse(
            _HEADER, f"vendor-{name}", f"another QE vendor id ({name})", quote=rig.quote(tampering=tampering)
        )
    for kind in (0, 1, 3, 255):
        tampering = Tampering(header=lambda header, kind=kind: replace(header, attestation_key_type=kind))  # type: ignore[misc]
        yield rig.refuse(
            _HEADER, f"key-type-{kind}", f"attestation key type {kind}", quote=rig.quote(tampering=tampering)
        )
    for version in (4, 5):
        yield rig.refuse(
            _HEADER,
            f"sgx-v{version}",
            f"an SGX quote of version {version}, which nobody makes",
            quote=rig.sgx_quote(version=version),
            collateral=rig.collateral("SGX"),
            rule=Rule.STRICT,
        )


def _certification(rig: Rig) -> Iterator[Case]:
    def quoted(kind: int, data: bytes) -> bytes:
        return rig.quote(tampering=Tampering(certification=CertificationData(kind, data)))

    def supplied(chain: bytes) -> Json:
        return rig.collateral() | {"pck_certificate_chain": chain.rstrip(b"\x00").decode()}

    own, other = rig.host.pck_chain, TdxHost.create(rig.pki, rig.at, name="other")
    for kind in (0, 6, 7, 8, 65535):
        yield rig.refuse(_CERTIFICATION, f"type-{kind}", f"certification data of type {kind}", quote=quoted(kind, own))
    for kind, size in ((1, 34), (2, 274), (3, 404)):
        yield rig.refuse(
            _CERTIFICATION,
            f"type-{kind}-without-chain",
            f"the quote only names its platform (type {kind}) and nobody brings the certificates",
            quote=quoted(kind, bytes(size)),
        )
    yield rig.refuse(
        _CERTIFICATION,
        "type-3-wrong-size",
        "an encrypted PPID one byte too short",
        quote=quoted(3, bytes(401)),
        collateral=supplied(own),
        rule=Rule.STRICT,
    )
    leaf = rig.pki.pck(Machine.named("other"), rig.at).pem.encode()
    yield rig.refuse(
        _CERTIFICATION,
        "type-4-other-leaf",
        "the quote brings one PCK certificate, the collateral the chain of another",
        quote=quoted(4, leaf),
        collateral=supplied(own),
        rule=Rule.STRICT,
    )
    yield rig.refuse(
        _CERTIFICATION,
        "chain-overridden",
        "the collateral brings another machine's chain than the quote itself",
        collateral=supplied(other.pck_chain),
        rule=Rule.STRICT,
    )


def _signatures(rig: Rig) -> Iterator[Case]:
    def flipped(at: int) -> Tampering:
        return Tampering(signed=lambda signed: edited(signed, at, bytes([signed[at] ^ 1])))

    for version, body in ((4, "TD1.0"), (5, "TD1.0"), (5, "TD1.5"), (5, "TD1.5ex")):
        kind = f"v{version}-{body.lower().replace('.', '')}"
        shift = 6 if version == 5 else 0
        places = {"mrtd": 48 + shift + 136, "rtmr3": 48 + shift + 472, "report-data": 48 + shift + 583, "user-data": 28}
        if body != "TD1.0":
            places |= {"tee-tcb-svn2": 54 + 599, "mr-service-td": 54 + 647}
        if body == "TD1.5ex":
            places |= {"vm-id": 54 + 648, "last-byte": 54 + 884}
        for name, at in places.items():
            yield rig.refuse(
                _SIGNATURE,
                f"{kind}-{name}",
                f"{name} of a quote of version {version}, {body}, edited after signing",
                quote=rig.quote(version, body, tampering=flipped(at)),
                rule=Rule.POLICY if name == "mr-service-td" else Rule.GENUINE,
            )
    sgx = rig.sgx_quote()
    yield rig.refuse(
        _SIGNATURE,
        "sgx-mrenclave",
        "MRENCLAVE edited after signing",
        quote=edited(sgx, 48 + 64, b"\x00"),
        collateral=rig.collateral("SGX"),
    )
    yield rig.refuse(
        _SIGNATURE,
        "other-key",
        "signed by another key than the one it names",
        quote=rig.quote(tampering=Tampering(quote_signed_by=new_key())),
    )
    good = rig.quote()
    order = int("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
    s = int.from_bytes(good[_AFTER_LENGTH + 32 : _AFTER_LENGTH + 64], "big")
    for name, value in (
        ("zero", bytes(64)),
        ("one", (1).to_bytes(32, "big") * 2),
        ("ff", b"\xff" * 64),
        ("r-zero", bytes(32) + good[_AFTER_LENGTH + 32 : _AFTER_LENGTH + 64]),
        ("s-plus-order", good[_AFTER_LENGTH : _AFTER_LENGTH + 32] + ((s + order) % (1 << 256)).to_bytes(32, "big")),
        ("of-other-text", raw_signature(rig.host.attestation_key, b"another text")),
    ):
        yield rig.refuse(
            _SIGNATURE, f"value-{name}", f"signature values: {name}", quote=edited(good, _AFTER_LENGTH, value)
        )
    attacker = replace(rig.host, attestation_key=new_key())
    yield rig.refuse(
        "dcap.qe_report_signature",
        "whole-signing-set",
        "the attacker's key, binding and signatures beside a real PCK certificate",
        quote=rig.quote(host=attacker, tampering=Tampering(qe_report_signed_by=new_key())),
    )
    yield rig.refuse(
        "dcap.qe_binding",
        "other-key-in-quote",
        "an honest quoting enclave beside another attestation key",
        quote=rig.quote(tampering=Tampering(attestation_key=raw_point(new_key()))),
    )
