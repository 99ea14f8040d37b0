"""The numbered checks of a quote, each with what it proves and what an attacker gains without it."""

from __future__ import annotations

from twinproof.ledger import Plan
from twinproof.verdict import Step

__all__ = ["PLAN"]

_QUOTE = "Intel DCAP ECDSA quote format"
_PCK = "Intel SGX PCK certificate and CRL profile 1.5"
_PCS = "Intel PCS API v4"
_QVL = "Intel DCAP quote verification library"

PLAN = Plan(
    (
        Step(
            "dcap.quote_format",
            "the bytes are one SGX or TDX quote",
            "two parsers could read two different reports out of one file",
            _QUOTE + " 3, 4, 5",
        ),
        Step(
            "dcap.header",
            "made by Intel's quoting enclave with ECDSA P-256",
            "another vendor's quoting enclave follows other rules",
            _QUOTE + ", header",
        ),
        Step(
            "dcap.certification_data",
            "it brings its PCK certificate chain",
            "without the platform's certificate nobody vouches for the signing key",
            _QUOTE + ", certification data",
        ),
        Step(
            "dcap.pck_chain",
            "its PCK certificate descends from the trust root, in exactly three levels",
            "anyone could issue a certificate for a machine that does not exist",
            _PCK,
        ),
        Step(
            "dcap.root_crl",
            "the root has not revoked the PCK CA",
            "a stolen CA could go on issuing platforms after Intel noticed",
            _PCK + ", section 3; RFC 5280",
        ),
        Step(
            "dcap.pck_crl",
            "the PCK CA has not revoked this platform",
            "a platform whose keys were extracted can sign quotes for anything",
            _PCK + ", section 3; RFC 5280",
        ),
        Step(
            "dcap.tcb_signing",
            "Intel's TCB Signing certificate, and no other, signs the TCB documents",
            "with one extracted PCK key an attacker could sign documents that call every platform up to date",
            _PCS + ", TCB-Info-Issuer-Chain",
        ),
        Step(
            "dcap.tcb_info",
            "the TCB Info is signed, current and about this TEE",
            "forged or old levels make a vulnerable platform look up to date",
            _PCS + ", TCB Info V3",
        ),
        Step(
            "dcap.qe_identity",
            "the QE Identity is signed, current and about this TEE",
            "any enclave could pose as the quoting enclave",
            _PCS + ", Enclave Identity V2",
        ),
        Step(
            "dcap.qe_report_signature",
            "the platform's PCK key signed the quoting enclave's report",
            "the quoting enclave could be software without any hardware",
            _QVL + ", QE report",
        ),
        Step(
            "dcap.qe_binding",
            "that report names the key that signed this quote",
            "a real platform's certificate could be put beside a key of the attacker's",
            _QVL + ", QE report data",
        ),
        Step(
            "dcap.qe_match",
            "the quoting enclave is the one Intel describes",
            "another enclave on a real platform could sign invented reports",
            _QVL + ", enclave identity",
        ),
        Step(
            "dcap.qe_tcb_level",
            "Intel knows the quoting enclave's version",
            "an old quoting enclave with known holes could be used",
            _QVL + ", enclave TCB",
        ),
        Step(
            "dcap.quote_signature",
            "the quote's signature covers the report",
            "every register in it could be edited",
            _QVL + ", quote signature",
        ),
        Step(
            "dcap.platform_match",
            "the TCB Info is about this platform's FMSPC and PCE",
            "the levels of a newer platform could be applied to an older one",
            _QVL + ", FMSPC and PCEID",
        ),
        Step(
            "dcap.tdx_module",
            "the TDX module is signed by Intel and known",
            "a module of the attacker's would report whatever it likes about its guests",
            _QVL + ", TDX module",
        ),
        Step(
            "dcap.tcb_level",
            "a TCB level covers this platform's microcode and firmware",
            "firmware that Intel does not know could be running",
            _QVL + ", TCB level",
        ),
        Step(
            "dcap.tcb_status",
            "platform, quoting enclave and module together have one status",
            "the status of one part could hide that of another",
            _QVL + ", TCB status convergence",
        ),
        Step(
            "dcap.current_tcb",
            "the TDX module running now was judged too (TD 1.5)",
            "a TD launched under a good module could be running under a bad one",
            _QVL + ", TEE_TCB_SVN2",
        ),
        Step(
            "dcap.not_revoked",
            "Intel has not revoked that status",
            "Intel calls this firmware broken beyond repair",
            _QVL + ", TCB status Revoked",
        ),
    )
)
