"""Logs of one contract, folded to its history.

Logs are first put in the order of the chain; a log given twice is one log, and two different logs at one place, or two
hashes of one block, are a contradiction: the endpoint changed its mind while it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from twinproof.chain.events import Event, Kind, decode_event
from twinproof.chain.history import History, Moment, Note, NoteKind, Span, Subject, Value
from twinproof.chain.log import Log
from twinproof.errors import Contradiction, Malformed

__all__ = ["fold_history", "in_order"]

# Of these many values hold at a time; the second part says whether the event adds or removes.
_MEMBERS = {
    Kind.COMPOSE_HASH_ADDED: (Subject.COMPOSE_HASH, True),
    Kind.COMPOSE_HASH_REMOVED: (Subject.COMPOSE_HASH, False),
    Kind.DEVICE_ADDED: (Subject.DEVICE, True),
    Kind.DEVICE_REMOVED: (Subject.DEVICE, False),
    Kind.APP_REGISTERED: (Subject.APP, True),
    Kind.OS_IMAGE_HASH_ADDED: (Subject.OS_IMAGE, True),
    Kind.OS_IMAGE_HASH_REMOVED: (Subject.OS_IMAGE, False),
    Kind.KMS_AGGREGATED_MR_ADDED: (Subject.KMS_AGGREGATED_MR, True),
    Kind.KMS_AGGREGATED_MR_REMOVED: (Subject.KMS_AGGREGATED_MR, False),
    Kind.KMS_DEVICE_ADDED: (Subject.KMS_DEVICE, True),
    Kind.KMS_DEVICE_REMOVED: (Subject.KMS_DEVICE, False),
}
# Of these one value holds at a time; the second part is the place of the value among the arguments.
_SINGLE = {
    Kind.ALLOW_ANY_DEVICE_SET: (Subject.ALLOW_ANY_DEVICE, 0),
    Kind.REQUIRE_TCB_UP_TO_DATE_SET: (Subject.REQUIRE_TCB_UP_TO_DATE, 0),
    Kind.OWNERSHIP_TRANSFERRED: (Subject.OWNER, 1),
    Kind.OWNERSHIP_TRANSFER_STARTED: (Subject.PENDING_OWNER, 1),
    Kind.UPGRADED: (Subject.IMPLEMENTATION, 0),
    Kind.APP_IMPLEMENTATION_SET: (Subject.APP_IMPLEMENTATION, 0),
    Kind.APP_AUTH_IMPLEMENTATION_SET: (Subject.APP_IMPLEMENTATION, 0),
    Kind.KMS_INFO_SET: (Subject.KMS_K256_PUBKEY, 0),
    Kind.GATEWAY_APP_ID_SET: (Subject.GATEWAY_APP_ID, 0),
}
# What PolicyChanged calls the change that a plain event next to it reports.
_POLICY_OF = {
    Kind.COMPOSE_HASH_ADDED: "compose-hash",
    Kind.COMPOSE_HASH_REMOVED: "compose-hash",
    Kind.DEVICE_ADDED: "device",
    Kind.DEVICE_REMOVED: "device",
    Kind.ALLOW_ANY_DEVICE_SET: "allow-any-device",
    Kind.REQUIRE_TCB_UP_TO_DATE_SET: "require-tcb-up-to-date",
    Kind.UPGRADES_DISABLED: "upgrades-disabled",
    Kind.APP_REGISTERED: "registered-app",
    Kind.OS_IMAGE_HASH_ADDED: "os-image",
    Kind.OS_IMAGE_HASH_REMOVED: "os-image",
    Kind.KMS_AGGREGATED_MR_ADDED: "kms-aggregated-mr",
    Kind.KMS_AGGREGATED_MR_REMOVED: "kms-aggregated-mr",
    Kind.KMS_DEVICE_ADDED: "kms-device",
    Kind.KMS_DEVICE_REMOVED: "kms-device",
    Kind.UPGRADED: "implementation-upgrade",
    Kind.APP_IMPLEMENTATION_SET: "app-implementation",
    Kind.KMS_INFO_SET: "kms-info",
    Kind.GATEWAY_APP_ID_SET: "gateway-app-id",
}
_NOBODY = bytes(20)


def in_order(logs: Iterable[Log]) -> tuple[tuple[Log, ...], tuple[Note, ...]]:
    """The logs in the order of the chain, each once, and what was wrong with the order in which they came.

    Raises Contradiction for two logs at one place or two blocks of one number.
    """
    given = tuple(logs)
    ordered = sorted(given, key=lambda log: log.position)
    notes: list[Note] = []
    late = next((log for log, other in pairwise(given) if other.position < log.position), None)
    if late is not None:
        notes.append(Note(NoteKind.OUT_OF_ORDER, late))
    kept: list[Log] = []
    for log in ordered:
        last = kept[-1] if kept else None
        if last is not None and last.block_number == log.block_number and last.block_hash != log.block_hash:
            raise Contradiction(
                "two blocks of one number: the chain was reorganised while it was read",
                where=f"block {log.block_number}",
                got=log.block_hash.hex(),
                expected=last.block_hash.hex(),
                hint="read again, at or below the finalized block",
            )
        if last == log:
            notes.append(Note(NoteKind.DUPLICATE_LOG, log))
            continue
        if last is not None and last.position == log.position:
            raise Contradiction("two logs at one place", where=f"block {log.block_number} log {log.log_index}")
        kept.append(log)
    return tuple(kept), tuple(notes)


def fold_history(
    logs: Iterable[Log],
    contract: bytes,
    *,
    to_block: int,
    known_implementations: frozenset[bytes] = frozenset(),
    initial: Mapping[Subject, Value] | None = None,
    senders: Mapping[bytes, bytes] | None = None,
) -> History:
    """The history that the logs of `contract` (20 bytes) tell, up to and including block `to_block`.

    `known_implementations` are addresses of code that is known to write an event for every change; from the first other
    one on the history is opaque. `initial` holds values at creation that no event shows, read from the state.
    `senders` maps transaction hashes to who sent them, for contracts that do not name the actor.
    Raises Malformed for logs of another contract, of later blocks or in another form, Contradiction as `in_order`.
    """
    ordered, notes = in_order(logs)
    fold = _Fold(known_implementations, senders or {}, list(notes))
    for subject, value in (initial or {}).items():
        fold.spans.append(Span(subject, value, None))
        fold.open[subject, None] = len(fold.spans) - 1
    events: list[Event] = []
    for log in ordered:
        if log.block_number > to_block:
            raise Malformed("a log of a later block", where=f"block {log.block_number}", expected=f"at most {to_block}")
        event = decode_event(log, contract)
        if event is None:
            fold.unknown(NoteKind.OTHER_EVENT, log)
        else:
            events.append(event)
    for index, event in enumerate(events):
        before = events[index - 1] if index else None
        fold.take(event, before, events[index + 1] if index + 1 < len(events) else None)
    if ordered and not _begins_with_code(fold.spans, ordered[0]):
        fold.opaque_since = Moment(ordered[0])
    return History(
        contract=contract,
        from_block=ordered[0].block_number if ordered else to_block,
        to_block=to_block,
        spans=tuple(fold.spans),
        notes=tuple(fold.notes),
        deployed_by=fold.deployed_by,
        opaque_since=fold.opaque_since,
    )


def _begins_with_code(spans: Iterable[Span], first: Log) -> bool:
    """Whether the code is named where the log begins, as every proxy's constructor does; other contracts need not."""
    codes = (span.since for span in spans if span.subject is Subject.IMPLEMENTATION)
    return any(since is not None and since.block_number == first.block_number for since in codes)


class _Fold:
    """The state between two events."""

    def __init__(self, known: frozenset[bytes], senders: Mapping[bytes, bytes], notes: list[Note]) -> None:
        self.spans: list[Span] = []
        self.notes = notes
        self.open: dict[tuple[Subject, Value | None], int] = {}
        """(subject, value) of what is a member, (subject, None) of a single value: the place of its open span."""
        self.deployed_by: dict[bytes, bytes] = {}
        self.opaque_since: Moment | None = None
        self._known, self._senders = known, senders

    def unknown(self, kind: NoteKind, log: Log, text: str = "") -> None:
        """What no known code does: from here on it may allow what no event that is known shows."""
        self.notes.append(Note(kind, log, text))
        if self.opaque_since is None or log.position < self.opaque_since.position:
            self.opaque_since = Moment(log)

    def take(self, event: Event, before: Event | None, after: Event | None) -> None:
        kind = event.kind
        if kind is Kind.POLICY_CHANGED:
            if not (_tells_of(event, before) or _tells_of(event, after)):
                self.unknown(NoteKind.UNEXPLAINED_POLICY, event.log, event.policy)
            return
        policy = after if _tells_of(after, event) else before if _tells_of(before, event) else None
        sender = self._senders.get(event.log.transaction_hash)
        moment = Moment(event.log, policy.actor if policy is not None else sender)
        if kind in _MEMBERS:
            subject, added = _MEMBERS[kind]
            self._member(subject, event.octets, moment, added=added)
        elif kind in _SINGLE:
            subject, place = _SINGLE[kind]
            self._single(subject, event.values[place], moment)
        elif kind is Kind.UPGRADES_DISABLED:
            self._single(Subject.UPGRADES_DISABLED, True, moment)
        elif kind is Kind.APP_DEPLOYED_VIA_FACTORY:
            self.deployed_by[event.octets] = event.target

    def _member(self, subject: Subject, value: bytes, moment: Moment, *, added: bool) -> None:
        place = self.open.get((subject, value))
        if added and place is None:
            self._start(subject, value, value, moment)
        elif not added and place is not None:
            self._end((subject, value), moment)
        else:
            kind = NoteKind.ALREADY if added else NoteKind.NOT_THERE
            self.notes.append(Note(kind, moment.log, f"{subject} 0x{value.hex()}"))

    def _single(self, subject: Subject, value: object, moment: Moment) -> None:
        if not isinstance(value, bytes | bool | str):
            raise TypeError(f"{subject}: a value of type {type(value).__name__}")
        place = self.open.get((subject, None))
        if place is not None and self.spans[place].value == value:
            self.notes.append(Note(NoteKind.ALREADY, moment.log, str(subject)))
        else:
            self._end((subject, None), moment)
            if not (subject is Subject.PENDING_OWNER and value == _NOBODY):
                self._start(subject, None, value, moment)
        if subject is Subject.OWNER:  # a pending transfer ends when it is accepted, or with the ownership itself
            self._end((Subject.PENDING_OWNER, None), moment)
        elif subject is Subject.IMPLEMENTATION and isinstance(value, bytes):
            self._upgraded(value, moment, created=place is None)

    def _upgraded(self, implementation: bytes, moment: Moment, *, created: bool) -> None:
        disabled = self.open.get((Subject.UPGRADES_DISABLED, None))
        if not created and disabled is not None and self.spans[disabled].value is True:
            self.unknown(NoteKind.UPGRADED_THOUGH_DISABLED, moment.log)
        if implementation not in self._known:
            self.notes.append(Note(NoteKind.UNKNOWN_IMPLEMENTATION, moment.log, f"0x{implementation.hex()}"))
            self.opaque_since = self.opaque_since or moment

    def _start(self, subject: Subject, key: Value | None, value: Value, moment: Moment) -> None:
        self.open[subject, key] = len(self.spans)
        self.spans.append(Span(subject, value, moment))

    def _end(self, key: tuple[Subject, Value | None], moment: Moment) -> None:
        place = self.open.pop(key, None)
        if place is not None:
            self.spans[place] = replace(self.spans[place], until=moment)


def _tells_of(policy: Event | None, event: Event | None) -> bool:
    """Whether this PolicyChanged, next to a plain event in one transaction, is about it.

    It follows the plain event, and goes before an upgrade. `value` is the hash or address itself where there is one.
    """
    if policy is None or event is None or policy.kind is not Kind.POLICY_CHANGED:
        return False
    place = policy.log.log_index - event.log.log_index
    expected = -1 if event.kind is Kind.UPGRADED else 1
    same_place = policy.log.transaction_hash == event.log.transaction_hash and place == expected
    if not same_place or _POLICY_OF.get(event.kind) != policy.policy:
        return False
    value = event.values[0] if event.values else None
    if isinstance(value, bytes) and event.kind is not Kind.KMS_INFO_SET:
        return policy.values[2] == value.rjust(32, b"\0")
    return True
