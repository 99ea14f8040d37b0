"""The guest agent: the only source of quotes, keys and measured facts. Without it this service attests nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dstack_sdk import AsyncDstackClient

__all__ = ["AgentError", "GuestAgent", "Identity", "Key", "QuoteAnswer", "SdkGuestAgent"]

TIMEOUT_SECONDS = 10.0
"""For each call."""
KEY_BYTES = 32
_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
Answer = TypeVar("Answer")


class AgentError(Exception):
    """The guest agent is not there, or said something that cannot be right."""


@dataclass(frozen=True, slots=True)
class QuoteAnswer:
    """As the agent gave it: hex and JSON texts."""

    quote: str
    event_log: str
    vm_config: str


@dataclass(frozen=True, slots=True)
class Key:
    """A secp256k1 private key (32 bytes) and the KMS's signatures over it (hex)."""

    secret: bytes
    signature_chain: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Measured facts of this VM, in lower-case hex, and the compose text behind the hash."""

    app_id: str
    instance_id: str
    compose_hash: str
    app_compose: str


class GuestAgent(Protocol):
    """What this service needs of it."""

    async def identity(self) -> Identity: ...
    async def quote(self, report_data: bytes) -> QuoteAnswer: ...
    async def key(self, path: str) -> Key: ...


class SdkGuestAgent:
    """The official client, with a time limit, and with one kind of error."""

    async def identity(self) -> Identity:
        async with _client() as client:
            info = await _limited(client.info())
        app_compose = info.tcb_info.app_compose
        compose_hash = hashlib.sha256(app_compose.encode()).hexdigest()
        if info.compose_hash not in ("", compose_hash):
            raise AgentError("the guest agent's compose hash is not the hash of its app-compose")
        app_id, instance_id = info.app_id.lower(), info.instance_id.lower()
        if not _ID.fullmatch(app_id) or (instance_id and not _ID.fullmatch(instance_id)):
            raise AgentError(
                f"the guest agent's app id {app_id!r} or instance id {instance_id!r} is not 20 bytes of hex"
            )
        return Identity(app_id, instance_id, compose_hash, app_compose)

    async def quote(self, report_data: bytes) -> QuoteAnswer:
        async with _client() as client:
            answer = await _limited(client.get_quote(report_data))
        return QuoteAnswer(answer.quote, answer.event_log, answer.vm_config)

    async def key(self, path: str) -> Key:
        async with _client() as client:
            answer = await _limited(client.get_key(path, path))
        try:
            secret = bytes.fromhex(answer.key)
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise AgentError(f"the guest agent's key is not {KEY_BYTES} bytes of hex")
        return Key(secret, tuple(answer.signature_chain))


def _client() -> AsyncDstackClient:
    try:
        return AsyncDstackClient(timeout=TIMEOUT_SECONDS)
    except OSError as error:
        raise AgentError(f"no guest agent: {error}") from error


async def _limited(answer: Awaitable[Answer]) -> Answer:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await answer
    except Exception as error:
        raise AgentError(f"the guest agent did not answer: {type(error).__name__}: {error}") from error


def allowed_envs(app_compose: str) -> frozenset[str]:
    """Names that whoever deploys may set without changing the compose hash. Raises AgentError."""
    try:
        names = json.loads(app_compose).get("allowed_envs") or []
        return frozenset(str(name) for name in names)
    except (ValueError, AttributeError, TypeError) as error:
        raise AgentError("the app-compose cannot be read") from error
