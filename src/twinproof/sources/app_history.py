"""Everything that is read from a chain about one app's past: its events folded, and what folding needs beside them.

The events show neither the flags that an app was created with nor, in older generations, who acted: the first are read
from the state, the second from the transactions. What cannot be read is left open, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from twinproof.chain import storage_layout as layout
from twinproof.chain.abi import AnswerKind
from twinproof.chain.account_proof import proved_account
from twinproof.chain.contracts import (
    ALLOWED_COMPOSE_HASHES,
    ALLOWED_DEVICE_IDS,
    APP_AUTH_IMPLEMENTATION,
    APP_IMPLEMENTATION,
    REGISTERED_APPS,
)
from twinproof.chain.events import Kind, topics
from twinproof.chain.fold import fold_history
from twinproof.chain.history import History, Subject, Value
from twinproof.chain.log import Log
from twinproof.chain.values import data_text, hex_data
from twinproof.errors import Malformed, Refused, TwinproofError, Unavailable
from twinproof.sources.chain_calls import ask, has_code
from twinproof.sources.chain_logs import pending_logs
from twinproof.sources.chain_state import ChainReader
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.log_scan import LogFilter
from twinproof.sources.rpc import Endpoint, header_at, read_from
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Agreement
from twinproof.wire import Fields

__all__ = ["AppHistory", "read_app_history", "storage_word"]

MOST_LOOKED_UP = 500
"""Blocks and transactions that are looked up one by one: for times, and for who acted."""
_MOST_SLOTS = 128
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class AppHistory:
    """`times` are unix seconds by block. `registered` is None where no KMS was named. `pending` are not final yet.

    `proved` says that every log was proved and the folded set held against storage proofs.
    """

    chain_id: int
    agreement: Agreement
    history: History
    pending: tuple[Log, ...]
    times: Mapping[int, int]
    registered: bool | None
    proved: bool
    complete: bool
    """The first transaction initialised the contract, so that no log can be before it."""
    open_questions: tuple[str, ...] = ()
    """What could not be read, in words."""


def read_app_history(reader: ChainReader, app_id: bytes, *, known_code: frozenset[bytes] = frozenset()) -> AppHistory:
    """Raises Unavailable, Refused for an id that is no contract, RpcUntrue for events that the state contradicts."""
    agreement = reader.agreement
    end = agreement.block
    endpoint = reader.first
    if not has_code(endpoint, app_id, block=hex(end.number)):
        raise Refused(
            "no contract at this app id",
            where=hex_data(app_id),
            got=f"no code in block {end.number} of chain {reader.quorum.check_chain_id()}",
            hint="an app of a KMS without a chain has no public log; a new one may not be final yet",
        )
    logs = reader.logs(app_id)
    endpoint = reader.first  # another one, if the logs showed that it lies
    questions: list[str] = []
    code = known_code | _kms_code(reader, endpoint)
    initial = _initial(endpoint, app_id, logs, questions)
    with read_from(endpoint, "a log"):
        history = fold_history(
            logs,
            app_id,
            to_block=end.number,
            known_implementations=code,
            initial=initial,
            senders=_senders(endpoint, logs, questions),
        )
    _cross_check(reader, history)
    waiting = pending_logs(endpoint, LogFilter((app_id,)), end.number)
    return AppHistory(
        chain_id=reader.quorum.check_chain_id(),
        agreement=agreement,
        history=history,
        pending=waiting,
        times=_times(endpoint, (*logs, *waiting), questions),
        registered=_registered(endpoint, reader.kms, app_id, end.number),
        proved=reader.proof,
        complete=_begins(logs),
        open_questions=tuple(questions),
    )


def _begins(logs: tuple[Log, ...]) -> bool:
    (initialized,) = topics(Kind.INITIALIZED)
    return any(log.topics == (initialized,) and log.transaction_hash == logs[0].transaction_hash for log in logs)


def _cross_check(reader: ChainReader, history: History) -> None:
    """What the events say is allowed now, against the contract's own state at the same block."""
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
        wrong = history.contradictions(subject, state)
        if wrong:
            reader.forget(history.contract)
            raise RpcUntrue(
                "the events and the contract's state contradict each other",
                where=f"block {reader.agreement.block.number}",
                got=wrong[0] + (f"; {len(wrong) - 1} more" if len(wrong) > 1 else ""),
                hint="the endpoint left out logs or made some up, or the contract's code writes none",
            )


def _kms_code(reader: ChainReader, endpoint: Endpoint) -> frozenset[bytes]:
    """The code that the KMS gives to new apps: what an app that was not upgraded runs. Proved where the log is."""
    kms, block = reader.kms, reader.agreement.block.number
    if reader.proof:
        slot = layout.KMS_APP_IMPLEMENTATION
        account = proved_account(reader.proved(kms, (slot,)), reader.agreement.block.state_root)
        word = account.words[slot] if account is not None else 0
        return frozenset({word.to_bytes(20, "big")}) if 0 < word < 1 << 160 else frozenset()
    for function in (APP_IMPLEMENTATION, APP_AUTH_IMPLEMENTATION):
        answer = ask(endpoint, kms, function, block=hex(block))
        if answer.kind is AnswerKind.VALUE:
            return frozenset({answer.octets})
    return frozenset()


def _registered(endpoint: Endpoint, kms: bytes, app_id: bytes, block: int) -> bool | None:
    answer = ask(endpoint, kms, REGISTERED_APPS, app_id, block=hex(block))
    return answer.flag if answer.kind is AnswerKind.VALUE else None


def _initial(endpoint: Endpoint, app_id: bytes, logs: tuple[Log, ...], questions: list[str]) -> dict[Subject, Value]:
    """The flags at creation, for which there are no events. Needs the state of that block, which not everyone keeps."""
    if not logs:
        return {}
    block = hex(logs[0].block_number)
    try:
        flags = storage_word(endpoint, app_id, layout.APP_FLAGS, block)
        tcb = storage_word(endpoint, app_id, layout.APP_REQUIRE_TCB_UP_TO_DATE, block)
        return {
            Subject.ALLOW_ANY_DEVICE: layout.flag(flags, layout.ALLOW_ANY_DEVICE_BYTE, "allowAnyDevice"),
            Subject.UPGRADES_DISABLED: layout.flag(flags, layout.UPGRADES_DISABLED_BYTE, "upgradesDisabled"),
            Subject.REQUIRE_TCB_UP_TO_DATE: layout.flag(tcb, 0, "requireTcbUpToDate"),
        }
    except (Unavailable, Malformed):
        questions.append(f"the flags at creation: {endpoint.name} keeps no state of block {logs[0].block_number}")
        return {}


def storage_word(endpoint: Endpoint, address: bytes, slot: bytes, block: str) -> int:
    """`eth_getStorageAt`: 32 bytes of a contract's state, as the endpoint says. Raises Unavailable."""
    answer = endpoint.call("eth_getStorageAt", hex_data(address), hex_data(slot), block)
    with read_from(endpoint, "a storage word"):
        text = answer if isinstance(answer, str) else repr(answer)
        return int.from_bytes(data_text(text, "eth_getStorageAt", size=32), "big")


def _senders(endpoint: Endpoint, logs: tuple[Log, ...], questions: list[str]) -> dict[bytes, bytes]:
    """Who sent the transactions: the endpoint's word, as a hash alone does not say it."""
    transactions = list(dict.fromkeys(log.transaction_hash for log in logs))
    if len(transactions) > MOST_LOOKED_UP:
        questions.append(f"who acted in the first {len(transactions) - MOST_LOOKED_UP} transactions")
        transactions = transactions[-MOST_LOOKED_UP:]

    def sender(index: int) -> bytes:
        answer = endpoint.call("eth_getTransactionByHash", hex_data(transactions[index]))
        with read_from(endpoint, "a transaction"):
            fields = Fields(answer, "transaction")
            return data_text(fields.text("from", max_chars=100), "transaction.from", size=20)

    return dict(zip(transactions, _all([item.hex() for item in transactions], sender), strict=True))


def _times(endpoint: Endpoint, logs: tuple[Log, ...], questions: list[str]) -> dict[int, int]:
    hashes = {log.block_number: log.block_hash for log in logs}
    numbers = sorted(hashes)
    if len(numbers) > MOST_LOOKED_UP:
        questions.append(f"the times of the first {len(numbers) - MOST_LOOKED_UP} blocks with events")
        numbers = numbers[-MOST_LOOKED_UP:]

    def time_of(index: int) -> int:
        header = header_at(endpoint, hex(numbers[index]))
        if header.hash != hashes[numbers[index]]:
            raise RpcUntrue("a log of a block that the chain does not have", where=f"block {numbers[index]}")
        return header.timestamp

    return dict(zip(numbers, _all([str(number) for number in numbers], time_of), strict=True))


def _all(names: list[str], question: Callable[[int], _Item]) -> list[_Item]:
    """Several at once; the first failure is everybody's."""
    items: list[_Item] = []
    for result in fetch_all(names, lambda index, _: question(index)):
        if isinstance(result, TwinproofError):
            raise result
        items.append(result)
    return items
