"""`--second-opinion`: the other verifier, started only when it is asked for, and ended with the command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager

from twinproof.dcap.second_opinion import SecondOpinion

__all__ = ["second_opinion"]


@contextmanager
def second_opinion(arguments: argparse.Namespace) -> Iterator[SecondOpinion | None]:
    """None without the flag. Raises UsageError when dcap-qvl cannot be asked, before any evidence is read."""
    if not arguments.second_opinion:
        yield None
        return
    from twinproof.sources.dcap_qvl import DcapQvl

    with closing(DcapQvl()) as opinion:
        yield opinion
