"""`twinproof compare`: N instances, asked at once, judged one by one, compared with each other."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.cli.collect import Collected, Progress, check_targets, collect
from twinproof.cli.output import style_of
from twinproof.cli.report_files import check_report_files, print_summary, write_report_files
from twinproof.cli.second_opinion import second_opinion
from twinproof.cli.settings import Settings, read_settings
from twinproof.comparison import Proof, compare, required_comparisons
from twinproof.errors import TwinproofError, UsageError, worst_exit_code
from twinproof.evidence.evidence import Evidence
from twinproof.names import short_source
from twinproof.report.outcome import outcome_text
from twinproof.report.proof_text import heading, proof_text
from twinproof.report.style import Style
from twinproof.report.verdict_text import simulated_line
from twinproof.sources import clock
from twinproof.verifier import Verdict, Verifier

__all__ = ["Asked", "ask_all", "run"]


def run(arguments: argparse.Namespace) -> int:
    if len(arguments.targets) < 2:
        raise UsageError("nothing to compare", got="1 target", expected="at least 2", hint="`verify` judges one")
    check_report_files(arguments)
    settings = read_settings(arguments)
    required = required_comparisons(settings.required_comparisons)
    with second_opinion(arguments) as opinion:
        verifier = Verifier(roots=settings.roots, policy=settings.policy, second_opinion=opinion)
        return _compare(arguments, settings, required, verifier)


def _compare(arguments: argparse.Namespace, settings: Settings, required: frozenset[str], verifier: Verifier) -> int:
    style = style_of()
    check_targets(arguments.targets, settings, ra_tls=arguments.ra_tls)
    if arguments.format == "text":
        print(_opening(settings, style), end="", flush=True)
    asked = ask_all(arguments, settings, required, verifier)
    collected, proof, verdicts, failures = asked.collected, asked.proof, asked.verdicts, asked.failures
    write_report_files(arguments, proof, verdicts, failures)
    if arguments.format == "vsa":
        print_summary(arguments, proof, verdicts, failures)
    elif arguments.json:
        print(json.dumps(_json(proof, verdicts, failures), indent=1))
    else:
        print("".join(f"  {line}\n" for line in _fetched(collected, verdicts)))
        print(proof_text(proof, verdicts, failures, style, now=clock.now(), explain=arguments.explain), end="")
    return asked.exit_code


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back from every target: evidence or errors, verdicts, and the proof where there are two verdicts."""

    collected: Sequence[Collected]
    verdicts: Sequence[Verdict]
    failures: Sequence[tuple[str, TwinproofError]]
    proof: Proof | None

    @property
    def exit_code(self) -> int:
        return _exit_code(self.proof, self.verdicts, self.failures)


def ask_all(
    arguments: argparse.Namespace,
    settings: Settings,
    required: frozenset[str],
    verifier: Verifier,
    *,
    progress: Progress | None = None,
) -> Asked:
    """Ask all targets at once, judge and compare what they answer. Raises UsageError."""
    collected = collect(arguments.targets, settings, arguments, chain=True, progress=progress)
    verdicts: list[Verdict] = []
    failures: list[tuple[str, TwinproofError]] = []
    for item in collected:
        if isinstance(item.result, TwinproofError):
            failures.append((item.name, item.result))
            continue
        try:
            verdicts.append(verifier.verify(item.result, at=settings.time_for(item.result.fetched_at)))
        except UsageError:
            raise
        except TwinproofError as error:
            failures.append((item.name, error))
    proof = compare(verdicts, required=required) if len(verdicts) > 1 else None
    return Asked(collected, verdicts, failures, proof)


def _opening(settings: Settings, style: Style) -> str:
    first = "".join(f"{line}\n" for line in simulated_line({root.name for root in settings.roots}, style))
    return (first if settings.simulated else "") + heading(style) + "Fetching attestations...\n"


def _fetched(collected: Sequence[Collected], verdicts: Sequence[Verdict]) -> list[str]:
    titles = {verdict.source: verdict.machine.title for verdict in verdicts if verdict.machine}
    lines = []
    for item in collected:
        if isinstance(item.result, Evidence):
            name = titles.get(item.result.source, short_source(item.name))
            lines.append(f"{name}: quote, {_size(item.result)} bytes")
        else:
            lines.append(f"{short_source(item.name)}: nothing ({type(item.result).__name__})")
    return lines


def _size(evidence: Evidence) -> int:
    carrier = evidence.quote or evidence.attestation or evidence.ra_tls_certificate or b""
    return len(carrier)


def _json(
    proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[tuple[str, TwinproofError]]
) -> dict[str, object]:
    document: dict[str, object] = {"instances": [verdict.to_json() for verdict in verdicts]}
    if proof is not None:
        document = proof.to_json()
    document["schema"] = "twinproof/proof/v1"
    document["unavailable"] = [
        {"source": name, "error": type(error).__name__, "message": str(error), "hint": error.hint}
        for name, error in failures
    ]
    if failures:
        document["complete"] = False
    document["outcome"] = outcome_text(proof, failures)
    document["exit_code"] = _exit_code(proof, verdicts, failures)
    return document


def _exit_code(proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[tuple[str, TwinproofError]]) -> int:
    codes = {error.exit_code for _, error in failures} | {verdict.exit_code for verdict in verdicts}
    if proof is not None:
        codes.add(proof.exit_code)
    return worst_exit_code(codes)
