"""Flags that every command which reads or writes a chain has. Only argparse is imported here."""

from __future__ import annotations

import argparse

from twinproof.cli import usual_options

__all__ = ["add_chain", "add_history", "add_power", "endpoints", "html", "max_cost", "proof", "signing"]


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


def max_cost(group: argparse._ActionsContainer) -> None:
    """`--max-cost`, of each transaction."""
    group.add_argument(
        "--max-cost", metavar="ETH", default="0.01", help="refuse to pay more for a transaction (default: 0.01)"
    )


def proof(group: argparse._ActionsContainer) -> None:
    """`--proof`."""
    group.add_argument(
        "--proof",
        action="store_true",
        help="prove every log and every word of state against a block on which the endpoints agree; who lies is named",
    )


def _reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app_id", metavar="APP_ID", help="the app's contract, 20 bytes")
    usual_options.as_json(parser)
    proof(parser)
    network = parser.add_argument_group("where")
    endpoints(network)
    network.add_argument("--kms", metavar="ADDRESS", help="the DstackKms contract (default: kms of [chain], or Base's)")
    network.add_argument("--from-block", metavar="N", type=int, help="where the log begins (default: it is searched)")
    network.add_argument("--no-cache", action="store_true", help="neither read nor write the cache of the log")
    usual_options.config(network)
    usual_options.requests(network)


def add_history(parser: argparse.ArgumentParser) -> None:
    """Of `history`."""
    _reading(parser)
    parser.add_argument(
        "--published",
        metavar="FILE|DIR",
        action="append",
        default=[],
        help="published app-compose.json files, such as v1.2.0/app-compose.json; may be repeated",
    )
    parser.add_argument(
        "--superseded-days",
        metavar="N",
        type=float,
        default=7.0,
        help="how long after a newer version an older one may stay allowed before it is named (default: 7)",
    )
    html(parser)


def html(parser: argparse.ArgumentParser) -> None:
    """`--html`."""
    parser.add_argument(
        "--html", metavar="FILE", help="also write a page that needs no network, with what it was made of inside"
    )


def add_power(parser: argparse.ArgumentParser) -> None:
    """Of `power`."""
    _reading(parser)


def add_chain(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="allow|add-device|deploy-app", required=True, parser_class=type(parser)
    )
    allow = actions.add_parser("allow", help="allow a compose hash, once")
    device = actions.add_parser("add-device", help="allow a machine, once")
    deploy = actions.add_parser("deploy-app", help="deploy an app's contract through the KMS's factory")
    for part in (allow, device):
        part.add_argument("app_id", metavar="APP_ID", help="the app's contract, 20 bytes")
    device.add_argument("device", metavar="DEVICE", help="a device id, 32 bytes, or a machine of twinproof.toml")
    deploy.add_argument("--kms", metavar="ADDRESS", help="the DstackKms contract (default: kms of [chain])")
    deploy.add_argument(
        "--device", metavar="DEVICE", required=True, help="the first machine: a device id, or a name of twinproof.toml"
    )
    deploy.add_argument("--owner", metavar="ADDRESS", help="who may change the app (default: who signs)")
    deploy.add_argument("--disable-upgrades", action="store_true", help="freeze the contract's code for ever")
    deploy.add_argument("--require-tcb", action="store_true", help="refuse keys to platforms that are not UpToDate")
    deploy.add_argument("--allow-any-device", action="store_true", help="let every machine have the app's keys")
    deploy.add_argument("--another", action="store_true", help="deploy one more, though the same app is there already")
    for part in (allow, deploy):
        part.add_argument(
            "--app-compose", metavar="FILE", help="the exact app-compose.json bytes; their hash is allowed"
        )
        part.add_argument("--compose-hash", metavar="HEX", help="the hash that is expected, or all there is of it")
    for part in (allow, device, deploy):
        _writing(part)


def _writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", action="store_true", help="show the transaction and send nothing; needs no key")
    parser.add_argument(
        "--wait",
        choices=("mined", "finalized"),
        default="mined",
        help="how far to wait: for its block (default), or until that block is final",
    )
    usual_options.as_json(parser)
    signing(parser)
    cost = parser.add_argument_group("what it may cost")
    cost.add_argument("--gas", metavar="N", type=int, help="gas limit (default: what is estimated and a fifth more)")
    max_cost(cost)
    network = parser.add_argument_group("where")
    endpoints(network)
    usual_options.config(network)
    network.add_argument("--timeout", metavar="SECONDS", type=float, default=180.0, help="for the block (default: 180)")
    usual_options.authorities(network)
