"""Provision, commit, replicas: a text is composed, waits for the chain, and becomes a CVM on a node."""

from __future__ import annotations

import secrets
from dataclasses import replace

from twinproof_devnet.cloud.app_text import changed, composed
from twinproof_devnet.cloud.body import Body
from twinproof_devnet.cloud.cvm import Cvm, Proposal, Resources
from twinproof_devnet.cloud.fleet import Fleet
from twinproof_devnet.cloud.node import Node
from twinproof_devnet.cloud.on_chain import OnChain
from twinproof_devnet.cloud.problems import Json, Problem, not_found, not_valid
from twinproof_devnet.faults import Fault
from twinproof_devnet.image import Image

__all__ = ["KEPT_SECONDS", "Deploying", "server_text"]

KEPT_SECONDS = 7 * 86_400
"""How long a provision may wait for its commit."""
_SERVERS_OWN = "#!/bin/sh\n# added by the server\n"


def server_text(text: str, faults: frozenset[Fault]) -> str:
    """The text as this server has it: as composed, unless it is a liar."""
    return changed(text, {"pre_launch_script": _SERVERS_OWN}) if Fault.REWRITTEN_HASH in faults else text


class Deploying:
    """Provisions are kept by compose hash; the newest of a hash counts."""

    def __init__(self, fleet: Fleet, on_chain: OnChain) -> None:
        self._fleet, self._on_chain = fleet, on_chain
        self._provisions: dict[str, Proposal] = {}
        self._replicas: dict[str, tuple[bytes, Proposal]] = {}

    def provision(self, body: Body) -> dict[str, Json]:
        name, app_id = body.text("name"), body.app_id("app_id")
        if body.text("kms").upper() not in {"BASE", ""} and not body.has("kms_id"):
            raise Problem(404, "this cloud has no such KMS: only BASE", code="ERR-02-011")
        node = self._node(body)
        if app_id is None and any(cvm.name == name for cvm in self._fleet.cvms):
            raise Problem(409, f"a CVM named {name} exists", code="ERR-01-004")
        image = body.text("image") or Image().name
        if image != Image().name:
            raise Problem(404, f"OS image {image} not found", code="ERR-02-010")
        faults = self._fleet.faults(node.name)
        text = server_text(composed(body.child("compose_file"), name), faults)
        proposal = self._proposal(body, text, node, name)
        self._provisions[proposal.compose_hash] = proposal
        answer: dict[str, Json] = {
            "app_id": app_id.hex() if app_id else None,
            "app_env_encrypt_pubkey": self._on_chain.env_public_key(app_id, faults)[0].hex() if app_id else None,
            "compose_hash": proposal.compose_hash,
            "kms_info": self._on_chain.kms_info(node),
            "fmspc": node.host.machine.fmspc.hex(),
            "device_id": node.claimed_device_id.hex(),
            "os_image_hash": Image().os_image_hash.hex(),
            "instance_type": proposal.resources.instance_type,
            "node_id": node.number,
            "kms_id": node.kms_slug,
        }
        return answer

    def _node(self, body: Body) -> Node:
        number = body.integer("teepod_id") or body.integer("node_id")
        kms = body.text("kms_id")
        if number is not None:
            return self._fleet.node(number)
        for node in self._fleet.nodes.values():
            if node.kms_slug == kms:
                return self._fleet.node(node.number)
        if kms:
            raise Problem(404, f"KMS {kms} not found", code="ERR-02-011")
        return self._fleet.free_node()

    def _proposal(self, body: Body, text: str, node: Node, name: str) -> Proposal:
        default = Resources()
        resources = Resources(
            body.text("instance_type") or default.instance_type,
            body.integer("vcpu") or default.vcpu,
            body.integer("memory") or default.memory,
            body.integer("disk_size") or default.disk,
        )
        if not name:
            raise not_valid("name", "missing")
        token, expires = secrets.token_urlsafe(24), self._fleet.clock() + KEPT_SECONDS
        return Proposal(text, None, token, expires, node, name, resources)

    def commit(self, body: Body) -> Cvm:
        """`POST /cvms`: the contract is there by now, and names the hash."""
        proposal = self._provisions.get(body.digest("compose_hash"))
        app_id = body.app_id("app_id") or body.app_id("app_auth_contract_address")
        if proposal is None or proposal.expires < self._fleet.clock():
            raise Problem(466, "the compose hash is unknown or has expired", code="ERR-01-006")
        if app_id is None:
            raise Problem(400, "an app on an on-chain KMS needs its contract", code="ERR-02-008")
        contract = body.app_id("contract_address")
        if contract not in {None, app_id}:
            raise Problem(400, "contract_address is not app_id", code="ERR-02-008")
        self._fleet.node(proposal.node.number)
        self._on_chain.require(app_id, proposal.compose_hash)
        proposal = replace(proposal, encrypted_env=body.hex("encrypted_env"))
        dropped = Fault.DROPPED_COMMIT in self._fleet.faults(proposal.node.name)
        deployer = body.app_id("deployer_address") or b""
        return self._fleet.create(proposal, app_id, deployer=deployer, kept=not dropped)

    def replicate(self, source: Cvm, body: Body, *, prepare_only: bool) -> Cvm:
        """One more instance of the app on another node: a CVM, or Problem 465 when the chain has to allow it first."""
        number = body.integer("node_id")
        if number is None:
            node = self._fleet.free_node(cvm.node for cvm in self._fleet.of_app(source.app_id))
        else:
            node = self._fleet.node(number)
        wanted = body.digest("compose_hash") or source.compose_hash
        text = self._fleet.texts(source.app_id).get(wanted)
        if text is None:
            raise Problem(466, "no instance of this app has had this compose hash", code="ERR-01-006")
        if body.has("docker_compose_file") or body.has("pre_launch_script"):
            names = ("docker_compose_file", "pre_launch_script")
            text = changed(text, {name: body.text(name) for name in names if body.has(name)})
        environment = body.hex("encrypted_env") if body.has("encrypted_env") else source.encrypted_env
        token, expires = secrets.token_urlsafe(24), self._fleet.clock() + KEPT_SECONDS
        text = server_text(text, self._fleet.faults(node.name))
        proposal = Proposal(text, environment, token, expires, node, source.name, source.resources)
        if not prepare_only and self._on_chain.allows(source.app_id, proposal.compose_hash, node):
            return self._fleet.create(proposal, source.app_id, deployer=source.deployer)
        self._replicas[token] = source.app_id, proposal
        raise self._on_chain.required(source.app_id, proposal, f"/cvms/{source.uuid}/commit-replica")

    def commit_replica(self, app_id: bytes, body: Body) -> Cvm:
        known, proposal = self._replicas.get(body.text("token"), (b"", None))
        if proposal is None or known != app_id:
            raise not_found("commit token", "ERR-01-006")
        given = body.digest("compose_hash") or proposal.compose_hash
        if given != proposal.compose_hash or proposal.expires < self._fleet.clock():
            raise Problem(466, "the compose hash is another one or has expired", code="ERR-01-006")
        self._fleet.node(proposal.node.number)
        self._on_chain.check_transaction(app_id, body.text("transaction_hash"))
        self._on_chain.require(app_id, proposal.compose_hash)
        del self._replicas[body.text("token")]
        dropped = Fault.DROPPED_COMMIT in self._fleet.faults(proposal.node.name)
        return self._fleet.create(proposal, app_id, kept=not dropped)
