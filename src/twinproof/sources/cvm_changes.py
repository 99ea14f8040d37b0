"""What happens to the CVM of each machine: proposed, checked against our hash, confirmed with its secrets sealed.

The service keeps one proposal for a hash, so that what is confirmed is proposed, and judged, once more.
"""

from __future__ import annotations

import secrets as entropy
from collections.abc import Callable, Sequence

from twinproof.deployments.brief import Brief
from twinproof.deployments.cloud_answers import Cvm, KmsInfo, Pending, Provision
from twinproof.deployments.plan import Action, Proposal, Target, check_kms, check_proposal, existing_cvm
from twinproof.deployments.sealed_env import IV_SIZE, check_env_key, seal
from twinproof.errors import Refused, Unavailable, UsageError
from twinproof.sources import clock
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.phala_cloud import PhalaCloud
from twinproof.sources.registrar import ALLOW, CONTRACT, Registrar

__all__ = ["CvmChanges", "Note"]

CHANGEABLE = (
    "docker_compose_file",
    "pre_launch_script",
    "allowed_envs",
    "public_logs",
    "public_sysinfo",
    "public_tcbinfo",
)
"""Members of the app-compose text that an update may name."""
Note = Callable[[str, str], None]
"""Of what: a machine's name, or nothing; and what is said to people of its progress."""


class CvmChanges:
    """Owns nothing: the cloud, the chain and the journal are given."""

    def __init__(self, cloud: PhalaCloud, registrar: Registrar, journal: JournalFile, brief: Brief, note: Note) -> None:
        self._cloud, self._registrar, self._journal = cloud, registrar, journal
        self._brief, self._note = brief, note
        self._hash = brief.release.compose_hash
        self._kms_root: bytes | None = None

    def check_proposals(
        self, targets: Sequence[Target], actions: Sequence[Action], cvms: Sequence[Cvm], app_id: bytes | None
    ) -> None:
        """What the service would run, on every machine, before anything is signed."""
        for target, action in zip(targets, actions, strict=True):
            if action is Action.UPDATE and target.cvm is not None:
                proposal = _proposal(self._cloud.propose_update(target.cvm.uuid, self._changes(None)))
            elif action in (Action.KEEP, Action.START):
                continue
            elif any(cvm.compose_hash == self._hash for cvm in cvms):
                source = self._source(cvms)
                proposal = _proposal(self._cloud.propose_replica(source.uuid, target.node.number, self._hash, None))
            else:  # no instance that knows the text yet: what would run is asked as if it were the first one
                proposal = _proposal(self._cloud.provision(self._provision_body(target, app_id if cvms else None)))
            self._note(target.name, f"proposed {proposal.compose_hash.hex()[:16]}...")
            self._check_proposal(target, proposal, app_id)

    def change(self, target: Target, action: Action, app_id: bytes) -> Cvm:
        """Raises Refused, Unavailable or UsageError; what was made stays made."""
        if action is Action.KEEP and target.cvm is not None:
            return target.cvm
        if action is Action.START and target.cvm is not None:
            self._cloud.start(target.cvm.uuid)
            self._note(target.name, "started")
            return target.cvm
        if action is Action.UPDATE and target.cvm is not None:
            return self._update(target, target.cvm, app_id)
        found = self._existing(target, app_id)
        if found is not None:
            return found
        return self._create(target, app_id) if action is Action.CREATE else self._replicate(target, app_id)

    def _create(self, target: Target, app_id: bytes) -> Cvm:
        """The first instance: provisioned once more, for the service keeps one proposal for a hash."""
        provision = self._cloud.provision(self._provision_body(target))
        kms = self._check_proposal(target, _proposal(provision), app_id)
        body: dict[str, object] = {
            "app_id": app_id.hex(),
            "compose_hash": self._hash.hex(),
            "kms_id": kms.slug,
            "contract_address": f"0x{app_id.hex()}",
            "deployer_address": f"0x{self._registrar.address.hex()}",
        }
        sealed = self._sealed(kms, app_id)
        if sealed is not None:
            body |= {"encrypted_env": sealed.hex(), "env_keys": list(self._brief.secrets)}
        return self._made(target, app_id, lambda: self._cloud.commit(body), "created")

    def _update(self, target: Target, cvm: Cvm, app_id: bytes) -> Cvm:
        kms = self._check_kms(self._cloud.cvm(cvm.uuid).kms, target.name) if self._brief.secrets else None
        sealed = None if kms is None else self._sealed(kms, app_id)
        pending = self._cloud.propose_update(cvm.uuid, self._changes(sealed))
        self._check_proposal(target, _proposal(pending), app_id)

        def confirm() -> Cvm:
            self._cloud.confirm_update(cvm.uuid, pending, self._transaction())
            return cvm

        return self._made(target, app_id, confirm, "update confirmed")

    def _replicate(self, target: Target, app_id: bytes) -> Cvm:
        cvms = self._cloud.cvms_of(app_id)
        if not cvms:
            raise Unavailable("there is no instance of the app to add one to", where=target.name)
        source = self._source(cvms)
        kms = self._check_kms(self._cloud.cvm(source.uuid).kms, target.name) if self._brief.secrets else None
        sealed = None if kms is None else self._sealed(kms, app_id)
        pending = self._cloud.propose_replica(source.uuid, target.node.number, self._hash, sealed)
        self._check_proposal(target, _proposal(pending), app_id)
        commit = self._cloud.commit_replica
        return self._made(target, app_id, lambda: commit(source.uuid, pending, self._transaction()), "added")

    def _made(self, target: Target, app_id: bytes, change: Callable[[], Cvm], word: str) -> Cvm:
        """Make a change. Where its answer was lost, what is there now is the answer."""
        try:
            made = change()
        except Unavailable:
            found = self._existing(target, app_id)
            if found is None or found.compose_hash != self._hash:
                raise
            made = found
        if made.app_id not in (None, app_id):
            raise Refused(
                "the service made an instance of another app",
                where=target.name,
                got=made.app_id.hex() if made.app_id else "none",
                expected=app_id.hex(),
            )
        self._note(target.name, word)
        return made

    def _check_proposal(self, target: Target, proposal: Proposal, app_id: bytes | None) -> KmsInfo:
        """Judged before anything is signed, and again before it is confirmed: it is another answer then."""
        check_proposal(target, proposal, self._hash, app_id)
        return self._check_kms(proposal.kms, target.name)

    def _check_kms(self, kms: KmsInfo | None, name: str) -> KmsInfo:
        return check_kms(kms, name=name, chain_id=self._registrar.chain_id, contract=self._registrar.kms)

    def _provision_body(self, target: Target, app_id: bytes | None = None) -> dict[str, object]:
        body: dict[str, object] = {
            "name": self._brief.name,
            "teepod_id": target.node.number,
            "compose_file": dict(self._brief.document),
            "listed": False,
            "kms": "BASE",
            "prefer_dev": False,
            "instance_type": self._brief.instance_type,
        }
        if app_id is not None:
            body["app_id"] = app_id.hex()
        return body if self._brief.os_image is None else {**body, "image": self._brief.os_image}

    def _changes(self, sealed: bytes | None) -> dict[str, object]:
        document = self._brief.document
        changes: dict[str, object] = {name: document[name] for name in CHANGEABLE if name in document}
        return changes if sealed is None else {**changes, "encrypted_env": sealed.hex()}

    def _source(self, cvms: Sequence[Cvm]) -> Cvm:
        """An instance that knows this text, where there is one."""
        return next((cvm for cvm in cvms if cvm.compose_hash == self._hash), cvms[0])

    def _existing(self, target: Target, app_id: bytes) -> Cvm | None:
        return existing_cvm(target.machine, target.device_id, target.node, self._cloud.cvms_of(app_id))

    def _transaction(self) -> bytes | None:
        """The transaction by which this deployment allowed the hash; None where it was allowed before."""
        kept = self._journal.now.transactions
        found = kept.get(ALLOW) or kept.get(CONTRACT)
        return None if found is None else self._registrar.transaction_of(found)

    def _sealed(self, kms: KmsInfo, app_id: bytes) -> bytes | None:
        if not self._brief.secrets:
            return None
        if not kms.slug:
            raise UsageError("the service does not say which KMS it is", where="kms_info.slug")
        if self._kms_root is None:
            self._kms_root = self._registrar.kms_root()
        key = self._cloud.env_key(kms.slug, app_id)
        check_env_key(key, app_id=app_id, kms_root=self._kms_root, at=clock.now())
        return seal(self._brief.secrets, key, ephemeral=entropy.token_bytes(32), iv=entropy.token_bytes(IV_SIZE))


def _proposal(answer: Provision | Pending) -> Proposal:
    return Proposal(answer.compose_hash, answer.device_id, answer.kms, answer.app_id)
