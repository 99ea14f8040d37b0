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

from twinproof.dcap.appraisal import Appraisal
from twinproof.dcap.certification import PCK_CHAIN_PEM, chain_pem, check_header
from twinproof.dcap.chain_shape import INTEL, ChainShape
from twinproof.dcap.chains import PckChain, check_dates
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import check_not_revoked
from twinproof.dcap.levels import check_module, combine, module_level, platform_level, svn_level
from twinproof.dcap.papers import KnownPlatform, Papers, papers_of
from twinproof.dcap.plan import PLAN
from twinproof.dcap.qe_identity import QE_IDS, QeIdentity, check_qe_identity
from twinproof.dcap.quoting_enclave import QuotingEnclave
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.signatures import check_signature
from twinproof.dcap.tcb import TcbStatus, relaunch
from twinproof.dcap.tcb_info import SvnLevel
from twinproof.dcap.timestamps import check_window
from twinproof.errors import CollateralMismatch, EvidenceError, Forged, Revoked, UsageError
from twinproof.ledger import Ledger, Line, Unwritten
from twinproof.memo import Memo
from twinproof.tdx.quote import Quote
from twinproof.tdx.report import TdReport, parse_enclave_report

__all__ = ["PCK_CHAIN_PEM", "PLAN", "Appraisal", "appraise"]

_UNWRITTEN = Unwritten()
OF_THE_PLATFORM = tuple(
    f"dcap.{name}"
    for name in (
        "pck_chain",
        "root_crl",
        "pck_crl",
        "tcb_signing",
        "tcb_info",
        "qe_identity",
        "qe_report_signature",
        "qe_binding",
        "qe_match",
        "qe_tcb_level",
    )
)
OF_THE_TCB = ("dcap.platform_match", "dcap.tdx_module", "dcap.tcb_level", "dcap.tcb_status", "dcap.current_tcb")
NOT_TDX = "not applicable: an SGX quote"
ONE_TCB = "not applicable: a TD 1.0 report has one TCB"


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
    with ledger.line("dcap.quote_format") as line:  # 1
        parsed = shape.parse_quote(quote)
        if parsed.trailing:
            line.explain("after the end", f"{len(parsed.trailing)} bytes, ignored")
            if any(parsed.trailing):  # zeros are how a fixed-size buffer looks
                line.warning = f"{len(parsed.trailing)} bytes after the quote's end, not all zero, were ignored"
        line.step("dcap.header")  # 2
        check_header(parsed)
        line.step("dcap.certification_data")  # 3
        papers = papers_of(chain_pem(parsed, collateral), collateral, root, shape, memo)
        enclave, qe_level = _check_platform(parsed, papers, line, ledger, at=at, memo=memo)  # 4-13
        digest = check_signature(enclave.attestation_key(), parsed.signature, parsed.signed, "quote")  # 14
        line.explain("signed bytes", f"0..{len(parsed.signed)}, sha256 ", digest)
        return _check_tcb(parsed, papers, qe_level, line, ledger, memo=memo)  # 15-20
    return None


def _check_platform(
    quote: Quote, papers: Papers, line: Line, ledger: Ledger, *, at: int, memo: Memo
) -> tuple[QuotingEnclave, SvnLevel]:
    """Steps 4 to 13; 14 is begun. Judged every time, and written down the first time that all of them hold."""
    known = papers.known
    if known is not None:
        try:
            found = _judge_platform(quote, papers, _UNWRITTEN, at=at, memo=memo)
        except EvidenceError:
            pass  # it is raised again below, on the line of its step
        else:
            if known.enclave is found[0]:
                line.adopt(known.checks, "dcap.quote_signature")
                return found
    found = _judge_platform(quote, papers, line, at=at, memo=memo)
    line.step("dcap.quote_signature")
    papers.known = KnownPlatform(found[0], ledger.recorded(OF_THE_PLATFORM))
    return found


def _judge_platform(
    quote: Quote, papers: Papers, line: Line | Unwritten, *, at: int, memo: Memo
) -> tuple[QuotingEnclave, SvnLevel]:
    line.step("dcap.pck_chain")  # 4
    chain, timely = papers.chain(memo), papers.all_within(at)
    if not timely:
        check_dates(*chain.certificates, at=at)
    line.explain("PPID, hashed to the device id", chain.pck.ppid)
    identity = _check_collateral(papers, line, tee=quote.tee, at=at, memo=memo)  # 5-9
    return _check_quoting_enclave(quote, chain, identity, memo, line)  # 10-13


def _check_collateral(papers: Papers, line: Line | Unwritten, *, tee: str, at: int, memo: Memo) -> QeIdentity:
    chain, timely = papers.chain(memo), papers.all_within(at)
    line.step("dcap.root_crl")  # 5
    root_crl = papers.root_crl(memo)
    if not timely:
        check_window("root CA CRL", root_crl.this_update, root_crl.next_update, at, end_included=False)
    check_not_revoked(root_crl, "root CA CRL", chain.root, chain.ca)
    line.step("dcap.pck_crl")  # 6
    pck_crl = papers.pck_crl(memo)
    if not timely:
        check_window("PCK CRL", pck_crl.this_update, pck_crl.next_update, at, end_included=False)
    check_not_revoked(pck_crl, "PCK CRL", chain.leaf)
    line.step("dcap.tcb_signing")  # 7
    signers = papers.signers(memo)
    if not timely:
        check_dates(*signers, at=at)
    check_not_revoked(root_crl, "root CA CRL", *signers)
    line.step("dcap.tcb_info")  # 8
    info = papers.tcb_info(memo)
    line.explain("signed text, sha256", info.sha256)
    if info.tee != tee:
        raise CollateralMismatch("TCB Info of another TEE", where="tcbInfo.id", got=info.tee, expected=tee)
    if not timely:
        check_window("TCB Info", info.issue_date, info.next_update, at)
    line.step("dcap.qe_identity")  # 9
    identity = papers.qe_identity(memo)
    line.explain("signed text, sha256", identity.sha256)
    if identity.id != QE_IDS[tee]:
        raise CollateralMismatch(
            "QE Identity of another TEE", where="enclaveIdentity.id", got=identity.id, expected=QE_IDS[tee]
        )
    if not timely:
        check_window("QE Identity", identity.issue_date, identity.next_update, at)
    return identity


def _check_quoting_enclave(
    quote: Quote, chain: PckChain, identity: QeIdentity, memo: Memo, line: Line | Unwritten
) -> tuple[QuotingEnclave, SvnLevel]:
    raw, signature, key, data = (
        quote.qe_report_raw,
        quote.qe_report_signature,
        quote.attestation_key,
        quote.qe_auth_data,
    )

    def check() -> QuotingEnclave:
        check_signature(chain.leaf.key, signature, raw, "QE report")
        return QuotingEnclave(parse_enclave_report(raw), key, data)

    line.step("dcap.qe_report_signature")  # 10
    enclave = memo.recall(("QE report", chain.leaf.der, signature, raw, key, data), check)
    report, bound = enclave.report, enclave.bound
    line.step("dcap.qe_binding")  # 11
    line.got, line.expected = report.report_data.hex(), bound.hex()
    line.explain("hashed", "SHA-256 over key ", key, " and data ", data)
    if report.report_data != bound:
        raise Forged(
            "the quoting enclave's report names another attestation key",
            where="QE report data",
            got=report.report_data.hex(),
            expected=bound.hex(),
        )
    line.step("dcap.qe_match")  # 12
    check_qe_identity(report, identity)
    line.step("dcap.qe_tcb_level")  # 13
    return enclave, svn_level(identity.levels, report.isv_svn, "quoting enclave")


def _check_tcb(
    quote: Quote, papers: Papers, qe_level: SvnLevel, line: Line, ledger: Ledger, *, memo: Memo
) -> Appraisal:
    """Steps 15 to 20. Judged every time, and written down the first time that they have this outcome."""
    try:
        appraisal = _judge_tcb(quote, papers, qe_level, _UNWRITTEN, memo)
    except EvidenceError:
        return _judge_tcb(quote, papers, qe_level, line, memo)  # raises it again, on the line of its step
    current = appraisal.current
    outcome = (quote.tee, appraisal.launch.status, None if current is None else current.status)
    known = papers.outcomes.get(outcome)
    if known is not None:
        line.adopt(known, "dcap.not_revoked")
        return appraisal
    appraisal = _judge_tcb(quote, papers, qe_level, line, memo)
    papers.outcomes[outcome] = ledger.recorded(OF_THE_TCB)
    return appraisal


def _judge_tcb(quote: Quote, papers: Papers, qe_level: SvnLevel, line: Line | Unwritten, memo: Memo) -> Appraisal:
    chain, info, report = papers.chain(memo), papers.tcb_info(memo), quote.report
    pck = chain.pck
    td = report if isinstance(report, TdReport) else None
    line.step("dcap.platform_match")  # 15
    for name, ours, theirs in (("FMSPC", pck.fmspc, info.fmspc), ("PCE ID", pck.pce_id, info.pce_id)):
        if ours != theirs:
            raise CollateralMismatch(f"TCB Info of another {name}", got=theirs.hex(), expected=ours.hex())
    line.explain("FMSPC", pck.fmspc)
    line.step("dcap.tdx_module")  # 16
    module = None
    if td is None:
        line.not_checked = NOT_TDX
    else:
        check_module(info, td)
        module = module_level(info, td.tee_tcb_svn)
    line.step("dcap.tcb_level")  # 17
    level = platform_level(info, pck, td.tee_tcb_svn if td else None)
    line.step("dcap.tcb_status")  # 18
    launch = combine(level, qe_level, module)
    line.got = launch.status
    line.step("dcap.current_tcb")  # 19
    current, status = None, launch.status
    if td is None or td.tee_tcb_svn2 is None:
        line.not_checked = NOT_TDX if td is None else ONE_TCB
    else:
        svn2 = td.tee_tcb_svn2
        current = combine(platform_level(info, pck, svn2), qe_level, module_level(info, svn2))
        status = relaunch(launch.status, current.status)
        line.got = f"launch {launch.status}, current {current.status}"
    line.step("dcap.not_revoked")  # 20
    if TcbStatus.REVOKED in (status, current.status if current else status):
        raise Revoked("Intel has revoked this platform's TCB", got=TcbStatus.REVOKED.value)
    windows, identity = papers.windows(memo), papers.qe_identity(memo)
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
        oldest_document=windows.oldest_document,
        earliest_issue=windows.earliest_issue,
        latest_issue=windows.latest_issue,
        earliest_expiration=windows.earliest_expiration,
    )
