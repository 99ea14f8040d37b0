"""Real quotes with a field, a length or a certificate changed: both verifiers differ only where it is explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from differential.families import check

pytestmark = pytest.mark.vectors


def test_every_difference_over_real_quotes_is_explained(
    vectors: Path, record_property: Callable[[str, object], None]
) -> None:
    check("real quotes", record_property)
