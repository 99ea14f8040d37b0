"""Gather the evidence of every target: asked at once, judged later, one failing without losing the others."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.cli.settings import Settings
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.platform_hint import PlatformHint, platform_hint
from twinproof.errors import TwinproofError, UsageError
from twinproof.evidence.carrier import quote_of
from twinproof.evidence.evidence import Evidence
from twinproof.evidence.nonce import challenge_for
from twinproof.sources import clock, entropy
from twinproof.sources.cache import CollateralCache
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.files import load_evidence, read_file, save_bundle
from twinproof.sources.http import HttpClient
from twinproof.sources.instance import fetch_evidence
from twinproof.sources.limits import Limits
from twinproof.sources.pcs import CollateralSource

__all__ = ["Collected", "collect"]


@dataclass(frozen=True, slots=True)
class Collected:
    """One target: its name for messages, and its evidence with collateral, or why there is none."""

    name: str
    result: Evidence | TwinproofError


def collect(targets: Sequence[str], settings: Settings, arguments: argparse.Namespace) -> list[Collected]:
    """Evidence of every target, in their order. Raises UsageError only for what the user can mend."""
    if len(set(targets)) != len(targets):
        raise UsageError("a target is named twice", got=", ".join(targets), expected="different instances")
    limits = Limits(total_timeout=arguments.timeout)
    http = HttpClient(limits, ca_file=arguments.ca_file)
    session = entropy.session_secret()
    supplied = [_read_collateral(name) for name in arguments.collateral]
    app_compose = _read_text(arguments.app_compose) if arguments.app_compose else None
    source = CollateralSource(
        http, base_url=settings.collateral_url, cache=None if arguments.no_cache else CollateralCache.default()
    )

    def gather(index: int, target: str) -> Evidence:
        url = target if "://" in target else settings.url_of(target)
        if url is not None:
            evidence = fetch_evidence(url, challenge_for(session, index, url), http, ra_tls=arguments.ra_tls)
        else:
            evidence = load_evidence(target)
        if app_compose is not None and evidence.app_compose is None:
            evidence = evidence.with_app_compose(app_compose)
        return _with_collateral(evidence, supplied, source, settings)

    results = fetch_all(targets, gather, progress=_progress if sys.stderr.isatty() else None)
    collected = [Collected(name, result) for name, result in zip(targets, results, strict=True)]
    if arguments.save:
        for item in collected:
            if isinstance(item.result, Evidence):
                path = save_bundle(arguments.save, item.result)
                print(f"twinproof: saved {path}", file=sys.stderr)
    return collected


def _progress(done: int, total: int, name: str) -> None:
    print(f"\r\x1b[K  {done}/{total} {name}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _read_collateral(name: str) -> Collateral:
    return Collateral.from_json(read_file(name, "--collateral", max_bytes=4 << 20))


def _read_text(name: str) -> str:
    try:
        return read_file(name, "--app-compose", max_bytes=64 << 20).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("not UTF-8 text", where=f"--app-compose {name}") from error


def _with_collateral(
    evidence: Evidence, supplied: Sequence[Collateral], source: CollateralSource, settings: Settings
) -> Evidence:
    """Supplied collateral first, then the bundle's own, then the collateral service."""
    if not supplied and evidence.collateral is not None:
        return evidence
    if len(supplied) == 1:
        return evidence.with_collateral(supplied[0])
    hint = platform_hint(quote_of(evidence))
    if supplied:
        return evidence.with_collateral(_for_platform(supplied, hint))
    at = settings.at if settings.at is not None else clock.now()
    return evidence.with_collateral(source.fetch(hint.fmspc, hint.ca, hint.tee, at=at))


def _for_platform(supplied: Sequence[Collateral], hint: PlatformHint) -> Collateral:
    """The supplied set that says it is about this platform; which one it is does not decide whether it holds."""
    return next((item for item in supplied if item.about() == (hint.tee, hint.fmspc.hex().upper())), supplied[0])
