"""Revocation lists, changed or signed as they are: both verifiers differ only where it is explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from differential.families import check


@pytest.mark.vectors
def test_every_difference_over_real_lists_is_explained(
    vectors: Path, record_property: Callable[[str, object], None]
) -> None:
    check("real lists", record_property)


def test_every_difference_over_signed_lists_is_explained(record_property: Callable[[str, object], None]) -> None:
    check("signed lists", record_property)
