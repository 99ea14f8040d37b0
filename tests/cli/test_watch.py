"""`watch` over files that change: one line per round, one word per change, and a clean end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from published_schemas import errors
from small_files import root_file
from small_instance import edited, twins
from twinproof.cli.main import main
from twinproof.errors import Unavailable
from twinproof.evidence.bundle import bundle_to_json
from twinproof.sources.archive.store import Archive
from twinproof.sources.notify import PAUSES, by_command, notify


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two bundles, rewritten by tests."""
    found = [tmp_path / "first.json", tmp_path / "second.json"]
    for path, instance in zip(found, twins(), strict=True):
        path.write_text(bundle_to_json(instance.evidence()), encoding="ascii")
    root_file(tmp_path)
    return found


def spoil(path: Path) -> None:
    """Replaced in one step, as `watch` may be reading it."""
    draft = path.with_suffix(".draft")
    draft.write_text(bundle_to_json(edited(twins()[1].evidence(), app_compose="{}")), encoding="ascii")
    draft.replace(path)


@contextmanager
def watching(files: list[Path], *flags: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "twinproof", "watch", *map(str, files), "--no-cache", "--interval", "1"]
    root = ["--trust-root", str(files[0].parent / "root.pem")]
    with subprocess.Popen(
        [*command, *root, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    found: dict[str, object] = json.loads(process.stdout.readline())
    assert list(errors("watch.v1", found)) == []
    return found


def test_a_change_is_told_once_and_the_evidence_of_every_round_is_kept(files: list[Path], tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "tell.py"
    script.write_text(f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + chr(10))", encoding="utf-8")
    flags = ["--json", "--command", f"{sys.executable} {script}", "--archive", str(tmp_path / "archive")]
    with watching(files, *flags, "--rounds", "4") as process:
        first = line(process)
        assert (first["outcome"], first["changed"]) == ("PROOF COMPLETE", False)
        spoil(files[1])
        rest = [line(process) for _ in range(3)]
        assert process.wait(timeout=60) == 3
    assert [item["changed"] for item in rest].count(True) == 1
    (message,) = [json.loads(text) for text in told.read_text(encoding="utf-8").splitlines()]
    assert list(errors("change.v1", message)) == []
    assert message["before"]["outcome"] == "PROOF COMPLETE"
    assert message["now"]["exit_code"] == 3
    assert "dstack.compose_hash" in message["now"]["failed"]
    with Archive(str(tmp_path / "archive")) as archive:
        assert len(archive) == 3  # two bundles, and the spoilt one; the same is kept once


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(files: list[Path], number: signal.Signals) -> None:
    with watching(files) as process:
        assert process.stdout is not None
        assert "SIMULATED HARDWARE  PROOF COMPLETE, CHAIN NOT SHOWN" in process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")


class Hook(BaseHTTPRequestHandler):
    """Refuses the first message, takes the others."""

    taken: list[bytes]
    refused = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not type(self).refused:
            type(self).refused = 1
            self.send_error(503)
            return
        self.taken.append(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_webhook_that_refuses_is_asked_again(files: list[Path]) -> None:
    Hook.taken = []
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with watching(
            files, "--json", "--rounds", "3", "--webhook", f"http://127.0.0.1:{server.server_port}/x"
        ) as process:
            line(process)
            spoil(files[1])
            assert process.wait(timeout=60) == 3
        server.shutdown()
    (body,) = Hook.taken
    assert json.loads(body)["schema"] == "twinproof/change/v1"


def test_nobody_is_asked_for_ever() -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    def never(_message: bytes) -> None:
        raise Unavailable("no")

    assert isinstance(notify(never, b"", pause=pause), Unavailable)
    assert tuple(pauses) == PAUSES
    assert isinstance(notify(never, b"", pause=lambda _: True), Unavailable)


def test_a_command_that_fails_is_an_error() -> None:
    with pytest.raises(Unavailable, match="exit code 1"):
        by_command(f"{sys.executable} -c 'raise SystemExit(1)'")(b"")
    with pytest.raises(Unavailable, match="could not be run"):
        by_command("/nonexistent/program")(b"")


@pytest.mark.parametrize(
    "flags", [["--interval", "0"], ["--html", "x.html"], ["--format", "vsa"], ["--command", "'"], ["--command", ""]]
)
def test_flags_that_make_no_sense_are_refused(files: list[Path], flags: list[str]) -> None:
    assert main(["watch", *map(str, files), *flags]) == 2


def test_one_target_is_nothing_to_watch(files: list[Path]) -> None:
    assert main(["watch", str(files[0])]) == 2
