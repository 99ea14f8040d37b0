"""The JavaScript verifier, installed from its lock file and run where there is no network."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import IO, cast

__all__ = ["NAME", "JavaScript", "installed_version", "javascript"]

NAME = "@phala/dcap-qvl"
_NPM = Path(__file__).resolve().parent / "npm"
_NO_NETWORK = ("unshare", "--map-root-user", "--net")


class JavaScript:
    """A running Node.js process. `seconds` verifies a round's quotes and gives the CPU seconds of one of them."""

    def __init__(self, questions: IO[str], answers: IO[str], first: dict[str, object]) -> None:
        self._questions, self._answers = questions, answers
        self._say(first)

    def _say(self, what: object) -> None:
        self._questions.write(json.dumps(what) + "\n")
        self._questions.flush()

    def seconds(self, quotes: Sequence[bytes]) -> float:
        self._say([quote.hex() for quote in quotes])
        return float(self._answers.readline()) / 1000 / len(quotes)


@contextmanager
def javascript(collateral: dict[str, str], *, root: bytes, at: int) -> Iterator[JavaScript | None]:
    """None where Node.js, npm or network namespaces are missing."""
    if not all(map(shutil.which, ("node", "npm", "unshare"))):
        yield None
        return
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(_NPM, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(install, cwd=directory, check=True, timeout=240)
        command = [*_NO_NETWORK, "node", "verify.mjs"]
        with subprocess.Popen(command, cwd=directory, stdin=PIPE, stdout=PIPE, text=True) as process:
            questions, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            yield JavaScript(questions, answers, {"root": root.hex(), "collateral": collateral, "at": at})
            questions.close()


def installed_version() -> str:
    """Of the lock file."""
    lock = json.loads((_NPM / "package-lock.json").read_text(encoding="utf-8"))
    return str(lock["packages"][f"node_modules/{NAME}"]["version"])
