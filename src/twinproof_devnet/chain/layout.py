"""Where the contracts keep what: the storage of dstack's own contracts, so that a proof about a slot means the same.

Variables stand in the slots of Solidity's layout, OpenZeppelin's in their namespaces, the proxy's in ERC-1967's.
"""

from __future__ import annotations

from eth_hash.auto import keccak

__all__ = ["IMPLEMENTATION", "INITIALIZED", "LAYOUT", "OWNER", "PENDING_OWNER", "Layout", "mapping_slot"]

OWNER = 0x9016D09D72D40FDAE2FD8CEAC6B6234C7706214FD39C1CD1E609A0528C199300
PENDING_OWNER = 0x237E158222E3E6968B72B9DB0D8043AACF074AD9F650F0D1606B4D82EE432C00
INITIALIZED = 0xF0C57E16840DF040F15088DC2F81FE391C3923BEC73E23A9662EFC9C229C6A00
IMPLEMENTATION = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC

Layout = dict[str, "int | Layout"]
_PARENTS: Layout = {
    "ownership": {"owner": OWNER, "pendingOwner": PENDING_OWNER},
    "upgrades": {"implementation": IMPLEMENTATION, "initialized": INITIALIZED},
}


def _words_of(slot: int) -> int:
    """Where Solidity puts the words of a `bytes` or `string` of more than 31 bytes."""
    return int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")


def mapping_slot(key: bytes, slot: int) -> bytes:
    """Where a mapping at `slot` has the value of `key`: 32 bytes, shorter keys are padded on the left."""
    return keccak(key.rjust(32, b"\x00") + slot.to_bytes(32, "big"))


LAYOUT: dict[str, Layout] = {
    "erc1967_proxy": {"implementation": IMPLEMENTATION},
    "multicall3": {},
    "dstack_app": {
        **_PARENTS,
        "allowedComposeHashes": 0,
        "flags": 1,
        "allowedDeviceIds": 2,
        "requireTcbUpToDate": 3,
    },
    "dstack_kms": {
        **_PARENTS,
        **{f"{name}_head": slot for slot, name in enumerate(("k256", "ca", "quote", "eventlog", "gateway"))},
        **{
            f"{name}_words": _words_of(slot) for slot, name in enumerate(("k256", "ca", "quote", "eventlog", "gateway"))
        },
        "registeredApps": 5,
        "kmsAllowedAggregatedMrs": 6,
        "kmsAllowedDeviceIds": 7,
        "allowedOsImages": 8,
        "appImplementation": 9,
    },
}
