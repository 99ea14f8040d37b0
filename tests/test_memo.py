"""The memory of the verifier: bounded, and never an answer to a question that was not asked before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated import AT, judge, members, quote
from twinproof.errors import Forged
from twinproof.memo import Memo, remembered


def test_a_result_is_computed_once() -> None:
    memo, computed = Memo(), iter(["first", "second"])
    for _ in range(3):
        assert memo.recall(("purpose", b"bytes"), lambda: next(computed)) == "first"


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.binary(max_size=2), st.binary(max_size=2)), max_size=30))
def test_other_bytes_are_another_question(keys: list[tuple[str, bytes, bytes]]) -> None:
    memo = Memo()
    for key in keys:
        assert memo.recall(key, lambda key=key: key) == key  # type: ignore[misc]


def test_the_least_recently_used_goes_first() -> None:
    memo = Memo(max_entries=2)
    for name in ("old", "new", "old", "newest"):
        memo.recall((name,), lambda name=name: name)  # type: ignore[misc]
    assert len(memo) == 2
    assert memo.recall(("old",), lambda: "again") == "old"
    assert memo.recall(("new",), lambda: "again") == "again"


def test_it_is_bounded_by_number_and_by_size() -> None:
    by_number, by_size = Memo(max_entries=100), Memo(max_bytes=10_000)
    for number in range(2000):
        by_number.recall((f"{number}",), lambda: True)
        by_size.recall((f"{number}", bytes(1000)), lambda: True)
        assert len(by_number) <= 100
        assert len(by_size) <= 10
    assert len(by_number) >= 50


def test_what_is_larger_than_the_room_is_answered_and_soon_forgotten() -> None:
    memo = Memo(max_bytes=100)
    assert memo.recall(("large", bytes(1000)), lambda: "yes") == "yes"
    memo.recall(("a", bytes(40)), lambda: "a")
    memo.recall(("b", bytes(40)), lambda: "b")
    assert memo.recall(("large", bytes(1000)), lambda: "again") == "again"


def test_threads_that_share_a_memory_get_their_own_answers() -> None:
    memo = Memo(max_entries=16)

    def ask(start: int) -> bool:
        return all(memo.recall((f"{n % 40}",), lambda n=n: n % 40) == n % 40 for n in range(start, start + 3000))  # type: ignore[misc]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))
    assert len(memo) <= 16


def test_a_failure_is_not_remembered() -> None:
    memo = Memo()

    def fail() -> str:
        raise Forged("no")

    with pytest.raises(Forged):
        memo.recall(("purpose",), fail)
    assert len(memo) == 0
    assert memo.recall(("purpose",), lambda: "yes") == "yes"


def test_a_warm_verification_says_what_a_cold_one_says() -> None:
    memo = Memo()
    first, second = judge(quote(), memo=memo), judge(quote(), memo=memo)
    assert first.checks == second.checks == judge(quote()).checks
    assert first.good.quote == second.good.quote
    assert (first.good.pck, first.good.tcb_status, first.good.launch) == (
        second.good.pck,
        second.good.tcb_status,
        second.good.launch,
    )


@pytest.mark.parametrize(
    ("at", "step"),
    [(AT + 60 * 86_400, "dcap.pck_crl"), (AT - 86_400, "dcap.root_crl"), (AT + 9 * 365 * 86_400, "dcap.pck_chain")],
)
def test_time_is_judged_anew_at_every_call(at: int, step: str) -> None:
    memo = Memo()
    assert judge(quote(), memo=memo).genuine
    assert judge(quote(), at=at, memo=memo).failed == (step, "Stale")
    assert judge(quote(), memo=memo).genuine


@pytest.mark.parametrize("at", [-1, -(10**30), 10**30, 253402300800])
def test_a_time_that_is_no_date_is_out_of_every_window(at: int) -> None:
    assert judge(quote(), at=at).failed == ("dcap.pck_chain", "Stale")


@pytest.mark.parametrize("member", ["tcb_info_signature", "qe_identity_signature"])
def test_a_remembered_document_does_not_vouch_for_another_signature(member: str) -> None:
    memo = Memo()
    assert judge(quote(), memo=memo).genuine
    assert judge(quote(), members() | {member: "11" * 64}, memo=memo).failed[1] == "Forged"


def test_a_remembered_function_answers_as_itself_and_remembers_no_failure() -> None:
    asked: list[tuple[str, str]] = []

    @remembered
    def joined(text: str, end: str = "") -> str:
        asked.append((text, end))
        if not text:
            raise Forged("empty")
        return text + end

    assert [joined("a"), joined("a"), joined("a", "b"), joined("a", end="b")] == ["a", "a", "ab", "ab"]
    assert asked == [("a", ""), ("a", "b"), ("a", "b")]
    for _ in range(2):
        with pytest.raises(Forged):
            joined("")
