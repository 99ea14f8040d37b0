"""`--junit FILE`: one test suite per instance and one for what is between them, as CI systems read them.

A failed check is a failure, a check that did not run is skipped with its reason, no evidence is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from twinproof.comparison import Proof
from twinproof.report.findings import Finding, findings
from twinproof.report.outcome import Failure
from twinproof.verdict import Check, Status
from twinproof.verifier import Verdict

__all__ = ["junit_report"]


def junit_report(proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = ()) -> str:
    """The XML text, with a declaration."""
    root = Element("testsuites", name="twinproof")
    for instance, group in groupby(findings(proof, verdicts), key=lambda finding: finding.instance):
        _suite(root, instance, list(group))
    for name, error in failures:
        suite = SubElement(root, "testsuite", name=_text(name), tests="1", failures="0", errors="1", skipped="0")
        case = SubElement(suite, "testcase", name="evidence", classname="evidence")
        found = SubElement(case, "error", type=type(error).__name__, message=_text(str(error)))
        found.text = _text(error.hint)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, instance: str, found: Sequence[Finding]) -> None:
    statuses = [finding.check.status for finding in found]
    suite = SubElement(
        root,
        "testsuite",
        name=_text(instance),
        tests=str(len(found)),
        failures=str(statuses.count(Status.FAIL)),
        errors="0",
        skipped=str(statuses.count(Status.NOT_CHECKED)),
    )
    for finding in found:
        check = finding.check
        case = SubElement(suite, "testcase", name=check.id, classname=check.id.partition(".")[0])
        _outcome(case, check)


def _outcome(case: Element, check: Check) -> None:
    if check.status is Status.FAIL:
        failure = SubElement(case, "failure", type=check.error, message=_text(check.reason))
        failure.text = _text(_lines((("without it", check.step.why), ("got", check.got), ("expected", check.expected))))
    elif check.status is Status.NOT_CHECKED:
        SubElement(case, "skipped", message=_text(check.reason))
    elif check.reason:
        SubElement(case, "system-out").text = _text(f"warning: {check.reason}")


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in pairs if value)


def _text(value: str) -> str:
    """XML has no form for most control characters, and none for half a surrogate pair: they are written as escapes."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in value)
