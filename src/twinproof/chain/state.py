"""The state of DstackApp and DstackKms at one block, from proofs or from plain answers, asked in the same words.

None means that it was not asked, or that the contract has no such function: it is never taken for a no.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from twinproof.chain import contracts
from twinproof.chain import storage_layout as layout
from twinproof.chain.abi import Answer, AnswerKind, Function, read_answer
from twinproof.chain.account_proof import Account, proved_account
from twinproof.chain.evidence import PlainState, StateProof
from twinproof.errors import Contradiction, Malformed

__all__ = ["Answered", "Proved", "State"]


class State(ABC):
    """What both contracts hold. `app` and `kms` are addresses, 20 bytes."""

    proved: bool

    def __init__(self, app: bytes, kms: bytes) -> None:
        self.app, self.kms = app, kms

    @abstractmethod
    def is_contract(self) -> bool | None:
        """Whether the app id has code."""

    @abstractmethod
    def registered(self) -> bool | None: ...

    @abstractmethod
    def compose_hash(self, compose_hash: bytes) -> bool | None: ...

    @abstractmethod
    def any_device(self) -> bool | None: ...

    @abstractmethod
    def device(self, device_id: bytes) -> bool | None: ...

    @abstractmethod
    def os_image(self, os_image_hash: bytes) -> bool | None: ...

    @abstractmethod
    def ca_pubkey(self) -> bytes | None:
        """The KMS's root key as its contract has it."""

    @abstractmethod
    def code_hash(self) -> bytes | None:
        """Keccak-256 of the code at the app id itself: the proxy's. None without a proof, or without an account."""

    @abstractmethod
    def kms_implementation(self) -> bytes | None:
        """The code behind the KMS's proxy."""

    @abstractmethod
    def implementation(self) -> bytes | None:
        """The code behind the app's proxy."""

    @abstractmethod
    def app_implementation(self) -> bytes | None:
        """The code that the KMS gives to new apps."""


class Proved(State):
    """From `eth_getProof`, every word proved against the block's state root."""

    proved = True

    def __init__(self, proof: StateProof, state_root: bytes, app: bytes, kms: bytes) -> None:
        """Raises Forged, Contradiction or Malformed when a proof does not hold or is about another contract."""
        super().__init__(app, kms)
        for what, given, address in (("app", proof.app, app), ("KMS", proof.kms, kms)):
            if given.address != address:
                raise Contradiction(
                    f"a proof about another contract than the {what}'s", got=given.address.hex(), expected=address.hex()
                )
        self._app = proved_account(proof.app, state_root)
        self._kms = proved_account(proof.kms, state_root)
        if self._kms is None or not self._kms.is_contract:
            raise Contradiction("there is no KMS contract at this address", where=f"0x{kms.hex()}")

    def is_contract(self) -> bool | None:
        return self._app is not None and self._app.is_contract

    def code_hash(self) -> bytes | None:
        return None if self._app is None else self._app.code_hash

    def kms_implementation(self) -> bytes | None:
        return _address(self._kms, layout.IMPLEMENTATION)

    def registered(self) -> bool | None:
        return _flag(self._kms, layout.registered_app_slot(self.app))

    def compose_hash(self, compose_hash: bytes) -> bool | None:
        return _flag(self._app, layout.compose_hash_slot(compose_hash))

    def any_device(self) -> bool | None:
        word = _word(self._app, layout.APP_FLAGS)
        return None if word is None else layout.flag(word, layout.ALLOW_ANY_DEVICE_BYTE, "allowAnyDevice")

    def device(self, device_id: bytes) -> bool | None:
        return _flag(self._app, layout.device_slot(device_id))

    def os_image(self, os_image_hash: bytes) -> bool | None:
        return _flag(self._kms, layout.os_image_slot(os_image_hash))

    def ca_pubkey(self) -> bytes | None:
        head = _word(self._kms, layout.KMS_CA_PUBKEY)
        if head is None:
            return None
        length = layout.bytes_length(head, "kmsInfo.caPubkey")
        words = [_word(self._kms, slot) for slot in layout.bytes_slots(layout.KMS_CA_PUBKEY, length)]
        known = tuple(word for word in words if word is not None)
        return layout.read_bytes(known, "kmsInfo.caPubkey") if len(known) == len(words) else None

    def implementation(self) -> bytes | None:
        return _address(self._app, layout.IMPLEMENTATION)

    def app_implementation(self) -> bytes | None:
        return _address(self._kms, layout.KMS_APP_IMPLEMENTATION)


class Answered(State):
    """From plain calls: the word of one endpoint."""

    proved = False

    def __init__(self, plain: PlainState, app: bytes, kms: bytes) -> None:
        super().__init__(app, kms)
        self._calls = {(call.to, call.input): call for call in plain.calls}
        self._words = {(word.address, word.slot): word.value for word in plain.words}

    def _ask(self, to: bytes, function: Function, *arguments: object) -> Answer | None:
        call = self._calls.get((to, function.call(*arguments)))
        return None if call is None else read_answer(function, call.output, reverted=call.reverted)

    def _flag(self, to: bytes, function: Function, *arguments: object) -> bool | None:
        answer = self._ask(to, function, *arguments)
        return answer.flag if answer is not None and answer.kind is AnswerKind.VALUE else None

    def is_contract(self) -> bool | None:
        """By the answer to `allowAnyDevice`, which every generation has."""
        answer = self._ask(self.app, contracts.ALLOW_ANY_DEVICE)
        return None if answer is None else answer.kind is not AnswerKind.NO_CODE

    def code_hash(self) -> bytes | None:
        return None

    def kms_implementation(self) -> bytes | None:
        return _as_address(self._words.get((self.kms, layout.IMPLEMENTATION)))

    def registered(self) -> bool | None:
        return self._flag(self.kms, contracts.REGISTERED_APPS, self.app)

    def compose_hash(self, compose_hash: bytes) -> bool | None:
        return self._flag(self.app, contracts.ALLOWED_COMPOSE_HASHES, compose_hash)

    def any_device(self) -> bool | None:
        return self._flag(self.app, contracts.ALLOW_ANY_DEVICE)

    def device(self, device_id: bytes) -> bool | None:
        return self._flag(self.app, contracts.ALLOWED_DEVICE_IDS, device_id)

    def os_image(self, os_image_hash: bytes) -> bool | None:
        return self._flag(self.kms, contracts.ALLOWED_OS_IMAGES, os_image_hash)

    def ca_pubkey(self) -> bytes | None:
        answer = self._ask(self.kms, contracts.KMS_INFO)
        value = answer.values[1] if answer is not None and answer.kind is AnswerKind.VALUE else None
        return value if isinstance(value, bytes) else None

    def implementation(self) -> bytes | None:
        return _as_address(self._words.get((self.app, layout.IMPLEMENTATION)))

    def app_implementation(self) -> bytes | None:
        answer = self._ask(self.kms, contracts.APP_IMPLEMENTATION)
        return answer.octets if answer is not None and answer.kind is AnswerKind.VALUE else None


def _word(account: Account | None, slot: bytes) -> int | None:
    """A slot of an account that does not exist was never written."""
    return 0 if account is None else account.words.get(slot)


def _flag(account: Account | None, slot: bytes) -> bool | None:
    """A mapping's entry: the whole word is 0 or 1."""
    word = _word(account, slot)
    if word is not None and word > 1:
        raise Malformed("not a boolean", where=f"slot 0x{slot.hex()}", got=hex(word), expected="0 or 1")
    return None if word is None else bool(word)


def _address(account: Account | None, slot: bytes) -> bytes | None:
    return _as_address(_word(account, slot))


def _as_address(word: int | None) -> bytes | None:
    if word is None:
        return None
    if word >> 160:
        raise Malformed("not an address", got=hex(word))
    return word.to_bytes(20, "big")
