"""The changelog of a repository of 3,000 commits, against the tool that it is made with."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.results import Bar, Section
from bench.rounds import Turn, in_turns, ratio

__all__ = ["measure"]

COMMITS = 3_000
RELEASES = 10
CONFIG = Path(__file__).resolve().parents[1] / "cliff.toml"
METHOD = f"""\
A repository of {COMMITS:,} commits in the shapes that real ones have (features, fixes, breaking changes, free text, a
merge every 50) with {RELEASES} versions, made by `git fast-import`. Wall time of a process of its own that writes the
whole changelog to a pipe. git-cliff alone runs with the same `cliff.toml`."""
MESSAGES = (
    "feat: a counter that counts number {n}",
    "fix(core): the answer to question {n}",
    "docs: words about {n}",
    "feat(api)!: another endpoint {n}\n\nBREAKING CHANGE: clients of {n} have to ask again",
    "perf: faster by {n} percent",
    "test: claim {n}",
    "refactor(store): one place instead of {n}",
    "free text about {n}, as people write it | with `marks` and <tags>",
    "chore: tidy {n}",
    'Revert "feat: a counter that counts number {n}"',
)


def _stream() -> Iterator[str]:
    """What `git fast-import` reads: one branch, a side branch merged every 50 commits, a tag every 300."""
    side = 0
    for n in range(1, COMMITS + 1):
        merge = n % 50 == 0
        message = f"Merge branch 'side-{n}'" if merge else MESSAGES[n % len(MESSAGES)].format(n=n)
        if n % (COMMITS // RELEASES) == 0:
            message = f"chore(release): v1.{n // (COMMITS // RELEASES)}.0"
        who = f"A <a@example.org> {1_600_000_000 + 60 * n} +0000"
        yield f"commit refs/heads/{'side' if n % 50 == 49 else 'main'}\nmark :{n}\nauthor {who}\ncommitter {who}\n"
        yield f"data {len(message.encode())}\n{message}\n"
        parent = n - 2 if merge else n - 1
        yield f"from :{parent}\n" if parent > 0 else ""
        yield f"merge :{side}\n" if merge else ""
        yield f"M 100644 inline file\ndata {len(str(n))}\n{n}\n\n"
        side = n if n % 50 == 49 else side
        if n % (COMMITS // RELEASES) == 0:
            yield f"reset refs/tags/v1.{n // (COMMITS // RELEASES)}.0\nfrom :{n}\n\n"


def _process(directory: Path, *command: str) -> Callable[[object], None]:
    def run(_: object) -> None:
        done = subprocess.run(command, check=False, capture_output=True, cwd=directory)
        if done.returncode != 0 or b"## [1.10.0]" not in done.stdout:
            raise AssertionError(done.stderr.decode())

    return run


def measure(rounds: int) -> list[Section]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        subprocess.run(["git", "init", "-q", "-b", "main", name], check=True)
        subprocess.run(["git", "-C", name, "fast-import", "--quiet"], input="".join(_stream()), text=True, check=True)
        subprocess.run(["git", "-C", name, "reset", "-q", "--hard", "main"], check=True)
        (directory / "cliff.toml").write_bytes(CONFIG.read_bytes())
        tool = Path(sys.executable).parent / "git-cliff"
        turns = [
            Turn("`twinproof changelog`", 1, list, _process(directory, sys.executable, "-m", "twinproof", "changelog")),
            Turn(
                "git-cliff alone",
                1,
                list,
                _process(directory, os.fspath(tool), "--config", "cliff.toml", "--offline"),
            ),
        ]
        ours, alone = in_turns(turns, rounds, clock=time.perf_counter)
    return [
        Section(
            "Changelog",
            METHOD,
            [ours.to_json("ms"), alone.to_json("ms")],
            [Bar(f"changelog of {COMMITS:,} commits, of git-cliff alone", ratio(ours, alone), 2)],
        )
    ]
