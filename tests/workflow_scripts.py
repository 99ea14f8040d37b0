"""The scripts of the workflows, run as GitHub runs them, with every command replaced by one that obeys the test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["WORKFLOWS", "Ran", "Script", "jobs", "scripts", "secret_of", "texts"]

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = tuple(sorted((ROOT / ".github" / "workflows").glob("*.yml")))
COMMANDS = ("make", "docker", "printenv", ".venv/bin/twinproof", ".ci/run", "npm", "npx", "node", "phala")
BASH = shutil.which("bash") or "/bin/bash"
STUB = """\
#!{bash}
name="${{0##*/}}"
printf '%s\\n' "$name $*" >> "$CALLS/log"
printf x >> "$CALLS/$name"
read -r count < "$CALLS/$name"
[ "$FAILS" != "$name ${{#count}}" ] || exit 7
while read -r _; do :; done
printf '%s\\n' "${{!1:-}}"
"""


@dataclass(frozen=True)
class Ran:
    code: int
    calls: tuple[str, ...]
    """Each command with its arguments, as anyone on the machine sees them."""


@dataclass(frozen=True)
class Script:
    """One `run:` of a workflow."""

    name: str
    text: str
    variables: Mapping[str, str]

    def run(self, directory: Path, fails: str = "") -> Ran:
        """In a directory of its own; the call `fails` (such as `docker 1`) ends with status 7, all others with 0."""
        for command in COMMANDS:
            path = directory / (command if "/" in command else f"bin/{command}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(STUB.format(bash=BASH))
            path.chmod(0o755)
        (directory / "script").write_text(self.text)
        environment = {"PATH": str(directory / "bin"), "CALLS": str(directory), "FAILS": fails, **self.variables}
        done = subprocess.run(
            [BASH, "--noprofile", "--norc", "-eo", "pipefail", "script"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            cwd=directory,
            env=environment,
        )
        log = directory / "log"
        return Ran(done.returncode, tuple(log.read_text().splitlines()) if log.exists() else ())


def secret_of(name: str) -> str:
    """What stands for a secret's value."""
    return f"value-of-{name}-that-nobody-sees"


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items():
            yield f"{path.stem} {name}", job


def scripts() -> Iterator[Script]:
    for name, job in jobs():
        for number, step in enumerate(job.get("steps", ())):
            if "run" in step:
                given = {**job.get("env", {}), **step.get("env", {})}
                known = {variable: secret_of(variable) for variable in given}
                yield Script(
                    f"{name} {number}", step["run"], {"GITHUB_REF_NAME": "v1.2.0", "GITHUB_SHA": "a" * 40} | known
                )


def texts(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a workflow with where it stands."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from texts(item, (*path, str(name)))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item, path)
    elif isinstance(value, str):
        yield path, value
