"""The paths that change something."""

from __future__ import annotations

from collections.abc import Callable

from twinproof_devnet.cloud.body import Body
from twinproof_devnet.cloud.cvm import Cvm
from twinproof_devnet.cloud.deploying import Deploying
from twinproof_devnet.cloud.fleet import Fleet
from twinproof_devnet.cloud.on_chain import OnChain
from twinproof_devnet.cloud.problems import Problem
from twinproof_devnet.cloud.routes import Call, Reply, Route
from twinproof_devnet.cloud.shapes import Shapes
from twinproof_devnet.cloud.updating import Updating
from twinproof_devnet.faults import Fault

__all__ = ["Writing"]


class Writing:
    def __init__(self, fleet: Fleet, on_chain: OnChain) -> None:
        self._fleet = fleet
        self._shapes = Shapes(on_chain)
        self._deploying, self._updating = Deploying(fleet, on_chain), Updating(fleet, on_chain)

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/cvms/provision", lambda call: Reply(self._deploying.provision(call.body))),
            Route("POST", "/cvms", self._commit),
            Route("PATCH", "/cvms/{cvm}", self._update),
            Route("POST", "/cvms/{cvm}/commit-update", self._commit_update),
            Route("PATCH", "/cvms/{cvm}/docker-compose", lambda call: self._update_text(call, "docker_compose_file")),
            Route("PATCH", "/cvms/{cvm}/pre-launch-script", lambda call: self._update_text(call, "pre_launch_script")),
            Route("PATCH", "/cvms/{cvm}/envs", self._update),
            Route("PATCH", "/cvms/{cvm}/resources", self._update),
            Route("POST", "/cvms/{cvm}/replicas", lambda call: self._replicate(call, "cvm")),
            Route("POST", "/cvms/{cvm}/commit-replica", lambda call: self._commit_replica(call, "cvm")),
            Route("POST", "/apps/{app}/instances", self._instances),
            Route("POST", "/cvms/{cvm}/start", self._restart),
            Route("POST", "/cvms/{cvm}/restart", self._restart),
            Route("POST", "/cvms/{cvm}/stop", self._stop),
            Route("POST", "/cvms/{cvm}/shutdown", self._stop),
            Route("DELETE", "/cvms/{cvm}", self._delete),
        ]

    def _cvm(self, call: Call, name: str = "cvm") -> Cvm:
        return self._fleet.find(call.names[name])

    def _done(self, cvm: Cvm, reply: Reply) -> Reply:
        """The answer to what was done, unless it gets lost on its way."""
        if Fault.LOST_ANSWER in self._fleet.faults(cvm.node.name):
            raise ConnectionAbortedError
        return reply

    def _commit(self, call: Call) -> Reply:
        cvm = self._deploying.commit(call.body)
        return self._done(cvm, Reply(self._shapes.created(cvm)))

    def _update(self, call: Call) -> Reply:
        return self._changed(call, call.body)

    def _update_text(self, call: Call, name: str) -> Reply:
        try:
            text = call.request.body.decode()
        except UnicodeDecodeError:
            raise Problem(400, "the body is not UTF-8", code="ERR-01-003") from None
        return self._changed(call, Body({name: text} if text else {}))

    def _changed(self, call: Call, body: Body) -> Reply:
        """A proposal, or with the two headers its confirmation."""
        cvm, headers = self._cvm(call), call.request.headers
        if "x-transaction-hash" in headers or "x-compose-hash" in headers:
            compose_hash, transaction = headers.get("x-compose-hash", ""), headers.get("x-transaction-hash", "")
            correlation = self._updating.confirm(cvm, compose_hash, transaction)
            return self._done(cvm, Reply({"correlation_id": correlation}))
        correlation = self._updating.propose(cvm, body, prepare_only=call.prepare_only)
        return self._done(cvm, Reply({"correlation_id": correlation}))

    def _commit_update(self, call: Call) -> Reply:
        cvm = self._cvm(call)
        correlation = self._updating.confirm_token(cvm, call.body)
        return self._done(cvm, Reply({"correlation_id": correlation, "status": "accepted"}))

    def _replicate(self, call: Call, name: str) -> Reply:
        source = self._cvm(call, name)
        replica = self._deploying.replicate(source, call.body, prepare_only=call.prepare_only)
        return self._done(replica, Reply(self._shapes.created(replica)))

    def _commit_replica(self, call: Call, name: str) -> Reply:
        replica = self._deploying.commit_replica(self._cvm(call, name).app_id, call.body)
        return self._done(replica, Reply(self._shapes.created(replica)))

    def _instances(self, call: Call) -> Reply:
        """A request, or with a token the commit of an earlier one."""
        answer: Callable[[Call, str], Reply] = self._commit_replica if call.body.has("token") else self._replicate
        return answer(call, "app")

    def _restart(self, call: Call) -> Reply:
        cvm = self._cvm(call)
        self._fleet.node(cvm.node.number)
        return Reply({"correlation_id": self._fleet.boot(cvm, "restart")})

    def _stop(self, call: Call) -> Reply:
        cvm = self._cvm(call)
        self._fleet.stop(cvm)
        return Reply({"correlation_id": cvm.status.correlation_id})

    def _delete(self, call: Call) -> Reply:
        self._fleet.delete(self._cvm(call))
        return Reply(status=204)
