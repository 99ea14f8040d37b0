"""docs/BENCHMARKS.md is what the generator writes for the numbers of its run; the numbers are not measured here."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import document, progress, report
from bench.machine import OtherWork

RESULTS = document.read()
SECTIONS = [section for run in RESULTS.values() for section in run["sections"]]
BARS = [bar for section in SECTIONS for bar in section["bars"]]
MEASURED = [bar for bar in BARS if bar["value"] is not None]


def one_run(**more: object) -> dict[str, object]:
    bar = {"promise": "speed", "value": 2.0, "limit": 1.5, "unit": "x", "at_least": False, **more}
    section = {"title": "One", "method": "", "rows": [], "bars": [bar], "notes": []}
    return {
        "machine": "a machine",
        "versions": {},
        "began": "then",
        "others": 0.25,
        "seconds": 9,
        "sections": [section],
    }


def test_the_document_is_the_generators_and_nobodys_edit() -> None:
    assert document.DOCUMENT.read_text(encoding="utf-8") == document.render(RESULTS)


@pytest.mark.parametrize("bar", MEASURED, ids=lambda bar: bar["promise"])
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
    assert "| speed | at most 1.5 x | 2 x | **not met** |" in document.render({"quotes": one_run()})


def test_what_could_not_be_run_is_shown_as_not_run_and_never_as_met() -> None:
    assert "| speed | at most 1.5 x |  | **not run** |" in document.render({"quotes": one_run(value=None)})
    assert not document.met({"value": None, "limit": 1.5, "at_least": True})


def test_each_scenario_says_when_and_where_it_was_measured_and_beside_how_much_other_work() -> None:
    text = document.render({"quotes": one_run(), "batch": one_run() | {"machine": "another machine"}})
    assert "On a machine, with" in text
    assert "On another machine, with" in text
    assert text.count("| then | 9 s | 25% |") == 2


def test_a_scenario_without_a_result_is_named() -> None:
    text = document.render({"quotes": one_run()})
    missing = [name for name in document.SCENARIOS if name != "quotes"]
    assert all(f"**Not measured yet:** `make bench ARGUMENTS='--only {name}'`." in text for name in missing)


def test_a_scenario_measured_alone_leaves_the_others_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(document, "DOCUMENT", tmp_path / "BENCHMARKS.md")
    document.write({"batch": one_run(), "quotes": one_run()})
    document.write({**document.read(), "batch": one_run(value=1.0)})
    assert list(document.read()) == ["quotes", "batch"]
    assert (tmp_path / "BENCHMARKS.md").read_text(encoding="utf-8").count("| 2 x | **not met** |") == 1


def test_the_scenarios_of_the_generator_are_in_the_document() -> None:
    titles = {section["title"] for section in SECTIONS}
    assert {"One quote", "One instance", "Start-up"} <= titles


def test_a_round_that_would_not_end_in_time_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.0, 40.0, 40.0, 90.0, 90.0])  # the second round takes 50 seconds
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
    monkeypatch.setattr(progress, "say", lambda _: None)
    assert list(progress.rounds_within(9, 130.0)) == [1, 2]


def test_without_a_browser_the_report_says_that_it_was_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "which", lambda _: None)
    (section,) = report.measure(1)
    assert [bar.value for bar in section.bars] == [None, None]
    run = one_run() | {"sections": [section.to_json()]}
    assert document.render({"report": run}).count("**not run**") == 2
    assert "there is no Chromium" in " ".join(section.notes)


def test_other_work_is_a_share_and_not_our_own() -> None:
    others = OtherWork()
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert 0 <= others.share() <= 1
