"""The signed member of a served document comes out to the letter, wherever it stands."""

from __future__ import annotations

import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.sources.signed_json import signed_member

SIGNATURE = "ab" * 64
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
SPACES = st.text(" \t\r\n", max_size=3)


@given(OBJECTS, OBJECTS, st.randoms(), SPACES, st.sampled_from([None, 2]))
def test_the_slice_is_exact_in_any_order_and_spacing(
    signed: dict[str, object],
    others: dict[str, object],
    random: Random,
    space: str,
    indent: int | None,
) -> None:
    text = json.dumps(signed, indent=indent, ensure_ascii=indent is None)
    members = [(name, json.dumps(value)) for name, value in others.items() if name not in ("tcbInfo", "signature")]
    members += [("tcbInfo", text), ("signature", json.dumps(SIGNATURE))]
    random.shuffle(members)
    body = f",{space}".join(f"{space}{json.dumps(name)}{space}:{space}{value}{space}" for name, value in members)
    assert signed_member(f"{space}{{{body}}}{space}".encode(), "tcbInfo", "x") == (text, bytes.fromhex(SIGNATURE))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_other_bytes_are_malformed(body: bytes) -> None:
    for document in (body, b'{"tcbInfo":{},' + body + b"}", b'{"tcbInfo":' + body):
        try:
            signed_member(document, "tcbInfo", "x")
        except Malformed:
            continue
        raise AssertionError(document)
