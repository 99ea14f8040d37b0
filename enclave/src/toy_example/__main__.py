"""`python -m toy_example`: serve on a port, or on a listening socket that was inherited (`--fd`)."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time

import uvicorn

from toy_example.app import make_app
from toy_example.build_info import BuildInfoError, read_build_info
from toy_example.environment import measured_environment
from toy_example.guest_agent import AgentError, SdkGuestAgent


async def _greet(agent: SdkGuestAgent, environment: str) -> None:
    """Say at once whether this instance can attest; it serves in either case, and refuses to attest in the second."""
    try:
        identity = await agent.identity()
        measured_environment(environment, identity.app_compose)
        print(f"toy-example: compose hash {identity.compose_hash}", file=sys.stderr)
    except AgentError as error:
        print(f"toy-example: cannot attest: {error}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="toy_example")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104  (a container: its port is published by the measured compose file)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--fd", type=int, default=None, help="an inherited listening socket, instead of host and port")
    arguments = parser.parse_args()
    try:
        build = read_build_info()
    except BuildInfoError as error:
        print(f"toy-example: {error}", file=sys.stderr)
        return 2
    agent, environment = SdkGuestAgent(), os.environ.get("ENVIRONMENT", "")
    asyncio.run(_greet(agent, environment))
    app = make_app(build, agent, environment, lambda: int(time.time()))
    uvicorn.run(app, host=arguments.host, port=arguments.port, fd=arguments.fd, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
