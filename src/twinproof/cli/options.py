"""The commands. Only argparse is imported, and the flags of one command only when it is named: `--help` is instant."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module

from twinproof.cli import usual_options
from twinproof.errors import UsageError

__all__ = ["COMMANDS", "add_completion", "add_devnet", "add_explain", "add_flags", "usage_error"]

COMMANDS = {
    "compare": ("prove that two or more instances run the same code", "evidence_options"),
    "verify": ("verify the evidence of one instance", "evidence_options"),
    "inspect": ("show what is in a file, without trusting it", "evidence_options"),
    "key": ("prove that the KMS handed out a key, from a GetKey or Sign answer", "evidence_options"),
    "bump": ("make the next version: files, changelog, commit and tag, or nothing at all", "release_options"),
    "changelog": ("write the changelog from the commits", "release_options"),
    "compose": ("render, compare and check what is deployed", "release_options"),
    "release": ("check, build and publish a version, as the workflows do", "release_options"),
    "image": ("measure OS images, and show those that the policy allows", "release_options"),
    "deploy": ("deploy a version to its machines, and wait until each attests it", "deploy_options"),
    "status": ("compare what is attested, allowed on chain and recorded", "deploy_options"),
    "ci": ("what a workflow runs: deploy, prove, record", "deploy_options"),
    "deployments": ("verify and render the deployment records, or judge a table of old ones", "deploy_options"),
    "history": ("show everything that was ever allowed to run as an app, and what is published", "chain_options"),
    "power": ("show who can change what runs as an app, and how fast", "chain_options"),
    "chain": ("allow a version or a machine on chain, or deploy an app's contract", "chain_options"),
    "watch": ("repeat a comparison, and tell when its verdict changes", "evidence_options"),
    "explain": ("say what a check proves, and what an attacker gains without it", "options"),
    "completion": ("print the completion of a shell", "options"),
    "archive": ("keep evidence, and take it out again, byte for byte", "archive_options"),
    "audit": ("judge everything in an archive again, each at its own time", "archive_options"),
    "serve": ("show an archive as read-only pages", "archive_options"),
    "devnet": ("start the simulated world (not Intel, no hardware)", "options"),
}
"""Of each its summary, and the module here whose `add_` and its name adds its flags."""


def usage_error(program: str, message: str) -> UsageError:
    return UsageError(message, where=program, hint=f"{program} --help")


def add_flags(name: str, parser: argparse.ArgumentParser) -> None:
    """Give `parser` the flags of this command."""
    add: Callable[[argparse.ArgumentParser], None] = getattr(
        import_module(f"twinproof.cli.{COMMANDS[name][1]}"), f"add_{name}"
    )
    add(parser)


def add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "check", metavar="CHECK_ID", nargs="?", help="such as dcap.pck_chain (default: list all of them)"
    )
    usual_options.as_json(parser)


def add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="print what this shell reads")


def add_devnet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="up | push | demo | faults | corpus; everything after `devnet` goes to the simulated world",
    )
