"""The history of one contract: what held when, by which log, by whose hand. Made by `fold`, from its events alone.

Blocks are counted as the chain counts them; a span holds from its first log, included, to its last, excluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from twinproof.chain.log import Log

__all__ = ["History", "Moment", "Note", "NoteKind", "Span", "Subject", "Value"]

Value = bytes | bool | str


class Subject(StrEnum):
    """What a contract remembers. Of the first group many values hold at a time, of the second one."""

    COMPOSE_HASH = "compose hash"
    DEVICE = "device"
    APP = "registered app"
    OS_IMAGE = "OS image"
    KMS_AGGREGATED_MR = "KMS aggregated MR"
    KMS_DEVICE = "KMS device"

    ALLOW_ANY_DEVICE = "allow any device"
    REQUIRE_TCB_UP_TO_DATE = "require TCB up to date"
    UPGRADES_DISABLED = "upgrades disabled"
    OWNER = "owner"
    PENDING_OWNER = "pending owner"
    IMPLEMENTATION = "implementation"
    APP_IMPLEMENTATION = "implementation of new apps"
    KMS_K256_PUBKEY = "KMS root key (secp256k1)"
    GATEWAY_APP_ID = "gateway app id"


@dataclass(frozen=True, slots=True)
class Moment:
    """The log that changed something, and who did it: 20 bytes of PolicyChanged's actor or the transaction's sender.

    `actor` is None when neither is known; contracts before a3d862aa do not say it.
    """

    log: Log
    actor: bytes | None = None

    @property
    def position(self) -> tuple[int, int]:
        return self.log.position

    @property
    def block_number(self) -> int:
        return self.log.block_number

    @property
    def transaction_hash(self) -> bytes:
        return self.log.transaction_hash


@dataclass(frozen=True, slots=True)
class Span:
    """A value that held from `since` until `until`, or still holds.

    `since` is None for a value that no event shows: it was read from the state (`UPGRADES_DISABLED` at creation).
    """

    subject: Subject
    value: Value
    since: Moment | None
    until: Moment | None = None

    def holds_at(self, block: int) -> bool:
        """Whether it holds at the end of this block."""
        started = self.since is None or self.since.block_number <= block
        return started and (self.until is None or self.until.block_number > block)


class NoteKind(StrEnum):
    """What a reader of the history should know, and an honest contract seldom or never gives."""

    OUT_OF_ORDER = "the endpoint gave logs out of order; they were sorted"
    DUPLICATE_LOG = "the endpoint gave a log twice"
    ALREADY = "set to what it was"
    NOT_THERE = "removed, and was not there"
    UNKNOWN_IMPLEMENTATION = "code that this version does not know: it may allow things without an event"
    UPGRADED_THOUGH_DISABLED = "upgraded though upgrades were disabled: the code was not what it said"
    UNEXPLAINED_POLICY = "a PolicyChanged without the change it tells of"
    OTHER_EVENT = "an event that no known contract writes"


@dataclass(frozen=True, slots=True)
class Note:
    """One finding, with the log it is about."""

    kind: NoteKind
    log: Log
    text: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Everything the events of `contract` (20 bytes) tell, up to and including block `to_block`."""

    contract: bytes
    from_block: int
    to_block: int
    spans: tuple[Span, ...]
    """In the order in which they started."""
    notes: tuple[Note, ...]
    deployed_by: Mapping[bytes, bytes]
    """Of a KMS: app id to the deployer that its factory names."""
    opaque_since: Moment | None = None
    """From here on the code is unknown: hashes and devices may be allowed that no event shows."""

    def of(self, subject: Subject) -> tuple[Span, ...]:
        return tuple(span for span in self.spans if span.subject is subject)

    def values_at(self, subject: Subject, block: int) -> tuple[Value, ...]:
        """What held at the end of this block, in the order in which it began to hold."""
        return tuple(span.value for span in self.spans if span.subject is subject and span.holds_at(block))

    def current(self, subject: Subject) -> tuple[Span, ...]:
        """What holds at the end of `to_block`."""
        return tuple(span for span in self.spans if span.subject is subject and span.until is None)

    def value(self, subject: Subject) -> Value | None:
        """The one value that holds now; None when no event and no state showed one."""
        held = self.current(subject)
        return held[-1].value if held else None

    def ever(self, subject: Subject) -> tuple[Value, ...]:
        """Every value that ever held, once, in the order of its first time."""
        return tuple(dict.fromkeys(span.value for span in self.of(subject)))

    def contradictions(self, subject: Subject, state: Mapping[bytes, bool]) -> tuple[str, ...]:
        """Where the contract's own answers at `to_block` differ from the folded events, in words, one for each value.

        `state` is what a view such as `allowedComposeHashes` said of each value asked about.
        """
        held = {span.value for span in self.current(subject)}
        return tuple(
            f"{subject} 0x{value.hex()}: the events say {_words(value in held)}, the contract says {_words(says)}"
            for value, says in state.items()
            if says is not (value in held)
        )

    def noted(self, kinds: Iterable[NoteKind]) -> tuple[Note, ...]:
        wanted = set(kinds)
        return tuple(note for note in self.notes if note.kind in wanted)


def _words(allowed: bool) -> str:
    return "allowed" if allowed else "not allowed"
