"""What is remembered of event logs and compose texts speaks for exactly their bytes; registers are compared anew."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_boot import Boot, judged
from twinproof.compact_json import UNREAD, read_compact
from twinproof.dstack.event_log import Event, EventLog, _as_a_whole, _one_by_one, parse_event_log
from twinproof.errors import Malformed
from twinproof.verdict import Status
from twinproof.wire import parse_json

LOG = json.dumps(Boot().entries(), separators=(",", ":"))
MARKS = ["},{", "}", "{", ",", '"', "[", "]", "\\", "0", '{"imr":0}', "\x00", "é", " "]


def _either(text: str) -> tuple[Event, ...] | str:
    try:
        return _as_a_whole(text)
    except Malformed:
        return "malformed"


@settings(max_examples=300)
@given(st.integers(0, len(LOG)), st.integers(0, 4), st.sampled_from(MARKS))
def test_a_log_read_event_by_event_is_the_log_read_as_a_whole(place: int, cut: int, mark: str) -> None:
    text = LOG[:place] + mark + LOG[place + cut :]
    by_event = _one_by_one(text)
    assert by_event is None or by_event.events == _either(text)


@pytest.mark.parametrize("inner", ['"},{"', '"a":[{},{}]', '"event":"},{"', "},{", "", '"a":1},{"b":2'])
def test_marks_inside_of_an_event_are_no_place_to_cut(inner: str) -> None:
    text = f"[{{{inner}}}]"
    assert (log := _one_by_one(text)) is None or log.events == _either(text)


def test_the_usual_log_is_read_event_by_event() -> None:
    assert (log := _one_by_one(LOG)) is not None
    assert log.events == _as_a_whole(LOG)


@settings(max_examples=100)
@given(st.integers(0, len(LOG) - 1), st.sampled_from("0aZ9"))
def test_a_known_log_with_one_other_letter_is_another_log(place: int, letter: str) -> None:
    assert judged(Boot(), LOG)[0] is not None
    text = LOG[:place] + letter + LOG[place + 1 :]
    appraisal, checks = judged(Boot(), text)
    unmeasured = '"event":"' + letter + '"' in text  # nothing hashes the names of the firmware's events
    assert appraisal is None or unmeasured or text.lower() == LOG.lower(), checks
    assert judged(Boot(), LOG)[0] is not None


@pytest.mark.parametrize("name", [name for name, payload in Boot().events if payload and name != "storage-fs"])
def test_a_known_log_beside_another_quote_is_judged_anew(name: str) -> None:
    other = Boot().with_payload(name, dict(Boot().events)[name][:-1] + b"\x00")
    assert judged(Boot(), LOG)[0] is not None
    appraisal, checks = judged(other, LOG)
    assert (appraisal, checks["rtmr3_replay"].status) == (None, Status.FAIL)


def test_a_known_compose_text_beside_another_boot_is_judged_anew() -> None:
    other = Boot().with_payload("compose-hash", bytes(32))
    assert judged(Boot())[1]["compose_hash"].passed
    assert judged(other)[1]["compose_hash"].status is Status.FAIL
    assert judged(Boot())[1]["compose_hash"].passed


def test_a_fact_is_derived_once_from_each_log_and_a_failure_every_time() -> None:
    asked: list[int] = []

    def count(log: EventLog) -> int:
        asked.append(len(log.events))
        return len(log.events)

    def fail(_: EventLog) -> int:
        raise Malformed("no")

    one, two = parse_event_log(LOG), EventLog(parse_event_log(LOG).events[:3])
    assert [one.once(count), one.once(count), two.once(count)] == [len(one.events), len(one.events), 3]
    assert asked == [len(one.events), 3]
    for _ in range(2):
        with pytest.raises(Malformed):
            one.once(fail)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    ),
    st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_what_the_fast_reader_reads_is_what_the_strict_one_reads(value: object, marks: tuple[str, str]) -> None:
    text = json.dumps({"a": value}, separators=marks)
    fast = read_compact(text)
    spaced = " " + text  # which only the strict reader takes
    if fast is not UNREAD:
        assert fast == parse_json(spaced, "document")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"a":2}',
        '{"a": 1}',
        '{"a":-0}',
        '{"a":1e2}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":123456789012345678901}',
        '{"a":"\\u0041"}',
        '{"a":"\\/"}',
        '{"a":"\\ud800"}',
        '{"a":"\ud800"}',
        "[" * 9 + "]" * 9,
        '{"a":1}\n',
        '\ufeff{"a":1}',
        "1",
        '"a"',
        "",
    ],
)
def test_a_text_with_a_second_reading_needs_the_strict_reader(text: str) -> None:
    assert read_compact(text) is UNREAD
