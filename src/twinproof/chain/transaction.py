"""Transactions: from JSON-RPC to the bytes that the block's transactions root covers, and from them to who sent what.

The hash is the Keccak-256 of those bytes, and the sender is who signed them; a deposit of an OP Stack chain is signed
by nobody and names its sender, which the chain derives from the other chain. A type that is not known here is refused:
nothing in it is guessed. Sources: Ethereum yellow paper, 4.3 and appendix F; EIP-155, 2718, 2930, 1559, 4844, 7702; OP
Stack specification, deposits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twinproof.chain.receipt import DEPOSIT_TYPE
from twinproof.chain.rlp_items import Item, decode, encode, integer, integer_bytes
from twinproof.chain.values import MAX_WORD, data, data_text, quantity
from twinproof.errors import Malformed
from twinproof.keccak import keccak256
from twinproof.secp256k1 import address_of, recover
from twinproof.wire import Fields

__all__ = ["Transaction", "consensus_form", "read_transaction"]

_MOST_ENTRIES = 100_000
_EIP_155 = 35
_SIGNATURE = "yParity", "r", "s"
_HEAD = "chainId", "nonce"
_FEES = "maxPriorityFeePerGas", "maxFeePerGas"
_CALL = "gas", "to", "value", "input"
# The members of each type in the order in which they are hashed, by their names in JSON-RPC.
_MEMBERS: dict[int, tuple[str, ...]] = {
    0: ("nonce", "gasPrice", *_CALL, "v", "r", "s"),
    1: (*_HEAD, "gasPrice", *_CALL, "accessList", *_SIGNATURE),
    2: (*_HEAD, *_FEES, *_CALL, "accessList", *_SIGNATURE),
    3: (*_HEAD, *_FEES, *_CALL, "accessList", "maxFeePerBlobGas", "blobVersionedHashes", *_SIGNATURE),
    4: (*_HEAD, *_FEES, *_CALL, "accessList", "authorizationList", *_SIGNATURE),
    DEPOSIT_TYPE: ("sourceHash", "from", "to", "mint", "value", "gas", "isSystemTx", "input"),
}


@dataclass(frozen=True, slots=True)
class Transaction:
    """`hash` has 32 bytes, `sender` and `to` 20; `to` is None for the creation of a contract."""

    type: int
    hash: bytes
    sender: bytes
    to: bytes | None
    input: bytes


def consensus_form(fields: Fields) -> bytes:
    """The bytes that are hashed, of a transaction as `eth_getBlockByNumber` shows it. Raises Malformed.

    What JSON-RPC shows beside them (hash, sender, price paid) is not read: it is what the bytes say.
    """
    kind = quantity(fields, "type", high=0x7F) if "type" in fields else 0
    if kind not in _MEMBERS:
        raise Malformed("a transaction of a type that is not known here", where=f"{fields.where}.type", got=hex(kind))
    items = [_item(fields, name) for name in _MEMBERS[kind]]
    return (bytes([kind]) if kind else b"") + encode(items)


def read_transaction(raw: bytes, where: str) -> Transaction:
    """What the bytes say, and who signed them. Raises Malformed, Forged for a signature that nobody can have made."""
    kind, body = (raw[0], raw[1:]) if raw[:1] and raw[0] < 0x80 else (0, raw)
    if kind not in _MEMBERS:
        raise Malformed("a transaction of a type that is not known here", where=where, got=hex(kind))
    names, items = _MEMBERS[kind], decode(body, where)
    if isinstance(items, bytes) or len(items) != len(names):
        raise Malformed(f"not a transaction of type {kind:#x}", where=where, expected=f"{len(names)} members")
    members = dict(zip(names, items, strict=True))
    to, input_ = _octets(members["to"], f"{where}.to"), _octets(members["input"], f"{where}.input")
    if len(to) not in (0, 20):
        raise Malformed("a recipient of neither 0 nor 20 bytes", where=f"{where}.to", got=f"{len(to)} bytes")
    if kind == DEPOSIT_TYPE:
        sender = _octets(members["from"], f"{where}.from")
        if len(sender) != 20:
            raise Malformed("a sender of another size than 20 bytes", where=f"{where}.from", got=f"{len(sender)} bytes")
    else:
        sender = _signer(kind, members, where)
    return Transaction(kind, keccak256(raw), sender, to or None, input_)


def _signer(kind: int, members: Mapping[str, Item], where: str) -> bytes:
    """Whose key signed: all members but the signature, of type 0 with the chain id after them where v holds one."""
    unsigned = [members[name] for name in _MEMBERS[kind][:-3]]
    v = _number(members[_MEMBERS[kind][-3]], f"{where}.v")
    parity = v
    if not kind:
        if v >= _EIP_155:
            chain_id, parity = divmod(v - _EIP_155, 2)
            unsigned += [integer_bytes(chain_id), b"", b""]
        else:
            parity = v - 27
    if parity not in (0, 1):
        raise Malformed("not a signature's parity", where=f"{where}.v", got=str(v))
    scalars = b"".join(_number(members[name], f"{where}.{name}").to_bytes(32, "big") for name in ("r", "s"))
    message = (bytes([kind]) if kind else b"") + encode(unsigned)
    return address_of(recover(scalars + bytes([parity]), message, where), where)


def _item(fields: Fields, name: str) -> Item:
    """One member as it is hashed."""
    return _READERS.get(name, _quantity)(fields, name)


def _quantity(fields: Fields, name: str) -> bytes:
    return integer_bytes(quantity(fields, name, high=MAX_WORD))


def _parity(fields: Fields, name: str = "yParity") -> bytes:
    """Older nodes call it v alone."""
    return _quantity(fields, name if fields.raw.get(name) is not None else "v")


def _minted(fields: Fields, name: str) -> bytes:
    """Left out, or null, for nothing."""
    return b"" if fields.raw.get(name) is None else _quantity(fields, name)


def _flag(fields: Fields, name: str) -> bytes:
    """Left out, or null, for false."""
    return b"\1" if fields.raw.get(name) is not None and fields.boolean(name) else b""


def _recipient(fields: Fields, name: str) -> bytes:
    return b"" if fields.raw.get(name) is None else data(fields, name, size=20)


def _hashes(fields: Fields, name: str) -> list[Item]:
    texts = fields.texts(name, max_items=_MOST_ENTRIES, max_chars=66)
    return [data_text(text, f"{fields.where}.{name}[{index}]", size=32) for index, text in enumerate(texts)]


def _access_list(fields: Fields, name: str) -> Item:
    entries = fields.objects(name, max_items=_MOST_ENTRIES)
    return [[data(entry, "address", size=20), _hashes(entry, "storageKeys")] for entry in entries]


def _authorizations(fields: Fields, name: str) -> Item:
    return [
        [
            *(_quantity(entry, "chainId"), data(entry, "address", size=20), _quantity(entry, "nonce")),
            *(_parity(entry), _quantity(entry, "r"), _quantity(entry, "s")),
        ]
        for entry in fields.objects(name, max_items=_MOST_ENTRIES)
    ]


_READERS: dict[str, Callable[[Fields, str], Item]] = {
    "to": _recipient,
    "from": lambda fields, name: data(fields, name, size=20),
    "input": data,
    "sourceHash": lambda fields, name: data(fields, name, size=32),
    "accessList": _access_list,
    "authorizationList": _authorizations,
    "blobVersionedHashes": _hashes,
    "isSystemTx": _flag,
    "mint": _minted,
    "yParity": _parity,
}
"""What is no integer."""


def _octets(item: Item, where: str) -> bytes:
    if not isinstance(item, bytes):
        raise Malformed("a list instead of a byte string", where=where)
    return item


def _number(item: Item, where: str) -> int:
    return integer(_octets(item, where), where)
