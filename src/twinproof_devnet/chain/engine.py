"""What a chain asks of the EVM under it. Which blocks are canonical, what waits, what is final, limits and lies are not
its business: those are the same over every engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from eth_hash.auto import keccak

from twinproof_devnet.chain.blocks import EMPTY_ROOT, Block, Header, Transaction
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.errors import REVERTED, SERVER_ERROR, RpcError

__all__ = [
    "FIRST_BASE_FEE",
    "GAS_LIMIT",
    "NO_ACCOUNT",
    "Account",
    "AccountProof",
    "Call",
    "Engine",
    "open_engine",
    "reverted",
]

GAS_LIMIT = 30_000_000
FIRST_BASE_FEE = 10**9
_ERROR_TEXT = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")


@dataclass(frozen=True, slots=True)
class Call:
    """What would be executed."""

    sender: bytes = bytes(20)
    to: bytes | None = None
    data: bytes = b""
    value: int = 0
    gas: int = GAS_LIMIT


@dataclass(frozen=True, slots=True)
class Account:
    """As in the state trie: its RLP is the list of these four."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes


NO_ACCOUNT = Account(0, 0, EMPTY_ROOT, keccak(b""))


@dataclass(frozen=True, slots=True)
class AccountProof:
    """The RLP nodes from a block's state root to an account, and from its storage root to slots, in the order asked."""

    account: Account
    nodes: tuple[bytes, ...]
    slots: tuple[tuple[int, tuple[bytes, ...]], ...]
    """The value in the slot, and its nodes; none in an empty storage."""


class Engine(Protocol):
    """The states after all blocks that it built. Raises RpcError, in the words of geth, for what cannot be answered."""

    @property
    def chain_id(self) -> int: ...

    @property
    def description(self) -> str:
        """Name, version, and how it runs."""

    def genesis(self, balances: Mapping[bytes, int], codes: Mapping[bytes, bytes], timestamp: int) -> Block:
        """Block 0. Asked once, and first."""

    def build(
        self, parent: Header, transactions: Sequence[Transaction], timestamp: int, extra_data: bytes = b""
    ) -> tuple[Block, tuple[Transaction, ...]]:
        """The next block, and the transactions that cannot be in it (wrong nonce, no balance).

        `parent` is the last block that was built, or one before it on the same branch. Other `extra_data` makes
        another block of the same parent and transactions.
        """

    def call(self, header: Header, call: Call) -> bytes:
        """What the call returns on the state after this block. Raises RpcError when it is reverted or fails."""

    def estimate(self, header: Header, call: Call) -> int:
        """The least gas with which it succeeds, or a little more. Raises RpcError when it never does."""

    def account(self, header: Header, address: bytes) -> Account:
        """NO_ACCOUNT when there is none."""

    def code(self, header: Header, address: bytes) -> bytes: ...

    def storage(self, header: Header, address: bytes, slot: int) -> int: ...

    def proof(self, header: Header, address: bytes, slots: Sequence[bytes]) -> AccountProof:
        """Slots have 32 bytes."""

    def close(self) -> None:
        """Nothing is asked afterwards."""


def open_engine(name: EngineName, chain_id: int) -> Engine:
    """Raises EngineError for one that is not installed."""
    if name is EngineName.ANVIL:
        from twinproof_devnet.chain.anvil import Anvil  # noqa: PLC0415  (only when asked for)

        return Anvil(chain_id)
    from twinproof_devnet.chain.evm import Evm  # noqa: PLC0415  (slow, and not when the other was asked for)

    return Evm(chain_id)


def reverted(output: bytes) -> RpcError:
    """As geth words it, with the reason if it is a text."""
    text = "execution reverted"
    if output[:4] == _ERROR_TEXT and len(output) >= 68:
        size = int.from_bytes(output[36:68], "big")
        text += ": " + output[68 : 68 + size].decode("utf-8", "replace")
    elif output[:4] == _PANIC:
        text += f": panic {output[-1]:#x}"
    return RpcError(REVERTED, text, "0x" + output.hex())


def out_of_gas() -> RpcError:
    return RpcError(SERVER_ERROR, "out of gas")
