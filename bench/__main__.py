"""`make bench`: measure scenarios on this machine, one by one, and write docs/BENCHMARKS.md.

What `--only` leaves out keeps the results that it has, with the time at which they were measured.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from importlib import import_module

from bench import document, javascript
from bench.machine import OtherWork, machine, versions
from bench.progress import say
from bench.results import Run

SIZED = ("batch", "archive", "report")
"""Those that take minutes, and whose `measure` takes `small=True` for a look whether they work."""


def _measured(name: str, rounds: int, *, small: bool) -> Run:
    others, began, start = OtherWork(), dt.datetime.now(dt.UTC), time.monotonic()
    more = {"small": True} if small and name in SIZED else {}
    sections = import_module(f"bench.{name}").measure(rounds, **more)
    found = {**versions(), javascript.NAME: javascript.installed_version()}
    return Run(machine(), found, began, others.share(), time.monotonic() - start, sections)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds of every scenario")
    parser.add_argument("--only", choices=document.SCENARIOS, action="append", help="this scenario (several times)")
    parser.add_argument("--print", action="store_true", help="print the document, write nothing")
    parser.add_argument("--small", action="store_true", help="small inputs, few rounds: whether it works; with --print")
    arguments = parser.parse_args()
    if arguments.small and not arguments.print:
        parser.error("--small measures nothing worth keeping: add --print")
    chosen = arguments.only or document.SCENARIOS
    results = document.read()
    if arguments.print:
        results = {name: run for name, run in results.items() if name in chosen}
    for name in chosen:
        say(f"measuring {name}")
        results[name] = _measured(name, 2 if arguments.small else arguments.rounds, small=arguments.small).to_json()
        if not arguments.print:
            document.write(results)  # now: whatever becomes of the next one
    if arguments.print:
        print(document.render(results, chosen))
    say("done" if arguments.print else f"written: {document.DOCUMENT.name}")


main()
