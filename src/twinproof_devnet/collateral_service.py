"""Intel's Provisioning Certification Service as the devnet has it: the paths and headers of PCS v4 over plain HTTP.

Every document is signed when it is asked for, so that it is always fresh. A PCCS's path for the root CA CRL is there
too, and the distribution point's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from twinproof_devnet.certificate import Issued
from twinproof_devnet.collateral import Documents, make
from twinproof_devnet.host import TdxHost
from twinproof_devnet.loopback import Answer, Request, Service
from twinproof_devnet.pki import Pki

__all__ = ["CollateralService", "Publication"]

_FMSPC = re.compile(r"[0-9A-Fa-f]{12}", re.ASCII)
_DOCUMENT = re.compile(r"/(sgx|tdx)/certification/v4/(tcb|qe/identity)", re.ASCII)
_BAD_REQUEST, _NOT_FOUND = 400, 404
_CRL_TYPE, _PEM_TYPE = "application/pkix-crl", "application/x-pem-file"


@dataclass(frozen=True, slots=True)
class Publication:
    """What Intel would publish. Serial numbers in `revoked_*`; `change` may alter the documents of each request."""

    revoked_pck: frozenset[int] = frozenset()
    revoked_ca: frozenset[int] = frozenset()
    signer: Issued | None = None
    """Signs both documents instead of the TCB Signing certificate."""
    change: Callable[[Documents], Documents] | None = None


class CollateralService(Service):
    """Knows the models and the certificates of these hosts, and nothing else."""

    def __init__(
        self, pki: Pki, hosts: Iterable[TdxHost], *, clock: Callable[[], int], publication: Publication | None = None
    ) -> None:
        self.publication = publication or Publication()
        self._pki, self._hosts, self._clock = pki, tuple(hosts), clock
        super().__init__()

    def publish(self, hosts: Iterable[TdxHost], publication: Publication) -> None:
        """From the next request on, know these hosts and publish this."""
        self._hosts, self.publication = tuple(hosts), publication

    def answer(self, request: Request) -> Answer:
        document = _DOCUMENT.fullmatch(request.path)
        if document:
            return self._signed_document(request, document[1].upper(), document[2])
        if request.path == "/sgx/certification/v4/pckcrl":
            return self._pck_crl(request)
        if request.path in {"/sgx/certification/v4/rootcacrl", "/IntelSGXRootCA.der"}:
            crl = bytes.fromhex(self._collateral()["root_ca_crl"])
            in_hex = request.path.endswith("rootcacrl")  # as a PCCS does, whatever the content type says
            return Answer(crl.hex().encode() if in_hex else crl, content_type=_CRL_TYPE)
        if request.path == "/sgx/certification/v4/pckcert":
            return self._pck_certificate(request)
        return _refused(_NOT_FOUND, "no such path")

    def _collateral(self, tee: str = "TDX", ca: str = "platform", fmspc: bytes | None = None) -> dict[str, str]:
        at = self._clock()
        documents = Documents.at(at, tee)
        if fmspc is not None:
            documents = replace(documents, fmspc=fmspc)
        published = self.publication
        if published.change is not None:
            documents = published.change(documents)
        return make(
            self._pki,
            at,
            tee=tee,
            ca=ca,
            documents=documents,
            revoked_pck=published.revoked_pck,
            revoked_ca=published.revoked_ca,
            signer=published.signer,
        )

    def _signed_document(self, request: Request, tee: str, kind: str) -> Answer:
        if request.query("update") and request.query("tcbEvaluationDataNumber"):
            return _refused(_BAD_REQUEST, "update and tcbEvaluationDataNumber exclude each other")
        if kind == "qe/identity":
            found = self._collateral(tee)
            text, signature, chain = (
                found["qe_identity"],
                found["qe_identity_signature"],
                found["qe_identity_issuer_chain"],
            )
            member, header = "enclaveIdentity", "SGX-Enclave-Identity-Issuer-Chain"
        else:
            fmspc = request.query("fmspc")
            if not _FMSPC.fullmatch(fmspc):
                return _refused(_BAD_REQUEST, "fmspc is not 12 hex digits")
            if bytes.fromhex(fmspc) not in {host.machine.fmspc for host in self._hosts}:
                return _refused(_NOT_FOUND, "unknown fmspc")
            found = self._collateral(tee, fmspc=bytes.fromhex(fmspc))
            text, signature, chain = found["tcb_info"], found["tcb_info_signature"], found["tcb_info_issuer_chain"]
            member, header = "tcbInfo", "TCB-Info-Issuer-Chain"
        body = f'{{"{member}":{text},"signature":"{signature}"}}'
        return Answer(body.encode(), headers={header: quote(chain, safe="")})

    def _pck_crl(self, request: Request) -> Answer:
        ca = request.query("ca")
        if ca not in {"platform", "processor"}:
            return _refused(_BAD_REQUEST, "ca is platform or processor")
        found = self._collateral(ca=ca)
        crl = bytes.fromhex(found["pck_crl"])
        headers = {"SGX-PCK-CRL-Issuer-Chain": quote(found["pck_crl_issuer_chain"], safe="")}
        if request.query("encoding") == "der":
            return Answer(crl, content_type=_CRL_TYPE, headers=headers)
        return Answer(x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM), content_type=_PEM_TYPE, headers=headers)

    def _pck_certificate(self, request: Request) -> Answer:
        """By QE id, as at a PCCS; the encrypted PPID that Intel wants is beyond this world."""
        wanted = request.query("qeid").lower()
        for host in self._hosts:
            if wanted == host.qe_id.hex():
                machine = host.machine
                svns = machine.cpu_svn + machine.pce_svn.to_bytes(2, "little")
                chain = f"{self._pki.ca(machine.ca).pem}{self._pki.root.pem}"
                headers = {
                    "SGX-PCK-Certificate-Issuer-Chain": quote(chain, safe=""),
                    "SGX-TCBm": svns.hex().upper(),
                    "SGX-FMSPC": machine.fmspc.hex().upper(),
                    "SGX-PCK-Certificate-CA-Type": machine.ca,
                }
                return Answer(host.pck.pem.encode(), content_type=_PEM_TYPE, headers=headers)
        return _refused(_NOT_FOUND, "unknown platform")


def _refused(status: int, reason: str) -> Answer:
    """Intel answers errors without a body, and with the reason in headers."""
    return Answer(b"", status=status, content_type="text/plain", headers={"Error-Message": reason})
