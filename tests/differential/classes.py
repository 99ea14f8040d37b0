"""Every known kind of difference between the two verifiers, and why it is one: docs/dcap-differences.md shows them.

The first class that covers a case counts. A case that none covers fails the differential tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cryptography import x509

if TYPE_CHECKING:
    from differential.harness import Answer, Case

FIRST_YEAR = 1970

__all__ = ["DIFFERENCES", "Difference"]

PCK, TCB = "dcap.pck_chain", "dcap.tcb_signing"
CRLS = ("dcap.root_crl", "dcap.pck_crl")
DOCUMENTS = ("dcap.tcb_info", "dcap.qe_identity")


@dataclass(frozen=True, slots=True)
class Difference:
    """`text` is a pattern: of our reason where we refuse, otherwise of theirs. `steps` are where we refuse."""

    name: str
    steps: tuple[str, ...]
    error: str
    text: str
    ours: str
    theirs: str
    why: str
    we_accept: bool = False
    they: str = "accept"
    """accept, refuse or crash."""
    when: Callable[[Case, Answer, Answer], bool] = field(default=lambda _case, _ours, _theirs: True)


def _sorted_levels_agree(case: Case, ours: Answer, _theirs: Answer) -> bool:
    """The same documents with their levels in Intel's order, signed again: now both say what we said before."""
    from differential.documents import signed_again
    from differential.harness import answers

    members = json.loads(case.collateral)
    texts = {}
    for name in ("tcb_info", "qe_identity"):
        document = json.loads(members[name])
        _sort(document)
        texts[name] = document
    again = answers(replace(case, collateral=signed_again(members, texts)))
    return again[0] == ours and (again[1] == ours if ours.accepted else again[1].verdict == "refuse")


def _an_entry_cannot_be_read(case: Case, _ours: Answer, theirs: Answer) -> bool:
    """An entry of the list they name has extensions or a date that no strict reader takes."""
    name = "root_ca_crl" if "root CA" in theirs.text else "pck_crl"
    crl = x509.load_der_x509_crl(bytes.fromhex(json.loads(case.collateral)[name]))
    return not all(_readable(entry) for entry in crl)


def _readable(entry: x509.RevokedCertificate) -> bool:
    try:
        return len(entry.extensions) >= 0 and entry.revocation_date_utc.year >= FIRST_YEAR
    except (ValueError, x509.DuplicateExtension):
        return False


def _sort(document: dict[str, Any]) -> None:
    modules = document.get("tdxModuleIdentities")
    for part in (document, *(modules if isinstance(modules, list) else ())):
        levels = part["tcbLevels"]
        if all("isvsvn" in level["tcb"] for level in levels):
            levels.sort(key=lambda level: level["tcb"]["isvsvn"], reverse=True)


def _outside_the_roots_dates(case: Case, _ours: Answer, _theirs: Answer) -> bool:
    root = x509.load_der_x509_certificate(case.root.der)
    return not root.not_valid_before_utc.timestamp() <= case.at <= root.not_valid_after_utc.timestamp()


DIFFERENCES = (
    Difference(
        "left-over-bytes",
        ("dcap.quote_format",),
        "Malformed",
        "bytes left over inside",
        "bytes between the certification data and the end of its container are refused",
        "ignores them",
        "no signature covers them, and two readers could find different things in them",
    ),
    Difference(
        "outer-type",
        ("dcap.quote_format",),
        "Malformed",
        "wrong outer certification data type",
        "versions 4 and 5 wrap the certification data in type 6",
        "takes any type",
        "Intel's quote format and library; see `outer-certification-type` above",
    ),
    Difference(
        "qe-report-data-tail",
        ("dcap.qe_binding",),
        "Forged",
        r"got ([0-9a-f]{64})[0-9a-f]{64}, expected \1",
        "bytes 32 to 63 of the QE's report data are zero",
        "compares the first 32",
        "Intel's enclave writes zeros there; a report with anything else is not what it makes",
    ),
    Difference(
        "xfam",
        ("policy.report_attributes",),
        "Refused",
        "XFAM: impossible extended features",
        "XFAM has its fixed bits, and none that no TD can have",
        "does not look",
        "the TDX module refuses such a TD; the quote stays genuine here, and this is policy",
    ),
    Difference(
        "chain-length",
        (PCK, TCB),
        "Untrusted",
        "wrong number of certificates",
        "a PCK chain is three certificates, an issuer chain two, and nothing beside them",
        "builds a path from whatever is there",
        "what was checked is what was supplied; Intel's library wants the same numbers",
    ),
    Difference(
        "chain-text",
        (PCK, TCB),
        "Malformed",
        "not a PEM certificate|not base64|text after the last certificate|wrong number of certificates|chain too long",
        "PEM blocks of certificates, one after the other, in plain base64",
        "skips other text, labels and white space",
        "two readers of a loose text can find two chains in it",
    ),
    Difference(
        "another-root",
        (PCK, TCB),
        "Untrusted",
        "the chain ends at another root",
        "the last certificate is the trust root, byte for byte",
        "does not read the root it is given; its own is enough",
        "a chain that shows another root than the one that was trusted says something false",
    ),
    Difference(
        "unreadable-certificate",
        (PCK, TCB),
        "Malformed",
        "not a readable X.509 certificate|not X.509 version 3|a date before 1970|is not positive",
        "every certificate is read whole, in strict DER, with a positive serial number",
        "reads the members that it needs",
        "extensions that cannot be read may say anything; revocation needs a serial number",
    ),
    Difference(
        "another-name",
        (PCK, TCB),
        "Untrusted",
        "not the certificate that belongs here",
        "each certificate has its one full name, the root's own but for the common name",
        "takes any end entity under the root, for documents too",
        "with one extracted PCK key anyone could sign documents that call every platform up to date",
    ),
    Difference(
        "another-key-id",
        (PCK, TCB),
        "Untrusted",
        "issued by another key",
        "the authority key id is the issuer's subject key id",
        "does not compare them",
        "RFC 5280, 4.2.1.1: the certificate itself says that another key signed it",
    ),
    Difference(
        "missing-extension",
        (PCK, TCB),
        "Untrusted",
        r"^(?!trust root).*no \w+ extension: expected",
        "the five extensions of every certificate of Intel's are there",
        "wants basicConstraints of CAs",
        "Intel's library wants all five, and none of Intel's lacks one",
    ),
    Difference(
        "certificate-use",
        (PCK, TCB),
        "Untrusted",
        "not a CA of end entities|its key may not sign|a CA certificate where an end entity belongs",
        "basicConstraints and keyUsage say what the certificate is used for; path length 0 of a CA",
        "looks at the CA flag, a path length that is exceeded, and cRLSign",
        "a key may do what its certificate says and nothing else",
    ),
    Difference(
        "critical-extension",
        (PCK, TCB),
        "Untrusted",
        "an unknown critical extension|an extension that restricts its use",
        "extensions that restrict a certificate's use are refused",
        "understands name constraints and server or client use, and accepts where they fit",
        "none of Intel's has one; here nothing is built that could judge them",
    ),
    Difference(
        "trust-root",
        (PCK,),
        "Untrusted",
        "^trust root: ",
        "a trust root has the form of Intel's, and may sign certificates and lists",
        "uses its name and its key",
        "the root is the user's choice: one that could not be Intel's is a mistake to be told",
    ),
    Difference(
        "crash",
        (PCK,),
        "Untrusted",
        "^trust root: not issued by itself",
        "a trust root is issued by itself",
        "dcap-qvl 0.7.0 aborts its process",
        "an assertion in its path building; `--second-opinion` reports it as no opinion",
        they="crash",
    ),
    Difference(
        "root-dates",
        (PCK,),
        "Stale",
        "^the certificate ",
        "the root's own dates count",
        "a trust anchor has no dates",
        "Intel's library looks at the root's notAfter; a root that has expired vouches for nothing",
        when=_outside_the_roots_dates,
    ),
    Difference(
        "sgx-extension",
        (PCK,),
        "Malformed",
        "^PCK certificate( SGX extension|: no SGX extension)",
        "every member of the SGX extension once, in order, in range, in shortest DER, and nothing else",
        "looks for the members it needs by their OID",
        "Intel's library refuses other counts and types; what is read twice or past its range can be read in two ways",
    ),
    Difference(
        "sgx-extension-of-another-ca",
        (PCK,),
        "Untrusted",
        "the SGX extension is of another CA's form",
        "seven members under the Platform CA, five under the Processor CA",
        "takes both under both",
        "Intel's profile of PCK certificates",
    ),
    Difference(
        "crl-not-yet-valid",
        CRLS,
        "Stale",
        "CRL is not valid yet",
        "thisUpdate is not after the time of verification",
        "accepts lists from the future",
        "RFC 5280, 5.1.2.4, and Intel's library; see `crl-not-yet-valid` above",
    ),
    Difference(
        "crl-missing-extension",
        CRLS,
        "Malformed",
        "a CRL without (cRLNumber|authorityKeyIdentifier)",
        "a CRL has its number and its authority key id",
        "needs neither",
        "Intel's library wants both, and every list of Intel's has them",
    ),
    Difference(
        "crl-of-another-key",
        CRLS,
        "Untrusted",
        "the CRL of another CA",
        "name and authority key id of a CRL are those of the CA",
        "compares the name and the signature",
        "the list itself says that another key signed it",
    ),
    Difference(
        "unreadable-crl",
        CRLS,
        "Malformed",
        "not a readable CRL|a date before 1970",
        "a CRL is read whole, in strict DER",
        "reads the members that it needs",
        "a list whose extensions cannot be read may be a list of something else",
    ),
    Difference(
        "crl-scope",
        CRLS,
        "Untrusted",
        "a CRL of a part of the certificates|a critical CRL extension|entries of other CAs",
        "no delta, no distribution point, no critical extension, no entries of other CAs",
        "accepts a distribution point that fits",
        "a list of some certificates does not say `not revoked` of the others; Intel's are whole",
    ),
    Difference(
        "json-form",
        DOCUMENTS,
        "Malformed",
        "duplicate JSON member|half a surrogate pair|not JSON|nested too deeply|not a JSON number|number too large",
        "strict JSON: no name twice, known or not, 32 levels, numbers that every reader reads alike",
        "refuses known names twice; skips what it does not know",
        "Intel's library takes the first of two members, others the last",
    ),
    Difference(
        "date-form",
        DOCUMENTS,
        "Malformed",
        "not a date|Date: text too long",
        "every date is YYYY-MM-DDThh:mm:ssZ, exists, and is not before 1970, those of unused levels too",
        "any RFC 3339 form, in the levels that are used",
        "Intel's form, read as Intel's library reads it",
    ),
    Difference(
        "component-status",
        DOCUMENTS,
        "Malformed",
        "unknown TCB status",
        "a module's or QE's level is UpToDate, OutOfDate or Revoked; all levels are read",
        "more for the QE, which then count as UpToDate; only the chosen level is read",
        "Intel's library knows three; a status without a meaning must not pass as the best one",
    ),
    Difference(
        "repeated-level",
        DOCUMENTS,
        "Malformed",
        "the same (TCB level|ISVSVN|TDX module) twice",
        "a document that says two things about one level is refused",
        "takes the first",
        "Intel's library refuses repeated TCB levels; which of two statuses holds is a guess",
    ),
    Difference(
        "document-version",
        DOCUMENTS,
        "Malformed",
        "unsupported version|unsupported TCB type",
        "TCB Info version 3 of type 0, QE Identity version 2",
        "newer versions, and version 2 for SGX; any type",
        "Intel's library knows no newer version: what one would mean is not known",
    ),
    Difference(
        "unused-members",
        DOCUMENTS,
        "Malformed",
        "wrong number of components|missing member|not hex text|(hex )?text too long|wrong length|no TCB levels|"
        "not a (JSON object|short string)|not the id of a TDX module|SGX document with a TDX member",
        "every member of every level and module is read, used or not",
        "reads the level and the module that it needs; takes a list for an object",
        "a document that is malformed anywhere is not Intel's",
    ),
    Difference(
        "platform-pce-id",
        ("dcap.platform_match",),
        "CollateralMismatch",
        "TCB Info of another PCE ID",
        "the PCE ID of the certificate is that of TCB Info",
        "does not compare them",
        "Intel's library does: the levels of another PCE say nothing about this one",
    ),
    Difference(
        "qe-mask",
        ("dcap.qe_match",),
        "Untrusted",
        "its (ATTRIBUTES|MISCSELECT) differs",
        "the masked report equals the unmasked identity",
        "masks both",
        "Intel's library: an identity with bits outside its own mask matches no enclave",
    ),
    Difference(
        "seam-attributes",
        ("dcap.tdx_module",),
        "Untrusted",
        "SEAMATTRIBUTES",
        "the module's attributes are zero, and equal to those of TCB Info",
        "compares them under the mask",
        "Intel's library",
    ),
    Difference(
        "collateral-file",
        ("collateral",),
        "Malformed",
        "^collateral",
        "a collateral file has the known members and no others, each of its type",
        "ignores further members",
        "a member that is misspelt is a member that is missing",
    ),
    Difference(
        "level-order-refused",
        ("dcap.not_revoked",),
        "Revoked",
        "Intel has revoked this platform's TCB",
        "levels of modules and QEs are put in order, highest first, as Intel's library does",
        "the first in the document that is reached",
        "the same case with sorted levels is refused by both: the test signs it and asks again",
        when=_sorted_levels_agree,
    ),
    Difference(
        "qe-auth-data",
        (),
        "",
        "Invalid QE auth data length",
        "authentication data of any length, bound by its hash",
        "exactly 32 bytes",
        "Intel's format and library: the length is free, quotes without any exist, and the QE's report names the hash",
        we_accept=True,
        they="refuse",
    ),
    Difference(
        "pce-svn",
        (),
        "",
        "PceSvn length mismatch",
        "a PCESVN of 0 to 65535",
        "of 0 to 32767, which DER spells in two bytes",
        "Intel's profile: an INTEGER of 0 to 65535",
        we_accept=True,
        they="refuse",
    ),
    Difference(
        "crl-entries",
        (),
        "",
        "Failed to parse (PCK|root CA) CRL Caused by: ",
        "a serial number on the list is revoked, whatever else its entry says",
        "reads reasons and dates of every entry",
        "nothing in an entry can take a certificate off the list, so not reading it can only refuse more",
        we_accept=True,
        they="refuse",
        when=_an_entry_cannot_be_read,
    ),
    Difference(
        "level-order-revoked",
        (),
        "",
        "TCB status is invalid: Revoked",
        "levels of modules and QEs are put in order, highest first, as Intel's library does",
        "the first in the document that is reached",
        "the same case with sorted levels is accepted by both, with our status: the test signs it and asks again",
        we_accept=True,
        they="refuse",
        when=_sorted_levels_agree,
    ),
    Difference(
        "level-order",
        (),
        "",
        "",
        "levels of modules and QEs are put in order, highest first, as Intel's library does",
        "the first in the document that is reached: another status or other advisories",
        "the same case with sorted levels has the same answer from both, ours: the test signs it and asks again",
        we_accept=True,
        when=_sorted_levels_agree,
    ),
)
