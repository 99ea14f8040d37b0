"""The state that decides who can change an app, read at the agreed block: with `--proof` every word of it proved."""

from __future__ import annotations

from twinproof.chain import storage_layout as layout
from twinproof.chain.abi import AnswerKind, Function
from twinproof.chain.account_proof import EMPTY_CODE, proved_account
from twinproof.chain.history import History, Subject
from twinproof.chain.power import Holder, HolderKind, Power
from twinproof.chain.values import data_text, hex_data
from twinproof.errors import Malformed
from twinproof.sources.app_history import AppHistory, storage_word
from twinproof.sources.chain_calls import MAX_ANSWER, ask
from twinproof.sources.chain_state import ChainReader
from twinproof.sources.rpc import Endpoint, read_from

__all__ = ["read_power"]

_DELEGATION = bytes.fromhex("ef0100")  # EIP-7702: an account of a key that runs code of another
_THRESHOLD = Function("getThreshold", (), ("uint256",))
_SIGNERS = Function("getOwners", (), ("address[]",))
_DELAY = Function("getMinDelay", (), ("uint256",))
_APP = (layout.OWNER, layout.PENDING_OWNER, layout.IMPLEMENTATION, layout.APP_FLAGS, layout.APP_REQUIRE_TCB_UP_TO_DATE)


def read_power(reader: ChainReader, read: AppHistory) -> Power:
    """Raises Unavailable, Malformed for a slot that holds no value of its type."""
    history = read.history
    app = _words(reader, history.contract, _APP)
    code = _address(app[layout.IMPLEMENTATION])
    pending = _address(app[layout.PENDING_OWNER])
    registered_slot = layout.registered_app_slot(history.contract)
    kms = _words(reader, reader.kms, (layout.OWNER, layout.IMPLEMENTATION, registered_slot))
    is_kms = read.registered is not None
    return Power(
        app_id=history.contract,
        owner=_holder(reader, _address(app[layout.OWNER])),
        pending_owner=_holder(reader, pending) if any(pending) else None,
        upgrades_disabled=layout.flag(app[layout.APP_FLAGS], layout.UPGRADES_DISABLED_BYTE, "upgradesDisabled"),
        code=code,
        code_known=history.opaque_since is None,
        any_device=layout.flag(app[layout.APP_FLAGS], layout.ALLOW_ANY_DEVICE_BYTE, "allowAnyDevice"),
        devices=_held(history, Subject.DEVICE),
        require_tcb=layout.flag(app[layout.APP_REQUIRE_TCB_UP_TO_DATE], 0, "requireTcbUpToDate"),
        compose_hashes=_held(history, Subject.COMPOSE_HASH),
        opaque=history.opaque_since is not None,
        kms=reader.kms,
        registered=layout.flag(kms[registered_slot], 0, "registeredApps") if is_kms else None,
        kms_owner=_holder(reader, _address(kms[layout.OWNER])) if is_kms else None,
        kms_code=_address(kms[layout.IMPLEMENTATION]) if is_kms else None,
    )


def _held(history: History, subject: Subject) -> int:
    return len(history.current(subject))


def _words(reader: ChainReader, contract: bytes, slots: tuple[bytes, ...]) -> dict[bytes, int]:
    if reader.proof:
        account = proved_account(reader.proved(contract, slots), reader.agreement.block.state_root)
        return dict(account.words) if account is not None else dict.fromkeys(slots, 0)
    block = hex(reader.agreement.block.number)
    return {slot: storage_word(reader.first, contract, slot, block) for slot in slots}


def _address(word: int) -> bytes:
    if word >> 160:
        raise Malformed("not an address", where="slot", got=hex(word))
    return word.to_bytes(20, "big")


def _holder(reader: ChainReader, address: bytes) -> Holder:
    """Whether it is a key's account is proved with the rest; what kind of contract it is the contract itself says."""
    if not any(address):
        return Holder(address, HolderKind.NOBODY)
    endpoint, block = reader.first, hex(reader.agreement.block.number)
    code = _code(endpoint, address, block)
    if reader.proof:
        account = proved_account(reader.proved(address, ()), reader.agreement.block.state_root)
        if account is None or account.code_hash == EMPTY_CODE:
            code = b""
        elif not code:
            return Holder(address, HolderKind.CONTRACT)
    if not code:
        return Holder(address, HolderKind.KEY)
    if code.startswith(_DELEGATION) and len(code) == 23:
        return Holder(address, HolderKind.DELEGATED_KEY)
    return _contract(endpoint, address, block)


def _contract(endpoint: Endpoint, address: bytes, block: str) -> Holder:
    """The kind of a contract, by the functions it answers to."""
    threshold = _number(endpoint, address, _THRESHOLD, block)
    signers = ask(endpoint, address, _SIGNERS, block=block)
    if threshold is not None and signers.kind is AnswerKind.VALUE and isinstance(signers.value, tuple | list):
        return Holder(address, HolderKind.SAFE, threshold=threshold, signers=len(signers.value))
    delay = _number(endpoint, address, _DELAY, block)
    return Holder(address, HolderKind.CONTRACT) if delay is None else Holder(address, HolderKind.TIMELOCK, delay=delay)


def _number(endpoint: Endpoint, address: bytes, function: Function, block: str) -> int | None:
    answer = ask(endpoint, address, function, block=block)
    value = answer.value if answer.kind is AnswerKind.VALUE else None
    return value if isinstance(value, int) else None


def _code(endpoint: Endpoint, address: bytes, block: str) -> bytes:
    answer = endpoint.call("eth_getCode", hex_data(address), block)
    with read_from(endpoint, "code"):
        return data_text(answer if isinstance(answer, str) else repr(answer), "eth_getCode", max_size=MAX_ANSWER)
