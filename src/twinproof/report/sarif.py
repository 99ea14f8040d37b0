"""`--sarif FILE`: SARIF 2.1.0, one rule per check id; what failed is an error, what warns a warning.

What was not checked is there too, with kind `open` and its reason; what passed is not, for results become alerts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from urllib.parse import quote

from twinproof import comparison, verifier
from twinproof.comparison import Proof
from twinproof.report.findings import BETWEEN, Finding, findings
from twinproof.report.outcome import Failure
from twinproof.verdict import Status, Step
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["sarif_report"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Status.FAIL: ("fail", "error"), Status.WARN: ("fail", "warning"), Status.NOT_CHECKED: ("open", "none")}
_UNAVAILABLE = "twinproof.unavailable"
_UNAVAILABLE_RULE: dict[str, object] = {
    "id": _UNAVAILABLE,
    "name": "TwinproofUnavailable",
    "shortDescription": {"text": "every instance gave evidence"},
    "fullDescription": {"text": "every instance gave evidence. Without it: nothing is known about this one."},
    "help": {"text": "The message says what could not be obtained, and where."},
    "defaultConfiguration": {"level": "error"},
}
_MAX_NAME = 1000
_SAFE = ":/?#[]@!$&'()*+,;=%~-._"


def sarif_report(
    proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = (), *, version: str
) -> str:
    """The JSON text; `version` is the tool's."""
    steps = {step.id: step for step in (*verifier.PLAN, *comparison.PLAN)}
    found = [finding for finding in findings(proof, verdicts) if finding.check.status is not Status.PASS]
    steps |= {finding.check.id: finding.check.step for finding in found}
    rules = [_rule(step) for step in steps.values()]
    rules.append(_UNAVAILABLE_RULE)
    places = {str(rule["id"]): index for index, rule in enumerate(rules)}
    results = [_result(finding, places[finding.check.id]) for finding in found]
    for given, error in failures:
        name = shown(given, _MAX_NAME)  # a file's name may be no text at all
        message = " ".join(filter(None, (str(error), error.hint)))
        placed = _located(_UNAVAILABLE, ("fail", "error"), message, source=name, instance=name)
        results.append({**placed, "ruleIndex": places[_UNAVAILABLE]})
    run = {
        "tool": {"driver": {"name": "twinproof", "version": version, "semanticVersion": version, "rules": rules}},
        "results": results,
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(step: Step) -> dict[str, object]:
    return {
        "id": step.id,
        "name": "".join(word.capitalize() for word in step.id.replace(".", "_").split("_")),
        "shortDescription": {"text": step.title},
        "fullDescription": {"text": f"{step.title}. Without it: {step.why}."},
        "help": {"text": f"Source: {step.source}. `twinproof explain {step.id}` says more."},
        "defaultConfiguration": {"level": "error"},
        "properties": {"question": step.question.value},
    }


def _result(finding: Finding, place: int) -> dict[str, object]:
    check = finding.check
    message = f"{finding.instance}: {check.reason or check.step.title}"
    result = _located(check.id, _LEVELS[check.status], message, source=finding.source, instance=finding.instance)
    result["ruleIndex"] = place
    result["properties"] = {
        name: value
        for name, value in (("got", check.got), ("expected", check.expected), ("error", check.error))
        if value
    }
    return result


def _located(
    rule: str, kind_and_level: tuple[str, str], message: str, *, source: str, instance: str
) -> dict[str, object]:
    location: dict[str, object] = {"logicalLocations": [{"name": instance, "kind": "resource"}]}
    if source != BETWEEN:
        location["physicalLocation"] = {"artifactLocation": {"uri": quote(source, safe=_SAFE)}}
    return {
        "ruleId": rule,
        "kind": kind_and_level[0],
        "level": kind_and_level[1],
        "message": {"text": message},
        "locations": [location],
        "partialFingerprints": {"checkOfInstance/v1": hashlib.sha256(f"{rule}\0{source}".encode()).hexdigest()},
    }
