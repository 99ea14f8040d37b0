"""What a quote's proof needs beside the quote, for one set of exact bytes: parsed, and its signatures checked.

The steps of `verify` ask for one part after the other. Each is read, and its signature checked, when it is first asked
for; the memory keeps it for the next quote with the same root, PCK chain and collateral, and its parts for other
platforms. Nothing in it depends on a time, a quote or a policy: those are judged at every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from twinproof.dcap.certificates import Certificate
from twinproof.dcap.chain_shape import ChainShape
from twinproof.dcap.chains import PckChain, signed_crl
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import Crl
from twinproof.dcap.qe_identity import QeIdentity, parse_qe_identity
from twinproof.dcap.quoting_enclave import QuotingEnclave
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.signatures import check_signature
from twinproof.dcap.tcb import TcbStatus
from twinproof.dcap.tcb_info import TcbInfo, parse_tcb_info
from twinproof.memo import Memo
from twinproof.verdict import Check

__all__ = ["KnownPlatform", "Papers", "Windows", "papers_of"]

Outcome = tuple[str, TcbStatus, TcbStatus | None]
"""TEE, status at launch, status now (TD 1.5 only): there are fewer than two hundred."""


class KnownPlatform(NamedTuple):
    """The quoting enclave last seen with these papers, and the Checks of the steps about both when all of them held."""

    enclave: QuotingEnclave
    checks: Mapping[str, Check]


class Windows(NamedTuple):
    """Over all certificates, CRLs and documents, unix seconds; the last over those alone that Intel renews monthly."""

    earliest_issue: int
    latest_issue: int
    earliest_expiration: int
    oldest_document: int


class Papers:
    """The PCK chain and the collateral under one root. Whatever a method raises, it raises again when asked again."""

    __slots__ = (
        "_chain",
        "_collateral",
        "_pck_crl",
        "_pem",
        "_qe_identity",
        "_root",
        "_root_crl",
        "_shape",
        "_signers",
        "_tcb_info",
        "_windows",
        "known",
        "outcomes",
    )

    def __init__(self, pem: bytes, collateral: Collateral, root: TrustRoot, shape: ChainShape) -> None:
        self._pem, self._collateral, self._root, self._shape = pem, collateral, root, shape
        self._chain: PckChain | None = None
        self._root_crl: Crl | None = None
        self._pck_crl: Crl | None = None
        self._signers: tuple[Certificate, Certificate] | None = None
        self._tcb_info: TcbInfo | None = None
        self._qe_identity: QeIdentity | None = None
        self._windows: Windows | None = None
        self.known: KnownPlatform | None = None
        self.outcomes: dict[Outcome, Mapping[str, Check]] = {}
        """Of the steps about the TCB, for each outcome that a platform with these papers had."""

    def chain(self, memo: Memo) -> PckChain:
        """Raises Malformed, Untrusted, Forged."""
        if self._chain is None:
            self._chain = self._shape.pck_chain(self._pem, self._root, memo)
        return self._chain

    def root_crl(self, memo: Memo) -> Crl:
        """The list of the CAs, by the root. Raises Malformed, Untrusted, Forged."""
        if self._root_crl is None:
            self._root_crl = signed_crl(self._collateral.root_ca_crl, self.chain(memo).root, "root CA CRL", memo)
        return self._root_crl

    def pck_crl(self, memo: Memo) -> Crl:
        """The list of the platforms, by their CA. Raises Malformed, Untrusted, Forged."""
        if self._pck_crl is None:
            issuer = self._shape.pck_crl_issuer(self.chain(memo), self._collateral, self._root)
            self._pck_crl = signed_crl(self._collateral.pck_crl, issuer, "PCK CRL", memo)
        return self._pck_crl

    def signers(self, memo: Memo) -> tuple[Certificate, Certificate]:
        """The signers of TCB Info and of QE Identity, usually the same. Raises Malformed, Untrusted, Forged."""
        if self._signers is None:
            read, collateral, root = self._shape.signing_certificate, self._collateral, self._root
            self._signers = (
                read(collateral.tcb_info_issuer_chain, root, "TCB Info issuer chain", memo),
                read(collateral.qe_identity_issuer_chain, root, "QE Identity issuer chain", memo),
            )
        return self._signers

    def tcb_info(self, memo: Memo) -> TcbInfo:
        """Raises Malformed, Forged."""
        if self._tcb_info is None:
            text, signature = self._collateral.tcb_info, self._collateral.tcb_info_signature
            signer = self.signers(memo)[0]

            def check() -> TcbInfo:
                check_signature(signer.key, signature, text.encode(), "TCB Info")
                return parse_tcb_info(text)

            self._tcb_info = memo.recall(("TCB Info", signer.der, signature, text), check)
        return self._tcb_info

    def qe_identity(self, memo: Memo) -> QeIdentity:
        """Raises Malformed, Forged."""
        if self._qe_identity is None:
            text, signature = self._collateral.qe_identity, self._collateral.qe_identity_signature
            signer = self.signers(memo)[1]

            def check() -> QeIdentity:
                check_signature(signer.key, signature, text.encode(), "QE Identity")
                return parse_qe_identity(text)

            self._qe_identity = memo.recall(("QE Identity", signer.der, signature, text), check)
        return self._qe_identity

    def all_within(self, at: int) -> bool:
        """Whether every window of these papers, all of which were read before, holds at `at`: two comparisons.

        False also where one is not read yet, or `at` is the last second of one: then each is for its step to judge.
        """
        windows = self._windows
        return windows is not None and windows.latest_issue <= at < windows.earliest_expiration

    def windows(self, memo: Memo) -> Windows:
        """First and last seconds of everything that was used; for reports, as each step judges its own."""
        if self._windows is None:
            certificates = (*self.chain(memo).certificates, *self.signers(memo))
            lists = (self.root_crl(memo), self.pck_crl(memo))
            info, identity = self.tcb_info(memo), self.qe_identity(memo)
            starts = [item.not_before for item in certificates]
            starts += [item.this_update for item in lists]
            starts += [info.issue_date, identity.issue_date]
            ends = [item.not_after for item in certificates]
            ends += [item.next_update for item in lists]
            ends += [info.next_update, identity.next_update]
            self._windows = Windows(
                earliest_issue=min(starts),
                latest_issue=max(starts),
                earliest_expiration=min(ends),
                oldest_document=min(info.issue_date, identity.issue_date, lists[1].this_update),
            )
        return self._windows


def papers_of(pem: bytes, collateral: Collateral, root: TrustRoot, shape: ChainShape, memo: Memo) -> Papers:
    """The papers of exactly these bytes, with what was read of them before."""
    key = (
        "papers",
        shape.name,
        root.der,
        pem,
        collateral.pck_crl_issuer_chain,
        collateral.root_ca_crl,
        collateral.pck_crl,
        collateral.tcb_info_issuer_chain,
        collateral.tcb_info,
        collateral.tcb_info_signature,
        collateral.qe_identity_issuer_chain,
        collateral.qe_identity,
        collateral.qe_identity_signature,
    )
    return memo.recall(key, lambda: Papers(pem, collateral, root, shape))
