"""Reports beside or instead of the text. What cannot be written is told before anything is asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinproof import __version__
from twinproof.cli.summary_signing import check_signing, signed_summary
from twinproof.errors import UsageError, worst_exit_code
from twinproof.sources import clock
from twinproof.sources.disk import write_over
from twinproof.wire import shown

if TYPE_CHECKING:  # `verify` compares nothing and starts without them
    from twinproof.comparison import Proof
    from twinproof.report.outcome import Failure
    from twinproof.verifier import Verdict

__all__ = ["check_html", "check_report_files", "print_summary", "write_report", "write_report_files"]


def check_report_files(arguments: argparse.Namespace) -> None:
    """Settle `--format`, too. Raises UsageError for flags that exclude each other, and for what cannot be written."""
    if arguments.json and arguments.format not in (None, "json"):
        raise UsageError("--json and --format exclude each other", got=f"--format {arguments.format}")
    arguments.format = arguments.format or ("json" if arguments.json else "text")
    arguments.json = arguments.format == "json"
    check_signing(arguments)
    for flag, name in (("--junit", arguments.junit), ("--sarif", arguments.sarif)):
        if name is not None:
            _check_place(flag, name)
    check_html(arguments.html)


def check_html(name: str | None) -> None:
    """Raises UsageError for a page that cannot be written, or that needs what is not installed."""
    if name is not None:
        from twinproof.report.html.page import environment

        _check_place("--html", name)
        environment()


def write_report_files(
    arguments: argparse.Namespace, proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = ()
) -> None:
    """Write what was asked for, each whole or not at all. Raises UsageError naming the file."""
    if arguments.html is not None:
        from twinproof.report.html.page import html_report

        write_report("--html", arguments.html, html_report(proof, verdicts, failures, now=clock.now()))
    if arguments.junit is not None:
        from twinproof.report.junit import junit_report

        write_report("--junit", arguments.junit, junit_report(proof, verdicts, failures))
    if arguments.sarif is not None:
        from twinproof.report.sarif import sarif_report

        write_report("--sarif", arguments.sarif, sarif_report(proof, verdicts, failures, version=__version__))


def print_summary(
    arguments: argparse.Namespace, proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = ()
) -> None:
    """`--format vsa`: the Statement, or what carries it signed, on one line. A Statement about nothing is none.

    Raises the worst of the failures where there is no evidence at all, and what signing raises.
    """
    from twinproof.report.vsa import vsa_statement

    if not verdicts:
        worst = worst_exit_code(error.exit_code for _, error in failures)
        raise next(error for _, error in failures if error.exit_code == worst)
    print(signed_summary(arguments, vsa_statement(proof, verdicts, failures, version=__version__)))


def _check_place(flag: str, name: str) -> None:
    path = Path(name)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a directory" if path.is_dir() else "its directory does not exist"
        raise UsageError(f"cannot be written: {what}", where=f"{flag} {shown(name)}", expected="a file's name")


def write_report(flag: str, name: str, text: str) -> None:
    """Whole or not at all. Raises UsageError naming the file."""
    try:
        write_over(Path(name), text.encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot be written: {reason}", where=f"{flag} {shown(name)}") from error
    print(f"twinproof: wrote {shown(name, 1000)}", file=sys.stderr)
