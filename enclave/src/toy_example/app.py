"""The service: `GET /` lists what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from toy_example.build_info import BuildInfo
from toy_example.environment import measured_environment
from toy_example.guest_agent import AgentError, GuestAgent
from toy_example.signups import KEY_PATH, SignupCounter, signed_count
from toy_example.statement import ATTESTATION_SCHEMA, Facts, report_data, statement_text

__all__ = ["make_app"]

_NONCE = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
ENDPOINTS = {
    "GET /": "this list",
    "GET /health": "whether the process runs",
    "GET /version": "what is running",
    "GET /attestation?nonce=<64 hex>": "a statement, and a quote that signs it",
    "POST /signup": "count one more signup on this instance",
    "GET /signup-count": "the count of this instance, signed",
}


def make_app(build: BuildInfo, agent: GuestAgent, environment: str, clock: Callable[[], int]) -> Starlette:
    """`environment` is the process's ENVIRONMENT variable; `clock` gives unix seconds."""
    counter = SignupCounter()

    async def index(_: Request) -> JSONResponse:
        return JSONResponse({"service": "toy-example", "version": build.version, "endpoints": ENDPOINTS})

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def version(_: Request) -> JSONResponse:
        identity = await agent.identity()
        return JSONResponse(
            {
                "version": build.version,
                "gitSha": build.git_sha,
                "gitShaShort": build.git_sha[:7],
                "buildTime": build.build_time,
                "composeHash": identity.compose_hash,
                "environment": measured_environment(environment, identity.app_compose),
            }
        )

    async def attestation(request: Request) -> JSONResponse:
        nonces = request.query_params.getlist("nonce")
        if len(nonces) != 1 or not _NONCE.fullmatch(nonces[0]):
            return _error(400, "nonce: exactly one, 64 hex digits (32 random bytes of your own)")
        identity = await agent.identity()
        facts = Facts(
            nonce=nonces[0].lower(),
            environment=measured_environment(environment, identity.app_compose),
            signup_count=counter.count,
            issued_at=clock(),
        )
        statement = statement_text(build, identity, facts)
        answer = await agent.quote(report_data(statement))
        return JSONResponse(
            {
                "schema": ATTESTATION_SCHEMA,
                "statement": statement,
                "quote": answer.quote,
                "event_log": answer.event_log,
                "vm_config": answer.vm_config,
                "app_compose": identity.app_compose,
            }
        )

    async def signup(_: Request) -> JSONResponse:
        return JSONResponse({"count": counter.add()})

    async def signup_count(_: Request) -> JSONResponse:
        identity, key = await agent.identity(), await agent.key(KEY_PATH)
        return JSONResponse(signed_count(counter.count, identity.instance_id, clock(), key))

    async def refused(_: Request, error: Exception) -> JSONResponse:
        return _error(503, str(error))

    return Starlette(
        routes=[
            Route("/", index),
            Route("/health", health),
            Route("/version", version),
            Route("/attestation", attestation),
            Route("/signup", signup, methods=["POST"]),
            Route("/signup-count", signup_count),
        ],
        exception_handlers={AgentError: refused},
    )


def _error(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)
