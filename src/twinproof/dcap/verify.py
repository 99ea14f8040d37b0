"""DCAP verification of one quote at one time: a straight line of numbered steps, the first failing one ends it.

 1 quote_format        6 pck_crl              11 qe_binding       16 tdx_module
 2 header              7 tcb_signing          12 qe_match         17 tcb_level
 3 certification_data  8 tcb_info             13 qe_tcb_level     18 tcb_status
 4 pck_chain           9 qe_identity          14 quote_signature  19 current_tcb
 5 root_crl           10 qe_report_signature  15 platform_match   20 not_revoked

Report attributes (debug and the like) are policy, in `attributes`: this module says genuine or not, nothing else.
Numbers follow Intel's quote verification; `plan` says what each step proves and where it is specified.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from twinproof.dcap.certificates import Certificate
from twinproof.dcap.chains import PckChain, check_dates, crl_of, pck_chain, signing_certificate
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import Crl, check_not_revoked
from twinproof.dcap.levels import Evaluation, check_module, combine, module_level, platform_level, svn_level
from twinproof.dcap.memo import Memo
from twinproof.dcap.pck import PckExtension
from twinproof.dcap.pem import pem_certificates
from twinproof.dcap.plan import PLAN
from twinproof.dcap.qe_identity import QE_IDS, QeIdentity, check_qe_identity, parse_qe_identity
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.signatures import check_signature, load_point
from twinproof.dcap.tcb import TcbStatus, relaunch
from twinproof.dcap.tcb_info import SvnLevel, TcbInfo, parse_tcb_info
from twinproof.dcap.timestamps import check_window
from twinproof.errors import CollateralMismatch, Forged, Malformed, Revoked
from twinproof.ledger import Ledger
from twinproof.tdx.quote import Quote, parse_quote
from twinproof.tdx.report import TdReport

__all__ = ["PLAN", "Appraisal", "appraise"]

QE_VENDOR_INTEL = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
ECDSA_P256 = 2
PCK_CHAIN_PEM, PCK_LEAF_PEM = 5, 4
PPID_SIZES = {1: 34, 2: 274, 3: 402}
"""Types that name the platform: PPID (clear, RSA-2048, RSA-3072), CPUSVN, PCESVN; some builds add 2 bytes of PCE ID."""
NOT_TDX = "not applicable: an SGX quote"


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What a genuine quote proves about its platform. Times are unix seconds, UTC.

    `tcb_status` is Intel's converged status; for TD 1.5 `launch` and `current` are kept beside it. The three issue and
    expiration times are over the certificates, CRLs and documents that were used.
    """

    quote: Quote
    pck: PckExtension
    pck_ca: str
    tcb_status: TcbStatus
    advisory_ids: tuple[str, ...]
    tcb_date: int
    launch: Evaluation
    current: Evaluation | None
    qe_status: TcbStatus
    tcb_evaluation_data_number: int
    earliest_issue: int
    latest_issue: int
    earliest_expiration: int

    @property
    def device_id(self) -> bytes:
        return self.pck.device_id

    @property
    def current_tcb_status(self) -> TcbStatus | None:
        return self.current.status if self.current else None


@dataclass(frozen=True, slots=True)
class _Collateral:
    """Collateral whose signatures and windows hold."""

    root_crl: Crl
    pck_crl: Crl
    signers: tuple[Certificate, Certificate]
    tcb_info: TcbInfo
    qe_identity: QeIdentity


def appraise(
    quote: bytes, collateral: Collateral, *, at: int, root: TrustRoot, ledger: Ledger, memo: Memo
) -> Appraisal | None:
    """Judge `quote` at `at` (unix seconds, UTC) under `root`. None when a step failed; the ledger has it."""
    with ledger.group():
        with ledger.step("dcap.quote_format") as entry:  # 1
            parsed = parse_quote(quote)
            if parsed.trailing:
                entry.explain("after the end", f"{len(parsed.trailing)} bytes, ignored")
        with ledger.step("dcap.header"):  # 2
            _check_header(parsed)
        with ledger.step("dcap.certification_data"):  # 3
            pem = _chain_pem(parsed, collateral)
        with ledger.step("dcap.pck_chain") as entry:  # 4
            chain = pck_chain(pem, root, memo)
            check_dates(*chain.certificates, at=at)
            entry.explain("PPID, hashed to the device id", chain.pck.ppid.hex())
        trusted = _check_collateral(parsed, collateral, chain, root=root, at=at, ledger=ledger, memo=memo)  # 5-9
        qe_level = _check_quoting_enclave(parsed, chain, trusted, ledger, memo)  # 10-13
        with ledger.step("dcap.quote_signature") as entry:  # 14
            check_signature(_attestation_key(parsed, memo), parsed.signature, parsed.signed, "quote")
            entry.explain(
                "signed bytes", f"0..{len(parsed.signed)}, sha256 {hashlib.sha256(parsed.signed).hexdigest()}"
            )
        return _judge_tcb(parsed, chain, trusted, qe_level, ledger)  # 15-20
    return None


def _check_header(quote: Quote) -> None:
    header = quote.header
    if header.qe_vendor_id != QE_VENDOR_INTEL:
        raise Malformed(
            "not Intel's quoting enclave",
            where="quote byte 12",
            got=header.qe_vendor_id.hex(),
            expected=QE_VENDOR_INTEL.hex(),
        )
    if header.attestation_key_type != ECDSA_P256:
        raise Malformed(
            "unsupported attestation key type",
            where="quote byte 2",
            got=str(header.attestation_key_type),
            expected="2 (ECDSA P-256)",
        )
    if quote.tee == "SGX" and header.version != 3:
        raise Malformed(
            "an SGX quote of an unsupported version", where="quote byte 0", got=str(header.version), expected="3"
        )


def _chain_pem(quote: Quote, collateral: Collateral) -> bytes:
    """The quote's own chain; the collateral's only where the quote has none."""
    supplied = None if collateral.pck_certificate_chain is None else collateral.pck_certificate_chain.encode()
    kind = quote.certification_type
    if kind == PCK_CHAIN_PEM:
        own = quote.certification_data
        if supplied is not None and supplied.rstrip(b"\x00\n") != own.rstrip(b"\x00\n"):
            raise CollateralMismatch(
                "the collateral brings another PCK chain than the quote",
                where="collateral.pck_certificate_chain",
                expected="the quote's own, or none",
            )
        return own
    if kind not in (*PPID_SIZES, PCK_LEAF_PEM):
        raise Malformed(
            "unsupported certification data type", where="certification data", got=str(kind), expected="1 to 5"
        )
    size = len(quote.certification_data)
    if kind in PPID_SIZES and size not in (PPID_SIZES[kind], PPID_SIZES[kind] + 2):
        raise Malformed(
            "wrong size of the platform's identity",
            where="certification data",
            got=f"{size} bytes of type {kind}",
            expected=f"{PPID_SIZES[kind]} bytes, or 2 more",
        )
    if supplied is None:
        raise Malformed(
            "the quote names its platform but brings no certificates",
            where="certification data",
            got=f"type {kind}",
            expected="type 5, or pck_certificate_chain in the collateral",
        )
    if kind == PCK_LEAF_PEM:
        leaf = pem_certificates(quote.certification_data, "certification data")
        if leaf != pem_certificates(supplied, "collateral.pck_certificate_chain")[:1]:
            raise CollateralMismatch(
                "the collateral's PCK certificate is not the quote's", where="collateral.pck_certificate_chain"
            )
    return supplied


def _check_collateral(
    quote: Quote,
    collateral: Collateral,
    chain: PckChain,
    *,
    root: TrustRoot,
    at: int,
    ledger: Ledger,
    memo: Memo,
) -> _Collateral:
    with ledger.step("dcap.root_crl"):  # 5
        root_crl = crl_of(collateral.root_ca_crl, chain.root, "root CA CRL", memo, at=at)
        check_not_revoked(chain.root, root_crl, "root CA CRL")
        check_not_revoked(chain.ca, root_crl, "root CA CRL")
    with ledger.step("dcap.pck_crl"):  # 6
        pck_crl = crl_of(collateral.pck_crl, chain.ca, "PCK CRL", memo, at=at)
        check_not_revoked(chain.leaf, pck_crl, "PCK CRL")
    with ledger.step("dcap.tcb_signing"):  # 7
        tcb_signer = signing_certificate(collateral.tcb_info_issuer_chain, root, "TCB Info issuer chain", memo)
        qe_signer = signing_certificate(collateral.qe_identity_issuer_chain, root, "QE Identity issuer chain", memo)
        check_dates(tcb_signer, qe_signer, at=at)
        check_not_revoked(tcb_signer, root_crl, "root CA CRL")
        check_not_revoked(qe_signer, root_crl, "root CA CRL")
    with ledger.step("dcap.tcb_info") as entry:  # 8
        tcb_info = _tcb_info(collateral, tcb_signer, memo)
        entry.explain("signed text, sha256", tcb_info.sha256)
        if tcb_info.tee != quote.tee:
            raise CollateralMismatch(
                "TCB Info of another TEE", where="tcbInfo.id", got=tcb_info.tee, expected=quote.tee
            )
        check_window("TCB Info", tcb_info.issue_date, tcb_info.next_update, at)
    with ledger.step("dcap.qe_identity") as entry:  # 9
        identity = _qe_identity(collateral, qe_signer, memo)
        entry.explain("signed text, sha256", identity.sha256)
        if identity.id != QE_IDS[quote.tee]:
            raise CollateralMismatch(
                "QE Identity of another TEE", where="enclaveIdentity.id", got=identity.id, expected=QE_IDS[quote.tee]
            )
        check_window("QE Identity", identity.issue_date, identity.next_update, at)
    return _Collateral(root_crl, pck_crl, (tcb_signer, qe_signer), tcb_info, identity)


def _tcb_info(collateral: Collateral, signer: Certificate, memo: Memo) -> TcbInfo:
    text, signature = collateral.tcb_info, collateral.tcb_info_signature

    def check() -> TcbInfo:
        check_signature(signer.key, signature, text.encode(), "TCB Info")
        return parse_tcb_info(text)

    return memo.recall(("TCB Info", signer.der, signature, text), check)


def _qe_identity(collateral: Collateral, signer: Certificate, memo: Memo) -> QeIdentity:
    text, signature = collateral.qe_identity, collateral.qe_identity_signature

    def check() -> QeIdentity:
        check_signature(signer.key, signature, text.encode(), "QE Identity")
        return parse_qe_identity(text)

    return memo.recall(("QE Identity", signer.der, signature, text), check)


def _attestation_key(quote: Quote, memo: Memo) -> EllipticCurvePublicKey:
    key = quote.attestation_key
    return memo.recall(("attestation key", key), lambda: load_point(key, "attestation key"))


def _check_quoting_enclave(quote: Quote, chain: PckChain, trusted: _Collateral, ledger: Ledger, memo: Memo) -> SvnLevel:
    raw, signature = quote.qe_report_raw, quote.qe_report_signature

    def check() -> bool:
        check_signature(chain.leaf.key, signature, raw, "QE report")
        return True

    with ledger.step("dcap.qe_report_signature"):  # 10
        memo.recall(("QE report", chain.leaf.der, signature, raw), check)
    with ledger.step("dcap.qe_binding") as entry:  # 11
        bound = hashlib.sha256(quote.attestation_key + quote.qe_auth_data).digest() + bytes(32)
        entry.got, entry.expected = quote.qe_report.report_data.hex(), bound.hex()
        entry.explain("hashed", f"SHA-256 over key {quote.attestation_key.hex()} and data {quote.qe_auth_data.hex()}")
        if quote.qe_report.report_data != bound:
            raise Forged(
                "the quoting enclave's report names another attestation key",
                where="QE report data",
                got=quote.qe_report.report_data.hex(),
                expected=bound.hex(),
            )
    with ledger.step("dcap.qe_match"):  # 12
        check_qe_identity(quote.qe_report, trusted.qe_identity)
    with ledger.step("dcap.qe_tcb_level"):  # 13
        return svn_level(trusted.qe_identity.levels, quote.qe_report.isv_svn, "quoting enclave")


def _judge_tcb(quote: Quote, chain: PckChain, trusted: _Collateral, qe_level: SvnLevel, ledger: Ledger) -> Appraisal:
    info, pck, report = trusted.tcb_info, chain.pck, quote.report
    td = report if isinstance(report, TdReport) else None
    with ledger.step("dcap.platform_match") as entry:  # 15
        for name, ours, theirs in (("FMSPC", pck.fmspc, info.fmspc), ("PCE ID", pck.pce_id, info.pce_id)):
            if ours != theirs:
                raise CollateralMismatch(f"TCB Info of another {name}", got=theirs.hex(), expected=ours.hex())
        entry.explain("FMSPC", pck.fmspc.hex())
    module = None
    with ledger.step("dcap.tdx_module") as entry:  # 16
        if td is None:
            entry.not_checked = NOT_TDX
        else:
            check_module(info, td)
            module = module_level(info, td.tee_tcb_svn)
    with ledger.step("dcap.tcb_level"):  # 17
        level = platform_level(info, pck, td.tee_tcb_svn if td else None)
    with ledger.step("dcap.tcb_status") as entry:  # 18
        launch = combine(level, qe_level, module)
        entry.got = launch.status.value
    current, status, advisories, date = None, launch.status, launch.advisory_ids, launch.tcb_date
    with ledger.step("dcap.current_tcb") as entry:  # 19
        if td is None or td.tee_tcb_svn2 is None:
            entry.not_checked = NOT_TDX if td is None else "not applicable: a TD 1.0 report has one TCB"
        else:
            svn2 = td.tee_tcb_svn2
            current = combine(platform_level(info, pck, svn2), qe_level, module_level(info, svn2))
            status = relaunch(launch.status, current.status)
            entry.got = f"launch {launch.status.value}, current {current.status.value}"
    with ledger.step("dcap.not_revoked"):  # 20
        if TcbStatus.REVOKED in (status, current.status if current else status):
            raise Revoked("Intel has revoked this platform's TCB", got=TcbStatus.REVOKED.value)
    identity = trusted.qe_identity
    certificates = (*chain.certificates, *trusted.signers)
    starts = [c.not_before for c in certificates] + [info.issue_date, identity.issue_date]
    ends = [c.not_after for c in certificates] + [info.next_update, identity.next_update]
    crls = (trusted.root_crl, trusted.pck_crl)
    return Appraisal(
        quote=quote,
        pck=pck,
        pck_ca=chain.ca_kind,
        tcb_status=status,
        advisory_ids=advisories,
        tcb_date=date,
        launch=launch,
        current=current,
        qe_status=qe_level.status,
        tcb_evaluation_data_number=min(info.tcb_evaluation_data_number, identity.tcb_evaluation_data_number),
        earliest_issue=min(*starts, *(crl.this_update for crl in crls)),
        latest_issue=max(*starts, *(crl.this_update for crl in crls)),
        earliest_expiration=min(*ends, *(crl.next_update for crl in crls)),
    )
