"""`twinproof devnet`: hand over to the simulated world, which is another package and another process."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

from twinproof.errors import UsageError

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    if importlib.util.find_spec("twinproof_devnet") is None or importlib.util.find_spec("dstack_sdk") is None:
        raise UsageError("the devnet is not installed", hint="pip install 'twinproof[devnet]'")
    if not arguments.arguments:
        expected = "up, push, demo, sigstore, faults or corpus"
        raise UsageError(
            "which command?", where="twinproof devnet", expected=expected, hint="twinproof devnet up --help"
        )
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "twinproof_devnet", *arguments.arguments])  # noqa: S606  (no shell)
