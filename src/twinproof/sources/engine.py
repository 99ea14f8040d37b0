"""Where the work of an audit is done: worker processes of this machine, or a Dask cluster that somebody runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager
from dataclasses import dataclass

from twinproof.errors import Unavailable, UsageError
from twinproof.sources.workers import Workers
from twinproof.wire import shown

__all__ = ["Engine", "cluster", "local"]

MAX_JOBS = 256
_CONNECT_SECONDS = 10


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
        executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        yield Engine(executor, jobs, (BrokenExecutor, KilledWorker))
