"""Who someone is, as an OpenID Connect provider says it: tokens signed with a key made at run time.

It answers as GitHub does inside a workflow: `GET /token?audience=NAME` with the job's own secret.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping

import jwt

from twinproof_devnet.certificate import new_key
from twinproof_devnet.loopback import Answer, Request, Service

__all__ = ["AUDIENCE", "IdentityProvider"]

AUDIENCE = "sigstore"
SECONDS = 300
_UNAUTHORIZED = 401


class IdentityProvider(Service):
    """`job` are the claims of the tokens that a job asks for; `job_secret` is what it asks with.

    `url` is the issuer's name, too.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.job: dict[str, object] = {}
        self.job_secret = secrets.token_urlsafe()
        self._clock, self._key = clock, new_key()
        super().__init__()

    def token(self, claims: Mapping[str, object], *, audience: str = AUDIENCE, seconds: int = SECONDS) -> str:
        """Good for `seconds` from now."""
        now = self._clock()
        usual = {"iss": self.url, "aud": audience, "iat": now, "exp": now + seconds, "sub": claims.get("email", "job")}
        return jwt.encode({**usual, **claims}, self._key, algorithm="ES256")

    def claims(self, token: str) -> dict[str, object]:
        """Raises `jwt.PyJWTError` for a token that is not ours, not for Sigstore, or too old."""
        public = self._key.public_key()
        return dict(jwt.decode(token, public, algorithms=["ES256"], audience=AUDIENCE, issuer=self.url))

    def answer(self, request: Request) -> Answer:
        if request.headers.get("authorization", "") != f"bearer {self.job_secret}":
            return Answer(b"{}", status=_UNAUTHORIZED)
        return Answer(json.dumps({"value": self.token(self.job, audience=request.query("audience"))}).encode())
