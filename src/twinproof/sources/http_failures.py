"""From the many exceptions of a connection to one error that says what happened and what to do about it."""

from __future__ import annotations

import socket
import ssl

from twinproof.errors import Unavailable
from twinproof.sources.bounded_socket import Allowance, NoConnectionError
from twinproof.sources.limits import Limits
from twinproof.urls import masked, origin
from twinproof.wire import shown

__all__ = ["explained"]

_CERTIFICATE = "--ca-file names another authority; --ra-tls takes the quote in the certificate itself"
_REFUSED = "nothing listens there: is the instance up, and is this its port?"
_NO_NAME = "is the host name spelled right, and does this network resolve it?"
_SLOW = "it may be busy or behind a firewall; --timeout SECONDS waits longer"


def explained(error: Exception, url: str, allowance: Allowance, limits: Limits) -> Unavailable:
    """The Unavailable for any exception of a request."""
    where = masked(url)
    if allowance.late:
        return Unavailable(
            "no complete answer in time", where=where, expected=f"within {limits.total_timeout:g} s", hint=_SLOW
        )
    if allowance.overrun:
        return Unavailable(
            "the answer is too large", where=where, got="headers or chunks without end", expected="an answer that ends"
        )
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLError):
        return _tls_failure(cause, where, url)
    if isinstance(error, NoConnectionError):
        hint = _NO_NAME if isinstance(cause, socket.gaierror) else _REFUSED if "refused" in str(error).lower() else ""
        return Unavailable(shown(str(error), 200), where=where, hint=hint)
    reason = "the connection was closed" if isinstance(cause, ConnectionError) else shown(str(error), 120)
    return Unavailable(f"no complete answer: {reason}", where=where, got=type(error).__name__)


def _tls_failure(error: ssl.SSLError, where: str, url: str) -> Unavailable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unavailable(
            f"its TLS certificate is not trusted: {shown(error.verify_message)}", where=where, hint=_CERTIFICATE
        )
    no_tls = "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error)
    hint = f"it may speak plain HTTP: http://{origin(url)[1]}" if no_tls else ""
    return Unavailable(f"TLS failed: {shown(error.reason or str(error))}", where=where, hint=hint)


def _innermost(error: BaseException) -> BaseException:
    """The first cause; bounded, because a cause may be its own."""
    for _ in range(10):
        below = error.__cause__ or error.__context__
        if below is None:
            break
        error = below
    return error
