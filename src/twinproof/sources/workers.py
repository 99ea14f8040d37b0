"""Worker processes as an Executor that survives their death: only the task of the dead one is told so.

Why not ProcessPoolExecutor: one death there breaks every task in flight without saying which item it was; its
processes outlive a parent that was killed; and they start with the working directory in front of their module path,
where a verifier may find files that an attacker sent. These here run in isolated mode (`python -I`) with this
process's module path, take nothing from its terminal, and end when the socket pair between the two is closed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from types import TracebackType
from typing import BinaryIO, ParamSpec, TypeVar, cast

from twinproof.batch import WorkerDied
from twinproof.errors import Unavailable
from twinproof.sources.worker_process import COUNT_BYTES

__all__ = ["Workers"]

Arguments = ParamSpec("Arguments")
Given = TypeVar("Given")
_START = """\
import sys
count, *sys.path[:] = sys.argv[1:]
from twinproof.sources.worker_process import main
main(int(count))
"""


@dataclass(frozen=True, slots=True)
class _Task:
    future: Future[object]
    work: tuple[object, ...]
    """Function, positional and keyword arguments, all picklable."""


class Workers(Executor):
    """`jobs` processes. Each runs `initializer(*arguments)` first; a dead one is replaced when the next task comes.

    A submitted function runs in a worker and is found there by its name. Of one that gives an iterator the result is
    the list of what it yields, and `WorkerDied.finished` tells how far it got.
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
                if process is not None and process.ended:
                    self._forget(process)
                    process = None
                process = process or self._start()
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
        try:
            process.prepare(self._first)
        except BaseException:
            self._forget(process)
            raise
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
        with contextlib.ExitStack() as opened:
            try:
                self._count = opened.enter_context(_shared_file())
                link, theirs = Pipe()
                self._link = opened.enter_context(link)
                with theirs:
                    self._process = subprocess.Popen(  # noqa: S603  (this interpreter, our own module)
                        [sys.executable, "-I", "-c", _START, str(self._count.fileno()), *sys.path],
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        pass_fds=(self._count.fileno(),),
                        process_group=0,  # an interrupt from the terminal is for the parent, which ends the worker
                    )
            except OSError as error:
                reason = error.strerror or str(error)
                raise Unavailable("a worker process could not be started", got=reason) from error
            opened.pop_all()  # `close` ends what was opened

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
        descriptor = self._count.fileno()
        os.pwrite(descriptor, bytes(COUNT_BYTES), 0)
        try:
            self._link.send(work)
            succeeded, result = self._link.recv()
        except (EOFError, ConnectionError):
            self._process.kill()  # without its link it is of no use, and mostly gone already
            how = _how_it_ended(self._process.wait())
            raise WorkerDied(how, int.from_bytes(os.pread(descriptor, COUNT_BYTES, 0), "little")) from None
        if not succeeded:
            raise result
        return cast("object", result)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """The end of the link is the end of the process."""
        self._link.close()
        self._count.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._process.kill()
        self._process.wait()


def _shared_file() -> BinaryIO:
    """In memory where the system has such files, for there may be no directory that can be written to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("items finished"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it was ended by signal {-code}"
