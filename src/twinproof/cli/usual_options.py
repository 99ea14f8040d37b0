"""Flags that mean the same at every command which has them. Only argparse is imported, so that `--help` is instant."""

from __future__ import annotations

import argparse

__all__ = ["as_json", "authorities", "collateral", "config", "no_cache", "policy", "requests"]


def as_json(group: argparse._ActionsContainer) -> None:
    group.add_argument("--json", action="store_true", help="print the result as JSON on stdout, and nothing else there")


def config(group: argparse._ActionsContainer) -> None:
    group.add_argument("--config", metavar="FILE", help="settings and machine names (default: ./twinproof.toml)")


def policy(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--policy", metavar="FILE", help="take the [policy] table of this TOML file instead of twinproof.toml's"
    )


def requests(group: argparse._ActionsContainer) -> None:
    """How long a request may take, and whom to believe at its other end."""
    group.add_argument("--timeout", metavar="SECONDS", type=float, default=30.0, help="for each request (default: 30)")
    authorities(group)


def authorities(group: argparse._ActionsContainer) -> None:
    group.add_argument("--ca-file", metavar="FILE", help="certificate authorities for TLS (default: the system's)")


def collateral(group: argparse._ActionsContainer) -> None:
    """Where CRLs, TCB info and QE identity come from."""
    group.add_argument(
        "--collateral-url", metavar="URL", help="fetch collateral from this PCS or PCCS (default: Intel's PCS)"
    )
    no_cache(group)


def no_cache(group: argparse._ActionsContainer) -> None:
    group.add_argument("--no-cache", action="store_true", help="neither read nor write the collateral cache")
