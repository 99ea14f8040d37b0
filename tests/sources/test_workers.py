"""Worker processes: what one that dies costs, and that none is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from pathlib import Path

import pytest

from twinproof.batch import WorkerDied
from twinproof.errors import Malformed, Unavailable
from twinproof.sources.workers import Workers

BASE: ContextVar[int] = ContextVar("base")


def begin(base: int) -> None:
    BASE.set(base)


def end_at_once(_: int) -> None:
    os._exit(7)


def added(number: int) -> tuple[int, int]:
    return BASE.get() + number, os.getpid()


def counted(until: int, then: Callable[[], object]) -> Iterator[int]:
    yield from range(until)
    then()


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def abort() -> None:
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()


def refuse() -> None:
    raise Malformed("not this", where="here", hint="try that")


def lose_the_line() -> None:
    raise ConnectionResetError("to somewhere else")


def working_directory_comes_first() -> bool:
    return "" in sys.path or str(Path.cwd()) in sys.path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2, begin, 100) as pool:
        yield pool


def test_every_worker_is_prepared_once_and_keeps_its_process(workers: Workers) -> None:
    results = [workers.submit(added, number) for number in range(20)]
    assert [future.result()[0] for future in results] == list(range(100, 120))
    assert len({future.result()[1] for future in results}) <= 2


@pytest.mark.parametrize(("then", "how"), [(kill_myself, "SIGKILL"), (abort, "SIGABRT")])
def test_a_task_whose_worker_dies_knows_how_far_it_got(workers: Workers, then: Callable[[], object], how: str) -> None:
    others = [workers.submit(added, number) for number in range(5)]
    with pytest.raises(WorkerDied, match=how) as death:
        workers.submit(counted, 3, then).result()
    assert death.value.finished == 3
    others += [workers.submit(added, number) for number in range(5)]
    assert [future.result()[0] for future in others] == [*range(100, 105)] * 2


def test_a_worker_that_was_killed_between_two_tasks_costs_none() -> None:
    with Workers(1, begin, 0) as pool:
        _, pid = pool.submit(added, 0).result()
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        assert pool.submit(added, 5).result()[0] == 5


def test_errors_of_a_task_come_back_whole_and_the_worker_goes_on(workers: Workers) -> None:
    with pytest.raises(Malformed, match="here: not this") as error:
        workers.submit(counted, 1, refuse).result()
    assert error.value.hint == "try that"
    with pytest.raises(ConnectionResetError, match="somewhere else"):
        workers.submit(lose_the_line).result()
    assert workers.submit(added, 1).result()[0] == 101


def test_a_worker_that_cannot_begin_is_an_error_and_no_lost_item() -> None:
    with Workers(1, end_at_once, 0) as pool, pytest.raises(Unavailable, match="exit code 7"):
        pool.submit(added, 0).result()


def test_an_interpreter_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    with Workers(1, begin, 0) as pool, pytest.raises(Unavailable, match="No such file"):
        pool.submit(added, 0).result()


def test_after_an_exception_nobody_waits_and_nothing_is_left() -> None:
    start = time.monotonic()
    pids: list[int] = []

    def interrupted() -> None:
        with Workers(1, begin, 0) as pool:
            pids.append(pool.submit(added, 0).result()[1])
            waiting.extend(pool.submit(time.sleep, 60) for _ in range(3))
            raise KeyboardInterrupt

    waiting: list[Future[None]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - start < 30
    assert not alive(pids[0])
    assert all(future.done() for future in waiting)


def test_nothing_is_taken_after_shutdown() -> None:
    pool = Workers(1, begin, 0)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(added, 0)


def test_files_in_the_working_directory_are_not_taken_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("contextlib", "multiprocessing", "socket", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(66)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with Workers(1, begin, 0) as pool:
        assert pool.submit(working_directory_comes_first).result() is False


def test_no_worker_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Workers(0, begin, 0)
