"""A cloud, its owner on the chain, and the requests that a client sends to it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from twinproof_devnet.chain.governance import AppContract
from twinproof_devnet.cloud.world import CloudWorld

__all__ = ["CloudClient", "Deployed", "compose_file", "running_cloud"]

GIT_SHA = "ab" * 20
BUILD_TIME = "2026-11-01T00:00:00Z"
Members = dict[str, object]


def compose_file(image: str) -> str:
    """A docker compose file of the toy example."""
    return f"services:\n  app:\n    image: {image}\n    environment:\n      ENVIRONMENT: devnet\n"


@dataclass(frozen=True)
class Deployed:
    app_id: bytes
    uuid: str
    url: str
    compose_hash: str


class CloudClient:
    """Speaks to a world's API as a person with the key would."""

    def __init__(self, world: CloudWorld) -> None:
        self.world, self.contracts = world, world.contracts
        self.versions = {
            version: world.registry.push(git_sha=GIT_SHA, build_time=BUILD_TIME, version=version)
            for version in ("1.0.0", "1.1.0")
        }

    def deploy_app(self, device_id: bytes, compose_hash: bytes) -> bytes:
        """The id of a new app of the world's owner."""
        kms, owner = self.contracts.kms, self.world.owner
        return kms.deploy_app(owner, device_id=device_id, compose_hash=compose_hash).address

    def app(self, app_id: bytes) -> AppContract:
        """What its owner may do with it."""
        return AppContract(self.contracts.chain, app_id, self.world.owner)

    def compose(self, version: str) -> str:
        return compose_file(f"registry.invalid/toy-example@{self.versions[version]}")

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Members]:
        """Status and body. Underscores in the headers' names stand for hyphens."""
        sent = {"X-API-Key": self.world.key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.world.service.url + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                found = json.loads(answer.read() or b"{}")
                return answer.status, found
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def provision(self, machine: str, **changes: object) -> Members:
        """What it answers; it has to succeed."""
        body = {
            "teepod_id": self.world.nodes[machine].number,
            "name": "toy-example",
            "kms": "BASE",
            "compose_file": {"name": "", "docker_compose_file": self.compose("1.0.0"), "allowed_envs": []},
            **changes,
        }
        status, answer = self.call("POST", "/cvms/provision", body)
        assert status == 200, answer
        return answer

    def deploy(self, machine: str = "prod9", **changes: object) -> Deployed:
        """Version 1.0.0 on a new contract, up and running unless a fault forbids it."""
        found = self.provision(machine, **changes)
        compose_hash = str(found["compose_hash"])
        app_id = self.deploy_app(bytes.fromhex(str(found["device_id"])), bytes.fromhex(compose_hash))
        status, cvm = self.call("POST", "/cvms", {"app_id": f"0x{app_id.hex()}", "compose_hash": compose_hash})
        assert status == 200, cvm
        self.world.fleet.settle()
        urls = cvm["public_urls"]
        assert isinstance(urls, list)
        return Deployed(app_id, str(cvm["vm_uuid"]), urls[0]["instance"], compose_hash)

    def propose(self, uuid: str, version: str = "1.1.0") -> Members:
        """The details of the 465, by their names."""
        status, answer = self.call("PATCH", f"/cvms/{uuid}", {"docker_compose_file": self.compose(version)})
        assert status == 465, answer
        return details(answer)

    def confirm(self, uuid: str, compose_hash: str, transaction: str) -> tuple[int, Members]:
        answer = self.call("PATCH", f"/cvms/{uuid}", {}, X_Compose_Hash=compose_hash, X_Transaction_Hash=transaction)
        self.world.fleet.settle()
        return answer

    def upgrade(self, deployed: Deployed) -> Members:
        """To version 1.1.0, allowed on chain. The details of the 465."""
        found = self.propose(deployed.uuid)
        transaction = self.app(deployed.app_id).allow(bytes.fromhex(str(found["compose_hash"]))).hash
        status, answer = self.confirm(deployed.uuid, str(found["compose_hash"]), f"0x{transaction.hex()}")
        assert status == 200, answer
        return found

    def status(self, uuid: str) -> Members:
        _, answer = self.call("POST", "/status/batch", {"vm_uuids": [uuid]})
        found = answer[uuid]
        assert isinstance(found, dict)
        return found


def details(answer: Mapping[str, object]) -> Members:
    """Of a structured answer, by field."""
    items = answer["details"]
    assert isinstance(items, list)
    return {str(item["field"]): item["value"] for item in items}


def get(url: str) -> Members:
    """JSON from an instance."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        found: Members = json.load(answer)
        return found


@contextmanager
def running_cloud(machines: tuple[str, ...] = ("prod5", "prod7", "prod9")) -> Iterator[CloudClient]:
    with CloudWorld.start(machines) as world:
        yield CloudClient(world)
