"""What has to be accepted: every kind of quote, every CA, the first and the last second of everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from twinproof_devnet.certificate import Change
from twinproof_devnet.collateral import make
from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import Json, Rig
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.host import Tampering, TdxHost
from twinproof_devnet.machine import Machine
from twinproof_devnet.quote import CertificationData

__all__ = ["accepted_cases"]

_DAY = 86_400
_KINDS = ((4, "TD1.0"), (5, "TD1.0"), (5, "TD1.5"), (5, "TD1.5ex"))
_CARRIED_ELSEWHERE = ((1, 34), (1, 36), (2, 274), (2, 276), (3, 402), (3, 404))


def accepted_cases(rig: Rig) -> Iterator[Case]:
    """Good quotes."""
    for version, body in _KINDS:
        name = f"tdx-v{version}-{body.lower().replace('.', '')}"
        yield rig.accept(f"accept.{name}", f"a TDX quote of version {version}, {body}", quote=rig.quote(version, body))
    yield rig.accept(
        "accept.sgx-v3", "an SGX quote of version 3", quote=rig.sgx_quote(), collateral=rig.collateral("SGX")
    )
    yield from _processor_ca(rig)
    yield from _certificates_elsewhere(rig)
    yield from _first_and_last_seconds(rig)
    yield from _lists_about_others(rig)
    yield from _forms(rig)


def _processor_ca(rig: Rig) -> Iterator[Case]:
    old = TdxHost.create(rig.pki, rig.at, machine=replace(Machine.named("processor"), ca="processor"))
    for tee, quote in (("TDX", rig.quote(host=old)), ("SGX", rig.sgx_quote(host=old))):
        yield rig.accept(
            f"accept.processor-ca-{tee.lower()}",
            f"{tee}: a machine under the PCK Processor CA",
            quote=quote,
            collateral=rig.collateral(tee, ca="processor"),
        )


def _certificates_elsewhere(rig: Rig) -> Iterator[Case]:
    collateral = rig.collateral() | {"pck_certificate_chain": rig.host.pck_chain.rstrip(b"\x00").decode()}
    for kind, size in _CARRIED_ELSEWHERE:
        certification = CertificationData(kind, bytes(size))
        yield rig.accept(
            f"accept.certification-type-{kind}-{size}",
            f"the quote names its platform (type {kind}, {size} bytes), the collateral brings the PCK chain",
            quote=rig.quote(tampering=Tampering(certification=certification)),
            collateral=collateral,
            rule=Rule.STRICT,
        )
    leaf = CertificationData(4, rig.host.pck.pem.encode())
    yield rig.accept(
        "accept.certification-type-4",
        "the quote brings its PCK certificate alone, the collateral the chain that begins with it",
        quote=rig.quote(tampering=Tampering(certification=leaf)),
        collateral=collateral,
        rule=Rule.STRICT,
    )
    yield rig.accept(
        "accept.chain-twice", "the collateral brings the quote's own PCK chain again", collateral=collateral
    )


def _valid(first: int, last: int) -> Change:
    return lambda recipe: replace(recipe, not_before=first, not_after=last)


def _first_and_last_seconds(rig: Rig) -> Iterator[Case]:
    for name, first, last in (("first", 0, 10), ("last", -10, 0)):
        edge = TdxHost.create(rig.pki, rig.at, change=_valid(rig.at + first, rig.at + last))
        yield rig.accept(
            f"accept.pck-{name}-second",
            f"judged in the {name} second of the PCK certificate",
            quote=rig.quote(host=edge),
        )
    for document in ("tcb_info", "qe_identity"):
        for name, issue, update in (("issueDate", 0, 10), ("nextUpdate", -10, 0)):
            documents = replace(rig.documents, issue_date=rig.at + issue, next_update=rig.at + update)
            other = rig.collateral(documents=documents)
            yield rig.accept(
                f"accept.{document}-at-{name}",
                f"judged in the very second of {document}'s {name}",
                collateral=rig.collateral() | {key: other[key] for key in other if key.startswith(document)},
            )
    for member, name in (("root_ca_crl", "root"), ("pck_crl", "pck")):
        issuer = rig.pki.root if member == "root_ca_crl" else rig.pki.platform_ca
        for when, recipe in (
            ("first", CrlRecipe(rig.at, rig.at + _DAY)),
            ("last", CrlRecipe(rig.at - _DAY, rig.at + 1)),
        ):
            yield rig.accept(
                f"accept.{name}-crl-{when}-second",
                f"judged in the {when} second of the {name} CRL",
                collateral=rig.collateral() | {member: sign_crl(recipe, issuer).hex()},
            )


def _lists_about_others(rig: Rig) -> Iterator[Case]:
    pki, serial = rig.pki, rig.host.pck.serial
    yield rig.accept(
        "accept.others-revoked",
        "the PCK CRL lists other machines, one with the neighbouring serial number",
        collateral=dict(make(pki, rig.at, revoked_pck=[7, serial - 1, serial + 1])),
    )
    yield rig.accept(
        "accept.other-ca-revoked",
        "the root CRL lists the other PCK CA",
        collateral=dict(make(pki, rig.at, revoked_ca=[pki.processor_ca.serial])),
    )
    yield rig.accept(
        "accept.same-serial-at-the-other-ca",
        "the root CRL lists the serial number that the PCK certificate has under its CA",
        collateral=dict(make(pki, rig.at, revoked_ca=[serial])),
    )


def _forms(rig: Rig) -> Iterator[Case]:
    yield rig.accept("accept.zero-padding", "zeros after the end of the quote", quote=rig.quote() + bytes(70))
    no_data = replace(rig.host, td_qe=replace(rig.host.td_qe, auth_data=b""))
    yield rig.accept(
        "accept.no-qe-auth-data",
        "a quoting enclave without authentication data",
        quote=rig.quote(host=no_data),
        rule=Rule.STRICT,
    )

    def lower(value: Json) -> None:
        value["fmspc"] = str(value["fmspc"]).lower()

    def added(value: Json) -> None:
        value["later"] = {"added": [1, None]}

    yield rig.accept("accept.lower-case-fmspc", "FMSPC in lower-case hex", collateral=rig.signed("tcb_info", lower))
    yield rig.accept(
        "accept.unknown-members", "a signed member that nobody knows yet", collateral=rig.signed("tcb_info", added)
    )
