"""Commands as a person types them: shown, run, and their exit codes held against what they have to be."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap

__all__ = ["Shell"]

TIME_LIMIT_SECONDS = 120


class Shell:
    """`ended` holds for every command whether it ended as it had to."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory, self.environment = directory, environment
        self.ended: list[bool] = []
        self._first = True

    def title(self, text: str) -> None:
        print(f"\n=== {text}\n", flush=True)
        self._first = True

    def say(self, text: str, *, indent: str = "  ") -> None:
        print("\n".join(wrap(text, 78, initial_indent=indent, subsequent_indent=indent + "  ")), flush=True)

    def run(self, *command: str, expected: int = 0, show: str = "both") -> str:
        """stdout. `show` is `both` or `err`."""
        self._typed(command)
        done = self._done(command)
        if done.returncode != expected:
            show = "both"
        if done.stderr:
            print(done.stderr.rstrip())
        if show == "both" and done.stdout:
            print(done.stdout.rstrip())
        self._expect(done.returncode, expected)
        return done.stdout

    def quietly(self, *command: str) -> None:
        """Shown only when it does not end as it has to."""
        done = self._done(command)
        if done.returncode:
            self._typed(command)
            print(done.stderr + done.stdout)
            self._expect(done.returncode, 0)

    def caught(self, *command: str, expected: int) -> None:
        """A command with --json that has to fail: which checks caught what."""
        self._typed(command)
        done = self._done([*command, "--json"])
        if done.returncode != expected:
            print(done.stderr + done.stdout)
            self._expect(done.returncode, expected)
            return
        proof = json.loads(done.stdout)
        print(f"  {proof['outcome']}")
        checks = [check for instance in proof["instances"] for check in instance["checks"]] + proof["checks"]
        for check in checks:
            if check["status"] == "fail" and check["id"] != "compare.genuine":
                text = f"caught by {check['id']}: {check['reason']}"
                print("\n".join(wrap(text, 78, initial_indent="  ", subsequent_indent="    ")))
        self._expect(done.returncode, expected)

    def _done(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  (our own commands)
            command,
            check=False,
            timeout=TIME_LIMIT_SECONDS,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self.directory,
            env=dict(self.environment),
        )

    def _typed(self, command: Sequence[str]) -> None:
        """With an empty line before it, unless a title is there."""
        print(f"{'' if self._first else chr(10)}$ {shlex.join(command)}\n", flush=True)
        self._first = False

    def _expect(self, code: int, expected: int) -> None:
        print(f"\n  exit code {code}{'' if code == expected else f', EXPECTED {expected}'}", flush=True)
        self.ended.append(code == expected)

    def hold(self, what: str, *, true: bool) -> None:
        """A statement that has to be true."""
        self.say(what if true else f"NOT TRUE: {what}")
        self._first = False
        self.ended.append(true)
