"""The state that decides who can change an app, read at the agreed block: with `--proof` every word of it proved."""

from __future__ import annotations

from twinproof.chain import storage_layout as layout
from twinproof.chain.abi import Answer, AnswerKind, Function
from twinproof.chain.account_proof import proved_account
from twinproof.chain.history import History, Subject
from twinproof.chain.power import Holder, HolderKind, Power
from twinproof.sources.app_history import AppHistory
from twinproof.sources.chain_calls import ask, code_at
from twinproof.sources.chain_state import ChainReader

__all__ = ["read_power"]

_DELEGATION = bytes.fromhex("ef0100")  # EIP-7702: an account of a key that runs code of another
_THRESHOLD = Function("getThreshold", (), ("uint256",))
_SIGNERS = Function("getOwners", (), ("address[]",))
_DELAY = Function("getMinDelay", (), ("uint256",))


def read_power(reader: ChainReader, read: AppHistory) -> Power:
    """Raises Unavailable, Malformed for a slot that holds no value of its type."""
    history, state = read.history, read.state
    pending = state.app_address(layout.PENDING_OWNER)
    is_kms = state.kms is not None
    return Power(
        app_id=history.contract,
        owner=_holder(reader, state.app_address(layout.OWNER)),
        pending_owner=_holder(reader, pending) if any(pending) else None,
        upgrades_disabled=state.app_flag(layout.APP_FLAGS, layout.UPGRADES_DISABLED_BYTE, "upgradesDisabled"),
        code=(code := state.app_address(layout.IMPLEMENTATION)),
        code_known=read.by_factory and history.opaque_since is None and code in read.known_code,
        any_device=state.app_flag(layout.APP_FLAGS, layout.ALLOW_ANY_DEVICE_BYTE, "allowAnyDevice"),
        devices=_held(history, Subject.DEVICE),
        require_tcb=state.app_flag(layout.APP_REQUIRE_TCB_UP_TO_DATE, 0, "requireTcbUpToDate"),
        compose_hashes=_held(history, Subject.COMPOSE_HASH),
        opaque=history.opaque_since is not None or not (read.by_factory and read.complete),
        kms=reader.kms,
        registered=state.registered,
        kms_owner=_holder(reader, state.kms_address(layout.OWNER)) if is_kms else None,
        kms_code=state.kms_address(layout.IMPLEMENTATION) if is_kms else None,
    )


def _held(history: History, subject: Subject) -> int:
    return len(history.current(subject))


def _holder(reader: ChainReader, address: bytes) -> Holder:
    """Whether it is a key's account, and its code, is proved with the rest; its kind is what it answers.

    With `--proof` that is what enough endpoints say it answers; else one endpoint's word.
    """
    if not any(address):
        return Holder(address, HolderKind.NOBODY)
    block = reader.agreement.block
    if reader.proof:
        account = proved_account(reader.proved(address, ()), block.state_root)
        code = b"" if account is None else reader.code(address, account.code_hash)
    else:
        code = code_at(reader.first, address, block=hex(block.number))
    if not code:
        return Holder(address, HolderKind.KEY)
    if code.startswith(_DELEGATION) and len(code) == 23:
        return Holder(address, HolderKind.DELEGATED_KEY)
    return _contract(reader, address)


def _contract(reader: ChainReader, address: bytes) -> Holder:
    """The kind of a contract, by the functions it answers to."""
    threshold = _number(reader, address, _THRESHOLD)
    signers = _ask(reader, address, _SIGNERS)
    if threshold is not None and signers.kind is AnswerKind.VALUE and isinstance(signers.value, tuple | list):
        return Holder(address, HolderKind.SAFE, threshold=threshold, signers=len(signers.value))
    delay = _number(reader, address, _DELAY)
    return Holder(address, HolderKind.CONTRACT) if delay is None else Holder(address, HolderKind.TIMELOCK, delay=delay)


def _number(reader: ChainReader, address: bytes, function: Function) -> int | None:
    answer = _ask(reader, address, function)
    value = answer.value if answer.kind is AnswerKind.VALUE else None
    return value if isinstance(value, int) else None


def _ask(reader: ChainReader, address: bytes, function: Function) -> Answer:
    if reader.proof:
        return reader.answer(address, function)
    return ask(reader.first, address, function, block=hex(reader.agreement.block.number))
