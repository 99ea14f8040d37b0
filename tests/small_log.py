"""Logs of DstackApp and DstackKms for tests, as the contracts write them, without the tool's own tables."""

from __future__ import annotations

from twinproof.chain.log import Log
from twinproof.keccak import keccak256

APP, KMS, OWNER, OTHER = b"\xaa" * 20, b"\xbb" * 20, b"\x07" * 20, b"\x08" * 20
CODE, NEXT_CODE, FOREIGN_CODE = b"\xc1" * 20, b"\xc2" * 20, b"\xc3" * 20
TRUE, FALSE = bytes(31) + b"\1", bytes(32)


def padded(value: bytes) -> bytes:
    return value.rjust(32, b"\0")


def block_hash(number: int) -> bytes:
    return keccak256(b"block" + number.to_bytes(8, "big"))


def log(
    signature: str,
    *words: bytes,
    at: tuple[int, int],
    indexed: tuple[bytes, ...] = (),
    address: bytes = APP,
    transaction: int = 0,
) -> Log:
    """A log of the event with this signature at (block, log index); one transaction for each block unless said."""
    block, index = at
    return Log(
        address=address,
        topics=(keccak256(signature.encode()), *map(padded, indexed)),
        data=b"".join(map(padded, words)),
        block_number=block,
        block_hash=block_hash(block),
        transaction_hash=keccak256(b"transaction" + block.to_bytes(8, "big") + bytes([transaction])),
        transaction_index=transaction,
        log_index=index,
    )


def policy_changed(
    policy: str, value: bytes, enabled: bytes, *, at: tuple[int, int], actor: bytes = OWNER, address: bytes = APP
) -> Log:
    signature = "PolicyChanged(address,bytes32,bytes32,bool)"
    return log(signature, enabled, at=at, indexed=(actor, keccak256(policy.encode()), value), address=address)


def created(block: int = 10, *, device: bytes = b"\xd1" * 32, first: bytes = b"\x01" * 32) -> list[Log]:
    """What an app writes when the factory makes it, in the generation before PolicyChanged."""
    return [
        log("Upgraded(address)", at=(block, 0), indexed=(CODE,)),
        log("DeviceAdded(bytes32)", device, at=(block, 1)),
        log("ComposeHashAdded(bytes32)", first, at=(block, 2)),
        log("OwnershipTransferred(address,address)", at=(block, 3), indexed=(bytes(20), OWNER)),
        log("Initialized(uint64)", TRUE, at=(block, 4)),
    ]


def added(compose_hash: bytes, block: int, index: int = 0) -> Log:
    return log("ComposeHashAdded(bytes32)", compose_hash, at=(block, index))


def removed(compose_hash: bytes, block: int, index: int = 0) -> Log:
    return log("ComposeHashRemoved(bytes32)", compose_hash, at=(block, index))
