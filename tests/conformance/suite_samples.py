"""The samples of dcap-qvl's cross-implementation suite by name, made with the devnet's tools: other certificates and
other keys than Intel's, and chains that are not Intel's either. What each is about follows the suite's own names.

python tests/conformance/suite_samples.py DIR     writes DIR/samples/NAME/{quote.bin,collateral.json,expected.json}
                                                  and DIR/certs/root_ca.der, as the suite lays them out
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography import x509

from twinproof_devnet.certificate import Issued, Recipe, issue, new_key
from twinproof_devnet.collateral import Documents, compact, qe_identity, tcb_info
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.host import QuotingEnclave, Tampering, TdMeasurements, TdxHost, TdxModule, raw_signature
from twinproof_devnet.machine import Machine
from twinproof_devnet.quote import CertificationData
from twinproof_devnet.sgx_extension import SGX_EXTENSION_OID, encode_members
from twinproof_devnet.tcb_levels import Enclave, Level, Module, SvnLevel

__all__ = ["Certificates", "Sample", "samples", "write_samples"]

Json = dict[str, Any]
_YEAR = 365 * 86_400
_MRSIGNERSEAM = b"\x02" * 48
_COMPONENTS = (11, 11, 2, 2, 255, 1, *[0] * 10)
_REPORT_DATA = bytes(64)
_SEPT_VE_DISABLE = 1 << 28
_OUTER_TYPE = 5
_QE = QuotingEnclave(bytes(32), isv_prod_id=0, isv_svn=0, attributes=0)
_NO_LEVEL = "No matching TCB level found"


@dataclass(frozen=True, slots=True)
class Sample:
    """`error` is a part of the expected text; empty for a sample that has to succeed."""

    name: str
    quote: bytes
    collateral: Json
    error: str = ""
    status: str = ""

    def expected(self) -> Json:
        """expected.json, as the suite's runner reads it."""
        return {
            "should_succeed": not self.error,
            "expected_error": self.error,
            "expected_status": self.status,
            "description": self.name.replace("_", " "),
        }


@dataclass(frozen=True, slots=True)
class Certificates:
    """A root without key usage, a CA and a signer below it, and a machine that the root certified itself."""

    at: int
    root: Issued
    ca: Issued
    signer: Issued
    pck: Issued

    @classmethod
    def create(cls, at: int) -> Certificates:
        def recipe(name: str, **more: Any) -> Recipe:
            left_out = frozenset({"cRLDistributionPoints"}) | more.pop("left_out", frozenset())
            return Recipe(name, at - _YEAR, at + 9 * _YEAR, "", organisation="Test", left_out=left_out, **more)

        root = issue(recipe("Test Root CA", ca=True, left_out=frozenset({"keyUsage"})))
        ca = issue(recipe("Test TCB Signing CA", ca=True, path_length=0, key_cert_sign=True, crl_sign=True), root)
        signer = issue(recipe("Test TCB Signer", digital_signature=True), root)
        value = encode_members(_machine())
        sgx = (x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_EXTENSION_OID), value), False)
        return cls(at, root, ca, signer, issue(recipe("Test PCK", digital_signature=True, extra=(sgx,)), root))

    @property
    def host(self) -> TdxHost:
        module = TdxModule(tee_tcb_svn=b"\x01" * 16, mrsignerseam=_MRSIGNERSEAM)
        chain = f"{self.pck.pem}{self.root.pem}".encode()
        return TdxHost("test", _machine(), self.pck, chain, module=module, td_qe=_QE, sgx_qe=_QE)

    def quote(self, *, tampering: Tampering | None = None, host: TdxHost | None = None, **td: Any) -> bytes:
        """A TDX quote of version 4; `td` are attributes of the TD."""
        return (host or self.host).quote(
            TdMeasurements(**td), _REPORT_DATA, tampering=replace(tampering or Tampering(), outer_kind=_OUTER_TYPE)
        )

    def quote_15(self, svn: bytes, svn2: bytes) -> bytes:
        """A quote of version 5 of TDX 1.5."""
        host = replace(self.host, module=replace(self.host.module, tee_tcb_svn=svn, tee_tcb_svn2=svn2))
        tampering = Tampering(outer_kind=_OUTER_TYPE)
        return host.quote(TdMeasurements(), _REPORT_DATA, 5, body="TD1.5", tampering=tampering)

    def sgx_quote(
        self, version: int = 3, *, debug: bool = False, tampering: Tampering | None = None, host: TdxHost | None = None
    ) -> bytes:
        host = host or self.host
        tampering = replace(tampering or Tampering(), outer_kind=_OUTER_TYPE)
        return host.sgx_quote(host.enclave(debug=debug), version, tampering=tampering)

    def documents(self, tee: str) -> Documents:
        """Levels that every machine reaches."""
        level = Level((0,) * 16, 0, (2, *[0] * 15) if tee == "TDX" else None)
        enclave = Enclave(
            "TD_QE" if tee == "TDX" else "QE",
            bytes(32),
            0,
            (SvnLevel(0),),
            attributes=bytes(16),
            attributes_mask=bytes(16),
        )
        return replace(
            Documents.at(self.at, tee),
            fmspc=_machine().fmspc,
            levels=(level,),
            base_module=Module(mrsigner=_MRSIGNERSEAM),
            modules=(Module(1, (SvnLevel(1),), mrsigner=_MRSIGNERSEAM),),
            enclave=enclave,
        )

    def collateral(self, tee: str = "TDX", documents: Documents | None = None, **texts: str) -> Json:
        """The nine members; `texts` replace the signed texts before they are signed."""
        documents = documents or self.documents(tee)
        tcb = texts.get("tcb_info", compact(tcb_info(documents)))
        qe = texts.get("qe_identity", compact(qe_identity(documents)))
        around, chain = CrlRecipe.around(self.at, 365), f"{self.signer.pem}{self.root.pem}"
        return {
            "pck_crl_issuer_chain": f"{self.ca.pem}{self.root.pem}",
            "root_ca_crl": sign_crl(around, self.root).hex(),
            "pck_crl": sign_crl(around, self.ca).hex(),
            "tcb_info_issuer_chain": chain,
            "tcb_info": tcb,
            "tcb_info_signature": raw_signature(self.signer.key, tcb.encode()).hex(),
            "qe_identity_issuer_chain": chain,
            "qe_identity": qe,
            "qe_identity_signature": raw_signature(self.signer.key, qe.encode()).hex(),
        }


def _machine() -> Machine:
    named = Machine.named("suite")
    return replace(named, fmspc=bytes.fromhex("00906EA10000"), components=_COMPONENTS, pce_svn=13, ca="processor")


def samples(certificates: Certificates) -> Iterator[Sample]:
    """All of them, by the suite's names."""
    yield from _quotes(certificates)
    yield from _td_attributes(certificates)
    yield from _td_15(certificates)
    yield from _tcb_infos(certificates)
    yield from _qe_identities(certificates)
    yield from _quoting_enclaves(certificates)
    yield from _chains(certificates)


def _quotes(c: Certificates) -> Iterator[Sample]:
    tdx, sgx = c.collateral(), c.collateral("SGX")
    good, enclave = c.quote(), c.sgx_quote()
    yield Sample("valid_sgx_v3", enclave, sgx)
    yield Sample("valid_tdx_v4", good, tdx)
    yield Sample("invalid_sgx_v4", c.sgx_quote(4), sgx, "SGX TEE quote must have version 3")
    yield Sample("invalid_quote_v5", b"\x05\x00" + good[2:], tdx, "Verification failed")
    yield Sample("debug_sgx_v3", c.sgx_quote(debug=True), sgx, "Debug mode is enabled")
    yield Sample("invalid_quote_format", b"\xff" * 100, sgx, "Failed to decode quote")
    yield Sample("truncated_quote", enclave[:4], sgx, "Not enough data to fill buffer")
    for version in (1, 2, 6, 255):
        spoiled = version.to_bytes(2, "little") + enclave[2:]
        yield Sample(f"unsupported_version_{version}", spoiled, sgx, "Unsupported quote version")
    for kind in (0, 1, 3, 255):
        spoiled = enclave[:2] + kind.to_bytes(2, "little") + enclave[4:]
        yield Sample(f"unsupported_key_type_{kind}", spoiled, sgx, "Unsupported DCAP attestation key type")
    at = 432 + 4
    ones = enclave[:at] + (bytes(31) + b"\x01") * 2 + enclave[at + 64 :]
    yield Sample("invalid_quote_signature", ones, sgx, "ISV enclave report signature is invalid")


def _td_attributes(c: Certificates) -> Iterator[Sample]:
    tdx = c.collateral()

    def bits(*numbers: int, base: int = _SEPT_VE_DISABLE) -> bytes:
        return c.quote(td_attributes=base | sum(1 << number for number in numbers))

    yield Sample("tdx_debug_enabled", bits(0), tdx, "Debug mode is enabled")
    yield Sample("tdx_sept_ve_disabled", bits(base=0), tdx, "SEPT_VE_DISABLE is not enabled")
    yield Sample("tdx_reserved_bits_set", bits(33), tdx, "Reserved bits in TD attributes are set")
    yield Sample("tdx_profiling_enabled", bits(4), tdx, "TD profiling is enabled")
    yield Sample("tdx_migratable", bits(29), tdx, "TD migration is enabled")
    yield Sample("tdx_servtd_ext_enabled", bits(17), tdx, "SERVTD_EXT is enabled")
    yield Sample("tdx_pks_enabled", bits(30), tdx)
    yield Sample("tdx_kl_enabled", bits(31), tdx)
    yield Sample("valid_tdx_v4_tdx15_attributes", bits(16, 27, 62, 63), tdx)


def _td_15(c: Certificates) -> Iterator[Sample]:
    one, two = b"\x01" * 16, b"\x02\x01" + b"\x01" * 14
    name = "TDX module MRSIGNER mismatch"
    other = replace(c.host, module=replace(c.host.module, mrsignerseam=b"\x03" * 48))
    yield Sample("tdx_module_mrsigner_mismatch", c.quote(host=other), c.collateral(), name)

    def modules(*levels: SvnLevel) -> Json:
        documents = replace(c.documents("TDX"), modules=(Module(1, levels, mrsigner=_MRSIGNERSEAM),))
        return c.collateral(documents=documents)

    low = "is below minimum required from TDX module TCB levels"
    yield Sample("tdx_module_isvsvn_too_low", c.quote(), modules(SvnLevel(2)), low)
    yield Sample("valid_tdx_v5_td15", c.quote_15(one, one), c.collateral())
    unknown = "Failed to evaluate the current TDX TCB (TEE_TCB_SVN2)"
    yield Sample("tdx_td15_svn2_unappraisable", c.quote_15(one, b"\x01\x09" + bytes(14)), c.collateral(), unknown)
    updated = modules(SvnLevel(2), SvnLevel(1, "OutOfDate"))
    yield Sample("tdx_td15_relaunch_advised", c.quote_15(one, two), updated, status="TDRelaunchAdvised")
    revoked = modules(SvnLevel(2), SvnLevel(1, "Revoked"))
    yield Sample("tdx_td15_current_revoked", c.quote_15(two, one), revoked, "TCB status is invalid: Revoked")


def _tcb_infos(c: Certificates) -> Iterator[Sample]:
    def sample(name: str, error: str, tee: str = "SGX", change: Callable[[Json], object] | None = None) -> Sample:
        value = tcb_info(c.documents(tee))
        if change is not None:
            change(value)
        quote = c.quote() if tee == "TDX" else c.sgx_quote()
        return Sample(name, quote, c.collateral(tee, tcb_info=compact(value)), error)

    def dated(**changes: int) -> Json:
        documents = replace(c.documents("SGX"), **changes)  # type: ignore[arg-type]
        return c.collateral("SGX", tcb_info=compact(tcb_info(documents)))

    def components(name: str, *svns: int) -> Callable[[Json], object]:
        def change(value: Json) -> None:
            value["tcbLevels"][0]["tcb"][name] = [{"svn": svn} for svn in (*svns, *[0] * (16 - len(svns)))]

        return change

    yield Sample("tcb_expired", c.sgx_quote(), dated(next_update=c.at - 1), "TCBInfo expired")
    future = "TCBInfo issue date is in the future"
    yield Sample("tcb_issue_date_future", c.sgx_quote(), dated(issue_date=c.at + 60), future)
    tdx = compact(tcb_info(c.documents("TDX")))
    mismatch = "SGX quote with non-SGX TCB info in the collateral"
    yield Sample("sgx_tcb_id_mismatch", c.sgx_quote(), c.collateral("SGX", tcb_info=tdx), mismatch)
    broken = c.collateral("SGX", tcb_info="{not JSON")
    yield Sample("invalid_tcb_json", c.sgx_quote(), broken, "Failed to decode TcbInfo")
    removed: Callable[[Json], object] = lambda value: value["tcbLevels"][0]["tcb"].pop("tdxtcbcomponents")  # noqa: E731
    yield sample("tdx_missing_components", "TDX component count mismatch", "TDX", removed)
    yield sample("sgx_component_svn_mismatch", _NO_LEVEL, change=components("sgxtcbcomponents", 11, 12, 1))
    tdx_components = components("tdxtcbcomponents", 0, 0, 2, 1)
    yield sample("tdx_component_svn_mismatch", _NO_LEVEL, "TDX", tdx_components)
    yield sample("component_svn_all_higher", "", change=components("sgxtcbcomponents", 10, 10, 1, 1, 254))
    yield sample("unknown_tcb_status", _NO_LEVEL, change=lambda value: value.update(tcbLevels=[]))
    revoked: Callable[[Json], object] = lambda value: value["tcbLevels"][0].update(tcbStatus="Revoked")  # noqa: E731
    yield sample("revoked_platform_tcb", "TCB status is invalid: Revoked", change=revoked)
    yield sample("fmspc_mismatch", "Fmspc mismatch", change=lambda value: value.update(fmspc="FFFFFFFFFFFF"))
    forged = c.collateral("SGX") | {"tcb_info_signature": raw_signature(new_key(), b"").hex()}
    yield Sample("invalid_tcb_signature", c.sgx_quote(), forged, "Signature is invalid for tcb_info")


def _qe_identities(c: Certificates) -> Iterator[Sample]:
    def sample(name: str, error: str, **changes: Any) -> Sample:
        documents = c.documents("SGX")
        assert documents.enclave is not None
        value = qe_identity(replace(documents, enclave=replace(documents.enclave, **changes)))
        return Sample(name, c.sgx_quote(), c.collateral("SGX", qe_identity=compact(value)), error)

    def dated(**changes: int) -> Json:
        documents = replace(c.documents("SGX"), **changes)  # type: ignore[arg-type]
        return c.collateral("SGX", qe_identity=compact(qe_identity(documents)))

    yield Sample("qe_identity_expired", c.sgx_quote(), dated(next_update=c.at - 1), "QE Identity expired")
    future = "QE Identity issue date is in the future"
    yield Sample("qe_identity_issue_date_future", c.sgx_quote(), dated(issue_date=c.at + 60), future)
    broken = c.collateral("SGX", qe_identity="{not JSON")
    yield Sample("invalid_qe_identity_json", c.sgx_quote(), broken, "Failed to decode QeIdentity")
    forged = c.collateral("SGX") | {"qe_identity_signature": raw_signature(new_key(), b"").hex()}
    yield Sample("invalid_qe_identity_signature", c.sgx_quote(), forged, "Signature is invalid for qe_identity")
    yield sample("qe_mrsigner_mismatch", "QE MRSIGNER mismatch", mrsigner=b"\xff" * 32)
    yield sample("qe_isvprodid_mismatch", "QE ISVPRODID mismatch", isv_prod_id=99)
    yield sample("qe_miscselect_mismatch", "QE MISCSELECT mismatch", misc_select=b"\xff" * 4)
    attributes = {"attributes": b"\x01" * 16, "attributes_mask": b"\xff" * 16}
    yield sample("qe_attributes_mismatch", "QE ATTRIBUTES mismatch", **attributes)
    revoked = (SvnLevel(0, "Revoked"),)
    yield sample("revoked_qe_tcb", "TCB status is invalid: Revoked", levels=revoked)
    wrong = c.collateral("TDX", qe_identity=compact(qe_identity(c.documents("SGX"))))
    text = "Unsupported QE Identity id/version for the quote TEE type"
    yield Sample("tdx_qe_identity_id_mismatch", c.quote(), wrong, text)


def _quoting_enclaves(c: Certificates) -> Iterator[Sample]:
    sgx = c.collateral("SGX")
    other = c.sgx_quote(tampering=Tampering(qe_report_data=b"\x01" * 64))
    yield Sample("qe_report_hash_mismatch", other, sgx, "QE report hash mismatch")
    stranger = c.sgx_quote(tampering=Tampering(qe_report_signed_by=new_key()))
    yield Sample("invalid_qe_report_signature", stranger, sgx, "Signature is invalid for qe_report in quote")
    debug = c.sgx_quote(host=replace(c.host, sgx_qe=replace(_QE, attributes=2)))
    yield Sample("qe_debug_enabled", debug, sgx, "Debug mode is enabled")


def _chains(c: Certificates) -> Iterator[Sample]:
    sgx, own = c.collateral("SGX"), c.host.pck_chain.decode()
    encrypted = c.sgx_quote(tampering=Tampering(certification=CertificationData(3, bytes(404))))
    yield Sample("cert_type_5_with_pck_chain", c.sgx_quote(), sgx | {"pck_certificate_chain": own})
    yield Sample("cert_type_3_with_pck_chain", encrypted, sgx | {"pck_certificate_chain": own})
    yield Sample("cert_type_3_without_pck_chain", encrypted, sgx, "Unsupported DCAP PCK cert format")
    for short, member, name in (("tcb", "tcb_info", "TCB Info"), ("qe_identity", "qe_identity", "QE Identity")):
        chain = f"{member}_issuer_chain"
        too_short = f"Certificate chain is too short for {name}"
        yield Sample(f"short_{short}_chain", c.sgx_quote(), sgx | {chain: ""}, too_short)
        signature = raw_signature(c.ca.key, str(sgx[member]).encode()).hex()
        by_ca = sgx | {chain: f"{c.ca.pem}{c.root.pem}", f"{member}_signature": signature}
        yield Sample(
            f"ca_used_as_end_entity_{short.removesuffix('_identity')}", c.sgx_quote(), by_ca, "CaUsedAsEndEntity"
        )
    spoiled = sgx | {"tcb_info_issuer_chain": "not a certificate"}
    yield Sample("invalid_cert_format", c.sgx_quote(), spoiled, "Certificate chain is too short for TCB Info")


def write_samples(directory: Path, at: int) -> int:
    """Write them as the suite does; how many."""
    certificates = Certificates.create(at)
    (directory / "certs").mkdir(parents=True)
    (directory / "certs" / "root_ca.der").write_bytes(certificates.root.der)
    made = tuple(samples(certificates))
    for sample in made:
        place = directory / "samples" / sample.name
        place.mkdir(parents=True)
        (place / "quote.bin").write_bytes(sample.quote)
        (place / "collateral.json").write_text(json.dumps(sample.collateral), encoding="utf-8")
        (place / "expected.json").write_text(json.dumps(sample.expected(), indent=1), encoding="utf-8")
    return len(made)


if __name__ == "__main__":
    sys.stdout.write(f"{write_samples(Path(sys.argv[1]), int(time.time()))} samples\n")
