"""Faults are switched on and off while the world runs: what they do not concern goes on as if nothing had happened."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from cryptography import x509

from twinproof_devnet.app_process import AppError, AppProcess
from twinproof_devnet.faults import Fault, FaultAt, Place
from twinproof_devnet.front import Front
from twinproof_devnet.loopback import Answer, LoopbackServer, Request
from twinproof_devnet.provision import Provisioned, provision
from twinproof_devnet.world import World

AT = 1_790_000_000
REBOOTING = sorted(fault for fault in Fault if fault.place in {Place.MACHINE, Place.VM})


@pytest.fixture(scope="module")
def honest() -> Provisioned:
    return provision(("prod9", "prod7"), (), clock=lambda: AT)


@pytest.mark.parametrize("fault", REBOOTING)
def test_a_fault_of_one_machine_leaves_the_other_alone(honest: Provisioned, fault: Fault) -> None:
    faulty = honest.switched([FaultAt(fault, "prod7")])
    assert faulty.vms["prod9"] is honest.vms["prod9"]
    assert faulty.vms["prod7"] is not honest.vms["prod7"]
    assert faulty.vms["prod7"].instance_id == honest.vms["prod7"].instance_id


@pytest.mark.parametrize("fault", REBOOTING)
def test_a_fault_that_is_switched_off_leaves_nothing_behind(honest: Provisioned, fault: Fault) -> None:
    before = honest.vms["prod7"]
    after = honest.switched([FaultAt(fault, "prod7")]).switched([]).vms["prod7"]
    assert after.boot == before.boot
    assert after.host.machine == before.host.machine
    assert after.host.pck.certificate.issuer == before.host.pck.certificate.issuer
    assert after.tcb_info() == before.tcb_info()


@pytest.mark.parametrize("fault", sorted(set(Fault) - set(REBOOTING)))
def test_other_faults_boot_nothing(honest: Provisioned, fault: Fault) -> None:
    assert honest.switched([FaultAt(fault)]).vms == honest.vms


def test_a_vm_that_poses_as_another_machine_follows_it(honest: Provisioned) -> None:
    posing = FaultAt(Fault.SAME_MACHINE_TWICE, "prod7")
    first = honest.switched([posing])
    second = first.switched([posing, FaultAt(Fault.TCB_OUT_OF_DATE, "prod9")])
    assert first.hosts["prod7"] is honest.hosts["prod9"]
    assert second.hosts["prod7"] is second.hosts["prod9"] is not honest.hosts["prod9"]


def echo(request: Request) -> Answer:
    if request.query("nonce") == "bad":
        return Answer(b"not JSON at all", status=400, content_type="text/plain")
    return Answer(json.dumps({"quote": "00" * 600, "target": request.target}).encode(), headers={"X-Own": "yes"})


@pytest.fixture(scope="module")
def gateway() -> Iterator[Front]:
    with closing(LoopbackServer(echo)) as server, closing(Front(server.url)) as front:
        yield front


def test_a_gateway_without_faults_passes_everything_unchanged(gateway: Front) -> None:
    gateway.switch(())
    with urllib.request.urlopen(f"{gateway.url}/attestation?nonce=%20x&nonce=y", timeout=10) as answer:
        assert json.load(answer)["target"] == "/attestation?nonce=%20x&nonce=y"
        assert answer.headers["X-Own"] == "yes"


def test_an_error_of_the_app_stays_the_apps_error(gateway: Front) -> None:
    gateway.switch([Fault.FORGED_QUOTE])
    with pytest.raises(urllib.error.HTTPError, match="400") as error:
        urllib.request.urlopen(f"{gateway.url}/attestation?nonce=bad", timeout=10)
    with error.value:
        assert error.value.read() == b"not JSON at all"


def test_faults_of_a_gateway_add_up(gateway: Front) -> None:
    gateway.switch([Fault.FORGED_QUOTE, Fault.DUPLICATE_KEYS])
    with urllib.request.urlopen(f"{gateway.url}/attestation", timeout=10) as answer:
        text = answer.read().decode()
    assert text.count('"schema"') == 1
    assert json.loads(text)["quote"] != "00" * 600


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9", "prod7")) as running:
        yield running


def attestation(world: World, name: str, nonce: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{world.instances[name].url}/attestation?nonce={nonce}", timeout=10) as answer:
        found: dict[str, str] = json.load(answer)
        return found


def nonce_of(document: dict[str, str]) -> object:
    return json.loads(document["statement"])["eat_nonce"]


def count(world: World, name: str, method: str = "GET") -> object:
    path = "signup" if method == "POST" else "signup-count"
    request = urllib.request.Request(f"{world.instances[name].url}/{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["count"]


def test_a_gateway_starts_to_lie_and_stops_at_the_same_address(world: World) -> None:
    url = world.instances["prod7"].url
    world.switch(Fault.REPLAYED_QUOTE, "prod7")
    replayed = [attestation(world, "prod7", nonce) for nonce in ("ab" * 32, "cd" * 32)]
    assert replayed[0] == replayed[1]
    assert nonce_of(attestation(world, "prod9", "ab" * 32)) == "ab" * 32
    world.switch(Fault.REPLAYED_QUOTE, "prod7", on=False)
    assert nonce_of(attestation(world, "prod7", "ab" * 32)) == "ab" * 32
    assert world.instances["prod7"].url == url
    assert world.faults == ()


def test_a_vm_boots_again_in_debug_mode_and_back_and_forgets_its_signups(world: World) -> None:
    instance = world.instances["prod7"]
    url, device = instance.url, instance.vm.host.device_id
    assert [count(world, name, "POST") for name in ("prod9", "prod7")] == [1, 1]
    world.switch(Fault.DEBUG_TD, "prod7")
    assert [count(world, name) for name in ("prod9", "prod7")] == [1, 0]
    attributes = bytes.fromhex(attestation(world, "prod7", "ab" * 32)["quote"])[48 + 120 : 48 + 128]
    assert attributes[0] == 1
    world.switch(Fault.DEBUG_TD, "prod7", on=False)
    attributes = bytes.fromhex(attestation(world, "prod7", "ab" * 32)["quote"])[48 + 120 : 48 + 128]
    assert attributes[0] == 0
    assert (instance.url, instance.vm.host.device_id) == (url, device)
    assert json.loads(urllib.request.urlopen(f"{instance.agent_url}/prpc/Info", timeout=10).read())["instance_id"]


def revoked(world: World) -> set[int]:
    url = f"{world.collateral_url}/sgx/certification/v4/pckcrl?ca=platform&encoding=der"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return {entry.serial_number for entry in x509.load_der_x509_crl(answer.read())}


def test_a_machine_is_revoked_and_reinstated_while_its_app_runs_on(world: World) -> None:
    app = world.instances["prod7"].app_url
    world.switch(Fault.REVOKED_PCK, "prod7")
    assert revoked(world) == {world.provisioned.hosts["prod7"].pck.serial}
    world.switch(Fault.REVOKED_PCK, "prod7", on=False)
    assert revoked(world) == set()
    assert world.instances["prod7"].app_url == app


def test_a_machine_that_there_is_not_cannot_be_switched(world: World) -> None:
    with pytest.raises(ValueError, match="there is no machine prod5"):
        world.switch(Fault.DEBUG_TD, "prod5")
    assert world.faults == ()


def test_an_app_that_does_not_come_up_again_leaves_an_honest_error_and_comes_up_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: AppProcess) -> None:
        raise AppError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr(AppProcess, "_wait_until_healthy", broken)
        with pytest.raises(AppError, match="no memory"):
            world.switch(Fault.DIFFERENT_IMAGE, "prod9")
    with pytest.raises(urllib.error.HTTPError, match="502") as error:
        attestation(world, "prod9", "ab" * 32)
    error.value.close()
    world.switch(Fault.DIFFERENT_IMAGE, "prod9", on=False)
    assert nonce_of(attestation(world, "prod9", "ab" * 32)) == "ab" * 32
