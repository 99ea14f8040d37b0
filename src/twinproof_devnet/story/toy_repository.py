"""A team's repository in a temporary directory: the toy example of this checkout, a release branch, a bare remote."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["BRANCH", "ToyRepository"]

BRANCH = "feat/toy-example-app"
CHECKOUT = Path(__file__).resolve().parents[3]
_FILES = (".bumpversion.toml", "cliff.toml", "scripts/bump-version.sh", "README.md")
_SECONDS = 60
_README = """# The toy example

<!-- versions:begin -->
| Version | Date | Git SHA | Compose Hash | Changes |
|---|---|---|---|---|
<!-- versions:end -->
"""
_COMPOSE = """release_branch = "feat/toy-example-app"

[compose]
file = "enclave/docker-compose.yml"
image = "registry.invalid/toy-example"
name = "toy-example"

"""


def _build() -> str:
    """The [build] table of this checkout: what the image is built from and with."""
    text = (CHECKOUT / "twinproof.toml").read_text(encoding="utf-8")
    return f"[build]{text.partition('[build]')[2].partition('[')[0]}"


_FEATURE = '{"service": "toy-example", ', '{"service": "toy-example", "motto": "see for yourself", '


class ToyRepository:
    """`top` is where its developers work; its first commit is version 1.0.0, tagged and pushed."""

    def __init__(self, directory: Path, settings: str) -> None:
        """`settings` of the devnet's twinproof.toml: machines, collateral, chain."""
        self.top, self._home = directory / "toy-example", directory / "home"
        self._home.mkdir()
        self._copy()
        (self.top / "twinproof.toml").write_text(_COMPOSE + _build() + settings, encoding="utf-8")
        self.git("init", "-q", "-b", BRANCH)
        subprocess.run(  # noqa: S603  (git, in a directory of our own)
            ["git", "init", "-q", "--bare", str(directory / "remote.git")],  # noqa: S607  (as the path says)
            check=True,
            env=self.environment,
            timeout=_SECONDS,
        )
        self.git("remote", "add", "origin", str(directory / "remote.git"))
        for name, value in (("user.name", "A Developer"), ("user.email", "developer@example.org")):
            self.git("config", name, value)
        self.commit("feat: the toy example")
        self.git("tag", "-a", "-m", "v1.0.0", "v1.0.0")
        self.git("push", "-q", "-u", "--atomic", "origin", BRANCH, "v1.0.0")

    def _copy(self) -> None:
        skipped = shutil.ignore_patterns("__pycache__", "build.json", "*.egg-info", ".venv")
        shutil.copytree(CHECKOUT / "enclave", self.top / "enclave", ignore=skipped)
        for name in _FILES:
            target = self.top / name
            target.parent.mkdir(exist_ok=True)
            shutil.copy(CHECKOUT / name, target)
        (self.top / "README.md").write_text(_README, encoding="utf-8")
        (self.top / ".gitignore").write_text("build/\n", encoding="utf-8")

    @property
    def environment(self) -> Mapping[str, str]:
        """The commands of this environment first on the path, and no user's configuration."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONIOENCODING": "utf-8",
        }

    def git(self, *arguments: str) -> str:
        """What it prints, without white space around it. Raises CalledProcessError."""
        done = subprocess.run(  # noqa: S603  (git, in a directory of our own)
            ["git", *arguments],  # noqa: S607  (as the path says)
            check=True,
            cwd=self.top,
            env=self.environment,
            timeout=_SECONDS,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def name_urls(self, urls: Mapping[str, str]) -> None:
        """Write down where the machines answer, so that their names can be used instead; committed and pushed."""
        path = self.top / "twinproof.toml"
        text = path.read_text(encoding="utf-8")
        for name, url in urls.items():
            table = f"[machines.{name}]\n"
            text = text.replace(table, f'{table}url = "{url}"\n')
        path.write_text(text, encoding="utf-8")
        self.commit("docs: where the machines answer")
        self.git("push", "-q", "origin", BRANCH)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def add_feature(self) -> str:
        """Change the app's code and commit it; the commit's subject."""
        path = self.top / "enclave" / "src" / "toy_example" / "app.py"
        before = path.read_text(encoding="utf-8")
        path.write_text(before.replace(*_FEATURE), encoding="utf-8")
        subject = "feat: the index page has a motto"
        self.commit(subject)
        return subject
