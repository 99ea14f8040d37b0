"""What machines read: every check is there once, what was not checked is no pass, and hostile values stay values."""

from __future__ import annotations

import base64
import hashlib
import json
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from small_instance import Instance, edited, judge, twins, verifier
from twinproof import comparison
from twinproof import verifier as verification
from twinproof.comparison import Proof, compare
from twinproof.errors import Unavailable
from twinproof.evidence.bundle import bundle_to_json
from twinproof.policy import Pins, Policy
from twinproof.report.junit import junit_report
from twinproof.report.sarif import sarif_report
from twinproof.report.vsa import dsse_envelope, pre_authentication, vsa_statement
from twinproof.verdict import Status

HOSTILE = '"><failure/>]]>\x00\x1b[2J\u202e&amp;'
GONE = [("https://gone.example", Unavailable("no answer", hint="is it up?"))]


def honest() -> Proof:
    judge_all = verifier()
    return compare([judge_all.verify(instance.evidence()) for instance in twins()])


def refused() -> Proof:
    judge_all = verifier(Policy(pins=Pins(version="9.9.9")))
    return compare([judge_all.verify(instance.evidence()) for instance in twins()])


def suites(proof: Proof | None, failures: list[tuple[str, Unavailable]] | None = None) -> ET.Element:
    verdicts = proof.verdicts if proof is not None else ()
    return ET.fromstring(junit_report(proof, verdicts, failures or []).encode())


def test_junit_has_every_check_once_and_counts_them() -> None:
    proof = honest()
    root = suites(proof)
    assert [suite.get("name") for suite in root] == ["prod9-0.example", "prod7-1.example", "between the instances"]
    names = [case.get("name") for case in root[0]]
    assert names == [step.id for step in verification.PLAN]
    assert [case.get("name") for case in root[2]] == [step.id for step in comparison.PLAN]
    skipped = sum(check.status is Status.NOT_CHECKED for check in proof.verdicts[0].checks)
    assert (root[0].get("failures"), root[0].get("skipped")) == ("0", str(skipped))
    assert len(root[0].findall("testcase/skipped")) == skipped
    assert root.get("tests") == str(sum(len(suite) for suite in root))


def test_what_is_not_proved_is_green_in_no_format_for_machines_though_no_check_failed() -> None:
    """A host that keeps some checks from running makes none fail, and CI counts failures."""
    judge_all = verifier()
    bare = [judge_all.verify(edited(one.evidence(), event_log=None)) for one in twins()]
    required = [judge_all.verify(edited(one.evidence(), statement=None, challenge=None)) for one in twins()]
    for proof, reason in (
        (compare(bare), "compare.compose_hash: not shown"),
        (compare(required, required=frozenset({"compare.fresh"})), "compare.fresh: no answer to a nonce"),
    ):
        assert (proof.exit_code, [c for v in proof.verdicts for c in v.failures]) == (4, [])
        failure = suites(proof)[2].find("testcase[@name='compare.proved']/failure")
        assert failure is not None
        assert failure.get("type") == "Refused"
        assert (failure.get("message") or "").startswith(proof.outcome.value)
        assert reason in (failure.get("message") or "")
        assert suites(proof).get("failures") == "1"
        (run,) = json.loads(sarif_report(proof, proof.verdicts, version="1.2.3"))["runs"]
        assert [result["ruleId"] for result in run["results"] if result["level"] == "error"] == ["compare.proved"]
    assert suites(honest()).get("failures") == "0"


def test_junit_failures_say_why() -> None:
    failure = suites(refused())[0].find("testcase[@name='policy.version']/failure")
    assert failure is not None
    assert failure.get("type") == "Refused"
    assert "9.9.9" in (failure.get("message") or "")


def test_junit_names_an_instance_without_evidence_as_an_error() -> None:
    root = suites(honest(), GONE)
    assert root.get("errors") == "1"
    error = root[-1].find("testcase/error")
    assert error is not None
    assert error.get("message") == "no answer"


def test_junit_stays_well_formed_whatever_is_in_it() -> None:
    verdict = judge(edited(Instance(said={"health": HOSTILE}).evidence(), event_log=f'["{HOSTILE}"]'))
    root = ET.fromstring(junit_report(None, [verdict], [(HOSTILE, Unavailable(HOSTILE, hint=HOSTILE))]).encode())
    assert len(root) == 2


def sarif(proof: Proof, failures: list[tuple[str, Unavailable]] | None = None) -> dict[str, object]:
    document = json.loads(sarif_report(proof, proof.verdicts, failures or [], version="1.2.3"))
    (run,) = document["runs"]
    assert document["version"] == "2.1.0"
    found: dict[str, object] = run
    return found


def rules(run: object) -> list[str]:
    assert isinstance(run, dict)
    return [rule["id"] for rule in run["tool"]["driver"]["rules"]]


def results(run: object, level: str) -> set[str]:
    assert isinstance(run, dict)
    return {result["ruleId"] for result in run["results"] if result["level"] == level}


def test_sarif_has_one_rule_per_check_and_points_to_it() -> None:
    run = sarif(honest())
    ids = rules(run)
    assert len(ids) == len(set(ids))
    assert {step.id for step in (*verification.PLAN, *comparison.PLAN)} <= set(ids)
    assert isinstance(run["results"], list)
    assert all(ids[result["ruleIndex"]] == result["ruleId"] for result in run["results"])


def test_sarif_errors_are_the_failures() -> None:
    assert results(sarif(honest()), "error") == set()
    assert results(sarif(refused()), "error") == {"policy.version", "compare.genuine"}
    assert results(sarif(honest(), GONE), "error") == {"twinproof.unavailable"}


def test_sarif_says_what_was_not_checked_and_never_as_a_pass() -> None:
    run = sarif(honest())
    assert isinstance(run["results"], list)
    opened = {result["ruleId"] for result in run["results"] if result["kind"] == "open"}
    assert "policy.image" in opened
    assert not any(result["kind"] == "pass" for result in run["results"])


def test_a_summary_passes_only_what_was_proved() -> None:
    proof = honest()
    statement = vsa_statement(proof, proof.verdicts, version="1.2.3")
    predicate = statement["predicate"]
    assert isinstance(predicate, dict)
    assert predicate["verificationResult"] == "PASSED"
    assert predicate["verifiedLevels"] == ["TWINPROOF_GENUINE", "TWINPROOF_FRESH", "TWINPROOF_SAME_CODE"]
    assert predicate["urn:twinproof:simulated-hardware"] is True
    software = proof.verdicts[0].claims.software
    assert software is not None
    assert statement["subject"] == [{"name": "app-compose.json", "digest": {"sha256": software.compose_hash.hex()}}]


def test_a_summary_names_the_evidence_by_the_bytes_that_were_judged() -> None:
    proof = honest()
    predicate = vsa_statement(proof, proof.verdicts, version="1.2.3")["predicate"]
    assert isinstance(predicate, dict)
    assert [item["digest"]["sha256"] for item in predicate["inputAttestations"]] == [
        hashlib.sha256(bundle_to_json(verdict.evidence).encode()).hexdigest() for verdict in proof.verdicts
    ]


@pytest.mark.parametrize(("proof", "failures"), [(refused(), []), (honest(), GONE)], ids=["refused", "incomplete"])
def test_a_summary_of_what_was_not_proved_fails(proof: Proof, failures: list[tuple[str, Unavailable]]) -> None:
    predicate = vsa_statement(proof, proof.verdicts, failures, version="1.2.3")["predicate"]
    assert isinstance(predicate, dict)
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("FAILED", ["FAILED"])


def test_stored_evidence_is_never_summed_up_as_fresh() -> None:
    verdict = judge(edited(Instance().evidence(), stored=True))
    predicate = vsa_statement(None, [verdict], version="1.2.3")["predicate"]
    assert isinstance(predicate, dict)
    assert predicate["verifiedLevels"] == ["TWINPROOF_GENUINE"]


def test_a_signed_summary_is_an_envelope_over_exactly_its_payload() -> None:
    proof, key = honest(), Ed25519PrivateKey.generate()
    statement = vsa_statement(proof, proof.verdicts, version="1.2.3")
    envelope = dsse_envelope(statement, key.sign, "the key")
    payload = base64.b64decode(str(envelope["payload"]))
    assert json.loads(payload) == statement
    signatures = envelope["signatures"]
    assert isinstance(signatures, list)
    key.public_key().verify(base64.b64decode(signatures[0]["sig"]), pre_authentication(payload))


def test_what_is_signed_is_what_dsse_describes() -> None:
    assert pre_authentication(b"hello") == b"DSSEv1 28 application/vnd.in-toto+json 5 hello"


def test_the_raw_tdx_part_has_the_names_of_the_eat_profile() -> None:
    verdict = judge(Instance().evidence())
    registers, eat = verdict.claims.registers, verdict.to_json()["eat"]
    assert registers is not None
    assert isinstance(eat, dict)
    assert eat["tdx_mrtd"] == registers.mrtd.hex()
    assert eat["tdx_mrconfigid"] == registers.mr_config_id.hex()
    assert {name: value for name, value in eat.items() if name.startswith("tdx_td_attributes_")} == {
        "tdx_td_attributes_debug": False,
        "tdx_td_attributes_septve_disable": True,
        "tdx_td_attributes_protection_keys": False,
        "tdx_td_attributes_key_locker": False,
        "tdx_td_attributes_perfmon": False,
    }
    assert verdict.claims.statement is not None
    assert eat["eat_nonce"] == verdict.claims.statement.eat_nonce.hex()


def test_evidence_that_is_not_genuine_has_no_eat_claims() -> None:
    assert judge(edited(Instance().evidence(), quote=b"\x04\x00")).to_json()["eat"] == {}
