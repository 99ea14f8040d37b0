"""Signing a summary with an OIDC identity at a Sigstore instance, by Sigstore's own client (an optional package).

 1. the authority (Fulcio) gives a certificate for a key that is made for this and for the token's identity
 2. the statement is signed as a DSSE envelope
 3. the log (Rekor) takes the envelope, and gives the proof that it did
 4. the bundle is verified as a stranger would, by the same configuration, before anyone gets it
Source: the Sigstore client specification; bundle format v0.3.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from cryptography import x509
from sigstore.dsse import Statement
from sigstore.errors import Error
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import OIDCIssuerV2

from twinproof.errors import Malformed, Unavailable, UsageError
from twinproof.report.vsa import PAYLOAD_TYPE
from twinproof.sources.api import require_safe
from twinproof.sources.deadline import within
from twinproof.sources.files import read_file
from twinproof.urls import masked
from twinproof.wire import parse_object, shown

__all__ = ["SignedSummary", "SigstoreInstance", "settle_environment"]

MAX_CONFIG_BYTES = 1 << 20
_LOOPBACK = "localhost,127.0.0.1,::1"
REQUESTS = 4
"""Certificate, log entry, and a timestamp or two: how often `--timeout` may pass before there is no signature."""


def settle_environment(ca_file: str | None) -> None:
    """Tell Sigstore's client what it learns from the environment only.

    The certificate authorities of `--ca-file`; and that no proxy gets a token that goes to loopback without TLS.
    """
    if ca_file is not None:
        os.environ["REQUESTS_CA_BUNDLE"] = ca_file
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if _LOOPBACK not in direct:
        os.environ["no_proxy"] = f"{direct},{_LOOPBACK}".strip(",")


@dataclass(frozen=True, slots=True)
class SignedSummary:
    """`bundle` is JSON on one line, ASCII. Who signed, and who says so, as the certificate has it."""

    bundle: str
    identity: str
    issuer: str
    log_index: int


class SigstoreInstance:
    """Where to sign, and whom to believe there. `seconds` is for each request."""

    def __init__(self, config: ClientTrustConfig, name: str, seconds: float) -> None:
        self.name, self._seconds = name, seconds
        self._context = SigningContext.from_trust_config(config)
        self._verifier = Verifier(trusted_root=config.trusted_root)

    @classmethod
    def from_file(cls, name: str, seconds: float) -> SigstoreInstance:
        """A client trust configuration, as `sigstore --trust-config` reads it. Asks nobody. Raises UsageError."""
        where = f"--sigstore-trust-config {shown(name)}"
        data = read_file(name, "--sigstore-trust-config", max_bytes=MAX_CONFIG_BYTES)
        try:
            signing = parse_object(data, where).child("signingConfig")
            kinds = ("caUrls", "rekorTlogUrls", "tsaUrls")
            urls = [item.text("url") for kind in kinds if kind in signing for item in signing.objects(kind)]
            for url in urls:
                require_safe(url)
            return cls(ClientTrustConfig.from_json(data.decode()), ", ".join(map(masked, urls)), seconds)
        except Malformed as error:
            raise UsageError(error.what, where=error.where, got=error.got, expected=error.expected) from error
        except (Error, ValueError) as error:
            raise UsageError("not a client trust configuration", where=where, got=shown(str(error), 200)) from error

    @classmethod
    def public(cls, seconds: float) -> SigstoreInstance:
        """The public-good instance; its keys are fetched and verified by TUF. Raises Unavailable."""
        try:
            config = within(REQUESTS * seconds, ClientTrustConfig.production)
            return cls(config, "the public instance, sigstore.dev", seconds)
        except (Error, OSError, ValueError) as error:
            got = shown(str(error), 200)
            raise Unavailable("the instance's keys were not obtained", where="--sigstore-public", got=got) from error

    def sign(self, payload: bytes, token: IdentityToken) -> SignedSummary:
        """Raises Unavailable: without all of it, there is no signature."""
        try:
            return within(REQUESTS * self._seconds, lambda: self._signed(payload, token))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  (the client has many kinds, and not all of them are public)
            raise self._failed(error, token) from None

    def _signed(self, payload: bytes, token: IdentityToken) -> SignedSummary:
        with self._context.signer(token) as signer:
            made = signer.sign_dsse(Statement(payload))
        text = json.dumps(json.loads(made.to_json()), separators=(",", ":"))
        bundle = Bundle.from_json(text)
        issuer = token.federated_issuer
        if self._verifier.verify_dsse(bundle, OIDCIssuerV2(issuer)) != (PAYLOAD_TYPE, payload):
            raise Unavailable("the bundle is not about this summary", where=self.name)
        names = bundle.signing_certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        identity = next(iter(names)).value
        index = json.loads(text)["verificationMaterial"]["tlogEntries"][0]["logIndex"]
        return SignedSummary(text, shown(identity, 300), shown(issuer, 300), int(index))

    def _failed(self, error: Exception, token: IdentityToken) -> Unavailable:
        """What an instance says may repeat what it was told: a text with the token in it is not passed on."""
        response = getattr(error.__cause__ or error.__context__ or error, "response", None)
        status = getattr(response, "status_code", None)
        said = str(getattr(response, "text", "") or error)
        if str(token).rpartition(".")[2] in said:
            said = "an answer with the token in it"
        got = ": ".join(filter(None, (f"status {status}" if status else type(error).__name__, shown(said, 200))))
        what = "no answer" if isinstance(error, OSError) else "no signature that holds"
        return Unavailable(what, where=self.name, got=got, hint="nothing is printed without its signature")
