"""The argv form of the protocol, and `stream` for many requests in one process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from twinproof.cli.settings import time_of
from twinproof.conformance.answer import Answer, judge_bundle, judge_quote
from twinproof.conformance.stream import MAX_FILE_BYTES, answers
from twinproof.dcap.roots import TrustRoot
from twinproof.errors import TwinproofError
from twinproof.memo import Memo
from twinproof.sources.clock import now
from twinproof.sources.files import read_file
from twinproof.wire import shown

__all__ = ["build_parser", "main"]

ACCEPTED, REFUSED, USAGE = 0, 1, 2
EPILOG = """\
exit codes: 0 accepted, 1 refused, 2 wrong usage or a file that cannot be opened
The exit codes are those of the protocol, not those of the twinproof command. See tests/conformance/README.md.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m twinproof.conformance",
        description="Answer the questions of a conformance corpus, with this package's strict rules.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    quote = commands.add_parser("verify", help="judge one quote")
    quote.add_argument("quote", metavar="QUOTE")
    quote.add_argument("collateral", metavar="COLLATERAL.json")
    bundle = commands.add_parser("verify-bundle", help="judge one evidence bundle")
    bundle.add_argument("bundle", metavar="BUNDLE.json")
    for command in (quote, bundle):
        command.add_argument("root", metavar="ROOT_CA.der", help="the trust root, DER or PEM")
        command.add_argument("--at", metavar="T", help="unix seconds or YYYY-MM-DDThh:mm:ssZ; default: now")
    commands.add_parser("stream", help="JSON requests on standard input, one per line; answers on standard output")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the protocol."""
    arguments = build_parser().parse_args(argv)  # exits with 2 by itself
    try:
        if arguments.command == "stream":
            for line in answers(sys.stdin.buffer):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            return ACCEPTED
        answer = _judged(arguments)
    except TwinproofError as error:
        sys.stderr.write(f"{shown(str(error), 4000)}\n")
        return USAGE
    if answer.accepted:
        sys.stdout.write(f"Verification successful\nStatus: {answer.tcb_status}\n")
        return ACCEPTED
    sys.stderr.write(f"Verification failed: {answer.reason}\nStage: {answer.stage}\n")
    return REFUSED


def _judged(arguments: argparse.Namespace) -> Answer:
    at = time_of(arguments.at) if arguments.at is not None else now()
    root = TrustRoot.from_pem_or_der(_read(arguments.root, "trust root"))
    if arguments.command == "verify-bundle":
        return judge_bundle(_read(arguments.bundle, "bundle"), root=root, at=at)
    quote, collateral = _read(arguments.quote, "quote"), _read(arguments.collateral, "collateral")
    return judge_quote(quote, collateral, root=root, at=at, memo=Memo())


def _read(name: str, what: str) -> bytes:
    return read_file(name, what, max_bytes=MAX_FILE_BYTES)
