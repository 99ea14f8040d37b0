"""URLs as users and servers give them: checked before use, shown without secrets."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

from twinproof.errors import UsageError
from twinproof.wire import shown

__all__ = ["base_url", "joined", "masked", "origin", "place", "split_url"]

MAX_URL = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_USER = re.compile(r"(?<=://).*@", re.DOTALL)
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_KEY = re.compile(r"(?<=/)(?=[A-Za-z_-]*\d)[\w-]{24,}(?=/|$)", re.ASCII)
_FORM = "https://host or http://host:port"


def masked(url: str) -> str:
    """The URL for messages: no user or password, no query, and `***` for a path segment that looks like a key."""
    return shown(_KEY.sub("***", _USER.sub("***@", _QUERY.sub("", url))), 300)


def split_url(url: str) -> SplitResult:
    """Only http and https, with a host, without user or password, all characters encoded. Raises UsageError."""
    if len(url) > MAX_URL:
        raise UsageError("a URL that is too long", got=f"{len(url)} characters", expected=f"at most {MAX_URL}")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UsageError("a URL with characters that belong encoded", got=masked(url), hint=_FORM)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError("not a URL", got=masked(url), hint=_FORM) from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        raise UsageError("not an http or https URL", got=masked(url), hint=_FORM)
    if "@" in parts.netloc:
        raise UsageError("a URL with a user or a password", got=masked(url), hint="leave them out")
    return parts


def base_url(url: str) -> str:
    """A URL that paths are appended to: no query, no fragment, no slash at its end. Raises UsageError."""
    split_url(url)
    if "?" in url or "#" in url:
        raise UsageError(
            "a URL with a query or a fragment", got=masked(url), hint="give the address alone; paths are appended to it"
        )
    return url.rstrip("/")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, the port also where it is the usual one. Raises UsageError."""
    parts = split_url(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]


def place(url: str) -> tuple[str, str, int]:
    """The same in one spelling: no dot at the name's end, an address as it is usually written. Raises UsageError."""
    scheme, host, port = origin(url)
    with contextlib.suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return scheme, host.removesuffix("."), port


def joined(url: str, target: str) -> str:
    """Where a `Location` leads from `url`. Raises UsageError."""
    try:
        new = urljoin(url, target.strip())
    except ValueError as error:
        raise UsageError("not a URL", got=masked(target)) from error
    split_url(new)
    return new
