"""docs/BENCHMARKS.md is what the generator writes for the numbers of its run; the numbers are not measured here."""

from __future__ import annotations

import json

import pytest

from bench import document

RESULTS = json.loads(document.RESULTS.read_text(encoding="utf-8"))
BARS = [bar for section in RESULTS["sections"] for bar in section["bars"]]


def test_the_document_is_the_generators_and_nobodys_edit() -> None:
    assert document.DOCUMENT.read_text(encoding="utf-8") == document.render(RESULTS)


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar["promise"])
def test_the_document_says_met_for_what_was_met_and_for_nothing_else(bar: dict[str, object]) -> None:
    line = next(line for line in document.render(RESULTS).splitlines() if line.startswith(f"| {bar['promise']} |"))
    better, worse = bar["limit"], bar["value"]
    if bar["at_least"]:
        better, worse = worse, better
    assert isinstance(better, float | int)
    assert isinstance(worse, float | int)
    assert line.endswith("| met |") == (worse <= better)


def test_a_missed_bar_is_shown_as_missed() -> None:
    bar = {"promise": "speed", "value": 2.0, "limit": 1.5, "unit": "x", "at_least": False}
    assert not document.met(bar)
    assert document.met(bar | {"at_least": True})
    section = {"title": "One", "method": "", "rows": [], "bars": [bar], "notes": []}
    assert "| speed | at most 1.5 x | 2 x | **not met** |" in document.render(RESULTS | {"sections": [section]})


def test_every_scenario_of_the_generator_is_in_the_document() -> None:
    titles = {section["title"] for section in RESULTS["sections"]}
    assert {"One quote", "One instance", "Start-up"} <= titles
