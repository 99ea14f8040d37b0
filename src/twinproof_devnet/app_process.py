"""The real enclave app as a process: its "image" is a directory with the code and the baked build info.

As in a container, the process sees what the measured compose file gives it, and the guest agent's socket; nothing of
the caller's environment reaches it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO

__all__ = ["AppError", "AppProcess", "build_image"]

PACKAGE = "toy_example"
START_SECONDS = 20.0
STOP_SECONDS = 5.0
SHOWN_BYTES = 4000
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback is never reached through a proxy, whatever the caller's environment says."""


class AppError(Exception):
    """The app could not be built or started; the text holds what it said."""


def build_image(
    directory: Path, *, git_sha: str, build_time: str, version: str | None = None, checkout: Path | None = None
) -> Path:
    """Copy the app's code into `directory` and bake git SHA, build time and, if given, another version into it.

    The code is that of `checkout`, a directory with `enclave/` in it; else of the repository that this file is in.
    """
    source = (checkout or Path(__file__).resolve().parents[2]) / "enclave" / "src" / PACKAGE
    if not (source / "app.py").is_file():
        raise AppError(f"no enclave app at {source}: the devnet builds from a checkout of the repository")
    target = directory / PACKAGE
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "build.json"))
    (target / "build.json").write_text(json.dumps({"gitSha": git_sha, "buildTime": build_time}) + "\n")
    if version is not None:
        (target / "version.py").write_text(f'"""The version."""\n\n__version__ = "{version}"\n')
    return directory


class AppProcess:
    """One instance of the app on a loopback port that the system picks."""

    def __init__(self, image: Path, guest_agent: Path, environment: Mapping[str, str]) -> None:
        """`environment` is what the measured compose file says. Raises AppError when the app does not come up."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        variables = {
            "PATH": os.defpath,
            "PYTHONPATH": str(image),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DSTACK_SIMULATOR_ENDPOINT": str(guest_agent),
            **environment,
        }
        with listener:
            os.set_inheritable(listener.fileno(), True)
            self._process = subprocess.Popen(  # noqa: S603  (this interpreter and our own package)
                [sys.executable, "-m", PACKAGE, "--fd", str(listener.fileno())],
                env=variables,
                cwd=image,
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                pass_fds=(listener.fileno(),),
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AppError(f"the app ended with code {self._process.returncode}: {self.output()}")
            try:
                with _DIRECT.open(f"{self.url}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AppError(f"the app did not come up within {START_SECONDS:g} s: {self.output()}")

    def output(self) -> str:
        """What the process said so far."""
        # Not seek and read: the process writes through the same file offset.
        descriptor = self._errors.fileno()
        start = max(0, os.fstat(descriptor).st_size - SHOWN_BYTES)
        return os.pread(descriptor, SHOWN_BYTES, start).decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Ask it to stop, then make it."""
        if self._errors.closed:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
