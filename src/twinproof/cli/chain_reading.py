"""The reader of a chain for a command: endpoints, cache, progress on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from twinproof.cli.chain_settings import ChainSettings
from twinproof.cli.http_client import http_client

if TYPE_CHECKING:
    from twinproof.sources.chain_state import ChainReader
    from twinproof.sources.rpc_quorum import Agreement

__all__ = ["chain_reader", "whose_word"]


@contextmanager
def chain_reader(settings: ChainSettings, arguments: argparse.Namespace) -> Iterator[ChainReader]:
    """Nothing is asked yet. Raises UsageError."""
    from twinproof.chain.trusted import BASE_KMS
    from twinproof.sources.chain_cache import ChainCache
    from twinproof.sources.chain_state import ChainReader

    quorum = settings.opened(http_client(arguments))
    cache = ChainCache(None) if arguments.no_cache else ChainCache.default(warn=_say)
    progress = _Progress()
    try:
        yield ChainReader(
            quorum,
            cache,
            settings.kms or BASE_KMS,
            proof=arguments.proof,
            from_block=settings.from_block,
            progress=progress.show if sys.stderr.isatty() else None,
            note=_say,
        )
    finally:
        progress.hide()
        cache.close()


def whose_word(agreement: Agreement, reader: ChainReader) -> str:
    """Whose word the log is, for a report."""
    agreed = [name for name in agreement.agreed if name not in reader.quorum.dissent]
    count = f"{len(agreed)} of {len(agreement.asked)}"
    said = f"block {agreement.block.number} is final and {count} endpoints agree on it ({', '.join(agreed)})"
    if not reader.proof:
        return f"{said}; the log is the word of {reader.first.name} (--proof proves it)"
    who = "what all of them say" if len(agreed) > 1 else f"the word of {agreed[0]} alone"
    return f"{said}; every log is proved, and that none was left out is {who}"


class _Progress:
    def __init__(self) -> None:
        self._shown = False

    def show(self, done: int, total: int) -> None:
        print(f"\r\x1b[K  logs: {done}/{total} blocks", end="", file=sys.stderr, flush=True)
        self._shown = True

    def hide(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False


def _say(text: str) -> None:
    print(f"twinproof: {text}", file=sys.stderr)
