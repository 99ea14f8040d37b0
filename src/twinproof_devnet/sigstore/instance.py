"""The three services of one instance, and the configuration by which a client trusts it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof_devnet.sigstore.ct_log import key_id
from twinproof_devnet.sigstore.fulcio import Fulcio
from twinproof_devnet.sigstore.identity_provider import IdentityProvider
from twinproof_devnet.sigstore.rekor import Rekor

__all__ = ["SigstoreInstance"]


class SigstoreInstance:
    """Every key is made here and now. `close` ends the services."""

    def __init__(self, clock: Callable[[], int] = lambda: int(time.time())) -> None:
        self._since = datetime.fromtimestamp(clock() - 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.provider = IdentityProvider(clock)
        self.fulcio = Fulcio(self.provider, clock)
        self.rekor = Rekor(clock)

    def close(self) -> None:
        for service in (self.provider, self.fulcio, self.rekor):
            service.close()

    def trust_config(self) -> str:
        """A client trust configuration (JSON), as `sigstore --trust-config` reads it."""
        authority = {
            "subject": {"organization": "twinproof devnet, NOT SIGSTORE", "commonName": "twinproof devnet Fulcio"},
            "uri": self.fulcio.url,
            "certChain": {"certificates": [_bytes(self.fulcio.intermediate.der), _bytes(self.fulcio.root.der)]},
            "validFor": {"start": self._since},
        }
        trusted_root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log(self.rekor.url, self.rekor.key)],
            "certificateAuthorities": [authority],
            "ctlogs": [self._log("https://ct.devnet.invalid", self.fulcio.ct_key)],
            "timestampAuthorities": [],
        }
        signing_config = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [self._service(self.fulcio.url)],
            "oidcUrls": [self._service(self.provider.url)],
            "rekorTlogUrls": [self._service(self.rekor.url)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [],
        }
        config = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": trusted_root,
            "signingConfig": signing_config,
        }
        return json.dumps(config, indent=1)

    def _service(self, url: str) -> dict[str, object]:
        return {"url": url, "majorApiVersion": 1, "validFor": {"start": self._since}, "operator": "devnet"}

    def _log(self, url: str, key: EllipticCurvePrivateKey) -> dict[str, object]:
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                **_bytes(public),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": self._since},
            },
            "logId": {"keyId": base64.b64encode(key_id(key)).decode()},
        }


def _bytes(data: bytes) -> dict[str, str]:
    return {"rawBytes": base64.b64encode(data).decode()}
