"""What the cloud runs: real instances that get keys only if the chain allows them, upgraded in place."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_client import CloudClient, Deployed, compose_file, details, get, running_cloud
from twinproof_devnet.faults import Fault

ALREADY = "already-registered"


@pytest.fixture(scope="module")
def cloud() -> Iterator[CloudClient]:
    with running_cloud() as client:
        yield client


@pytest.fixture
def deployed(cloud: CloudClient) -> Iterator[Deployed]:
    found = cloud.deploy(name=f"app-{secrets.token_hex(4)}")
    yield found
    for cvm in cloud.world.fleet.of_app(found.app_id):
        cloud.call("DELETE", f"/cvms/{cvm.uuid}")


def replicate(cloud: CloudClient, deployed: Deployed, machine: str, *, allow: bool = True) -> tuple[int, str]:
    """Status of the commit, and the new uuid."""
    node = cloud.world.nodes[machine].number
    status, answer = cloud.call("POST", f"/cvms/{deployed.uuid}/replicas", {"node_id": node})
    assert status == 465, answer
    found = details(answer)
    if allow:
        cloud.app(deployed.app_id).add_device(bytes.fromhex(str(found["device_id"])))
    body = {"token": found["commit_token"], "compose_hash": found["compose_hash"], "transaction_hash": ALREADY}
    status, answer = cloud.call("POST", f"/cvms/{deployed.uuid}/commit-replica", body)
    cloud.world.fleet.settle()
    return status, str(answer.get("vm_uuid"))


def key_of(cloud: CloudClient, uuid: str) -> bytes:
    return cloud.world.fleet.find(uuid).instance.vm.keys.get_key("a/path", "", "").key


def test_a_deployment_runs_the_image_that_its_compose_file_names(cloud: CloudClient, deployed: Deployed) -> None:
    version = get(f"{deployed.url}/version")
    assert (version["version"], version["composeHash"]) == ("1.0.0", deployed.compose_hash)
    assert cloud.status(deployed.uuid)["status"] == "running"


def test_an_upgrade_in_place_changes_the_code_and_keeps_keys_and_instance(
    cloud: CloudClient, deployed: Deployed
) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{deployed.url}/signup", method="POST"), timeout=10).close()
    before = cloud.world.fleet.find(deployed.uuid).instance.vm.instance_id, key_of(cloud, deployed.uuid)
    found = cloud.upgrade(deployed)
    version = get(f"{deployed.url}/version")
    assert (version["version"], version["composeHash"]) == ("1.1.0", found["compose_hash"])
    assert get(f"{deployed.url}/signup-count")["count"] == 0
    after = cloud.world.fleet.find(deployed.uuid).instance.vm.instance_id, key_of(cloud, deployed.uuid)
    assert after == before


def test_the_old_version_goes_on_until_the_chain_allows_the_new_one(cloud: CloudClient, deployed: Deployed) -> None:
    found = cloud.propose(deployed.uuid)
    compose_hash = str(found["compose_hash"])
    assert cloud.confirm(deployed.uuid, compose_hash, ALREADY)[1]["error_code"] == "ERR-01-008"
    assert get(f"{deployed.url}/version")["version"] == "1.0.0"
    unproposed = cloud.confirm(deployed.uuid, "00" * 32, ALREADY)
    assert (unproposed[0], unproposed[1]["error_code"]) == (466, "ERR-01-006")


def test_a_transaction_of_another_contract_does_not_confirm(cloud: CloudClient, deployed: Deployed) -> None:
    found = cloud.propose(deployed.uuid)
    other = cloud.deploy_app(bytes(32), bytes(32))
    transaction = cloud.app(other).allow(bytes.fromhex(str(found["compose_hash"]))).hash
    cloud.app(deployed.app_id).allow(bytes.fromhex(str(found["compose_hash"])))
    status, answer = cloud.confirm(deployed.uuid, str(found["compose_hash"]), f"0x{transaction.hex()}")
    assert (status, answer["error_code"]) == (467, "ERR-01-007")


def test_what_is_allowed_already_needs_no_confirmation(cloud: CloudClient, deployed: Deployed) -> None:
    cloud.upgrade(deployed)
    status, answer = cloud.call("PATCH", f"/cvms/{deployed.uuid}", {"docker_compose_file": cloud.compose("1.0.0")})
    assert (status, set(answer)) == (200, {"correlation_id"})
    cloud.world.fleet.settle()
    assert get(f"{deployed.url}/version")["version"] == "1.0.0"


def test_a_confirmation_may_be_repeated(cloud: CloudClient, deployed: Deployed) -> None:
    found = cloud.upgrade(deployed)
    before = cloud.world.fleet.find(deployed.uuid).instance.vm
    assert cloud.confirm(deployed.uuid, str(found["compose_hash"]), ALREADY)[0] == 200
    assert cloud.world.fleet.find(deployed.uuid).instance.vm is before


def test_an_owner_behind_a_multisig_confirms_later_with_the_token(cloud: CloudClient, deployed: Deployed) -> None:
    body = {"docker_compose_file": cloud.compose("1.1.0")}
    _, answer = cloud.call("PATCH", f"/cvms/{deployed.uuid}", body, X_Prepare_Only="true")
    found = details(answer)
    cloud.app(deployed.app_id).allow(bytes.fromhex(str(found["compose_hash"])))
    commit = {"token": found["commit_token"], "compose_hash": "", "transaction_hash": ""}
    assert cloud.call("POST", f"/cvms/{deployed.uuid}/commit-update", {**commit, "token": "other"})[0] == 466
    assert cloud.call("POST", f"/cvms/{deployed.uuid}/commit-update", commit)[0] == 200
    cloud.world.fleet.settle()
    assert get(f"{deployed.url}/version")["version"] == "1.1.0"


def test_a_replica_shares_app_id_hash_and_keys_and_has_its_own_instance_and_machine(
    cloud: CloudClient, deployed: Deployed
) -> None:
    status, uuid = replicate(cloud, deployed, "prod7")
    assert status == 200
    first, second = (cloud.world.fleet.find(item).instance.vm for item in (deployed.uuid, uuid))
    assert (first.app_id, first.compose_hash) == (second.app_id, second.compose_hash)
    assert key_of(cloud, uuid) == key_of(cloud, deployed.uuid)
    assert first.instance_id != second.instance_id
    assert first.host.device_id != second.host.device_id


def test_a_device_that_the_contract_does_not_allow_gets_no_keys(cloud: CloudClient, deployed: Deployed) -> None:
    status, uuid = replicate(cloud, deployed, "prod7", allow=False)
    assert status == 200
    assert (cloud.status(uuid)["status"], cloud.status(uuid)["boot_error"]) == ("error", "Device not allowed")
    assert cloud.call("GET", f"/cvms/{uuid}/attestation")[1]["is_online"] is False


def test_a_hash_that_is_no_longer_allowed_does_not_boot_again(cloud: CloudClient, deployed: Deployed) -> None:
    cloud.app(deployed.app_id).remove(bytes.fromhex(deployed.compose_hash))
    assert get(f"{deployed.url}/health") == {"status": "ok"}  # what runs has its keys
    cloud.call("POST", f"/cvms/{deployed.uuid}/restart")
    cloud.world.fleet.settle()
    assert cloud.status(deployed.uuid)["boot_error"] == "Compose hash not allowed"
    with pytest.raises(urllib.error.HTTPError, match="502"):
        get(f"{deployed.url}/health")


def test_an_image_that_nobody_pushed_leaves_the_vm_up_and_its_app_down(cloud: CloudClient) -> None:
    text = compose_file(f"registry.invalid/unknown@sha256:{'00' * 32}")
    unknown = cloud.deploy(name="unknown", compose_file={"name": "", "docker_compose_file": text, "allowed_envs": []})
    assert cloud.call("GET", f"/cvms/{unknown.uuid}/attestation")[1]["is_online"] is True
    with pytest.raises(urllib.error.HTTPError, match="502"):
        get(f"{unknown.url}/health")


def encrypted(cloud: CloudClient, app_id: bytes, variables: dict[str, str]) -> str:
    _, answer = cloud.call("GET", f"/kms/kms-base-prod9/pubkey/{app_id.hex()}")
    own, nonce = X25519PrivateKey.generate(), secrets.token_bytes(12)
    shared = own.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(str(answer["public_key"]))))
    plain = json.dumps({"env": [{"key": key, "value": value} for key, value in variables.items()]}).encode()
    public = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return (public + nonce + AESGCM(shared).encrypt(nonce, plain, None)).hex()


def test_a_secret_reaches_the_container_only_under_an_allowed_name(cloud: CloudClient, deployed: Deployed) -> None:
    text = cloud.compose("1.1.0") + "      TOKEN: ${TOKEN}\n      OTHER: ${OTHER}\n"
    body = {
        "docker_compose_file": text,
        "allowed_envs": ["TOKEN"],
        "encrypted_env": encrypted(cloud, deployed.app_id, {"TOKEN": "a secret", "OTHER": "not this"}),
    }
    _, answer = cloud.call("PATCH", f"/cvms/{deployed.uuid}", body)
    compose_hash = str(details(answer)["compose_hash"])
    cloud.app(deployed.app_id).allow(bytes.fromhex(compose_hash))
    assert cloud.confirm(deployed.uuid, compose_hash, ALREADY)[0] == 200
    environment = cloud.world.fleet.find(deployed.uuid).instance.container.environment
    assert environment == {"ENVIRONMENT": "devnet", "TOKEN": "a secret", "OTHER": ""}


def test_a_secret_for_another_app_is_no_secret_for_this_one(cloud: CloudClient, deployed: Deployed) -> None:
    body = {"encrypted_env": encrypted(cloud, bytes(20), {"TOKEN": "a secret"})}
    assert cloud.call("PATCH", f"/cvms/{deployed.uuid}", body)[0] == 200
    cloud.world.fleet.settle()
    assert cloud.status(deployed.uuid)["boot_error"] == "the encrypted environment cannot be decrypted"


@pytest.fixture
def fault(cloud: CloudClient, request: pytest.FixtureRequest) -> Iterator[Fault]:
    """On at prod9 while the test runs."""
    found = Fault(request.param)
    yield found
    cloud.world.switch(found, "prod9", on=False)
    cloud.world.fleet.settle()


@pytest.mark.parametrize("fault", ["stale_status"], indirect=True)
def test_a_stale_status_tells_the_new_hash_while_the_old_version_goes_on(
    cloud: CloudClient, deployed: Deployed, fault: Fault
) -> None:
    cloud.world.switch(fault, "prod9")
    cloud.world.fleet.settle()
    found = cloud.upgrade(deployed)
    _, shown = cloud.call("GET", f"/cvms/{deployed.uuid}")
    assert (shown["status"], shown["compose_hash"]) == ("running", found["compose_hash"])
    assert get(f"{deployed.url}/version")["composeHash"] == deployed.compose_hash


@pytest.mark.parametrize("fault", ["rewritten_hash"], indirect=True)
def test_a_rewritten_hash_is_that_of_another_text(cloud: CloudClient, fault: Fault) -> None:
    honest = cloud.provision("prod9", name="rewritten")["compose_hash"]
    cloud.world.switch(fault, "prod9")
    assert cloud.provision("prod9", name="rewritten")["compose_hash"] != honest
    assert cloud.provision("prod7", name="rewritten")["compose_hash"] == honest


@pytest.mark.parametrize("fault", ["wrong_device_id"], indirect=True)
def test_a_wrong_device_id_is_allowed_in_vain(cloud: CloudClient, fault: Fault) -> None:
    cloud.world.switch(fault, "prod9")
    misled = cloud.deploy(name="misled")
    assert cloud.status(misled.uuid)["boot_error"] == "Device not allowed"


@pytest.mark.parametrize("fault", ["dropped_commit"], indirect=True)
def test_a_dropped_commit_is_answered_as_done(cloud: CloudClient, deployed: Deployed, fault: Fault) -> None:
    cloud.world.switch(fault, "prod9")
    cloud.upgrade(deployed)
    assert get(f"{deployed.url}/version")["version"] == "1.0.0"
    dropped = cloud.deploy(name="dropped")
    assert cloud.call("GET", f"/cvms/{dropped.uuid}")[0] == 404


@pytest.mark.parametrize("fault", ["lost_answer"], indirect=True)
def test_a_lost_answer_is_lost_after_it_was_done(cloud: CloudClient, fault: Fault) -> None:
    cloud.world.switch(fault, "prod9")
    with pytest.raises(OSError, match=r"closed|reset"):
        cloud.deploy(name="lost")
    cloud.world.fleet.settle()
    assert cloud.call("GET", "/cvms/lost")[1]["status"] == "running"


@pytest.mark.parametrize("fault", ["machine_down"], indirect=True)
def test_a_machine_that_is_down_takes_its_instances_with_it(
    cloud: CloudClient, deployed: Deployed, fault: Fault
) -> None:
    cloud.world.switch(fault, "prod9")
    cloud.world.fleet.settle()
    assert cloud.status(deployed.uuid)["status"] == "stopped"
    _, answer = cloud.call("PATCH", f"/cvms/{deployed.uuid}", {"docker_compose_file": cloud.compose("1.1.0")})
    assert answer["error_code"] == "ERR-02-012"
    with pytest.raises(urllib.error.HTTPError, match="502"):
        get(f"{deployed.url}/health")
    cloud.world.switch(fault, "prod9", on=False)
    cloud.world.fleet.settle()
    assert get(f"{deployed.url}/health") == {"status": "ok"}


@pytest.mark.parametrize("fault", ["wrong_image"], indirect=True)
def test_an_image_that_the_kms_contract_does_not_allow_gets_no_keys(
    cloud: CloudClient, deployed: Deployed, fault: Fault
) -> None:
    cloud.world.switch(fault, "prod9")
    cloud.world.fleet.settle()
    assert cloud.status(deployed.uuid)["boot_error"] == "OS image is not allowed"


@pytest.mark.parametrize("fault", ["kms_down"], indirect=True)
def test_without_the_kms_nothing_starts_and_what_runs_goes_on(
    cloud: CloudClient, deployed: Deployed, fault: Fault
) -> None:
    cloud.world.switch(fault, "prod9")
    cloud.world.fleet.settle()
    assert get(f"{deployed.url}/health") == {"status": "ok"}
    assert cloud.call("GET", f"/kms/kms-base-prod9/pubkey/{deployed.app_id.hex()}")[0] == 503
    cloud.call("POST", f"/cvms/{deployed.uuid}/restart")
    cloud.world.fleet.settle()
    assert cloud.status(deployed.uuid)["boot_error"] == "the KMS does not answer"


@pytest.mark.parametrize("fault", ["foreign_env_key"], indirect=True)
def test_a_foreign_key_for_secrets_is_not_the_one_that_was_signed(
    cloud: CloudClient, deployed: Deployed, fault: Fault
) -> None:
    path = f"/kms/kms-base-prod9/pubkey/{deployed.app_id.hex()}"
    honest = cloud.call("GET", path)[1]
    cloud.world.switch(fault, "prod9")
    foreign = cloud.call("GET", path)[1]
    assert foreign["signature"] == honest["signature"]
    assert foreign["public_key"] != honest["public_key"]


@pytest.mark.parametrize("fault", ["different_compose"], indirect=True)
def test_another_compose_file_than_the_one_that_was_allowed_gets_no_keys(
    cloud: CloudClient, deployed: Deployed, fault: Fault
) -> None:
    cloud.world.switch(fault, "prod9")
    cloud.world.fleet.settle()
    assert cloud.status(deployed.uuid)["boot_error"] == "Compose hash not allowed"


@pytest.mark.parametrize("fault", ["stale_nonce"], indirect=True)
def test_faults_between_the_app_and_its_users_work_here_too(
    cloud: CloudClient, deployed: Deployed, fault: Fault
) -> None:
    cloud.world.switch(fault, "prod9")
    statement = json.loads(str(get(f"{deployed.url}/attestation?nonce={'ab' * 32}")["statement"]))
    assert statement["eat_nonce"] != "ab" * 32


def test_a_fault_at_a_machine_that_there_is_not_is_refused(cloud: CloudClient) -> None:
    with pytest.raises(ValueError, match="there is no machine prod1"):
        cloud.world.switch(Fault.MACHINE_DOWN, "prod1")
