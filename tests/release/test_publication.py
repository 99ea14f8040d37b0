"""What was allowed, held against what is published: nothing dark, unlogged or unknown ends in a yes."""

from __future__ import annotations

from twinproof.chain.history import History, Moment, Span, Subject
from twinproof.chain.log import Log
from twinproof.release.publication import FindingKind, Publication, Published, ReadLog
from twinproof.release.publication import publication as joined
from twinproof.release.versions import Version

FIRST, SECOND, DARK = (bytes([number]) * 32 for number in (1, 2, 9))
V1, V2, V3 = (Version(1, minor, 0) for minor in range(3))


def moment(block: int) -> Moment:
    return Moment(Log(bytes(20), (), b"", block, bytes(32), bytes(32), 0, 0))


def history(*spans: tuple[bytes, int, int | None], opaque: int | None = None) -> History:
    held = tuple(
        Span(Subject.COMPOSE_HASH, value, moment(since), None if until is None else moment(until))
        for value, since, until in spans
    )
    return History(bytes(20), 5, 100, held, (), {}, None if opaque is None else moment(opaque))


def publication(
    past: History,
    published: list[Published],
    *,
    tagged: list[Version] | None = None,
    attested: list[tuple[str, bytes]] | None = None,
    log: ReadLog | None = None,
) -> Publication:
    return joined(past, published, tagged=tagged or (), attested=attested or (), log=log or ReadLog())


PUBLISHED = [Published(V1, FIRST, "v1.0.0"), Published(V2, SECOND, "v1.1.0")]


def test_everything_published_is_a_yes() -> None:
    found = publication(history((FIRST, 5, 9), (SECOND, 8, None)), PUBLISHED)
    assert (found.all_published, found.findings) == (True, ())
    assert found.sentence.endswith("since block 5 is published: yes")


def test_a_dark_hash_that_was_removed_is_dark_all_the_same() -> None:
    found = publication(history((FIRST, 5, None), (DARK, 6, 7)), PUBLISHED)
    assert found.all_published is False
    assert [item.compose_hash for item in found.of(FindingKind.DARK)] == [DARK]
    assert found.sentence.endswith("NO, 1 dark")


def test_unknown_code_a_missing_beginning_and_an_empty_log_give_no_yes() -> None:
    whole = history((FIRST, 5, None))
    assert publication(history((FIRST, 5, None), opaque=6), PUBLISHED).all_published is None
    assert publication(whole, PUBLISHED, log=ReadLog(complete=False)).all_published is None
    assert publication(history(), PUBLISHED).all_published is None
    assert publication(history((DARK, 5, None), opaque=6), PUBLISHED).all_published is False


def test_what_was_attested_and_never_logged_is_found() -> None:
    found = publication(history((FIRST, 5, None)), PUBLISHED, attested=[("1.0.0-prod9", FIRST), ("x-prod7", DARK)])
    (finding,) = found.of(FindingKind.ATTESTED_NOT_LOGGED)
    assert finding.compose_hash == DARK
    assert "x-prod7" in finding.text


def test_versions_that_are_tagged_or_published_and_never_allowed_are_found() -> None:
    found = publication(history((FIRST, 5, None)), PUBLISHED, tagged=[V1, V2, V3])
    assert [item.compose_hash for item in found.of(FindingKind.NEVER_ALLOWED)] == [SECOND, b""]


def test_an_old_version_that_still_boots_is_found_and_a_removed_one_is_not() -> None:
    kept = publication(history((FIRST, 5, None), (SECOND, 8, None)), PUBLISHED)
    assert [item.compose_hash for item in kept.of(FindingKind.STILL_ALLOWED)] == [FIRST]
    removed = publication(history((FIRST, 5, 9), (SECOND, 8, None)), PUBLISHED)
    assert removed.of(FindingKind.STILL_ALLOWED) == ()


def test_a_hash_that_came_back_is_one_version_with_two_spans() -> None:
    found = publication(history((FIRST, 5, 6), (FIRST, 8, None)), [*PUBLISHED, Published(None, FIRST, "file")])
    (version,) = found.versions
    assert (len(version.spans), version.names, version.sources) == (2, ("1.0.0",), ("v1.0.0", "file"))
