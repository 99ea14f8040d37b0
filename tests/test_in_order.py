"""The core of a batch, with executors that a test controls: order, bounds, and what a dead worker costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.batch import Chunk, WorkerDied, in_order

Arguments = ParamSpec("Arguments")
Given = TypeVar("Given")


class HereAndNow(Executor):
    """Runs a task when it is submitted; counts the tasks whose result nobody has taken."""

    def __init__(self) -> None:
        self.tasks: list[object] = []

    def submit(
        self, fn: Callable[Arguments, Given], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Given]:
        self.tasks.append(args[0])
        future: Future[Given] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (as an executor does)
            future.set_exception(error)
        return future


def double(items: Sequence[int]) -> list[str]:
    return [str(2 * item) for item in items]


def lost(item: int, death: BaseException) -> str:
    return f"lost {item}: {death}"


def chunks(*sizes: int) -> Iterator[Chunk[int]]:
    number = 0
    for size in sizes:
        yield Chunk(tuple(range(number, number + size)), size)
        number += size


@given(st.lists(st.integers(1, 5), max_size=20), st.integers(1, 6))
def test_results_come_in_the_order_of_the_items(sizes: list[int], window: int) -> None:
    with ThreadPoolExecutor(3) as threads:
        results = list(in_order(chunks(*sizes), threads, double, lost=lost, window=window))
    assert results == [str(2 * number) for number in range(sum(sizes))]


def test_no_more_than_the_window_is_taken_from_the_input() -> None:
    executor = HereAndNow()
    results = in_order(chunks(*[1] * 10_000), executor, double, lost=lost, window=4)
    for number in range(100):
        assert next(results) == str(2 * number)
        assert len(executor.tasks) <= number + 4


def test_heavy_chunks_wait_for_each_other() -> None:
    executor = HereAndNow()
    results = in_order(chunks(*[10] * 50), executor, double, lost=lost, window=40, max_bytes=25)
    next(results)
    assert len(executor.tasks) == 3


def test_what_is_in_flight_comes_out_when_the_input_has_nothing_to_give() -> None:
    asked = []

    def slow() -> Iterator[Chunk[int] | None]:
        for number in range(3):
            asked.append(number)
            yield Chunk((number,))
            yield None

    results = in_order(slow(), HereAndNow(), double, lost=lost, window=100)
    assert next(results) == "0"
    assert asked == [0]


def test_only_the_item_at_which_a_worker_died_is_lost() -> None:
    def poisoned(items: Sequence[int]) -> list[str]:
        if 5 in items:
            raise WorkerDied("killed", items.index(5))
        return double(items)

    executor = HereAndNow()
    results = list(in_order(chunks(4, 4, 4), executor, poisoned, lost=lost, window=2))
    assert results == [*double(range(5)), "lost 5: killed", *double(range(6, 12))]
    assert executor.tasks == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (4,), (6, 7)]


def test_workers_that_die_again_and_again_lose_every_item_and_come_to_an_end() -> None:
    def deadly(items: Sequence[int]) -> list[str]:
        raise WorkerDied("killed", 2)

    results = list(in_order(chunks(7), HereAndNow(), deadly, lost=lost, window=2))
    assert results == [f"lost {number}: killed" for number in range(7)]


def test_where_the_item_is_not_known_each_is_tried_once_more_alone() -> None:
    class Killed(Exception):
        """As another kind of executor calls it."""

    def poisoned(items: Sequence[int]) -> list[str]:
        if 1 in items:
            raise Killed("died")
        return double(items)

    executor = HereAndNow()
    results = list(in_order(chunks(3, 1), executor, poisoned, lost=lost, window=9, deaths=(Killed,)))
    assert results == ["0", "lost 1: died", "4", "6"]
    assert executor.tasks == [(0, 1, 2), (3,), (0,), (1,), (2,)]


def test_an_executor_that_takes_nothing_more_loses_every_item_and_says_so() -> None:
    class Broken(Executor):
        def submit(self, *_: object, **__: object) -> Future[Given]:
            raise BrokenExecutor("pool is broken")

    results = list(in_order(chunks(2, 1), Broken(), double, lost=lost, window=2))
    assert results == [f"lost {number}: pool is broken" for number in range(3)]


def test_a_bug_in_the_work_is_not_taken_for_a_dead_worker() -> None:
    def broken(items: Sequence[int]) -> list[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_order(chunks(1), HereAndNow(), broken, lost=lost, window=1))


def test_work_that_gives_too_few_results_is_a_bug_and_not_a_shorter_batch() -> None:
    with pytest.raises(RuntimeError, match="1 results for 2 items"):
        list(in_order(chunks(2), HereAndNow(), lambda items: double(items[:1]), lost=lost, window=1))


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        next(in_order(chunks(1), HereAndNow(), double, lost=lost, window=0))
