"""One version on several machines: proposed to the cloud, allowed on chain, confirmed. Nothing is ever deleted.

1. plan      every machine's proposal is asked for, without making anything; our hash on all of them, or it stops
2. contract  where the app has none: the KMS's factory, with the first machine's device and this hash
3. allow     the other devices, and the hash of an upgrade
4. change    each machine at the same time: created, added or updated; one that fails does not undo another

Each step first looks whether it was done, so that the whole may be run again after a crash at any point. What the
service then says about a machine is not believed: `attested_wait` asks the instance.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.deployments.brief import Brief
from twinproof.deployments.cloud_answers import Cvm
from twinproof.deployments.plan import Action, Plan, Target, existing_cvm, node_of, require_machines_apart
from twinproof.errors import Refused, TwinproofError, UsageError
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.cvm_changes import CvmChanges, Note
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.phala_cloud import PhalaCloud
from twinproof.sources.registrar import Registrar

__all__ = ["Deployer"]


class Deployer:
    """Owns nothing: the cloud, the chain and the journal are given. `note(machine, text)` tells people of progress."""

    def __init__(
        self, cloud: PhalaCloud, registrar: Registrar, journal: JournalFile, brief: Brief, note: Note = lambda *_: None
    ) -> None:
        self._cloud, self._registrar, self._journal = cloud, registrar, journal
        self._brief, self._note = brief, note
        self._hash = brief.release.compose_hash
        self._changes = CvmChanges(cloud, registrar, journal, brief, note)

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
        cvms = () if app_id is None else self._cloud.cvms_of(app_id)
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
        self._changes.check_proposals(targets, actions, cvms, app_id)
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
        results = fetch_all(names, lambda index, _: self._changes.change(*chosen[index], app_id))
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

    def _actions(self, targets: Sequence[Target], instances: int) -> list[Action]:
        actions = []
        for target in targets:
            actions.append(target.action(self._hash, first=not instances))
            instances += target.cvm is None
        return actions
