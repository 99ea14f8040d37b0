"""The log folded to what held when: every generation, every disorder of an endpoint, every change by whose hand."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_log import (
    APP,
    CODE,
    FALSE,
    FOREIGN_CODE,
    KMS,
    NEXT_CODE,
    OTHER,
    OWNER,
    TRUE,
    added,
    block_hash,
    created,
    log,
    policy_changed,
    removed,
)
from twinproof.chain.fold import fold_history
from twinproof.chain.history import History, NoteKind, Subject, Value
from twinproof.chain.log import Log
from twinproof.errors import Contradiction, Malformed

UPGRADED = log("Upgraded(address)", at=(0, 0), indexed=(CODE,)).topics[0]
H1, H2, H3 = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32


def fold(logs: list[Log], *, to_block: int = 100, initial: dict[Subject, Value] | None = None) -> History:
    return fold_history(
        logs, APP, to_block=to_block, known_implementations=frozenset({CODE, NEXT_CODE}), initial=initial
    )


def spans(history: History, subject: Subject) -> list[tuple[Value, int | None, int | None]]:
    return [
        (
            span.value,
            span.since.block_number if span.since else None,
            span.until.block_number if span.until else None,
        )
        for span in history.of(subject)
    ]


def test_what_the_factory_writes_is_the_start_of_every_span() -> None:
    history = fold(created())
    assert spans(history, Subject.COMPOSE_HASH) == [(H1, 10, None)]
    assert history.value(Subject.OWNER) == OWNER
    assert history.value(Subject.IMPLEMENTATION) == CODE
    assert (history.notes, history.opaque_since) == ((), None)


def test_a_hash_holds_from_its_log_to_the_log_of_its_removal() -> None:
    history = fold([*created(), added(H2, 20), removed(H1, 30), added(H1, 40)])
    assert spans(history, Subject.COMPOSE_HASH) == [(H1, 10, 30), (H2, 20, None), (H1, 40, None)]
    assert history.values_at(Subject.COMPOSE_HASH, 29) == (H1, H2)
    assert history.values_at(Subject.COMPOSE_HASH, 30) == (H2,)
    assert history.values_at(Subject.COMPOSE_HASH, 9) == ()
    assert history.ever(Subject.COMPOSE_HASH) == (H1, H2)


def test_what_is_added_and_removed_in_one_block_is_not_there_at_its_end() -> None:
    history = fold([*created(), added(H2, 20, 0), removed(H2, 20, 1)])
    assert H2 not in history.values_at(Subject.COMPOSE_HASH, 20)
    assert H2 in history.ever(Subject.COMPOSE_HASH)


def test_adding_again_and_removing_the_unknown_change_nothing_and_are_said() -> None:
    history = fold([*created(), added(H1, 20), removed(H3, 21)])
    assert spans(history, Subject.COMPOSE_HASH) == [(H1, 10, None)]
    assert [(note.kind, note.text) for note in history.notes] == [
        (NoteKind.ALREADY, f"compose hash 0x{H1.hex()}"),
        (NoteKind.NOT_THERE, f"compose hash 0x{H3.hex()}"),
    ]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=40))
def test_any_sequence_of_adding_and_removing_ends_in_the_same_set_as_a_set(steps: list[tuple[bool, int]]) -> None:
    logs: list[Log] = []
    expected: set[Value] = set()
    for number, (add, which) in enumerate(steps):
        value = bytes([which]) * 32
        logs.append((added if add else removed)(value, 10 + number))
        (expected.add if add else expected.discard)(value)
        history = fold(logs)
        assert set(history.values_at(Subject.COMPOSE_HASH, 10 + number)) == expected
        assert {span.value for span in history.current(Subject.COMPOSE_HASH)} == expected


def test_the_actor_is_named_by_the_policy_change_that_follows() -> None:
    logs = [
        *created(),
        added(H2, 20, 0),
        policy_changed("compose-hash", H2, TRUE, at=(20, 1), actor=OTHER),
        removed(H1, 21, 0),
        policy_changed("compose-hash", H1, FALSE, at=(21, 1)),
        policy_changed("implementation-upgrade", NEXT_CODE, TRUE, at=(22, 0)),
        log("Upgraded(address)", at=(22, 1), indexed=(NEXT_CODE,)),
        log("AllowAnyDeviceSet(bool)", TRUE, at=(23, 0)),
        policy_changed("allow-any-device", b"", TRUE, at=(23, 1)),
    ]
    history = fold(logs)
    h1, h2 = history.of(Subject.COMPOSE_HASH)
    assert h2.since is not None
    assert h2.since.actor == OTHER
    assert h1.until is not None
    assert h1.until.actor == OWNER
    assert [span.since.actor for span in history.of(Subject.IMPLEMENTATION) if span.since] == [None, OWNER]
    assert [span.since.actor for span in history.of(Subject.ALLOW_ANY_DEVICE) if span.since] == [OWNER]
    assert history.notes == ()


def test_a_contract_that_names_no_actor_leaves_the_sender() -> None:
    change = added(H2, 20)
    history = fold_history(
        [*created(), change],
        APP,
        to_block=100,
        known_implementations=frozenset({CODE}),
        senders={change.transaction_hash: OTHER},
    )
    assert [span.since.actor for span in history.of(Subject.COMPOSE_HASH) if span.since] == [None, OTHER]


@pytest.mark.parametrize(
    "stray",
    [
        policy_changed("compose-hash", H3, TRUE, at=(20, 1)),
        policy_changed("device", H2, TRUE, at=(20, 1)),
        policy_changed("compose-hash", H2, TRUE, at=(20, 2)),
        policy_changed("compose-hash", H2, TRUE, at=(21, 1)),
    ],
    ids=["another hash", "another policy", "not next to it", "another transaction"],
)
def test_a_policy_change_without_its_change_is_said(stray: Log) -> None:
    history = fold([*created(), added(H2, 20, 0), stray])
    assert [note.kind for note in history.notes] == [NoteKind.UNEXPLAINED_POLICY]
    assert [span.since.actor for span in history.of(Subject.COMPOSE_HASH) if span.since] == [None, None]


def test_an_upgrade_to_unknown_code_makes_everything_after_it_opaque() -> None:
    history = fold([*created(), log("Upgraded(address)", at=(20, 0), indexed=(FOREIGN_CODE,)), added(H2, 30)])
    assert history.opaque_since is not None
    assert history.opaque_since.block_number == 20
    assert [note.kind for note in history.notes] == [NoteKind.UNKNOWN_IMPLEMENTATION]


def test_an_app_made_with_unknown_code_was_always_opaque() -> None:
    history = fold_history(created(), APP, to_block=100)
    assert history.opaque_since is not None
    assert history.opaque_since.block_number == 10


@pytest.mark.parametrize("late", [[], [log("Upgraded(address)", at=(30, 0), indexed=(CODE,))]], ids=["never", "late"])
def test_a_contract_of_somebodys_own_that_does_not_begin_with_its_code_is_opaque_from_the_start(
    late: list[Log],
) -> None:
    """It was registered by a stranger, is no proxy, and may allow what it writes no event of."""
    history = fold([*(item for item in created() if item.topics[0] != UPGRADED), *late])
    assert history.opaque_since is not None
    assert history.opaque_since.block_number == 10


@pytest.mark.parametrize("initially", [True, False])
def test_an_upgrade_after_upgrades_were_disabled_is_said(initially: bool) -> None:
    upgrade = log("Upgraded(address)", at=(30, 0), indexed=(NEXT_CODE,))
    disabled = [] if initially else [log("UpgradesDisabled()", at=(20, 0))]
    history = fold([*created(), *disabled, upgrade], initial={Subject.UPGRADES_DISABLED: initially})
    assert [note.kind for note in history.notes] == [NoteKind.UPGRADED_THOUGH_DISABLED]


def test_flags_that_no_event_shows_come_from_the_state_at_creation() -> None:
    change = log("RequireTcbUpToDateSet(bool)", TRUE, at=(20, 0))
    history = fold([*created(), change], initial={Subject.REQUIRE_TCB_UP_TO_DATE: False})
    assert spans(history, Subject.REQUIRE_TCB_UP_TO_DATE) == [(False, None, 20), (True, 20, None)]
    assert history.values_at(Subject.REQUIRE_TCB_UP_TO_DATE, 5) == (False,)
    assert fold(created()).value(Subject.ALLOW_ANY_DEVICE) is None


def test_ownership_in_two_steps_and_in_one() -> None:
    logs = [
        *created(),
        log("OwnershipTransferStarted(address,address)", at=(20, 0), indexed=(OWNER, OTHER)),
        log("OwnershipTransferred(address,address)", at=(21, 0), indexed=(OWNER, OTHER)),
        log("OwnershipTransferred(address,address)", at=(30, 0), indexed=(OTHER, bytes(20))),
    ]
    history = fold(logs)
    assert spans(history, Subject.PENDING_OWNER) == [(OTHER, 20, 21)]
    assert spans(history, Subject.OWNER) == [(OWNER, 10, 21), (OTHER, 21, 30), (bytes(20), 30, None)]


def test_a_kms_s_own_history_is_read_with_the_deployers_of_its_factory() -> None:
    logs = [
        log("OsImageHashAdded(bytes32)", H1, at=(5, 0), address=KMS),
        log("AppAuthImplementationSet(address)", CODE, at=(6, 0), address=KMS),
        log("AppImplementationSet(address)", NEXT_CODE, at=(7, 0), address=KMS),
        log("AppRegistered(address)", APP, at=(10, 5), address=KMS),
        log("AppDeployedViaFactory(address,address)", at=(10, 6), indexed=(APP, OTHER), address=KMS),
        log("OsImageHashRemoved(bytes32)", H1, at=(50, 0), address=KMS),
    ]
    history = fold_history(logs, KMS, to_block=60)
    assert history.deployed_by == {APP: OTHER}
    assert spans(history, Subject.OS_IMAGE) == [(H1, 5, 50)]
    assert history.ever(Subject.APP_IMPLEMENTATION) == (CODE, NEXT_CODE)
    assert history.values_at(Subject.APP, 60) == (APP,)


def test_logs_out_of_order_and_twice_are_put_right_and_said() -> None:
    logs = [*created(), added(H2, 20), removed(H1, 30)]
    shuffled = [*logs, logs[2]]
    random.Random(1).shuffle(shuffled)
    history = fold(shuffled)
    assert history.spans == fold(logs).spans
    assert {note.kind for note in history.notes} == {NoteKind.OUT_OF_ORDER, NoteKind.DUPLICATE_LOG}


def test_a_block_with_two_hashes_is_a_reorganisation_under_our_feet() -> None:
    other = replace(added(H2, 10, 9), block_hash=block_hash(999))
    with pytest.raises(Contradiction, match="reorganised while it was read"):
        fold([*created(), other])


def test_two_logs_at_one_place_are_a_contradiction() -> None:
    with pytest.raises(Contradiction, match="two logs at one place"):
        fold([added(H1, 20), added(H2, 20)])


def test_a_log_of_a_later_block_than_was_asked_for_is_refused() -> None:
    with pytest.raises(Malformed, match="later block"):
        fold([added(H1, 101)])


def test_a_log_of_a_foreign_contract_with_the_same_topic_is_refused() -> None:
    foreign = log("ComposeHashAdded(bytes32)", H2, at=(20, 0), address=KMS)
    with pytest.raises(Malformed, match="another contract"):
        fold([*created(), foreign])


def test_another_event_of_the_same_contract_is_said() -> None:
    assert [note.kind for note in fold([log("Transfer(address)", at=(20, 0))]).notes] == [NoteKind.OTHER_EVENT]


def test_the_contract_s_own_answer_is_held_against_the_events() -> None:
    history = fold([*created(), added(H2, 20), removed(H1, 30)])
    assert history.contradictions(Subject.COMPOSE_HASH, {H1: False, H2: True, H3: False}) == ()
    assert history.contradictions(Subject.COMPOSE_HASH, {H1: True, H2: True}) == (
        f"compose hash 0x{H1.hex()}: the events say not allowed, the contract says allowed",
    )
    assert history.contradictions(Subject.COMPOSE_HASH, {H3: True}) != ()
