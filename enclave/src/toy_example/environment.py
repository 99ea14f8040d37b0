"""`environment`: a value of the measured compose file, or nothing.

The compose file sets ENVIRONMENT to a literal; the file's bytes are the compose hash, so staging and production have
different hashes. Two things could change the variable without changing the hash, and both are refused: a name in
`allowed_envs` (the host may encrypt values for those), and a compose file whose value is a substitution.
"""

from __future__ import annotations

import json
import re

from toy_example.guest_agent import AgentError, allowed_envs

__all__ = ["measured_environment"]

VARIABLE = "ENVIRONMENT"
AGENT_VARIABLE = "DSTACK_SIMULATOR_ENDPOINT"
_LITERAL = re.compile(
    r"^[ -]*ENVIRONMENT *[:=] *[\"']?(?P<value>[a-z][a-z0-9-]{0,30})[\"']? *$", re.MULTILINE | re.ASCII
)


def measured_environment(seen: str, app_compose: str) -> str:
    """`seen` is the process's variable. Raises AgentError unless the measured compose file sets exactly it."""
    open_names = allowed_envs(app_compose) & {VARIABLE, AGENT_VARIABLE}
    if open_names:
        raise AgentError(f"{', '.join(sorted(open_names))} can be set without being measured (allowed_envs)")
    compose_file = str(json.loads(app_compose).get("docker_compose_file", ""))
    values = {match["value"] for match in _LITERAL.finditer(compose_file)}
    if values != {seen}:
        raise AgentError(f"{VARIABLE} is {seen!r}, and the measured compose file says {sorted(values)}")
    return seen
