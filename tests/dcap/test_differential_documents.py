"""TCB Info and QE Identity, signed as they are: both verifiers differ only where it is explained."""

from __future__ import annotations

from collections.abc import Callable

from differential.families import check


def test_every_difference_over_documents_is_explained(record_property: Callable[[str, object], None]) -> None:
    check("documents", record_property)
