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

from twinproof.dcap.appraisal import Appraisal
from twinproof.dcap.certificates import Certificate
from twinproof.dcap.certification import PCK_CHAIN_PEM, chain_pem, check_header
from twinproof.dcap.chain_shape import INTEL, ChainShape
from twinproof.dcap.chains import PckChain, check_dates, crl_of
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import Crl, check_not_revoked
from twinproof.dcap.levels import check_module, combine, module_level, platform_level, svn_level
from twinproof.dcap.plan import PLAN
from twinproof.dcap.qe_identity import QE_IDS, QeIdentity, check_qe_identity, parse_qe_identity
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.signatures import check_signature, load_point
from twinproof.dcap.tcb import TcbStatus, relaunch
from twinproof.dcap.tcb_info import SvnLevel, TcbInfo, parse_tcb_info
from twinproof.dcap.timestamps import check_window
from twinproof.errors import CollateralMismatch, Forged, Revoked, UsageError
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.tdx.quote import Quote
from twinproof.tdx.report import TdReport

__all__ = ["PCK_CHAIN_PEM", "PLAN", "Appraisal", "appraise"]

NOT_TDX = "not applicable: an SGX quote"


@dataclass(frozen=True, slots=True)
class _Collateral:
    """Collateral whose signatures and windows hold."""

    root_crl: Crl
    pck_crl: Crl
    signers: tuple[Certificate, Certificate]
    tcb_info: TcbInfo
    qe_identity: QeIdentity


def appraise(
    quote: bytes,
    collateral: Collateral,
    *,
    at: int,
    root: TrustRoot,
    ledger: Ledger,
    memo: Memo,
    shape: ChainShape = INTEL,
) -> Appraisal | None:
    """Judge `quote` at `at` (unix seconds, UTC) under `root`. None when a step failed; the ledger has it.

    Raises UsageError for another shape than Intel's under Intel's root.
    """
    if shape is not INTEL and root.is_intel:
        raise UsageError("only Intel's own chain shape is judged under Intel's root", where="chain shape")
    with ledger.group():
        with ledger.step("dcap.quote_format") as entry:  # 1
            parsed = shape.parse_quote(quote)
            if parsed.trailing:
                entry.explain("after the end", f"{len(parsed.trailing)} bytes, ignored")
            if any(parsed.trailing):  # zeros are how a fixed-size buffer looks
                entry.warning = f"{len(parsed.trailing)} bytes after the quote's end, not all zero, were ignored"
        with ledger.step("dcap.header"):  # 2
            check_header(parsed)
        with ledger.step("dcap.certification_data"):  # 3
            pem = chain_pem(parsed, collateral)
        with ledger.step("dcap.pck_chain") as entry:  # 4
            chain = shape.pck_chain(pem, root, memo)
            check_dates(*chain.certificates, at=at)
            entry.explain("PPID, hashed to the device id", chain.pck.ppid.hex())
        trusted = _check_collateral(parsed, collateral, chain, root, shape, at=at, ledger=ledger, memo=memo)  # 5-9
        qe_level = _check_quoting_enclave(parsed, chain, trusted, ledger, memo)  # 10-13
        with ledger.step("dcap.quote_signature") as entry:  # 14
            check_signature(_attestation_key(parsed, memo), parsed.signature, parsed.signed, "quote")
            entry.explain(
                "signed bytes", f"0..{len(parsed.signed)}, sha256 {hashlib.sha256(parsed.signed).hexdigest()}"
            )
        return _judge_tcb(parsed, chain, trusted, qe_level, ledger)  # 15-20
    return None


def _check_collateral(
    quote: Quote,
    collateral: Collateral,
    chain: PckChain,
    root: TrustRoot,
    shape: ChainShape,
    *,
    at: int,
    ledger: Ledger,
    memo: Memo,
) -> _Collateral:
    with ledger.step("dcap.root_crl"):  # 5
        root_crl = crl_of(collateral.root_ca_crl, chain.root, "root CA CRL", memo, at=at)
        check_not_revoked(chain.root, root_crl, "root CA CRL")
        check_not_revoked(chain.ca, root_crl, "root CA CRL")
    with ledger.step("dcap.pck_crl"):  # 6
        issuer = shape.pck_crl_issuer(chain, collateral, root)
        pck_crl = crl_of(collateral.pck_crl, issuer, "PCK CRL", memo, at=at)
        check_not_revoked(chain.leaf, pck_crl, "PCK CRL")
    with ledger.step("dcap.tcb_signing"):  # 7
        tcb_signer = shape.signing_certificate(collateral.tcb_info_issuer_chain, root, "TCB Info issuer chain", memo)
        qe_signer = shape.signing_certificate(
            collateral.qe_identity_issuer_chain, root, "QE Identity issuer chain", memo
        )
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
    current, status = None, launch.status
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
    starts, ends = _windows(chain, trusted)
    return Appraisal(
        quote=quote,
        pck=pck,
        pck_ca=chain.ca_kind,
        tcb_status=status,
        advisory_ids=launch.advisory_ids,
        tcb_date=launch.tcb_date,
        launch=launch,
        current=current,
        qe_status=qe_level.status,
        tcb_evaluation_data_number=min(info.tcb_evaluation_data_number, identity.tcb_evaluation_data_number),
        oldest_document=min(info.issue_date, identity.issue_date, trusted.pck_crl.this_update),
        earliest_issue=min(starts),
        latest_issue=max(starts),
        earliest_expiration=min(ends),
    )


def _windows(chain: PckChain, trusted: _Collateral) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last seconds of everything that was used."""
    certificates = (*chain.certificates, *trusted.signers)
    lists, documents = (trusted.root_crl, trusted.pck_crl), (trusted.tcb_info, trusted.qe_identity)
    starts = [item.not_before for item in certificates]
    starts += [item.this_update for item in lists]
    starts += [item.issue_date for item in documents]
    ends = [item.not_after for item in certificates]
    ends += [item.next_update for item in lists]
    ends += [item.next_update for item in documents]
    return tuple(starts), tuple(ends)
