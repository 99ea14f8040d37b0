"""The folded events of an app against the words of its contract's state at the same block, for what it keeps once."""

from __future__ import annotations

from collections.abc import Mapping

from twinproof.chain import storage_layout as layout
from twinproof.chain.history import History, Subject

__all__ = ["single_contradictions"]

_ADDRESSES = {
    Subject.OWNER: layout.OWNER,
    Subject.PENDING_OWNER: layout.PENDING_OWNER,
    Subject.IMPLEMENTATION: layout.IMPLEMENTATION,
}
_FLAGS = {
    Subject.ALLOW_ANY_DEVICE: (layout.APP_FLAGS, layout.ALLOW_ANY_DEVICE_BYTE),
    Subject.UPGRADES_DISABLED: (layout.APP_FLAGS, layout.UPGRADES_DISABLED_BYTE),
    Subject.REQUIRE_TCB_UP_TO_DATE: (layout.APP_REQUIRE_TCB_UP_TO_DATE, 0),
}


def single_contradictions(history: History, words: Mapping[bytes, int]) -> tuple[str, ...]:
    """In words, one for each. Only code that is known keeps its state there: of other code nothing is said.

    A flag whose value at creation was not read is left out.
    """
    if history.opaque_since is not None:
        return ()
    found: list[str] = []
    for subject, slot in _ADDRESSES.items():
        folded = history.value(subject)
        told = int.from_bytes(folded, "big") if isinstance(folded, bytes) else 0
        if told != words[slot]:
            found.append(f"{subject}: the events say {told:#042x}, the contract says {words[slot]:#042x}")
    for subject, (slot, byte) in _FLAGS.items():
        folded = history.value(subject)
        held = bool(words[slot] >> (8 * byte) & 0xFF)
        if isinstance(folded, bool) and folded is not held:
            found.append(f"{subject}: the events say {folded}, the contract says {held}")
    return tuple(found)
