"""Block headers: the number, the time and the three roots that proofs lead to, tied to the block's hash.

The hash is Keccak-256 of the RLP of the header's fields, in the order of the yellow paper; London, Shanghai, Cancun and
Prague each appended fields, so a header is one of four lengths. Base has the same fields (OP Stack specification).
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain.rlp_items import byte_strings, decode, encode, integer, integer_bytes
from twinproof.chain.values import MAX_WORD, data, quantity
from twinproof.errors import Forged, Malformed
from twinproof.keccak import keccak256
from twinproof.wire import Fields

__all__ = ["Header", "decode_header", "parse_header"]

# Name in JSON-RPC, size in bytes; None for an integer.
_FIELDS: tuple[tuple[str, int | None], ...] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", -1),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", None),  # London
    ("withdrawalsRoot", 32),  # Shanghai
    ("blobGasUsed", None),  # Cancun
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),  # Prague
)
_LENGTHS = (16, 17, 20, 21)
_INDEX = {name: index for index, (name, _) in enumerate(_FIELDS)}
_MAX_EXTRA_DATA = 1024
_WHERE = "block header"


@dataclass(frozen=True, slots=True)
class Header:
    """A header whose hash was recomputed from its fields. Hashes and roots have 32 bytes, `timestamp` is unix seconds.

    `fields` are the RLP items as they were hashed.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    timestamp: int
    fields: tuple[bytes, ...]

    @property
    def rlp(self) -> bytes:
        """What the block hash is the Keccak-256 of."""
        return encode(self.fields)


def parse_header(fields: Fields) -> Header:
    """Read the header of an `eth_getBlockBy...` answer. Raises Malformed, Forged when its hash is another."""
    present = [name for name, _ in _FIELDS if fields.raw.get(name) is not None]
    if present != [name for name, _ in _FIELDS[: len(present)]] or len(present) not in _LENGTHS:
        missing = next((name for name, _ in _FIELDS[:16] if name not in present), "")
        raise Malformed(
            "not the fields of a London, Shanghai, Cancun or Prague header",
            where=fields.where,
            got=f"no {missing}" if missing else f"{len(present)} fields, the last {present[-1]}",
            expected="16, 17, 20 or 21 fields",
        )
    items = []
    for name, size in _FIELDS[: len(present)]:
        if size is None:
            items.append(integer_bytes(quantity(fields, name, high=MAX_WORD)))
        elif size < 0:
            items.append(data(fields, name, max_size=_MAX_EXTRA_DATA))
        else:
            items.append(data(fields, name, size=size))
    header = _header(tuple(items), fields.where)
    stated = data(fields, "hash", size=32)
    if header.hash != stated:
        raise Forged(
            "the block's fields do not hash to its hash",
            where=fields.where,
            got=header.hash.hex(),
            expected=stated.hex(),
            hint="the endpoint lies, or this chain's headers have fields that this version does not know",
        )
    return header


def decode_header(encoded: bytes, where: str = _WHERE) -> Header:
    """Read a header from the RLP that is hashed. Raises Malformed."""
    items = byte_strings(decode(encoded, where), where)
    if len(items) not in _LENGTHS:
        raise Malformed("another number of fields", where=where, got=str(len(items)), expected="16, 17, 20 or 21")
    for (name, size), item in zip(_FIELDS, items, strict=False):
        at = f"{where}.{name}"
        if size is None:
            integer(item, at)
        elif len(item) != size if size >= 0 else len(item) > _MAX_EXTRA_DATA:
            raise Malformed("wrong length", where=at, got=f"{len(item)} bytes")
    return _header(items, where)


def _header(items: tuple[bytes, ...], where: str) -> Header:
    return Header(
        number=integer(items[_INDEX["number"]], f"{where}.number", size=8),
        hash=keccak256(encode(items)),
        parent_hash=items[_INDEX["parentHash"]],
        state_root=items[_INDEX["stateRoot"]],
        transactions_root=items[_INDEX["transactionsRoot"]],
        receipts_root=items[_INDEX["receiptsRoot"]],
        timestamp=integer(items[_INDEX["timestamp"]], f"{where}.timestamp", size=8),
        fields=items,
    )
