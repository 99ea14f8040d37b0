"""What the toy example promises, and what it refuses, with a guest agent that a test controls."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from toy_example.app import ENDPOINTS, make_app
from toy_example.build_info import BuildInfo, BuildInfoError, read_build_info
from toy_example.environment import measured_environment
from toy_example.guest_agent import AgentError, Identity, Key, QuoteAnswer
from toy_example.version import __version__
from twinproof.evidence.statement import expected_report_data, parse_statement

BUILD = BuildInfo("1.0.0", "4" * 40, "2026-11-23T12:00:00Z")
NONCE = "Ab" * 32
NOW = 1_790_000_000


def compose(**members: object) -> str:
    file = "services:\n  app:\n    environment:\n      ENVIRONMENT: production\n"
    return json.dumps({"docker_compose_file": file, "allowed_envs": [], **members})


@dataclass
class FakeAgent:
    """Answers as a guest agent would; `broken` makes it absent."""

    app_compose: str = field(default_factory=compose)
    broken: bool = False
    asked: list[bytes] = field(default_factory=list)

    def _check(self) -> None:
        if self.broken:
            raise AgentError("no guest agent: no such file")

    async def identity(self) -> Identity:
        self._check()
        return Identity("11" * 20, "22" * 20, hashlib.sha256(self.app_compose.encode()).hexdigest(), self.app_compose)

    async def quote(self, report_data: bytes) -> QuoteAnswer:
        self._check()
        self.asked.append(report_data)
        return QuoteAnswer("0400", "[]", "{}")

    async def key(self, path: str) -> Key:
        self._check()
        return Key(hashlib.sha256(path.encode()).digest(), ("aa", "bb"))


class Client:
    """Requests into the app, in process."""

    def __init__(self, agent: FakeAgent, environment: str = "production") -> None:
        self._app = make_app(BUILD, agent, environment, lambda: NOW)

    def request(self, method: str, path: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                return await client.request(method, path)

        return asyncio.run(send())

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
def client(agent: FakeAgent) -> Client:
    return Client(agent)


def test_the_index_lists_every_endpoint(client: Client) -> None:
    assert client.get("/").json()["endpoints"] == ENDPOINTS


def test_the_version_says_what_was_baked_in_and_what_is_measured(client: Client, agent: FakeAgent) -> None:
    assert client.get("/version").json() == {
        "version": "1.0.0",
        "gitSha": "4" * 40,
        "gitShaShort": "4" * 7,
        "buildTime": "2026-11-23T12:00:00Z",
        "composeHash": hashlib.sha256(agent.app_compose.encode()).hexdigest(),
        "environment": "production",
    }


def test_the_quote_signs_the_statement_with_the_callers_nonce(client: Client, agent: FakeAgent) -> None:
    client.request("POST", "/signup")
    answer = client.get(f"/attestation?nonce={NONCE}").json()
    assert set(answer) == {"schema", "statement", "quote", "event_log", "vm_config", "app_compose"}
    statement = parse_statement(answer["statement"])
    assert statement.eat_nonce == bytes.fromhex(NONCE)
    assert (statement.version, statement.signup_count, statement.issued_at) == ("1.0.0", 1, NOW)
    assert agent.asked == [expected_report_data(answer["statement"])]
    assert answer["app_compose"] == agent.app_compose


def test_the_statement_is_canonical_json(client: Client) -> None:
    text = client.get(f"/attestation?nonce={NONCE}").json()["statement"]
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert text.isascii()


@pytest.mark.parametrize(
    "query",
    ["", "?nonce=", "?nonce=00", f"?nonce={'g' * 64}", f"?nonce={NONCE}00", f"?nonce={NONCE}&nonce={NONCE}", "?n=1"],
)
def test_a_bad_nonce_is_400_with_a_reason_and_asks_for_no_quote(client: Client, agent: FakeAgent, query: str) -> None:
    answer = client.get(f"/attestation{query}")
    assert answer.status_code == 400
    assert "64 hex digits" in answer.json()["error"]
    assert agent.asked == []


def test_every_instance_counts_for_itself_from_zero(agent: FakeAgent) -> None:
    first, second = Client(agent), Client(agent)
    assert [first.request("POST", "/signup").json()["count"] for _ in range(3)] == [1, 2, 3]
    assert second.get("/signup-count").json()["count"] == 0


def test_the_count_is_signed_with_the_guest_agents_key(client: Client) -> None:
    answer = client.get("/signup-count").json()
    key = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), bytes.fromhex(answer["publicKey"]))
    key.verify(bytes.fromhex(answer["signature"]), answer["payload"].encode(), ECDSA(SHA256()))
    assert json.loads(answer["payload"])["count"] == answer["count"] == 0
    assert answer["signatureChain"] == ["aa", "bb"]


@pytest.mark.parametrize("path", ["/version", f"/attestation?nonce={NONCE}", "/signup-count"])
def test_without_a_guest_agent_nothing_is_attested_and_no_key_is_made_up(path: str) -> None:
    answer = Client(FakeAgent(broken=True)).get(path)
    assert answer.status_code == 503
    assert "no guest agent" in answer.json()["error"]


def test_health_does_not_need_the_guest_agent() -> None:
    assert Client(FakeAgent(broken=True)).get("/health").json() == {"status": "ok"}


def in_service(*lines: str) -> str:
    """The app-compose of a file in which one service has these lines."""
    return compose(docker_compose_file="\n".join(["services:", "  app:", *(f"    {line}" for line in lines), ""]))


@pytest.mark.parametrize(
    ("app_compose", "seen", "reason"),
    [
        (compose(allowed_envs=["ENVIRONMENT"]), "production", "ENVIRONMENT can be set without being measured"),
        (compose(allowed_envs=["DSTACK_SIMULATOR_ENDPOINT"]), "production", "DSTACK_SIMULATOR_ENDPOINT can be set"),
        (in_service("environment:", "  ENVIRONMENT: ${E}"), "production", "not a literal"),
        (in_service("environment:", "  ENVIRONMENT:"), "production", "not a literal"),
        (in_service("environment:", "  - ENVIRONMENT"), "production", "not a literal"),
        (in_service("environment: {ENVIRONMENT: production}"), "production", "not a literal"),
        (
            in_service("environment:", "  ENVIRONMENT: production", "  - ENVIRONMENT=${E}"),
            "production",
            "not a literal",
        ),
        (in_service("env_file: .env", "environment:", "  ENVIRONMENT: production"), "production", "env_file"),
        (
            in_service("  ENVIRONMENT: production", "  ENVIRONMENT: staging"),
            "production",
            r"\['production', 'staging'\]",
        ),
        (in_service("# ENVIRONMENT: production"), "production", r"says \[\]"),
        (compose(docker_compose_file="services: {}\n"), "production", r"says \[\]"),
        (compose(), "staging", "ENVIRONMENT is 'staging'"),
        (compose(), "", "ENVIRONMENT is ''"),
        ("{", "production", "cannot be read"),
        ("[]", "production", "cannot be read"),
    ],
    ids=[
        *("allowed env", "agent env", "substitution", "null", "no value in a list", "flow style", "literal elsewhere"),
        *("env file", "two values", "comment", "not set", "another value", "no value", "not JSON", "not an object"),
    ],
)
def test_an_environment_that_is_not_measured_is_refused(app_compose: str, seen: str, reason: str) -> None:
    with pytest.raises(AgentError, match=reason):
        measured_environment(seen, app_compose)
    agent = FakeAgent(app_compose)
    assert Client(agent, seen).get(f"/attestation?nonce={NONCE}").status_code == 503
    assert agent.asked == []


@pytest.mark.parametrize("value", ["production", "staging-2"])
@pytest.mark.parametrize("form", ["ENVIRONMENT: {}", "- ENVIRONMENT={}", 'ENVIRONMENT: "{}"'])
def test_a_literal_of_the_compose_file_is_the_environment(value: str, form: str) -> None:
    file = f"services:\n  app:\n    environment:\n      {form.format(value)}\n"
    assert measured_environment(value, compose(docker_compose_file=file)) == value


def test_build_info_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "build.json"
    for text in ("", "{}", '{"gitSha": "4", "buildTime": "2026-11-23T12:00:00Z"}', f'{{"gitSha": "{"4" * 40}"}}'):
        path.write_text(text)
        with pytest.raises(BuildInfoError):
            read_build_info(path)
    path.write_text(json.dumps({"gitSha": "4" * 40, "buildTime": "2026-11-23T12:00:00Z"}))
    assert read_build_info(path) == BUILD


def test_an_image_without_build_info_does_not_start() -> None:
    with pytest.raises(BuildInfoError, match="not baked into this image"):
        read_build_info()


def test_the_version_is_the_same_in_every_source() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "enclave" / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_the_compose_file_of_this_repository_is_one_the_app_attests_in(environment: str) -> None:
    from twinproof.cli.configuration import read_configuration
    from twinproof.release.app_compose import render

    root = Path(__file__).parents[2]
    settings = read_configuration(str(root / "twinproof.toml")).compose
    assert settings is not None
    template = (root / settings.file).read_text()
    rendered = render(template, settings, image_digest=f"sha256:{'ab' * 32}", environment=environment)
    assert measured_environment(environment, rendered.text) == environment
