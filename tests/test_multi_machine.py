"""docs/MULTI-MACHINE.md, row by row: each situation is made on the devnet, and twinproof shows what the row says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cloud_client import CloudClient, Deployed, details, running_cloud
from twinproof_devnet.cloud.cvm import Cvm
from twinproof_devnet.faults import Fault
from twinproof_devnet.running_instance import Container

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "MULTI-MACHINE.md").read_text(encoding="utf-8")
FINAL = 8


@dataclass(frozen=True)
class Row:
    situation: str
    shown: tuple[str, ...]
    code: int


def rows() -> dict[str, Row]:
    table = DOCUMENT[DOCUMENT.index("| Situation |") : DOCUMENT.index("\n\nAfter each of them")]
    found = {}
    for line in table.splitlines()[2:]:
        situation, _, shown, code = (cell.strip() for cell in line.strip("|").split("|"))
        words = tuple(word for word in re.findall(r"`([^`]+)`", shown) if not word.startswith("twinproof "))
        found[situation] = Row(situation, words, int(code))
    return found


@dataclass
class Twins:
    """One app on prod9 and prod7, final on chain."""

    cloud: CloudClient
    app: Deployed
    directory: Path

    @property
    def second(self) -> Cvm:
        return self.cloud.world.fleet.of_app(self.app.app_id)[1]

    def settle(self) -> None:
        self.cloud.world.fleet.settle()

    def final(self) -> None:
        self.cloud.contracts.chain.mine(FINAL)

    def twinproof(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and everything that was said as one line."""
        world = self.cloud.world
        command = [sys.executable, "-m", "twinproof", *arguments, "--config", str(world.config_path)]
        environment = {"PATH": "/usr/bin", "HOME": str(self.directory), "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, env=environment)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def compare(self, *flags: str) -> tuple[int, str]:
        world = self.cloud.world
        urls = [cvm.instance.url for cvm in world.fleet.of_app(self.app.app_id)]
        return self.twinproof("compare", *urls, "--proof", "--trust-root", str(world.root_path), *flags)

    def upgrade(self) -> None:
        """prod7 only, allowed on chain."""
        self.cloud.upgrade(replace(self.app, uuid=self.second.uuid))

    def upgrade_first(self) -> None:
        """prod9, to what prod7 has."""
        body = {"docker_compose_file": self.cloud.compose("1.1.0")}
        assert self.cloud.call("PATCH", f"/cvms/{self.app.uuid}", body)[0] == 200
        self.settle()


@pytest.fixture(scope="module")
def cloud() -> Iterator[CloudClient]:
    with running_cloud(("prod9", "prod7")) as client:
        yield client


@pytest.fixture
def twins(cloud: CloudClient, tmp_path: Path) -> Iterator[Twins]:
    app = cloud.deploy()
    _, answer = cloud.call("POST", f"/cvms/{app.uuid}/replicas", {"node_id": cloud.world.nodes["prod7"].number})
    found = details(answer)
    cloud.app(app.app_id).add_device(cloud.world.nodes["prod7"].host.device_id)
    body = {"token": found["commit_token"], "compose_hash": "", "transaction_hash": "already-registered"}
    assert cloud.call("POST", f"/cvms/{app.uuid}/commit-replica", body)[0] == 200
    found_twins = Twins(cloud, app, tmp_path)
    found_twins.settle()
    yield found_twins
    for item in (*cloud.world.faults,):
        cloud.world.switch(item.fault, item.machine, on=False)
    cloud.world.switch(Fault.RPC_DOWN, None, on=False)
    found_twins.settle()
    for cvm in cloud.world.fleet.of_app(app.app_id):
        cloud.call("DELETE", f"/cvms/{cvm.uuid}")


def final(twins: Twins) -> None:
    twins.final()


def not_final(_: Twins) -> None:
    """Deployed a moment ago."""


def fault(found: Fault, where: str | None) -> Callable[[Twins], None]:
    def make(twins: Twins) -> None:
        twins.final()
        twins.cloud.world.switch(found, where)
        twins.settle()

    return make


def half(twins: Twins) -> None:
    twins.upgrade()
    twins.final()


def whole(twins: Twins) -> None:
    twins.upgrade()
    twins.upgrade_first()
    twins.final()


def other_shape(twins: Twins) -> None:
    twins.final()
    second = twins.second
    second.resources = replace(second.resources, vcpu=4, memory=8192)
    twins.cloud.world.fleet.boot(second, "restart")
    twins.settle()


def wrong_clock(twins: Twins) -> None:
    twins.final()
    instance = twins.second.instance
    assert instance.container.image is not None
    image = twins.directory / "image"
    shutil.copytree(instance.container.image, image)
    main = image / "toy_example" / "__main__.py"
    main.write_text(main.read_text().replace("int(time.time())", "int(time.time()) - 3600"))
    instance.boot(instance.vm, Container(image, instance.container.environment))


def device_removed(twins: Twins) -> None:
    twins.cloud.app(twins.app.app_id).remove_device(twins.cloud.world.nodes["prod7"].host.device_id)
    twins.final()


def reorganised(twins: Twins) -> None:
    twins.final()
    twins.upgrade()
    twins.upgrade_first()
    twins.cloud.contracts.chain.reorg(1, keep=False)
    twins.final()


SITUATIONS: dict[str, Callable[[Twins], None]] = {
    "all is well": final,
    "one machine down": fault(Fault.MACHINE_DOWN, "prod7"),
    "half an upgrade": half,
    "another shape of the VM, other node software": other_shape,
    "old firmware on one machine": fault(Fault.TCB_OUT_OF_DATE, "prod7"),
    "another OS image on one machine": fault(Fault.WRONG_IMAGE, "prod7"),
    "wrong clock on one machine": wrong_clock,
    "one machine poses as two": fault(Fault.SAME_MACHINE_TWICE, "prod7"),
    "device not allowed any more": device_removed,
    "the old hash is still allowed": whole,
    "KMS down": fault(Fault.KMS_DOWN, None),
    "chain down": fault(Fault.RPC_DOWN, None),
    "one endpoint of three down": fault(Fault.RPC_DOWN, "rpc1"),
    "not final yet": not_final,
    "reorganisation of the chain": reorganised,
}


def test_every_row_is_made_here() -> None:
    assert list(rows()) == list(SITUATIONS)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_twinproof_shows_what_the_row_says(twins: Twins, situation: str) -> None:
    row = rows()[situation]
    SITUATIONS[situation](twins)
    code, said = twins.compare()
    assert code == row.code, said
    for words in row.shown:
        assert words in said


def test_history_warns_that_the_old_hash_is_still_allowed(twins: Twins) -> None:
    whole(twins)
    for number, revision in enumerate(twins.second.revisions):
        (twins.directory / f"{number}.json").write_text(revision.text)
    ask = "history", twins.app.app_id.hex(), "--published", str(twins.directory)
    code, said = twins.twinproof(*ask)
    assert code == 0
    assert "superseded lately, still allowed" in said
    code, said = twins.twinproof(*ask, "--superseded-days", "0")
    assert code == 0
    assert "superseded but still allowed" in said


def test_a_chain_that_is_required_and_down_is_an_error(twins: Twins) -> None:
    fault(Fault.RPC_DOWN, None)(twins)
    assert twins.compare("--require", "chain")[0] == 5


def test_a_device_that_is_not_allowed_any_more_does_not_start_again(twins: Twins) -> None:
    device_removed(twins)
    twins.cloud.call("POST", f"/cvms/{twins.second.uuid}/restart")
    twins.settle()
    assert twins.cloud.status(twins.second.uuid)["boot_error"] == "Device not allowed"


def test_the_counter_is_each_instances_own_and_the_keys_are_all_the_same(twins: Twins) -> None:
    first, second = twins.cloud.world.fleet.of_app(twins.app.app_id)
    counted = [cvm.instance.vm.keys.get_key("signup-count", "", "").key for cvm in (first, second)]
    assert counted[0] == counted[1]
    assert first.instance_id != second.instance_id
