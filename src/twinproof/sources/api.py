"""One request to a service that takes credentials: an image registry, GitHub. Bounded, and never redirected.

Credentials go to the host that was named and to no other, over TLS; plain HTTP is for loopback.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass

from twinproof.errors import Unavailable, UsageError
from twinproof.urls import masked, origin
from twinproof.wire import shown

__all__ = ["Answer", "ask", "require_safe"]

SECONDS = 60.0
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Whatever the status; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def unexpected(self, what: str) -> Unavailable:
        """For a status that the caller has no use for."""
        said = self.body[:300].decode("utf-8", "replace")
        return Unavailable(f"{what}: status {self.status}", where=masked(self.url), got=shown(said, 300))


def require_safe(url: str) -> None:
    """Raises UsageError for a URL over which a credential may not go."""
    scheme, host, _ = origin(url)
    if scheme == "https" or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError("credentials go over TLS only", got=masked(url), expected="https://...")


def ask(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int = 8 << 20
) -> Answer:
    """Raises Unavailable when there is no complete answer in time, UsageError for a URL that is none or not safe."""
    # Only a command that asks something pays for the import.
    from urllib3 import PoolManager, Retry, Timeout  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    require_safe(url)
    until = time.monotonic() + SECONDS
    try:
        with PoolManager(timeout=Timeout(total=SECONDS)) as pool:
            response = pool.request(
                method,
                url,
                body=body,
                headers={"User-Agent": "twinproof", "Accept-Encoding": "identity", **headers},
                redirect=False,
                retries=Retry(0, redirect=False, raise_on_status=False),
                preload_content=False,
                decode_content=False,
            )
            data = bytearray()
            for chunk in response.stream(_CHUNK, decode_content=False):
                data += chunk
                if len(data) > max_bytes:
                    expected = f"at most {max_bytes} bytes"
                    raise Unavailable("the answer is too large", where=masked(url), expected=expected)
                if time.monotonic() > until:
                    raise Unavailable("no complete answer in time", where=masked(url), expected=f"{SECONDS:g} s")
            response.release_conn()
    except (HTTPError, OSError) as error:
        raise Unavailable(
            f"no answer: {shown(str(error).partition(': ')[2] or str(error), 200)}", where=masked(url)
        ) from error
    return Answer(url, response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(data))
