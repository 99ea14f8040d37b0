"""anvil as a process of ours: no network but its own loopback, nothing of our environment, gone when we are gone.

It is asked over a socket file, so that it can be in a network namespace of its own, where that can be made. A shell
beside it waits for our end of a pipe to close, however that happens, ends both and removes their files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

from twinproof_devnet.chain.engine_name import EngineError
from twinproof_devnet.chain.errors import RpcError

__all__ = ["AnvilProcess", "anvil_program"]

VARIABLE = "TWINPROOF_ANVIL"
START_SECONDS, ANSWER_SECONDS, STOP_SECONDS = 20.0, 60.0, 5.0
SHOWN_BYTES = 2000
_OWN_NETWORK = ("unshare", "--map-root-user", "--net")
_LOOPBACK_UP = "ip link set lo up"
_UNTIL_WE_ARE_GONE = """
"$@" < /dev/null &
trap '' TERM
cat > /dev/null
kill -TERM 0
wait
rm -rf -- "$0"
"""


def anvil_program() -> str:
    """Where it is. Raises EngineError when it is not installed."""
    found = os.environ.get(VARIABLE) or shutil.which("anvil")
    if not found or not shutil.which(found):
        raise EngineError(f"anvil is not installed: npm install @foundry-rs/anvil, or {VARIABLE}=PATH names it")
    return found


def _own_network() -> bool:
    """Whether a network namespace can be made here, with loopback up in it."""
    try:
        done = subprocess.run(  # noqa: S603  (these very words)
            [*_OWN_NETWORK, "sh", "-c", _LOOPBACK_UP], check=False, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class AnvilProcess:
    """Answers when it is made. Every call is bounded in time. Raises EngineError when it does not come up, or ends."""

    def __init__(self, program: str, genesis: Mapping[str, object], *options: str) -> None:
        folder = self.folder = Path(tempfile.mkdtemp(prefix="twinproof-anvil-"))
        (folder / "genesis.json").write_text(json.dumps(genesis))
        self._errors = (folder / "output").open("w+b")
        self.alone = _own_network()
        """In a network namespace of its own."""
        files = ("--ipc", str(folder / "ipc"), "--init", str(folder / "genesis.json"), "--cache-path", str(folder))
        command = [program, *files, "--host", "127.0.0.1", "--port", "0", "--quiet", "--color", "never", *options]
        script = (f"{_LOOPBACK_UP}\n" if self.alone else "") + _UNTIL_WE_ARE_GONE
        self._process = subprocess.Popen(  # noqa: S603  (a program that the user named, and our own words)
            [*(_OWN_NETWORK if self.alone else ()), "sh", "-c", script, str(folder), *command],
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder)},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
        )
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_SECONDS)
        self._lock, self._number = Lock(), 0
        try:
            self._connect(str(folder / "ipc"))
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the shell, and of the group of all that it started."""
        return self._process.pid

    def _connect(self, path: str) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self._socket.connect(path)
            except OSError:
                if time.monotonic() > end or self._process.poll() is not None or self._said():
                    raise EngineError(f"anvil did not come up: {self._said() or 'it says nothing'}") from None
                time.sleep(0.01)
            else:
                return

    def _said(self) -> str:
        return os.pread(self._errors.fileno(), SHOWN_BYTES, 0).decode("utf-8", "replace").strip()

    def call(self, method: str, *params: object) -> object:
        """The result. Raises RpcError with the error as it came."""
        with self._lock:
            self._number += 1
            question = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
            try:
                self._socket.sendall(json.dumps(question).encode())
                answer = self._answer()
            except (OSError, EOFError) as error:
                raise EngineError(f"anvil does not answer {method}: {error} {self._said()}") from error
        if answer.get("id") != self._number:
            raise EngineError(f"anvil answered another question than {method}")
        refusal = answer.get("error")
        if isinstance(refusal, dict):
            raise RpcError(int(refusal["code"]), str(refusal["message"]), refusal.get("data"))
        return answer.get("result")

    def _answer(self) -> Mapping[str, object]:
        """One object; nothing stands between two of them but their braces."""
        received = b""
        while True:
            piece = self._socket.recv(1 << 20)
            if not piece:
                raise EOFError("it ended.")
            received += piece
            if received.rstrip().endswith(b"}"):
                with suppress(ValueError):
                    found = json.loads(received)
                    if isinstance(found, dict):
                        return found

    def close(self) -> None:
        """Within seconds."""
        self._socket.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)
