"""Reports beside or instead of the text. What cannot be written is told before anything is asked."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinproof import __version__
from twinproof.errors import UsageError
from twinproof.sources import clock
from twinproof.sources.disk import write_over
from twinproof.wire import shown

if TYPE_CHECKING:  # `verify` compares nothing and starts without them
    from twinproof.comparison import Proof
    from twinproof.report.outcome import Failure
    from twinproof.verifier import Verdict

__all__ = ["check_report_files", "print_summary", "write_report_files"]


def check_report_files(arguments: argparse.Namespace) -> None:
    """Settle `--format`, too. Raises UsageError for flags that exclude each other, and for what cannot be written."""
    if arguments.json and arguments.format not in (None, "json"):
        raise UsageError("--json and --format exclude each other", got=f"--format {arguments.format}")
    arguments.format = arguments.format or ("json" if arguments.json else "text")
    arguments.json = arguments.format == "json"
    if arguments.sign_key is not None:
        from twinproof.sources.summary_key import read_summary_key

        if arguments.format != "vsa":
            raise UsageError("only a summary is signed", where="--sign-key", hint="--format vsa")
        read_summary_key(arguments.sign_key)
    for flag, name in (("--html", arguments.html), ("--junit", arguments.junit), ("--sarif", arguments.sarif)):
        if name is not None:
            _check_place(flag, name)
    if arguments.html is not None:
        from twinproof.report.html.page import environment

        environment()


def write_report_files(
    arguments: argparse.Namespace, proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = ()
) -> None:
    """Write what was asked for, each whole or not at all. Raises UsageError naming the file."""
    if arguments.html is not None:
        from twinproof.report.html.page import html_report

        _write("--html", arguments.html, html_report(proof, verdicts, failures, now=clock.now()))
    if arguments.junit is not None:
        from twinproof.report.junit import junit_report

        _write("--junit", arguments.junit, junit_report(proof, verdicts, failures))
    if arguments.sarif is not None:
        from twinproof.report.sarif import sarif_report

        _write("--sarif", arguments.sarif, sarif_report(proof, verdicts, failures, version=__version__))


def print_summary(
    arguments: argparse.Namespace, proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = ()
) -> None:
    """`--format vsa`: the Statement, or with a key the envelope around it, on one line."""
    from twinproof.report.vsa import dsse_envelope, vsa_statement

    document = vsa_statement(proof, verdicts, failures, version=__version__)
    if arguments.sign_key is not None:
        from twinproof.sources.summary_key import read_summary_key

        key = read_summary_key(arguments.sign_key)
        document = dsse_envelope(document, key.sign, key.key_id)
    print(json.dumps(document, sort_keys=True, separators=(",", ":")))


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
