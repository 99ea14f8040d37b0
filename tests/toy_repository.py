"""The toy example's repository as its developers have it, made anew in a temporary directory, with a bare remote."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BRANCH", "ROOT", "VERSION", "ToyRepository", "toy_repository"]

ROOT = Path(__file__).resolve().parents[1]
BRANCH = "feat/toy-example-app"
FILES = ("twinproof.toml", ".bumpversion.toml", "cliff.toml", "enclave/docker-compose.yml")
VERSION = "enclave/src/toy_example/version.py"


@dataclass
class ToyRepository:
    top: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """No user configuration, and the command of this environment first on the path."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
        }

    def git(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.top), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def hook(self, name: str, body: str) -> None:
        path = self.top / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def start(self, *arguments: str, directory: Path | None = None) -> subprocess.Popen[str]:
        """Start `twinproof bump`."""
        return subprocess.Popen(
            [sys.executable, "-m", "twinproof", "bump", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory or self.top,
            env=self.environment,
        )

    def bump(self, *arguments: str, directory: Path | None = None) -> tuple[int, str, str]:
        with self.start(*arguments, directory=directory) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def twinproof(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run any command here: exit code, standard output, standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "twinproof", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.top,
            env={**self.environment, "PYTHONIOENCODING": "utf-8", **environment},
        )
        return done.returncode, done.stdout, done.stderr

    def state(self) -> tuple[str, str, str, str]:
        """What has to be as before: HEAD, tags, status, and what is in the files."""
        contents = {
            str(path.relative_to(self.top)): (path.read_bytes(), path.stat().st_mode)
            for path in sorted(self.top.rglob("*"))
            if path.is_file() and ".git" not in path.relative_to(self.top).parts
        }
        return (
            self.git("rev-parse", "HEAD"),
            self.git("for-each-ref", "refs/heads", "refs/tags"),
            self.git("status", "--porcelain"),
            repr(contents),
        )


def toy_repository(directory: Path) -> ToyRepository:
    """A clone of the app in version 1.0.0 with a bare remote, and one feature that was not released yet."""
    top, home, remote = directory / "a clone", directory / "home", directory / "remote.git"
    top.mkdir()
    home.mkdir()
    made = ToyRepository(top, home)
    made.git("init", "-q", "-b", BRANCH)
    made.git("config", "user.name", "A")
    made.git("config", "user.email", "a@example.org")
    for name in FILES:
        made.write(name, (ROOT / name).read_text(encoding="utf-8"))
    made.write("enclave/pyproject.toml", '[project]\nname = "toy"\nversion = "1.0.0"\ndependencies = ["x==1.0.0"]\n')
    made.write(VERSION, '__version__ = "1.0.0"\n')
    made.write("README.md", "# Toy\n\n<!-- versions:begin -->\n<!-- versions:end -->\n")
    made.commit("feat: the first version")
    made.git("tag", "-a", "-m", "v1.0.0", "v1.0.0")
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True, timeout=30, env=made.environment)
    made.git("remote", "add", "origin", str(remote))
    made.git("push", "-q", "-u", "origin", BRANCH, "--tags")
    made.commit("feat: a counter per instance")
    return made
