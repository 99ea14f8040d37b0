"""The words of state that decide about an app, of its contract and of its KMS, at the agreed block.

With `--proof` every word is proved, and so is that a contract stands there; without it they are one endpoint's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinproof.chain import storage_layout as layout
from twinproof.chain.account_proof import proved_account
from twinproof.errors import Malformed
from twinproof.sources.chain_calls import has_code, storage_word
from twinproof.sources.chain_state import ChainReader

__all__ = ["AppState", "read_app_state"]

_APP = (layout.OWNER, layout.PENDING_OWNER, layout.IMPLEMENTATION, layout.APP_FLAGS, layout.APP_REQUIRE_TCB_UP_TO_DATE)


@dataclass(frozen=True, slots=True)
class AppState:
    """Words by slot; None where no contract stands."""

    app_id: bytes
    app: Mapping[bytes, int] | None
    kms: Mapping[bytes, int] | None

    @property
    def registered(self) -> bool | None:
        """At the KMS; None where no contract is."""
        slot = layout.registered_app_slot(self.app_id)
        return None if self.kms is None else layout.flag(self.kms[slot], 0, "registeredApps")

    def app_address(self, slot: bytes) -> bytes:
        """An address that the app's contract keeps, zero where it keeps none. Raises Malformed."""
        return _address((self.app or {}).get(slot, 0))

    def kms_address(self, slot: bytes) -> bytes:
        """The same of the KMS."""
        return _address((self.kms or {}).get(slot, 0))

    def app_flag(self, slot: bytes, byte: int, what: str) -> bool:
        """A flag of the app's contract. Raises Malformed."""
        return layout.flag((self.app or {}).get(slot, 0), byte, what)


def read_app_state(reader: ChainReader, app_id: bytes) -> AppState:
    """Raises Unavailable."""
    kms = (
        *(layout.OWNER, layout.IMPLEMENTATION, layout.KMS_APP_IMPLEMENTATION),
        layout.registered_app_slot(app_id),
    )
    return AppState(app_id, _words(reader, app_id, _APP), _words(reader, reader.kms, kms))


def _words(reader: ChainReader, contract: bytes, slots: tuple[bytes, ...]) -> Mapping[bytes, int] | None:
    if reader.proof:
        account = proved_account(reader.proved(contract, slots), reader.agreement.block.state_root)
        return account.words if account is not None and account.is_contract else None
    block = hex(reader.agreement.block.number)
    if not has_code(reader.first, contract, block=block):
        return None
    return {slot: storage_word(reader.first, contract, slot, block) for slot in slots}


def _address(word: int) -> bytes:
    if word >> 160:
        raise Malformed("not an address", where="slot", got=hex(word))
    return word.to_bytes(20, "big")
