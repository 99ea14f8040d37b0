"""An audit on a Dask cluster: two workers, one killed in the middle, nothing lost and nothing counted twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from small_files import root_file
from small_instance import Instance, edited
from twinproof.cli.main import main
from twinproof.evidence.bundle import bundle_to_json
from waiting import until

COUNT = 400


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    evidence = Instance().evidence()
    for number in range(COUNT):
        text = bundle_to_json(edited(evidence, source=f"https://prod9-{number}.example", challenge=None))
        (tmp_path / f"{number:04}.json").write_text(text, encoding="ascii")
    flags = ["--trust-root", str(root_file(tmp_path))]
    assert main(["archive", "add", str(tmp_path / "archive"), str(tmp_path), *flags]) == 0
    return tmp_path / "archive"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A scheduler and two workers of one thread each, on loopback, on ports that the system picks."""
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false"}
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
                cwd=tmp_path,
                env=environment,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        address = _said(scheduler, r"(tcp://127\.0\.0\.1:\d+)")
        common = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        workers = [start("worker", address, *common) for _ in range(2)]
        for process in workers:
            _said(process, "(Registered to)")
        for process in (scheduler, *workers):
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
        yield address, workers


def _said(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(pattern, line):
            return match[1]
    raise AssertionError(f"it ended with {process.wait()}")


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    try:
        for _ in process.stderr:
            pass
    except ValueError:
        pass  # closed at the end of the test


def test_a_worker_that_dies_costs_nothing(
    archive: Path, cluster: tuple[str, list[subprocess.Popen[str]]], tmp_path: Path
) -> None:
    address, workers = cluster
    journal = tmp_path / "journal"
    command = [sys.executable, "-m", "twinproof", "audit", str(archive), "--trust-root", str(root_file(tmp_path))]
    flags = ["--scheduler", address, "--journal", str(journal), "--json"]
    with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: (journal.exists() and journal.stat().st_size > 1000) or process.poll() is not None)
        os.kill(workers[0].pid, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["counts"] == {"holds": COUNT}
    numbers = [json.loads(line)["number"] for line in journal.read_text(encoding="utf-8").splitlines()[1:]]
    assert numbers == list(range(1, COUNT + 1))


def test_no_scheduler_is_told_in_bounded_time(archive: Path) -> None:
    started = time.monotonic()
    assert main(["audit", str(archive), "--scheduler", "tcp://127.0.0.1:9"]) == 5
    assert time.monotonic() - started < 60
