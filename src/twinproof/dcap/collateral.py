"""Collateral: CRLs, TCB Info and QE Identity, kept as the exact bytes that Intel signed.

JSON form, as common tools exchange it: PEM chains and signed JSON bodies as texts, CRLs and signatures as hex.
Parsing and believing what is inside happens in `verify`, at a time, under a root.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from twinproof.errors import Malformed
from twinproof.wire import Fields, parse_json, parse_object, shown

__all__ = ["Collateral"]

MAX_COLLATERAL_BYTES = 4 << 20
MAX_CRL_BYTES = 1 << 20
_SIGNATURES = ("tcb_info_signature", "qe_identity_signature")
_CRLS = ("root_ca_crl", "pck_crl")


@dataclass(frozen=True, slots=True)
class Collateral:
    """CRLs are DER, signatures r || s (64 bytes), the rest is text exactly as it was served.

    `pck_crl_issuer_chain` is kept and never used: the CRL has to be signed by the CA of the quote's own chain.
    `pck_certificate_chain` serves quotes without a chain; beside one it has to be the same.
    """

    pck_crl_issuer_chain: str
    root_ca_crl: bytes
    pck_crl: bytes
    tcb_info_issuer_chain: str
    tcb_info: str
    tcb_info_signature: bytes
    qe_identity_issuer_chain: str
    qe_identity: str
    qe_identity_signature: bytes
    pck_certificate_chain: str | None = None

    def __post_init__(self) -> None:
        """Raises Malformed for a text that has no UTF-8 bytes, so that everything below can take them."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, str) and not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError as error:
                    raise Malformed("text with half a surrogate pair", where=f"collateral.{item.name}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Collateral:
        """Read a collateral file. Raises Malformed with the member's path."""
        return cls.from_fields(parse_object(text, "collateral", max_bytes=MAX_COLLATERAL_BYTES))

    @classmethod
    def from_fields(cls, document: Fields) -> Collateral:
        """Read collateral that stands inside another document. Raises Malformed with the member's path."""
        unknown = document.raw.keys() - _MEMBERS
        if unknown:
            raise Malformed("unknown member", where=document.where, got=shown(min(unknown), 40))
        chain = document.raw.get("pck_certificate_chain")
        return cls(
            pck_crl_issuer_chain=document.text("pck_crl_issuer_chain"),
            root_ca_crl=document.hex("root_ca_crl", max_size=MAX_CRL_BYTES),
            pck_crl=document.hex("pck_crl", max_size=MAX_CRL_BYTES),
            tcb_info_issuer_chain=document.text("tcb_info_issuer_chain"),
            tcb_info=document.text("tcb_info"),
            tcb_info_signature=document.hex("tcb_info_signature", size=64),
            qe_identity_issuer_chain=document.text("qe_identity_issuer_chain"),
            qe_identity=document.text("qe_identity"),
            qe_identity_signature=document.hex("qe_identity_signature", size=64),
            pck_certificate_chain=None if chain is None else document.text("pck_certificate_chain"),
        )

    def about(self) -> tuple[str, str]:
        """TEE and FMSPC (upper-case hex) that the unverified TCB Info names; empty where it names none."""
        info = parse_json(self.tcb_info, "tcbInfo")
        members = info if isinstance(info, dict) else {}
        return str(members.get("id", "")), str(members.get("fmspc", "")).upper()

    def to_json(self) -> dict[str, str]:
        """The JSON form; every text comes back exactly as it was read."""
        members = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {
            name: value.hex() if isinstance(value, bytes) else value for name, value in members if value is not None
        }


_MEMBERS = frozenset(item.name for item in fields(Collateral))
