"""An update in place: proposed (465), allowed on chain by the owner, confirmed with the transaction (2xx, 466-468)."""

from __future__ import annotations

import secrets
from dataclasses import replace

from twinproof_devnet.cloud.app_text import CHANGEABLE, changed
from twinproof_devnet.cloud.body import Body
from twinproof_devnet.cloud.cvm import Cvm, Proposal
from twinproof_devnet.cloud.deploying import KEPT_SECONDS, server_text
from twinproof_devnet.cloud.fleet import Fleet
from twinproof_devnet.cloud.on_chain import OnChain
from twinproof_devnet.cloud.problems import Problem
from twinproof_devnet.faults import Fault

__all__ = ["Updating"]


class Updating:
    """The body of a confirmation is empty: what was proposed is remembered here, by CVM and compose hash."""

    def __init__(self, fleet: Fleet, on_chain: OnChain) -> None:
        self._fleet, self._on_chain = fleet, on_chain

    def propose(self, cvm: Cvm, body: Body, *, prepare_only: bool) -> str:
        """The correlation id when nothing is needed on chain; otherwise raises Problem 465."""
        self._ready(cvm)
        changes = {name: value for name, value in body.members.items() if name in CHANGEABLE}
        text = changed(cvm.text, changes)
        if changes and text != cvm.text:
            text = server_text(text, self._fleet.faults(cvm.node.name))
        resources = replace(
            cvm.resources,
            vcpu=body.integer("vcpu") or cvm.resources.vcpu,
            memory=body.integer("memory") or cvm.resources.memory,
            disk=body.integer("disk_size") or cvm.resources.disk,
        )
        environment = body.hex("encrypted_env") if body.has("encrypted_env") else None
        token, expires = secrets.token_urlsafe(24), self._fleet.clock() + KEPT_SECONDS
        proposal = Proposal(text, environment, token, expires, cvm.node, cvm.name, resources)
        if not prepare_only and self._on_chain.allows(cvm.app_id, proposal.compose_hash, cvm.node):
            same = (text, resources, environment) == (cvm.text, cvm.resources, None)
            return cvm.status.correlation_id if same else self._apply(cvm, proposal)
        cvm.proposals[proposal.compose_hash] = proposal
        raise self._on_chain.required(cvm.app_id, proposal, f"/cvms/{cvm.uuid}/commit-update")

    def confirm(self, cvm: Cvm, compose_hash: str, transaction: str) -> str:
        """The correlation id. What runs already may be confirmed again. Raises Problem 466, 467 or 468."""
        proposal = cvm.proposals.get(compose_hash.removeprefix("0x").lower())
        if proposal is None and compose_hash == cvm.compose_hash:
            return cvm.status.correlation_id
        if proposal is None or proposal.expires < self._fleet.clock():
            raise Problem(466, "the compose hash is unknown or has expired", code="ERR-01-006")
        self._ready(cvm)
        self._on_chain.check_transaction(cvm.app_id, transaction)
        self._on_chain.require(cvm.app_id, proposal.compose_hash)
        return self._apply(cvm, proposal)

    def confirm_token(self, cvm: Cvm, body: Body) -> str:
        """The same by the token of the 465, as an owner behind a multisig does later."""
        token = body.text("token")
        for proposal in list(cvm.proposals.values()):
            if proposal.token == token:
                given = body.digest("compose_hash") or proposal.compose_hash
                return self.confirm(cvm, given, body.text("transaction_hash"))
        raise Problem(466, "the token is unknown or was used", code="ERR-01-006")

    def _ready(self, cvm: Cvm) -> None:
        self._fleet.node(cvm.node.number)
        if cvm.status.doing:
            raise Problem(409, f"CVM {cvm.uuid} is busy: {cvm.status.doing}")

    def _apply(self, cvm: Cvm, proposal: Proposal) -> str:
        if Fault.DROPPED_COMMIT in self._fleet.faults(cvm.node.name):
            return secrets.token_hex(8)
        return self._fleet.changed(cvm, proposal)
