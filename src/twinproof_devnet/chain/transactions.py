"""Signed transactions from bytes: legacy, with access list (EIP-2930), with priority fee (EIP-1559)."""

from __future__ import annotations

from collections.abc import Sequence

import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from twinproof_devnet.chain.blocks import Transaction
from twinproof_devnet.chain.errors import SERVER_ERROR, RpcError

__all__ = ["decode"]

_FIELDS = {0: 9, 1: 11, 2: 12}
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_EIP_155 = 35


def decode(raw: bytes) -> Transaction:
    """Raises RpcError for what is none."""
    try:
        return _decode(raw)
    except (ValueError, TypeError, BadSignature, ValidationError, rlp.exceptions.RLPException) as error:
        raise RpcError(SERVER_ERROR, f"invalid transaction: {error}") from None


def _decode(raw: bytes) -> Transaction:
    kind = raw[0] if raw and raw[0] < 0xC0 else 0
    if kind not in _FIELDS:
        raise ValueError("transaction type not supported")
    fields = rlp.decode(raw[1:] if kind else raw)
    if not isinstance(fields, list) or len(fields) != _FIELDS[kind]:
        raise ValueError(f"not {_FIELDS[kind]} fields")
    *signed, v, r, s = fields
    parity, signature = _number(v), (_number(r), _number(s))
    chain_id: int | None = None
    unsigned = list(signed)
    if kind:
        chain_id = _number(signed.pop(0))
    elif parity >= _EIP_155:
        chain_id, parity = divmod(parity - _EIP_155, 2)
        unsigned += [chain_id, 0, 0]
    else:
        parity -= 27
    tip = _number(signed.pop(1)) if kind == 2 else None
    nonce, price, gas, to, value, data = signed[:6]
    if parity not in {0, 1} or signature[1] > _HALF_ORDER:
        raise ValueError("invalid transaction v, r, s values")
    if len(to) not in {0, 20}:
        raise ValueError("recipient of neither 0 nor 20 bytes")
    message = keccak(bytes([kind]) * (kind > 0) + rlp.encode(unsigned))
    key = Signature(vrs=(parity, *signature)).recover_public_key_from_msg_hash(message)
    return Transaction(
        hash=keccak(raw),
        raw=raw,
        kind=kind,
        sender=key.to_canonical_address(),
        to=to or None,
        nonce=_number(nonce),
        gas=_number(gas),
        value=_number(value),
        data=bytes(data),
        chain_id=chain_id,
        gas_price=_number(price),
        priority_fee=_number(price) if tip is None else tip,
        access_list=_access_list(signed[6]) if kind else (),
        v=_number(v),
        r=signature[0],
        s=signature[1],
    )


def _number(octets: object) -> int:
    if not isinstance(octets, bytes) or octets[:1] == b"\x00" or len(octets) > 32:
        raise ValueError("a number that is none")
    return int.from_bytes(octets, "big")


def _access_list(entries: Sequence[Sequence[object]]) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
    found = []
    for address, slots in entries:
        if not isinstance(address, bytes) or not isinstance(slots, list) or len(address) != 20:
            raise ValueError("an access list that is none")
        found.append((address, tuple(bytes(slot) for slot in slots)))
    return tuple(found)
