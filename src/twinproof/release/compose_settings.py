"""The `[compose]` table of twinproof.toml: what the deployer decides about the app-compose text, machines aside.

Everything here ends in the measured text, so a change of any value is another compose hash.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.wire import Fields, shown

__all__ = ["ComposeSettings", "read_compose_settings"]

KEYS = frozenset(
    {
        "file",
        "image",
        "name",
        "key_provider_id",
        "gateway_enabled",
        "public_logs",
        "public_sysinfo",
        "public_tcbinfo",
        "allowed_envs",
    }
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*", re.ASCII)
_ENVIRONMENT_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class ComposeSettings(NamedTuple):
    """`file` is the compose template in the repository, `image` the image's repository without tag or digest."""

    file: str
    image: str
    name: str
    key_provider_id: str = ""
    """Hex of the KMS root CA's public key (SPKI, DER). Empty accepts any KMS that the host names."""
    gateway_enabled: bool = True
    public_logs: bool = False
    public_sysinfo: bool = False
    public_tcbinfo: bool = True
    allowed_envs: tuple[str, ...] = ()


def read_compose_settings(table: Fields) -> ComposeSettings:
    """Raises Malformed for unknown keys and for values that cannot be part of a compose text."""
    for key in table.raw:
        if key not in KEYS:
            raise Malformed("unknown key", where=table.where, got=shown(key, 40), expected=", ".join(sorted(KEYS)))
    defaults = {
        name: table.boolean(name) for name in KEYS & table.raw.keys() if name.startswith(("public_", "gateway"))
    }
    return ComposeSettings(
        file=_path(table),
        image=_matching(table, "image", _REPOSITORY, "an image repository without tag or digest"),
        name=_matching(table, "name", _NAME, "lower-case letters, digits and hyphens"),
        key_provider_id=table.hex("key_provider_id", max_size=1024).hex() if "key_provider_id" in table else "",
        allowed_envs=_allowed_envs(table),
        **defaults,
    )


def _matching(table: Fields, name: str, pattern: re.Pattern[str], expected: str) -> str:
    text = table.text(name, max_chars=255)
    if not pattern.fullmatch(text):
        raise Malformed("not usable here", where=f"{table.where}.{name}", got=shown(text, 60), expected=expected)
    return text


def _path(table: Fields) -> str:
    """A path inside the repository; it is read from the tagged commit too, so it cannot lead outside."""
    text = table.text("file", max_chars=255)
    parts = text.split("/")
    if not text.isprintable() or "\\" in text or any(part in ("", ".", "..") for part in parts):
        expected = "a path inside the repository, such as enclave/docker-compose.yml"
        raise Malformed(
            "not a path inside the repository", where=f"{table.where}.file", got=shown(text, 60), expected=expected
        )
    return text


def _allowed_envs(table: Fields) -> tuple[str, ...]:
    names = table.texts("allowed_envs", max_items=256, max_chars=256) if "allowed_envs" in table else ()
    for name in names:
        if not _ENVIRONMENT_VARIABLE.fullmatch(name) or names.count(name) > 1:
            raise Malformed(
                "not a variable's name, or named twice", where=f"{table.where}.allowed_envs", got=shown(name, 60)
            )
    return tuple(sorted(names))
