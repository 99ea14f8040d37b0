"""One transaction, from its plan to its receipt: estimated, paid for, signed, sent, waited for, and found again.

EIP-1559 only. Whatever an endpoint says about fees, a transaction costs at most what the caller allows. The same signed
bytes may be sent many times: they are one transaction, so a lost answer or a dropped transaction is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from twinproof.chain.abi import revert_reason
from twinproof.chain.block import Header
from twinproof.chain.receipt import Receipt, parse_receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Malformed, Refused, Unavailable, UsageError
from twinproof.keccak import keccak256
from twinproof.sources.rpc import Endpoint, header_at, quantity_of, read_from
from twinproof.sources.rpc_errors import RpcRefused
from twinproof.sources.signing_key import Signer
from twinproof.wire import Fields, shown

__all__ = ["DEFAULT_MAX_COST", "Limits", "PlannedTransaction", "plan_transaction", "receipt_of", "send", "wait_for"]

DEFAULT_MAX_COST = 10**16
"""Wei: 0.01 ETH. An addComposeHash on Base costs about a thousandth of it."""
_BASE_FEE = 15  # its place among a header's fields
_SPARE_GAS = 5  # a fifth more than estimated: state may change before inclusion
_POLL_SECONDS = 1.0
_RESEND_SECONDS = 15.0
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
    endpoint: Endpoint, *, chain_id: int, sender: bytes, to: bytes, data: bytes, limits: Limits
) -> PlannedTransaction:
    """Ask what it takes. Raises Refused when the contract or the balance refuses, Unavailable."""
    who = hex_data(sender)
    gas = _gas(endpoint, {"from": who, "to": hex_data(to), "data": hex_data(data), "value": "0x0"}, limits.gas)
    base_fee = _base_fee(header_at(endpoint, "latest"))
    try:
        tip = quantity_of(endpoint, "eth_maxPriorityFeePerGas")
    except RpcRefused:
        tip = _NONE_OF_ITS_OWN
    mined = quantity_of(endpoint, "eth_getTransactionCount", who, "latest")
    nonce = max(mined, quantity_of(endpoint, "eth_getTransactionCount", who, "pending"))
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
        waiting=nonce - mined,
    )
    if planned.max_cost > limits.max_cost:
        raise Refused(
            "the transaction may cost more than allowed",
            where=endpoint.name,
            got=_ether(planned.max_cost),
            expected=f"at most {_ether(limits.max_cost)}",
            hint="fees are high, or the endpoint overstates them; --max-cost ETH allows more",
        )
    if planned.balance < planned.max_cost:
        raise Refused(
            "the account cannot pay for it",
            where=who,
            got=_ether(planned.balance),
            expected=f"at least {_ether(planned.max_cost)}",
        )
    return planned


def send(endpoint: Endpoint, raw: bytes) -> bytes:
    """The transaction's hash, computed from what was sent. Raises Refused, Unavailable."""
    mine = keccak256(raw)
    try:
        answer = endpoint.call("eth_sendRawTransaction", hex_data(raw))
    except RpcRefused as error:
        said = error.message.lower()
        if "already known" in said or "already imported" in said or "already in" in said:
            return mine
        raise Refused(
            f"the endpoint does not take the transaction: {error.message}",
            where=endpoint.name,
            got=hex_data(mine),
            hint="nothing was sent; run the command again: what was done is not done twice",
        ) from error
    if answer != hex_data(mine):
        raise Unavailable(
            "the endpoint gives the transaction another hash",
            where=endpoint.name,
            got=shown(answer, 80),
            expected=hex_data(mine),
        )
    return mine


def receipt_of(endpoint: Endpoint, transaction: bytes) -> Receipt | None:
    """The receipt, None while it is not mined. Raises Unavailable."""
    answer = endpoint.call("eth_getTransactionReceipt", hex_data(transaction))
    if answer is None:
        return None
    with read_from(endpoint, "a receipt"):
        receipt = parse_receipt(Fields(answer, "receipt"))
        if receipt.transaction_hash != transaction:
            raise Malformed(
                "the receipt of another transaction", where="receipt", got=hex_data(receipt.transaction_hash)
            )
    return receipt


def wait_for(
    endpoint: Endpoint,
    planned: PlannedTransaction,
    raw: bytes,
    *,
    timeout: float,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Receipt:
    """Until it is mined. Raises Refused when it was replaced or reverted, Unavailable when the time is up."""
    transaction = keccak256(raw)
    end = clock() + timeout
    resend = clock() + _RESEND_SECONDS
    while True:
        receipt = receipt_of(endpoint, transaction)
        if receipt is None and _nonce_used(endpoint, planned):
            receipt = receipt_of(endpoint, transaction)  # it may have been mined between the two questions
            if receipt is None:
                raise Refused(
                    "the transaction was replaced: another one of this account has its nonce",
                    where=hex_data(transaction),
                    got=f"nonce {planned.nonce} is used",
                    hint="run the command again: what was done is not done twice",
                )
        if receipt is not None:
            return _succeeded(endpoint, receipt, planned)
        if clock() >= end:
            raise Unavailable(
                "the transaction is not mined yet",
                where=hex_data(transaction),
                got=f"waited {timeout:g} s",
                hint="it may still be; run the command again later: what was done is not done twice",
            )
        if clock() >= resend:
            resend = clock() + _RESEND_SECONDS
            if endpoint.call("eth_getTransactionByHash", hex_data(transaction)) is None:
                send(endpoint, raw)  # dropped
        pause(_POLL_SECONDS)


def _gas(endpoint: Endpoint, question: dict[str, str], chosen: int | None) -> int:
    try:
        estimate = quantity_of(endpoint, "eth_estimateGas", question)
    except RpcRefused as error:
        raise _refusal(error, question) from error
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


def _nonce_used(endpoint: Endpoint, planned: PlannedTransaction) -> bool:
    return quantity_of(endpoint, "eth_getTransactionCount", hex_data(planned.sender), "latest") > planned.nonce


def _succeeded(endpoint: Endpoint, receipt: Receipt, planned: PlannedTransaction) -> Receipt:
    if receipt.succeeded:
        return receipt
    out_of_gas = receipt.gas_used >= planned.gas
    raise Refused(
        "the transaction was mined and failed" + (": it ran out of gas" if out_of_gas else ""),
        where=f"{endpoint.name} {hex_data(receipt.transaction_hash)}",
        got=f"{receipt.gas_used} of {planned.gas} gas used, block {receipt.block_number}",
        hint="nothing was changed" + ("; leave --gas out" if out_of_gas else ""),
    )


def _ether(wei: int) -> str:
    """Wei as ETH, with no digit lost."""
    text = f"{wei // 10**18}.{wei % 10**18:018d}".rstrip("0").rstrip(".")
    return f"{text} ETH"
