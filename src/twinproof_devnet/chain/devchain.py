"""A chain that runs: blocks, an endpoint on loopback, accounts with money. Nothing is deployed on it yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Thread

from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.blocks import Block, Receipt
from twinproof_devnet.chain.compiler import artifacts
from twinproof_devnet.chain.endpoint import Endpoint
from twinproof_devnet.chain.engine import Call, open_engine
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.ledger import Depths, Ledger
from twinproof_devnet.chain.log_filter import Limits
from twinproof_devnet.chain.signing import sign
from twinproof_devnet.chain.state_methods import NodeMethods

__all__ = ["BLOCK_SECONDS", "CHAIN_ID", "MULTICALL3", "DevChain", "Reverted", "Sent"]

CHAIN_ID = 31337
"""What local chains have everywhere. With Base's 8453 a record or a signature could be taken for one of Base."""
MULTICALL3 = bytes.fromhex("ca11bde05977b3631167028862be2a173976ca11")
BLOCK_SECONDS = 2
_ETHER = 10**18
_GAS = 10_000_000


class Reverted(RuntimeError):
    """A transaction of the devnet's own was reverted. Says why."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that is in a block."""

    hash: bytes
    block: Block
    index: int
    """Among the block's transactions."""

    @property
    def receipt(self) -> Receipt:
        return self.block.receipts[self.index]


class DevChain:
    """Use `start`, then `close`."""

    def __init__(self, ledger: Ledger, limits: Limits, deployer: DevAccount, clock: Callable[[], int]) -> None:
        self.ledger, self.limits, self.deployer = ledger, limits, deployer
        self._clock = clock
        self.methods = NodeMethods(ledger, limits)
        """An honest endpoint without HTTP."""
        self._endpoints = [Endpoint(NodeMethods(ledger, limits))]
        self._closing = Event()

    @classmethod
    def start(
        cls,
        *,
        chain_id: int = CHAIN_ID,
        depths: Depths = Depths(),  # noqa: B008  (frozen)
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        clock: Callable[[], int] = lambda: int(time.time()),
        age: int = 3600,
        balances: Mapping[bytes, int] | None = None,
        engine: EngineName = EngineName.PY_EVM,
    ) -> DevChain:
        """Answering when this returns. `clock` says unix seconds. Raises EngineError for one that is not there.

        Block 0 is `age` seconds old, and the blocks up to `settle` are 2 seconds apart, as if they had been there.
        """
        deployer = DevAccount.create()
        codes = {MULTICALL3: artifacts()["multicall3"].runtime}
        ledger = Ledger(
            open_engine(engine, chain_id),
            balances={deployer.address: 1000 * _ETHER, **(balances or {})},
            codes=codes,
            depths=depths,
            clock=lambda: clock() - age,
        )
        ledger.clock = lambda: min(clock(), ledger.head.header.timestamp + BLOCK_SECONDS)
        return cls(ledger, limits, deployer, clock)

    def settle(self) -> None:
        """Make everything up to now final; from here on blocks have the time at which they are made."""
        self.ledger.mine(self.ledger.depths.finalized)
        self.ledger.clock = self._clock

    @property
    def endpoint(self) -> Endpoint:
        """The first one."""
        return self._endpoints[0]

    def endpoints(self, count: int) -> list[Endpoint]:
        """At least so many, each as if of another operator, and each can be switched to lie."""
        while len(self._endpoints) < count:
            self._endpoints.append(Endpoint(NodeMethods(self.ledger, self.limits)))
        return list(self._endpoints)

    @property
    def url(self) -> str:
        """Of the first endpoint."""
        return self.endpoint.url

    @property
    def engine(self) -> str:
        """What executes, for people."""
        return self.ledger.engine.description

    @property
    def chain_id(self) -> int:
        return self.ledger.chain_id

    def fund(self, address: bytes, ether: int = 1) -> None:
        """From the deployer."""
        self.transact(self.deployer, address, b"", value=ether * _ETHER)

    def transact(self, account: DevAccount, to: bytes | None, data: bytes, *, value: int = 0, gas: int = _GAS) -> Sent:
        """Sent and mined. Raises Reverted, and RpcError when it cannot be sent."""
        with self.ledger.lock:
            raw = sign(
                account,
                chain_id=self.chain_id,
                nonce=self.ledger.next_nonce(account.address),
                to=to,
                data=data,
                gas=gas,
                max_fee=2 * self.ledger.head.header.next_base_fee + 1_000_000,
                value=value,
            )
            transaction_hash = self.ledger.send(raw)
            found = self.ledger.transaction(transaction_hash)
            if found is None or found[1] is None:
                self.ledger.mine()
                found = self.ledger.transaction(transaction_hash)
            if found is None or found[1] is None:
                raise Reverted("the transaction is in no block")
            sent = Sent(transaction_hash, found[1], found[2])
            if sent.receipt.status == 0:
                before = self.ledger.block(sent.block.number - 1)
                if before is not None:
                    self.ledger.engine.call(before.header, Call(account.address, to, data, value, gas))
                raise Reverted("the transaction was reverted")
            return sent

    def call(self, to: bytes, data: bytes) -> bytes:
        """On the newest state. Raises RpcError."""
        return self.ledger.engine.call(self.ledger.head.header, Call(to=to, data=data))

    def mine(self, count: int = 1) -> None:
        """So many blocks."""
        self.ledger.mine(count)

    def reorg(self, depth: int, *, keep: bool = True) -> None:
        """Replace the last blocks; their transactions are mined again, or forgotten unless `keep`."""
        self.ledger.reorganise(depth, keep=keep)

    def mine_every(self, seconds: float) -> None:
        """From now on, also without transactions, until it is closed: what was sent becomes final by itself."""

        def mine() -> None:
            while not self._closing.wait(seconds):
                self.ledger.mine()

        Thread(target=mine, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._closing.set()
        for endpoint in self._endpoints:
            endpoint.close()
        self.ledger.engine.close()
