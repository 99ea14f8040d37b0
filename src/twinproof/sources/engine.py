"""Where the work of an audit is done: worker processes of this machine, or a Dask cluster that somebody runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from twinproof.errors import Unavailable, UsageError
from twinproof.sources.workers import Workers
from twinproof.wire import shown

__all__ = ["Engine", "cluster", "local"]

MAX_JOBS = 256
_CONNECT_SECONDS = 10
Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Engine:
    """An executor, how many tasks it does at once, and the exceptions that mean a worker's death."""

    executor: Executor
    jobs: int
    deaths: tuple[type[BaseException], ...] = (BrokenExecutor,)


def _nothing() -> None:
    """These workers need no preparation."""


@contextmanager
def local(jobs: int | None) -> Iterator[Engine]:
    """`jobs` processes, by default one for each CPU that this process may use. Raises UsageError."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(MAX_JOBS, cpus) if jobs is None else jobs
    if not 1 <= count <= MAX_JOBS:
        raise UsageError("not a number of processes", where="--jobs", got=str(count), expected=f"1 to {MAX_JOBS}")
    with Workers(count, _nothing) as workers:
        yield Engine(workers, count)


@contextmanager
def cluster(address: str) -> Iterator[Engine]:
    """The workers of the scheduler at this address. Raises UsageError without Dask, Unavailable without a scheduler.

    A task whose worker died is given to another one by the scheduler itself, a few times.
    """
    try:
        from distributed import Client, KilledWorker  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as error:
        raise UsageError("--scheduler needs Dask", hint="pip install 'twinproof[dask]'") from error
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise Unavailable("no Dask scheduler", where=shown(address, 200), got=shown(str(error), 200)) from error
    with client:
        jobs = max(1, sum(client.nthreads().values()))  # type: ignore[no-untyped-call]
        yield Engine(_ClusterExecutor(client.submit), jobs, (BrokenExecutor, KilledWorker))


class _Waiting(Protocol):
    """What Dask's `submit` gives."""

    def result(self, timeout: float | None = None) -> object: ...


class _ClusterFuture(Future[Given]):
    """Asks Dask when somebody wants the result: a result that was lost with its worker is then made again."""

    def __init__(self, asked: _Waiting) -> None:
        super().__init__()
        self._asked = asked

    def result(self, timeout: float | None = None) -> Given:
        return cast("Given", self._asked.result(timeout))


class _ClusterExecutor(Executor):
    """Dask's own executor reads a result as an error when the worker dies between the two, so it is not used."""

    def __init__(self, ask: Callable[..., _Waiting]) -> None:
        self._ask = ask

    def submit(self, fn: Callable[..., Given], /, *args: object, **kwargs: object) -> Future[Given]:
        return _ClusterFuture(self._ask(fn, *args, pure=False, **kwargs))
