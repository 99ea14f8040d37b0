"""The generated corpus: complete, unambiguous, and answered by this verifier as expected, check by check."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import run
from twinproof import verifier
from twinproof.conformance.answer import judge_bundle, judge_quote
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, appraise
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.verdict import Status
from twinproof_devnet.command import main as devnet

AT = 1_790_000_000
OURS = f"{sys.executable} -m twinproof.conformance"
CANNOT_REFUSE = {"dcap.tcb_status"}
"""It only works out the status of all parts together: what could be wrong with a status was refused when it was read.
An implementation with another table is caught by the status that it answers."""
AROUND_THE_QUOTE = {
    "evidence.carrier",
    "evidence.report_data",
    "evidence.statement",
    "evidence.nonce",
    "evidence.agreement",
    "evidence.tls_key",
    "evidence.ra_tls_claims",
    "dstack.event_digests",
    "dstack.rtmr3_replay",
    "dstack.rtmr0_2_replay",
    "dstack.boot_events",
    "dstack.compose_hash",
    "dstack.mr_config_id",
    "dstack.image_registers",
    "dstack.app_id",
    "dstack.os_image_hash",
    "dstack.key_provider",
    "dstack.guest_claims",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("conformance") / "corpus"
    assert devnet(["corpus", str(directory), "--at", str(AT)]) == 0
    return directory


@pytest.fixture(scope="module")
def questions(corpus: Path) -> list[run.Question]:
    return run.load_corpus(corpus)


def answered(question: run.Question, memo: Memo) -> run.Json:
    root = TrustRoot.from_pem_or_der(question.root.read_bytes())
    if question.kind == "bundle":
        return judge_bundle(question.inputs[0].read_bytes(), root=root, at=question.at).to_json()
    quote, collateral = (path.read_bytes() for path in question.inputs)
    return judge_quote(quote, collateral, root=root, at=question.at, memo=memo).to_json()


def test_every_case_is_a_directory_of_its_own_with_everything_in_it(
    corpus: Path, questions: list[run.Question]
) -> None:
    names = {path.name for path in corpus.iterdir() if path.is_dir()}
    assert names == {question.name for question in questions}
    assert len(names) == len(questions)
    for question in questions:
        inputs = {path.name for path in (*question.inputs, question.root)}
        assert {path.name for path in (corpus / question.name).iterdir()} == inputs | {"at", "expected.json"}
        assert question.expected["verdict"] in {"accept", "refuse"}
        assert (question.expected["verdict"] == "accept") == (question.expected["stage"] is None)
        assert (question.expected["verdict"] == "accept") == (question.expected["tcb_status"] is not None)
        assert question.rule in run.RULES
        assert question.expected["description"]


def test_every_answer_is_the_expected_one_with_a_memory_of_all_others(questions: list[run.Question]) -> None:
    memo = Memo()
    for pass_through in (questions, questions[::-1]):
        result = run.judge(pass_through, [answered(question, memo) for question in pass_through])
        assert [f"{question.name}: {text}" for question, text in result.differences] == []


def test_every_numbered_check_refuses_something_and_passes_something(
    questions: list[run.Question], record_property: Callable[[str, object], None]
) -> None:
    quotes = [question for question in questions if question.kind == "quote"]
    refusals = Counter(question.expected["stage"] for question in quotes if question.expected["verdict"] == "refuse")
    assert {step.id for step in PLAN} - set(refusals) == CANNOT_REFUSE
    passes: Counter[str] = Counter()
    accepted = [question for question in quotes if question.expected["verdict"] == "accept"]
    for question in accepted:
        ledger = Ledger(PLAN)
        quote, collateral = (path.read_bytes() for path in question.inputs)
        supplied, root = Collateral.from_json(collateral), TrustRoot.from_pem_or_der(question.root.read_bytes())
        assert appraise(quote, supplied, at=question.at, root=root, ledger=ledger, memo=Memo())
        passes.update(check.id for check in ledger.checks() if check.status is Status.PASS)
    assert {step.id for step in PLAN} == set(passes)
    statuses = {question.expected["tcb_status"] for question in accepted}
    assert len(statuses) == 8  # every status there is, but Revoked
    counts = ", ".join(f"{step.id.removeprefix('dcap.')} {refusals[step.id]}" for step in PLAN)
    record_property(
        "counts",
        f"conformance corpus: {len(questions)} cases, {len(quotes)} quotes, {len(accepted)} of them accepted;"
        f" refusals by check: {counts}",
    )


def test_the_checks_around_the_quote_refuse_something_too(
    questions: list[run.Question], record_property: Callable[[str, object], None]
) -> None:
    bundles = [question for question in questions if question.kind == "bundle"]
    stages = Counter(question.expected["stage"] for question in bundles)
    assert set(stages) >= AROUND_THE_QUOTE
    assert stages[None] >= 4
    known = {step.id for step in verifier.PLAN}
    assert set(stages) - {None, "bundle"} <= known
    left = sorted(step for step in known if step.startswith(("dstack.", "evidence.")) and not stages[step])
    record_property("counts", f"conformance bundles: {len(bundles)} cases; without a refusal: {', '.join(left)}")


def test_the_corpus_is_written_into_an_empty_directory_only(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert devnet(["corpus", str(corpus)]) == 2
    assert "not empty" in capsys.readouterr().err


def test_the_runner_finds_this_verifier_right_in_one_process(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--verifier", OURS, "--stream", str(corpus)]) == 0
    assert f"{len(run.load_corpus(corpus))} of {len(run.load_corpus(corpus))} as expected" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["accept.sgx", "pck_crl.revoked-sgx", "collateral.no-json", "bundle.accept.kms"])
def test_the_runner_finds_this_verifier_right_one_process_each(corpus: Path, name: str) -> None:
    assert run.main(["--verifier", OURS, "--match", name, str(corpus)]) == 0


@pytest.mark.vectors
def test_real_quotes_are_asked_where_they_lie(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--verifier", OURS, "--stream", "--vectors", str(vectors / "dcap")]) == 0
    assert "234 of 234 as expected" in capsys.readouterr().out


class TestAnotherVerifier:
    """The runner knows nothing of this package: any program can take part."""

    @staticmethod
    def script(directory: Path, text: str) -> str:
        path = directory / "verifier.py"
        path.write_text(text, encoding="utf-8")
        return f"{sys.executable} {path}"

    def test_that_accepts_everything_is_told_what_it_should_refuse(
        self, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        yes = self.script(tmp_path, "print('Verification successful')\nprint('Status: UpToDate')\n")
        assert run.main(["--verifier", yes, "--match", "pck_crl.revoked", str(corpus)]) == 1
        said = capsys.readouterr().out
        assert "DIFFERS pck_crl.revoked [genuine]: expected refuse (dcap.pck_crl), got accept (UpToDate)" in said
        assert run.main(["--verifier", yes, "--match", "converge.OutOfDate-UpToDate-UpToDate", str(corpus)]) == 1
        assert "expected tcb_status OutOfDate, got UpToDate" in capsys.readouterr().out

    def test_that_answers_out_of_order_or_not_at_all_is_wrong(
        self, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        turned = self.script(
            tmp_path,
            "import json, sys\n"
            "for line in reversed(sys.stdin.readlines()):\n"
            "    print(json.dumps({'id': json.loads(line)['id'], 'verdict': 'accept'}))\n",
        )
        assert run.main(["--verifier", turned, "--stream", "--match", "accept.tdx", str(corpus)]) == 1
        assert "answers out of order" in capsys.readouterr().out
        dead = self.script(tmp_path, "raise SystemExit('out of memory')\n")
        assert run.main(["--verifier", dead, "--stream", "--match", "accept.tdx", str(corpus)]) == 1
        assert "no answer (exit code 1): out of memory" in capsys.readouterr().out

    def test_that_does_not_exist_or_crashes_is_an_error_and_no_refusal(
        self, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        crash = self.script(tmp_path, "import sys; sys.exit(139)\n")
        for verifier_command in ("/nowhere/verifier", crash):
            assert run.main(["--verifier", verifier_command, "--match", "pck_crl.revoked", str(corpus)]) == 1
            assert "got error" in capsys.readouterr().out

    def test_no_corpus_and_no_matching_case_are_no_success(
        self, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            run.main(["--verifier", OURS, str(tmp_path)])
        assert stopped.value.code == 2
        assert "holds no corpus" in capsys.readouterr().err
        assert run.main(["--verifier", OURS, "--match", "no such case", str(corpus)]) == 1

    def test_dcap_qvl_takes_part_with_an_adapter_of_ten_lines(
        self, corpus: Path, record_property: Callable[[str, object], None]
    ) -> None:
        """What it accepts although Intel's rules refuse it; the classes are explained in docs/dcap-differences.md."""
        pytest.importorskip("dcap_qvl", reason="dcap-qvl is not installed (extra second-opinion)")
        adapter = Path(__file__).parent / "adapters" / "dcap_qvl_stream.py"
        asked = [question for question in run.load_corpus(corpus) if question.kind == "quote"]
        result = run.judge(asked, run.ask_in_a_stream([sys.executable, str(adapter)], asked))
        assert {question.name for question, _ in result.differences if question.rule == "genuine"} == {
            "pck_chain.sgx-six-members",
            "platform_match.pce-id",
            "tcb_info.sgxtcbcomponents-0",
            "tcb_info.sgxtcbcomponents-15",
            "tcb_info.sgxtcbcomponents-17",
        }
        answers_of_its_own = {text for _, text in result.differences if "got error" in text}
        assert answers_of_its_own == set()
        record_property("counts", f"conformance, dcap-qvl: {result.agreed.total()} of {len(asked)} as expected")


def test_a_case_says_in_which_order_its_inputs_go(questions: list[run.Question]) -> None:
    request = next(question for question in questions if question.kind == "quote").request()
    assert sorted(json.loads(json.dumps(request))) == ["at", "collateral", "id", "kind", "quote", "root"]
