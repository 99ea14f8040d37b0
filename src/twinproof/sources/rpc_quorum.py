"""One block that enough endpoints agree on: whatever is proved against its hash holds for all of them.

The block is the highest that `needed` endpoints call finalized; they vote with its hash. One that answers with another
hash lies or follows another chain, one whose finalized block is far below lags: both are named, and count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from twinproof.chain.block import Header
from twinproof.errors import TwinproofError, Unavailable, UsageError
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.rpc import Endpoint, header_at, quantity_of
from twinproof.sources.rpc_errors import RpcUntrue

__all__ = ["Agreement", "Quorum", "majority"]

LAGGING = 300
"""Blocks that an endpoint's finalized block may be below that of others: ten minutes on Base."""
Answer = TypeVar("Answer")


def majority(count: int) -> int:
    """More than half: two groups cannot both have it."""
    return count // 2 + 1


@dataclass(frozen=True, slots=True)
class Agreement:
    """A block on whose hash `agreed` agree, at least `needed` of `asked`; `dissent` says what became of the others."""

    block: Header
    needed: int
    asked: tuple[str, ...]
    agreed: tuple[str, ...]
    dissent: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{len(self.agreed)} of {len(self.asked)} endpoints agree ({', '.join(self.agreed)})"


@dataclass(slots=True)
class Quorum:
    """Endpoints of one chain, and how many of them have to agree. `trusted` are those that did, best first."""

    endpoints: Sequence[Endpoint]
    needed: int
    chain_id: int | None = None
    dissent: dict[str, str] = field(default_factory=dict)
    _failures: dict[str, TwinproofError] = field(default_factory=dict)
    _checked: bool = False
    _blocks: dict[int, Agreement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise UsageError("no chain endpoint", where="--chain")
        if not 1 <= self.needed <= len(self.endpoints):
            raise UsageError(
                "a quorum that these endpoints cannot make",
                where="quorum",
                got=str(self.needed),
                expected=f"1..{len(self.endpoints)}",
            )

    @property
    def trusted(self) -> tuple[Endpoint, ...]:
        """Endpoints that have not been caught at anything so far."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.name not in self.dissent)

    def check_chain_id(self) -> int:
        """The chain id that all who answer give, or the one that was asked for. Raises Unavailable."""
        if self._checked and self.chain_id is not None:
            return self.chain_id
        given = self._ask(lambda endpoint: quantity_of(endpoint, "eth_chainId"))
        if self.chain_id is None:
            self._enough(len(given), "gave a chain id")
            if len(set(given.values())) > 1:
                said = ", ".join(f"{name} {value}" for name, value in given.items())
                raise RpcUntrue(
                    "the endpoints are of different chains",
                    where="--chain",
                    got=said,
                    expected="one chain",
                    hint="chain_id of [chain] in twinproof.toml says which one is meant",
                )
            self.chain_id = next(iter(given.values()))
        wrong = {name: value for name, value in given.items() if value != self.chain_id}
        for name, value in wrong.items():
            self.dissent[name] = f"is of chain {value}, not {self.chain_id}"
        if len(given) == len(wrong) and wrong:
            name, value = next(iter(wrong.items()))
            raise RpcUntrue("another chain", where=name, got=f"chain id {value}", expected=f"chain id {self.chain_id}")
        self._enough(len(given) - len(wrong), f"are of chain {self.chain_id}")
        self._checked = True
        return self.chain_id

    def finalized(self) -> Agreement:
        """The highest block that `needed` endpoints call finalized and agree on. Raises Unavailable."""
        self.check_chain_id()
        return self._agree(None)

    def block(self, number: int) -> Agreement:
        """That block, as `needed` endpoints have it; they call it finalized, or a later one. Raises Unavailable.

        It is asked for once: what is final does not change, and who is caught later is in the dissent.
        """
        self.check_chain_id()
        if number not in self._blocks:
            self._blocks[number] = self._agree(number)
        return self._blocks[number]

    def _agree(self, number: int | None) -> Agreement:
        tag = "finalized" if number is None else hex(number)
        behind: dict[str, str] = {}
        blocks = self._ask(lambda endpoint: header_at(endpoint, tag))
        self._enough(len(blocks), f"gave the block {tag}")
        if number is None:
            number = sorted((block.number for block in blocks.values()), reverse=True)[self.needed - 1]
            behind = {
                name: f"is {number - block.number} blocks behind"
                for name, block in blocks.items()
                if block.number < number
            }
            blocks = self._at(number, blocks)
        votes: dict[bytes, list[str]] = {}
        for name, block in blocks.items():
            votes.setdefault(block.hash, []).append(name)
        ahead = [hash_ for hash_, names in votes.items() if len(names) >= self.needed]
        if len(ahead) != 1:
            raise self._no_agreement(number, votes)
        for hash_, names in votes.items():
            for name in names if hash_ != ahead[0] else ():
                self.dissent[name] = (
                    f"has another block {number}: {hash_.hex()[:16]}..., the others {ahead[0].hex()[:16]}..."
                )
        return Agreement(
            block=blocks[votes[ahead[0]][0]],
            needed=self.needed,
            asked=tuple(endpoint.name for endpoint in self.endpoints),
            agreed=tuple(votes[ahead[0]]),
            dissent=tuple(sorted({**behind, **self.dissent}.items())),
        )

    def _at(self, number: int, blocks: dict[str, Header]) -> dict[str, Header]:
        """The blocks of this number; who is already there is not asked again, who is far below lags."""
        here = {name: block for name, block in blocks.items() if block.number == number}
        for name, block in blocks.items():
            if block.number < number - LAGGING:
                self.dissent[name] = f"lags: its finalized block is {block.number}, {number - block.number} below"
        above = [e for e in self.endpoints if e.name in blocks and blocks[e.name].number > number]
        here.update(self._ask(lambda endpoint: header_at(endpoint, hex(number)), above))
        return here

    def _ask(
        self, question: Callable[[Endpoint], Answer], endpoints: Sequence[Endpoint] | None = None
    ) -> dict[str, Answer]:
        """All at once. Who gives no answer is named among the dissent, with why."""
        some = self.endpoints if endpoints is None else endpoints
        asked = [endpoint for endpoint in some if endpoint.name not in self.dissent]
        by_name = {endpoint.name: endpoint for endpoint in asked}
        results = fetch_all(list(by_name), lambda _, name: question(by_name[name]))
        answers: dict[str, Answer] = {}
        for name, result in zip(by_name, results, strict=True):
            if isinstance(result, UsageError):
                raise result
            if isinstance(result, TwinproofError):
                self._failures[name] = result
                self.dissent[name] = f"does not answer: {result}"
            else:
                answers[name] = result
        return answers

    def _enough(self, count: int, did: str) -> None:
        if count < self.needed:
            if len(self.endpoints) == 1 and self._failures:  # its own words say more
                raise next(iter(self._failures.values()))
            untrue = any(isinstance(error, RpcUntrue) for error in self._failures.values())
            kind = RpcUntrue if untrue else Unavailable
            raise kind(
                f"only {count} of {len(self.endpoints)} endpoints {did}",
                where="--chain",
                got="; ".join(f"{name} {why}" for name, why in sorted(self.dissent.items())),
                expected=f"at least {self.needed}",
            )

    def _no_agreement(self, number: int, votes: dict[bytes, list[str]]) -> RpcUntrue:
        said = "; ".join(f"{', '.join(names)}: {hash_.hex()[:16]}..." for hash_, names in votes.items())
        others = "; ".join(f"{name} {why}" for name, why in sorted(self.dissent.items()))
        return RpcUntrue(
            f"the endpoints do not agree on block {number}",
            where="--chain",
            got="; ".join(filter(None, (said, others))),
            expected=f"one hash from at least {self.needed} of {len(self.endpoints)}",
            hint="one of them lies or lags; ask more endpoints",
        )
