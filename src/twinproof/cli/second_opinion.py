"""`--second-opinion`: the other verifier, loaded only when it is asked for."""

from __future__ import annotations

import argparse

from twinproof.dcap.second_opinion import SecondOpinion

__all__ = ["second_opinion_of"]


def second_opinion_of(arguments: argparse.Namespace) -> SecondOpinion | None:
    """None without the flag. Raises UsageError when dcap-qvl cannot be asked, before any evidence is read."""
    if not arguments.second_opinion:
        return None
    from twinproof.dcap.opinion_of_dcap_qvl import opinion_of_dcap_qvl

    return opinion_of_dcap_qvl()
