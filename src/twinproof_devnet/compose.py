"""The app-compose text of the toy example as it would be deployed: the exact text that is measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

__all__ = ["ToyApp", "app_compose", "compose_hash"]


@dataclass(frozen=True, slots=True)
class ToyApp:
    """What the deployer decides. The image is named by its content."""

    name: str = "toy-example"
    image: str = f"registry.invalid/toy-example@sha256:{hashlib.sha256(b'twinproof devnet toy image').hexdigest()}"
    environment: str = "devnet"
    key_provider: str = "kms"
    key_provider_id: str = ""
    """Hex of the KMS root CA's public key (DER); empty accepts any KMS."""
    public_tcbinfo: bool = True
    no_instance_id: bool = False
    event_log_version: int = 1


def _docker_compose(app: ToyApp) -> str:
    return f"""services:
  app:
    image: {app.image}
    restart: always
    ports:
      - "8080:8080"
    environment:
      ENVIRONMENT: {app.environment}
    volumes:
      - /var/run/dstack.sock:/var/run/dstack.sock
"""


def app_compose(app: ToyApp) -> str:
    """JSON text; its SHA-256 is the compose hash."""
    kms = app.key_provider == "kms"
    document: dict[str, object] = {
        "manifest_version": 2,
        "name": app.name,
        "runner": "docker-compose",
        "docker_compose_file": _docker_compose(app),
        "kms_enabled": kms,
        "gateway_enabled": True,
        "key_provider": app.key_provider,
        "key_provider_id": app.key_provider_id,
        "public_logs": False,
        "public_sysinfo": False,
        "public_tcbinfo": app.public_tcbinfo,
        "allowed_envs": [],
        "no_instance_id": app.no_instance_id,
        "secure_time": True,
    }
    if app.event_log_version != 1:
        document["event_log_version"] = app.event_log_version
    return json.dumps(document, indent=2)


def compose_hash(text: str) -> bytes:
    """SHA-256 of the UTF-8 bytes, 32 bytes."""
    return hashlib.sha256(text.encode()).digest()
