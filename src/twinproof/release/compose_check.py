"""What may not be in an app-compose text that is going to be deployed: each finding with the place and the reason.

A release text is refused for what a verifier would only warn about: images that are not named by digest, values of one
machine, secrets (the text is public), and keys that nobody reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twinproof.dstack.app_compose import parse_app_compose
from twinproof.dstack.compose_file import scan_compose_file
from twinproof.release.compose_document import compose_document
from twinproof.release.compose_keys import APP_COMPOSE_KEYS, SERVICE_KEYS, TOP_LEVEL_KEYS
from twinproof.wire import parse_object, shown

__all__ = ["Finding", "check_app_compose"]

WHERE = "docker_compose_file"
_SECRET_NAME = re.compile(
    r"(?i)(?:^|_)(?:password|passwd|secret|token|api_?key|private_?key|mnemonic|credentials?|auth)(?:_|$)", re.ASCII
)
_SECRET_VALUES = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})")),
    ("an AWS key id", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("an API key", re.compile(r"\b(?:sk|pk|rk|phak)[-_](?:[a-z]+[-_])*[A-Za-z0-9]{20,}\b")),
    ("a web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.")),
    ("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@")),
)
_PRIVATE_KEY_HEX = re.compile(r"(?<![0-9A-Za-z:])(?:0x)?[0-9a-fA-F]{64}(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Finding:
    """`id` is stable: mutable_image, machine_specific, secret, unknown_key, unmeasured, unread."""

    id: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text} [{self.id}]"


def check_app_compose(text: str, machine_words: Sequence[str]) -> tuple[Finding, ...]:
    """Every finding in the text. `machine_words` are names, hosts and ids of machines: none may occur.

    Raises Malformed when the text cannot be read at all.
    """
    compose = parse_app_compose(text)
    raw = parse_object(text, "app-compose", max_bytes=8 << 20).raw
    findings = [*_unknown(raw, APP_COMPOSE_KEYS, "app-compose")]
    if compose.docker_compose_file is None:
        findings.append(Finding("unread", "app-compose", "there is no docker_compose_file, so nothing names an image"))
    else:
        findings += _compose_file(compose.docker_compose_file)
    findings += _machine_words(raw, machine_words)
    findings += _secrets(raw)
    return tuple(findings)


def _compose_file(text: str) -> Iterator[Finding]:
    document = compose_document(text, WHERE)
    yield from _unknown(document, TOP_LEVEL_KEYS, WHERE)
    services = document.get("services")
    if not isinstance(services, dict) or not services:
        yield Finding("unread", WHERE, "there are no services")
        return
    for name, service in services.items():
        where = f"{WHERE}: services.{shown(name, 40)}"
        if not isinstance(service, dict):
            yield Finding("unread", where, "not a map")
            continue
        yield from _unknown(service, SERVICE_KEYS, where)
        if "image" not in service:
            yield Finding("mutable_image", where, "no image named by digest; what is built in the VM is not measured")
    yield from _lines(text)


def _lines(text: str) -> Iterator[Finding]:
    """What the verifiers' own scanner says about the same text: a release leaves it nothing to warn about."""
    found = scan_compose_file(text)
    for image in found.images:
        if not image.pinned:
            yield Finding(
                "mutable_image", f"{WHERE} line {image.line}", f"{shown(image.value)} is not name@sha256:<64 hex>"
            )
    for line in found.builds:
        yield Finding(
            "mutable_image", f"{WHERE} line {line}", "an image built in the VM from whatever its build fetches"
        )
    for place in found.elsewhere:
        yield Finding("unmeasured", WHERE, f"takes in another file, which is not measured ({place})")
    for name in found.variables:
        yield Finding("unmeasured", WHERE, f"${{{shown(name, 40)}}} is decided outside the measured text")
    for line, why in found.doubts:
        yield Finding("unread", f"{WHERE} line {line}", f"cannot be vouched for: {why}")


def _unknown(document: dict[str, Any], known: frozenset[str], where: str) -> Iterator[Finding]:
    for name in document:
        if name not in known and not name.startswith("x-"):
            yield Finding("unknown_key", where, f"{shown(name, 40)}: nobody reads this key, and it changes the hash")


def _machine_words(raw: object, words: Sequence[str]) -> Iterator[Finding]:
    for path, value in _texts(raw, "app-compose"):
        for word in words:
            if word and re.search(rf"(?i)(?<![0-9a-z]){re.escape(word)}(?![0-9a-z])", value):
                yield Finding(
                    "machine_specific", path, f"{shown(word)}: two machines could not share this compose hash"
                )


def _secrets(raw: object) -> Iterator[Finding]:
    for path, value in _texts(raw, "app-compose"):
        name = path.rsplit(".", 1)[-1]
        for what, pattern in _SECRET_VALUES:
            if pattern.search(value):
                yield Finding("secret", path, f"{what}: this text is public")
        if _SECRET_NAME.search(name) and value.strip() and name not in APP_COMPOSE_KEYS:
            yield Finding("secret", path, "a value under this name: this text is public")
        if path != "app-compose.key_provider_id" and _PRIVATE_KEY_HEX.search(value):
            yield Finding("secret", path, "64 hex digits, such as a private key: this text is public")


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every text in the document with its path; `NAME=value` in a list counts under its name."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == WHERE and isinstance(item, str):
                yield from _texts(compose_document(item, WHERE), WHERE)
            else:
                yield from _texts(item, f"{path}.{shown(name, 60)}")
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str) and "=" in item:
                name, _, rest = item.partition("=")
                yield f"{path}.{shown(name, 60)}", rest
            else:
                yield from _texts(item, path)
    elif isinstance(value, str):
        yield path, value
