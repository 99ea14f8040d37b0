"""The app-compose text as the server composes it. Its bytes are kept, hashed and booted; nobody gets them back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from twinproof_devnet.cloud.body import Body
from twinproof_devnet.cloud.problems import Problem

__all__ = ["CHANGEABLE", "MAX_TEXT_BYTES", "changed", "composed", "container_environment", "container_image"]

MAX_TEXT_BYTES = 200 * 1024
"""Of compose file and scripts together."""
_DEFAULTS: dict[str, object] = {
    "allowed_envs": [],
    "docker_compose_file": "",
    "gateway_enabled": True,
    "key_provider": "kms",
    "key_provider_id": "",
    "kms_enabled": True,
    "manifest_version": 2,
    "name": "",
    "no_instance_id": False,
    "public_logs": False,
    "public_sysinfo": False,
    "public_tcbinfo": True,
    "runner": "docker-compose",
    "secure_time": True,
}
_OPTIONAL = frozenset({"pre_launch_script", "storage_fs"})
CHANGEABLE = frozenset(
    {"docker_compose_file", "pre_launch_script", "allowed_envs", "public_logs", "public_sysinfo", "public_tcbinfo"}
)
"""What an update may change."""
_IMAGE = re.compile(r"^\s*image:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_VARIABLE = re.compile(r"^\s*(?:-\s*)?([A-Z][A-Z0-9_]*)\s*[:=]\s*[\"']?([^\s\"'#]*)[\"']?\s*$", re.MULTILINE)
_SUBSTITUTION = re.compile(r"\$\{([A-Z][A-Z0-9_]*)[^}]*\}")


def composed(compose_file: Body, name: str) -> str:
    """JSON text: members sorted, no white space. Members that are not sent get the server's defaults.

    `name` is the CVM's, and stands in the text when the compose file has none. Unknown members are dropped.
    """
    known = _DEFAULTS.keys() | _OPTIONAL
    sent = {key: value for key, value in compose_file.members.items() if value is not None and key in known}
    document = {**_DEFAULTS, **sent}
    document["name"] = document["name"] or name
    return _serialised(document)


def changed(text: str, changes: Mapping[str, object]) -> str:
    """The same text with other values for these members."""
    document = {**json.loads(text), **{key: value for key, value in changes.items() if value is not None}}
    return _serialised(document)


def _serialised(document: Mapping[str, object]) -> str:
    body = Body(document)
    sources = body.text("docker_compose_file") + body.text("pre_launch_script")
    body.texts("allowed_envs")
    if not body.text("docker_compose_file").strip():
        raise Problem(400, "a docker compose file is required", code="ERR-01-002")
    if len(sources.encode()) > MAX_TEXT_BYTES:
        raise Problem(400, f"compose file and scripts have more than {MAX_TEXT_BYTES} bytes", code="ERR-01-003")
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _compose_file(text: str) -> str:
    lines = str(json.loads(text)["docker_compose_file"]).split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def container_image(text: str) -> str:
    """The reference of the first image that the compose file names; empty: it names none."""
    found = _IMAGE.search(_compose_file(text))
    return found[1] if found else ""


def container_environment(text: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """What the compose file sets: literals, and the secrets that it asks for."""

    def substituted(value: str) -> str:
        return _SUBSTITUTION.sub(lambda found: secrets.get(found[1], ""), value)

    return {name: substituted(value) for name, value in _VARIABLE.findall(_compose_file(text))}
