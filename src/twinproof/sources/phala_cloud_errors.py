"""The statuses of Phala Cloud's API, told apart by what the caller does next.

401, 403 the key or its rights; 404 the id; 409 busy; 422 the request; 465 the chain first (no error: an answer);
466 the proposal has expired; 467 the transaction was not found; 468 the chain does not allow the hash; 5xx the service.
"""

from __future__ import annotations

import re

from twinproof.errors import Malformed, Refused, TwinproofError, Unavailable, UsageError
from twinproof.wire import Fields, parse_json, shown

__all__ = [
    "CloudBusy",
    "CloudRefused",
    "HashNotAllowed",
    "ProposalExpired",
    "RegistrationRequired",
    "TransactionNotFound",
    "of_status",
]

_LONG_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{65,}", re.ASCII)
_MOST = 400


class CloudRefused(Refused):
    """The service will not do it, whatever the chain says: a limit, a conflict of ids, a resource it does not have."""


class CloudBusy(Unavailable):
    """Another operation is under way, or too many requests: later it may work."""


class ProposalExpired(Unavailable):
    """466: the service no longer knows what was proposed. Start over; what is on chain stays."""


class TransactionNotFound(Unavailable):
    """467: the service has not found the transaction, or not yet."""


class HashNotAllowed(Refused):
    """468: the service reads in the chain that the compose hash is not allowed."""


class RegistrationRequired(Refused):
    """465 where it is no answer: the chain has to allow something that it was said to allow."""


def of_status(status: int, body: bytes, where: str) -> TwinproofError:
    """The error of an answer that is not 2xx; the service's own words stand in it, without long hex."""
    code, said = _words(body)
    got = f"status {status}" + (f" {code}" if code else "") + (f": {said}" if said else "")
    if status in (401, 403):
        hint = "PHALA_CLOUD_API_KEY names the key; it may be expired, or of another workspace"
        return UsageError("the service does not accept the API key", where=where, got=got, hint=hint)
    if status == 404:
        return UsageError("the service knows no such thing", where=where, got=got)
    if status == 422:
        return UsageError("the service cannot read the request", where=where, got=got)
    known: dict[int, tuple[type[TwinproofError], str, str]] = {
        409: (CloudBusy, "the service is busy with it", "wait for the operation that is under way"),
        429: (CloudBusy, "asked too often", "wait a minute"),
        465: (RegistrationRequired, "the chain has to allow this first", ""),
        466: (ProposalExpired, "the proposal is unknown or has expired", "run the command again"),
        467: (TransactionNotFound, "the service has not found the transaction", "run the command again in a minute"),
        468: (HashNotAllowed, "the service says that the chain does not allow this hash", ""),
    }
    kind, what, hint = known.get(status, (CloudRefused, "the service refused", ""))
    if status >= 500:
        kind, what, hint = Unavailable, "the service failed", "run the command again: what was done is not done twice"
    return kind(what, where=where, got=got, hint=hint)


def _words(body: bytes) -> tuple[str, str]:
    """Error code and message; an HTML page or nothing gives nothing."""
    try:
        fields = Fields(parse_json(body, "answer"), "answer")
    except Malformed:
        return "", ""
    detail = fields.raw.get("detail")
    if isinstance(detail, str):
        return "", _short(detail)
    if isinstance(detail, list):
        found = [f"{_place(item)}{item.get('msg')}" for item in detail[:5] if isinstance(item, dict)]
        return "", _short("; ".join(found))
    top = detail if isinstance(detail, dict) else fields.raw
    code, message = top.get("error_code"), top.get("message")
    return _short(code) if isinstance(code, str) else "", _short(message) if isinstance(message, str) else ""


def _place(item: dict[str, object]) -> str:
    place = item.get("loc")
    return ".".join(str(part) for part in place) + ": " if isinstance(place, list) else ""


def _short(text: str) -> str:
    return shown(_LONG_HEX.sub("[cut]", " ".join(text.split())), _MOST)
