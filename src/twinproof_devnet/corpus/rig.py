"""What the cases are made with: one tree of certificates, one machine, and good collateral, all valid at one time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from twinproof_devnet.collateral import Documents, compact, make, qe_identity, tcb_info
from twinproof_devnet.corpus.case import Case, Kind, Rule
from twinproof_devnet.host import Tampering, TdMeasurements, TdxHost
from twinproof_devnet.pki import Pki

__all__ = ["Json", "Rig", "edited"]

Json = dict[str, object]
REPORT_DATA = bytes(range(64))
TD = TdMeasurements(rtmr3=b"\x03" * 48)


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything honest; a case replaces one part."""

    at: int
    pki: Pki
    host: TdxHost

    @classmethod
    def create(cls, at: int) -> Rig:
        """`at` is the time (unix seconds) at which everything is valid."""
        pki = Pki.create(at)
        return cls(at, pki, TdxHost.create(pki, at))

    def quote(
        self,
        version: int = 4,
        body: str = "TD1.0",
        *,
        host: TdxHost | None = None,
        td: TdMeasurements = TD,
        tampering: Tampering | None = None,
    ) -> bytes:
        return (host or self.host).quote(td, REPORT_DATA, version, body=body, tampering=tampering or Tampering())

    def sgx_quote(self, *, host: TdxHost | None = None, debug: bool = False, version: int = 3) -> bytes:
        host = host or self.host
        return host.sgx_quote(host.enclave(REPORT_DATA, debug=debug), version)

    @property
    def documents(self) -> Documents:
        return Documents.at(self.at)

    def collateral(self, tee: str = "TDX", *, ca: str = "platform", documents: Documents | None = None) -> Json:
        return dict(make(self.pki, self.at, tee=tee, ca=ca, documents=documents))

    def signed(self, document: str, change: Callable[[Json], object], tee: str = "TDX") -> Json:
        """Good collateral but for `tcb_info` or `qe_identity`, which is changed and then signed.

        `change` edits the value in place, or returns the text to be signed.
        """
        documents = Documents.at(self.at, tee)
        value = tcb_info(documents) if document == "tcb_info" else qe_identity(documents)
        text = change(value)
        signed = text if isinstance(text, str) else compact(value)
        if document == "tcb_info":
            return dict(make(self.pki, self.at, tee=tee, tcb_info=signed))
        return dict(make(self.pki, self.at, tee=tee, qe_identity=signed))

    def accept(
        self,
        name: str,
        description: str,
        *,
        quote: bytes | None = None,
        collateral: Mapping[str, object] | None = None,
        status: str = "UpToDate",
        at: int | None = None,
        rule: Rule = Rule.GENUINE,
    ) -> Case:
        """A case that is accepted with this TCB status."""
        case = self._case(name, description, quote, collateral)
        return replace(case, at=self.at if at is None else at, tcb_status=status, rule=rule)

    def refuse(
        self,
        stage: str,
        name: str,
        description: str,
        *,
        quote: bytes | None = None,
        collateral: Mapping[str, object] | bytes | None = None,
        root: bytes | None = None,
        at: int | None = None,
        rule: Rule = Rule.GENUINE,
    ) -> Case:
        """A case that is refused by this check; the name gets the check's in front."""
        case = self._case(f"{stage.rpartition('.')[2]}.{name}", description, quote, collateral, root)
        return replace(case, at=self.at if at is None else at, stage=stage, rule=rule)

    def _case(
        self,
        name: str,
        description: str,
        quote: bytes | None,
        collateral: Mapping[str, object] | bytes | None,
        root: bytes | None = None,
    ) -> Case:
        if not isinstance(collateral, bytes):
            good = self.collateral() if collateral is None else collateral
            collateral = json.dumps(good, indent=1).encode()
        files = {
            "quote.bin": self.quote() if quote is None else quote,
            "collateral.json": collateral,
            "root.der": root or self.pki.root.der,
        }
        return Case(name, Kind.QUOTE, description, files, self.at)


def edited(data: bytes, at: int, value: bytes) -> bytes:
    """The same bytes with `value` written over them from offset `at`."""
    return data[:at] + value + data[at + len(value) :]
