"""What a command asks over the network, made when it is first needed: a run over files imports none of it."""

from __future__ import annotations

import argparse
from functools import cached_property
from typing import TYPE_CHECKING

from twinproof.cli.http_client import http_client
from twinproof.cli.settings import Settings
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.platform_hint import PlatformHint
from twinproof.evidence.evidence import Challenge, Evidence
from twinproof.urls import split_url

if TYPE_CHECKING:
    from twinproof.sources.http import HttpClient
    from twinproof.sources.pcs import CollateralSource

__all__ = ["Network"]


class Network:
    """Instances and the collateral service, with the limits and addresses of this run."""

    def __init__(self, settings: Settings, arguments: argparse.Namespace) -> None:
        if settings.collateral_url is not None:
            split_url(settings.collateral_url)  # a wrong address is told before anything is read
        self._settings, self._arguments = settings, arguments

    @cached_property
    def _http(self) -> HttpClient:
        return http_client(self._arguments)

    @cached_property
    def _collateral(self) -> CollateralSource:
        from twinproof.sources.cache import CollateralCache
        from twinproof.sources.pcs import CollateralSource

        cache = None if self._arguments.no_cache else CollateralCache.default()
        return CollateralSource(self._http, base_url=self._settings.collateral_url, cache=cache)

    def evidence(self, url: str, challenge: Challenge) -> Evidence:
        """Raises Unavailable, Malformed, UsageError."""
        from twinproof.sources.instance import fetch_evidence

        return fetch_evidence(url, challenge, self._http, ra_tls=self._arguments.ra_tls)

    def collateral(self, hint: PlatformHint, *, at: int) -> Collateral:
        """Raises Unavailable, Malformed."""
        return self._collateral.fetch(hint.fmspc, hint.ca, hint.tee, at=at)
