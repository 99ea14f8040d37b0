"""`twinproof serve` over an empty archive, with instances of the simulated world that its page may ask again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twinproof.sources.archive.store import Archive
from twinproof_devnet.world import World

__all__ = ["served"]


@contextmanager
def served(world: World, folder: Path, instances: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Its address and the token that it printed, empty without instances; `folder` gets the archive."""
    folder.mkdir(exist_ok=True)
    archive = folder / "archive"
    with Archive(str(archive), write=True):
        pass
    command = [sys.executable, "-m", "twinproof", "serve", str(archive), "--trust-root", str(world.root_path)]
    command += ["--config", str(world.config_path), "--no-cache", "--timeout", "5"]
    command += [part for name in instances for part in ("--instance", name)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            url = process.stdout.readline().strip().rstrip("/")
            token = process.stderr.readline().strip().partition("#token=")[2] if instances else ""
            yield url, token
        finally:
            process.terminate()
