"""The endpoint of `--chain`, made when a command asks a chain; without the flag there is none."""

from __future__ import annotations

import argparse

from twinproof.errors import UsageError
from twinproof.sources.http import HttpClient
from twinproof.sources.limits import Limits
from twinproof.sources.rpc import Endpoint
from twinproof.sources.urls import split_url

__all__ = ["chain_endpoint"]


def chain_endpoint(arguments: argparse.Namespace) -> Endpoint | None:
    """Raises UsageError for what is no URL."""
    if not 0 < arguments.timeout < float("inf"):
        raise UsageError("not a time limit", where="--timeout", got=str(arguments.timeout), expected="more than 0")
    if arguments.chain is None:
        return None
    split_url(arguments.chain)
    return Endpoint(arguments.chain, HttpClient(Limits(total_timeout=arguments.timeout)))
