"""One event, read by the pattern for events as guests write them, is what the strict JSON reader reads, or refuses."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinproof.dstack.event_log import _AS_MEASURED, Event, _event, _read
from twinproof.errors import Malformed
from twinproof.wire import parse_object

FORM = '"imr":{imr},"event_type":{kind},"digest":"{digest}","event":"{name}","event_payload":"{payload}"'
DIGEST = "ab" * 48
WEIRD = [
    "",
    " ",
    "\t",
    "\n",
    "\x00",
    "\x1f",
    "\x7f",
    "\x80",
    "\u0660",
    "\u2028",
    "\ud800",
    "\ufeff",
    "é",
    ":",
    "\\",
    '"',
]
WEIRD += ["\\u003a", "\\u0041", "\\/", "\\ud800", "},{", "}", "{", ",", '","event":"', '","version":2,"preimage":"']

names = st.text(st.characters(max_codepoint=0x180), max_size=20) | st.lists(
    st.sampled_from([*WEIRD, "compose-hash", "a"]), max_size=4
).map("".join)
hexes = st.text(string.hexdigits, max_size=12) | st.sampled_from(
    [
        DIGEST,
        DIGEST[:-1],
        DIGEST + "00",
        DIGEST.upper(),
        "0x00",
        "0 0",
        "zz",
        "\u0660\u0660",
        "ff\n",
        "a" * 2048,
        "a" * 2049,
        "a" * 2050,
    ]
)
numbers = st.sampled_from(
    ["3", "03", "3.0", "3e0", "-3", " 3", "3 ", "0", "134217729", "134217729.0", "true", '"3"', "\u0663"]
)


def strictly(inner: str) -> Event | str:
    try:
        return _event(parse_object(f"{{{inner}}}", "event").raw, "event")
    except Malformed:
        return "malformed"


def quickly(inner: str) -> Event | str:
    try:
        return _read(inner)
    except Malformed:
        return "malformed"


@settings(max_examples=400, deadline=None)
@given(names, hexes, hexes, numbers, numbers)
def test_values_at_the_edges_of_the_pattern(name: str, digest: str, payload: str, imr: str, kind: str) -> None:
    for usual_imr, usual_kind in (("3", "134217729"), (imr, kind)):
        inner = FORM.format(imr=usual_imr, kind=usual_kind, digest=digest, name=name, payload=payload)
        assert quickly(inner) == strictly(inner)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 170), st.integers(0, 3), st.sampled_from(WEIRD) | st.characters())
def test_one_event_mutated_anywhere(place: int, cut: int, mark: str) -> None:
    inner = FORM.format(imr=3, kind=134217729, digest="", name="compose-hash", payload="00" * 32)
    text = inner[:place] + mark + inner[place + cut :]
    assert quickly(text) == strictly(text)


@pytest.mark.parametrize("size", [1023, 1024, 1025])
def test_names_as_long_as_allowed(size: int) -> None:
    inner = FORM.format(imr=3, kind=134217729, digest=DIGEST, name="n" * size, payload="")
    assert quickly(inner) == strictly(inner)
    assert (strictly(inner) == "malformed") == (size > 1024)


@pytest.mark.parametrize("code", range(0x180))
def test_every_letter_that_the_pattern_takes_stands_for_itself_in_json(code: int) -> None:
    inner = FORM.format(imr=3, kind=134217729, digest="", name=f"a{chr(code)}b", payload="")
    assert quickly(inner) == strictly(inner)
    if _AS_MEASURED.fullmatch(inner):
        assert json.loads(f"{{{inner}}}")["event"] == f"a{chr(code)}b"
        assert chr(code) != ":"
