"""GitHub Releases against a stand-in for its API: made once, completed by a re-run, never changed afterwards."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from toy_repository import BRANCH, VERSION, ToyRepository, toy_repository

DIGEST = f"sha256:{'7' * 64}"
TOKEN = "not-a-real-token"
Json = dict[str, Any]


@dataclass
class FakeGitHub:
    """Releases, their files and tags, as the REST API gives them; `fail` makes one kind of request fail once."""

    address: str = ""
    releases: list[Json] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fail: str = ""
    digests: bool = True
    uploads: str = ""
    spoil: Callable[[bytes], bytes] = bytes

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        assert authorization == f"Bearer {TOKEN}"
        self.asked.append(f"{method} {path.partition('?')[0]}")
        if self.fail and re.search(self.fail, self.asked[-1]):
            self.fail = ""
            return 502, {"message": "try again"}
        if "/git/ref/tags/" in path:
            commit = self.tags.get(path.rpartition("/")[2])
            return (200, {"object": {"type": "tag", "sha": f"t{commit}"}}) if commit else (404, {})
        if "/git/tags/" in path:
            return 200, {"object": {"type": "commit", "sha": path.rpartition("/")[2].removeprefix("t")}}
        if path.startswith("/upload/"):
            return self.upload(int(path.split("/")[2].partition("?")[0]), path.partition("name=")[2], body)
        return self.release(method, path, json.loads(body or b"{}"))

    def release(self, method: str, path: str, values: Json) -> tuple[int, object]:
        if method == "POST":
            release = {"id": 100 + len(self.releases), "assets": [], **values}
            release["upload_url"] = f"{self.uploads or 'http://' + self.address}/upload/{release['id']}{{?name,label}}"
            self.releases.append(release)
            return 201, release
        if method == "DELETE":
            number = int(path.rpartition("/")[2])
            for release in self.releases:
                release["assets"] = [item for item in release["assets"] if item["id"] != number]
            return 204, {}
        number = int(match[1]) if (match := re.search(r"/releases/(\d+)$", path)) else 0
        for release in self.releases:
            if release["id"] == number:
                release.update(values)
                return 200, release
        return 200, self.releases if "page=1" in path else []

    def upload(self, number: int, name: str, body: bytes) -> tuple[int, object]:
        data = self.spoil(body)
        asset = {"id": 900 + number, "name": name, "state": "uploaded"}
        if self.digests:
            asset["digest"] = f"sha256:{hashlib.sha256(data).hexdigest()}"
        next(item for item in self.releases if item["id"] == number)["assets"].append(asset)
        return 201, asset


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    fake = FakeGitHub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, value = fake.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(0 if status == 204 else len(data)))
            self.end_headers()
            if status != 204:
                self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = reply  # noqa: N815  (the base class's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield fake
        server.shutdown()


@pytest.fixture
def repository(tmp_path: Path, github: FakeGitHub) -> ToyRepository:
    made = toy_repository(tmp_path)
    assert made.bump("minor")[0] == 0
    pushed(made, github, "v1.1.0")
    return made


def pushed(repository: ToyRepository, github: FakeGitHub, tag: str) -> None:
    repository.git("push", "-q", "--atomic", "origin", BRANCH, tag)
    github.tags[tag] = repository.git("rev-parse", f"{tag}^{{commit}}")


def release(
    repository: ToyRepository, github: FakeGitHub, tag: str = "v1.1.0", digest: str = DIGEST
) -> tuple[int, str, str]:
    compose = repository.home / f"{tag}.json"
    if not compose.exists():
        rendered = repository.twinproof("compose", "hash", "--image-digest", DIGEST, "--output", str(compose))
        assert rendered[0] == 0, rendered
    return repository.twinproof(
        *("release", "github", tag, "--image-digest", digest, "--app-compose", str(compose)),
        *("--outputs", str(repository.home / "outputs")),
        GITHUB_TOKEN=TOKEN,
        GITHUB_REPOSITORY="example/toy-example",
        GITHUB_API_URL=f"http://{github.address}",
    )


def deploys(repository: ToyRepository) -> str:
    return (repository.home / "outputs").read_text().splitlines()[-1]


def changes(github: FakeGitHub) -> list[str]:
    found = [line for line in github.asked if not line.startswith("GET")]
    github.asked.clear()
    return found


def test_29_a_release_that_is_absent_is_made_as_a_draft_filled_and_published_last(
    repository: ToyRepository, github: FakeGitHub
) -> None:
    code, out, err = release(repository, github)
    assert (code, out, err) == (0, "v1.1.0: published\n", "")
    assert [line.split()[0] for line in changes(github)] == ["POST", "POST", "PATCH"]
    (made,) = github.releases
    assert (made["tag_name"], made["draft"], made["prerelease"], made["make_latest"]) == (
        "v1.1.0",
        False,
        False,
        "true",
    )
    assert [asset["name"] for asset in made["assets"]] == ["app-compose.json"]
    for text in ("### Added", "- A counter per instance", repository.git("rev-parse", "HEAD"), DIGEST, "Compose hash"):
        assert text in made["body"]
    assert "the first version" not in made["body"].lower()
    assert deploys(repository) == "deploy=true"


def test_the_notes_that_are_printed_are_those_of_the_release(repository: ToyRepository, github: FakeGitHub) -> None:
    assert release(repository, github)[0] == 0
    compose = str(repository.home / "v1.1.0.json")
    code, out, _ = repository.twinproof(
        "release", "notes", "v1.1.0", "--image-digest", DIGEST, "--app-compose", compose
    )
    assert (code, out) == (0, github.releases[0]["body"])


def test_39_a_rerun_changes_nothing_and_makes_no_second_release(repository: ToyRepository, github: FakeGitHub) -> None:
    assert release(repository, github)[0] == 0
    changes(github)
    github.releases[0]["body"] = github.releases[0]["body"].replace("\n", "\r\n")  # as GitHub may give it back
    code, out, _ = release(repository, github)
    assert (code, out) == (0, "v1.1.0: already published, and the same\n")
    assert changes(github) == []
    assert deploys(repository) == "deploy=true"


def test_the_first_release_ever_says_everything_since_the_beginning(
    repository: ToyRepository, github: FakeGitHub
) -> None:
    repository.git("tag", "-d", "v1.0.0")
    repository.git("push", "-q", "origin", ":v1.0.0")
    assert release(repository, github)[0] == 0
    assert "- The first version (" in github.releases[0]["body"]
    assert "- A counter per instance (" in github.releases[0]["body"]


@pytest.mark.parametrize("step", ["POST /upload", "PATCH", "POST .*releases$"])
def test_32_a_run_that_was_cut_off_is_completed_by_the_next(
    repository: ToyRepository, github: FakeGitHub, step: str
) -> None:
    github.fail = step
    code, out, err = release(repository, github)
    assert (code, out) == (5, "")
    assert "status 502" in err
    assert all(item["draft"] for item in github.releases)
    assert release(repository, github)[0] == 0
    assert len(github.releases) == 1
    assert not github.releases[0]["draft"]
    assert len(github.releases[0]["assets"]) == 1


def test_29_a_draft_that_differs_is_edited(repository: ToyRepository, github: FakeGitHub) -> None:
    assert release(repository, github)[0] == 0
    github.releases[0].update({"draft": True, "body": "half of it"})
    github.releases[0]["assets"][0]["digest"] = f"sha256:{'0' * 64}"
    assert release(repository, github)[0] == 0
    (made,) = github.releases
    assert not made["draft"]
    assert "### Added" in made["body"]
    assert [asset["digest"][:10] for asset in made["assets"]] != ["sha256:000"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"body": "other notes"}, "the notes"),
        ({"prerelease": True}, "whether it is a pre-release"),
        ({"assets": []}, "the file app-compose.json"),
        ({"assets": [{"id": 1, "name": "app-compose.json", "digest": "sha256:00", "state": "uploaded"}]}, "the file"),
    ],
)
def test_29_a_published_release_that_differs_is_refused_and_left(
    repository: ToyRepository, github: FakeGitHub, change: Json, named: str
) -> None:
    assert release(repository, github)[0] == 0
    github.releases[0].update(change)
    changes(github)
    code, out, err = release(repository, github)
    assert (code, out) == (4, "")
    assert f"differs in {named}" in err
    assert changes(github) == []


def test_31_a_tag_that_was_made_again_on_another_commit_is_refused(
    repository: ToyRepository, github: FakeGitHub
) -> None:
    assert release(repository, github)[0] == 0
    repository.commit("docs: more")
    repository.git("tag", "-f", "-a", "-m", "v1.1.0", "v1.1.0")
    repository.git("push", "-qf", "origin", BRANCH, "v1.1.0")
    code, _, err = release(repository, github)
    assert code == 4
    assert "GitHub has this tag at another commit" in err
    github.tags["v1.1.0"] = repository.git("rev-parse", "HEAD")
    code, _, err = release(repository, github)
    assert code == 4
    assert "published and differs in the notes" in err


def test_30_a_pre_release_is_marked_is_not_the_latest_and_is_not_deployed(
    repository: ToyRepository, github: FakeGitHub
) -> None:
    for path in (VERSION, "enclave/pyproject.toml"):
        repository.write(path, (repository.top / path).read_text().replace('"1.1.0"', '"1.2.0-rc.1"'))
    repository.commit("feat: a candidate")
    repository.git("tag", "v1.2.0-rc.1")
    pushed(repository, github, "v1.2.0-rc.1")
    assert release(repository, github, "v1.2.0-rc.1")[0] == 0
    (made,) = github.releases
    assert (made["prerelease"], made["make_latest"]) == (True, "false")
    assert "- A candidate" in made["body"]
    assert "A counter" not in made["body"]
    assert deploys(repository) == "deploy=false"


def test_38_a_rerun_of_an_older_version_does_not_deploy_over_a_newer_one(
    repository: ToyRepository, github: FakeGitHub
) -> None:
    assert release(repository, github)[0] == 0
    repository.commit("feat: more")
    assert repository.bump("minor")[0] == 0
    pushed(repository, github, "v1.2.0")
    assert release(repository, github, "v1.2.0")[0] == 0
    assert deploys(repository) == "deploy=true"
    assert release(repository, github)[0] == 0
    assert deploys(repository) == "deploy=false"


def test_an_upload_that_arrives_as_something_else_is_not_published(
    repository: ToyRepository, github: FakeGitHub
) -> None:
    github.spoil = lambda data: data[:-1]
    code, _, err = release(repository, github)
    assert code == 3
    assert "does not hold what was uploaded" in err
    assert github.releases[0]["draft"]


def test_the_token_goes_to_no_other_host(repository: ToyRepository, github: FakeGitHub) -> None:
    github.uploads = "http://127.0.0.1:9"
    code, _, err = release(repository, github)
    assert code == 5
    assert "files would go to another host" in err


def test_a_token_is_not_sent_without_tls(repository: ToyRepository, github: FakeGitHub) -> None:
    github.address = "example.invalid"
    code, _, err = release(repository, github)
    assert code == 2
    assert "over TLS only" in err
    assert TOKEN not in err


def test_an_app_compose_text_of_another_image_is_refused(repository: ToyRepository, github: FakeGitHub) -> None:
    code, _, err = release(repository, github, digest=f"sha256:{'8' * 64}")
    assert (code, changes(github)) == (4, [])
    assert "does not deploy this image" in err


@pytest.mark.parametrize(("name", "value"), [("GITHUB_TOKEN", ""), ("GITHUB_REPOSITORY", "no/such/name")])
def test_what_the_environment_lacks_is_named(repository: ToyRepository, name: str, value: str) -> None:
    compose = str(repository.home / "c.json")
    repository.twinproof("compose", "hash", "--image-digest", DIGEST, "--output", compose)
    environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "a/b", name: value}
    code, out, err = repository.twinproof(
        *("release", "github", "v1.1.0", "--image-digest", DIGEST, "--app-compose", compose), **environment
    )
    assert (code, out) == (2, "")
    assert name in err
