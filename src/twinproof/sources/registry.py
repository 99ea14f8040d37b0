"""An image registry (OCI Distribution): what a reference holds, by the hash of the bytes and never by a header.

Source: opencontainers/distribution-spec, pulling and pushing manifests; token authentication as in distribution/docs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from twinproof.errors import Contradiction, Unavailable
from twinproof.sources.api import Answer, ask
from twinproof.urls import origin
from twinproof.wire import parse_object, shown

__all__ = ["Manifest", "Registry", "registry_of"]

MAX_MANIFEST = 4 << 20
_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost)(?::[0-9]+)?", re.ASCII)
_OK, _CREATED, _DENIED, _ABSENT = 200, 201, 401, 404


@dataclass(frozen=True, slots=True)
class Manifest:
    """The exact bytes, and what they are named by: the SHA-256 of these bytes."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


@dataclass(slots=True)
class Registry:
    """One repository of one registry. `user` and `password` are empty for what is public."""

    base: str
    repository: str
    user: str = ""
    password: str = ""
    token: str = field(default="", repr=False)

    def manifest(self, reference: str) -> Manifest | None:
        """What a tag or digest holds; None only when the registry says that there is nothing.

        Raises Unavailable for any other answer, and Contradiction for bytes that do not hash to the digest asked for.
        """
        answer = self._ask("GET", reference, {"Accept": ", ".join(_TYPES)})
        if answer.status == _ABSENT:
            return None
        if answer.status != _OK:
            raise answer.unexpected("the registry did not say what it holds")
        found = Manifest(answer.headers.get("content-type", "").partition(";")[0].strip(), answer.body)
        claimed = answer.headers.get("docker-content-digest", found.digest)
        wanted = reference if reference.startswith("sha256:") else claimed
        if found.digest != wanted or found.digest != claimed:
            raise Contradiction(
                "the registry's answer does not hash to its name",
                where=f"{self.repository}:{reference}",
                got=found.digest,
                expected=wanted,
            )
        return found

    def put(self, tag: str, manifest: Manifest) -> None:
        """Give these bytes a tag, and read it again. Raises Unavailable, and Contradiction when another came back."""
        answer = self._ask("PUT", tag, {"Content-Type": manifest.media_type}, manifest.data)
        if answer.status != _CREATED:
            raise answer.unexpected("the registry did not take the tag")
        kept = self.manifest(tag)
        if kept is None or kept.digest != manifest.digest:
            got = kept.digest if kept else "nothing"
            where = f"{self.repository}:{tag}"
            raise Contradiction(
                "the tag holds something else than was put", where=where, got=got, expected=manifest.digest
            )

    def _ask(self, method: str, reference: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        url = f"{self.base}/v2/{self.repository}/manifests/{reference}"
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = ask(method, url, headers={**headers, **bearer}, body=body, max_bytes=MAX_MANIFEST)
        if answer.status == _DENIED and not self.token:
            self.token = self._new_token(answer)
            return self._ask(method, reference, headers, body)
        return answer

    def _new_token(self, denied: Answer) -> str:
        """A token for pulling, and for pushing when there are credentials; from the registry's own host only."""
        challenge = denied.headers.get("www-authenticate", "")
        parameters = dict(_PARAMETER.findall(challenge)) if challenge.lower().startswith("bearer ") else {}
        realm = parameters.get("realm", "")
        if not realm or origin(realm) != origin(self.base):
            raise Unavailable(
                "the registry asks for credentials in a way that is not followed",
                where=self.base,
                got=shown(challenge, 120),
                expected="a bearer token from its own host",
            )
        scope = f"repository:{self.repository}:{'pull,push' if self.password else 'pull'}"
        query = urlencode({"service": parameters.get("service", ""), "scope": scope})
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"} if self.password else {}
        answer = ask("GET", f"{realm}?{query}", headers=headers, max_bytes=1 << 20)
        if answer.status != _OK:
            raise answer.unexpected("the registry gave no token")
        fields = parse_object(answer.body, "registry token")
        return fields.text("token" if "token" in fields else "access_token", max_chars=1 << 16)


def registry_of(image: str, user: str, password: str) -> Registry:
    """The registry of `ghcr.io/owner/name`; a name without a host is one of Docker Hub's, which is not asked here."""
    host, _, repository = image.partition("/")
    if not repository or not ({".", ":"} & set(host) or host == "localhost"):
        raise Unavailable("an image without a registry's host", got=image, expected="ghcr.io/owner/name")
    return Registry(f"{'http' if _LOOPBACK.fullmatch(host) else 'https'}://{host}", repository, user, password)
