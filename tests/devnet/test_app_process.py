"""The real app as a process: built like an image, started like a container, talking to a guest agent."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from running_agent import running_agent
from twinproof_devnet.app_process import PACKAGE, AppError, AppProcess, build_image
from twinproof_devnet.guest_agent import GuestAgent

GIT_SHA = "4" * 40
BUILD_TIME = "2026-11-23T12:00:00Z"
MEASURED = {"ENVIRONMENT": "devnet"}
NONCE = "ab" * 32
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_image(tmp_path_factory.mktemp("build") / "image", git_sha=GIT_SHA, build_time=BUILD_TIME)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestAgent]:
    with running_agent(tmp_path_factory.mktemp("agent")) as (agent, _):
        yield agent


@pytest.fixture(scope="module")
def app(image: Path, agent: GuestAgent) -> Iterator[AppProcess]:
    with closing(AppProcess(image, agent.socket, MEASURED)) as app:
        yield app


def get(app: AppProcess, path: str) -> tuple[int, Any]:  # JSON is any value
    try:
        with DIRECT.open(app.url + path, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_the_process_answers_a_nonce_with_a_quote_over_its_statement(app: AppProcess, agent: GuestAgent) -> None:
    status, answer = get(app, f"/attestation?nonce={NONCE}")
    assert status == 200
    said = json.loads(answer["statement"])
    assert (said["eat_nonce"], said["git_sha"], said["build_time"]) == (NONCE, GIT_SHA, BUILD_TIME)
    assert (said["environment"], said["compose_hash"]) == ("devnet", agent.vm.compose_hash.hex())
    assert abs(said["issued_at"] - time.time()) < 60
    bound = hashlib.sha512(b"toy-example/attestation/v1:" + answer["statement"].encode()).digest()
    assert bytes.fromhex(answer["quote"])[568:632] == bound


def test_the_version_is_what_was_baked_in(app: AppProcess) -> None:
    _, version = get(app, "/version")
    assert (version["version"], version["gitSha"], version["gitShaShort"]) == ("1.0.0", GIT_SHA, GIT_SHA[:7])


def test_another_version_can_be_baked_in(tmp_path: Path, agent: GuestAgent) -> None:
    image = build_image(tmp_path / "image", version="1.2.0", git_sha=GIT_SHA, build_time=BUILD_TIME)
    with closing(AppProcess(image, agent.socket, MEASURED)) as app:
        assert get(app, "/version")[1]["version"] == "1.2.0"


def test_an_image_holds_the_code_and_its_build_info_and_nothing_from_the_checkout(image: Path) -> None:
    source = Path(__file__).resolve().parents[2] / "enclave" / "src" / PACKAGE
    names = {path.name for path in (image / PACKAGE).iterdir()}
    assert names - {"__pycache__"} == {path.name for path in source.glob("*.py")} | {"build.json"}
    assert {path.name for path in image.iterdir()} == {PACKAGE}


def test_nothing_of_the_callers_environment_reaches_the_process(
    image: Path, agent: GuestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("CALLERS_SECRET", "1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with closing(AppProcess(image, agent.socket, MEASURED)) as app:
        assert get(app, "/version")[1]["environment"] == "devnet"
        variables = Path(f"/proc/{app.pid}/environ").read_bytes().split(b"\x00")
    assert {item.partition(b"=")[0] for item in variables if item} == {
        *(b"PATH", b"PYTHONPATH", b"PYTHONDONTWRITEBYTECODE", b"DSTACK_SIMULATOR_ENDPOINT", b"ENVIRONMENT"),
    }


def test_an_environment_that_the_compose_file_does_not_say_is_not_attested(image: Path, agent: GuestAgent) -> None:
    with closing(AppProcess(image, agent.socket, {"ENVIRONMENT": "production"})) as app:
        assert "cannot attest: ENVIRONMENT is 'production'" in app.output()
        status, answer = get(app, f"/attestation?nonce={NONCE}")
    assert status == 503
    assert "measured compose file says ['devnet']" in answer["error"]


def test_without_a_guest_agent_the_process_serves_and_says_that_it_cannot_attest(image: Path, tmp_path: Path) -> None:
    with closing(AppProcess(image, tmp_path / "nobody.sock", MEASURED)) as app:
        assert "toy-example: cannot attest: no guest agent" in app.output()
        for path in (f"/attestation?nonce={NONCE}", "/signup-count"):
            status, answer = get(app, path)
            assert status == 503
            assert "no guest agent" in answer["error"]


def test_an_image_without_its_build_info_does_not_start_and_says_why(tmp_path: Path, agent: GuestAgent) -> None:
    image = build_image(tmp_path / "image", git_sha="not a commit", build_time=BUILD_TIME)
    with pytest.raises(AppError, match=r"ended with code 2: toy-example: build\.json: gitSha is not 40"):
        AppProcess(image, agent.socket, MEASURED)


def test_instances_of_one_image_run_side_by_side_and_count_for_themselves(
    app: AppProcess, image: Path, agent: GuestAgent
) -> None:
    with closing(AppProcess(image, agent.socket, MEASURED)) as other:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", other.url)
        assert other.url != app.url
        request = urllib.request.Request(other.url + "/signup", method="POST")
        with DIRECT.open(request, timeout=10) as answer:
            assert json.load(answer) == {"count": 1}
        assert get(other, "/signup-count")[1]["count"] == 1
        assert get(app, "/signup-count")[1]["count"] == 0


def test_the_process_is_gone_when_it_was_closed_and_closing_twice_is_harmless(image: Path, agent: GuestAgent) -> None:
    app = AppProcess(image, agent.socket, MEASURED)
    started = time.monotonic()
    app.close()
    app.close()
    assert time.monotonic() - started < 10
    with pytest.raises(ProcessLookupError):
        os.kill(app.pid, 0)
