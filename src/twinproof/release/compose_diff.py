"""What changed between two app-compose texts, in words, before anyone allows the new one on chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twinproof.dstack.app_compose import compose_hash
from twinproof.release.compose_document import compose_document
from twinproof.wire import parse_object, shown

__all__ = ["Change", "ComposeDifference", "compose_difference"]

_IMAGE = re.compile(r"(?P<name>[^@]+)@(?P<digest>sha256:[0-9a-f]{64})", re.ASCII)
_SCRIPTS = ("pre_launch_script", "init_script", "bash_script")
_LISTS = {"ports", "volumes", "expose", "cap_add", "cap_drop", "devices", "networks", "depends_on", "security_opt"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: where it is, and what it was and is, in words."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True, slots=True)
class ComposeDifference:
    """`old_hash` and `new_hash` are 32 bytes each. Different bytes may mean the same: then `changes` is empty."""

    old_hash: bytes
    new_hash: bytes
    changes: tuple[Change, ...]

    @property
    def same_hash(self) -> bool:
        return self.old_hash == self.new_hash


def compose_difference(old: str, new: str) -> ComposeDifference:
    """Compare two app-compose texts. Raises Malformed for a text that cannot be read."""
    before, after = (parse_object(text, "app-compose", max_bytes=8 << 20).raw for text in (old, new))
    changes = (*_members(before, after), *_compose_files(before, after))
    return ComposeDifference(compose_hash(old), compose_hash(new), changes)


def _members(before: dict[str, object], after: dict[str, object]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new or name == "docker_compose_file":
            continue
        if name in _SCRIPTS:
            yield Change(name, _script(old, new))
        elif isinstance(old, list) and isinstance(new, list):
            yield from _listed(name, [str(item) for item in old], [str(item) for item in new])
        else:
            yield Change(name, _became(old, new))


def _script(old: object, new: object) -> str:
    if not old:
        return f"added, {len(str(new).splitlines())} lines that run as root"
    if not new:
        return "removed"
    return f"changed, {len(str(old).splitlines())} -> {len(str(new).splitlines())} lines that run as root"


def _became(old: object, new: object) -> str:
    if old is None:
        return f"added: {_value(new)}"
    if new is None:
        return f"removed: {_value(old)}"
    return f"{_value(old)} -> {_value(new)}"


def _value(value: object) -> str:
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return shown(text, 100) or '""'


def _listed(where: str, old: list[str], new: list[str]) -> Iterator[Change]:
    for item in (item for item in new if item not in old):
        yield Change(where, f"added {shown(item, 100)}")
    for item in (item for item in old if item not in new):
        yield Change(where, f"removed {shown(item, 100)}")
    if sorted(old) == sorted(new) and old != new:
        yield Change(where, "another order")


def _compose_files(before: dict[str, object], after: dict[str, object]) -> Iterator[Change]:
    texts = [str(raw.get("docker_compose_file") or "") for raw in (before, after)]
    if texts[0] == texts[1]:
        return
    old, new = (compose_document(text, "docker_compose_file") if text else {} for text in texts)
    if old == new:
        yield Change("docker_compose_file", "comments, spacing or order only: the same meaning, another hash")
        return
    old_services, new_services = (_map(document.get("services")) for document in (old, new))
    for name in sorted(old_services.keys() | new_services.keys()):
        where = f"service {shown(name, 40)}"
        if name not in old_services:
            yield Change(where, f"added, image {_value(_map(new_services[name]).get('image'))}")
        elif name not in new_services:
            yield Change(where, "removed")
        else:
            yield from _services(where, _map(old_services[name]), _map(new_services[name]))
    for name in sorted((old.keys() | new.keys()) - {"services"}):
        if old.get(name) != new.get(name):
            yield Change(name, _became(old.get(name), new.get(name)))


def _services(where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name == "image":
            yield Change(where, _image(str(before), str(after)))
        elif name == "environment":
            yield from _environment(where, _variables(before), _variables(after))
        elif name in _LISTS:
            yield from _listed(f"{where} {name}", _items(before), _items(after))
        else:
            yield Change(f"{where} {name}", _became(before, after))


def _image(old: str, new: str) -> str:
    before, after = _IMAGE.fullmatch(old), _IMAGE.fullmatch(new)
    if before and after and before["name"] == after["name"]:
        return f"image digest {before['digest'][:19]}... -> {after['digest'][:19]}..."
    return f"image {shown(old, 120)} -> {shown(new, 120)}"


def _environment(where: str, old: dict[str, str], new: dict[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(where, f"environment variable {shown(name, 60)} added")
        elif name not in new:
            yield Change(where, f"environment variable {shown(name, 60)} removed")
        elif old[name] != new[name]:
            yield Change(where, f"environment variable {shown(name, 60)}: {_value(old[name])} -> {_value(new[name])}")


def _variables(value: object) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(name): str(item) for name, item in value.items()}
    return {item.partition("=")[0]: item.partition("=")[2] for item in _items(value)}


def _items(value: object) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}: {item}" for name, item in value.items()]
    return [str(item) for item in value] if isinstance(value, list) else []


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
