"""`twinproof watch`: the same comparison again and again, a line per round, and a word when the verdict changes.

It reads and tells, and changes nothing at any instance. A signal ends it after what is being written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.cli.archive_keep import keep
from twinproof.cli.compare import Asked, ask_all
from twinproof.cli.http_client import http_client
from twinproof.cli.second_opinion import second_opinion
from twinproof.cli.settings import Settings, read_settings
from twinproof.comparison import required_comparisons
from twinproof.errors import TwinproofError, UsageError
from twinproof.report.outcome import headline_text, outcome_text
from twinproof.report.verdict_text import time_text
from twinproof.sources import clock
from twinproof.sources.notify import Notice, by_command, by_webhook, notify
from twinproof.sources.signals import Signalled, until_a_signal
from twinproof.verdict import Status
from twinproof.verifier import Verifier

__all__ = ["run"]

SHORTEST = 1.0  # seconds between rounds
SCHEMA = "twinproof/change/v1"


@dataclass(frozen=True, slots=True)
class State:
    """What has to be the same in two rounds for nothing to have changed."""

    outcome: str
    exit_code: int
    failed: tuple[str, ...]
    unavailable: tuple[str, ...]


def run(arguments: argparse.Namespace) -> int:
    if len(arguments.targets) < 2:
        raise UsageError("nothing to compare", got="1 target", expected="at least 2")
    if not arguments.interval >= SHORTEST:
        raise UsageError("too short an interval", where="--interval", got=f"{arguments.interval}", expected="1 or more")
    settings = read_settings(arguments)
    required = required_comparisons(settings.required_comparisons)
    notices = _notices(arguments)
    with second_opinion(arguments) as opinion, until_a_signal() as ended:
        verifier = Verifier(roots=settings.roots, policy=settings.policy, second_opinion=opinion)
        before, rounds, code = None, 0, 0
        while not ended.is_set():
            asked = ask_all(arguments, settings, required, verifier)
            now, code, rounds = _state(asked), asked.exit_code, rounds + 1
            _report(arguments, settings, asked, now, before)
            if before is not None and now != before:
                _tell(notices, _change(now, before), ended)
            before = now
            if rounds == arguments.rounds or ended.wait(arguments.interval):
                break
    return code if rounds == arguments.rounds else 0


def _notices(arguments: argparse.Namespace) -> list[Notice]:
    found: list[Notice] = []
    if arguments.webhook is not None:
        found.append(by_webhook(arguments.webhook, http_client(arguments)))
    if arguments.notify is not None:
        found.append(by_command(arguments.notify))
    return found


def _state(asked: Asked) -> State:
    checks = [check for verdict in asked.verdicts for check in verdict.checks]
    checks += asked.proof.checks if asked.proof is not None else ()
    return State(
        outcome=outcome_text(asked.proof, asked.failures),
        exit_code=asked.exit_code,
        failed=tuple(sorted({check.id for check in checks if check.status is Status.FAIL})),
        unavailable=tuple(name for name, _ in asked.failures),
    )


def _report(arguments: argparse.Namespace, settings: Settings, asked: Asked, now: State, before: State | None) -> None:
    changed = before is not None and now != before
    if arguments.json:
        told = {"schema": "twinproof/watch/v1", "at": clock.now(), **_plain(now), "changed": changed}
        print(json.dumps(told), flush=True)
    else:
        simulated = "SIMULATED HARDWARE  " if settings.simulated else ""
        why = ", ".join((*now.failed, *(f"nothing from {name}" for name in now.unavailable)))
        word = "CHANGED  " if changed else ""
        said = headline_text(asked.proof, asked.failures)
        print(f"{time_text(clock.now())}  {simulated}{word}{said}{f' ({why})' if why else ''}", flush=True)
    if arguments.archive is not None:
        _keep(arguments.archive, asked)


def _keep(folder: str, asked: Asked) -> None:
    """An archive that cannot be written to is told, and ends nothing: the watch goes on."""
    try:
        keep(folder, asked.verdicts)
    except TwinproofError as error:
        print(f"twinproof: not archived: {error}", file=sys.stderr)


def _plain(state: State) -> dict[str, object]:
    return {
        "outcome": state.outcome,
        "exit_code": state.exit_code,
        "failed": list(state.failed),
        "unavailable": list(state.unavailable),
    }


def _change(now: State, before: State) -> bytes:
    document = {"schema": SCHEMA, "at": clock.now(), "before": _plain(before), "now": _plain(now)}
    return json.dumps(document, sort_keys=True).encode()


def _tell(notices: Sequence[Notice], message: bytes, ended: Signalled) -> None:
    for notice in notices:
        error = notify(notice, message, pause=ended.wait)
        if error is not None:
            print(f"twinproof: nobody was told: {error}", file=sys.stderr)
