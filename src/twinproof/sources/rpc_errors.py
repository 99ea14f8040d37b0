"""What can go wrong between a question to an Ethereum node and its answer, told apart by what the asker does next.

All are Unavailable: an endpoint that lies or fails says nothing about the evidence.
"""

from __future__ import annotations

import re

from twinproof.errors import Unavailable

__all__ = ["Busy", "NoSuchBlock", "RpcRefused", "RpcUntrue", "range_hint"]

_MAX_RANGE = 1 << 40
_RATE = re.compile(r"rate|too many requests|per second|per minute|throughput|capacity|quota|credits", re.IGNORECASE)
_RANGE = re.compile(
    r"range|limit|too (?:many|large|big)|results|exceed|response size|timed? ?out|maximum", re.IGNORECASE
)
_SUGGESTED = re.compile(r"\[\s*(0x[0-9a-f]{1,16})\s*,\s*(0x[0-9a-f]{1,16})\s*\]", re.IGNORECASE)
_RESULTS = re.compile(r"result|response size|timed? ?out|\blogs\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])(\d{1,3}(?:[,_]\d{3})+|\d{1,12})(\s?[kKmM](?![\w]))?(?![\w.]*x)", re.ASCII)
_SCALE = {"k": 1000, "m": 1_000_000}
_RATE_CODES, _LIMIT_CODES = {-32029, 429}, {-32005, -32602, -32600, -32000, -32614, -32701, -32011, -32012, -32616, 413}
_LIMIT_EXCEEDED = -32005


class Busy(Unavailable):
    """Asked too often, or down for the moment. `retry_after` is in seconds, None when the endpoint does not say."""

    def __init__(self, what: str, *, where: str, got: str = "", retry_after: float | None = None) -> None:
        hint = "wait, ask another endpoint, or use one with a key of your own"
        super().__init__(what, where=where, got=got, hint=hint)
        self.retry_after = retry_after


class RpcRefused(Unavailable):
    """The endpoint answered with a JSON-RPC error object; `code` and `message` are its own, `data` as it came."""

    def __init__(self, message: str, *, where: str, code: int, data: object = None, hint: str = "") -> None:
        super().__init__(f"the endpoint refused: {message}", where=where, got=f"error {code}", hint=hint)
        self.code, self.message, self.data = code, message, data

    @property
    def asked_too_often(self) -> bool:
        """A limit on requests over time, so that waiting helps."""
        said = bool(_RATE.search(self.message))
        return self.code in _RATE_CODES or (said and self.code in {_LIMIT_EXCEEDED, -32000, -32016, -32097})

    @property
    def asked_too_much(self) -> bool:
        """A limit on blocks or results of one eth_getLogs, so that asking for fewer blocks helps."""
        if self.asked_too_often:
            return False
        return self.code == _LIMIT_EXCEEDED or (self.code in _LIMIT_CODES and bool(_RANGE.search(self.message)))

    @property
    def about_results(self) -> bool:
        """The limit is on what came out, which another part of the chain need not reach."""
        return bool(_RESULTS.search(self.message))


class NoSuchBlock(Unavailable):
    """The endpoint answers, and does not have this block."""


class RpcUntrue(Unavailable):
    """The endpoint said something that cannot be so, or that others contradict; nothing of it is used."""


def range_hint(message: str) -> int | None:
    """The number of blocks that a refusal names as its limit, if it names one; 2K is 2000.

    `[0x1, 0x7d0]` is a range that would work, its ends included. A limit on results says nothing about blocks.
    """
    suggested = _SUGGESTED.search(message)
    if suggested:
        first, last = (int(text, 16) for text in suggested.groups())
        return last - first + 1 if first <= last < _MAX_RANGE else None
    if _RESULTS.search(message) or "range" not in message.lower():
        return None
    numbers = [
        int(re.sub("[,_]", "", digits)) * _SCALE.get(unit.strip().lower(), 1)
        for digits, unit in _NUMBER.findall(message)
    ]
    usable = [number for number in numbers if 1 < number < _MAX_RANGE]
    return min(usable) if usable else None
