"""Every class of difference stands in the document, as the tests judge it; nothing else stands there."""

from __future__ import annotations

import re

from differential.classes import DIFFERENCES
from differential.families import DOCUMENT, FAMILIES


def rows() -> dict[str, tuple[str, ...]]:
    text = DOCUMENT.read_text(encoding="utf-8").partition("<!-- differential:classes -->")[2]
    lines = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", text.partition("<!-- differential:end -->")[0], re.MULTILINE)
    return {name: tuple(rest.split(" | ")) for name, rest in lines}


def test_every_class_is_explained_in_the_document() -> None:
    assert [(name, *cells[1:]) for name, cells in rows().items()] == [
        (known.name, known.ours, known.theirs, known.why) for known in DIFFERENCES
    ]


def test_no_class_is_named_twice() -> None:
    assert len({known.name for known in DIFFERENCES}) == len(DIFFERENCES)


def test_the_usual_run_has_more_than_twenty_thousand_generated_cases() -> None:
    assert sum(family.count or 0 for family in FAMILIES.values()) > 20_000


def test_where_we_accept_more_there_are_few_classes() -> None:
    """Each of them is a place to look at again with every version of either verifier."""
    assert [known.name for known in DIFFERENCES if known.we_accept and known.they == "refuse"] == [
        "qe-auth-data",
        "pce-svn",
        "crl-entries",
        "level-order-revoked",
    ]
