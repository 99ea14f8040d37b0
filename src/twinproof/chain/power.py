"""Who can change what runs as an app, and how fast: read from the state of its contract and of its KMS at one block.

Each fact names the slot, the call or the event that shows it. Sources: Dstack-TEE/dstack,
dstack/kms/auth-eth/contracts; Safe: getThreshold, getOwners; OpenZeppelin TimelockController: getMinDelay; EIP-7702.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from twinproof.chain.trusted import TrustedChain

__all__ = ["Fact", "Holder", "HolderKind", "Power", "power_facts", "power_sentence"]

_HOUR = 3600


class HolderKind(StrEnum):
    """What stands at the address of an owner."""

    NOBODY = "nobody"
    KEY = "one key"
    DELEGATED_KEY = "one key with delegated code"
    SAFE = "a Safe"
    TIMELOCK = "a timelock"
    CONTRACT = "a contract of another kind"


@dataclass(frozen=True, slots=True)
class Holder:
    """An owner: 20 bytes, and for a Safe how many of how many sign, for a timelock the delay in seconds."""

    address: bytes
    kind: HolderKind
    threshold: int = 0
    signers: int = 0
    delay: int = 0

    @property
    def alone(self) -> bool:
        """Whether one key decides, without a delay."""
        one_of_safe = self.kind is HolderKind.SAFE and self.threshold == 1
        return self.kind in (HolderKind.KEY, HolderKind.DELEGATED_KEY) or one_of_safe

    @property
    def words(self) -> str:
        if self.kind is HolderKind.NOBODY:
            return "nobody (given up)"
        text = f"0x{self.address.hex()}, {self.kind}"
        if self.kind is HolderKind.SAFE:
            text += f": {self.threshold} of {self.signers} signers"
        elif self.kind is HolderKind.TIMELOCK:
            text += f": {self.delay} s ({self.delay / _HOUR:.1f} h) before anything happens"
        if self.kind in (HolderKind.SAFE, HolderKind.TIMELOCK):
            text += ", by its own answers"
        return text


@dataclass(frozen=True, slots=True)
class Power:
    """The state that decides. Addresses have 20 bytes; None stands for what the contract has no answer to."""

    app_id: bytes
    owner: Holder
    pending_owner: Holder | None
    upgrades_disabled: bool
    code: bytes
    code_known: bool
    any_device: bool
    devices: int
    require_tcb: bool
    compose_hashes: int
    opaque: bool
    kms: bytes
    registered: bool | None
    kms_owner: Holder | None
    kms_code: bytes | None
    age: int = 0
    """Seconds since the block at which all of it was read; from `most_age` on it says nothing about now."""
    most_age: int = TrustedChain().max_age

    @property
    def stale(self) -> bool:
        return self.age > self.most_age


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: what is asked, what holds, what shows it, and whether a reader should think about it."""

    name: str
    question: str
    answer: str
    shown_by: str
    concern: bool = False


def power_facts(power: Power) -> tuple[Fact, ...]:
    """In the order in which they matter."""
    return tuple(_facts(power))


def power_sentence(power: Power) -> str:
    """The verdict in one line."""
    if power.stale:
        return f"who could change what runs as this app {power.age / _HOUR:.1f} hours ago is known, and not who can now"
    return _who_decides(power)


def _who_decides(power: Power) -> str:
    if not power.code_known:
        return "the contract's code is not known: what it allows, and who decides, cannot be told from its state"
    if power.owner.kind is HolderKind.NOBODY:
        return "nobody can change any more what runs as this app, but for who may replace the code of the KMS"
    if power.owner.alone:
        return "one key can let any other code run as this app, at once"
    if power.owner.kind is HolderKind.TIMELOCK:
        delay = f"{power.owner.delay} s after its owner announces it on chain"
        return f"other code can run as this app {delay}, by what the owner's contract answers: read its code"
    if power.owner.kind is HolderKind.SAFE:
        keys = f"{power.owner.threshold} of {power.owner.signers} keys"
        which = "by what the owner's contract answers: read its code"
        return f"{keys} together can let other code run as this app, at once, {which}"
    return "a contract of another kind decides what runs as this app: read its code"


def _facts(power: Power) -> Iterator[Fact]:
    if power.stale:
        yield Fact(
            "age",
            "how old is what is shown here",
            f"{power.age / _HOUR:.1f} hours: what was changed since is not shown",
            "the time of the block that the endpoints call final",
            concern=True,
        )
    yield Fact(
        "owner",
        "who can allow other code and machines",
        f"{power.owner.words}; at once, old versions stay allowed" if power.owner.alone else power.owner.words,
        "owner: ERC-7201 slot 0x9016d09d...; OwnershipTransferred",
        concern=power.owner.alone,
    )
    if power.pending_owner is not None:
        yield Fact(
            "pending_owner",
            "who may become the owner",
            power.pending_owner.words,
            "pendingOwner: ERC-7201 slot 0x237e1582...; OwnershipTransferStarted",
            concern=True,
        )
    disabled = "no: disabled for ever; what is allowed can still change"
    if not power.code_known:
        disabled = "cannot be told: its storage says no, and its code is not known"
    yield Fact(
        "upgrades",
        "can the contract's code be replaced",
        disabled if power.upgrades_disabled else "yes, by the owner",
        "_upgradesDisabled: slot 1, byte 0; UpgradesDisabled",
        concern=not (power.upgrades_disabled and power.code_known),
    )
    known = "the code that the KMS gives to new apps" if power.code_known else "code that is NOT known"
    yield Fact(
        "code",
        "which code decides",
        f"0x{power.code.hex()}, {known}",
        "implementation: ERC-1967 slot 0x360894a1...; Upgraded",
        concern=not power.code_known,
    )
    least = "at least " if power.opaque else ""
    yield Fact(
        "compose_hashes",
        "how many versions may boot right now",
        f"{least}{power.compose_hashes}",
        "ComposeHashAdded, ComposeHashRemoved; allowedComposeHashes: slot 0",
        concern=power.compose_hashes > 1 or power.opaque,
    )
    yield Fact(
        "devices",
        "which machines may have the keys",
        "ANY machine" if power.any_device else f"{least}{power.devices} named by their device ids",
        "allowAnyDevice: slot 1, byte 1; DeviceAdded, DeviceRemoved",
        concern=power.any_device,
    )
    yield Fact(
        "tcb",
        "must a machine's firmware be up to date",
        "yes" if power.require_tcb else "no",
        "requireTcbUpToDate: slot 3; RequireTcbUpToDateSet",
        concern=not power.require_tcb,
    )
    yield from _kms_facts(power)


def _kms_facts(power: Power) -> Iterator[Fact]:
    yield Fact(
        "kms",
        "which KMS gives the keys",
        f"0x{power.kms.hex()}"
        + {True: "", False: ", where this app is NOT registered", None: ", which is no KMS"}[power.registered],
        "registeredApps: slot 5 of the KMS; AppRegistered",
        concern=power.registered is not True,
    )
    if power.kms_owner is not None:
        yield Fact(
            "kms_owner",
            "who can change the rules of the KMS, and its code",
            power.kms_owner.words,
            "owner of the KMS: ERC-7201 slot 0x9016d09d...",
            concern=power.kms_owner.alone,
        )
    if power.kms_code is not None:
        yield Fact("kms_code", "which code the KMS runs", f"0x{power.kms_code.hex()}", "ERC-1967 slot of the KMS")
