"""Worker processes as an Executor that survives their death: only the task of the dead one is told so.

Why not ProcessPoolExecutor: one death there breaks every task in flight without saying which item it was; its
processes outlive a parent that was killed; and they start with the working directory in front of their module path,
where a verifier may find files that an attacker sent. These here run in isolated mode (`python -I`) with this
process's module path, take nothing from its terminal, and end when the socket pair between the two is closed.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from types import TracebackType
from typing import ParamSpec, TypeVar, cast

from twinproof.batch import WorkerDied
from twinproof.errors import Unavailable

__all__ = ["Workers"]

Arguments = ParamSpec("Arguments")
Given = TypeVar("Given")
_START = "import sys; sys.path[:] = sys.argv[1:]; from twinproof.sources.worker_process import main; main()"


@dataclass(frozen=True, slots=True)
class _Task:
    future: Future[object]
    work: tuple[object, ...]
    """Function, positional and keyword arguments, all picklable."""


class Workers(Executor):
    """`jobs` processes. Each runs `initializer(*arguments)` first; a dead one is replaced when the next task comes.

    A submitted function runs in a worker and is found there by its name. One that gives an iterator has what it yields
    sent back as it comes: its result is the list of it, and `WorkerDied.finished` tells how far it got.
    """

    def __init__(self, jobs: int, initializer: Callable[..., None], *arguments: object) -> None:
        if jobs < 1:
            raise ValueError("at least one worker")
        self._first = (initializer, arguments)
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._processes: set[_Process] = set()
        self._closed = self._killed = False
        self._threads = [threading.Thread(target=self._serve, name=f"worker {n}", daemon=True) for n in range(jobs)]
        for thread in self._threads:
            thread.start()

    def submit(
        self, fn: Callable[Arguments, Given], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Given]:
        future: Future[Given] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("no task after shutdown")
            self._tasks.put(_Task(cast("Future[object]", future), (fn, args, kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Without `cancel_futures` what was submitted is finished; with it the processes are killed at once."""
        with self._lock:
            if not self._closed:
                for _ in self._threads:
                    self._tasks.put(None)
            self._closed = True
            self._killed = self._killed or cancel_futures
            for process in self._processes if cancel_futures else ():
                process.kill()
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """After an exception, an interrupt among them, nobody waits for what is in flight."""
        self.shutdown(cancel_futures=kind is not None)

    def _serve(self) -> None:
        """One thread per process: it hands over a task, and takes the answer."""
        process: _Process | None = None
        while (task := self._tasks.get()) is not None:
            if self._killed:
                task.future.cancel()
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                if process is None or process.ended:
                    self._forget(process)
                    process = None  # what follows may fail
                    process = self._start()
                result = process.run(task.work)
            except BaseException as error:  # noqa: BLE001  (raised again in the thread that asks for the result)
                task.future.set_exception(error)
            else:
                task.future.set_result(result)
        self._forget(process)

    def _start(self) -> _Process:
        process = _Process()
        with self._lock:
            self._processes.add(process)
            if self._killed:
                process.kill()
        process.prepare(self._first)
        return process

    def _forget(self, process: _Process | None) -> None:
        if process is not None:
            with self._lock:
                self._processes.discard(process)
            process.close()


class _Process:
    """One process and the link to it, on its standard input. Used by one thread, but for `kill`."""

    def __init__(self) -> None:
        """Raises Unavailable when the system gives no process."""
        self._link, theirs = Pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  (this interpreter, our own module)
                [sys.executable, "-I", "-c", _START, *sys.path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                process_group=0,  # an interrupt from the terminal is for the parent, which ends the worker
            )
        except OSError as error:
            self._link.close()
            raise Unavailable("a worker process could not be started", got=error.strerror or str(error)) from error
        finally:
            theirs.close()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def prepare(self, first: tuple[Callable[..., None], tuple[object, ...]]) -> None:
        """Raises Unavailable for a process that ends before its first task."""
        try:
            self.run((*first, {}))
        except WorkerDied as death:
            raise Unavailable("a worker process ended before it was ready", got=str(death)) from death

    def run(self, work: tuple[object, ...]) -> object:
        """The result of the task, or its exception. Raises WorkerDied."""
        finished: list[object] = []
        try:
            self._link.send(work)
            while (message := self._link.recv())[0] == "item":
                finished.append(message[1])
        except (EOFError, ConnectionError):
            self._process.kill()  # without its link it is of no use, and mostly gone already
            raise WorkerDied(_how_it_ended(self._process.wait()), finished) from None
        kind, value = message
        if kind == "raised":
            raise value
        return finished if kind == "end" else value

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """The end of the link is the end of the process."""
        self._link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._process.kill()
        self._process.wait()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it was ended by signal {-code}"
