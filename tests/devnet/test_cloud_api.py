"""The cloud's API: who may ask, what it answers for each date, and which words it has for what it does not do."""

from __future__ import annotations

import hashlib
import json
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from eth_hash.auto import keccak
from eth_keys.datatypes import Signature

from cloud_client import CloudClient, details, running_cloud
from twinproof_devnet.cloud.deploying import KEPT_SECONDS
from twinproof_devnet.cloud.node import SLOTS
from twinproof_devnet.loopback import Answer, Request


@pytest.fixture(scope="module")
def cloud() -> Iterator[CloudClient]:
    with running_cloud() as client:
        yield client


def test_nobody_is_answered_without_the_key(cloud: CloudClient) -> None:
    assert cloud.call("GET", "/auth/me", X_API_Key="phak_guess") == (401, {"detail": "Invalid API key"})
    request = urllib.request.Request(f"{cloud.world.service.url}/teepods/available")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value as answer:
        assert answer.code == 401


def test_the_key_is_made_at_run_time_and_only_its_owner_reads_the_file(cloud: CloudClient) -> None:
    assert cloud.world.key_path.read_text() == cloud.world.key + "\n"
    assert stat.S_IMODE(cloud.world.key_path.stat().st_mode) == 0o600


def test_nodes_have_the_device_ids_of_the_machines(cloud: CloudClient) -> None:
    _, answer = cloud.call("GET", "/teepods/available")
    nodes = answer["nodes"]
    assert isinstance(nodes, list)
    assert {node["name"]: (node["teepod_id"], node["device_id"]) for node in nodes} == {
        name: (number, hashlib.sha256(cloud.world.nodes[name].host.machine.ppid).hexdigest())
        for name, number in (("prod5", 26), ("prod7", 12), ("prod9", 18))
    }


def test_the_compose_hash_is_that_of_the_servers_own_text(cloud: CloudClient) -> None:
    found = cloud.provision("prod9", name="another-name")
    text = {
        "allowed_envs": [],
        "docker_compose_file": cloud.compose("1.0.0"),
        "gateway_enabled": True,
        "key_provider": "kms",
        "key_provider_id": "",
        "kms_enabled": True,
        "manifest_version": 2,
        "name": "another-name",
        "no_instance_id": False,
        "public_logs": False,
        "public_sysinfo": False,
        "public_tcbinfo": True,
        "runner": "docker-compose",
        "secure_time": True,
    }
    raw = json.dumps(text, sort_keys=True, separators=(",", ":")).encode()
    assert found["compose_hash"] == hashlib.sha256(raw).hexdigest()
    assert "app_compose" not in found
    assert found["app_id"] is None


def test_a_name_in_the_compose_file_makes_the_hash_independent_of_the_cvms_name(cloud: CloudClient) -> None:
    named = {"name": "fixed", "docker_compose_file": cloud.compose("1.0.0"), "allowed_envs": []}
    hashes = {str(cloud.provision("prod9", name=name, compose_file=named)["compose_hash"]) for name in ("one", "two")}
    assert len(hashes) == 1


def test_the_environments_key_is_signed_by_the_kms_root(cloud: CloudClient) -> None:
    app_id = bytes(range(20))
    for written in (f"0x{app_id.hex().upper()}", app_id.hex(), f"app_{app_id.hex()}"):
        _, answer = cloud.call("GET", f"/kms/kms-base-prod9/pubkey/{written}")
        assert answer.keys() == {"public_key", "signature"}
        message = b"dstack-env-encrypt-pubkey:" + app_id + bytes.fromhex(str(answer["public_key"]))
        signer = Signature(bytes.fromhex(str(answer["signature"]))).recover_public_key_from_msg_hash(keccak(message))
        assert signer.to_compressed_bytes() == cloud.world.kms.root_public_key


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("GET", "/cvms/nobody", None, (404, "ERR-03-001")),
        ("GET", "/apps/app_" + "00" * 20, None, (404, "ERR-03-001")),
        ("GET", "/kms/kms-base-prod4", None, (404, "ERR-02-011")),
        ("POST", "/cvms", {"app_id": "00" * 20, "compose_hash": "00" * 32}, (466, "ERR-01-006")),
        ("POST", "/cvms/provision", {"name": "a", "teepod_id": 4, "kms": "BASE"}, (404, "ERR-01-001")),
        ("POST", "/cvms/provision", {"name": "a", "kms": "PHALA"}, (404, "ERR-02-011")),
        ("POST", "/cvms/provision", {"name": "a", "kms": "BASE", "image": "dstack-9"}, (404, "ERR-02-010")),
        (
            "POST",
            "/cvms/provision",
            {"name": "a", "kms": "BASE", "compose_file": {"docker_compose_file": " "}},
            (400, "ERR-01-002"),
        ),
        (
            "POST",
            "/cvms/provision",
            {"name": "a", "kms": "BASE", "compose_file": {"docker_compose_file": "a" * 204_801}},
            (400, "ERR-01-003"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_code(
    cloud: CloudClient, method: str, path: str, body: object, refusal: tuple[int, str]
) -> None:
    status, answer = cloud.call(method, path, body)
    assert (status, answer["error_code"]) == refusal


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], ""),
        ({"name": 4}, "name"),
        ({"name": "a", "compose_file": "text"}, "compose_file"),
        ({"name": "a", "teepod_id": "many"}, "teepod_id"),
        ({"name": "a", "app_id": "0x12"}, "app_id"),
        ({"name": "a", "compose_file": {"docker_compose_file": "services", "allowed_envs": [1]}}, "allowed_envs"),
    ],
)
def test_a_member_of_another_type_is_named(cloud: CloudClient, body: object, field: str) -> None:
    status, answer = cloud.call("POST", "/cvms/provision", body)
    assert status == 422
    items = answer["detail"]
    assert isinstance(items, list)
    assert items[0]["loc"] == ["body", field]


def test_unknown_paths_methods_and_dates_are_told_apart(cloud: CloudClient) -> None:
    assert cloud.call("GET", "/nothing")[0] == 404
    assert cloud.call("DELETE", "/auth/me")[0] == 405
    assert cloud.call("GET", "/auth/me", X_Phala_Version="2024-01-01")[0] == 400


def test_a_date_of_the_api_has_its_own_shape(cloud: CloudClient) -> None:
    uuid = cloud.deploy(name="shapes").uuid
    _, old = cloud.call("GET", f"/cvms/{uuid}", X_Phala_Version="2025-10-28")
    _, new = cloud.call("GET", f"/cvms/{uuid}", X_Phala_Version="2026-01-21")
    assert isinstance(old["id"], int)
    assert isinstance(new["id"], str)
    assert (old["vcpu"], new["resource"]) == (
        1,
        {"instance_type": "tdx.small", "vcpu": 1, "memory_in_gb": 2.0, "disk_in_gb": 20, "gpus": 0},
    )
    kms = old["kms_info"]
    assert isinstance(kms, dict)
    assert kms.keys() == {"id", "slug", "url", "version", "chain_id", "kms_contract_address", "gateway_app_id"}


def test_a_cvm_is_found_by_each_of_its_names(cloud: CloudClient) -> None:
    deployed = cloud.deploy(name="many-names")
    app, uuid = deployed.app_id.hex(), deployed.uuid
    dashed = f"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}"
    for name in (uuid, dashed, app, f"0x{app}", f"app_{app}", "many-names"):
        assert cloud.call("GET", f"/cvms/{name}")[1]["vm_uuid"] == uuid, name
    _, shown = cloud.call("GET", f"/cvms/{uuid}")
    assert cloud.call("GET", f"/cvms/instance_{shown['instance_id']}")[1]["vm_uuid"] == uuid


def test_the_apps_attestations_need_no_key_and_an_unknown_app_is_an_error_of_the_server(cloud: CloudClient) -> None:
    deployed = cloud.deploy(name="public")
    status, answer = cloud.call("GET", f"/apps/{deployed.app_id.hex()}/attestations", X_API_Key="")
    assert status == 200
    instances = answer["instances"]
    assert isinstance(instances, list)
    assert instances[0]["tcb_info"]["compose_hash"] == deployed.compose_hash
    assert cloud.call("GET", f"/apps/{'00' * 20}/attestations", X_API_Key="")[0] == 500


def test_the_attestation_holds_the_quote_over_the_certificates_key(cloud: CloudClient) -> None:
    deployed = cloud.deploy(name="certificates")
    _, answer = cloud.call("GET", f"/cvms/{deployed.uuid}/attestation")
    certificates, tcb_info = answer["app_certificates"], answer["tcb_info"]
    assert isinstance(certificates, list)
    assert isinstance(tcb_info, dict)
    assert [item["position_in_chain"] for item in certificates] == [0, 1, 2]
    quote = bytes.fromhex(certificates[0]["quote"])
    assert quote[48 + 472 : 48 + 520].hex() == tcb_info["rtmr3"]
    assert hashlib.sha256(str(tcb_info["app_compose"]).encode()).hexdigest() == deployed.compose_hash


def test_a_second_app_of_the_same_name_is_refused(cloud: CloudClient) -> None:
    cloud.deploy(name="taken")
    body = {"name": "taken", "kms": "BASE", "compose_file": {"docker_compose_file": cloud.compose("1.0.0")}}
    assert cloud.call("POST", "/cvms/provision", body)[1]["error_code"] == "ERR-01-004"


def test_a_full_node_takes_no_more(cloud: CloudClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud.world.fleet, "used_slots", lambda _: SLOTS)
    body = {"name": "late", "kms": "BASE", "compose_file": {"docker_compose_file": cloud.compose("1.0.0")}}
    assert cloud.call("POST", "/cvms/provision", body)[1]["error_code"] == "ERR-02-002"


def test_a_provision_waits_seven_days(cloud: CloudClient, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cloud.provision("prod9", name="slow")
    app_id = cloud.deploy_app(bytes(32), bytes.fromhex(str(found["compose_hash"])))
    monkeypatch.setattr(cloud.world.fleet, "clock", lambda: int(time.time()) + KEPT_SECONDS + 1)
    status, answer = cloud.call("POST", "/cvms", {"app_id": app_id.hex(), "compose_hash": found["compose_hash"]})
    assert (status, answer["error_code"]) == (466, "ERR-01-006")


def test_lists_come_in_pages(cloud: CloudClient) -> None:
    _, first = cloud.call("GET", "/workspaces/devnet/nodes?page=1&page_size=2")
    _, second = cloud.call("GET", "/workspaces/devnet/nodes?page=2&page_size=2")
    assert (first["total"], first["pages"]) == (3, 2)
    assert [len(page["items"]) for page in (first, second) if isinstance(page["items"], list)] == [2, 1]
    assert cloud.call("GET", "/workspaces/devnet/nodes?page=none")[0] == 422


def test_a_test_may_answer_instead_of_the_service(cloud: CloudClient) -> None:
    def interrupted(request: Request) -> Answer | None:
        return Answer(b'{"detail": "busy"}', status=429) if request.path.endswith("/auth/me") else None

    cloud.world.service.interruption = interrupted
    try:
        assert cloud.call("GET", "/auth/me") == (429, {"detail": "busy"})
        assert cloud.call("GET", "/os-images")[0] == 200
    finally:
        cloud.world.service.interruption = None


def test_a_refused_request_names_what_was_wrong_in_its_details(cloud: CloudClient) -> None:
    deployed = cloud.deploy(name="refused")
    found = cloud.propose(deployed.uuid)
    status, answer = cloud.confirm(deployed.uuid, str(found["compose_hash"]), "0x" + "11" * 32)
    assert status == 467
    assert details(answer) == {"transaction_hash": "0x" + "11" * 32}
