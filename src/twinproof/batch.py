"""Many items through any executor: results in the order of the items, few in flight, none lost beside a dead worker.

Memory does not grow with the input: at most `window` chunks, and about `max_bytes`, are anywhere on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Chunk", "WorkerDied", "in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Chunk(Generic[Item]):
    """Items that travel to a worker together. `size` is what they weigh on the way, in bytes."""

    items: tuple[Item, ...]
    size: int = 0


class WorkerDied(BrokenExecutor):
    """The process of a task ended before it had answered. `finished` is the number of items it was through with."""

    def __init__(self, what: str, finished: int = 0) -> None:
        super().__init__(what)
        self.finished = finished


def in_order(
    chunks: Iterable[Chunk[Item] | None],
    executor: Executor,
    work: Callable[[Sequence[Item]], Iterable[Result]],
    *,
    lost: Callable[[Item, BaseException], Result],
    window: int,
    max_bytes: int = MAX_BYTES,
    deaths: tuple[type[BaseException], ...] = (BrokenExecutor,),
) -> Iterator[Result]:
    """`work(items)` for every chunk, one result per item, in the order of the items.

    A chunk of None says that the input has nothing to give just now: what is in flight is awaited before more is asked.
    `lost(item, death)` is the result of an item whose worker died. After a `WorkerDied` that is the item the worker was
    at; those before and behind it go to another worker. After any other of `deaths` it is not known which item it was:
    they are tried again one at a time, each once. Other exceptions of `work` or of the input pass through.
    """
    if window < 1:
        raise ValueError("a window of at least 1")
    submit = _Submit(executor, work, deaths)
    flying: deque[tuple[Chunk[Item], Future[Iterable[Result]]]] = deque()
    weight = 0
    for chunk in chunks:
        if chunk is not None:
            flying.append((chunk, submit(chunk.items)))
            weight += chunk.size
        while flying and (chunk is None or len(flying) >= window or weight > max_bytes):
            oldest, future = flying.popleft()
            weight -= oldest.size
            yield from _results(oldest.items, future, submit, lost)
    for oldest, future in flying:
        yield from _results(oldest.items, future, submit, lost)


@dataclass(frozen=True, slots=True)
class _Submit(Generic[Item, Result]):
    """Submits, and gives a refusal of the executor as the future's death."""

    executor: Executor
    work: Callable[[Sequence[Item]], Iterable[Result]]
    deaths: tuple[type[BaseException], ...]

    def __call__(self, items: tuple[Item, ...]) -> Future[Iterable[Result]]:
        try:
            return self.executor.submit(self.work, items)
        except self.deaths as death:
            dead: Future[Iterable[Result]] = Future()
            dead.set_exception(death)
            return dead


def _results(
    items: tuple[Item, ...],
    future: Future[Iterable[Result]],
    submit: _Submit[Item, Result],
    lost: Callable[[Item, BaseException], Result],
) -> Iterator[Result]:
    try:
        results = tuple(future.result())
    except submit.deaths as death:
        if len(items) == 1:
            yield lost(items[0], death)
        elif isinstance(death, WorkerDied):
            at = min(death.finished, len(items) - 1)
            before, behind = items[:at], items[at + 1 :]
            if before:
                yield from _results(before, submit(before), submit, lost)
            yield lost(items[at], death)
            if behind:
                yield from _results(behind, submit(behind), submit, lost)
        else:
            for item in items:
                yield from _results((item,), submit((item,)), submit, lost)
        return
    if len(results) != len(items):
        raise RuntimeError(f"{len(results)} results for {len(items)} items")
    yield from results
