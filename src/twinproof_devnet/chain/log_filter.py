"""eth_getLogs: what a filter means, and what a provider refuses to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from twinproof_devnet.chain.blocks import Log
from twinproof_devnet.chain.errors import INVALID_PARAMS, LIMIT_EXCEEDED, SERVER_ERROR, RpcError
from twinproof_devnet.chain.params import octets

__all__ = ["Limits", "LogFilter", "Wording"]

MAX_TOPICS = 4
MAX_ADDRESSES = 1000


class Wording(StrEnum):
    """How the kinds of providers say that a question was too large: code and text differ, the cause does not."""

    LIMIT_EXCEEDED = "-32005"
    INVALID_PARAMS = "-32602"
    SERVER_ERROR = "-32000"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one answer of eth_getLogs."""

    max_range: int = 10_000
    """Blocks, both ends included."""
    max_results: int = 10_000
    wording: Wording = Wording.LIMIT_EXCEEDED

    def check_range(self, first: int, last: int) -> None:
        """Raises RpcError when it is too wide."""
        if last - first + 1 > self.max_range:
            raise {
                Wording.LIMIT_EXCEEDED: RpcError(
                    LIMIT_EXCEEDED,
                    f"query exceeds max block range {self.max_range}",
                    {"from": hex(first), "to": hex(first + self.max_range - 1), "limit": self.max_range},
                ),
                Wording.INVALID_PARAMS: RpcError(
                    INVALID_PARAMS,
                    f"You can make eth_getLogs requests with up to a {self.max_range} block range. Based on your"
                    f" parameters, this block range should work: [{first:#x}, {first + self.max_range - 1:#x}]",
                ),
                Wording.SERVER_ERROR: RpcError(
                    SERVER_ERROR, f"block range is too wide: eth_getLogs is limited to a {self.max_range} range"
                ),
            }[self.wording]

    def check_results(self, count: int, first: int, last: int) -> None:
        """Raises RpcError when there are too many."""
        if count > self.max_results:
            middle = first + (last - first) // 2
            raise {
                Wording.LIMIT_EXCEEDED: RpcError(
                    LIMIT_EXCEEDED,
                    f"query returned more than {self.max_results} results",
                    {"from": hex(first), "to": hex(middle), "limit": self.max_results},
                ),
                Wording.INVALID_PARAMS: RpcError(
                    INVALID_PARAMS,
                    "Log response size exceeded. You can make eth_getLogs requests with up to"
                    f" {self.max_results} logs in the response. Based on your parameters and the response size limit,"
                    f" this block range should work: [{first:#x}, {middle:#x}]",
                ),
                Wording.SERVER_ERROR: RpcError(SERVER_ERROR, f"too many results: more than {self.max_results} logs"),
            }[self.wording]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Addresses and topics; nothing means any."""

    addresses: frozenset[bytes]
    topics: tuple[frozenset[bytes], ...]
    """By position."""

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> LogFilter:
        """Raises RpcError."""
        address = members.get("address")
        addresses = [] if address is None else address if isinstance(address, list) else [address]
        if len(addresses) > MAX_ADDRESSES:
            raise RpcError(INVALID_PARAMS, f"exceed max addresses: {MAX_ADDRESSES}")
        topics = members.get("topics")
        if topics is None:
            topics = []
        if not isinstance(topics, list):
            raise RpcError(INVALID_PARAMS, "invalid topics: not a list")
        if len(topics) > MAX_TOPICS:
            raise RpcError(INVALID_PARAMS, "exceed max topics")
        return cls(
            frozenset(octets(item, "address", 20) for item in addresses),
            tuple(
                frozenset(
                    octets(item, "topic", 32)
                    for item in ([] if place is None else place if isinstance(place, list) else [place])
                )
                for place in topics
            ),
        )

    def matches(self, log: Log) -> bool:
        """Every position that names topics has one of them, every address is one of those named."""
        if self.addresses and log.address not in self.addresses:
            return False
        for place, wanted in enumerate(self.topics):
            if place >= len(log.topics):
                return False
            if wanted and log.topics[place] not in wanted:
                return False
        return True
