"""A second opinion can take a verdict away, never give one; what it says stands beside what we say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError

import pytest

from small_instance import AT, Instance, devnet_collateral, edited, root
from twinproof.cli.main import main
from twinproof.dcap.attributes import AttributeRules
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.second_opinion import Accepts, HasNone, Opinion, Refuses, SecondOpinion
from twinproof.errors import UsageError
from twinproof.evidence.evidence import Evidence
from twinproof.policy import Policy
from twinproof.sources.dcap_qvl import DcapQvl
from twinproof.verdict import Check, Status
from twinproof.verifier import Verdict, Verifier

UP_TO_DATE = Accepts("UpToDate", frozenset())
DEBUG = 0x10000001  # and SEPT_VE_DISABLE


@pytest.fixture
def dcap_qvl() -> Iterator[DcapQvl]:
    with closing(DcapQvl()) as opinion:
        yield opinion


@dataclass(frozen=True)
class Says:
    """A verifier with a made-up mind."""

    opinion: Opinion
    name: str = "another"

    def __call__(self, quote: bytes, collateral: Collateral, *, at: int, root: TrustRoot) -> Opinion:
        assert quote
        assert collateral == devnet_collateral()
        assert (at, root.is_intel) == (AT, False)
        return self.opinion


def judge(evidence: Evidence, opinion: SecondOpinion | None, policy: Policy | None = None) -> Verdict:
    return Verifier(roots=(root(),), policy=policy, second_opinion=opinion).verify(evidence)


def asked(verdict: Verdict) -> Check:
    return verdict.check("dcap.second_opinion")


def forged() -> Evidence:
    honest = Instance().evidence()
    assert honest.quote is not None
    return edited(honest, quote=honest.quote[:600] + bytes([honest.quote[600] ^ 1]) + honest.quote[601:])


def test_without_the_flag_it_is_not_checked_and_takes_nothing_away() -> None:
    verdict = judge(Instance().evidence(), None)
    assert asked(verdict).status is Status.NOT_CHECKED
    assert asked(verdict).reason == "not asked for (--second-opinion)"
    assert (verdict.genuine, verdict.accepted) == (True, True)


def test_required_and_not_asked_for_is_a_refusal_of_genuine_evidence() -> None:
    verdict = judge(Instance().evidence(), None, Policy(required=frozenset({"dcap.second_opinion"})))
    assert (verdict.genuine, verdict.exit_code) == (True, 4)


def test_required_and_agreeing_is_accepted() -> None:
    verdict = judge(Instance().evidence(), Says(UP_TO_DATE), Policy(required=frozenset({"dcap.second_opinion"})))
    assert verdict.exit_code == 0


def test_dcap_qvl_agrees_with_us_about_an_honest_instance(dcap_qvl: DcapQvl) -> None:
    verdict = judge(Instance().evidence(), dcap_qvl)
    assert (asked(verdict).status, asked(verdict).got) == (Status.PASS, "accepted, UpToDate")
    assert asked(verdict).got == asked(verdict).expected
    assert verdict.exit_code == 0


def test_dcap_qvl_refuses_a_forged_quote_too_and_both_reasons_are_shown(dcap_qvl: DcapQvl) -> None:
    verdict = judge(forged(), dcap_qvl)
    assert asked(verdict).status is Status.WARN
    assert "twinproof: refused, " in asked(verdict).reason
    assert "dcap-qvl 0.7" in asked(verdict).reason
    assert "ISV enclave report signature is invalid" in asked(verdict).reason
    assert verdict.exit_code == 3


@pytest.mark.parametrize(
    ("opinion", "text"),
    [
        (Refuses("a bad signature"), "twinproof: accepted, UpToDate; another: refused, a bad signature"),
        (Accepts("OutOfDate", frozenset()), "another: accepted, OutOfDate"),
        (Accepts("UpToDate", frozenset({"INTEL-SA-00001"})), "another: accepted, UpToDate (INTEL-SA-00001)"),
        (HasNone("it crashed"), "no second opinion: twinproof: accepted, UpToDate; another: gave no opinion: it crash"),
        (Refuses("debug", attributes=True), "twinproof: accepted, UpToDate; another: refused, debug"),
    ],
    ids=["it refuses", "another status", "other advisories", "it crashed", "it refuses attributes that we accept"],
)
def test_a_different_answer_about_accepted_evidence_is_not_genuine(opinion: Opinion, text: str) -> None:
    verdict = judge(Instance().evidence(), Says(opinion))
    assert (asked(verdict).status, asked(verdict).error) == (Status.FAIL, "Disputed")
    assert text in asked(verdict).reason
    assert (verdict.genuine, verdict.exit_code) == (False, 3)


@pytest.mark.parametrize("opinion", [UP_TO_DATE, HasNone("it crashed")], ids=["it accepts", "it crashed"])
def test_it_is_asked_about_a_quote_that_failed_here_and_cannot_save_it(opinion: Opinion) -> None:
    verdict = judge(forged(), Says(opinion))
    assert [check.id for check in verdict.failures] == ["dcap.quote_signature", "dcap.second_opinion"]
    assert verdict.check("dcap.quote_signature").reason in asked(verdict).reason
    assert str(opinion) in asked(verdict).reason
    assert verdict.exit_code == 3


def test_evidence_without_a_quote_leaves_nothing_to_ask_about() -> None:
    verdict = judge(edited(Instance().evidence(), quote=None, attestation=b"\xff"), Says(UP_TO_DATE))
    assert asked(verdict).status is Status.NOT_CHECKED
    assert asked(verdict).reason.startswith("blocked by")
    assert verdict.exit_code == 3


def test_both_refusing_a_debug_td_is_agreement_and_the_quote_stays_genuine(dcap_qvl: DcapQvl) -> None:
    verdict = judge(Instance(td_attributes=DEBUG).evidence(), dcap_qvl)
    assert [check.id for check in verdict.failures] == ["policy.report_attributes"]
    assert asked(verdict).status is Status.WARN
    assert "Debug mode is enabled" in asked(verdict).reason
    assert (verdict.genuine, verdict.exit_code) == (True, 4)


def test_a_debug_td_that_the_policy_allows_is_disputed(dcap_qvl: DcapQvl) -> None:
    allowed = Policy(attributes=AttributeRules()._replace(allow_debug=True))
    verdict = judge(Instance(td_attributes=DEBUG).evidence(), dcap_qvl, allowed)
    assert [check.id for check in verdict.failures] == ["dcap.second_opinion"]
    assert verdict.exit_code == 3


def test_refused_attributes_here_excuse_no_other_refusal_there() -> None:
    verdict = judge(Instance(td_attributes=DEBUG).evidence(), Says(Refuses("a bad signature")))
    assert [check.id for check in verdict.failures] == ["dcap.second_opinion", "policy.report_attributes"]
    assert verdict.exit_code == 3


def test_dcap_qvl_is_asked_under_the_same_root(dcap_qvl: DcapQvl) -> None:
    """Under Intel's root both refuse the devnet: neither of them was asked about another one."""
    evidence = Instance().evidence()
    verdict = Verifier(second_opinion=dcap_qvl).verify(evidence)
    assert [check.id for check in verdict.failures] == ["dcap.pck_chain"]
    assert asked(verdict).status is Status.WARN


def answer_of(program: str, timeout: float = 10) -> Opinion:
    """The answer when this Python program stands where dcap-qvl's process would."""
    evidence = Instance().evidence()
    assert evidence.quote is not None
    with closing(DcapQvl(command=(sys.executable, "-c", program), timeout=timeout)) as opinion:
        return opinion(evidence.quote, devnet_collateral(), at=AT, root=root())


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("input(); import os; os.abort()", "it crashed (signal 6)"),
        ("input(); raise SystemExit(3)", "its process ended (exit code 3)"),
        ("raise ImportError", "its process ended (exit code 1)"),
        ("input(); print('no answer', flush=True)", "its process ended (exit code 0)"),
        ("""input(); print('{"failure": "PanicException: no"}', flush=True); input()""", "PanicException: no"),
    ],
)
def test_a_crash_of_dcap_qvl_is_no_opinion(program: str, reason: str) -> None:
    assert answer_of(program) == HasNone(reason)


@pytest.mark.parametrize("program", ["input(); input()", "import time; time.sleep(20)"], ids=["silent", "deaf"])
def test_silence_is_no_opinion(program: str) -> None:
    assert answer_of(program, timeout=0.1) == HasNone("no answer within 0.1 s")


def test_a_process_that_does_not_start_is_no_opinion() -> None:
    with closing(DcapQvl(command=("/nowhere/python",))) as opinion:
        answer = opinion(b"", devnet_collateral(), at=AT, root=root())
    assert isinstance(answer, HasNone)
    assert "did not start" in answer.reason


def test_after_a_crash_the_next_quote_is_judged_again() -> None:
    with closing(DcapQvl()) as opinion:
        assert judge(Instance().evidence(), opinion).exit_code == 0
        assert opinion._process is not None
        opinion._process.kill()
        crashed = judge(Instance().evidence(), opinion)
        assert "dcap-qvl 0.7.0: gave no opinion: it crashed (signal 9)" in asked(crashed).reason
        assert crashed.exit_code == 3
        assert judge(Instance().evidence(), opinion).exit_code == 0


def test_what_it_quotes_of_the_evidence_cannot_write_on_the_terminal() -> None:
    text = "Verification failed: Unrecognized TCB status \x1b[2J" + "x" * 1000 + "\n\nCaused by:"
    opinion = answer_of(f"input(); print({json.dumps({'refusal': text})!r}, flush=True); input()")
    assert isinstance(opinion, Refuses)
    assert opinion.reason.isprintable()
    assert len(opinion.reason) < 400


def test_its_real_answer_about_nonsense_is_a_refusal(dcap_qvl: DcapQvl) -> None:
    for quote in (b"", b"\xff" * 5000, bytes(5000)):
        assert isinstance(dcap_qvl(quote, devnet_collateral(), at=0, root=root()), Refuses)
    assert isinstance(dcap_qvl(b"", devnet_collateral(), at=-1, root=root()), HasNone)


def test_without_the_package_the_flag_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_found(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("twinproof.sources.dcap_qvl.version", not_found)
    for arguments in (["verify", "nothing.json"], ["compare", "nothing.json", "nobody.json"]):
        assert main([*arguments, "--second-opinion"]) == 2
        assert 'hint: pip install "twinproof[second-opinion]"' in capsys.readouterr().err


@pytest.mark.parametrize("version", ["0.3.8", "0.6.9", "unknown"])
def test_an_old_dcap_qvl_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr("twinproof.sources.dcap_qvl.version", lambda _: version)
    with pytest.raises(UsageError, match="too old"):
        DcapQvl()
