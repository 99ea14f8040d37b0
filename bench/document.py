"""docs/BENCHMARKS.md from the values of the last run of each scenario. A test makes sure that this wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ["DOCUMENT", "RESULTS", "SCENARIOS", "met", "read", "render", "write"]

SCENARIOS = ("quotes", "real", "instances", "batch", "archive", "report", "start_up", "changelog", "chain")
"""Modules of this folder, in the order of the document; each has `measure(rounds) -> list[Section]`."""
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results.json"
DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
Json = dict[str, Any]

HEAD = """\
# Benchmarks

Written by `make bench` (the numbers are in `bench/results.json`); do not edit. Each scenario was measured in one run,
at the time and on the machine under "Runs". Absolute times are that machine's. The promises are ratios between things
that took turns in that run.
"""


def read() -> Json:
    """The last run of each scenario, by its name."""
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else {}


def render(results: Json, scenarios: Sequence[str] = SCENARIOS) -> str:
    """The whole document."""
    runs = {name: results[name] for name in scenarios if name in results}
    sections = [section for run in runs.values() for section in run["sections"]]
    missing = [name for name in scenarios if name not in results]
    return "\n".join([HEAD, *_summary(sections), *_missing(missing), *_runs(runs), *_sections(sections)])


def write(results: Json) -> None:
    ordered = {name: results[name] for name in SCENARIOS if name in results}
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    DOCUMENT.write_text(render(ordered), encoding="utf-8")


def _summary(sections: list[Json]) -> Iterator[str]:
    yield "| promise | bar | measured | |\n|---|---|---|---|"
    for section in sections:
        for bar in section["bars"]:
            limit = f"at {'least' if bar['at_least'] else 'most'} {_number(bar['limit'], bar['unit'])}"
            value = "" if bar["value"] is None else _number(bar["value"], bar["unit"])
            yield f"| {bar['promise']} | {limit} | {value} | {_verdict(bar)} |"
    yield ""


def _verdict(bar: Json) -> str:
    if bar["value"] is None:
        return "**not run**"
    return "met" if met(bar) else "**not met**"


def met(bar: Json) -> bool:
    if bar["value"] is None:
        return False
    return bool(bar["value"] >= bar["limit"] if bar["at_least"] else bar["value"] <= bar["limit"])


def _missing(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield f"**Not measured yet:** `make bench ARGUMENTS='--only {name}'`.\n"


def _runs(runs: Json) -> Iterator[str]:
    """Once per machine and set of versions."""
    yield '## Runs\n\n"Other work" is the share of the processors that something else took while the scenario ran.\n'
    by_machine = sorted(runs.items(), key=_circumstances)
    for circumstances, group in groupby(by_machine, _circumstances):
        yield f"{circumstances}\n\n| scenario | began | took | other work |\n|---|---|---|---|"
        for name, run in group:
            others, seconds = run["others"], run["seconds"]
            words = (
                "not noted" if seconds is None else f"{seconds} s",
                "not noted" if others is None else f"{others:.0%}",
            )
            yield f"| {name} | {run['began']} | {words[0]} | {words[1]} |"
        yield ""


def _circumstances(item: tuple[str, Json]) -> str:
    _, run = item
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return f"On {run['machine']}, with {versions}:"


def _number(value: float, unit: str) -> str:
    return f"{value:g} {unit}"


def _sections(sections: list[Json]) -> Iterator[str]:
    for section in sections:
        yield f"## {section['title']}\n\n{section['method']}\n"
        if section["rows"]:
            yield "| | median | lowest to highest |\n|---|---|---|"
        for row in section["rows"]:
            unit = row["unit"]
            yield f"| {row['name']} | {row['median']:,} {unit} | {row['low']:,} to {row['high']:,} {unit} |"
        yield ""
        for note in section["notes"]:
            yield f"{note}\n"
