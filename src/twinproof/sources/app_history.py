"""Everything that is read from a chain about one app's past: its events folded, and what folding needs beside them.

The events show neither the flags that an app was created with nor, in older generations, who acted: the first are read
from the state, the second from the transactions. What cannot be read, or proved though proofs were asked for, is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from twinproof.chain import storage_layout as layout
from twinproof.chain.abi import AnswerKind
from twinproof.chain.account_proof import proved_account
from twinproof.chain.contracts import ALLOWED_COMPOSE_HASHES, ALLOWED_DEVICE_IDS
from twinproof.chain.events import Kind, topics
from twinproof.chain.fold import fold_history
from twinproof.chain.folded_state import single_contradictions
from twinproof.chain.history import History, Subject, Value
from twinproof.chain.log import Log
from twinproof.chain.receipt import parse_receipt
from twinproof.chain.values import data_text, hex_data
from twinproof.errors import Malformed, Refused, TwinproofError, Unavailable
from twinproof.sources.app_state import AppState, read_app_state
from twinproof.sources.chain_calls import ask, storage_word
from twinproof.sources.chain_state import ChainReader
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.pending import Pending, read_pending
from twinproof.sources.rpc import Endpoint, header_at, read_from
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Agreement
from twinproof.sources.shown_logs import factory_log
from twinproof.wire import Fields

__all__ = ["AppHistory", "read_app_history"]

MOST_LOOKED_UP = 500
"""Blocks and transactions that are looked up one by one: for times, and for who acted."""
_MOST_SLOTS = 128
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class AppHistory:
    """`times` are unix seconds by block. `pending` is not final yet.

    `proved` says that every log was proved and the folded events held against storage proofs.
    """

    chain_id: int
    agreement: Agreement
    history: History
    state: AppState
    known_code: frozenset[bytes]
    pending: Pending
    times: Mapping[int, int]
    proved: bool
    complete: bool
    """The first transaction initialised the contract, so that no log can be before it."""
    by_factory: bool
    """In it the KMS says that its factory made the contract: its code is known, and nothing was in its storage."""
    unproved: Mapping[bytes, str]
    """Transactions, by hash, whose hash and sender are one endpoint's word though proofs were asked for, and why."""
    open_questions: tuple[str, ...] = ()
    """What could not be read, in words."""

    @property
    def registered(self) -> bool | None:
        return self.state.registered


def read_app_history(reader: ChainReader, app_id: bytes, *, known_code: frozenset[bytes] = frozenset()) -> AppHistory:
    """Raises Unavailable, Refused for an id that is no contract, RpcUntrue for events that the state contradicts."""
    agreement = reader.agreement
    end = agreement.block
    state = read_app_state(reader, app_id)
    if state.app is None:
        raise Refused(
            "no contract at this app id",
            where=hex_data(app_id),
            got=f"no code in block {end.number} of chain {reader.quorum.check_chain_id()}",
            hint="an app of a KMS without a chain has no public log; a new one may not be final yet",
        )
    logs = reader.logs(app_id)
    endpoint = reader.first  # another one, if the logs showed that it lies
    questions: list[str] = []
    given = state.kms_address(layout.KMS_APP_IMPLEMENTATION)
    code = known_code | ({given} if any(given) else frozenset())
    senders, unproved = _senders(reader, endpoint, logs, questions)
    initial = _initial(reader, endpoint, app_id, logs, questions)
    with read_from(endpoint, "a log"):
        history = fold_history(
            logs, app_id, to_block=end.number, known_implementations=code, initial=initial, senders=senders
        )
    begins = _begins(logs)
    _cross_check(reader, history, state.app if begins else None)
    waiting = read_pending(reader, app_id)
    return AppHistory(
        chain_id=reader.quorum.check_chain_id(),
        agreement=agreement,
        history=history,
        state=state,
        known_code=code,
        pending=waiting,
        times=_times(reader, endpoint, logs, waiting.logs, questions),
        proved=reader.proof,
        complete=begins,
        by_factory=_by_factory(reader, endpoint, logs, app_id),
        unproved=unproved,
        open_questions=(*questions, *waiting.not_told),
    )


def _begins(logs: tuple[Log, ...]) -> bool:
    """Whether the first transaction initialised the contract: a later one, after an upgrade, has another version."""
    (initialized,), first = topics(Kind.INITIALIZED), (1).to_bytes(32, "big")
    return any(
        (log.topics, log.data) == ((initialized,), first) and log.transaction_hash == logs[0].transaction_hash
        for log in logs
    )


def _by_factory(reader: ChainReader, endpoint: Endpoint, logs: tuple[Log, ...], app_id: bytes) -> bool:
    """By the KMS's own log in the transaction of the first; proved with it, or as one endpoint shows its receipt."""
    if not logs:
        return False
    place = reader.places.get(logs[0])
    if place is not None:
        return factory_log(place.beside, app_id, reader.kms) is not None
    answer = endpoint.call("eth_getTransactionReceipt", hex_data(logs[0].transaction_hash))
    if answer is None:
        return False
    with read_from(endpoint, "a receipt"):
        return factory_log(parse_receipt(Fields(answer, "receipt")).logs, app_id, reader.kms) is not None


def _cross_check(reader: ChainReader, history: History, words: Mapping[bytes, int] | None) -> None:
    """What the events say holds now, against the contract's own state at the same block."""
    wrong = [] if words is None else list(single_contradictions(history, words))
    for subject, view, slot in (
        (Subject.COMPOSE_HASH, ALLOWED_COMPOSE_HASHES, layout.compose_hash_slot),
        (Subject.DEVICE, ALLOWED_DEVICE_IDS, layout.device_slot),
    ):
        values = [value for value in history.ever(subject) if isinstance(value, bytes)]
        state: dict[bytes, bool] = {}
        if reader.proof:
            for start in range(0, len(values), _MOST_SLOTS):
                part = values[start : start + _MOST_SLOTS]
                proof = reader.proved(history.contract, tuple(slot(value) for value in part))
                account = proved_account(proof, reader.agreement.block.state_root)
                state |= {value: bool(account and account.words[slot(value)]) for value in part}
        else:
            block = hex(reader.agreement.block.number)
            endpoint = reader.first
            asked = values[-MOST_LOOKED_UP:]
            answers = _all(
                [value.hex() for value in asked],
                lambda index: ask(endpoint, history.contract, view, asked[index], block=block),  # noqa: B023  (ends here)
            )
            state = {
                value: answer.flag
                for value, answer in zip(asked, answers, strict=True)
                if answer.kind is AnswerKind.VALUE
            }
        wrong += history.contradictions(subject, state)
    if wrong:
        reader.forget(history.contract)
        raise RpcUntrue(
            "the events and the contract's state contradict each other",
            where=f"block {reader.agreement.block.number}",
            got=wrong[0] + (f"; {len(wrong) - 1} more" if len(wrong) > 1 else ""),
            hint="the endpoint left out logs or made some up, or the contract's code writes none",
        )


def _initial(
    reader: ChainReader, endpoint: Endpoint, app_id: bytes, logs: tuple[Log, ...], questions: list[str]
) -> dict[Subject, Value]:
    """The flags at creation, for which there are no events. Needs the state of that block, which not everyone keeps."""
    if not logs:
        return {}
    slots = layout.APP_FLAGS, layout.APP_REQUIRE_TCB_UP_TO_DATE
    number = logs[0].block_number
    try:
        if reader.proof:
            account = proved_account(
                reader.proved(app_id, slots, at=(block := reader.quorum.block(number).block)), block.state_root
            )
            words = dict(account.words) if account is not None else dict.fromkeys(slots, 0)
        else:
            words = {slot: storage_word(endpoint, app_id, slot, hex(number)) for slot in slots}
        flags, tcb = (words[slot] for slot in slots)
        return {
            Subject.ALLOW_ANY_DEVICE: layout.flag(flags, layout.ALLOW_ANY_DEVICE_BYTE, "allowAnyDevice"),
            Subject.UPGRADES_DISABLED: layout.flag(flags, layout.UPGRADES_DISABLED_BYTE, "upgradesDisabled"),
            Subject.REQUIRE_TCB_UP_TO_DATE: layout.flag(tcb, 0, "requireTcbUpToDate"),
        }
    except (Unavailable, Malformed) as error:
        what = "proves the state" if reader.proof else "keeps the state"
        questions.append(f"the flags at creation: nobody {what} of block {number}: {error}")
        return {}


def _senders(
    reader: ChainReader, endpoint: Endpoint, logs: tuple[Log, ...], questions: list[str]
) -> tuple[dict[bytes, bytes], dict[bytes, str]]:
    """Who sent the transactions: proved with them, or an endpoint's word; and why those are not proved that are not."""
    senders: dict[bytes, bytes] = {}
    unproved: dict[bytes, str] = {}
    for log in logs:
        place = reader.places.get(log)
        if place is not None and place.transaction is not None:
            senders[log.transaction_hash] = place.transaction.transaction.sender
        elif reader.proof:
            unproved[log.transaction_hash] = "no proof" if place is None else place.unproved
    transactions = [item for item in dict.fromkeys(log.transaction_hash for log in logs) if item not in senders]
    if len(transactions) > MOST_LOOKED_UP:
        questions.append(f"who acted in the first {len(transactions) - MOST_LOOKED_UP} transactions")
        transactions = transactions[-MOST_LOOKED_UP:]

    def sender(index: int) -> bytes:
        answer = endpoint.call("eth_getTransactionByHash", hex_data(transactions[index]))
        with read_from(endpoint, "a transaction"):
            fields = Fields(answer, "transaction")
            return data_text(fields.text("from", max_chars=100), "transaction.from", size=20)

    told = _all([item.hex() for item in transactions], sender)
    return senders | dict(zip(transactions, told, strict=True)), unproved


def _times(
    reader: ChainReader, endpoint: Endpoint, logs: tuple[Log, ...], waiting: tuple[Log, ...], questions: list[str]
) -> dict[int, int]:
    """Unix seconds by block: from the agreed blocks with proofs, else from one endpoint's."""
    times = {log.block_number: reader.places[log].block.block.timestamp for log in logs if log in reader.places}
    hashes = {log.block_number: log.block_hash for log in (*logs, *waiting) if log.block_number not in times}
    numbers = sorted(hashes)
    if len(numbers) > MOST_LOOKED_UP:
        questions.append(f"the times of the first {len(numbers) - MOST_LOOKED_UP} blocks with events")
        numbers = numbers[-MOST_LOOKED_UP:]
    final = {log.block_number for log in logs}

    def time_of(index: int) -> int | None:
        header = header_at(endpoint, hex(numbers[index]))
        if header.hash == hashes[numbers[index]]:
            return header.timestamp
        if numbers[index] in final:
            raise RpcUntrue("a log of a block that the chain does not have", where=f"block {numbers[index]}")
        return None

    found = zip(numbers, _all([str(number) for number in numbers], time_of), strict=True)
    return times | {number: time for number, time in found if time is not None}


def _all(names: list[str], question: Callable[[int], _Item]) -> list[_Item]:
    """Several at once; the first failure is everybody's."""
    items: list[_Item] = []
    for result in fetch_all(names, lambda index, _: question(index)):
        if isinstance(result, TwinproofError):
            raise result
        items.append(result)
    return items
