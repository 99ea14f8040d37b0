"""The text that is deployed: the same bytes for the same inputs, one for all machines, another per environment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from dstack_sdk.get_compose_hash import AppCompose as SdkAppCompose
from dstack_sdk.get_compose_hash import get_compose_hash

from twinproof.cli.configuration import read_configuration
from twinproof.dstack.unmeasured import unmeasured_inputs
from twinproof.errors import Malformed, UsageError
from twinproof.release.app_compose import RenderedCompose, render
from twinproof.release.compose_settings import ComposeSettings, read_compose_settings
from twinproof.wire import Fields
from twinproof_devnet.compose import ToyApp, app_compose

ROOT = Path(__file__).resolve().parents[2]
DIGEST = f"sha256:{'ab' * 32}"
TEMPLATE = (ROOT / "enclave" / "docker-compose.yml").read_text(encoding="utf-8")


def settings() -> ComposeSettings:
    found = read_configuration(str(ROOT / "twinproof.toml")).compose
    assert found is not None
    return found


def rendered(template: str = TEMPLATE, *, environment: str = "production", digest: str = DIGEST) -> RenderedCompose:
    return render(template, settings(), image_digest=digest, environment=environment)


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert rendered().text.encode() == rendered().text.encode()
    assert list(json.loads(rendered().text)) == sorted(json.loads(rendered().text))


def test_the_hash_is_the_one_of_dstacks_own_sdk() -> None:
    assert rendered().compose_hash.hex() == get_compose_hash(SdkAppCompose(**json.loads(rendered().text)))


def test_production_and_staging_have_different_hashes() -> None:
    assert rendered().compose_hash != rendered(environment="staging").compose_hash


def test_another_image_is_another_hash() -> None:
    assert rendered().compose_hash != rendered(digest=f"sha256:{'cd' * 32}").compose_hash


def test_no_machine_is_named_in_the_text() -> None:
    assert not re.search("prod7|prod9", rendered().text)


def test_every_setting_is_part_of_the_hash() -> None:
    base = settings()
    changed = [
        base._replace(name="other"),
        base._replace(image="ghcr.io/example/other"),
        base._replace(key_provider_id="30"),
        base._replace(gateway_enabled=False),
        base._replace(public_logs=True),
        base._replace(public_sysinfo=True),
        base._replace(public_tcbinfo=False),
        base._replace(allowed_envs=("A",)),
    ]
    texts = {render(TEMPLATE, item, image_digest=DIGEST, environment="production").text for item in [base, *changed]}
    assert len(texts) == len(changed) + 1


def test_nothing_in_the_text_is_left_to_a_registry_or_the_environment() -> None:
    notices = {notice.id for notice in unmeasured_inputs(rendered().text)}
    assert notices <= {"key_provider_unpinned", "no_requirements"}


def test_the_simulated_world_deploys_the_same_compose_file() -> None:
    """Written there a second time, independently; only comments differ."""
    ours = json.loads(rendered(environment="devnet").text)["docker_compose_file"]
    theirs = json.loads(app_compose(ToyApp(image=f"ghcr.io/example/toy-example@{DIGEST}")))["docker_compose_file"]
    assert re.sub(r"(?m)^#.*\n", "", ours) == theirs


@pytest.mark.parametrize("digest", ["latest", "sha256:ab", f"sha256:{'AB' * 32}", f"sha512:{'ab' * 32}", f"{DIGEST}\n"])
def test_an_image_is_named_by_its_digest_or_not_at_all(digest: str) -> None:
    with pytest.raises(UsageError, match="not an image digest"):
        rendered(digest=digest)


@pytest.mark.parametrize("environment", ["", "Production", "prod\n", "a: b", "${ENV}"])
def test_an_environment_is_a_plain_word(environment: str) -> None:
    with pytest.raises(UsageError, match="not the name of an environment"):
        rendered(environment=environment)


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE.replace("IMAGE_REFERENCE", "toy-example:latest"),
        TEMPLATE.replace("DEPLOYMENT_ENVIRONMENT", "production"),
        f"{TEMPLATE}  other:\n    image: IMAGE_REFERENCE\n",
        TEMPLATE.replace("image: IMAGE_REFERENCE", "image: IMAGE_REFERENCE IMAGE_REFERENCE"),
    ],
)
def test_a_placeholder_that_is_missing_or_doubled_is_refused(template: str) -> None:
    with pytest.raises(Malformed, match="exactly once"):
        rendered(template)


def test_a_template_beyond_what_the_cloud_takes_is_refused() -> None:
    with pytest.raises(Malformed, match="too large"):
        rendered(TEMPLATE + "#" * 204_800)


GOOD: dict[str, object] = {"file": "enclave/docker-compose.yml", "image": "ghcr.io/example/toy", "name": "toy"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"machine": "prod9"}, "unknown key"),
        ({"file": "/etc/passwd"}, "not a path inside the repository"),
        ({"file": "../x"}, "not a path inside the repository"),
        ({"image": "toy:latest@sha256:00"}, "not usable here"),
        ({"image": "Toy"}, "not usable here"),
        ({"name": "toy example"}, "not usable here"),
        ({"key_provider_id": "xyz"}, "not hex text"),
        ({"public_logs": "yes"}, "wrong type"),
        ({"allowed_envs": ["A", "A"]}, "named twice"),
        ({"allowed_envs": ["A=1"]}, "not a variable's name"),
    ],
)
def test_settings_that_cannot_be_part_of_a_compose_text_are_refused(change: dict[str, object], what: str) -> None:
    assert read_compose_settings(Fields(GOOD, "compose")).name == "toy"
    with pytest.raises(Malformed, match=what):
        read_compose_settings(Fields({**GOOD, **change}, "compose"))
