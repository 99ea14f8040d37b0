"""Where the real, Intel-signed evidence lies. It is read from outside the repository and never copied into it."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT_VARIABLE = "TWINPROOF_VECTORS"
_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "vectors"


def vectors_directory() -> Path | None:
    """The directory with `dcap/` and `dstack/`, or None when a user has only the repository."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    directory = Path(named) if named else _BESIDE_THE_REPOSITORY
    return directory if (directory / "dcap" / "index.json").is_file() else None


def must_run() -> bool:
    """Whether skipping the real-vector tests is a failure: when the evidence is there, or was asked for by name."""
    return _BESIDE_THE_REPOSITORY.parent.is_dir() or ENVIRONMENT_VARIABLE in os.environ
