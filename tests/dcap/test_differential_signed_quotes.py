"""Quotes that a devnet machine signs as they are: both verifiers differ only where it is explained."""

from __future__ import annotations

from collections.abc import Callable

from differential.families import check


def test_every_difference_over_signed_quotes_is_explained(record_property: Callable[[str, object], None]) -> None:
    check("signed quotes", record_property)
