"""One list of events, read strictly; what is supplied for RTMR3 is never what is replayed."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_boot import Boot, entry, firmware_entry, v1_digest, v2_preimage
from twinproof.dstack.event_log import MAX_EVENTS, parse_event_log
from twinproof.errors import Forged, Malformed
from twinproof.tdx.rtmr import replay

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), max_size=20)


def log_of(*entries: dict[str, object]) -> str:
    return json.dumps(entries)


def test_empty_digests_are_normal_and_recomputed() -> None:
    boot = Boot()
    assert parse_event_log(boot.log(digests=False)).replay(3) == boot.report.rtmr3


def test_the_digests_a_log_supplies_for_rtmr3_are_never_used() -> None:
    honest, lying = entry("app-id", bytes(20)), entry("app-id", bytes(20)) | {"digest": "00" * 48}
    assert parse_event_log(log_of(lying)).replay(3) == parse_event_log(log_of(honest)).replay(3)


def test_a_supplied_digest_of_another_event_is_forged() -> None:
    log = parse_event_log(log_of(entry("app-id", bytes(20)) | {"digest": v1_digest("app-id", b"\x01" * 20).hex()}))
    with pytest.raises(Forged, match="not the digest of this event") as caught:
        log.check_digests()
    assert caught.value.expected == v1_digest("app-id", bytes(20)).hex()


def test_firmware_digests_are_replayed_as_given() -> None:
    entries = [firmware_entry(0, 1, 4), firmware_entry(1, 1, 6)]
    expected = replay(bytes.fromhex(str(item["digest"])) for item in entries)
    assert parse_event_log(log_of(*entries)).replay(1) == expected


def test_version_2_hashes_the_canonical_json() -> None:
    name = 'größe "q" \\ \x01'
    log = parse_event_log(log_of(entry(name, b"\xab", version=2)))
    assert log.runtime[0].measured == hashlib.sha384(v2_preimage(name, b"\xab")).digest()
    assert log.check_digests() == 1


def test_a_preimage_of_another_event_is_forged() -> None:
    event = entry("a", b"", version=2) | {"preimage": v2_preimage("b", b"").hex(), "digest": ""}
    with pytest.raises(Forged, match="preimage"):
        parse_event_log(log_of(event)).check_digests()


def test_bytes_moved_from_payload_to_name_are_refused_although_the_digest_stays_the_same() -> None:
    honest, moved = entry("app", b"id:x"), entry("app:id", b"x")
    assert honest["digest"] == moved["digest"]
    with pytest.raises(Malformed, match="ambiguous event name"):
        parse_event_log(log_of(moved))


def test_version_2_names_may_hold_a_colon_because_its_digest_is_not_ambiguous() -> None:
    assert parse_event_log(log_of(entry("app:id", b"", version=2))).runtime[0].event == "app:id"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"imr": 2}, "belongs to another register"),
        ({"event_type": 10}, "belongs to another register"),
        ({"imr": 4}, "out of range"),
        ({"imr": -1}, "out of range"),
        ({"imr": True}, "wrong type"),
        ({"event_type": 1 << 32}, "out of range"),
        ({"digest": "00" * 47}, "wrong digest length"),
        ({"digest": "00" * 49}, "too long"),
        ({"digest": "0x" + "00" * 47}, "not hex"),
        ({"digest": None}, "wrong type"),
        ({"event": 1}, "wrong type"),
        ({"event": "x" * 1025}, "too long"),
        ({"event": "\u00fc" * 1000}, "event name too long"),
        ({"event_payload": "0"}, "not hex"),
        ({"event_payload": "00 "}, "not hex"),
        ({"version": 3}, "out of range"),
        ({"version": "2"}, "wrong type"),
        ({"preimage": "00"}, "version 2"),
        ({"extra": 1}, "unknown member"),
    ],
)
def test_an_odd_event_is_malformed_and_named(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as caught:
        parse_event_log(log_of(entry("ok", b""), entry("app-id", bytes(20)) | changes))
    assert caught.value.where.startswith("event log[1]")


@pytest.mark.parametrize("name", ["imr", "event_type", "digest", "event", "event_payload"])
def test_a_missing_member_is_malformed(name: str) -> None:
    event = entry("app-id", bytes(20))
    del event[name]
    with pytest.raises(Malformed, match="missing member"):
        parse_event_log(log_of(event))


def test_a_firmware_event_needs_its_digest() -> None:
    with pytest.raises(Malformed, match="wrong digest length"):
        parse_event_log(log_of(firmware_entry(0, 0, 4) | {"digest": ""}))


def test_a_firmware_event_has_no_digest_version() -> None:
    with pytest.raises(Malformed, match="version"):
        parse_event_log(log_of(firmware_entry(0, 0, 4) | {"version": 2}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{}", "not an array"),
        ("null", "not an array"),
        ("[1]", "not a JSON object"),
        ('[{"imr":3,"imr":0}]', "duplicate"),
        ("<html>", "HTML"),
        ("[" * 100_000, "not JSON"),
        (json.dumps([{}] * (MAX_EVENTS + 1)), "too many events"),
        (" " * (9 << 20), "too large"),
    ],
)
def test_what_is_no_list_of_events_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_event_log(text)
    assert reason in f"{caught.value} {caught.value.hint}"


@given(st.text(max_size=200))
def test_random_text_is_malformed_or_an_empty_list(text: str) -> None:
    try:
        log = parse_event_log(text)
    except Malformed:
        return
    assert log.events == ()


@given(st.lists(st.tuples(NAMES, st.binary(max_size=40)), max_size=8))
def test_every_log_that_was_written_is_read_back_and_replays(events: list[tuple[str, bytes]]) -> None:
    log = parse_event_log(log_of(*(entry(name, payload) for name, payload in events)))
    assert [(event.event, event.payload) for event in log.runtime] == events
    assert log.check_digests() == len(events)
    assert log.replay(3) == replay(v1_digest(name, payload) for name, payload in events)


@given(NAMES, st.binary(max_size=20), NAMES, st.binary(max_size=20))
def test_two_different_events_never_hash_the_same_bytes(a: str, p: bytes, b: str, q: bytes) -> None:
    one, two = parse_event_log(log_of(entry(a, p), entry(b, q))).runtime
    assert (one.hashed == two.hashed) == ((a, p) == (b, q))


@pytest.mark.parametrize("member", ["imr", "event_type", "digest", "event", "event_payload"])
def test_an_event_that_was_read_before_does_not_vouch_for_one_of_other_types(member: str) -> None:
    honest = firmware_entry(0, 1, 1)
    assert len(parse_event_log(log_of(honest)).events) == 1
    for lie in (1.0, True, None, [honest[member]], {"a": 1}):
        with pytest.raises(Malformed, match=rf"event log\[0\]\.{member}"):
            parse_event_log(log_of(honest | {member: lie}))


def test_an_event_that_cannot_be_read_names_its_place_however_often_it_is_asked() -> None:
    for _ in range(2):
        with pytest.raises(Malformed, match=r"event log\[1\]\.digest"):
            parse_event_log(log_of(firmware_entry(0, 1, 4), firmware_entry(1, 1, 4) | {"digest": "00"}))
