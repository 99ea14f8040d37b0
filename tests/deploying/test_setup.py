"""What is wrong before anything was asked or sent: names that no record can have, keys that are not the app's."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from loopback import dead_port
from toy_repository import toy_repository
from twinproof.cli.deploy_setup import Setup, read_setup
from twinproof.cli.main import build_parser, main
from twinproof.errors import UsageError
from twinproof.release.app_compose import render
from twinproof.release.compose_settings import ComposeSettings

KEY = "7" * 64
API_KEY = "phak_a-key-of-nobody"
SECRET = "s3cret-of-the-app"
RPC = "https://rpc.example/v2/a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4"
DEVICES = ("aa" * 32, "bb" * 32)
TOML = """\
[chain]
kms = "0x{kms}"
[machines.{first}]
device_id = "{devices[0]}"
[machines.{second}]
device_id = "{devices[1]}"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the app, and the environment of somebody who deploys it; nothing answers anywhere."""
    repository = toy_repository(tmp_path)
    for name, value in repository.environment.items():
        monkeypatch.setenv(name, value)
    for name, value in {
        "PHALA_CLOUD_API_KEY": API_KEY,
        "PHALA_CLOUD_API_PREFIX": f"http://127.0.0.1:{dead_port()}/api/v1",
        "DEPLOYER_PRIVATE_KEY": f"0x{KEY}",
        "CHAIN_RPC": RPC,
        "GITHUB_TOKEN": "ghs_of-the-job",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job-too",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TOKEN": SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(repository.top)
    configure(repository.top)
    return repository.top


def configure(folder: Path, first: str = "prod9", second: str = "prod7", devices: tuple[str, str] = DEVICES) -> None:
    text = TOML.format(kms="12" * 20, first=first, second=second, devices=devices)
    (folder / "twinproof.toml").write_text(text)


def compose(folder: Path, *allowed_envs: str, **changes: object) -> str:
    """An app-compose file of the app; its name."""
    settings = ComposeSettings(
        file="enclave/docker-compose.yml",
        image="ghcr.io/example/toy-example",
        name="toy-example",
        allowed_envs=allowed_envs,
    )
    template = (folder / settings.file).read_text()
    text = render(template, settings, image_digest=f"sha256:{'ab' * 32}", environment="production").text
    path = folder / "app-compose.json"
    path.write_text(json.dumps(json.loads(text) | changes))
    return str(path)


def arguments(*flags: str) -> Namespace:
    return build_parser("deploy").parse_args(["deploy", *flags])


def setup(folder: Path, *allowed_envs: str, flags: tuple[str, ...] = (), **changes: object) -> Setup:
    return read_setup(arguments("--app-compose", compose(folder, *allowed_envs, **changes), *flags))


def test_no_secret_is_in_the_repr_of_anything_that_a_deployment_is_made_of(folder: Path) -> None:
    found = setup(folder, "TOKEN")
    assert found.brief.secrets == {"TOKEN": SECRET}
    for item in (found, found.brief, found.git, found.cloud, found.chain, found.signer, found.quorum):
        for secret in (KEY, API_KEY, SECRET, RPC):
            assert secret not in repr(item)


@pytest.mark.parametrize(
    "name",
    [
        "DEPLOYER_PRIVATE_KEY",
        "PHALA_CLOUD_API_KEY",
        "CHAIN_RPC",
        "GITHUB_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    ],
)
def test_a_change_of_allowed_envs_does_not_take_the_deployers_keys_into_the_app(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="the deployer's own keys are not secrets of the app") as caught:
        setup(folder, "TOKEN", name)
    assert caught.value.got == name


def test_the_variable_that_the_signing_key_is_in_is_the_deployers_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    with pytest.raises(UsageError, match="the deployer's own keys"):
        setup(folder, "OTHER_KEY", flags=("--key-env", "OTHER_KEY"))


@pytest.mark.parametrize("value", [KEY, f"0x{KEY.upper()}", f"key={KEY}", API_KEY])
def test_a_deployers_key_under_another_name_is_not_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TOKEN", value)
    with pytest.raises(UsageError, match="holds one of the deployer's own keys") as caught:
        setup(folder, "TOKEN")
    assert value not in str(caught.value) + caught.value.hint


def test_an_app_may_have_a_secret_of_its_own_under_such_a_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("GITHUB_TOKEN=of-the-app\n")
    found = setup(folder, "GITHUB_TOKEN", flags=("--env-file", str(tmp_path / "env")))
    assert found.brief.secrets == {"GITHUB_TOKEN": "of-the-app"}


@pytest.mark.parametrize("name", ["../../../../tmp/x", "a/b", "a b", "a\nb", "-a", ""])
def test_a_name_of_the_app_chooses_no_other_file_for_the_journal(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not the name of an app"):
        setup(folder, name=name)


@pytest.mark.parametrize("run", ["../1", "1|2", "a b", "x" * 65, "1\n2"])
def test_a_run_that_no_record_can_name_is_refused_before_anything_is_sent(
    folder: Path, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "--app-compose", compose(folder), "--run", run]) == 2
    error = capsys.readouterr().err
    assert "--run: cannot be part of a file name of a record" in error
    assert "nothing was sent" in error


@pytest.mark.parametrize(
    "tag",
    [
        "v1.0.0\n",
        "v1.0.0 ",
        "v1.0.0^{commit}",
        "v1.0.0:README.md",
        "--upload-pack=x",
        "v1.0.0/../x",
        "v\u202e1.0.0",
        "HEAD",
        "",
    ],
)
def test_a_tag_that_is_a_path_a_flag_or_a_revision_is_no_version(
    folder: Path, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["deploy"], ["ci", "deploy"]):
        assert main([*command, "--app-compose", compose(folder), f"--tag={tag}"]) == 2
        error = capsys.readouterr().err
        assert "\u202e" not in error
        assert "vX.Y.Z" in error


def test_a_transaction_of_a_deployment_costs_at_most_what_is_allowed(folder: Path) -> None:
    assert setup(folder).limits.max_cost == 10**16
    assert setup(folder, flags=("--max-cost", "0.5")).limits.max_cost == 5 * 10**17
    with pytest.raises(UsageError, match="--max-cost: not an amount of ETH"):
        setup(folder, flags=("--max-cost", "much"))


def test_digits_of_another_script_are_no_run_of_ci(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_RUN_ID", "١٢")
    assert setup(folder).brief.release.run.startswith("manual-")


@pytest.mark.parametrize("name", ['"../prod9"', '"prod 9"', "prod_9", '"a|b"'])
def test_a_machine_that_no_record_can_name_is_refused_before_anything_is_sent(folder: Path, name: str) -> None:
    configure(folder, first=name)
    with pytest.raises(UsageError, match="cannot be part of a file name of a record"):
        setup(folder)


@pytest.mark.parametrize("name", ['"\\u001b[2Jprod9"', '"prod\\u202e9"', '""', '" "', f'"{"x" * 65}"'])
def test_a_machine_whose_name_would_move_the_cursor_is_no_machine(folder: Path, name: str) -> None:
    configure(folder, first=name)
    with pytest.raises(UsageError, match="not the name of a machine"):
        setup(folder)


def test_one_device_id_under_two_names_is_not_two_machines(folder: Path) -> None:
    configure(folder, devices=(DEVICES[0], DEVICES[0]))
    with pytest.raises(UsageError, match="two machines with one device id") as caught:
        setup(folder)
    assert caught.value.got == "prod9 and prod7"
