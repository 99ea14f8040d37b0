"""What a workflow runs: three tags in a row, the comparison as a gate, a record for every machine, pushed or kept."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deploy_world import MACHINES, QUICK, DeployWorld, Ran, deploy_world
from lying_node import lying
from toy_repository import BRANCH
from twinproof.deployments.proof import bundle_digest, proof_digest
from twinproof.deployments.record import Outcome, Record, parse_record
from twinproof.deployments.standing import rows
from twinproof.deployments.table import render
from twinproof.sources.deployment_records import FOLDER, Recorded, bundle_path, read_records, write_records
from twinproof_devnet.chain.ledger import Depths
from twinproof_devnet.faults import Fault


@dataclass(frozen=True)
class Ci:
    world: DeployWorld

    def run(self, version: str, *flags: str, **environment: str) -> Ran:
        arguments = ("--tag", f"v{version}", "--image-digest", self.world.digests[version])
        return self.world.run(
            "ci", "deploy", *arguments, "--machines", ",".join(MACHINES), *QUICK, *self.finality, *flags, **environment
        )

    @property
    def finality(self) -> tuple[str, str]:
        """Blocks come only with transactions here."""
        return "--finality", "0"

    def pulled(self) -> Path:
        """The repository as the branch has it now."""
        self.world.repository.git("pull", "-q", "--ff-only", "origin", BRANCH)
        return self.world.repository.top

    def records(self) -> tuple[Record, ...]:
        return read_records(self.pulled() / FOLDER).whole()


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ci]:
    """Three tags were pushed in a row before the first was deployed; all three have run."""
    with deploy_world(tmp_path_factory.mktemp("ci")) as world:
        ci = Ci(world)
        for version in ("1.1.0", "1.2.0", "1.3.0"):
            world.release(version)
        for number, version in enumerate(("1.1.0", "1.2.0", "1.3.0")):
            summary = str(world.directory / f"summary-{version}.md")
            ran = ci.run(version, GITHUB_RUN_ID=str(100 + number), GITHUB_RUN_ATTEMPT="1", GITHUB_STEP_SUMMARY=summary)
            assert ran.code == 0, ran.err
        world.chain.settle()
        yield ci


def test_three_tags_in_quick_succession_are_six_true_records_of_one_app(ci: Ci) -> None:
    records = ci.records()
    assert sorted(record.name for record in records) == sorted(
        f"{version}-{machine}-{run}-1"
        for version, run in (("1.1.0", 100), ("1.2.0", 101), ("1.3.0", 102))
        for machine in MACHINES
    )
    assert {record.outcome for record in records} == {Outcome.DEPLOYED}
    assert len({record.attested.app_id for record in records if record.attested}) == 1
    assert ci.world.contracts() == 1
    verified = ci.world.run("deployments", "verify", "--chain", ci.world.chain.url)
    assert (verified.code, verified.out.count("true ")) == (0, 6), verified.out
    verified = ci.world.run("deployments", "verify", "--chain", ci.world.chain.url, "--json")
    assert [record["true"] for record in verified.json["records"]] == [True] * 6
    assert verified.json["simulated_hardware"] is True


def test_the_table_is_rendered_with_one_active_row_per_machine(ci: Ci) -> None:
    top = ci.pulled()
    assert (top / "DEPLOYMENTS.md").read_text() == render(ci.records())
    active = [row.record.name for row in rows(ci.records()) if row.standing.value == "Active"]
    assert sorted(active) == ["1.3.0-prod7-102-1", "1.3.0-prod9-102-1"]
    assert ci.world.run("deployments", "render", "--check", "--directory", ".").code == 0


def test_a_hand_edit_of_the_table_is_refused_by_the_gate_and_undone(ci: Ci) -> None:
    top = ci.pulled()
    before = (top / "DEPLOYMENTS.md").read_text()
    (top / "DEPLOYMENTS.md").write_text(before.replace("Replaced", "Active", 1))
    assert ci.world.run("deployments", "render", "--check").code == 4
    assert ci.world.run("deployments", "render").code == 0
    assert (top / "DEPLOYMENTS.md").read_text() == before


def test_a_hand_edited_record_is_named_by_verify(ci: Ci) -> None:
    path = ci.pulled() / FOLDER / "1.1.0-prod9-100-1.json"
    before = path.read_text()
    block = next(record.anchor.block for record in ci.records() if record.anchor and record.name == path.stem)
    path.write_text(before.replace(f'"block": {block},', f'"block": {block + 1},'))
    verified = ci.world.run("deployments", "verify", "--chain", ci.world.chain.url)
    path.write_text(before)
    assert verified.code == 4
    assert f"onchain.block: the record says {block + 1}, found was {block}" in verified.out
    assert verified.out.count("true ") == 5


def test_records_of_another_app_on_our_machines_are_false_where_the_app_is_pinned(ci: Ci) -> None:
    """Anyone can rent the same machine, and have code attest any version's name under an app id of his own."""
    policy = ci.world.directory / "policy.toml"
    policy.write_text(f'[policy]\napp_id = "{"ab" * 20}"\n')
    verified = ci.world.run("deployments", "verify", "--chain", ci.world.chain.url, "--policy", str(policy))
    assert (verified.code, verified.out.count("FALSE ")) == (4, 6), verified.out
    assert "policy.app_id" in verified.out


@pytest.mark.parametrize("first", [True, False], ids=["asked first", "asked last"])
def test_one_lying_endpoint_makes_no_record_true_or_false_where_two_have_to_agree(ci: Ci, first: bool) -> None:
    def lie(method: str, _: Sequence[object], answer: object) -> object:
        if method == "eth_getTransactionReceipt" and isinstance(answer, dict):
            answer["logs"] = []
        return answer

    with lying(ci.world.chain.methods, lie) as url:
        urls = [url, ci.world.chain.url] if first else [ci.world.chain.url, url]
        verified = ci.world.run("deployments", "verify", "--chain", ",".join(urls))
    assert verified.out.count("NOT CHECKED ") == 6, verified.out
    assert verified.code == 5
    assert "do not agree on the transaction" in " ".join(verified.out.split())


def test_a_half_written_and_a_copied_record_are_named_and_the_others_verified(ci: Ci) -> None:
    folder = ci.pulled() / FOLDER
    text = (folder / "1.1.0-prod9-100-1.json").read_text()
    extra = {"9.9.9-prod9-1-1.json": text[:100], "1.1.0-prod9-200-1.json": text}
    for name, content in extra.items():
        (folder / name).write_text(content)
    verified = ci.world.run("deployments", "verify", "--chain", ci.world.chain.url)
    rendered = ci.world.run("deployments", "render")
    for name in extra:
        (folder / name).unlink()
    assert verified.code == 3
    assert verified.out.count("true ") == 6
    unfolded = " ".join(verified.out.split())
    assert "9.9.9-prod9-1-1.json: not JSON" in unfolded
    assert "1.1.0-prod9-200-1.json: a record under another name" in unfolded
    assert rendered.code == 3
    assert ci.world.repository.git("status", "--porcelain") == ""


def test_an_old_answer_recorded_again_as_a_new_deployment_is_named(ci: Ci) -> None:
    """Its bundle is written a little differently, and every digest fits: the nonce tells that it was one answer."""
    folder = ci.pulled() / FOLDER
    first = parse_record((folder / "1.1.0-prod9-100-1.json").read_bytes(), "record")
    assert first.attested is not None
    bundle = bundle_path(folder, first).read_bytes() + b"\n"
    digest = bundle_digest(bundle)
    attested = replace(first.attested, bundle=digest, proof=proof_digest([digest]))
    again = replace(first, run="900-1", at=first.at + 60, attested=attested)
    paths = write_records(folder, [Recorded(again, bundle)])
    verified = ci.world.run("deployments", "verify", "--chain", ci.world.chain.url)
    for path in paths:
        path.unlink()
    assert verified.code == 4
    assert verified.out.count("true ") == 6
    assert "the same answer stands behind 1.1.0-prod9-100-1" in verified.out


def test_without_a_chain_no_record_is_called_true(ci: Ci) -> None:
    ci.pulled()
    verified = ci.world.run("deployments", "verify")
    assert (verified.code, verified.out.count("true ")) == (5, 0)
    assert verified.out.count("NOT CHECKED") == 6


def test_a_record_whose_block_may_still_vanish_is_not_called_true(ci: Ci) -> None:
    ci.pulled()
    depths = ci.world.chain.ledger.depths
    ci.world.chain.ledger.depths = Depths(finalized=10**6)
    verified = ci.world.run("deployments", "verify", "--chain", ci.world.chain.url)
    ci.world.chain.ledger.depths = depths
    assert (verified.code, verified.out.count("true ")) == (5, 0)
    assert verified.out.count("is not final yet: 0 is") == 6


def test_one_endpoint_that_calls_everything_final_makes_no_record_true(ci: Ci) -> None:
    ci.pulled()
    chain = ci.world.chain

    def early(method: str, params: Sequence[object], answer: object) -> object:
        final = method == "eth_getBlockByNumber" and params[0] == "finalized"
        return chain.methods.answer(method, ["latest", False]) if final else answer

    depths = chain.ledger.depths
    with lying(chain.methods, early) as url:
        chain.ledger.depths = Depths(finalized=10**6)
        verified = ci.world.run("deployments", "verify", "--chain", f"{url},{chain.url}")
        chain.ledger.depths = depths
    assert (verified.code, verified.out.count("true ")) == (5, 0)
    assert verified.out.count("is not final yet: 0 is") == 6


def test_without_the_devnets_root_no_record_is_called_true(ci: Ci) -> None:
    ci.pulled()
    command = ci.world.command("deployments", "verify", "--chain", ci.world.chain.url)
    trusted = command.index("--trust-root")
    del command[trusted : trusted + 2]
    ran = ci.world.started(command)
    assert (ran.code, ran.out.count("true ")) == (4, 0)
    assert "dcap.pck_chain" in ran.out


def test_the_summary_shows_the_proof(ci: Ci) -> None:
    text = (ci.world.directory / "summary-1.3.0.md").read_text()
    assert "| prod9 | 1.3.0 | deployed |" in text
    assert "PROOF COMPLETE" in text
    assert "Compose Hash" in text


def test_status_says_that_all_three_sides_agree(ci: Ci) -> None:
    ci.pulled()
    ran = ci.world.run("status", "--json")
    assert ran.code == 0, ran.out
    found = [(item["machine"], item["recorded_version"], item["problems"]) for item in ran.json["machines"]]
    assert sorted(found) == [("prod7", "1.3.0", []), ("prod9", "1.3.0", [])]
    assert ran.json["simulated_hardware"] is True
    assert ci.world.run("status").out.startswith("SIMULATED HARDWARE: ")


def test_a_machine_that_fails_is_recorded_as_failed_and_the_job_fails(ci: Ci) -> None:
    ci.pulled()
    ci.world.release("1.4.0")
    ci.world.cloud.switch(Fault.STALE_STATUS, "prod7")
    ran = ci.run("1.4.0", "--wait", "12", GITHUB_RUN_ID="104")
    assert ran.code == 4, ran.err
    records = {record.machine: record for record in ci.records() if str(record.version) == "1.4.0"}
    assert records["prod9"].outcome is Outcome.DEPLOYED
    failure = records["prod7"].failure
    assert failure is not None
    assert (failure.step, records["prod7"].attested, records["prod7"].anchor) == ("attest", None, None)
    assert "another compose hash is attested" in failure.reason
    text = (ci.pulled() / "DEPLOYMENTS.md").read_text()
    assert "## What failed" in text
    status = ci.world.run("status", "--json")
    problems = {item["machine"]: item["problems"] for item in status.json["machines"]}
    assert problems["prod9"] == []
    ci.world.cloud.switch(Fault.STALE_STATUS, "prod7", on=False)
    ci.world.cloud.fleet.settle()


def test_the_next_attempt_is_another_record_and_history_stays(ci: Ci) -> None:
    ran = ci.run("1.4.0", GITHUB_RUN_ID="104", GITHUB_RUN_ATTEMPT="2")
    assert ran.code == 0, ran.err
    names = {record.name: record.outcome.value for record in ci.records() if str(record.version) == "1.4.0"}
    assert names == {
        "1.4.0-prod9-104-1": "deployed",
        "1.4.0-prod7-104-1": "failed",
        "1.4.0-prod9-104-2": "deployed",
        "1.4.0-prod7-104-2": "deployed",
    }


def test_once_the_block_is_final_the_chain_is_part_of_the_proof_and_of_the_bundle(ci: Ci) -> None:
    ci.pulled()
    ci.world.release("1.4.1")
    done = threading.Event()

    def mine() -> None:
        while not done.wait(0.2):
            ci.world.chain.mine()

    miner = threading.Thread(target=mine)
    miner.start()
    try:
        ran = ci.run("1.4.1", "--finality", "120", GITHUB_RUN_ID="108")
    finally:
        done.set()
        miner.join()
    assert ran.code == 0, ran.err + ran.out
    assert "waiting until block" in ran.err
    assert re.search(r"On-Chain +said, not proved +said, not proved", ran.out), ran.out
    assert "the word of 1 endpoint only" in " ".join(ran.out.split())  # two that agree would settle it
    name = "1.4.1-prod9-108-1"
    bundle = json.loads((ci.pulled() / FOLDER / "evidence" / f"{name}.json").read_text())
    assert bundle["chain"]


def test_a_log_whose_block_does_not_become_final_is_no_deployment(ci: Ci) -> None:
    ci.pulled()
    ci.world.release("1.4.2")
    ran = ci.run("1.4.2", "--finality", "0.5", GITHUB_RUN_ID="109")
    assert ran.code == 4
    failures = [record.failure for record in ci.records() if str(record.version) == "1.4.2"]
    assert [failure.step for failure in failures if failure] == ["finality", "finality"]


def test_an_older_version_does_not_land_after_a_newer_one_by_itself(ci: Ci) -> None:
    ran = ci.run("1.2.0", GITHUB_RUN_ID="107")
    assert ran.code == 4
    assert "a newer version was deployed already: got v1.4.1" in ran.err
    assert not [record for record in ci.records() if record.run.startswith("107")]


def test_a_plan_that_is_refused_is_recorded_as_failed_on_every_machine(ci: Ci) -> None:
    ci.pulled()
    ci.world.release("1.5.0")
    ci.world.cloud.switch(Fault.REWRITTEN_HASH, "prod7")
    ran = ci.run("1.5.0", GITHUB_RUN_ID="105")
    ci.world.cloud.switch(Fault.REWRITTEN_HASH, "prod7", on=False)
    assert ran.code == 4
    failures = [record.failure for record in ci.records() if str(record.version) == "1.5.0"]
    assert [failure.step for failure in failures if failure] == ["plan", "plan"]


def test_a_tag_that_is_no_release_is_refused_before_any_secret_is_used(ci: Ci) -> None:
    requests = ci.world.chain.endpoint.requests
    ci.world.repository.git("tag", "-a", "-m", "v9.9.9", "v9.9.9")
    ci.world.digests["9.9.9"] = ci.world.digests["1.5.0"]
    ran = ci.run("9.9.9", PHALA_CLOUD_API_KEY="")
    assert ran.code in (2, 4)
    assert "v9.9.9" in ran.err or "1.5.0" in ran.err
    assert ci.world.chain.endpoint.requests == requests


def test_a_push_that_is_refused_leaves_the_records_in_the_work_tree(ci: Ci) -> None:
    ci.pulled()
    hook = ci.world.directory / "remote.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho GH006: Protected branch >&2\nexit 1\n")
    hook.chmod(0o755)
    ran = ci.run("1.4.1", GITHUB_RUN_ID="106")
    hook.unlink()
    assert ran.code == 5
    assert "GH006" in ran.err
    left = read_records(ci.world.repository.top / FOLDER).whole()
    assert {record.name for record in left} >= {"1.4.1-prod9-106-1", "1.4.1-prod7-106-1"}
