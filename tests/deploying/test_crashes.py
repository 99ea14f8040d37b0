"""A deployer that dies at any moment and is run again: one contract, both machines, the right end state.

It dies at every request that changes something, just before it is sent and just after it was done: what was on disk by
then is what the next attempt has (machines do not really boot there). Afterwards, for real, by SIGKILL.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy_world import MACHINES, QUICK, DeployWorld, deploy_world
from twinproof.deployments.brief import Brief
from twinproof.deployments.facts import Release
from twinproof.deployments.journal import Journal
from twinproof.policy import Machine
from twinproof.release.app_compose import render
from twinproof.release.compose_settings import ComposeSettings
from twinproof.release.versions import Version
from twinproof.sources.chain_writer import ChainWriter
from twinproof.sources.deploy_journal import journal_file
from twinproof.sources.deployer import Deployer
from twinproof.sources.http import Fetched, HttpClient
from twinproof.sources.phala_cloud import ApiKey, PhalaCloud
from twinproof.sources.planned_transaction import Limits
from twinproof.sources.registrar import Registrar
from twinproof.sources.rpc import endpoints_of
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.signing_key import key_from_file
from twinproof_devnet.chain.abi import topic
from twinproof_devnet.cloud.cvm import Cvm

ADDED = topic("DeviceAdded(bytes32)")
TEMPLATE = (
    "services:\n  app:\n    image: IMAGE_REFERENCE\n    environment:\n      ENVIRONMENT: DEPLOYMENT_ENVIRONMENT\n"
)


class Killed(BaseException):
    """What comes of the process at that moment; nothing catches it."""


class MortalHttp(HttpClient):
    """Dies at the `deadly`-th request that changes something: before it is sent, or after it was done."""

    def __init__(self, deadly: int, *, after: bool) -> None:
        super().__init__()
        self._deadly, self._after, self._writes, self._guard = deadly, after, 0, threading.Lock()

    def _turn(self, *, writes: bool) -> bool:
        with self._guard:
            self._writes += writes
            if self._writes > self._deadly or (self._writes == self._deadly and not self._after and writes):
                raise Killed
            return self._writes == self._deadly and writes

    def send(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], max_bytes: int) -> Fetched:
        last = self._turn(writes=method != "GET")
        answer = super().send(method, url, body=body, headers=headers, max_bytes=max_bytes)
        if last:
            raise Killed
        return answer

    def post(self, url: str, body: bytes, *, max_bytes: int) -> Fetched:
        last = self._turn(writes=b"eth_sendRawTransaction" in body)
        answer = super().post(url, body, max_bytes=max_bytes)
        if last:
            raise Killed
        return answer


def _shortly(_: float) -> None:
    time.sleep(0.01)


@dataclass(frozen=True)
class App:
    """An app of its own name on the shared world."""

    world: DeployWorld
    name: str
    journal: Path

    def attempt(self, http: HttpClient, image: str) -> bytes:
        """Plan and run once; the app id."""
        world = self.world
        settings = ComposeSettings(file="compose", image="ghcr.io/example/toy-example", name=self.name)
        rendered = render(TEMPLATE, settings, image_digest=image, environment="devnet")
        nodes = world.cloud.nodes
        brief = Brief(
            release=Release(Version(1, 0, 0), "ab" * 20, rendered.compose_hash, "1-1"),
            name=self.name,
            document=json.loads(rendered.text),
            machines=tuple(Machine(name, device_id=nodes[name].host.device_id) for name in MACHINES),
        )
        registrar = self.registrar(http)
        cloud = PhalaCloud(world.cloud.service.url, ApiKey(world.cloud.key), http, pause=_shortly)
        with journal_file(self.journal, Journal(self.name, rendered.compose_hash, registrar.chain_id)) as journal:
            deployer = Deployer(cloud, registrar, journal, brief)
            app_id, changed = deployer.run(deployer.plan(None))
        for result in changed.values():
            if isinstance(result, Exception):
                raise result
        world.cloud.fleet.settle()
        return app_id

    def registrar(self, http: HttpClient) -> Registrar:
        key = self.world.directory / "owner.key"
        self.world.owner.write(key)
        writer = ChainWriter(Quorum(endpoints_of((self.world.chain.url,), http), 1), limits=Limits(timeout=20))
        return Registrar(writer, key_from_file(str(key)), kms=self.world.kms.address, pause=_shortly)

    def dies(self, image: str, deadly: int, *, after: bool) -> None:
        with pytest.raises(Killed):
            self.attempt(MortalHttp(deadly, after=after), image)
        self.world.cloud.fleet.settle()

    @property
    def cvms(self) -> list[Cvm]:
        return [cvm for cvm in self.world.cloud.fleet.cvms if cvm.name == self.name]

    def check(self, app_id: bytes) -> None:
        """The right end state."""
        assert sorted(cvm.node.name for cvm in self.cvms) == ["prod7", "prod9"]
        assert {cvm.app_id for cvm in self.cvms} == {app_id}
        assert {cvm.status.name for cvm in self.cvms} == {"running"}, [cvm.status for cvm in self.cvms]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    with deploy_world(tmp_path_factory.mktemp("crash")) as world:
        for version in ("1.1.0", "1.2.0"):
            world.release(version)
        yield world


@pytest.fixture
def app(world: DeployWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setattr(world.cloud.fleet.bootloader, "boot", lambda _: None)
    made = App(world, f"app-{secrets.token_hex(4)}", tmp_path / "journal.json")
    yield made
    for cvm in made.cvms:
        world.cloud.fleet.delete(cvm)


FIRST_DEPLOYMENT = 8
"""Requests that change or may change something: two proposals, contract, device, proposal, commit, proposal, commit."""
UPGRADE = 7
"""Two proposals, the hash, then for each machine a proposal and its confirmation."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("deadly", range(1, FIRST_DEPLOYMENT + 1))
def test_killed_at_any_request_of_a_first_deployment_there_is_one_contract(
    world: DeployWorld, app: App, deadly: int, after: bool
) -> None:
    contracts = world.contracts()
    app.dies(world.digests["1.1.0"], deadly, after=after)
    app.check(app.attempt(HttpClient(), world.digests["1.1.0"]))
    assert world.contracts() == contracts + 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("deadly", range(1, UPGRADE + 1))
def test_killed_at_any_request_of_an_upgrade_both_machines_get_there(
    world: DeployWorld, app: App, deadly: int, after: bool
) -> None:
    first = app.attempt(HttpClient(), world.digests["1.1.0"])
    old = {cvm.compose_hash for cvm in app.cvms}
    second = App(world, app.name, app.journal.with_name("second.json"))
    second.dies(world.digests["1.2.0"], deadly, after=after)
    assert second.attempt(HttpClient(), world.digests["1.2.0"]) == first
    app.check(first)
    assert len({cvm.compose_hash for cvm in app.cvms}) == 1
    assert {cvm.compose_hash for cvm in app.cvms} != old


def test_no_request_is_left_out_of_the_count(world: DeployWorld, app: App) -> None:
    """One more than there are: nobody dies."""
    app.attempt(MortalHttp(FIRST_DEPLOYMENT + 1, after=False), world.digests["1.1.0"])
    second = App(world, app.name, app.journal.with_name("second.json"))
    second.attempt(MortalHttp(UPGRADE + 1, after=False), world.digests["1.2.0"])


def test_a_contract_whose_journal_was_lost_is_found_on_chain(world: DeployWorld, app: App) -> None:
    contracts = world.contracts()
    app.dies(world.digests["1.1.0"], 4, after=False)  # the contract is there, no CVM
    app.journal.unlink()
    app.check(app.attempt(HttpClient(), world.digests["1.1.0"]))
    assert world.contracts() == contracts + 1


def test_a_signed_transaction_that_was_never_sent_is_sent_as_it_is(world: DeployWorld, app: App) -> None:
    app.dies(world.digests["1.1.0"], 3, after=False)
    kept = json.loads(app.journal.read_text())["transactions"]["contract"]["raw"]
    app.attempt(HttpClient(), world.digests["1.1.0"])
    assert json.loads(app.journal.read_text())["transactions"]["contract"]["raw"] == kept


def test_a_transaction_that_was_replaced_is_made_anew(world: DeployWorld, app: App) -> None:
    contracts = world.contracts()
    app.dies(world.digests["1.1.0"], 3, after=False)
    world.chain.transact(world.owner, world.owner.address, b"")  # takes its nonce
    app.check(app.attempt(HttpClient(), world.digests["1.1.0"]))
    assert world.contracts() == contracts + 1


def test_what_was_sent_last_is_the_second_machines_device_and_not_the_log_of_the_hash(
    world: DeployWorld, app: App
) -> None:
    app_id = app.attempt(HttpClient(), world.digests["1.1.0"])
    device = world.cloud.nodes[MACHINES[1]].host.device_id
    registrar, compose_hash = app.registrar(HttpClient()), bytes.fromhex(app.cvms[0].compose_hash)
    with journal_file(app.journal, Journal(app.name, compose_hash, registrar.chain_id)) as journal:
        last = registrar.last_sent_block(journal)
        logged = registrar.anchor(journal, app_id, compose_hash).receipt.block_number
    block = world.chain.ledger.block(last)
    assert block is not None
    assert [log.data for receipt in block.receipts for log in receipt.logs if log.topics[0] == ADDED] == [device]
    assert last > logged


WORDS = ("deploying the app's contract", "prod9:   app id", "created", "waiting until it attests")


@pytest.mark.parametrize("number", range(len(WORDS)), ids=WORDS)
def test_sigkill_in_the_middle_of_the_command_and_again(world: DeployWorld, number: int) -> None:
    """The real process, killed when it says this word; the command is the same the second time."""
    version = f"2.0.{number}"
    world.release(version)
    contracts = world.contracts()
    arguments = ["--tag", f"v{version}", "--image-digest", world.digests[version], "--machines", ",".join(MACHINES)]
    command = world.command("deploy", "--json", *arguments, *QUICK)
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=world.repository.top,
        env=world.environment,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if WORDS[number] in line:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait(30)
        assert process.returncode == -signal.SIGKILL
    world.cloud.fleet.settle()
    assert world.deploy(version).attested == {"prod9": True, "prod7": True}
    assert world.contracts() == contracts + 1
    for cvm in [cvm for cvm in world.cloud.fleet.cvms if cvm.name == "toy-example"]:
        world.cloud.fleet.delete(cvm)
