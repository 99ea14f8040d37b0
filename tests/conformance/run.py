"""Ask any verifier the questions of a conformance corpus, and say where its answers differ.

python tests/conformance/run.py --verifier "CMD ..." DIR          see README.md beside this file

Standard library only, and nothing of the package under test: copy it wherever you need it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]
INPUTS = {"quote": ("quote.bin", "collateral.json"), "bundle": ("bundle.json",)}
COMMANDS = {"quote": "verify", "bundle": "verify-bundle"}
RULES = ("genuine", "strict", "policy")
SECONDS_PER_CASE = 60.0


@dataclass(frozen=True)
class Question:
    """One case: the inputs in the order of the command line, without the root."""

    name: str
    kind: str
    inputs: tuple[Path, ...]
    root: Path
    at: int
    expected: Json

    @property
    def rule(self) -> str:
        return str(self.expected["rule"])

    def request(self) -> Json:
        """The question as one line of the stream."""
        names = {"quote": ("quote", "collateral"), "bundle": ("bundle",)}[self.kind]
        files = {name: str(path) for name, path in zip(names, self.inputs, strict=True)}
        return {"id": self.name, "kind": self.kind, "at": self.at, "root": str(self.root), **files}


@dataclass
class Result:
    """What came out: how many answers agree, by kind and rule, and what the others say."""

    agreed: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[tuple[Question, str]] = field(default_factory=list)

    def report(self) -> Iterable[str]:
        for question, text in self.differences:
            yield f"DIFFERS {question.name} [{question.rule}]: {text}"
            yield f"        {question.expected['description']}"
        differing = Counter((question.kind, question.rule) for question, _ in self.differences)
        for kind, rule in sorted(set(self.agreed) | set(differing)):
            right, wrong = self.agreed[kind, rule], differing[kind, rule]
            yield f"{kind:<7} {rule:<8} {right:>5} of {right + wrong} as expected"
        total = self.agreed.total()
        yield f"total            {total:>5} of {total + len(self.differences)} as expected"


def load_corpus(directory: Path) -> list[Question]:
    """The cases of a generated corpus, in its order."""
    index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    questions = []
    for name in index["cases"]:
        case = directory / name
        expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
        inputs = tuple(case / file for file in INPUTS[expected["kind"]])
        at = int((case / "at").read_text(encoding="ascii"))
        questions.append(Question(name, expected["kind"], inputs, case / "root.der", at, expected))
    return questions


def load_vectors(directory: Path) -> list[Question]:
    """Real, Intel-signed quotes, where they lie; nothing of them is copied. What is refused says not by which check."""
    index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    root = directory / "pki" / "intel-sgx-root-ca.der"
    questions = []
    for case in index["cases"]:
        quote = directory / "quotes" / f"{case['quote']}.bin"
        collateral = directory / "collateral" / f"{case['collateral']}.json"
        expected = {
            "verdict": "accept" if case["ok"] else "refuse",
            "tcb_status": case.get("status"),
            "stage": None,
            "rule": "genuine" if case["ok"] else "policy",
            "description": f"real quote; recorded: {case.get('status') or case.get('error')}",
        }
        questions.append(Question(case["id"], "quote", (quote, collateral), root, case["now"], expected))
    return questions


def difference(expected: Json, answer: Json) -> str:
    """What is otherwise than expected; empty when nothing is. Status and stage count where the verifier names them."""
    got = answer.get("verdict")
    if got != expected["verdict"]:
        wanted = f"{expected['verdict']} ({expected['tcb_status'] or expected['stage'] or 'anywhere'})"
        return f"expected {wanted}, got {got} ({answer.get('tcb_status') or answer.get('reason') or ''})"
    for member in ("tcb_status", "stage"):
        if expected[member] and answer.get(member) and answer[member] != expected[member]:
            return f"expected {member} {expected[member]}, got {answer[member]}"
    return ""


def ask_one_by_one(verifier: Sequence[str], questions: Sequence[Question]) -> list[Json]:
    """One process per question: `VERIFIER verify QUOTE COLLATERAL.json ROOT.der --at T`."""
    return [_ask(verifier, question) for question in questions]


def _ask(verifier: Sequence[str], question: Question) -> Json:
    paths = [str(path) for path in (*question.inputs, question.root)]
    command = [*verifier, COMMANDS[question.kind], *paths, "--at", str(question.at)]
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=SECONDS_PER_CASE, encoding="utf-8", errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"verdict": "error", "reason": str(error)}
    verdict = {0: "accept", 1: "refuse"}.get(done.returncode, "error")
    said = {"accept": ("Status", "tcb_status", done.stdout), "refuse": ("Stage", "stage", done.stderr)}.get(verdict)
    answer = {"verdict": verdict, "reason": f"exit code {done.returncode}: {done.stderr.strip()[-200:]}"}
    if said:
        label, member, text = said
        answer[member] = next(
            (line.split(": ", 1)[1] for line in text.splitlines() if line.startswith(f"{label}: ")), ""
        )
    return answer


def ask_in_a_stream(verifier: Sequence[str], questions: Sequence[Question]) -> list[Json]:
    """One process for all of them: `VERIFIER stream`, a JSON request per line, an answer per line, in order."""
    with tempfile.TemporaryFile() as requests:
        for question in questions:
            requests.write(json.dumps(question.request()).encode() + b"\n")
        requests.seek(0)
        done = subprocess.run(
            [*verifier, "stream"],
            stdin=requests,
            capture_output=True,
            check=False,
            timeout=SECONDS_PER_CASE * max(1, len(questions)),
        )
    answers: list[Json] = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    for question, answer in zip(questions, answers, strict=False):
        if answer.get("id") != question.name:
            answer.update(verdict="error", reason=f"answers out of order: {answer.get('id')}")
    died = f"no answer (exit code {done.returncode}): {done.stderr.decode(errors='replace').strip()[-200:]}"
    missing = len(questions) - len(answers)
    return answers + [{"verdict": "error", "reason": died}] * missing


def judge(questions: Sequence[Question], answers: Sequence[Json]) -> Result:
    """Answers against expectations."""
    result = Result()
    for question, answer in zip(questions, answers, strict=True):
        text = difference(question.expected, answer)
        if text:
            result.differences.append((question, text))
        else:
            result.agreed[question.kind, question.rule] += 1
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """0 all as expected, 1 not, 2 wrong usage."""
    parser = argparse.ArgumentParser(description="Run a verifier over a conformance corpus.")
    parser.add_argument(
        "--verifier", required=True, metavar="CMD", help='how to start it, such as "my-verifier --quiet"'
    )
    parser.add_argument("--stream", action="store_true", help="ask in one process, as JSON lines; default: one each")
    parser.add_argument("--passes", type=int, default=1, help="with --stream: ask everything again, to test its memory")
    parser.add_argument("--kind", choices=tuple(INPUTS), help="only cases of this kind")
    parser.add_argument("--rule", choices=RULES, action="append", help="only cases of this rule; may be repeated")
    parser.add_argument("--match", default="", metavar="TEXT", help="only cases with this in their name")
    parser.add_argument("--vectors", action="store_true", help="DIR is a directory of recorded real quotes")
    parser.add_argument("directory", type=Path, metavar="DIR")
    arguments = parser.parse_args(argv)
    try:
        questions = (load_vectors if arguments.vectors else load_corpus)(arguments.directory)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{arguments.directory} holds no corpus: {error}")
    questions = [
        question
        for question in questions
        if question.kind == (arguments.kind or question.kind)
        and (not arguments.rule or question.rule in arguments.rule)
        and arguments.match in question.name
    ]
    questions *= max(1, arguments.passes)
    ask = ask_in_a_stream if arguments.stream else ask_one_by_one
    result = judge(questions, ask(shlex.split(arguments.verifier), questions))
    for line in result.report():
        sys.stdout.write(line + "\n")
    return 1 if result.differences or not questions else 0


if __name__ == "__main__":
    sys.exit(main())
