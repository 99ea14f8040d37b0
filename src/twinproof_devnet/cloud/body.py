"""The members of a request's JSON body, each with the type that the path takes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twinproof_devnet.cloud.problems import Problem, not_valid

__all__ = ["Body"]


class Body:
    """Every getter raises a Problem (422) for a member of another type. A member that is null is absent."""

    def __init__(self, members: Mapping[str, object]) -> None:
        self.members = members

    @classmethod
    def parse(cls, raw: bytes) -> Body:
        """An empty body has no members."""
        try:
            members = json.loads(raw) if raw else {}
        except (ValueError, RecursionError):
            raise Problem(400, "the body is not JSON") from None
        if not isinstance(members, dict):
            raise not_valid("", "the body is not an object")
        return cls(members)

    def has(self, name: str) -> bool:
        return self.members.get(name) is not None

    def text(self, name: str) -> str:
        value = self.members.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise not_valid(name, "not a text")
        return value

    def integer(self, name: str) -> int | None:
        value = self.members.get(name)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise not_valid(name, "not a whole number")
        return value

    def hex(self, name: str) -> bytes:
        """With or without 0x; empty when it is absent."""
        try:
            return bytes.fromhex(self.text(name).removeprefix("0x"))
        except ValueError:
            raise not_valid(name, "not hex") from None

    def digest(self, name: str) -> str:
        """64 hex digits without 0x; empty when it is absent."""
        value = self.hex(name)
        if value and len(value) != 32:
            raise not_valid(name, "not 32 bytes")
        return value.hex()

    def app_id(self, name: str) -> bytes | None:
        """20 bytes: as 0x and checksum, bare, or with `app_`."""
        value = self.text(name).removeprefix("app_").removeprefix("0x")
        if not value:
            return None
        try:
            found = bytes.fromhex(value)
        except ValueError:
            found = b""
        if len(found) != 20:
            raise not_valid(name, "not an app id")
        return found

    def child(self, name: str) -> Body:
        value = self.members.get(name)
        if not isinstance(value, dict):
            raise not_valid(name, "not an object")
        return Body(value)

    def texts(self, name: str) -> list[str]:
        value = self.members.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise not_valid(name, "not a list of texts")
        return value
