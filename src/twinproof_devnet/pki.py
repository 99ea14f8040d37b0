"""The devnet's own copy of Intel's certificate tree, made at run time. Its root says what it is: NOT INTEL.

twinproof devnet root, NOT INTEL
├── Intel SGX PCK Platform CA  ──  Intel SGX PCK Certificate (one per machine)
├── Intel SGX PCK Processor CA ──  Intel SGX PCK Certificate
└── Intel SGX TCB Signing
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509

from twinproof_devnet.certificate import Change, Issued, Recipe, issue
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.machine import Machine
from twinproof_devnet.sgx_extension import SGX_EXTENSION_OID, encode_members

__all__ = ["ROOT_NAME", "Pki"]

ROOT_NAME = "twinproof devnet root, NOT INTEL"
CA_NAMES = {"platform": "Intel SGX PCK Platform CA", "processor": "Intel SGX PCK Processor CA"}
ROOT_CRL_URL = "https://devnet.invalid/IntelSGXRootCA.der"
PCK_CRL_URL = "https://devnet.invalid/sgx/certification/v4/pckcrl?ca={}&encoding=der"
_DAY = 86_400
_YEAR = 365 * _DAY


@dataclass(frozen=True, slots=True)
class Pki:
    """The certificates above the machines. `replace` one to build a tree with a foreign part."""

    root: Issued
    platform_ca: Issued
    processor_ca: Issued
    tcb_signing: Issued

    @classmethod
    def create(
        cls,
        at: int,
        *,
        root: Change | None = None,
        platform_ca: Change | None = None,
        processor_ca: Change | None = None,
        tcb_signing: Change | None = None,
    ) -> Pki:
        """A tree that is valid at `at` (unix seconds), but for the changes."""
        born = at - 5 * _YEAR
        top = issue(_ca(ROOT_NAME, born, at + 25 * _YEAR, 1), None, root)
        return cls(
            root=top,
            platform_ca=issue(_ca(CA_NAMES["platform"], born, at + 10 * _YEAR, 0), top, platform_ca),
            processor_ca=issue(_ca(CA_NAMES["processor"], born, at + 10 * _YEAR, 0), top, processor_ca),
            tcb_signing=issue(
                Recipe("Intel SGX TCB Signing", born, at + 2 * _YEAR, ROOT_CRL_URL, digital_signature=True),
                top,
                tcb_signing,
            ),
        )

    def ca(self, kind: str) -> Issued:
        """The PCK CA: `platform` or `processor`."""
        return {"platform": self.platform_ca, "processor": self.processor_ca}[kind]

    def pck(
        self, machine: Machine, at: int, *, change: Change | None = None, sgx_extension: bytes | None = None
    ) -> Issued:
        """The PCK certificate of a machine; `sgx_extension` replaces the extension's whole value (b"": none)."""
        value = encode_members(machine) if sgx_extension is None else sgx_extension
        extra = ((x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_EXTENSION_OID), value), False),)
        recipe = Recipe(
            "Intel SGX PCK Certificate",
            at - 30 * _DAY,
            at + 6 * _YEAR,
            PCK_CRL_URL.format(machine.ca),
            digital_signature=True,
            extra=extra if value else (),
        )
        return issue(recipe, self.ca(machine.ca), change)

    def pck_chain(self, pck: Issued, ca: str = "platform") -> bytes:
        """Leaf, CA, root as PEM with the NUL that real quotes carry at the end."""
        return f"{pck.pem}{self.ca(ca).pem}{self.root.pem}".encode("ascii") + b"\x00"

    def signing_chain(self, signer: Issued | None = None) -> str:
        """TCB Signing certificate, then the root, PEM."""
        return f"{(signer or self.tcb_signing).pem}{self.root.pem}"

    def root_crl(self, at: int, revoked: Iterable[int] = ()) -> bytes:
        """DER: what the root has revoked."""
        return sign_crl(CrlRecipe.around(at, 365, revoked), self.root)

    def pck_crl(self, at: int, ca: str = "platform", revoked: Iterable[int] = ()) -> bytes:
        """DER: what a PCK CA has revoked."""
        return sign_crl(CrlRecipe.around(at, 30, revoked), self.ca(ca))


def _ca(name: str, not_before: int, not_after: int, path_length: int) -> Recipe:
    return Recipe(
        name,
        not_before,
        not_after,
        ROOT_CRL_URL,
        ca=True,
        path_length=path_length,
        key_cert_sign=True,
        crl_sign=True,
    )
