"""GitHub Releases over its REST API: read, then done step by step as planned.

Source: docs.github.com/rest/releases. A draft is found only in the list; under its tag there is none yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from twinproof.errors import Contradiction, Malformed, Refused, Unavailable
from twinproof.release.github_release import Plan, Published, Wanted
from twinproof.sources.api import Answer, ask
from twinproof.urls import origin
from twinproof.wire import Fields, parse_json, parse_object

__all__ = ["GitHub"]

PAGES, PER_PAGE = 50, 100
MAX_ASSET = 64 << 20
_OK, _CREATED, _NO_CONTENT = 200, 201, 204


@dataclass(frozen=True, slots=True)
class GitHub:
    """`api` is `https://api.github.com`, `repository` is `owner/name`."""

    api: str
    repository: str
    token: str = field(repr=False)

    def commit_of_tag(self, tag: str) -> str | None:
        """The commit that GitHub has under this tag; None when there is no such tag."""
        answer = self._ask("GET", f"{self._top}/git/ref/tags/{quote(tag, safe='')}")
        if answer.status == 404:
            return None
        reference = _object(answer, "the tag").child("object")
        kind, name = reference.text("type"), reference.text("sha", max_chars=64)
        if kind == "tag":
            inner = _object(self._ask("GET", f"{self._top}/git/tags/{quote(name, safe='')}"), "the tag").child("object")
            kind, name = inner.text("type"), inner.text("sha", max_chars=64)
        if kind != "commit":
            raise Malformed("the tag is not on a commit", where=tag, got=kind)
        return name

    def releases(self) -> tuple[Fields, ...]:
        """Every release, drafts too, as GitHub lists them."""
        found: list[Fields] = []
        for page in range(1, PAGES + 1):
            answer = self._ask("GET", f"{self._top}/releases?per_page={PER_PAGE}&page={page}")
            if answer.status != _OK:
                raise answer.unexpected("the releases were not listed")
            listed = parse_json(answer.body, "releases", max_bytes=8 << 20)
            if not isinstance(listed, list):
                raise Malformed("not a list of releases", where="releases")
            found += [Fields(item, "release") for item in listed]
            if len(listed) < PER_PAGE:
                return tuple(found)
        raise Unavailable("more releases than are read", where=self.repository, expected=f"{PAGES * PER_PAGE}")

    def published_tags(self) -> frozenset[str]:
        """The tags that have a published release."""
        releases = self.releases()
        return frozenset(item.text("tag_name", max_chars=300) for item in releases if not item.boolean("draft"))

    def release(self, tag: str) -> Published | None:
        """The release of this tag, draft or published. Raises Refused when there are several."""
        matching = [item for item in self.releases() if item.text("tag_name", max_chars=300) == tag]
        if len(matching) > 1:
            raise Refused("several releases of one tag", where=tag, hint="delete the drafts that are not wanted")
        return self._published(matching[0]) if matching else None

    def carry_out(self, plan: Plan, wanted: Wanted, found: Published | None, files: Mapping[str, bytes]) -> None:
        """Do what is planned, publishing last. A run that ends midway leaves a draft that the next one completes."""
        if plan.nothing:
            return
        text = {"tag_name": wanted.tag, "name": wanted.tag, "body": wanted.body, "prerelease": wanted.prerelease}
        if found is None:
            answer = self._ask("POST", f"{self._top}/releases", {**text, "draft": True})
            if answer.status != _CREATED:
                raise answer.unexpected("the release was not made")
            release = _object(answer, "release")
        else:
            release = _object(self._ask("GET", f"{self._top}/releases/{found.id}"), "release")
            if plan.edit:
                self._edit(found.id, {**text, "draft": True})
            for name in plan.delete:
                answer = self._ask("DELETE", f"{self._top}/releases/assets/{found.asset_ids[name]}")
                if answer.status != _NO_CONTENT:
                    raise answer.unexpected("the file was not removed from the draft")
        number = release.integer("id")
        for name in plan.upload:
            self._upload(release, name, files[name])
        kept = self.release(wanted.tag)
        if kept is None or dict(kept.assets) != dict(wanted.assets):
            raise Contradiction("the draft does not hold what was uploaded", where=wanted.tag)
        latest = "true" if wanted.latest else "false"
        self._edit(number, {"draft": False, "prerelease": wanted.prerelease, "make_latest": latest})

    def _edit(self, number: int, values: Mapping[str, object]) -> None:
        answer = self._ask("PATCH", f"{self._top}/releases/{number}", values)
        if answer.status != _OK:
            raise answer.unexpected("the release was not changed")

    def _upload(self, release: Fields, name: str, data: bytes) -> None:
        url = f"{release.text('upload_url', max_chars=2048).partition('{')[0]}?name={quote(name, safe='')}"
        if not _may_upload(self.api, url):
            raise Unavailable("files would go to another host", got=url[:200], expected=self.api)
        headers = {**self._headers, "Content-Type": "application/octet-stream"}
        answer = ask("POST", url, headers=headers, body=data)
        if answer.status != _CREATED:
            raise answer.unexpected("the file was not uploaded")

    def _published(self, release: Fields) -> Published:
        entries = release.objects("assets")
        digests = {entry.text("name", max_chars=300): self._digest(entry) for entry in entries}
        body = release.raw.get("body")
        return Published(
            id=release.integer("id"),
            draft=release.boolean("draft"),
            tag=release.text("tag_name", max_chars=300),
            body=body if isinstance(body, str) else "",
            prerelease=release.boolean("prerelease"),
            assets=digests,
            asset_ids={entry.text("name", max_chars=300): entry.integer("id") for entry in entries},
        )

    def _digest(self, entry: Fields) -> str:
        """What GitHub says it holds; an upload that did not finish has no digest, and so is not what is wanted."""
        value = entry.raw.get("digest")
        if isinstance(value, str) and value.startswith("sha256:"):
            return value.removeprefix("sha256:")
        if entry.raw.get("state") != "uploaded":
            return ""
        url = f"{self._top}/releases/assets/{entry.integer('id')}"
        headers = {**self._headers, "Accept": "application/octet-stream"}
        answer = ask("GET", url, headers=headers, max_bytes=MAX_ASSET)
        return hashlib.sha256(answer.body).hexdigest() if answer.status == _OK else ""

    @property
    def _top(self) -> str:
        return f"{self.api}/repos/{self.repository}"

    @property
    def _headers(self) -> dict[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def _ask(self, method: str, url: str, body: Mapping[str, object] | None = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        return ask(method, url, headers={**self._headers, "Content-Type": "application/json"}, body=data)


def _object(answer: Answer, what: str) -> Fields:
    if answer.status not in (_OK, _CREATED):
        raise answer.unexpected(f"{what} could not be read")
    return parse_object(answer.body, what, max_bytes=8 << 20)


def _may_upload(api: str, url: str) -> bool:
    """Uploads go to the API's own host, or to `uploads.github.com` for `api.github.com`."""
    here, there = origin(api), origin(url)
    return here == there or (here[1], there) == ("api.github.com", ("https", "uploads.github.com", 443))
