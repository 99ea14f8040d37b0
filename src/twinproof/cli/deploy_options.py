"""Flags of `deploy`, `status`, `deployments` and `ci`. Only argparse is imported, so that `--help` is instant."""

from __future__ import annotations

import argparse

__all__ = ["add_deployments"]


def add_deployments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="verify|render|import", required=True, parser_class=type(parser)
    )
    verify = actions.add_parser("verify", help="hold every record against the chain and its evidence bundle")
    _trust(verify)
    render = actions.add_parser("render", help="write DEPLOYMENTS.md and the README's cells from the records")
    render.add_argument("--check", action="store_true", help="write nothing; exit 4 unless the files are these texts")
    imported = actions.add_parser("import", help="say what is wrong with each row of a table that somebody wrote")
    imported.add_argument("file", metavar="FILE", help="a Markdown file with such a table; - reads standard input")
    for part in (verify, imported):
        chain(part)
        part.add_argument(
            "--timeout", metavar="SECONDS", type=float, default=30.0, help="for each request (default: 30)"
        )
        part.add_argument("--json", action="store_true", help="print the result as JSON")
    for part in (verify, render):
        part.add_argument(
            "--directory",
            metavar="DIR",
            help="the folder with deployments/ and DEPLOYMENTS.md (default: the repository)",
        )


def chain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--chain", metavar="RPC", help="the JSON-RPC endpoint of the chain that is asked")


def _trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="machines and policy (default: ./twinproof.toml)")
    parser.add_argument("--policy", metavar="FILE", help="take the [policy] table of this TOML file instead")
    parser.add_argument(
        "--trust-root", metavar="FILE", help="verify against this root certificate instead of the Intel SGX Root CA"
    )
    parser.set_defaults(profile=None)
