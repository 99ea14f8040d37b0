"""`--html FILE`: reports beside what is printed. What cannot be written is told before anything is asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from twinproof.comparison import Proof
from twinproof.errors import UsageError
from twinproof.report.outcome import Failure
from twinproof.sources import clock
from twinproof.sources.disk import write_over
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["check_report_files", "write_report_files"]


def check_report_files(arguments: argparse.Namespace) -> None:
    """Raises UsageError for a folder that is not there, or a package that is not installed."""
    if arguments.html is not None:
        from twinproof.report.html.page import environment

        _check_place("--html", arguments.html)
        environment()


def write_report_files(
    arguments: argparse.Namespace, proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = ()
) -> None:
    """Write what was asked for, whole or not at all. Raises UsageError naming the file."""
    if arguments.html is not None:
        from twinproof.report.html.page import html_report

        _write("--html", arguments.html, html_report(proof, verdicts, failures, now=clock.now()))


def _check_place(flag: str, name: str) -> None:
    path = Path(name)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a directory" if path.is_dir() else "its directory does not exist"
        raise UsageError(f"cannot be written: {what}", where=f"{flag} {shown(name)}", expected="a file's name")


def _write(flag: str, name: str, text: str) -> None:
    try:
        write_over(Path(name), text.encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot be written: {reason}", where=f"{flag} {shown(name)}") from error
    print(f"twinproof: wrote {shown(name, 1000)}", file=sys.stderr)
