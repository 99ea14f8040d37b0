"""The flags of `archive` and `audit`: only argparse, so that `--help` is instant."""

from __future__ import annotations

import argparse

from twinproof.cli import chain_options, usual_options
from twinproof.cli.judging_options import offline

__all__ = ["add_archive", "add_audit", "add_serve"]


def add_archive(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="add|list|export", required=True, parser_class=type(parser))
    added = actions.add_parser("add", help="keep evidence bundles, with how they are judged now, each at its own time")
    added.add_argument("archive", metavar="ARCHIVE", help="the archive's folder; made where there is none")
    added.add_argument("files", metavar="FILE|DIR", nargs="+", help="evidence bundles, or folders of them")
    offline(added)
    listed = actions.add_parser("list", help="show the newest entries, and the hash to note outside of the archive")
    listed.add_argument("archive", metavar="ARCHIVE", help="the archive's folder")
    listed.add_argument("--limit", metavar="N", type=int, default=20, help="how many entries (default: 20)")
    exported = actions.add_parser("export", help="write bundles out of the archive, as they were added")
    exported.add_argument("archive", metavar="ARCHIVE", help="the archive's folder")
    exported.add_argument("numbers", metavar="NUMBER", nargs="*", type=int, help="entries (default: all of them)")
    exported.add_argument("--to", metavar="DIR", required=True, help="write them into this directory")
    for part in (added, listed, exported):
        part.add_argument("--json", action="store_true", help="print one JSON object per line")


def add_audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE", help="the archive's folder")
    offline(parser)
    usual_options.as_json(parser)
    parser.add_argument("--jobs", metavar="N", type=int, help="worker processes (default: one per CPU)")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="use this Dask cluster instead, such as tcp://127.0.0.1:8786"
    )
    parser.add_argument(
        "--journal",
        metavar="FILE",
        help="write every entry's result here; an audit with the same journal goes on where it was interrupted",
    )
    parser.add_argument(
        "--head", metavar="HEX", help="a hash that `archive list` showed: fail unless the archive still leads to it"
    )
    parser.add_argument(
        "--max-gap", metavar="SECONDS", type=int, help="fail (exit 4) where the time between two proofs was longer"
    )
    parser.add_argument(
        "--records", metavar="DIR", help="fail (exit 4) for versions of these deployment records without a proof"
    )


def add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE", help="the archive's folder")
    parser.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=int, default=0, help="which port (default: a free one, printed)")
    parser.add_argument(
        "--name", metavar="HOST", action="append", default=[], help="answer to this host name too; may be repeated"
    )
    parser.add_argument(
        "--max-age",
        metavar="SECONDS",
        type=int,
        default=86400,
        help="an older last proof makes the badge grey (default: 86400)",
    )
    parser.add_argument(
        "--history",
        metavar="FILE",
        action="append",
        default=[],
        help="what `twinproof history --json` wrote: since when versions are allowed, and which are dark; may be "
        "repeated",
    )
    offline(parser)
    live = parser.add_argument_group("re-checks from the page")
    live.add_argument(
        "--instance",
        metavar="URL|NAME",
        action="append",
        default=[],
        help="let whoever has the token re-check this instance, a URL or a machine of twinproof.toml; may be repeated",
    )
    live.add_argument(
        "--token-file", metavar="FILE", help="the token (default: a new one, printed on standard error at the start)"
    )
    usual_options.collateral(live)
    usual_options.requests(live)
    chain_options.endpoints(live)
    chain_options.proof(live)
