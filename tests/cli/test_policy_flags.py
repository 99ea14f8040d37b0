"""--policy, --profile and [policy]: which one applies, and what contradicts it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from twinproof.cli.main import build_parser, main
from twinproof.cli.settings import read_settings
from twinproof.errors import UsageError
from twinproof.policy import Policy

PINS = '[policy]\nversion = "1.2.0"\n'


@pytest.fixture(autouse=True)
def _an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parsed(*flags: str) -> argparse.Namespace:
    return build_parser().parse_args(["verify", "x", *flags])


def policy(*flags: str) -> Policy:
    return read_settings(parsed(*flags)).policy


def written(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_without_a_policy_the_profile_strict_applies() -> None:
    assert policy().digest == Policy().digest == policy("--profile", "strict").digest


def test_the_policy_of_twinproof_toml_applies() -> None:
    written("twinproof.toml", PINS)
    assert policy().pins.version == "1.2.0"


def test_a_policy_file_replaces_the_one_of_twinproof_toml() -> None:
    written("twinproof.toml", PINS)
    assert policy("--policy", written("other.toml", '[policy]\ngit_sha = "4"\n')).pins.version is None


def test_flags_add_to_the_policy() -> None:
    written("twinproof.toml", f"{PINS}min_tcb_evaluation = 17\nrequire = ['fresh']\n")
    found = policy("--expect", "git_sha=4", "--min-tcb-evaluation", "16", "--require", "image,compare.fresh")
    assert (found.pins.version, found.pins.git_sha) == ("1.2.0", "4")
    assert found.minimum_tcb_evaluation_data_number == 17
    assert found.required == {"fresh", "image"}


def test_a_flag_that_pins_another_value_than_the_policy_is_an_error() -> None:
    written("twinproof.toml", PINS)
    assert policy("--expect", "version=1.2.0").pins.version == "1.2.0"
    with pytest.raises(UsageError, match="pins another value"):
        policy("--expect", "version=1.3.0")


def test_a_profile_that_is_not_the_policys_is_an_error() -> None:
    written("twinproof.toml", PINS)
    with pytest.raises(UsageError, match="another profile"):
        policy("--profile", "intel")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "an empty policy file"),
        ("[policy]\n", "pins nothing"),
        ('[policy]\nverison = "1"\n', "unknown key"),
        ('version = "1"\n', "unknown key"),
        ("[policy", "not a TOML file"),
        ('[[policy]]\nversion = "1"\n', "not a JSON object"),
    ],
)
def test_a_policy_file_with_a_mistake_is_exit_2(text: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "x", "--policy", written("policy.toml", text)]) == 2
    error = capsys.readouterr().err
    assert what in error
    assert "policy.toml" in error


def test_a_policy_in_twinproof_toml_with_a_mistake_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    written("twinproof.toml", "[policy]\nmax_clock_skew_seconds = 5\n")
    assert main(["verify", "x"]) == 2
    assert "pins nothing" in capsys.readouterr().err
