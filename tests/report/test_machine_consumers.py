"""What others read our formats with takes them, and reads what was written: SARIF, JUnit XML, in-toto and SLSA."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from junitparser import JUnitXml
from sigstore.dsse import Statement
from sigstore.errors import Error

from npm_package import NPM, installed
from published_schemas import errors
from small_instance import Instance, edited, judge, twins, verifier
from twinproof.comparison import Proof, compare
from twinproof.errors import Malformed, Unavailable
from twinproof.policy import Pins, Policy
from twinproof.report.junit import junit_report
from twinproof.report.outcome import Failure
from twinproof.report.sarif import sarif_report
from twinproof.report.vsa import statement_bytes, vsa_statement
from twinproof.verdict import Status
from twinproof.verifier import Verdict
from twinproof.wire import shown

HOSTILE = '"><failure/>]]>\x00\x1b[2J\u202e&amp; \ud800'
Outcome = tuple[Proof | None, tuple[Verdict, ...], list[Failure]]


def outcomes() -> dict[str, Outcome]:
    proved = compare([verifier().verify(instance.evidence()) for instance in twins()])
    strict = verifier(Policy(pins=Pins(version="9.9.9")))
    refused = compare([strict.verify(instance.evidence()) for instance in twins()])
    forged = judge(edited(Instance().evidence(), source=shown(HOSTILE), event_log=f'["{HOSTILE[:9]}"]'))
    gone: Failure = (HOSTILE, Unavailable("no answer", hint=shown(HOSTILE)))
    return {
        "proved": (proved, proved.verdicts, []),
        "refused": (refused, refused.verdicts, []),
        "one is missing": (None, proved.verdicts[:1], [gone]),
        "nothing": (None, (), [gone, ("https://b.example", Malformed(shown(HOSTILE)))]),
        "forged": (None, (forged,), []),
    }


NAMES = ["proved", "refused", "one is missing", "nothing", "forged"]


@pytest.fixture(scope="module")
def all_outcomes() -> dict[str, Outcome]:
    return outcomes()


@pytest.fixture(scope="module")
def sarif_schema(tmp_path_factory: pytest.TempPathFactory) -> Draft4Validator:
    package = installed(NPM / "sarif", tmp_path_factory.mktemp("npm") / "sarif")
    folder = package / "node_modules" / "@microsoft" / "jest-sarif" / "lib" / "schemas"
    schema = json.loads((folder / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    assert schema["$schema"] == "http://json-schema.org/draft-04/schema#"
    return Draft4Validator(schema)


@pytest.mark.node
@pytest.mark.parametrize("name", NAMES)
def test_sarif_is_what_the_standards_schema_describes(
    name: str, all_outcomes: dict[str, Outcome], sarif_schema: Draft4Validator
) -> None:
    proof, verdicts, failures = all_outcomes[name]
    document = json.loads(sarif_report(proof, verdicts, failures, version="1.2.3"))
    assert [error.message[:200] for error in sarif_schema.iter_errors(document)] == []
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert list(sarif_schema.iter_errors(document))


@pytest.mark.parametrize("name", NAMES)
def test_every_sarif_rule_has_the_texts_that_code_scanning_shows(name: str, all_outcomes: dict[str, Outcome]) -> None:
    proof, verdicts, failures = all_outcomes[name]
    (run,) = json.loads(sarif_report(proof, verdicts, failures, version="1.2.3"))["runs"]
    for rule in run["tool"]["driver"]["rules"]:
        assert all(rule[member]["text"] for member in ("shortDescription", "fullDescription", "help")), rule["id"]
        assert rule["name"]


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_of_junit_xml_counts_what_was_written(
    name: str, all_outcomes: dict[str, Outcome], tmp_path: Path
) -> None:
    proof, verdicts, failures = all_outcomes[name]
    path = tmp_path / "junit.xml"
    path.write_text(junit_report(proof, verdicts, failures), encoding="utf-8")
    read = JUnitXml.fromfile(str(path))
    cases = [case for suite in read for case in suite]
    checks = [check for verdict in verdicts for check in verdict.checks] + list(
        proof.checks if proof is not None else ()
    )
    assert read.tests == len(cases) == len(checks) + len(failures)
    assert read.failures == sum(case.is_failure for case in cases) == statuses(checks, Status.FAIL)
    assert read.skipped == sum(case.is_skipped for case in cases) == statuses(checks, Status.NOT_CHECKED)
    assert read.errors == sum(case.is_error for case in cases) == len(failures)


def statuses(checks: Any, status: Status) -> int:
    return sum(check.status is status for check in checks)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "nothing"])
def test_a_summary_is_an_in_toto_statement_with_every_member_that_slsa_wants(
    name: str, all_outcomes: dict[str, Outcome]
) -> None:
    proof, verdicts, failures = all_outcomes[name]
    text = statement_bytes(vsa_statement(proof, verdicts, failures, version="1.2.3"))
    Statement(text)
    document = json.loads(text)
    assert list(errors("vsa.v1", document)) == []
    assert document["predicateType"] == "https://slsa.dev/verification_summary/v1"
    predicate = document["predicate"]
    uri = re.compile(r"[a-z][a-z0-9+.-]*:\S+")
    assert uri.fullmatch(predicate["verifier"]["id"])
    assert predicate["verifier"]["version"] == {"twinproof": "1.2.3"}
    assert uri.fullmatch(predicate["resourceUri"])
    assert uri.fullmatch(predicate["policy"]["uri"])
    assert re.fullmatch(r"[0-9a-f]{64}", predicate["policy"]["digest"]["sha256"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", predicate["timeVerified"])
    assert predicate["verificationResult"] == ("PASSED" if name == "proved" else "FAILED")
    assert not any(level.startswith("SLSA_") for level in predicate["verifiedLevels"])
    assert len(predicate["inputAttestations"]) == len(verdicts)
    known = {"verifier", "timeVerified", "resourceUri", "policy", "inputAttestations", "verificationResult"}
    others = set(predicate) - known - {"verifiedLevels"}
    assert all(uri.fullmatch(member) for member in others), "members of our own are named by URIs"


def test_a_statement_about_nothing_is_none() -> None:
    with pytest.raises(Error, match="malformed in-toto statement"):
        Statement(statement_bytes(vsa_statement(None, (), [], version="1.2.3")))
