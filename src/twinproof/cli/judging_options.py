"""Flags of what judges evidence, each in one place; a command without some of them has their defaults."""

from __future__ import annotations

import argparse

from twinproof.cli import chain_options, usual_options
from twinproof.cli.summary_signing import add_signing_flags

__all__ = ["deployed", "judging", "offline", "reporting", "trusting"]

_WITHOUT: dict[str, object] = {
    "at": None,
    "collateral": [],
    "collateral_url": None,
    "expect": [],
    "require": [],
    "accept_tcb": [],
    "min_tcb_evaluation": 0,
    "allow": [],
    "profile": None,
    "app_compose": None,
    "ra_tls": False,
    "timeout": 30.0,
}
"""What a flag that a command does not have would say."""


def judging(parser: argparse.ArgumentParser) -> None:
    """Of `verify`, `compare` and `watch`: what to trust and to expect, and how to ask."""
    usual_options.as_json(parser)
    trust = parser.add_argument_group("what to trust")
    _trust_root(trust)
    trust.add_argument(
        "--at",
        metavar="TIME",
        help="judge at this time (unix seconds or YYYY-MM-DDThh:mm:ssZ) instead of a bundle's own time, or now",
    )
    trust.add_argument(
        "--collateral",
        metavar="FILE",
        action="append",
        default=[],
        help="take CRLs, TCB info and QE identity from this JSON file instead of fetching them; may be repeated",
    )
    usual_options.collateral(trust)
    trust.add_argument(
        "--second-opinion",
        action="store_true",
        help="also ask dcap-qvl (an optional package) about the quote; a disagreement is a failure",
    )
    wanted = parser.add_argument_group("what to expect")
    wanted.add_argument(
        "--expect",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="pin a value: image, compose_hash, app_id, kms_root, kms_contract (hex), chain_id, version, git_sha; may "
        "be repeated",
    )
    wanted.add_argument(
        "--require",
        metavar="NAME,...",
        action="append",
        default=[],
        help="fail (exit 4; 5 where it could not be asked) when these were not checked: image, compose_hash, version, "
        "git_sha, app_id, kms_root, "
        "chain, fresh, machine, clock, advisories, tcb_evaluation, collateral_age, statement_age, or any check id",
    )
    usual_options.policy(wanted)
    wanted.add_argument(
        "--profile",
        choices=("strict", "intel"),
        help="what to want without a policy: strict (default), or no more than Intel's library does",
    )
    wanted.add_argument(
        "--accept-tcb",
        metavar="STATUS",
        action="append",
        default=[],
        help="accept this TCB status beside UpToDate, such as SWHardeningNeeded; may be repeated",
    )
    wanted.add_argument(
        "--min-tcb-evaluation", metavar="N", type=int, default=0, help="refuse collateral of an older TCB recovery"
    )
    wanted.add_argument(
        "--allow",
        metavar="RULE",
        action="append",
        default=[],
        help="weaken one report-attribute rule: debug, sept_ve_disable_clear, service_td; may be repeated",
    )
    network = parser.add_argument_group("how to ask")
    usual_options.config(network)
    network.add_argument(
        "--app-compose", metavar="FILE", help="the app-compose.json bytes, where the evidence lacks them"
    )
    usual_options.requests(network)
    network.add_argument(
        "--ra-tls",
        action="store_true",
        help="where there is no /attestation, take the quote from the TLS certificate itself; certificate names are "
        "then not verified, the quote is; https only",
    )
    _save(network)
    chain = parser.add_argument_group("the chain")
    chain_options.endpoints(chain)
    chain_options.proof(chain)


def reporting(parser: argparse.ArgumentParser) -> None:
    """Of `verify` and `compare`: in which forms they say what they found, and who signs it."""
    parser.add_argument("--explain", action="store_true", help="show the exact bytes that were hashed and compared")
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="also write a page that needs no network, carries the evidence and verifies itself again in a browser",
    )
    parser.add_argument("--junit", metavar="FILE", help="also write the checks as JUnit XML, for CI")
    parser.add_argument(
        "--sarif", metavar="FILE", help="also write what failed and warned as SARIF, a rule per check id"
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "vsa"),
        help="what to print: text (default), json (as --json), or vsa, an in-toto Statement with a SLSA Verification "
        "Summary",
    )
    add_signing_flags(parser)


def offline(parser: argparse.ArgumentParser) -> None:
    """Of what is judged at its own time, by its own collateral: trust and policy, and nothing to fetch."""
    _trust_root(parser)
    usual_options.policy(parser)
    usual_options.config(parser)
    parser.set_defaults(**_WITHOUT)


def deployed(parser: argparse.ArgumentParser) -> None:
    """Of what asks the instances of a deployment: the release says what to expect, and the chain is proved."""
    trusting(parser)
    _save(parser)
    usual_options.no_cache(parser)
    usual_options.requests(parser)
    parser.set_defaults(**_WITHOUT, proof=True)


def trusting(parser: argparse.ArgumentParser) -> None:
    """Of what judges as the policy says."""
    usual_options.config(parser)
    usual_options.policy(parser)
    _trust_root(parser)
    parser.set_defaults(profile=None)


def _trust_root(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--trust-root",
        metavar="FILE",
        help="verify against this root certificate (PEM or DER) instead of the Intel SGX Root CA; "
        "every report then says SIMULATED HARDWARE",
    )


def _save(group: argparse._ActionsContainer) -> None:
    group.add_argument("--save", metavar="DIR", help="write each instance's evidence bundle into this directory")
