"""What the chain says about one attested instance, at one block on which enough endpoints agree.

With proofs, every word of state leads to that block's hash, and an endpoint whose proof does not is named and left out.
Without them the endpoints are asked the same questions, and the answers that enough of them give are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from twinproof.chain.abi import Answer, Function, read_answer
from twinproof.chain.account_proof import EMPTY_CODE, AccountProof
from twinproof.chain.block import Header
from twinproof.chain.evidence import AgreedBlock, Call, ChainEvidence, PlacedLog, PlainState, StateProof, Word
from twinproof.chain.log import Log
from twinproof.chain.questions import Attested, app_slots, cross_check, kms_slots, plain_calls
from twinproof.chain.storage_layout import IMPLEMENTATION
from twinproof.chain.values import hex_data
from twinproof.errors import TwinproofError, Unavailable
from twinproof.keccak import keccak256
from twinproof.sources.agreed_logs import ProvedPlace, agreed_logs, logs_of_one
from twinproof.sources.block_contents import nobody_left
from twinproof.sources.chain_cache import ChainCache, ScanKey
from twinproof.sources.chain_calls import code_at
from twinproof.sources.chain_logs import first_block_with_code, read_logs
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.log_scan import LogFilter
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Agreement, Quorum
from twinproof.sources.shown_logs import ShownLogs, placed, shown_logs
from twinproof.sources.state_answers import account_proof, plain_state

__all__ = ["ChainReader"]

Progress = Callable[[int, int], None]
_Found = TypeVar("_Found")


@dataclass(slots=True)
class ChainReader:
    """Reads for many instances at one agreed block; what is asked about one app is asked once."""

    quorum: Quorum
    cache: ChainCache
    kms: bytes
    proof: bool = False
    from_block: int | None = None
    progress: Progress | None = None
    note: Callable[[str], None] = lambda _: None
    _agreed: Agreement | None = field(default=None, init=False)
    _by_endpoint: dict[tuple[str, bytes], tuple[Log, ...]] = field(default_factory=dict, init=False)
    _logs: dict[bytes, tuple[Log, ...]] = field(default_factory=dict, init=False)
    _shown: dict[tuple[bytes, bytes], ShownLogs] = field(default_factory=dict, init=False)
    places: dict[Log, ProvedPlace] = field(default_factory=dict, init=False)
    """Where the logs that were read with `proof` stand."""

    @property
    def agreement(self) -> Agreement:
        """The block at which everything is read. Raises Unavailable."""
        if self._agreed is None:
            self._agreed = self.quorum.finalized()
        return self._agreed

    @property
    def first(self) -> Endpoint:
        """The endpoint that is asked what is not worth asking all. Raises Unavailable when none is left."""
        trusted = self.quorum.trusted
        if not trusted:
            raise nobody_left(self.quorum)
        return trusted[0]

    def evidence(self, attested: Attested) -> ChainEvidence:
        """What there is to judge this instance by. Raises Unavailable; names in the dissent who was caught at a lie."""
        end = self.agreement.block
        calls = cross_check(attested) if self.proof else plain_calls(attested, self.kms)
        proof = self._proof(attested, end) if self.proof else None
        plain = self._plain(attested, calls, end)
        about = attested.app_id, attested.compose_hash
        if about not in self._shown:
            self._shown[about] = shown_logs(self, attested)
        shown = self._shown[about]
        if not self.quorum.trusted:
            raise nobody_left(self.quorum)
        return self.refreshed(
            ChainEvidence(
                chain_id=self.quorum.check_chain_id(),
                kms=self.kms,
                block=self.agreed_block(self.agreement),
                proof=proof,
                plain=plain,
                allowed_by=shown.allowed_by,
                unbroken=shown.unbroken,
                created_by=shown.created_by,
            )
        )

    def refreshed(self, evidence: ChainEvidence) -> ChainEvidence:
        """The same, with what is known by now of who lies: whoever was caught since agrees to nothing any more."""

        def now(placed: PlacedLog | None) -> PlacedLog | None:
            return None if placed is None else replace(placed, block=self._without_dissent(placed.block))

        return replace(
            evidence,
            block=self._without_dissent(evidence.block),
            allowed_by=now(evidence.allowed_by),
            created_by=now(evidence.created_by),
            unbroken=tuple(name for name in evidence.unbroken if name not in self.quorum.dissent),
        )

    def agreed_block(self, agreement: Agreement) -> AgreedBlock:
        """As evidence; the dissent is all that is known by now."""
        block = agreement.block
        agreed = AgreedBlock(block, block.hash, agreement.asked, agreement.agreed, True, agreement.dissent)
        return self._without_dissent(agreed)

    def _without_dissent(self, block: AgreedBlock) -> AgreedBlock:
        return replace(
            block,
            agreed=tuple(name for name in block.agreed if name not in self.quorum.dissent),
            dissent=tuple(sorted({**dict(block.dissent), **self.quorum.dissent}.items())),
        )

    def logs(self, contract: bytes) -> tuple[Log, ...]:
        """Every log of a contract up to the agreed block; proved, and held against all endpoints, with `proof`."""
        if contract not in self._logs:
            start, end = self.start_of(contract), self.agreement.block
            wanted = LogFilter((contract,))
            if self.proof:
                self._logs[contract], places = agreed_logs(
                    self.quorum, wanted, start=start, end=end, cache=self.cache, progress=self.progress
                )
                self.places.update(places)
            else:
                self._logs[contract] = logs_of_one(
                    self.quorum, wanted, start=start, end=end, cache=self.cache, progress=self.progress
                )
        return self._logs[contract]

    def proofs(self, contract: bytes) -> tuple[PlacedLog, ...]:
        """The logs that `logs` gave and proved, each with its block and its proof; none without `proof`."""
        return tuple(placed(self, log, self.places[log]) for log in self._logs.get(contract, ()) if log in self.places)

    def start_of(self, contract: bytes) -> int:
        """The first block in which it can have logs: the earliest that a trusted endpoint says. Raises Unavailable."""
        starts: list[int] = []
        failure: TwinproofError | None = None
        for endpoint in self.quorum.trusted:
            try:
                starts.append(self._start_at(endpoint, contract))
            except Unavailable as error:
                failure = failure or error
            if starts and not self.proof:
                break
        if not starts:
            raise failure or nobody_left(self.quorum)
        return min(starts)

    def forget(self, contract: bytes) -> None:
        """Drop what is kept of this contract's log: it was found to be untrue, and is to be read again."""
        for endpoint in self.quorum.endpoints:
            self.cache.drop(ScanKey(self.quorum.check_chain_id(), endpoint.name, LogFilter((contract,))))

    def proved(self, contract: bytes, slots: tuple[bytes, ...], *, at: Header | None = None) -> AccountProof:
        """`eth_getProof` at the agreed block, or one that is agreed on too, from the first whose proof holds.

        Raises Unavailable.
        """
        block = self.agreement.block if at is None else at
        return self._first(lambda endpoint: account_proof(endpoint, contract, slots, block))

    def code(self, address: bytes, code_hash: bytes) -> bytes:
        """The code whose hash was proved, at the agreed block, from the first who gives it. Raises Unavailable."""
        if code_hash == EMPTY_CODE:
            return b""

        def true_code(endpoint: Endpoint) -> bytes:
            code = code_at(endpoint, address, block=hex(self.agreement.block.number))
            if keccak256(code) != code_hash:
                raise RpcUntrue("gives other code than is proved", where=endpoint.name, got=hex_data(address))
            return code

        return self._first(true_code)

    def _proof(self, attested: Attested, end: Header) -> StateProof:
        return self._first(
            lambda endpoint: StateProof(
                account_proof(endpoint, attested.app_id, app_slots(attested), end),
                account_proof(endpoint, self.kms, kms_slots(attested), end),
            )
        )

    def _first(self, question: Callable[[Endpoint], _Found]) -> _Found:
        """From the first endpoint that answers truly; a lie is remembered, a failure is not. Raises Unavailable."""
        failure: TwinproofError | None = None
        for endpoint in self.quorum.trusted:
            try:
                return question(endpoint)
            except RpcUntrue as error:
                self.quorum.dissent[endpoint.name] = error.what
                failure = error
            except Unavailable as error:
                failure = failure or error
        raise failure or nobody_left(self.quorum)

    def answer(self, contract: bytes, function: Function, *arguments: object) -> Answer:
        """What enough endpoints say that a contract answers, at the agreed block. Raises Unavailable."""
        said = self._said(((contract, function.call(*arguments)),), (), self.agreement.block).calls[0]
        return read_answer(function, said.output, reverted=said.reverted)

    def _plain(self, attested: Attested, calls: Sequence[tuple[bytes, bytes]], end: Header) -> PlainState:
        """The answers that enough endpoints give: beside proofs of one call, without them of all and of two words."""
        places = () if self.proof else ((attested.app_id, IMPLEMENTATION), (self.kms, IMPLEMENTATION))
        return self._said(calls, places, end)

    def _said(
        self, calls: Sequence[tuple[bytes, bytes]], places: Sequence[tuple[bytes, bytes]], end: Header
    ) -> PlainState:
        by_name = {endpoint.name: endpoint for endpoint in self.quorum.trusted}
        results = fetch_all(list(by_name), lambda _, name: plain_state(by_name[name], calls, places, end))
        votes: dict[tuple[tuple[Call, ...], tuple[Word, ...]], list[str]] = {}
        for name, result in zip(by_name, results, strict=True):
            if isinstance(result, TwinproofError):
                self.quorum.dissent[name] = f"gives no state: {result}"
            else:
                votes.setdefault((result.calls, result.words), []).append(name)
        taken = [answers for answers, names in votes.items() if len(names) >= self.quorum.needed]
        if len(taken) != 1:
            failure = next((result for result in results if isinstance(result, TwinproofError)), None)
            if failure is not None and not votes:
                raise failure
            raise RpcUntrue(
                "the endpoints do not agree on the contracts' answers",
                where=f"block {end.number}",
                got="; ".join(f"{', '.join(names)} say one thing" for names in votes.values()),
                expected=f"the same from {self.quorum.needed} of {len(self.quorum.endpoints)}",
                hint="" if self.proof else "--proof shows which of them lies",
            )
        for answers, names in votes.items():
            for name in names if answers != taken[0] else ():
                self.quorum.dissent[name] = "gives other answers of the contracts than the others"
        return PlainState(", ".join(votes[taken[0]]), *taken[0])

    def told(self, contract: bytes) -> dict[str, tuple[Log, ...]]:
        """The logs of a contract by the endpoint that gives them; who gives none is noted, and need not lie."""
        names = [endpoint.name for endpoint in self.quorum.trusted]
        found: dict[str, tuple[Log, ...]] = {}
        for name, result in zip(names, fetch_all(names, lambda _, name: self.told_by(name, contract)), strict=True):
            if isinstance(result, TwinproofError):
                self.note(f"the log of 0x{contract.hex()}: {result}")
            else:
                found[name] = result
        return found

    def told_by(self, name: str, contract: bytes) -> tuple[Log, ...]:
        """The same of one endpoint, asked once. Raises Unavailable."""
        key = name, contract
        if key not in self._by_endpoint:
            endpoint = next(endpoint for endpoint in self.quorum.endpoints if endpoint.name == name)
            self._by_endpoint[key] = read_logs(
                endpoint,
                LogFilter((contract,)),
                chain_id=self.quorum.check_chain_id(),
                start=self._start_at(endpoint, contract),
                end=self.agreement.block,
                cache=self.cache,
                progress=self.progress,
            )
        return self._by_endpoint[key]

    def _start_at(self, endpoint: Endpoint, contract: bytes) -> int:
        end = self.agreement.block.number
        if self.from_block is not None:
            return min(self.from_block, end)
        return first_block_with_code(
            endpoint, hex_data(contract), chain_id=self.quorum.check_chain_id(), end=end, cache=self.cache
        )
