"""Where DstackApp and DstackKms keep their state: the slots of their proxies' storage.

The same from 821ead77 (July 2025) on; before it the app's slots are one higher, and such apps are not read here.
A mapping's entry is at Keccak-256(key || slot), both 32 bytes. Sources: Solidity, layout in storage; ERC-7201 for
OpenZeppelin's own slots; ERC-1967 for the implementation's.
"""

from __future__ import annotations

from twinproof.errors import Malformed
from twinproof.keccak import keccak256

__all__ = [
    "ALLOW_ANY_DEVICE_BYTE",
    "APP_FLAGS",
    "APP_REQUIRE_TCB_UP_TO_DATE",
    "IMPLEMENTATION",
    "KMS_APP_IMPLEMENTATION",
    "KMS_CA_PUBKEY",
    "KMS_K256_PUBKEY",
    "OWNER",
    "PENDING_OWNER",
    "UPGRADES_DISABLED_BYTE",
    "bytes_length",
    "bytes_slots",
    "compose_hash_slot",
    "device_slot",
    "flag",
    "os_image_slot",
    "read_bytes",
    "registered_app_slot",
    "slot_number",
]

IMPLEMENTATION = bytes.fromhex("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc")
OWNER = bytes.fromhex("9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300")
PENDING_OWNER = bytes.fromhex("237e158222e3e6968b72b9db0d8043aacf074ad9f650f0d1606b4d82ee432c00")
"""From 8d6b91a6 on; zero before."""
_MOST_BYTES = 1 << 16


def slot_number(number: int) -> bytes:
    """A slot by its number, 32 bytes."""
    return number.to_bytes(32, "big")


APP_FLAGS = slot_number(1)
UPGRADES_DISABLED_BYTE, ALLOW_ANY_DEVICE_BYTE = 0, 1
"""Places within APP_FLAGS, counted from the lowest byte."""
APP_REQUIRE_TCB_UP_TO_DATE = slot_number(3)
"""From bfeaa5b5 on; zero before."""
KMS_K256_PUBKEY, KMS_CA_PUBKEY = slot_number(0), slot_number(1)
KMS_APP_IMPLEMENTATION = slot_number(9)


def _entry(key: bytes, number: int) -> bytes:
    return keccak256(key.rjust(32, b"\0") + slot_number(number))


def compose_hash_slot(compose_hash: bytes) -> bytes:
    """DstackApp.allowedComposeHashes[compose_hash]."""
    return _entry(compose_hash, 0)


def device_slot(device_id: bytes) -> bytes:
    """DstackApp.allowedDeviceIds[device_id]."""
    return _entry(device_id, 2)


def registered_app_slot(app_id: bytes) -> bytes:
    """DstackKms.registeredApps[app_id]."""
    return _entry(app_id, 5)


def os_image_slot(os_image_hash: bytes) -> bytes:
    """DstackKms.allowedOsImages[os_image_hash]."""
    return _entry(os_image_hash, 8)


def flag(word: int, byte: int, where: str) -> bool:
    """A boolean packed into a word, `byte` counted from the lowest. Raises Malformed for anything but 0 and 1."""
    value = word >> (8 * byte) & 0xFF
    if value > 1:
        raise Malformed("not a boolean", where=where, got=str(value), expected="0 or 1")
    return bool(value)


def bytes_length(word: int, where: str) -> int:
    """How many bytes a `bytes` variable has, by the word of its own slot. Raises Malformed."""
    length = word >> 1 if word & 1 else (word & 0xFF) >> 1
    if (length < 32) if word & 1 else (length > 31):
        raise Malformed("not the length of a byte string", where=where, got=hex(word))
    if length > _MOST_BYTES:
        raise Malformed("a byte string too long", where=where, got=str(length), expected=f"at most {_MOST_BYTES}")
    return length


def bytes_slots(slot: bytes, length: int) -> tuple[bytes, ...]:
    """The slots of a `bytes` variable of this length, its own first."""
    start = int.from_bytes(keccak256(slot), "big")
    count = 0 if length < 32 else (length + 31) // 32
    return (slot, *(((start + index) % (1 << 256)).to_bytes(32, "big") for index in range(count)))


def read_bytes(words: tuple[int, ...], where: str) -> bytes:
    """A `bytes` variable from the words of all its slots, in their order. Raises Malformed."""
    length = bytes_length(words[0], where)
    octets = [word.to_bytes(32, "big") for word in words]
    kept = octets[0][:31] if length < 32 else b"".join(octets[1:])
    if len(octets) != (1 if length < 32 else 1 + (length + 31) // 32) or any(kept[length:]):
        raise Malformed("not a byte string", where=where, got=f"{len(octets)} words for {length} bytes")
    return kept[:length]
