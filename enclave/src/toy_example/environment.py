"""`environment`: a value of the measured compose file, or nothing.

The compose file sets ENVIRONMENT to a literal; the file's bytes are the compose hash, so staging and production have
different hashes. Whoever runs the machine could otherwise set the variable without changing the hash, and each way is
refused: a name in `allowed_envs` (values for those come from outside), a substitution such as `${ENV}`, a name without
a value (taken from outside), and `env_file` (its content is not in the hash). So every mention of ENVIRONMENT has to
be the same literal, in any service, and the process has to see exactly it. The rest of the statement comes from the
image (version, git SHA, build time), the guest agent (ids, compose hash), this process (counter, clock) and the nonce.
"""

from __future__ import annotations

import json
import re

from toy_example.guest_agent import AgentError, allowed_envs

__all__ = ["measured_environment"]

VARIABLE = "ENVIRONMENT"
AGENT_VARIABLE = "DSTACK_SIMULATOR_ENDPOINT"
"""Where the SDK looks for a guest agent first: setting it would replace the real one."""
_LITERAL = re.compile(r"[ -]*ENVIRONMENT *[:=] *(?P<quote>[\"']?)(?P<value>[a-z][a-z0-9-]{0,30})(?P=quote) *", re.ASCII)
_MENTIONED = re.compile(rf"\b{VARIABLE}\b", re.ASCII)
_ENV_FILE = re.compile(r"\benv_file\b", re.ASCII)


def measured_environment(seen: str, app_compose: str) -> str:
    """`seen` is the process's variable. Raises AgentError unless the measured compose file sets exactly it."""
    open_names = allowed_envs(app_compose) & {VARIABLE, AGENT_VARIABLE}
    if open_names:
        raise AgentError(f"{', '.join(sorted(open_names))} can be set without being measured (allowed_envs)")
    compose_file = str(json.loads(app_compose).get("docker_compose_file", ""))
    lines = [line for line in compose_file.split("\n") if not line.lstrip().startswith("#")]
    if any(_ENV_FILE.search(line) for line in lines):
        raise AgentError("the measured compose file reads an env_file, whose content is not measured")
    values = {_literal(line) for line in lines if _MENTIONED.search(line)}
    if values != {seen}:
        raise AgentError(f"{VARIABLE} is {seen!r}, and the measured compose file says {sorted(values)}")
    return seen


def _literal(line: str) -> str:
    """The value that this line sets. Raises AgentError when it is not a literal."""
    match = _LITERAL.fullmatch(line)
    if match is None:
        raise AgentError(f"{VARIABLE} is not a literal in the measured compose file: {line.strip()!r}")
    return match["value"]
