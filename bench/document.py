"""docs/BENCHMARKS.md from the values of one run. A test makes sure that the document is what this writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["DOCUMENT", "RESULTS", "render", "write"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results.json"
DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
Json = dict[str, Any]

HEAD = """\
# Benchmarks

Written by `make bench` from one run on one machine (the numbers are in `bench/results.json`); do not edit. Absolute
times are this machine's. The promises are ratios between things that took turns in the same run.
"""


def render(results: Json) -> str:
    """The whole document."""
    return "\n".join([HEAD, *_circumstances(results), *_summary(results["sections"]), *_sections(results["sections"])])


def write(results: Json) -> None:
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    DOCUMENT.write_text(render(results), encoding="utf-8")


def _circumstances(results: Json) -> Iterator[str]:
    yield f"Machine: {results['machine']}."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + "."
    yield f"Date: {results['date']}.\n"


def _summary(sections: list[Json]) -> Iterator[str]:
    yield "| promise | bar | measured | |\n|---|---|---|---|"
    for section in sections:
        for bar in section["bars"]:
            limit = f"at {'least' if bar['at_least'] else 'most'} {_number(bar['limit'], bar['unit'])}"
            verdict = "met" if met(bar) else "**not met**"
            yield f"| {bar['promise']} | {limit} | {_number(bar['value'], bar['unit'])} | {verdict} |"
    yield ""


def met(bar: Json) -> bool:
    return bool(bar["value"] >= bar["limit"] if bar["at_least"] else bar["value"] <= bar["limit"])


def _number(value: float, unit: str) -> str:
    return f"{value:g} {unit}"


def _sections(sections: list[Json]) -> Iterator[str]:
    for section in sections:
        yield f"## {section['title']}\n\n{section['method']}\n"
        yield "| | median | lowest to highest |\n|---|---|---|"
        for row in section["rows"]:
            unit = row["unit"]
            yield f"| {row['name']} | {row['median']:,} {unit} | {row['low']:,} to {row['high']:,} {unit} |"
        yield ""
        for note in section["notes"]:
            yield f"{note}\n"
