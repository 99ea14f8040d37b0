"""What a chain allowed, held against what was published: which versions are which, and which are nobody's.

A compose hash is *published* when its app-compose bytes are known: as a release artefact, or attested in a deployment
record. One that was allowed and is not published is *dark*: instances of it could have the app's keys, and nobody can
say what they run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from twinproof.chain.history import History, Span, Subject
from twinproof.chain.trusted import TrustedChain
from twinproof.release.versions import Version

__all__ = ["AllowedVersion", "Finding", "FindingKind", "Publication", "Published", "ReadLog", "publication"]


@dataclass(frozen=True, slots=True)
class Published:
    """One version's compose hash (32 bytes), and where it was found. `version` is None for a text under no version.

    `text` is the app-compose text, empty where it is not at hand, or is no text.
    """

    version: Version | None
    compose_hash: bytes
    source: str
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ReadLog:
    """How much of a log was read, and what beside it. Times are unix seconds.

    A log that is not `complete` does not begin with the contract's creation: what was allowed before it may still boot.
    `by_factory`: the KMS's own log says that its factory made the contract. `pending` are hashes allowed in blocks that
    are not final yet, and `pending_code` says that the code changes there: a KMS follows the head of the chain, so they
    may boot already. `times` are those of blocks, `at` is the time of the last one that was read. A version that was
    superseded `superseded_after` seconds ago or longer should be allowed no more. `age` is how many seconds ago that
    last block was made: an endpoint that shows an old one, all of it proved, hides what was allowed since.
    """

    complete: bool = True
    by_factory: bool = True
    registered: bool | None = True
    pending: tuple[bytes, ...] = ()
    pending_code: bool = False
    times: Mapping[int, int] = field(default_factory=dict)
    at: int = 0
    superseded_after: int = 7 * 86_400
    age: int = 0
    most_age: int = TrustedChain().max_age


class FindingKind(StrEnum):
    """What a reader of the log should know: of those before NEVER_ALLOWED each keeps the verdict from being a yes."""

    DARK = "dark"
    ATTESTED_NOT_LOGGED = "attested but never logged"
    OPAQUE = "opaque"
    INCOMPLETE = "incomplete"
    STALE = "ends too early"
    NOT_FROM_FACTORY = "not made by the KMS's factory"
    NOT_REGISTERED = "not registered at the KMS"
    NEVER_ALLOWED = "published but never allowed"
    STILL_ALLOWED = "superseded but still allowed"
    LATELY_SUPERSEDED = "superseded lately, still allowed"


@dataclass(frozen=True, slots=True)
class Finding:
    """`compose_hash` is empty where the finding is about none."""

    kind: FindingKind
    text: str
    compose_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class AllowedVersion:
    """A compose hash that was ever allowed: its spans in order, and what it is known as."""

    compose_hash: bytes
    spans: tuple[Span, ...]
    names: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def dark(self) -> bool:
        return not self.sources

    @property
    def title(self) -> str:
        return " = ".join(self.names) or ("DARK" if self.dark else "published")

    @property
    def allowed_now(self) -> bool:
        return self.spans[-1].until is None


@dataclass(frozen=True, slots=True)
class Publication:
    """All of it. `all_published` is the answer to: is every version published that could have had keys since the start?

    It is None where the log cannot answer: nothing was ever allowed, or the contract's code is unknown.
    """

    versions: tuple[AllowedVersion, ...]
    findings: tuple[Finding, ...]
    since_block: int
    all_published: bool | None

    def of(self, kind: FindingKind) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.kind is kind)

    @property
    def sentence(self) -> str:
        """The verdict in one line, without whose word the log is."""
        question = f"every version that could have received keys since block {self.since_block} is published"
        dark = len(self.of(FindingKind.DARK))
        if self.all_published is None:
            return f"{question}: cannot be told"
        return f"{question}: " + ("yes" if self.all_published else f"NO, {dark} dark")


def publication(
    history: History,
    published: Sequence[Published],
    *,
    tagged: Iterable[Version] = (),
    attested: Iterable[tuple[str, bytes]] = (),
    log: ReadLog,
) -> Publication:
    """Join an app's history with what is published, with the versions that are tagged, and with what was attested.

    `attested` are names and compose hashes of instances that were seen running.
    """
    spans: dict[bytes, list[Span]] = {}
    for span in history.of(Subject.COMPOSE_HASH):
        if isinstance(span.value, bytes):
            spans.setdefault(span.value, []).append(span)
    versions = tuple(_version(value, held, published) for value, held in spans.items())
    findings = [
        *_dark(versions),
        *(waiting := tuple(_dark_pending(log.pending, published, spans))),
        *(unknown := (*_unknowable(history, log), *_never_logged(attested, spans))),
        *_never_allowed(published, tagged, spans),
        *_still_allowed(versions, log),
    ]
    answer: bool | None = not waiting and not any(version.dark for version in versions)
    if not versions or (answer and unknown):
        answer = None
    return Publication(versions, tuple(findings), history.from_block, answer)


def _version(compose_hash: bytes, spans: list[Span], published: Sequence[Published]) -> AllowedVersion:
    mine = [item for item in published if item.compose_hash == compose_hash]
    names = sorted({item.version for item in mine if item.version is not None})
    sources = dict.fromkeys(item.source for item in mine)
    return AllowedVersion(compose_hash, tuple(spans), tuple(map(str, names)), tuple(sources))


def _dark(versions: Iterable[AllowedVersion]) -> Iterable[Finding]:
    for version in versions:
        if version.dark:
            now = "is allowed" if version.allowed_now else "was allowed"
            text = f"{version.compose_hash.hex()} {now}, and no app-compose of this hash is published"
            yield Finding(FindingKind.DARK, text, version.compose_hash)


def _dark_pending(
    pending: Iterable[bytes], published: Sequence[Published], logged: Iterable[bytes]
) -> Iterable[Finding]:
    known = {item.compose_hash for item in published} | set(logged)
    for compose_hash in dict.fromkeys(pending):
        if compose_hash not in known:
            text = f"{compose_hash.hex()} is allowed in a block that is not final yet, and no app-compose is published"
            yield Finding(FindingKind.DARK, text, compose_hash)


def _unknowable(history: History, log: ReadLog) -> Iterator[Finding]:
    """Why something may have been allowed, or may be right now, that no log here shows."""
    if history.opaque_since is not None:
        block = history.opaque_since.block_number
        yield Finding(
            FindingKind.OPAQUE,
            f"from block {block} on the contract runs code that is not known: it may allow what no event shows",
        )

    if log.pending_code:
        text = "in a block that is not final yet the contract gets code that is not known, or does what none does"
        yield Finding(FindingKind.OPAQUE, text)
    if not log.complete:
        text = f"the log begins in block {history.from_block} without the contract's creation: earlier logs are missing"
        yield Finding(FindingKind.INCOMPLETE, text)
    elif not log.by_factory:
        text = "a contract of another kind can write the same events, and allow what it does not tell"
        yield Finding(FindingKind.NOT_FROM_FACTORY, text)
    if log.age > log.most_age:
        text = f"the last block that was read is {log.age / 3600:.1f} hours old: what was allowed since is not shown"
        yield Finding(FindingKind.STALE, text)
    if log.registered is not True:
        text = "the KMS asks a contract that is registered there: the keys of this app, if any, come from elsewhere"
        yield Finding(FindingKind.NOT_REGISTERED, text)


def _never_logged(attested: Iterable[tuple[str, bytes]], logged: Iterable[bytes]) -> Iterable[Finding]:
    known = set(logged)
    for name, compose_hash in attested:
        if compose_hash not in known:
            text = f"{name} was attested with {compose_hash.hex()}, which the log never allowed"
            yield Finding(FindingKind.ATTESTED_NOT_LOGGED, text, compose_hash)


def _never_allowed(
    published: Sequence[Published], tagged: Iterable[Version], logged: Iterable[bytes]
) -> Iterable[Finding]:
    known = set(logged)
    allowed = {item.version for item in published if item.compose_hash in known}
    hashes = {item.version: item.compose_hash for item in published if item.version is not None}
    for version in sorted({*tagged, *hashes} - allowed):
        if version in hashes:
            text = f"version {version} is published, and its hash was never allowed"
            yield Finding(FindingKind.NEVER_ALLOWED, text, hashes[version])
        else:
            text = f"version {version} is tagged, and no app-compose of it is published here"
            yield Finding(FindingKind.NEVER_ALLOWED, text)


def _still_allowed(versions: Sequence[AllowedVersion], log: ReadLog) -> Iterable[Finding]:
    """Whatever is older than the newest that is allowed boots, with the same keys. Without a time it is long ago."""
    held = [version for version in versions if version.allowed_now]
    started = sorted(
        held, key=lambda version: version.spans[-1].since.position if version.spans[-1].since else (-1, -1)
    )
    limit = f"{log.superseded_after / 86_400:g} days"
    for version, after in pairwise(started):
        since = after.spans[-1].since
        block = since.block_number if since else 0
        time = log.times.get(block)
        late = time is None or log.at - time >= log.superseded_after
        ago = "at a time that was not read" if time is None else f"{max(0, log.at - time) / 86_400:.1f} days ago"
        text = (
            f"{version.title} {version.compose_hash.hex()[:16]} boots with the same keys since {after.title} in "
            f"{block}, {ago} ({limit} or more is long)"
        )
        yield Finding(FindingKind.STILL_ALLOWED if late else FindingKind.LATELY_SUPERSEDED, text, version.compose_hash)
