"""Flags that every command which reads or writes a chain has. Only argparse is imported here."""

from __future__ import annotations

import argparse

__all__ = ["endpoints", "signing"]


def endpoints(group: argparse._ActionsContainer) -> None:
    """Which nodes are asked."""
    group.add_argument(
        "--chain",
        metavar="RPC[,RPC...]",
        action="append",
        default=[],
        help="JSON-RPC endpoints of the chain, or env:NAME for one that a variable holds; default: rpc of [chain] in "
        "twinproof.toml; may be repeated",
    )
    group.add_argument("--chain-id", metavar="N", type=int, help="the chain that is meant, such as 8453 for Base")
    group.add_argument(
        "--quorum", metavar="K", type=int, help="how many of the endpoints have to agree (default: more than half)"
    )


def signing(parser: argparse.ArgumentParser) -> None:
    """Which key signs; never the key itself."""
    key = parser.add_argument_group("who signs")
    key.add_argument("--key-file", metavar="FILE", help="the key's 64 hex digits, in a file of mode 0600")
    key.add_argument("--key-env", metavar="NAME", help="the name of a variable that holds them")
    key.add_argument("--keystore", metavar="FILE", help="an encrypted key (Web3 Secret Storage), mode 0600")
    key.add_argument("--password-file", metavar="FILE", help="the keystore's password, in a file of mode 0600")
    key.add_argument("--password-env", metavar="NAME", help="the name of a variable that holds it")
