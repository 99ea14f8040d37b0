"""The app-compose text of a version, rendered to the very bytes that are deployed and measured.

Serialised once: members sorted by name, no white space, UTF-8, as dstack's own SDKs hash it. What is kept, published,
deployed and measured is this text; nothing serialises it a second time. Two machines get the same bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from twinproof.dstack.app_compose import compose_hash
from twinproof.errors import Malformed, UsageError
from twinproof.release.compose_settings import ComposeSettings
from twinproof.wire import shown

__all__ = ["ENVIRONMENT_PLACEHOLDER", "IMAGE_PLACEHOLDER", "RenderedCompose", "render"]

IMAGE_PLACEHOLDER = "IMAGE_REFERENCE"
ENVIRONMENT_PLACEHOLDER = "DEPLOYMENT_ENVIRONMENT"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
MAX_TEMPLATE_BYTES = 200 * 1024
"""What Phala Cloud takes for compose file and scripts together."""


@dataclass(frozen=True, slots=True)
class RenderedCompose:
    """`text` is app-compose.json; its UTF-8 bytes are what is hashed."""

    text: str

    @property
    def compose_hash(self) -> bytes:
        """32 bytes."""
        return compose_hash(self.text)


def render(template: str, settings: ComposeSettings, *, image_digest: str, environment: str) -> RenderedCompose:
    """Fill the two placeholders and wrap the result. Raises UsageError for values, Malformed for the template.

    `image_digest` is `sha256:` and 64 hex digits: a tag could mean another image tomorrow.
    """
    if not _DIGEST.fullmatch(image_digest):
        raise UsageError(
            "not an image digest",
            where="--image-digest",
            got=shown(image_digest, 80),
            expected="sha256:<64 hex digits>",
        )
    if not _ENVIRONMENT.fullmatch(environment):
        raise UsageError(
            "not the name of an environment",
            where="--environment",
            got=shown(environment, 40),
            expected="lower-case letters, digits and hyphens, such as production",
        )
    if len(template.encode()) > MAX_TEMPLATE_BYTES:
        raise Malformed("compose file too large", where=settings.file, expected=f"at most {MAX_TEMPLATE_BYTES} bytes")
    text = _filled(template, IMAGE_PLACEHOLDER, f"{settings.image}@{image_digest}", settings.file)
    text = _filled(text, ENVIRONMENT_PLACEHOLDER, environment, settings.file)
    document = {
        "allowed_envs": list(settings.allowed_envs),
        "docker_compose_file": text,
        "gateway_enabled": settings.gateway_enabled,
        "key_provider": "kms",
        "key_provider_id": settings.key_provider_id,
        "kms_enabled": True,
        "manifest_version": 2,
        "name": settings.name,
        "no_instance_id": False,
        "public_logs": settings.public_logs,
        "public_sysinfo": settings.public_sysinfo,
        "public_tcbinfo": settings.public_tcbinfo,
        "runner": "docker-compose",
        "secure_time": True,
    }
    return RenderedCompose(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def _filled(text: str, placeholder: str, value: str, where: str) -> str:
    """Each placeholder stands once outside comments; a comment keeps its words."""
    lines = text.split("\n")
    found = [index for index, line in enumerate(lines) if placeholder in line and not line.lstrip().startswith("#")]
    if len(found) != 1 or lines[found[0]].count(placeholder) != 1:
        raise Malformed(f"{placeholder} has to stand exactly once", where=where, got=str(len(found)), expected="1")
    lines[found[0]] = lines[found[0]].replace(placeholder, value)
    return "\n".join(lines)
