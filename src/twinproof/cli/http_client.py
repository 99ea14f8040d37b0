"""The HTTP client of a command, as its flags say. It is imported when one is made: `--help` needs none."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from twinproof.errors import UsageError

if TYPE_CHECKING:
    from twinproof.sources.http import HttpClient

__all__ = ["check_timeout", "http_client"]


def check_timeout(arguments: argparse.Namespace) -> None:
    """Raises UsageError."""
    if not 0 < arguments.timeout < float("inf"):
        raise UsageError("not a time limit", where="--timeout", got=str(arguments.timeout), expected="more than 0")


def http_client(arguments: argparse.Namespace) -> HttpClient:
    """Of `--timeout` and `--ca-file`. Raises UsageError."""
    from twinproof.sources.http import HttpClient
    from twinproof.sources.limits import Limits

    check_timeout(arguments)
    return HttpClient(Limits(total_timeout=arguments.timeout), ca_file=arguments.ca_file)
