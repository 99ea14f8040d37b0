"""All at once, in order, none lost: and whoever waits can stop waiting."""

from __future__ import annotations

import threading
import time

import pytest

from twinproof.errors import TwinproofError, Unavailable
from twinproof.sources.concurrent import MAX_WORKERS, fetch_all


def test_results_come_in_the_order_of_the_names_whoever_is_first() -> None:
    def fetch(index: int, name: str) -> str:
        time.sleep(0.05 * (3 - index))
        return name.upper()

    assert fetch_all(["a", "b", "c"], fetch) == ["A", "B", "C"]


def test_one_that_fails_does_not_lose_the_others() -> None:
    def fetch(index: int, name: str) -> str:
        if index == 1:
            raise Unavailable("down", where=name)
        return name

    first, second, third = fetch_all(["a", "b", "c"], fetch)
    assert (first, third) == ("a", "c")
    assert isinstance(second, TwinproofError)
    assert second.where == "b"


def test_they_really_run_at_the_same_time() -> None:
    together = threading.Barrier(8)
    assert fetch_all(["x"] * 8, lambda index, _: together.wait(5) * 0 + index) == list(range(8))


def test_many_names_need_no_more_than_the_bounded_number_of_threads() -> None:
    most = 0

    def fetch(index: int, _: str) -> int:
        nonlocal most
        most = max(most, sum(thread.name.startswith("fetch ") for thread in threading.enumerate()))
        return index

    assert fetch_all(["x"] * 500, fetch) == list(range(500))
    assert most <= MAX_WORKERS


def test_nothing_to_fetch_is_nothing() -> None:
    assert fetch_all([], lambda *_: 1) == []


def test_progress_is_told_once_for_each_in_the_callers_thread() -> None:
    told: list[tuple[int, int, str]] = []
    here = threading.current_thread()

    def progress(done: int, total: int, name: str) -> None:
        assert threading.current_thread() is here
        told.append((done, total, name))

    def fetch(_: int, name: str) -> None:
        if name == "b":
            raise Unavailable("down")

    fetch_all(["a", "b", "c"], fetch, progress=progress)
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert {name for _, _, name in told} == {"a", "b", "c"}


def test_a_bug_is_not_a_result() -> None:
    def fetch(_: int, name: str) -> str:
        raise ValueError(name)

    with pytest.raises(ValueError, match="a"):
        fetch_all(["a"], fetch)


def test_an_interrupt_does_not_wait_for_slow_instances() -> None:
    released = threading.Event()
    started: list[str] = []

    def fetch(index: int, name: str) -> int:
        started.append(name)
        if index:
            released.wait(10)
        return index

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch_all([str(number) for number in range(100)], fetch, progress=interrupted)
    assert time.monotonic() - start < 5
    released.set()
    time.sleep(0.2)
    assert len(started) <= MAX_WORKERS + 1  # and no more are started for nobody
