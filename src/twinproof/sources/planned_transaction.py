"""One transaction before it is sent: estimated, paid for, signed, and read again from its signed bytes.

EIP-1559 only. Whatever an endpoint says about fees, a transaction costs at most what the caller allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.chain.abi import revert_reason
from twinproof.chain.block import Header
from twinproof.chain.ether import ether
from twinproof.chain.rlp_items import byte_strings, decode, integer
from twinproof.chain.values import hex_data
from twinproof.errors import Malformed, Refused, Unavailable, UsageError
from twinproof.sources.nonces import next_nonce
from twinproof.sources.rpc import Endpoint, header_at, quantity_of
from twinproof.sources.rpc_errors import RpcRefused, RpcUntrue
from twinproof.sources.signing_key import Signer
from twinproof.wire import shown

__all__ = [
    "DEFAULT_MAX_COST",
    "Limits",
    "PlannedTransaction",
    "fees_now",
    "plan_transaction",
    "read_signed",
    "require_affordable",
]

DEFAULT_MAX_COST = 10**16
"""Wei: 0.01 ETH. An addComposeHash on Base costs about a thousandth of it."""
_BASE_FEE = 15  # its place among a header's fields
_SPARE_GAS = 5  # a fifth more than estimated: state may change before inclusion
_EIP_1559, _SIGNED_FIELDS = b"\x02", 12
_MOST_GAS = 30_000_000  # half of what any block of Ethereum has, and ten times what the factory needs
_NONE_OF_ITS_OWN = 1_000_000  # wei per gas, where an endpoint suggests no tip


@dataclass(frozen=True, slots=True)
class Limits:
    """`gas` is the user's own limit, `max_cost` in wei, `timeout` in seconds for inclusion."""

    gas: int | None = None
    max_cost: int = DEFAULT_MAX_COST
    timeout: float = 180.0


@dataclass(frozen=True, slots=True)
class PlannedTransaction:
    """What will be signed. Fees are in wei per gas; `to` has 20 bytes."""

    chain_id: int
    sender: bytes
    to: bytes
    data: bytes
    nonce: int
    gas: int
    max_fee: int
    max_priority_fee: int
    balance: int
    waiting: int
    """Transactions of the sender that are sent and not mined: this one comes after them."""

    @property
    def max_cost(self) -> int:
        """Wei, all gas at the highest fee; a rollup adds its fee for the data, which is small."""
        return self.gas * self.max_fee

    def signed(self, signer: Signer) -> bytes:
        return signer.sign(
            {
                "type": 2,
                "chainId": self.chain_id,
                "nonce": self.nonce,
                "to": self.to,
                "value": 0,
                "data": self.data,
                "gas": self.gas,
                "maxFeePerGas": self.max_fee,
                "maxPriorityFeePerGas": self.max_priority_fee,
            }
        )

    def to_json(self) -> dict[str, object]:
        return {
            "chain_id": self.chain_id,
            "from": hex_data(self.sender),
            "to": hex_data(self.to),
            "data": hex_data(self.data),
            "nonce": self.nonce,
            "gas": self.gas,
            "max_fee_per_gas": self.max_fee,
            "max_priority_fee_per_gas": self.max_priority_fee,
            "max_cost": self.max_cost,
            "balance": self.balance,
        }


def plan_transaction(
    endpoints: Sequence[Endpoint], needed: int, *, chain_id: int, sender: bytes, to: bytes, data: bytes, limits: Limits
) -> PlannedTransaction:
    """Ask the first endpoint what it takes, and `needed` of them for the nonce.

    Raises Refused when the contract or the balance refuses, Unavailable.
    """
    endpoint, who = endpoints[0], hex_data(sender)
    gas = _gas(endpoint, {"from": who, "to": hex_data(to), "data": hex_data(data), "value": "0x0"}, limits.gas)
    base_fee, tip = fees_now(endpoint)
    nonce, waiting = next_nonce(endpoints, needed, sender)
    planned = PlannedTransaction(
        chain_id=chain_id,
        sender=sender,
        to=to,
        data=data,
        nonce=nonce,
        gas=gas,
        max_fee=2 * base_fee + tip,
        max_priority_fee=tip,
        balance=quantity_of(endpoint, "eth_getBalance", who, "latest"),
        waiting=waiting,
    )
    require_affordable(planned, limits, endpoint.name)
    if planned.balance < planned.max_cost:
        raise Refused(
            "the account cannot pay for it",
            where=who,
            got=ether(planned.balance),
            expected=f"at least {ether(planned.max_cost)}",
        )
    return planned


def fees_now(endpoint: Endpoint) -> tuple[int, int]:
    """The base fee of the newest block and the tip that is usual, in wei per gas. Raises Unavailable."""
    base_fee = _base_fee(header_at(endpoint, "latest"))
    try:
        return base_fee, quantity_of(endpoint, "eth_maxPriorityFeePerGas")
    except RpcRefused:
        return base_fee, _NONE_OF_ITS_OWN


def require_affordable(planned: PlannedTransaction, limits: Limits, where: str) -> None:
    """Raises Refused for what may cost more than is allowed, whatever an endpoint says about fees and gas."""
    if planned.max_cost > limits.max_cost:
        raise Refused(
            "the transaction may cost more than allowed",
            where=where,
            got=ether(planned.max_cost),
            expected=f"at most {ether(limits.max_cost)}",
            hint="fees are high, or the endpoint overstates them; --max-cost ETH allows more",
        )


def read_signed(raw: bytes, sender: bytes) -> PlannedTransaction:
    """What these bytes of ours do; balance and waiting are unknown, and zero. Raises Malformed."""
    where = "signed transaction"
    item = decode(raw[1:], where) if raw[:1] == _EIP_1559 else b""
    if isinstance(item, bytes) or len(item) != _SIGNED_FIELDS:
        raise Malformed("not a signed transaction of ours", where=where, got=raw[:8].hex(), expected="EIP-1559")
    chain_id, nonce, tip, max_fee, gas, to, _, data = byte_strings(item[:8], where)
    return PlannedTransaction(
        chain_id=integer(chain_id, where),
        sender=sender,
        to=to,
        data=data,
        nonce=integer(nonce, where),
        gas=integer(gas, where),
        max_fee=integer(max_fee, where),
        max_priority_fee=integer(tip, where),
        balance=0,
        waiting=0,
    )


def _gas(endpoint: Endpoint, question: dict[str, str], chosen: int | None) -> int:
    try:
        estimate = quantity_of(endpoint, "eth_estimateGas", question)
    except RpcRefused as error:
        raise _refusal(error, question) from error
    if estimate > _MOST_GAS:
        got, expected = shown(str(estimate), 40), f"at most {_MOST_GAS}"
        raise RpcUntrue("an estimate that cannot be", where=endpoint.name, got=got, expected=expected)
    if chosen is None:
        return estimate + estimate // _SPARE_GAS
    if chosen < estimate:
        raise UsageError("too little gas", where="--gas", got=str(chosen), expected=f"at least {estimate}")
    return chosen


def _refusal(error: RpcRefused, question: dict[str, str]) -> Refused | RpcRefused:
    """A revert is the contract's answer; anything else is the endpoint's."""
    data = error.data if isinstance(error.data, str) else ""
    if "insufficient funds" in error.message.lower():
        return Refused("the account cannot pay for it", where=question["from"], got=error.message)
    if "revert" not in error.message.lower() and not data.startswith("0x"):
        return error
    try:
        reason = revert_reason(bytes.fromhex(data.removeprefix("0x"))) if len(data) > 2 else ""
    except ValueError:
        reason = ""
    return Refused(
        "the contract would refuse this transaction",
        where=question["to"],
        got=reason or error.message,
        hint="is this account the owner?" if "Ownable" in reason else "",
    )


def _base_fee(header: Header) -> int:
    if len(header.fields) <= _BASE_FEE:
        raise Unavailable("a chain without EIP-1559", where=f"block {header.number}")
    return int.from_bytes(header.fields[_BASE_FEE], "big")
