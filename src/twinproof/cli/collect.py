"""Gather the evidence of every target: asked at once, judged later, one failing without losing the others."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from twinproof.cli.network import Network
from twinproof.cli.settings import Settings
from twinproof.cli.supplied import SuppliedCollateral, read_app_compose
from twinproof.dcap.platform_hint import platform_hint
from twinproof.errors import TwinproofError, UsageError
from twinproof.evidence.carrier import quote_of
from twinproof.evidence.evidence import Evidence
from twinproof.evidence.nonce import challenge_for
from twinproof.sources import clock, entropy
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.files import load_evidence, save_bundle
from twinproof.urls import masked, split_url

__all__ = ["Collected", "Progress", "check_targets", "collect"]


Progress = Callable[[int, int, str], None]


class Collected(NamedTuple):
    """One target: its name for messages, and its evidence with collateral, or why there is none."""

    name: str
    result: Evidence | TwinproofError


def check_targets(targets: Sequence[str], settings: Settings, *, ra_tls: bool) -> None:
    """What is wrong with the targets themselves is told before anything is asked. Raises UsageError."""
    if len(set(targets)) != len(targets):
        raise UsageError(
            "a target is named twice",
            got=", ".join(targets),
            expected="different instances",
            hint="two names of one machine are not two machines",
        )
    for target in targets:
        url = target if "://" in target else settings.url_of(target)
        if ra_tls and url is not None and split_url(url).scheme == "http":
            raise UsageError(
                "no TLS, so no certificate to take the quote from",
                where="--ra-tls",
                got=masked(url),
                expected="an https URL",
            )


def collect(
    targets: Sequence[str],
    settings: Settings,
    arguments: argparse.Namespace,
    *,
    chain: bool = False,
    progress: Progress | None = None,
) -> list[Collected]:
    """Evidence of every target, in their order, with what the `chain` says of it where it is to be asked.

    `progress(done, total, name)` is called after each answer; without one, standard error shows it to people.

    Raises UsageError only for what the user can mend, Unavailable for a chain that is required and cannot be read.
    """
    check_targets(targets, settings, ra_tls=arguments.ra_tls)
    network = Network(settings, arguments)
    session = entropy.session_secret()
    supplied = SuppliedCollateral.read(arguments.collateral)
    app_compose = read_app_compose(arguments.app_compose)

    def gather(index: int, target: str) -> Evidence:
        url = target if "://" in target else settings.url_of(target)
        if url is not None:
            evidence = network.evidence(url, challenge_for(session, index, url))
        else:
            evidence = load_evidence(target)
        if app_compose is not None and evidence.app_compose is None:
            evidence = evidence.with_app_compose(app_compose)
        return _with_collateral(evidence, supplied, network, settings)

    results = fetch_all(targets, gather, progress=progress or (_progress if sys.stderr.isatty() else None))
    if chain and settings.chain.rpc:
        from twinproof.cli.chain_evidence import with_chain

        results = with_chain(results, settings, arguments)
    collected = [Collected(name, result) for name, result in zip(targets, results, strict=True)]
    if arguments.save:
        for item in collected:
            if isinstance(item.result, Evidence):
                path = save_bundle(arguments.save, item.result)
                print(f"twinproof: saved {path}", file=sys.stderr)
    return collected


def _progress(done: int, total: int, name: str) -> None:
    print(f"\r\x1b[K  {done}/{total} {name}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _with_collateral(
    evidence: Evidence, supplied: SuppliedCollateral, network: Network, settings: Settings
) -> Evidence:
    """Supplied collateral first, then the bundle's own, then the collateral service."""
    if not supplied and evidence.collateral is not None:
        return evidence
    if supplied:
        return evidence.with_collateral(supplied.for_platform(evidence))
    hint = platform_hint(quote_of(evidence))
    at = settings.at if settings.at is not None else clock.now()
    return evidence.with_collateral(network.collateral(hint, at=at))
