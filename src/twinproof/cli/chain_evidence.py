"""What the chain says about each instance: asked at one agreed block for all, after it is known what they run.

The evidence is judged once to find out what to ask: nothing is asked about what was not attested. A chain that cannot
be read leaves its checks open, with the reason; where they are required it is an error (exit 5).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from twinproof.cli.settings import Settings
from twinproof.errors import TwinproofError, Unavailable
from twinproof.evidence.evidence import Evidence
from twinproof.verifier import Verifier

if TYPE_CHECKING:
    from twinproof.chain.questions import Attested
    from twinproof.sources.chain_state import ChainReader

__all__ = ["with_chain"]

Result = Evidence | TwinproofError


def with_chain(results: Sequence[Result], settings: Settings, arguments: argparse.Namespace) -> list[Result]:
    """The same, with what the chain says. Files are asked about only with `--chain`: they verify offline.

    Raises UsageError, and Unavailable where the chain is required and cannot be read.
    """
    about = [
        isinstance(result, Evidence) and (bool(arguments.chain) or not result.stored) and bool(settings.chain.rpc)
        for result in results
    ]
    if not any(about):
        return list(results)
    from twinproof.chain_question import attested_by
    from twinproof.cli.chain_reading import chain_reader

    verifier = Verifier(roots=settings.roots, policy=replace(settings.policy, required=frozenset()))
    found: list[Result] = []
    with chain_reader(settings.chain, arguments) as reader:
        for result, asked in zip(results, about, strict=True):
            if not asked or not isinstance(result, Evidence):
                found.append(result)
                continue
            verdict = verifier.verify(result, at=settings.time_for(result.fetched_at))
            attested = attested_by(verdict.claims)
            found.append(result if attested is None else _asked(result, attested, reader, settings))
        return [_as_known_now(result, reader, settings) for result in found]


def _asked(evidence: Evidence, attested: Attested, reader: ChainReader, settings: Settings) -> Evidence:
    try:
        return evidence.with_chain(reader.evidence(attested))
    except Unavailable as error:
        return _not_read(evidence, error, settings)


def _as_known_now(result: Result, reader: ChainReader, settings: Settings) -> Result:
    """Who was caught at a lie about one instance is named for all, and believed about none."""
    if not isinstance(result, Evidence) or result.chain is None or result.chain.stored:
        return result
    from twinproof.sources.block_contents import nobody_left

    if not reader.quorum.trusted:
        return _not_read(result, nobody_left(reader.quorum), settings)
    return result.with_chain(reader.refreshed(result.chain))


def _not_read(evidence: Evidence, error: Unavailable, settings: Settings) -> Evidence:
    if _is_required(settings):
        raise error
    return replace(evidence, chain=None, chain_failure=f"the chain was not read: {error}")


def _is_required(settings: Settings) -> bool:
    names = {name.replace("-", "_") for name in settings.policy.required}
    pinned = settings.policy.pins.chain_id is not None or settings.policy.pins.kms_contract is not None
    return pinned or any(name in ("chain", "policy.chain") or name.startswith("chain.") for name in names)
