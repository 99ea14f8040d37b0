"""Phala Cloud's REST API: reading what there is, proposing and confirming a change. Nothing here deletes anything.

The key goes into one header and nowhere else: not into messages, not into `repr`. A request that changes something is
never repeated by itself, for the API has no idempotency keys; whoever repeats it looks first.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeVar

from twinproof.deployments.cloud_answers import (
    Cvm,
    EnvKey,
    Node,
    Pending,
    Provision,
    read_cvm,
    read_env_key,
    read_nodes,
    read_pending,
    read_provision,
)
from twinproof.errors import Malformed, Refused, Unavailable, UsageError
from twinproof.sources.api import require_safe
from twinproof.sources.http import Fetched, HttpClient
from twinproof.sources.phala_cloud_errors import of_status
from twinproof.urls import base_url, masked
from twinproof.wire import Fields, parse_json, shown

__all__ = ["ALREADY_REGISTERED", "DEFAULT_URL", "ApiKey", "PhalaCloud"]

DEFAULT_URL = "https://cloud-api.phala.com/api/v1"
ALREADY_REGISTERED = "already-registered"
"""Stands for a transaction hash where the chain allows everything already."""
OLD, NEW = "2025-10-28", "2026-01-21"
"""API dates: the first knows a CVM's KMS by its slug, the second its node by its device id."""
_READ_TRIES, _PAUSE = 4, 0.5
_MOST_PAGES = 50
_NOT_FOUND, _TOO_MANY, _REGISTRATION_REQUIRED, _SERVER_ERROR = 404, 429, 465, 500
_KEY = re.compile(r"[\x21-\x7e]{8,512}", re.ASCII)
_SEGMENT = re.compile(r"[0-9A-Za-z_-]{1,128}", re.ASCII)
Item = TypeVar("Item")


class ApiKey:
    """The key of the API. It is sent, and otherwise only cut out of what servers say."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not _KEY.fullmatch(text):
            raise UsageError("not an API key", where="PHALA_CLOUD_API_KEY", expected="one word, such as phak_...")
        self._text = text

    def __repr__(self) -> str:
        return "ApiKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not copied")

    @property
    def header(self) -> dict[str, str]:
        return {"X-API-Key": self._text}

    def cut_from(self, value: object) -> object:
        """The same text or JSON value without the key, which a service may repeat anywhere."""
        if isinstance(value, str):
            return value.replace(self._text, "***")
        if isinstance(value, list):
            return [self.cut_from(item) for item in value]
        if isinstance(value, dict):
            return {name.replace(self._text, "***"): self.cut_from(item) for name, item in value.items()}
        return value


class PhalaCloud:
    """One account at one API. May be shared by threads."""

    def __init__(self, url: str, key: ApiKey, http: HttpClient, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Raises UsageError for an address over which a key may not go."""
        require_safe(url)
        self._url, self._key, self._http, self._pause = base_url(url), key, http, pause

    @property
    def name(self) -> str:
        return masked(self._url)

    def nodes(self) -> tuple[Node, ...]:
        return self._read("/teepods/available", read_nodes)

    def cvm(self, uuid: str) -> Cvm:
        """In the shape that names the KMS by its slug."""
        return self._read(f"/cvms/{_segment(uuid)}", read_cvm, date=OLD)

    def cvms_of(self, app_id: bytes) -> tuple[Cvm, ...]:
        """Every CVM of the app; none when the cloud does not know the app."""
        answer = self._send("GET", f"/apps/{app_id.hex()}/cvms", date=NEW)
        if answer.status == _NOT_FOUND:
            return ()
        where = "cvms of the app"
        items = _list(self._parsed(self._good(answer), where), where)
        found = self._understood(
            lambda: tuple(read_cvm(Fields(item, f"{where}[{index}]")) for index, item in enumerate(items))
        )
        for cvm in found:
            if cvm.app_id not in (None, app_id):
                raise Refused(
                    "the service lists an instance of another app",
                    where=self.name,
                    got=f"{shown(cvm.uuid, 40)} of {cvm.app_id.hex() if cvm.app_id else 'none'}",
                    expected=app_id.hex(),
                )
        return found

    def apps_named(self, name: str) -> tuple[bytes, ...]:
        """App ids of the account's apps of exactly this name, on whatever page they stand."""
        found: dict[bytes, None] = {}
        for page in range(1, _MOST_PAGES + 1):
            path = f"/apps?page={page}&page_size=100&search={_segment(name)}"
            on_page, pages = self._read(path, lambda fields: _apps(fields, name))
            found.update(dict.fromkeys(on_page))
            if page >= pages:
                return tuple(found)
        raise Unavailable(
            "too many apps to look through",
            where=self.name,
            got=f"more than {_MOST_PAGES} pages",
            hint="--app-id says which one is meant",
        )

    def env_key(self, slug: str, app_id: bytes) -> EnvKey:
        return self._read(f"/kms/{_segment(slug)}/pubkey/{app_id.hex()}", read_env_key)

    def provision(self, body: Mapping[str, object]) -> Provision:
        """Propose a first CVM. Nothing is made before `commit`."""
        return self._made(self._send("POST", "/cvms/provision", body, date=OLD), "provision", read_provision)

    def commit(self, body: Mapping[str, object]) -> Cvm:
        """Make what was provisioned."""
        return self._made(self._send("POST", "/cvms", body, date=OLD), "commit", read_cvm)

    def propose_update(self, uuid: str, changes: Mapping[str, object]) -> Pending:
        """Ask what an update needs, without making it."""
        path = f"/cvms/{_segment(uuid)}"
        return self._pending(self._send("PATCH", path, changes, date=OLD, prepare=True), "update")

    def confirm_update(self, uuid: str, pending: Pending, transaction: bytes | None) -> None:
        """Make the proposed update, by the token of its proposal or, without one, by hash and transaction."""
        if pending.token:
            path, body = f"/cvms/{_segment(uuid)}/commit-update", _commit(pending, transaction)
            self._object(self._send("POST", path, body, date=OLD), "confirmation")
            return
        if transaction is None:
            raise Unavailable("the service gave no token to confirm with", where=self.name)
        headers = {"X-Compose-Hash": pending.compose_hash.hex(), "X-Transaction-Hash": f"0x{transaction.hex()}"}
        answer = self._send("PATCH", f"/cvms/{_segment(uuid)}", {}, date=OLD, headers=headers)
        self._object(answer, "confirmation")

    def start(self, uuid: str) -> None:
        """Start a CVM that is off, with the text it has."""
        self._good(self._send("POST", f"/cvms/{_segment(uuid)}/start", {}, date=NEW))

    def propose_replica(self, uuid: str, node: int, compose_hash: bytes, encrypted_env: bytes | None) -> Pending:
        """Ask what one more instance on this node needs, without making it."""
        body: dict[str, object] = {"node_id": node, "compose_hash": compose_hash.hex()}
        if encrypted_env is not None:
            body["encrypted_env"] = encrypted_env.hex()
        path = f"/cvms/{_segment(uuid)}/replicas"
        return self._pending(self._send("POST", path, body, date=NEW, prepare=True), "replica")

    def commit_replica(self, uuid: str, pending: Pending, transaction: bytes | None) -> Cvm:
        path = f"/cvms/{_segment(uuid)}/commit-replica"
        return self._made(self._send("POST", path, _commit(pending, transaction), date=NEW), "replica", read_cvm)

    def _read(self, path: str, read: Callable[[Fields], Item], *, date: str = NEW) -> Item:
        return self._made(self._send("GET", path, date=date), path, read)

    def _made(self, answer: Fetched, what: str, read: Callable[[Fields], Item]) -> Item:
        fields = self._object(answer, what)
        return self._understood(lambda: read(fields))

    def _pending(self, answer: Fetched, what: str) -> Pending:
        if answer.status != _REGISTRATION_REQUIRED:
            self._object(answer, what)  # raises for errors
            raise Unavailable(
                f"the {what} was made although it was only to be prepared",
                where=self.name,
                got=f"status {answer.status}",
                expected="status 465",
                hint="the service ignored X-Prepare-Only; what runs now has to be looked at",
            )
        fields = self._fields(answer, what)
        return self._understood(lambda: read_pending(fields))

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        date: str,
        prepare: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        sent = {"X-Phala-Version": date, **self._key.header, **(headers or {})}
        if prepare:
            sent["X-Prepare-Only"] = "true"
        data = None if body is None else json.dumps(body).encode()
        tries = _READ_TRIES if method == "GET" else 1
        for attempt in range(1, tries + 1):
            try:
                return self._once(method, path, data, sent)
            except Unavailable:
                if attempt == tries:
                    raise
                self._pause(_PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Fetched:
        """Any answer but those that say to come back later. Raises Unavailable."""
        answer = self._http.send(
            method, self._url + path, body=data, headers=headers, max_bytes=self._http.limits.cloud_answer
        )
        if answer.status >= _SERVER_ERROR or answer.status == _TOO_MANY:
            raise of_status(answer.status, self._said(answer), f"{method} {masked(self._url + path)}")
        return answer

    def _object(self, answer: Fetched, what: str) -> Fields:
        """The answer of a request that went well. Raises the error of its status."""
        return self._fields(self._good(answer), what)

    def _fields(self, answer: Fetched, what: str) -> Fields:
        return self._understood(lambda: Fields(self._parsed(answer, what), what))

    def _parsed(self, answer: Fetched, what: str) -> object:
        """The JSON in it, without the key: not even a member that is shown in a message repeats it."""
        most = self._http.limits.cloud_answer
        return self._key.cut_from(self._understood(lambda: parse_json(answer.body, what, max_bytes=most)))

    def _understood(self, read: Callable[[], Item]) -> Item:
        """A service that answers something else says nothing about any evidence: Malformed becomes Unavailable."""
        try:
            return read()
        except Malformed as error:
            raise Unavailable(
                f"an answer that cannot be read: {error.what}",
                where=f"{self.name}: {error.where}",
                got=str(self._key.cut_from(error.got)),
                expected=error.expected,
                hint=error.hint or "is PHALA_CLOUD_API_PREFIX the whole prefix, with /api/v1?",
            ) from error

    def _good(self, answer: Fetched) -> Fetched:
        if not 200 <= answer.status < 300:
            raise of_status(answer.status, self._said(answer), masked(answer.url))
        return answer

    def _said(self, answer: Fetched) -> bytes:
        """The body for a message, without the key, however JSON may write it."""
        try:
            found = parse_json(answer.body, "answer", max_bytes=self._http.limits.cloud_answer)
        except Malformed:
            return str(self._key.cut_from(answer.body.decode("utf-8", "replace"))).encode()
        return json.dumps(self._key.cut_from(found)).encode()


def _commit(pending: Pending, transaction: bytes | None) -> dict[str, object]:
    return {
        "token": pending.token,
        "compose_hash": pending.compose_hash.hex(),
        "transaction_hash": ALREADY_REGISTERED if transaction is None else f"0x{transaction.hex()}",
    }


def _apps(fields: Fields, name: str) -> tuple[list[bytes], int]:
    """The app ids of this name on one page, and how many pages there are."""
    apps = fields.objects("dstack_apps", max_items=1000)
    found = [read_cvm(app).app_id for app in apps if app.raw.get("name") == name]
    pages = fields.integer("total_pages") if fields.raw.get("total_pages") is not None else 1
    return [app_id for app_id in found if app_id is not None], pages


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise Unavailable("not a list", where=where, got=type(value).__name__)
    return value


def _segment(text: str) -> str:
    """Part of a path, as it is: what would have to be encoded is no id, slug or name."""
    if not _SEGMENT.fullmatch(text):
        raise Unavailable("the service gave something that is no id", got=shown(text, 60))
    return text
