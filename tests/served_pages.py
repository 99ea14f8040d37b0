"""`twinproof serve` over an archive in a folder, for tests: a process of its own, ended with the block."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Served", "serving"]


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        request = urllib.request.Request(f"{self.url}{path}", headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()

    def json(self, path: str) -> Any:
        status, headers, text = self.get(path, Accept="application/json")
        assert (status, headers["content-type"]) == (200, "application/json")
        return json.loads(text)


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "twinproof", "serve", str(folder / "archive"), *flags]
    root = ["--trust-root", str(folder / "root.pem")]
    with subprocess.Popen([*command, *root], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Served(process.stdout.readline().strip().rstrip("/"))
        finally:
            process.terminate()
