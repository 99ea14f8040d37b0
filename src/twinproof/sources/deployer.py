"""One version on several machines: proposed to the cloud, allowed on chain, confirmed. Nothing is ever deleted.

1. plan      every machine's proposal is asked for, without making anything; our hash on all of them, or it stops
2. contract  where the app has none: the KMS's factory, with the first machine's device and this hash
3. allow     the other devices, and the hash of an upgrade
4. change    each machine at the same time: created, added or updated; one that fails does not undo another

Each step first looks whether it was done, so that the whole may be run again after a crash at any point. What the
service then says about a machine is not believed: `attested_wait` asks the instance.
"""

from __future__ import annotations

import secrets as entropy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from twinproof.deployments.cloud_answers import Cvm, KmsInfo, Pending, Provision
from twinproof.deployments.facts import Release
from twinproof.deployments.plan import (
    Action,
    Plan,
    Proposal,
    Target,
    check_kms,
    check_proposal,
    existing_cvm,
    node_of,
    require_machines_apart,
)
from twinproof.deployments.sealed_env import IV_SIZE, check_env_key, seal
from twinproof.errors import Refused, TwinproofError, Unavailable, UsageError
from twinproof.policy import Machine
from twinproof.sources import clock
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.phala_cloud import PhalaCloud
from twinproof.sources.registrar import ALLOW, CONTRACT, Registrar

__all__ = ["Brief", "Deployer"]

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


@dataclass(frozen=True, slots=True)
class Brief:
    """What is deployed, and where. `document` is the app-compose text as an object, `secrets` go in encrypted."""

    release: Release
    name: str
    document: Mapping[str, object]
    machines: tuple[Machine, ...]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    instance_type: str = "tdx.small"
    os_image: str | None = None


class Deployer:
    """Owns nothing: the cloud, the chain and the journal are given. `note(machine, text)` tells people of progress."""

    def __init__(
        self, cloud: PhalaCloud, registrar: Registrar, journal: JournalFile, brief: Brief, note: Note = lambda *_: None
    ) -> None:
        self._cloud, self._registrar, self._journal = cloud, registrar, journal
        self._brief, self._note = brief, note
        self._hash = brief.release.compose_hash
        self._kms_root: bytes | None = None

    def plan(self, app_id: bytes | None) -> Plan:
        """Ask everyone, change nothing. `app_id` is the one that is meant, None to find out.

        Raises Refused when anything is another than it should be, Unavailable, UsageError.
        """
        brief, registrar = self._brief, self._registrar
        begun = self._journal.now.app_id
        if app_id is not None and begun not in (None, app_id):
            raise UsageError(
                "the journal is of another app",
                where=str(self._journal.path),
                got=begun.hex() if begun else "none",
                expected=app_id.hex(),
                hint="--app-id says which one is meant, --journal names another journal",
            )
        app_id = app_id or begun or self._known_app()
        nodes = self._cloud.nodes()
        places = [(machine, *node_of(machine, nodes)) for machine in brief.machines]
        require_machines_apart([(machine, node) for machine, _, node in places])
        cvms = self._cvms(app_id)
        targets = [
            Target(machine, device_id, node, existing_cvm(machine, device_id, node, cvms))
            for machine, device_id, node in places
        ]
        hash_allowed, missing = False, tuple(target.name for target in targets)
        if app_id is not None:
            registrar.require_ours(app_id)
            hash_allowed = registrar.hash_allowed(app_id, self._hash)
            missing = tuple(target.name for target in targets if not registrar.device_allowed(app_id, target.device_id))
        actions = self._actions(targets, len(cvms))
        self._check_proposals(targets, actions, cvms, app_id)
        return Plan(
            release=brief.release,
            chain_id=registrar.chain_id,
            kms_contract=registrar.kms,
            signer=registrar.address,
            app_id=app_id,
            hash_allowed=hash_allowed,
            devices_missing=missing,
            targets=tuple(zip(targets, actions, strict=True)),
            secrets=tuple(brief.secrets),
        )

    def run(self, plan: Plan) -> tuple[bytes, dict[str, Cvm | TwinproofError]]:
        """The app id, and for every machine its CVM or why there is none. What is done stays done.

        Raises Refused, Unavailable or UsageError when no machine can be changed.
        """
        app_id = plan.app_id
        if app_id is None:
            first = plan.targets[0][0]
            self._note(first.name, "deploying the app's contract")
            app_id = self._registrar.deploy(self._journal, device_id=first.device_id, compose_hash=self._hash)
            self._note(first.name, f"app id {app_id.hex()}")
        self._journal.change(lambda now: now.with_app(app_id))
        self._registrar.require_ours(app_id)
        for target, _ in plan.targets:
            if not self._registrar.device_allowed(app_id, target.device_id):
                self._note(target.name, "allowing its device on chain")
                self._registrar.add_device(self._journal, app_id, target.name, target.device_id)
        if not self._registrar.hash_allowed(app_id, self._hash):
            self._note("", "allowing the compose hash on chain")
            self._registrar.allow(self._journal, app_id, compose_hash=self._hash)
        return app_id, self._change_all(plan, app_id)

    def _change_all(self, plan: Plan, app_id: bytes) -> dict[str, Cvm | TwinproofError]:
        """The first instance, then updates, then the instances that are made from those; each kind at once."""
        done: dict[str, Cvm | TwinproofError] = {}
        for kinds in ((Action.CREATE,), (Action.KEEP, Action.START, Action.UPDATE), (Action.REPLICATE,)):
            chosen = [(target, action) for target, action in plan.targets if action in kinds]
            done.update(self._change_at_once(chosen, app_id))
        return done

    def _change_at_once(
        self, chosen: Sequence[tuple[Target, Action]], app_id: bytes
    ) -> dict[str, Cvm | TwinproofError]:
        names = [target.name for target, _ in chosen]
        results = fetch_all(names, lambda index, _: self._change(*chosen[index], app_id))
        return dict(zip(names, results, strict=True))

    def _known_app(self) -> bytes | None:
        """The account's app of this name, or what an attempt without a journal has left on chain.

        Raises Refused when a name stands for several apps, or for one that is not the signer's.
        """
        found = self._cloud.apps_named(self._brief.name)
        if len(found) > 1:
            raise Refused(
                "several apps of this name",
                where=self._brief.name,
                got=", ".join(app_id.hex() for app_id in found),
                hint="--app-id says which one is meant",
            )
        if found:
            self._registrar.require_ours(found[0])
            return found[0]
        return self._registrar.earlier_contract(self._hash)

    def _cvms(self, app_id: bytes | None) -> tuple[Cvm, ...]:
        return () if app_id is None else self._cloud.cvms_of(app_id)

    def _actions(self, targets: Sequence[Target], instances: int) -> list[Action]:
        actions = []
        for target in targets:
            actions.append(target.action(self._hash, first=not instances))
            instances += target.cvm is None
        return actions

    def _check_proposals(
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

    def _change(self, target: Target, action: Action, app_id: bytes) -> Cvm:
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
        cvms = self._cvms(app_id)
        if not cvms:
            raise Unavailable("there is no instance of the app to add one to", where=target.name)
        source = self._source(cvms)
        kms = self._check_kms(self._cloud.cvm(source.uuid).kms, target.name) if self._brief.secrets else None
        sealed = None if kms is None else self._sealed(kms, app_id)
        pending = self._cloud.propose_replica(source.uuid, target.node.number, self._hash, sealed)
        self._check_proposal(target, _proposal(pending), app_id)
        commit = self._cloud.commit_replica
        return self._made(target, app_id, lambda: commit(source.uuid, pending, self._transaction()), "added")

    def _source(self, cvms: Sequence[Cvm]) -> Cvm:
        """An instance that knows this text, where there is one."""
        return next((cvm for cvm in cvms if cvm.compose_hash == self._hash), cvms[0])

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

    def _existing(self, target: Target, app_id: bytes) -> Cvm | None:
        return existing_cvm(target.machine, target.device_id, target.node, self._cvms(app_id))

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
