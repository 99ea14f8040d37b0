"""Twenty-two ways in which the toy example's first pipeline failed while saying that it had worked.

Each test does again what went wrong then, and shows that nothing comes of it here. What is tried on a whole chain and
cloud stands in tests/deploying; here is the smallest thing that makes each failure impossible.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import inspect
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deployment_records import APP_ID, AT, DEVICES, failed, mined, mined_for, record
from historical_table import SIGNED
from live_instance import Live, live_instance
from loopback import http_answer, serving
from toy_repository import BRANCH, toy_repository
from twinproof.cli.main import build_parser
from twinproof.deployments.anchor import anchor_of
from twinproof.deployments.check import assess, cross_check
from twinproof.deployments.cloud_answers import Cvm, KmsInfo, Node, Pending
from twinproof.deployments.documents import NAMES, documents
from twinproof.deployments.facts import Release, printable_reason
from twinproof.deployments.facts import failed as failed_record
from twinproof.deployments.plan import Action, Proposal, Target, check_kms, check_proposal, node_of
from twinproof.deployments.record import parse_record
from twinproof.deployments.standing import Standing, rows
from twinproof.deployments.table import INTRODUCTION, render
from twinproof.errors import Malformed, Refused, TwinproofError, Unavailable, UsageError
from twinproof.policy import Machine
from twinproof.release.app_compose import render as render_compose
from twinproof.release.compose_check import check_app_compose
from twinproof.release.compose_settings import ComposeSettings
from twinproof.release.versions import Version
from twinproof.sources.deployment_records import Recorded
from twinproof.sources.git import Git
from twinproof.sources.http import HttpClient
from twinproof.sources.phala_cloud import ApiKey, PhalaCloud
from twinproof.sources.record_push import Change, push_records
from workflow_scripts import WORKFLOWS, Script, jobs, scripts, secret_of, texts

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = tuple(scripts())
TEMPLATE = (ROOT / "enclave" / "docker-compose.yml").read_text(encoding="utf-8")
SETTINGS = ComposeSettings(file="enclave/docker-compose.yml", image="ghcr.io/example/toy-example", name="toy-example")
IMAGE = f"sha256:{'ab' * 32}"
MACHINE_WORDS = ("prod9", "prod7")
HASH, OTHER = bytes([1]) * 32, bytes([2]) * 32


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with live_instance() as found:
        yield found


def target(name: str = "prod9", *, cvm: Cvm | None = None) -> Target:
    node = Node(18, name, (DEVICES[name],), onchain_kms=True)
    return Target(Machine(name, device_id=DEVICES[name]), DEVICES[name], node, cvm)


def cvm(compose_hash: bytes, status: str = "running") -> Cvm:
    return Cvm("a" * 32, "toy-example", status, APP_ID, 18, "prod9", DEVICES["prod9"], compose_hash, (), None)


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from options(child)
        else:
            yield action


def test_01_the_hash_of_docker_compose_yml_recorded_as_the_compose_hash(live: Live) -> None:
    made = live.record()
    assert made.attested is not None
    of_the_file = hashlib.sha256(TEMPLATE.encode()).digest()
    edited = replace(made, attested=replace(made.attested, compose_hash=of_the_file))
    assert live.findings(edited) == ["onchain.transaction", "attested.compose_hash"]
    with pytest.raises(Refused, match="another compose hash is attested"):
        live.record(release=replace(live.release, compose_hash=of_the_file))


def test_02_the_first_64_hex_digits_of_a_log_taken_for_the_transaction(live: Live) -> None:
    """The first match in an upgrade's log is the event's topic, then its data: neither is in any receipt."""
    made = live.record()
    assert made.anchor is not None
    log = live.mined.receipt.logs[-1]
    for first_match in (log.topics[0], log.data):
        edited = replace(made, anchor=replace(made.anchor, transaction=first_match))
        assert live.findings(edited) == ["onchain.transaction"]


def test_03_the_start_of_a_signed_transaction_recorded_as_its_hash() -> None:
    made = record()
    assert made.anchor is not None
    edited = replace(made, anchor=replace(made.anchor, transaction=bytes.fromhex(SIGNED[2:])))
    answer = Refused("no such transaction in this chain", where="node")
    assessment = assess(edited, mined=answer, verdict=None)
    assert [finding.fact for finding in assessment.findings] == ["onchain"]
    assert SIGNED not in printable_reason(f"replacement underpriced: {SIGNED}{'00' * 240}")


def test_04_a_block_hash_recorded_as_the_transaction() -> None:
    """What the chain has under this hash is no transaction; and a real transaction of the block has another hash."""
    made = record()
    assert made.anchor is not None
    edited = replace(made, anchor=replace(made.anchor, transaction=made.anchor.block_hash))
    assert assess(edited, mined=Refused("no such transaction in this chain"), verdict=None).findings
    assert [str(finding.fact) for finding in assess(edited, mined=mined_for(made), verdict=None).findings] == [
        "onchain.transaction"
    ]


def test_05_pending_for_ever() -> None:
    document = json.loads(record().to_json())
    document["onchain"]["transaction"] = "pending"
    with pytest.raises(Malformed, match="not hex text"):
        parse_record(json.dumps(document), "record")
    del document["onchain"]
    with pytest.raises(Malformed, match="a deployment without its proof"):
        parse_record(json.dumps(document), "record")
    assert "pending" not in render([record(), failed()]).lower()


def test_06_every_row_active() -> None:
    versions = [
        record(f"1.{number}.0", machine, at=AT + number) for number in range(10) for machine in ("prod9", "prod7")
    ]
    active = [row.record.name for row in rows(versions) if row.standing is Standing.ACTIVE]
    assert sorted(active) == ["1.9.0-prod7-100-1", "1.9.0-prod9-100-1"]
    assert render(versions).count("| Active |") == 2
    with pytest.raises(Malformed, match="a status that the record contradicts"):
        parse_record(record().to_json().replace('"deployed"', '"Active"'), "record")


@pytest.mark.parametrize("line", ["    hostname: toy.prod9", '    labels: ["cluster:prod9"]'])
def test_07_a_different_hash_for_each_machine(line: str) -> None:
    """What belongs to one machine may not be in the text; where the service makes another, nothing is signed."""
    text = render_compose(f"{TEMPLATE}{line}\n", SETTINGS, image_digest=IMAGE, environment="production").text
    assert any("prod9" in str(finding) for finding in check_app_compose(text, MACHINE_WORDS))
    with pytest.raises(Refused, match="the service would run another app-compose text"):
        check_proposal(target(), Proposal(OTHER, DEVICES["prod9"], None), HASH)


def test_08_two_machines_two_app_ids() -> None:
    first, second = record(machine="prod9"), record(machine="prod7")
    assert second.attested is not None
    second = replace(second, attested=replace(second.attested, app_id=bytes(20)))
    assert [finding.fact for found in cross_check([first, second]).values() for finding in found] == ["attested.app_id"]
    assert target("prod7").action(HASH, first=False) is Action.REPLICATE


def test_09_the_name_of_the_machine_in_the_name_of_the_app() -> None:
    settings = SETTINGS._replace(name="toy-example-prod9")
    text = render_compose(TEMPLATE, settings, image_digest=IMAGE, environment="production").text
    assert any("prod9" in str(finding) for finding in check_app_compose(text, MACHINE_WORDS))
    texts = {
        render_compose(TEMPLATE, SETTINGS, image_digest=IMAGE, environment="production").text for _ in MACHINE_WORDS
    }
    assert len(texts) == 1


def test_10_the_machine_was_a_label_and_no_node_was_selected(live: Live) -> None:
    prod5 = Node(26, "prod7", (DEVICES["prod5"],), onchain_kms=True)  # prod7 silently became prod5
    with pytest.raises(Refused, match="no node of the cloud has this device id"):
        node_of(Machine("prod7", device_id=DEVICES["prod7"]), [prod5])
    with pytest.raises(UsageError, match="a machine is told by its device id"):
        node_of(Machine("prod7"), [prod5])
    assert live.findings(replace(live.record(), machine="prod7")) == ["machine"]


def test_11_deleted_before_each_deployment() -> None:
    """All that the client can ask of the service, asked: nothing is deleted, stopped or started over."""
    sent: list[str] = []

    def answer(connection: socket.socket, head: bytes) -> None:
        sent.append(head.split(b"\r\n", 1)[0].decode())
        connection.sendall(http_answer(b"{}"))

    app, pending = bytes(20), Pending(HASH, bytes(32), None, "token", None)
    with serving(answer) as url:
        cloud = PhalaCloud(f"{url}/api/v1", ApiKey("phak_of-nobody"), HttpClient(), pause=lambda _: None)
        calls: dict[str, Callable[[], object]] = {
            "nodes": cloud.nodes,
            "cvm": lambda: cloud.cvm("a"),
            "cvms_of": lambda: cloud.cvms_of(app),
            "apps_named": lambda: cloud.apps_named("a"),
            "env_key": lambda: cloud.env_key("a", app),
            "provision": lambda: cloud.provision({}),
            "commit": lambda: cloud.commit({}),
            "propose_update": lambda: cloud.propose_update("a", {}),
            "confirm_update": lambda: cloud.confirm_update("a", pending, HASH),
            "start": lambda: cloud.start("a"),
            "propose_replica": lambda: cloud.propose_replica("a", 1, HASH, None),
            "commit_replica": lambda: cloud.commit_replica("a", pending, HASH),
        }
        assert set(calls) == {name for name, _ in inspect.getmembers(PhalaCloud, inspect.isfunction) if name[0] != "_"}
        for call in calls.values():
            with contextlib.suppress(TwinproofError):
                call()
    assert len(sent) >= len(calls)
    assert {line.split(" ")[0] for line in sent} == {"GET", "POST", "PATCH"}
    assert not [line for line in sent if re.search("delete|stop|shutdown|restart", line)]
    assert target(cvm=cvm(OTHER)).action(HASH, first=False) is Action.UPDATE


def test_12_the_failed_machine_recorded_too(live: Live) -> None:
    release = Release(Version(1, 0, 0), "ab" * 20, HASH, "1-1")
    made = failed_record("prod7", release, Unavailable("no answer"), step="attest", at=AT)
    assert [row.standing for row in rows([made])] == [Standing.FAILED]
    assert "| - | - | Failed |" in render([made])
    with pytest.raises(Refused, match="what was not proved is not recorded"):
        live.record(verdict=live.verifier.verify(replace(live.verdict.evidence, statement="{}")))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_13_exit_codes_lost_in_pipes(script: Script, tmp_path: Path) -> None:
    """Whichever command of a step fails, in a pipe or not, the step fails; and a failed step fails its job."""
    good = script.run(tmp_path / "good")
    assert good.code == 0
    assert good.calls
    names = [call.split(" ")[0] for call in good.calls]
    for number, name in enumerate(names):
        bad = script.run(tmp_path / str(number), fails=f"{name} {names[: number + 1].count(name)}")
        assert bad.code == 7, good.calls[number]


def test_13_a_failed_job_keeps_what_it_has_and_does_nothing_else() -> None:
    for name, job in jobs():
        assert not [word for word in ("continue-on-error", "shell", "defaults") if word in job], name
        for step in job.get("steps", ()):
            assert "continue-on-error" not in step
            assert step.get("shell", "bash") == "bash"
            if re.search(r"always|failure|cancelled|success", str(step.get("if", ""))):
                assert step["uses"].startswith("actions/upload-artifact@")
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["defaults"] == {
            "run": {"shell": "bash"}
        }  # with pipefail


@pytest.mark.parametrize("image", ["example/app:latest", "example/app:1.2.3", "example/app:0123abc", "example/app"])
def test_14_an_image_named_by_a_tag_that_moves(image: str) -> None:
    good = render_compose(TEMPLATE, SETTINGS, image_digest=IMAGE, environment="production").text
    assert not check_app_compose(good, MACHINE_WORDS)
    document = json.loads(good)
    document["docker_compose_file"] = document["docker_compose_file"].replace(f"{SETTINGS.image}@{IMAGE}", image)
    assert check_app_compose(json.dumps(document), MACHINE_WORDS)
    with pytest.raises(UsageError, match="not an image digest"):
        render_compose(TEMPLATE, SETTINGS, image_digest=image.rpartition(":")[2], environment="production")


def test_15_the_time_of_the_row_is_when_somebody_wrote_it(live: Live) -> None:
    made = live.record()
    assert made.at == AT
    assert rows([made])[0].time == live.mined.block_time != made.at
    assert made.anchor is not None
    edited = replace(made, anchor=replace(made.anchor, block_time=made.at))
    assert live.findings(edited) == ["onchain.block_time"]


def test_16_the_hash_computed_from_what_is_checked_out_when_the_row_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The branch went on, and its compose file with it: the row has the hash that was attested."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    repository = toy_repository(tmp_path)
    repository.write("enclave/docker-compose.yml", "services: {}\n")
    repository.commit("feat: another compose file, after the deployment")
    repository.git("push", "-q", "origin", BRANCH)
    made = record()
    assert made.attested is not None
    git = Git(repository.top, repository.environment)
    commit = push_records(git, Change((Recorded(made),), NAMES, documents, "x"), remote="origin", branch=BRANCH)
    written = git.text_at(commit, "DEPLOYMENTS.md")
    assert written == render([made])
    assert made.attested.compose_hash.hex() in written


def test_17_skipped_because_some_other_digest_was_the_same() -> None:
    """Only the compose hash decides whether something is to be done, and then the instance is asked all the same.

    That it is asked is shown in tests/deploying/test_failures.py: a machine that the service calls up to date is not.
    """
    assert target(cvm=cvm(HASH)).action(HASH, first=False) is Action.KEEP
    assert target(cvm=cvm(HASH, "stopped")).action(HASH, first=False) is Action.START
    assert target(cvm=cvm(OTHER)).action(HASH, first=False) is Action.UPDATE


def test_18_a_command_line_of_others_whose_flags_change(tmp_path: Path) -> None:
    """No step runs it; that no deployment does is shown in tests/deploying/test_failures.py, with traps on the path."""
    ran = {call.split(" ")[0] for script in SCRIPTS for call in script.run(tmp_path / script.name).calls}
    assert ran == {"make", "docker", "printenv", "twinproof", "run"}


def test_19_secrets_on_the_command_line(tmp_path: Path) -> None:
    """No flag takes a key, a token or a value: only the name of a file or of a variable. No step does either."""
    named = [action for action in options(build_parser()) if action.option_strings]
    assert not [action for action in named if "-e" in action.option_strings or "--env" in action.option_strings]
    secret = re.compile("key|token|secret|password|env-file")
    takes = {option: action.metavar for action in named for option in action.option_strings if secret.search(option)}
    assert set(takes.values()) <= {"FILE", "NAME"}, takes
    kept: set[str] = set()
    for path in WORKFLOWS:
        for place, text in texts(yaml.safe_load(path.read_text(encoding="utf-8"))):
            if "secrets." in text:
                assert re.fullmatch(r"\$\{\{ secrets\.[A-Z_]+ \}\}", text), text
                assert place[-2] in ("env", "secrets"), place
                kept.add(place[-1])
    assert "DEPLOYER_PRIVATE_KEY" in kept
    for script in SCRIPTS:
        calls = "\n".join(script.run(tmp_path / script.name).calls)
        assert not [name for name in kept if secret_of(name) in calls], calls


def test_20_documents_that_claim_what_nobody_checked() -> None:
    claims = re.compile(r"\b(verified deployment|all .* on-chain|healthy|good|secure|proven)\b", re.IGNORECASE)
    assert not claims.search(INTRODUCTION)
    assert render([]).endswith("Nothing was deployed yet.\n")
    unasked = assess(record(), mined=None, verdict=None)
    assert not unasked.holds
    assert len(unasked.unchecked) == 2


def test_21_the_kms_linked_as_the_log_of_the_app() -> None:
    kms = bytes.fromhex("2f83172a49584c017f2b256f0fb2dca14126ba9c")
    with pytest.raises(Refused, match="the transaction did not allow this compose hash"):
        anchor_of(mined(kms, HASH), chain_id=8453, app_id=APP_ID, compose_hash=HASH)
    assert anchor_of(mined(APP_ID, HASH), chain_id=8453, app_id=APP_ID, compose_hash=HASH).log_index == 3
    assert "2f83172a" not in render([record()])


@pytest.mark.parametrize("kms", [None, KmsInfo("phala-prod7", None, None)])
def test_22_a_kms_that_asks_no_chain(kms: KmsInfo | None) -> None:
    with pytest.raises(Refused, match="the service offers no on-chain KMS"):
        check_kms(kms, name="prod9", chain_id=8453, contract=bytes(20))


def test_the_museum_has_one_room_for_each_of_them() -> None:
    rooms = dict.fromkeys(name[5:7] for name in globals() if re.match(r"test_\d\d_", name))
    assert list(rooms) == [f"{number:02}" for number in range(1, 23)]
