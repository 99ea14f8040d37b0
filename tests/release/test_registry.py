"""Tags in a registry: given once, never to other content, and no header is believed."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from toy_repository import BRANCH, ToyRepository, toy_repository

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'
OTHER = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","annotations":{}}'
TYPE = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


DIGEST = digest_of(MANIFEST)


@dataclass
class FakeRegistry:
    """What a registry does for manifests, token included; the switches make it misbehave."""

    address: str = ""
    held: dict[str, bytes] = field(default_factory=lambda: {DIGEST: MANIFEST})
    puts: list[str] = field(default_factory=list)
    basic: list[str] = field(default_factory=list)
    status: int = 0
    realm: str = ""
    lie: str = ""
    keeps: bytes | None = None
    private: bool = True

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if path.startswith("/token?"):
            self.basic.append(authorization)
            return 200, json.dumps({"token": "good"}).encode(), {}
        if self.private and authorization != "Bearer good":
            realm = self.realm or f"http://{self.address}/token"
            return 401, b"{}", {"WWW-Authenticate": f'Bearer realm="{realm}",service="{self.address}"'}
        if self.status:
            return self.status, b"out of order", {}
        reference = path.rpartition("/")[2]
        if method == "PUT":
            self.puts.append(reference)
            self.held[reference] = self.keeps or body
            return 201, b"", {}
        data = self.held.get(reference)
        if data is None:
            return 404, b"{}", {}
        return 200, data, {"Content-Type": TYPE, "Docker-Content-Digest": self.lie or digest_of(data)}


@contextmanager
def running(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply("GET")

        def do_PUT(self) -> None:
            self.reply("PUT")

        def reply(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, data, headers = registry.answer(method, self.path, self.headers.get("Authorization", ""), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield registry
        server.shutdown()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry()) as one:
        yield one


@pytest.fixture
def repository(tmp_path: Path, registry: FakeRegistry) -> ToyRepository:
    """v1.1.0, whose image lives in the registry on loopback."""
    made = toy_repository(tmp_path)
    text = (made.top / "twinproof.toml").read_text(encoding="utf-8")
    made.write("twinproof.toml", text.replace("ghcr.io/example/toy-example", f"{registry.address}/owner/toy"))
    made.commit("build: another registry")
    assert made.bump("minor")[0] == 0
    made.git("push", "-q", "--atomic", "origin", BRANCH, "v1.1.0")
    return made


def publish(repository: ToyRepository, *arguments: str) -> tuple[int, str, str]:
    credentials = {"REGISTRY_USER": "someone", "REGISTRY_PASSWORD": "a password"}
    return repository.twinproof("release", "publish", "--image-digest", DIGEST, *arguments, **credentials)


def test_an_image_gets_the_tag_of_its_commit_and_of_its_version(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    commit = repository.git("rev-parse", "HEAD")
    code, out, err = publish(repository, "--tag", "v1.1.0")
    assert (code, err) == (0, "")
    assert registry.puts == [commit, "1.1.0"]
    assert registry.held["1.1.0"] == registry.held[commit] == MANIFEST
    assert out.splitlines()[1] == f"{registry.address}/owner/toy:1.1.0 is {DIGEST}"


def test_a_push_of_the_branch_gives_the_tag_of_the_commit_alone(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    assert publish(repository, "--tag", "")[0] == 0
    assert registry.puts == [repository.git("rev-parse", "HEAD")]


def test_36_the_same_image_again_is_success_and_writes_nothing(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    assert publish(repository, "--tag", "v1.1.0")[0] == 0
    registry.puts.clear()
    code, out, _ = publish(repository, "--tag", "v1.1.0")
    assert (code, registry.puts) == (0, [])
    assert out.count(", as before") == 2


@pytest.mark.parametrize("tag", ["1.1.0", "the commit"])
def test_36_another_image_under_the_same_tag_is_refused_and_no_tag_is_written(
    repository: ToyRepository, registry: FakeRegistry, tag: str
) -> None:
    registry.held[tag if tag == "1.1.0" else repository.git("rev-parse", "HEAD")] = OTHER
    code, out, err = publish(repository, "--tag", "v1.1.0")
    assert (code, out, registry.puts) == (4, "", [])
    assert "exists with other content" in err
    assert digest_of(OTHER) in err


def test_a_registry_whose_header_names_another_digest_is_not_believed(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    """It says that `:1.1.0` is the right image, and holds another."""
    registry.held["1.1.0"], registry.lie = OTHER, DIGEST
    code, out, err = publish(repository, "--tag", "v1.1.0")
    assert (code, out, registry.puts) == (3, "", [])
    assert "does not hash to its name" in err


def test_a_registry_that_answers_a_digest_with_other_bytes_is_not_believed(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    registry.held[DIGEST] = OTHER
    code, _, err = publish(repository, "--tag", "v1.1.0")
    assert (code, registry.puts) == (3, [])
    assert "does not hash to its name" in err


def test_a_registry_that_keeps_something_else_than_was_put_is_told(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    registry.keeps = OTHER
    code, _, err = publish(repository, "--tag", "v1.1.0")
    assert code == 3
    assert "something else than was put" in err


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_40_only_not_found_means_that_a_tag_is_free(
    repository: ToyRepository, registry: FakeRegistry, status: int
) -> None:
    registry.status = status
    code, out, err = publish(repository, "--tag", "v1.1.0")
    assert (code, out, registry.puts) == (5, "", [])
    assert f"status {status}" in err


def test_40_a_registry_that_is_not_there_is_exit_5(repository: ToyRepository, registry: FakeRegistry) -> None:
    text = (repository.top / "twinproof.toml").read_text(encoding="utf-8")
    repository.write("twinproof.toml", text.replace(registry.address, "127.0.0.1:9"))
    repository.commit("build: nowhere")
    code, out, err = publish(repository)
    assert (code, out) == (5, "")
    assert "Traceback" not in err


def test_an_image_that_was_not_pushed_is_refused(repository: ToyRepository, registry: FakeRegistry) -> None:
    registry.held.clear()
    code, _, err = publish(repository)
    assert (code, registry.puts) == (5, [])
    assert "no such image" in err


def test_the_password_goes_to_the_registrys_own_host_and_to_no_other(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    with running(FakeRegistry()) as thief:
        registry.realm = f"http://{thief.address}/token"
        code, _, err = publish(repository)
        assert (code, thief.basic) == (5, [])
    assert "a bearer token from its own host" in err
    assert "a password" not in err


def test_a_tag_of_another_commit_is_refused_before_the_registry_is_asked(
    repository: ToyRepository, registry: FakeRegistry
) -> None:
    repository.commit("feat: more")
    code, _, err = publish(repository, "--tag", "v1.1.0")
    assert (code, registry.basic) == (4, [])
    assert "the tag has moved" in err


@pytest.mark.parametrize("digest", ["1.1.0", "sha256:abc", f"SHA256:{'0' * 64}", f"sha256:{'0' * 64} --push"])
def test_what_is_no_digest_is_usage(repository: ToyRepository, digest: str) -> None:
    code, _, err = repository.twinproof("release", "publish", "--image-digest", digest)
    assert code == 2
    assert "not an image digest" in err
