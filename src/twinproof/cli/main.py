"""`twinproof`: parses the command line, runs one command, turns errors into exit codes. Only this module exits.

Start-up stays instant because a command's module is imported when the command runs.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from twinproof import __version__
from twinproof.cli import options
from twinproof.cli.examples import EXAMPLES
from twinproof.errors import TwinproofError
from twinproof.wire import shown

__all__ = ["build_parser", "main", "run"]

MAX_ERROR_CHARS = 4000
GARBAGE_THRESHOLD = 50_000
"""Start-up makes thousands of objects that stay: looking for cycles among them takes time, and finds none."""
EPILOG = """\
exit codes:
  0  proved, or done
  1  a bug in twinproof
  2  usage, configuration or installation
  3  not genuine, or malformed evidence
  4  genuine, but not what was expected, or the instances differ
  5  evidence or collateral could not be obtained

examples:
  twinproof compare https://prod9.example https://prod7.example
  twinproof verify quote.bin --collateral all.json --at 2026-04-15T11:28:33Z
  twinproof verify https://prod9.example --expect version=1.2.0 --require fresh
"""


class _Parser(argparse.ArgumentParser):
    named = ""
    """The command, where only its part was built: what is left over was meant for it."""

    def error(self, message: str) -> NoReturn:
        raise options.usage_error(f"{self.prog} {self.named}".rstrip(), message)


def build_parser(only: str = "") -> argparse.ArgumentParser:
    """The whole command line, which documentation tests walk; or as much of it as one command needs."""
    parser = _Parser(
        prog="twinproof",
        description="Prove that Intel TDX confidential VMs run the same, published code.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.named = only
    parser.add_argument("--version", action="version", version=f"twinproof {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, (summary, _) in options.COMMANDS.items():
        if only and name != only:
            continue
        parser_of_it = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"examples:\n{EXAMPLES[name]}" if name in EXAMPLES else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        options.add_flags(name, parser_of_it)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; errors are printed to stderr, never as a traceback."""
    try:
        words = sys.argv[1:] if argv is None else argv
        named = words[0] if words and words[0] in options.COMMANDS else ""
        arguments = build_parser(named).parse_args(words)
        command: Callable[[argparse.Namespace], int] = import_module(f"twinproof.cli.{arguments.command}").run
        code = command(arguments)
        sys.stdout.flush()
    except TwinproofError as error:
        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("twinproof: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if os.environ.get("TWINPROOF_DEBUG"):
            raise
        print(f"twinproof: bug: {type(error).__name__}: {shown(str(error), MAX_ERROR_CHARS)}", file=sys.stderr)
        print("twinproof: hint: TWINPROOF_DEBUG=1 shows where; please report it", file=sys.stderr)
        return 1
    return code


def print_error(error: TwinproofError) -> None:
    print(f"twinproof: error: {shown(str(error), MAX_ERROR_CHARS)}", file=sys.stderr)
    if error.hint:
        print(f"twinproof: hint: {shown(error.hint, MAX_ERROR_CHARS)}", file=sys.stderr)


def run() -> NoReturn:
    """The entry point of the installed command. What this terminal cannot write is written as an escape."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    gc.set_threshold(GARBAGE_THRESHOLD)
    code = main()
    gc.freeze()  # the last search for cycles takes as long as a verification, and what it would free goes anyway
    sys.exit(code)
