"""Flags of `deploy`, `status`, `deployments` and `ci`. Only argparse is imported, so that `--help` is instant."""

from __future__ import annotations

import argparse

from twinproof.cli import chain_options, usual_options
from twinproof.cli.judging_options import deployed, trusting

__all__ = ["add_ci", "add_deploy", "add_deployments", "add_status"]


def add_deploy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", action="store_true", help="show what would be sent, and send nothing")
    parser.add_argument("--tag", metavar="TAG", help="the version's tag (default: the version files at HEAD)")
    parser.add_argument("--run", metavar="NAME", help="tells two runs of a version apart (default: CI's, or the time)")
    usual_options.as_json(parser)
    _deploying(parser)


def add_ci(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="deploy", required=True, parser_class=type(parser))
    deploy = actions.add_parser("deploy", help="deploy a tag, compare the instances, record, push the record")
    deploy.add_argument("--tag", metavar="TAG", required=True, help="the version's tag, such as v1.2.0")
    deploy.add_argument("--run", metavar="NAME", help="tells two runs of a version apart (default: CI's, or the time)")
    deploy.add_argument("--remote", metavar="NAME", default="origin", help="where records are pushed (default: origin)")
    deploy.add_argument(
        "--finality",
        metavar="SECONDS",
        type=float,
        default=1800.0,
        help="wait so long until what was sent is final; 0 records it before, and leaves the chain's part of "
        "the comparison open (default: 1800)",
    )
    deploy.add_argument(
        "--older", action="store_true", help="deploy it although a newer version is recorded as deployed"
    )
    deploy.set_defaults(plan=False, json=False)
    _deploying(deploy)


def add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--machines", metavar="NAME,...", help="machines of twinproof.toml (default: the recorded ones)"
    )
    parser.add_argument("--app-id", metavar="HEX", help="the app's contract (default: pinned, or recorded last)")
    usual_options.as_json(parser)
    chain_options.endpoints(parser)
    deployed(parser)


def add_deployments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="verify|render|import", required=True, parser_class=type(parser)
    )
    verify = actions.add_parser("verify", help="hold every record against the chain and its evidence bundle")
    trusting(verify)
    chain_options.html(verify)
    render = actions.add_parser("render", help="write DEPLOYMENTS.md and the README's cells from the records")
    render.add_argument("--check", action="store_true", help="write nothing; exit 4 unless the files are these texts")
    imported = actions.add_parser("import", help="say what is wrong with each row of a table that somebody wrote")
    imported.add_argument("file", metavar="FILE", help="a Markdown file with such a table; - reads standard input")
    imported.set_defaults(config=None)
    for part in (verify, imported):
        chain_options.endpoints(part)
        usual_options.requests(part)
        usual_options.as_json(part)
    for part in (verify, render):
        part.add_argument(
            "--directory",
            metavar="DIR",
            help="the folder with deployments/ and DEPLOYMENTS.md (default: the repository)",
        )


def _deploying(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what")
    what.add_argument(
        "--image-digest", metavar="DIGEST", help="sha256:<64 hex> of the image; the text is rendered anew"
    )
    what.add_argument(
        "--app-compose", dest="artefact", metavar="FILE", help="the exact app-compose.json bytes, instead"
    )
    what.add_argument(
        "--environment", metavar="NAME", default="production", help="the measured environment (default: production)"
    )
    what.add_argument(
        "--env-file",
        metavar="FILE",
        help="NAME=VALUE lines with the secrets of allowed_envs (default: variables of these names)",
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--machines", metavar="NAME,...", help="machines of twinproof.toml, the first first (default: all)"
    )
    where.add_argument("--app-id", metavar="HEX", help="the app's contract (default: pinned, recorded, or found)")
    where.add_argument("--kms", metavar="ADDRESS", help="the DstackKms contract (default: kms of [chain])")
    where.add_argument("--instance-type", metavar="NAME", default="tdx.small", help="of a new CVM (default: tdx.small)")
    where.add_argument("--os-image", metavar="NAME", help="of a new CVM (default: the cloud's choice)")
    chain_options.endpoints(where)
    chain_options.signing(parser)
    chain_options.max_cost(parser.add_argument_group("what it may cost"))
    how = parser.add_argument_group("how long")
    how.add_argument(
        "--wait", metavar="SECONDS", type=float, default=900.0, help="for each instance to attest (default: 900)"
    )
    how.add_argument("--poll", metavar="SECONDS", type=float, default=5.0, help="between two questions (default: 5)")
    how.add_argument(
        "--chain-timeout", metavar="SECONDS", type=float, default=180.0, help="for a transaction (default: 180)"
    )
    how.add_argument(
        "--journal", metavar="FILE", help="what a second attempt goes on from (default: in the state folder)"
    )
    deployed(parser)
