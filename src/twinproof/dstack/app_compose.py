"""app-compose.json: the text whose exact bytes are measured, and what it leaves unmeasured.

compose_hash = SHA-256 of the UTF-8 bytes as they were delivered. Nothing is normalised: the same members in another
order are another compose hash. Unknown members are legal (and hashed).
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.memo import remembered
from twinproof.wire import Fields, parse_object, shown

__all__ = ["AppCompose", "compose_hash", "parse_app_compose"]

MAX_APP_COMPOSE_BYTES = 8 << 20
KEY_PROVIDERS = ("none", "kms", "local", "tpm")


@remembered
def compose_hash(text: str) -> bytes:
    """SHA-256 (32 bytes) of the text's UTF-8 bytes. Raises Malformed for half a surrogate pair, which has none."""
    try:
        return hashlib.sha256(text.encode()).digest()
    except UnicodeEncodeError as error:
        raise Malformed("text with half a surrogate pair", where=f"app-compose character {error.start}") from error


class AppCompose(NamedTuple):
    """The members that decide what runs and what is left open. `text` is the exact text."""

    text: str
    manifest_version: str
    name: str
    runner: str
    docker_compose_file: str | None
    bash_script: str | None
    pre_launch_script: str | None
    init_scripts: tuple[str, ...]
    features: tuple[str, ...]
    allowed_envs: tuple[str, ...]
    public_logs: bool
    public_sysinfo: bool
    public_tcbinfo: bool
    key_provider: str
    """`none`, `kms`, `local` or `tpm`, after dstack's defaults."""
    key_provider_id: bytes
    no_instance_id: bool
    secure_time: bool
    has_requirements: bool

    @property
    def compose_hash(self) -> bytes:
        return compose_hash(self.text)


@remembered
def parse_app_compose(text: str) -> AppCompose:
    """Read the members used here with their types and defaults. Raises Malformed."""
    fields = parse_object(text, "app-compose", max_bytes=MAX_APP_COMPOSE_BYTES)
    return AppCompose(
        text=text,
        manifest_version=_manifest_version(fields),
        name=fields.text("name", max_chars=4096),
        runner=fields.text("runner", max_chars=256),
        docker_compose_file=_text(fields, "docker_compose_file"),
        bash_script=_text(fields, "bash_script"),
        pre_launch_script=_text(fields, "pre_launch_script"),
        init_scripts=_init_scripts(fields),
        features=fields.texts("features") if _set(fields, "features") else (),
        allowed_envs=fields.texts("allowed_envs") if _set(fields, "allowed_envs") else (),
        public_logs=_flag(fields, "public_logs"),
        public_sysinfo=_flag(fields, "public_sysinfo"),
        public_tcbinfo=_flag(fields, "public_tcbinfo", default=True),
        key_provider=_key_provider(fields),
        key_provider_id=fields.hex("key_provider_id", max_size=1024) if _set(fields, "key_provider_id") else b"",
        no_instance_id=_flag(fields, "no_instance_id"),
        secure_time=_flag(fields, "secure_time", default=True),
        has_requirements=_set(fields, "requirements"),
    )


def _set(fields: Fields, name: str) -> bool:
    return fields.raw.get(name) is not None


def _text(fields: Fields, name: str) -> str | None:
    return fields.text(name, max_chars=MAX_APP_COMPOSE_BYTES) if _set(fields, name) else None


def _flag(fields: Fields, name: str, *, default: bool = False) -> bool:
    return fields.boolean(name) if _set(fields, name) else default


def _manifest_version(fields: Fields) -> str:
    """An integer 1 or 2, or a decimal text; version 3 exists as text only, so that old guests refuse it."""
    value = fields.raw.get("manifest_version")
    if isinstance(value, str):
        if value not in {"1", "2", "3"}:
            raise Malformed("unknown manifest version", where="app-compose.manifest_version", got=shown(value))
        return value
    return str(fields.integer("manifest_version", low=1, high=2))


def _init_scripts(fields: Fields) -> tuple[str, ...]:
    if isinstance(fields.raw.get("init_script"), list):
        return fields.texts("init_script", max_items=5, max_chars=MAX_APP_COMPOSE_BYTES)
    script = _text(fields, "init_script")
    return (script,) if script else ()


def _key_provider(fields: Fields) -> str:
    """The explicit provider; else what the older switches meant: kms before local before none."""
    if _set(fields, "key_provider"):
        provider = fields.text("key_provider", max_chars=64)
        if provider not in KEY_PROVIDERS:
            raise Malformed(
                "unknown key provider",
                where="app-compose.key_provider",
                got=shown(provider),
                expected=", ".join(KEY_PROVIDERS),
            )
        return provider
    if _flag(fields, "kms_enabled"):
        return "kms"
    return "local" if _flag(fields, "local_key_provider_enabled") else "none"
