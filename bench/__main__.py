"""`make bench`: measure everything once on this machine and write docs/BENCHMARKS.md."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from importlib import import_module

from bench import document, javascript
from bench.machine import machine, versions
from bench.results import Section

SCENARIOS = ("quotes", "real", "instances", "batch", "archive", "start_up", "changelog", "chain")
"""Modules of this folder, in the order of the document; each has `measure(rounds) -> list[Section]`."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds of every scenario")
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="print this scenario, write nothing")
    arguments = parser.parse_args()
    sections: list[Section] = []
    for name in arguments.only or SCENARIOS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        sections += import_module(f"bench.{name}").measure(arguments.rounds)
    results = {
        "machine": machine(),
        "versions": {**versions(), javascript.NAME: javascript.installed_version()},
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "sections": [section.to_json() for section in sections],
    }
    if arguments.only:
        print(document.render(results))
    else:
        document.write(results)
        print(f"written: {document.DOCUMENT.name}", file=sys.stderr)


main()
