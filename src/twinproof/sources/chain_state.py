"""What the chain says about one attested instance, at one block on which enough endpoints agree.

With proofs, every word of state leads to that block's hash, and an endpoint whose proof does not is named and left out.
Without them the endpoints are asked the same questions, and the answers that enough of them give are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from twinproof.chain.account_proof import AccountProof, parse_account_proof, proved_account
from twinproof.chain.block import Header
from twinproof.chain.events import Kind, topics
from twinproof.chain.evidence import AgreedBlock, AllowedBy, Call, ChainEvidence, PlainState, StateProof, Word
from twinproof.chain.log import Log
from twinproof.chain.questions import Attested, app_slots, kms_slots, plain_calls
from twinproof.chain.storage_layout import IMPLEMENTATION
from twinproof.chain.values import data_text, hex_data
from twinproof.errors import EvidenceError, Malformed, TwinproofError, Unavailable
from twinproof.sources.agreed_logs import ProvedPlace, agreed_logs, logs_of_one, nobody_left, prove_logs
from twinproof.sources.chain_cache import ChainCache, ScanKey
from twinproof.sources.chain_calls import MAX_ANSWER, is_revert
from twinproof.sources.chain_logs import first_block_with_code, read_logs
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.log_scan import LogFilter
from twinproof.sources.rpc import Endpoint, read_from
from twinproof.sources.rpc_errors import RpcRefused, RpcUntrue
from twinproof.sources.rpc_quorum import Agreement, Quorum
from twinproof.wire import Fields

__all__ = ["ChainReader", "account_proof"]

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
    _places: dict[bytes, Mapping[Log, ProvedPlace]] = field(default_factory=dict, init=False)

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
        proof = self._proof(attested, end) if self.proof else None
        plain = None if self.proof else self._plain(attested, end)
        allowed_by = self._allowed_by(attested)
        return ChainEvidence(
            chain_id=self.quorum.check_chain_id(),
            kms=self.kms,
            block=self.agreed_block(self.agreement),
            proof=proof,
            plain=plain,
            allowed_by=allowed_by,
        )

    def agreed_block(self, agreement: Agreement) -> AgreedBlock:
        """As evidence; the dissent is all that is known by now."""
        dissent = {**dict(agreement.dissent), **self.quorum.dissent}
        return AgreedBlock(
            header=agreement.block,
            hash=agreement.block.hash,
            asked=agreement.asked,
            agreed=tuple(name for name in agreement.agreed if name not in self.quorum.dissent),
            finalized=True,
            dissent=tuple(sorted(dissent.items())),
        )

    def logs(self, contract: bytes) -> tuple[Log, ...]:
        """Every log of a contract up to the agreed block; proved, and held against all endpoints, with `proof`."""
        if contract not in self._logs:
            start, end = self.start_of(contract), self.agreement.block
            wanted = LogFilter((contract,))
            if self.proof:
                self._logs[contract], self._places[contract] = agreed_logs(
                    self.quorum, wanted, start=start, end=end, cache=self.cache, progress=self.progress
                )
            else:
                self._logs[contract] = logs_of_one(
                    self.quorum, wanted, start=start, end=end, cache=self.cache, progress=self.progress
                )
        return self._logs[contract]

    def proofs(self, contract: bytes) -> tuple[AllowedBy, ...]:
        """The logs that `logs` gave and proved, each with its block and its proof; none without `proof`."""
        places = self._places.get(contract, {})
        return tuple(
            AllowedBy(self.agreed_block(places[log].block), log, places[log].receipt)
            for log in self._logs.get(contract, ())
            if log in places
        )

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

    def proved(self, contract: bytes, slots: tuple[bytes, ...]) -> AccountProof:
        """`eth_getProof` at the agreed block, from the first endpoint whose proof holds. Raises Unavailable."""
        return self._first(lambda endpoint: account_proof(endpoint, contract, slots, self.agreement.block))

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

    def _plain(self, attested: Attested, end: Header) -> PlainState:
        """The answers that enough endpoints give. Raises Unavailable."""
        by_name = {endpoint.name: endpoint for endpoint in self.quorum.trusted}
        results = fetch_all(list(by_name), lambda _, name: plain_state(by_name[name], attested, self.kms, end))
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
                hint="--proof shows which of them lies",
            )
        for answers, names in votes.items():
            for name in names if answers != taken[0] else ():
                self.quorum.dissent[name] = "gives other answers of the contracts than the others"
        calls, words = taken[0]
        return PlainState(", ".join(votes[taken[0]]), calls, words)

    def _allowed_by(self, attested: Attested) -> AllowedBy | None:
        """The log since which the hash is allowed without a break; None where none can be had, which is said.

        Asked of one endpoint after the other until one gives a log that stands in its block.
        """
        without: list[str] = []
        for endpoint in self.quorum.trusted:
            try:
                log = allowing_log(self._logs_from(endpoint, attested.app_id), attested.compose_hash)
                found = None if log is None else self._placed(log)
            except Unavailable as error:
                self.note(f"the log of app 0x{attested.app_id.hex()}: {error}")
                continue
            if found is not None:
                if without:
                    self.forget(attested.app_id)
                for name in without:
                    self.quorum.dissent[name] = f"left out a log of block {found.log.block_number}"
                return found
            if log is None:
                without.append(endpoint.name)
            else:
                self.forget(attested.app_id)
                self.quorum.dissent[endpoint.name] = f"made up a log in block {log.block_number}"
        return None

    def _placed(self, log: Log) -> AllowedBy | None:
        """The log in its block, None when the block does not have it. Raises Unavailable."""
        if self.proof:
            place = prove_logs(self.quorum, (log,)).get(log)
            return None if place is None else AllowedBy(self.agreed_block(place.block), log, place.receipt)
        agreement = self.quorum.block(log.block_number)
        return AllowedBy(self.agreed_block(agreement), log) if agreement.block.hash == log.block_hash else None

    def _logs_from(self, endpoint: Endpoint, contract: bytes) -> tuple[Log, ...]:
        key = endpoint.name, contract
        if key not in self._by_endpoint:
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


def allowing_log(logs: tuple[Log, ...], compose_hash: bytes) -> Log | None:
    """The ComposeHashAdded since which this hash is allowed; None where the last word is that it was removed."""
    (added,), (removed,) = topics(Kind.COMPOSE_HASH_ADDED), topics(Kind.COMPOSE_HASH_REMOVED)
    since: Log | None = None
    for log in logs:
        if log.data == compose_hash and log.topics == (added,):
            since = since or log
        elif log.data == compose_hash and log.topics == (removed,):
            since = None
    return since


def account_proof(endpoint: Endpoint, contract: bytes, slots: tuple[bytes, ...], block: Header) -> AccountProof:
    """`eth_getProof`, verified against the block's state root. Raises RpcUntrue when it does not hold, Unavailable."""
    keys = [hex_data(slot) for slot in slots]
    answer = endpoint.call("eth_getProof", hex_data(contract), keys, hex(block.number))
    try:
        proof = parse_account_proof(Fields(answer, "proof"))
        _about(proof, contract, slots)
        proved_account(proof, block.state_root)
    except EvidenceError as error:
        raise RpcUntrue(f"a proof that does not hold: {error}", where=endpoint.name) from error
    return proof


def _about(proof: AccountProof, contract: bytes, slots: tuple[bytes, ...]) -> None:
    if proof.address != contract or {slot.slot for slot in proof.slots} != set(slots):
        raise Malformed("a proof of other slots than were asked for", where="eth_getProof", got=hex_data(proof.address))


def plain_state(endpoint: Endpoint, attested: Attested, kms: bytes, block: Header) -> PlainState:
    """One endpoint's answers, at the agreed block. Raises Unavailable."""
    at = hex(block.number)
    calls = tuple(_call(endpoint, to, data, at) for to, data in plain_calls(attested, kms))
    place = hex_data(attested.app_id), hex_data(IMPLEMENTATION), at
    answer = endpoint.call("eth_getStorageAt", *place)
    with read_from(endpoint, "a storage word"):
        text = answer if isinstance(answer, str) else repr(answer)
        word = int.from_bytes(data_text(text, "eth_getStorageAt", size=32), "big")
    return PlainState(endpoint.name, calls, (Word(attested.app_id, IMPLEMENTATION, word),))


def _call(endpoint: Endpoint, to: bytes, data: bytes, at: str) -> Call:
    try:
        output, reverted = endpoint.call("eth_call", {"to": hex_data(to), "data": hex_data(data)}, at), False
    except RpcRefused as error:
        if not is_revert(error):
            raise
        output, reverted = error.data if isinstance(error.data, str) else "0x", True
    with read_from(endpoint, "an answer to eth_call"):
        text = output if isinstance(output, str) else repr(output)
        return Call(to, data, data_text(text, "eth_call", max_size=MAX_ANSWER), reverted)
