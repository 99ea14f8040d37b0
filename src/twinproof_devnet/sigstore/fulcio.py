"""Certificates for identities, as Fulcio issues them (`POST /api/v2/signingCert`): ten minutes, one key, one name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import timedelta

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from twinproof_devnet.certificate import Recipe, issue, moment, new_key
from twinproof_devnet.loopback import Answer, Request, Service
from twinproof_devnet.sigstore.ct_log import promise
from twinproof_devnet.sigstore.identity_provider import IdentityProvider

__all__ = ["Fulcio"]

_ORGANISATION = "twinproof devnet, NOT SIGSTORE"
_ISSUER, _ISSUER_V2 = (x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}") for number in (1, 8))
_MINUTES = 10
_YEAR = 365 * 86_400
_UTF8_STRING = 0x0C
_CREATED, _BAD_REQUEST, _UNAUTHORIZED = 201, 400, 401


class Fulcio(Service):
    """`ct_key` is the log's that promises to list each certificate."""

    def __init__(self, provider: IdentityProvider, clock: Callable[[], int]) -> None:
        now = clock()
        self.root = issue(_ca("twinproof devnet Fulcio root", now, 1))
        self.intermediate = issue(_ca("twinproof devnet Fulcio", now, 0), self.root)
        self.ct_key = new_key()
        self._provider, self._clock = provider, clock
        super().__init__()

    def answer(self, request: Request) -> Answer:
        try:
            claims = self._provider.claims(request.headers.get("authorization", "").removeprefix("Bearer "))
        except jwt.PyJWTError:
            return _refused(_UNAUTHORIZED, "the identity token is not valid")
        wanted = base64.b64decode(json.loads(request.body)["certificateSigningRequest"])
        signing_request = x509.load_pem_x509_csr(wanted)
        key = signing_request.public_key()
        if not signing_request.is_signature_valid or not isinstance(key, EllipticCurvePublicKey):
            return _refused(_BAD_REQUEST, "the request does not show that its key is held")
        leaf = self.certificate(key, claims)
        chain = [leaf, self.intermediate.certificate, self.root.certificate]
        texts = [certificate.public_bytes(Encoding.PEM).decode() for certificate in chain]
        body = {"signedCertificateEmbeddedSct": {"chain": {"certificates": texts}}}
        return Answer(json.dumps(body).encode(), status=_CREATED)

    def certificate(self, key: EllipticCurvePublicKey, claims: Mapping[str, object]) -> x509.Certificate:
        """The name is the address, or the workflow, as the provider's token has it."""
        now = self._clock()
        issuer = str(claims["iss"]).encode()
        authority = self.intermediate.certificate
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(authority.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment(now))
            .not_valid_after(moment(now) + timedelta(minutes=_MINUTES))
            .add_extension(_digital_signature(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.intermediate.key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([_name(claims)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, issuer), critical=False)
            .add_extension(
                x509.UnrecognizedExtension(_ISSUER_V2, bytes([_UTF8_STRING, len(issuer)]) + issuer), critical=False
            )
        )
        unpromised = builder.sign(self.intermediate.key, SHA256())
        stamps = promise(unpromised, self.intermediate.key, self.ct_key, now)
        return builder.add_extension(stamps, critical=False).sign(self.intermediate.key, SHA256())


def _name(claims: Mapping[str, object]) -> x509.GeneralName:
    if "email" in claims:
        return x509.RFC822Name(str(claims["email"]))
    return x509.UniformResourceIdentifier(f"https://github.com/{claims['job_workflow_ref']}")


def _ca(name: str, now: int, path_length: int) -> Recipe:
    return Recipe(
        name,
        now - 60,
        now + _YEAR,
        "https://devnet.invalid/fulcio.crl",
        ca=True,
        path_length=path_length,
        key_cert_sign=True,
        crl_sign=True,
        organisation=_ORGANISATION,
    )


def _digital_signature() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _refused(status: int, reason: str) -> Answer:
    return Answer(json.dumps({"code": 3, "message": reason, "details": []}).encode(), status=status)
