"""`verify --batch` as a process with its workers: killed, interrupted, cut off, streamed through, watched."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from small_instance import Instance, pki
from twinproof.evidence.bundle import bundle_to_json
from waiting import until

PATIENCE = 60.0  # seconds, for what takes less than one
COMMAND = (sys.executable, "-m", "twinproof", "verify")
GARBAGE = b'{"not": "evidence", "and": "' + b"x" * 20_000 + b'"}\n'


@pytest.fixture
def root(tmp_path: Path) -> tuple[str, str]:
    path = tmp_path / "root.pem"
    path.write_bytes(pki().root.der)
    return "--trust-root", str(path)


@pytest.fixture(scope="module")
def good() -> bytes:
    return bundle_to_json(Instance().evidence()).replace("\n", "").encode() + b"\n"


@contextmanager
def batch(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command with pipes, killed at the end if it is still there."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    while data:
        data = data[process.stdin.write(data) :]


def hear(process: subprocess.Popen[bytes]) -> dict[str, object]:
    assert process.stdout is not None
    document: dict[str, object] = json.loads(process.stdout.readline())
    return document


def rest(process: subprocess.Popen[bytes]) -> tuple[bytes, str]:
    out, err = process.communicate(timeout=PATIENCE)
    text = err.decode()
    assert "Traceback" not in text
    return out, text


def workers_of(process: subprocess.Popen[bytes]) -> set[int]:
    """Children of its threads: each thread starts one."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text(encoding="utf-8").split()}


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_lines_come_out_while_the_input_is_still_open(root: tuple[str, str], good: bytes) -> None:
    with batch("--batch", "-", "--json", *root) as process:
        for number in range(1, 4):
            tell(process, good)
            assert hear(process)["item"] == f"-:{number}"
        _, summary = rest(process)
    assert process.returncode == 0
    assert "3 accepted (exit 0)" in summary


def test_a_worker_that_is_killed_costs_the_item_it_was_at_and_no_other(root: tuple[str, str], good: bytes) -> None:
    with batch("--batch", "-", "--json", "--jobs", "1", *root) as process:
        tell(process, good)
        assert hear(process)["exit_code"] == 0
        (worker,) = workers_of(process)
        os.kill(worker, signal.SIGSTOP)  # the next item is given to it, and stays there
        tell(process, good)
        time.sleep(0.5)
        os.kill(worker, signal.SIGKILL)
        lost = hear(process)
        assert (lost["item"], lost["exit_code"], lost["error"]) == ("-:2", 5, "Unavailable")
        assert "its worker died: got it was ended by SIGKILL" in str(lost["message"])
        tell(process, good * 3)
        assert [hear(process)["exit_code"] for _ in range(3)] == [0, 0, 0]
        _, summary = rest(process)
    assert process.returncode == 5
    assert "4 accepted (exit 0), 1 not obtained (exit 5)" in summary


def test_a_reader_that_goes_away_ends_everything_at_once(root: tuple[str, str], good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_bytes(good * 2000)
    with batch("--batch", str(path), "--jobs", "2", *root) as process:
        assert process.stdout is not None
        process.stdout.readline()
        left = workers_of(process)
        assert left
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
    until(lambda: not any(map(running, left)))


def test_an_interrupt_ends_everything_at_once_and_is_said_in_one_line(
    root: tuple[str, str], good: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "all.jsonl"
    path.write_bytes(good * 3000)
    with batch("--batch", str(path), "--json", "--jobs", "2", *root) as process:
        hear(process)
        left = workers_of(process)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = rest(process)
        assert time.monotonic() - start < PATIENCE / 2
    assert process.returncode == 130
    assert err == "twinproof: interrupted\n"
    assert out.count(b"\n") < 3000
    until(lambda: not any(map(running, left)))


def test_workers_end_with_a_parent_that_was_killed(root: tuple[str, str], good: bytes) -> None:
    with batch("--batch", "-", "--json", "--jobs", "2", *root) as process:
        tell(process, good)
        hear(process)
        left = workers_of(process)
        assert left
        process.kill()
    until(lambda: not any(map(running, left)))


def test_nothing_to_read_is_exit_2(root: tuple[str, str]) -> None:
    with batch("--batch", "-", *root) as process:
        tell(process, b"\n \n")
        out, err = rest(process)
    assert (process.returncode, out) == (2, b"")
    assert "--batch -: nothing to verify: no line in it" in err


def test_modules_beside_the_evidence_are_not_imported(root: tuple[str, str], good: bytes, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "0.json").write_bytes(good)
    for name in ("socket", "multiprocessing", "pickle", "twinproof"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(66)", encoding="utf-8")
    command = [sys.executable, "-P", "-m", "twinproof", "verify", "--batch", "evidence", *root]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0


def peak(lines: int, root: tuple[str, str]) -> int:
    """Bytes that the largest of the command and its workers needed."""
    command = [*COMMAND, "--batch", "-", "--jobs", "2", *root]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere) as process:
        assert process.stdin is not None
        for _ in range(lines):
            process.stdin.write(GARBAGE)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 3
    return usage.ru_maxrss * 1024


def test_memory_does_not_grow_with_the_input(root: tuple[str, str]) -> None:
    assert peak(5000, root) - peak(200, root) < 16 << 20


def test_on_a_terminal_a_progress_bar_is_shown_and_taken_away(
    root: tuple[str, str], good: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "all.jsonl"
    path.write_bytes(good + GARBAGE * 3 + good)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONUTF8": "1"}
    command = [*COMMAND, "--batch", str(path), *root]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, check=False)
    os.close(theirs)
    text = b""
    while True:
        try:
            text += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert done.returncode == 3
    assert b"\x1b" not in done.stdout
    bar, _, summary = text.decode().rpartition("\r\x1b[K")
    assert "[████" in bar
    assert "/s" in bar
    assert summary.startswith("twinproof: 5 in ")
