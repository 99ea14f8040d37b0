"""Quoting enclaves that are not Intel's, or too old, or do not vouch for the key: steps 10 to 13."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from twinproof_devnet.certificate import new_key
from twinproof_devnet.collateral import make
from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import Rig, edited
from twinproof_devnet.host import Tampering, TdxHost, raw_point
from twinproof_devnet.tcb_levels import ENCLAVES

__all__ = ["enclave_cases"]

_REPORT, _BINDING = "dcap.qe_report_signature", "dcap.qe_binding"
_MATCH, _LEVEL = "dcap.qe_match", "dcap.qe_tcb_level"
_QE_REPORT_AT = 632 + 4 + 128 + 6


def enclave_cases(rig: Rig) -> Iterator[Case]:
    """Steps 10 to 13."""
    yield from _reports(rig)
    yield from _bindings(rig)
    yield from _identities(rig)
    yield from _levels(rig)


def _reports(rig: Rig) -> Iterator[Case]:
    other_key = Tampering(qe_report_signed_by=new_key())
    yield rig.refuse(
        _REPORT, "other-key", "signed by a key that no PCK certificate names", quote=rig.quote(tampering=other_key)
    )
    yield rig.refuse(
        _REPORT,
        "other-key-sgx",
        "the same in an SGX quote",
        quote=rig.host.sgx_quote(rig.host.enclave(), tampering=other_key),
        collateral=rig.collateral("SGX"),
    )
    good = rig.quote()
    for name, at in (("isvsvn", 258), ("mrenclave", 64), ("last-byte", 383)):
        spoiled = edited(good, _QE_REPORT_AT + at, bytes([good[_QE_REPORT_AT + at] ^ 1]))
        yield rig.refuse(_REPORT, f"edited-{name}", f"{name} of the QE report edited after signing", quote=spoiled)
    at = _QE_REPORT_AT + 384
    yield rig.refuse(_REPORT, "zero", "a signature of zeros", quote=edited(good, at, bytes(64)))
    other = TdxHost.create(rig.pki, rig.at, name="other")
    yield rig.refuse(
        _REPORT,
        "other-machine",
        "the PCK certificate of another machine under the same CA",
        quote=rig.quote(host=replace(rig.host, pck_chain=other.pck_chain)),
    )


def _bindings(rig: Rig) -> Iterator[Case]:
    bound = sha256(raw_point(rig.host.attestation_key) + rig.host.td_qe.auth_data).digest()

    def given(name: str, description: str, data: bytes, rule: Rule = Rule.GENUINE) -> Case:
        quote = rig.quote(tampering=Tampering(qe_report_data=data))
        return rig.refuse(_BINDING, name, description, quote=quote, rule=rule)

    yield given("zero", "the report names no key", bytes(64))
    yield given("tail", "the last byte of REPORTDATA is not zero", bound + bytes(31) + b"\x01", Rule.STRICT)
    yield given("tail-first", "byte 32 of REPORTDATA is not zero", bound + b"\x01" + bytes(31), Rule.STRICT)
    yield given("one-bit", "one bit of the hash is wrong", bytes([bound[0] ^ 1]) + bound[1:] + bytes(32))
    without_data = sha256(raw_point(rig.host.attestation_key)).digest() + bytes(32)
    yield given("without-auth-data", "the hash leaves the authentication data out", without_data)
    good = rig.quote()
    at = _QE_REPORT_AT + 384 + 64 + 2
    yield rig.refuse(
        _BINDING, "auth-data-edited", "the authentication data was edited", quote=edited(good, at, b"\xee")
    )
    for name, point in (("zero", bytes(64)), ("off-curve", b"\x01" * 64)):
        data = sha256(point + rig.host.td_qe.auth_data).digest() + bytes(32)
        tampering = Tampering(attestation_key=point, qe_report_data=data)
        yield rig.refuse(
            "dcap.quote_signature",
            f"key-{name}",
            f"a bound attestation key that is no point of the curve ({name})",
            quote=rig.quote(tampering=tampering),
        )


def _identities(rig: Rig) -> Iterator[Case]:
    changes: dict[str, dict[str, Any]] = {
        "mrsigner": {"mrsigner": bytes(32)},
        "isvprodid": {"isv_prod_id": 1},
        "miscselect": {"misc_select": 1},
        "debug": {"attributes": 0x17},
        "not-initialised": {"attributes": 0x14},
        "einittoken-key": {"attributes": 0x35},
    }
    for name, change in changes.items():
        host = replace(rig.host, td_qe=replace(rig.host.td_qe, **change))
        yield rig.refuse(_MATCH, name, f"another enclave: {name}", quote=rig.quote(host=host))
        sgx = {"isv_prod_id": 2} if name == "isvprodid" else change
        host = replace(rig.host, sgx_qe=replace(rig.host.sgx_qe, **sgx))
        yield rig.refuse(
            _MATCH,
            f"sgx-{name}",
            f"SGX: another enclave: {name}",
            quote=rig.sgx_quote(host=host),
            collateral=rig.collateral("SGX"),
        )
    yield rig.refuse(
        _MATCH,
        "sgx-enclave-signs-td",
        "the quoting enclave of SGX signs a made-up TD report",
        quote=rig.quote(host=replace(rig.host, td_qe=rig.host.sgx_qe)),
    )
    unmasked = replace(ENCLAVES["TDX"], attributes_mask=bytes(16), attributes=bytes(16))
    yield rig.refuse(
        _MATCH,
        "debug-unmasked",
        "a debug quoting enclave and an identity whose mask leaves DEBUG out",
        quote=rig.quote(host=replace(rig.host, td_qe=replace(rig.host.td_qe, attributes=0x17))),
        collateral=dict(make(rig.pki, rig.at, documents=replace(rig.documents, enclave=unmasked))),
        rule=Rule.STRICT,
    )
    outside = replace(ENCLAVES["TDX"], attributes=b"\x13" + bytes(15))
    yield rig.refuse(
        _MATCH,
        "identity-outside-mask",
        "an identity that demands a bit which its own mask leaves out",
        collateral=dict(make(rig.pki, rig.at, documents=replace(rig.documents, enclave=outside))),
        rule=Rule.STRICT,
    )


def _levels(rig: Rig) -> Iterator[Case]:
    old = replace(rig.host, td_qe=replace(rig.host.td_qe, isv_svn=2))
    yield rig.refuse(_LEVEL, "too-old", "older than the oldest level", quote=rig.quote(host=old))
    old = replace(rig.host, sgx_qe=replace(rig.host.sgx_qe, isv_svn=5))
    yield rig.refuse(
        _LEVEL,
        "too-old-sgx",
        "SGX: older than the oldest level",
        quote=rig.sgx_quote(host=old),
        collateral=rig.collateral("SGX"),
    )
    zero = replace(rig.host, td_qe=replace(rig.host.td_qe, isv_svn=0))
    yield rig.refuse(_LEVEL, "zero", "ISVSVN 0", quote=rig.quote(host=zero))
