"""What may not be in a text that is deployed: each refusal by its name, and the honest text passes."""

from __future__ import annotations

import json

import pytest

from twinproof.errors import Malformed
from twinproof.release.app_compose import render
from twinproof.release.compose_check import check_app_compose
from twinproof.release.compose_settings import ComposeSettings

IMAGE = f"ghcr.io/example/toy@sha256:{'ab' * 32}"
COMPOSE = f"services:\n  app:\n    image: {IMAGE}\n    environment:\n      ENVIRONMENT: production\n"
MACHINES = ("prod9", "prod7", "prod9.example")


def text(compose: str = COMPOSE, **members: object) -> str:
    return json.dumps(
        {"manifest_version": 2, "name": "toy", "runner": "docker-compose", "docker_compose_file": compose, **members}
    )


def found(value: str) -> set[str]:
    return {finding.id for finding in check_app_compose(value, MACHINES)}


def test_what_we_render_passes() -> None:
    template = (
        "services:\n  app:\n    image: IMAGE_REFERENCE\n    environment:\n      ENVIRONMENT: DEPLOYMENT_ENVIRONMENT\n"
    )
    settings = ComposeSettings(file="x", image="ghcr.io/example/toy", name="toy", key_provider_id="3059" + "ab" * 32)
    rendered = render(template, settings, image_digest=f"sha256:{'ab' * 32}", environment="production")
    assert check_app_compose(rendered.text, MACHINES) == ()


def with_line(line: str) -> str:
    return text(f"{COMPOSE}      {line}\n")


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        (text(COMPOSE.replace(IMAGE, "toy:1.2.0")), "mutable_image"),
        (text(COMPOSE.replace(IMAGE, "toy")), "mutable_image"),
        (text(COMPOSE.replace(IMAGE, "toy@sha256:ab")), "mutable_image"),
        (text("services:\n  app:\n    build: .\n"), "mutable_image"),
        (text("services:\n  app:\n    restart: always\n"), "mutable_image"),
        (with_line("HOST: prod9"), "machine_specific"),
        (with_line("URL: https://prod9.example/"), "machine_specific"),
        (text(name="toy-prod7"), "machine_specific"),
        (with_line("API_KEY: abc"), "secret"),
        (with_line("db_password: abc"), "secret"),
        (text("services:\n  app:\n    image: x\n    environment:\n      - GITHUB_TOKEN=abc\n"), "secret"),
        (with_line(f"X: ghp_{'a1' * 15}"), "secret"),
        (with_line("X: AKIAABCDEFGHIJKLMNOP"), "secret"),
        (with_line(f"X: sk_live_{'a1' * 12}"), "secret"),
        (with_line("X: postgres://user:pass@db/"), "secret"),
        (with_line(f"X: '0x{'4f' * 32}'"), "secret"),
        (text(pre_launch_script="-----BEGIN EC PRIVATE KEY-----"), "secret"),
        (text(kms_enable=True), "unknown_key"),
        (text(docker_config={"token": "x"}), "unknown_key"),
        (text(f"{COMPOSE}    imge: x\n"), "unknown_key"),
        (text(f"{COMPOSE}service: {{}}\n"), "unknown_key"),
        (text(f"{COMPOSE}    env_file: .env\n"), "unmeasured"),
        (with_line("X: ${HOST}"), "unmeasured"),
        (text("services: {}\n"), "unread"),
        (text("services:\n  app: 1\n"), "unread"),
        (json.dumps({"manifest_version": 2, "name": "toy", "runner": "bash", "bash_script": "x"}), "unread"),
    ],
)
def test_what_may_not_be_deployed_is_found(value: str, finding: str) -> None:
    assert finding in found(value)


def test_a_name_that_only_contains_a_machines_name_is_not_the_machine() -> None:
    assert found(with_line("X: prod90")) == set()


def test_extension_keys_are_nobodys_mistake() -> None:
    assert found(text(f"{COMPOSE}x-note: hello\n")) == set()


@pytest.mark.parametrize(
    ("compose", "what"),
    [
        ("a: [", "not a compose file"),
        ("", "no map at the top"),
        ("- a", "no map at the top"),
        ("a: 1\na: 2\n", "a key stands twice"),
        ("? [a]\n: 1\n", "a key that is no text"),
        ("a: " + "[" * 40 + "]" * 40, "nested too deeply"),
        (
            "a: &a [x, x]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(18)),
            "too large",
        ),
        ("a: !!python/object:os.system {}\n", "not a compose file"),
        ("a: 1\n---\nb: 2\n", "not a compose file"),
    ],
)
def test_a_compose_file_that_cannot_be_read_strictly_is_malformed(compose: str, what: str) -> None:
    with pytest.raises(Malformed, match=what):
        check_app_compose(text(compose), MACHINES)
