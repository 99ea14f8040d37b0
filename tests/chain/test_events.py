"""Events: every topic is the hash of its signature, every argument has one encoding, and addresses are held to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.chain import events
from twinproof.chain.events import TOPICS, UNKNOWN_POLICY, Kind, decode_event, topics
from twinproof.chain.log import Log
from twinproof.errors import Malformed
from twinproof.keccak import keccak256

APP = b"\xaa" * 20
WORDS = {
    "bytes32": b"\x11" * 32,
    "address": bytes(12) + b"\x22" * 20,
    "bool": bytes(31) + b"\1",
    "uint64": bytes(31) + b"\1",
}
DYNAMIC = bytes(31) + b"\x20" + bytes(31) + b"\x02" + b"hi" + bytes(30)


def log(topic: bytes, *, indexed: tuple[bytes, ...] = (), data: bytes = b"", address: bytes = APP) -> Log:
    return Log(address, (topic, *indexed), data, 5, b"\x01" * 32, b"\x02" * 32, 0, 3)


def good(topic: bytes) -> Log:
    form = TOPICS[topic]
    data = b"".join(WORDS.get(kind, DYNAMIC) for kind in form.data)
    return log(topic, indexed=tuple(WORDS[kind] for kind in form.indexed), data=data)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: TOPICS[topic].kind)
def test_every_topic_is_the_hash_of_its_signature(topic: bytes) -> None:
    assert keccak256(TOPICS[topic].signature.encode()) == topic


def test_every_event_of_the_contracts_has_a_topic() -> None:
    assert {form.kind for form in TOPICS.values()} == set(Kind)
    assert len(topics()) == len(Kind)


def test_every_policy_is_the_hash_of_its_name() -> None:
    assert all(keccak256(name.encode()) == topic for topic, name in events._POLICIES.items())


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: TOPICS[topic].kind)
def test_every_event_is_read_as_its_signature_says(topic: bytes) -> None:
    event = decode_event(good(topic), APP)
    assert event is not None
    assert len(event.values) == len(TOPICS[topic].indexed + TOPICS[topic].data)


def test_a_policy_change_names_who_what_and_whether() -> None:
    actor, policy, value = bytes(12) + b"\x07" * 20, keccak256(b"compose-hash"), b"\x11" * 32
    topic = topics(Kind.POLICY_CHANGED)[0]
    event = decode_event(log(topic, indexed=(actor, policy, value), data=bytes(31) + b"\1"), APP)
    assert event is not None
    assert (event.actor, event.policy, event.flag) == (b"\x07" * 20, "compose-hash", True)
    other = decode_event(log(topic, indexed=(actor, value, value), data=bytes(32)), APP)
    assert other is not None
    assert (other.policy, other.flag) == (UNKNOWN_POLICY, False)


def test_the_same_topic_of_a_foreign_contract_is_refused() -> None:
    foreign = log(topics(Kind.COMPOSE_HASH_ADDED)[0], data=b"\x11" * 32, address=b"\xbb" * 20)
    with pytest.raises(Malformed, match="another contract"):
        decode_event(foreign, APP)


def test_another_event_is_no_event_of_ours() -> None:
    assert decode_event(log(b"\x77" * 32), APP) is None
    assert decode_event(Log(APP, (), b"", 5, b"\x01" * 32, b"\x02" * 32, 0, 3), APP) is None


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: TOPICS[topic].kind)
def test_an_event_with_a_word_or_a_topic_more_or_less_is_refused(topic: bytes) -> None:
    made = good(topic)
    for topics_, data in (
        (made.topics, made.data + bytes(32)),
        (made.topics, made.data + b"\0"),
        (made.topics, made.data[:-1] or b"\1"),
        ((*made.topics, b"\1" * 32), made.data),
    ):
        with pytest.raises(Malformed):
            decode_event(Log(APP, topics_, data, 5, b"\x01" * 32, b"\x02" * 32, 0, 3), APP)


@given(st.sampled_from(list(TOPICS)), st.binary(min_size=32, max_size=32))
def test_a_word_outside_its_type_is_refused(topic: bytes, word: bytes) -> None:
    form, value = TOPICS[topic], int.from_bytes(word, "big")
    for kind, limit in (("address", 1 << 160), ("bool", 2), ("uint64", 1 << 64)):
        if form.data == (kind,) and value >= limit:
            with pytest.raises(Malformed, match="not the encoding"):
                decode_event(log(topic, indexed=tuple(WORDS[item] for item in form.indexed), data=word), APP)


def test_a_dirty_indexed_address_is_refused() -> None:
    with pytest.raises(Malformed, match="topic 1: not the encoding of address"):
        decode_event(log(topics(Kind.UPGRADED)[0], indexed=(b"\1" + bytes(31),)), APP)
