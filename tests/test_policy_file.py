"""The [policy] table: every key is read, and what cannot have been meant is an error before anything is judged."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from twinproof.dcap.tcb import TcbStatus
from twinproof.errors import Malformed
from twinproof.policy import DAY, PROFILES, Policy
from twinproof.policy_file import KEYS, read_policy
from twinproof.wire import Fields

COMMANDS = (Path(__file__).resolve().parents[1] / "docs" / "COMMANDS.md").read_text(encoding="utf-8")


def read(text: str) -> Policy:
    return read_policy(Fields(tomllib.loads(text), "policy"))


def documented() -> str:
    match = re.search(r"```toml\n\[policy\]\n(.*?)```", COMMANDS, re.DOTALL)
    assert match
    return match[1].replace("[[policy.images]]", "[[images]]")


def test_the_documented_policy_is_read_key_by_key() -> None:
    policy = read(documented())
    assert policy.accepted_tcb_statuses == {TcbStatus.UP_TO_DATE, TcbStatus.SW_HARDENING_NEEDED}
    assert (policy.platform_grace, policy.qe_grace, policy.max_collateral_age) == (30 * DAY, 30 * DAY, 31 * DAY)
    assert policy.refused_advisories == {"INTEL-SA-00837"}
    assert policy.tolerated_advisories is not None
    assert set(policy.tolerated_advisories) == {"INTEL-SA-00615", "INTEL-SA-00657"}
    assert policy.minimum_tcb_evaluation_data_number == 18
    assert (policy.attributes.allow_service_td, policy.attributes.allow_debug) == (True, False)
    assert (policy.pins.version, policy.pins.git_sha) == ("1.2.0", "0123456789abcdef0123456789abcdef01234567")
    assert policy.pins.app_id is not None
    assert policy.pins.compose_hash is not None
    assert len(policy.kms_roots) == 1
    assert (policy.max_clock_skew, policy.max_statement_age) == (120, 600)
    assert policy.required == {"image", "fresh"}
    assert [image.version for image in policy.images] == ["0.5.4"]


def test_every_key_is_documented() -> None:
    table = COMMANDS.split("### `[policy]`")[1].split("### Machines")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) >= KEYS


def test_every_key_changes_the_digest() -> None:
    whole = tomllib.loads(documented())
    digests = {read_policy(Fields(whole, "policy")).digest}
    for name in whole:
        if name == "profile":
            continue
        without = {key: value for key, value in whole.items() if key != name}
        digests.add(read_policy(Fields(without, "policy")).digest)
    assert len(digests) == len(whole)


@pytest.mark.parametrize(
    "text", ["", 'profile = "strict"', "max_clock_skew_seconds = 60", "images = []", "require = []"]
)
def test_a_policy_that_pins_nothing_is_an_error(text: str) -> None:
    with pytest.raises(Malformed, match="pins nothing"):
        read(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('verison = "1.2.0"', "unknown key"),
        ('profile = "lenient"', "unknown profile"),
        ('accepted_tcb_statuses = ["Revoked"]', "not a TCB status that can be accepted"),
        ('accepted_tcb_statuses = ["uptodate"]', "not a TCB status that can be accepted"),
        ("accepted_tcb_statuses = []", "nothing could pass"),
        ('accepted_tcb_statuses = "UpToDate"', "wrong type"),
        ('refused_advisories = ["SA-00837"]', "not the name of an advisory"),
        ('refused_advisories = ["INTEL-SA-00837"]\ntolerated_advisories = ["intel-sa-00837"]', "both tolerated and"),
        ('accepted_tcb_statuses = ["OutOfDate"]\nplatform_grace_days = 3', "accepted for ever"),
        ("platform_grace_days = -1", "out of range"),
        ("platform_grace_days = 1.5", "wrong type"),
        ("max_collateral_age_days = 0", "out of range"),
        ("max_statement_age_seconds = true", "wrong type"),
        ('allow = ["any"]', "unknown rule"),
        ('allow = ["debug", "debug"]', "named twice"),
        ("allow_dev_images = true", "none listed"),
        ('version = ""', "an empty pin"),
        ('app_id = "00"', "wrong length"),
        ('compose_hash = "xyz"', "not hex text"),
        ('kms_roots = [""]', "no key"),
        ('kms_roots = "3059"', "wrong type"),
        ("require = [1]", "not a short string"),
    ],
)
def test_what_cannot_have_been_meant_is_an_error(text: str, what: str) -> None:
    with pytest.raises(Malformed, match=re.escape(what)):
        read(text if "require" in text else f'{text}\nrequire = ["fresh"]')


def test_an_image_listed_twice_is_an_error() -> None:
    entry = f'[[images]]\nhash = "{"ab" * 32}"\nversion = "1"\ndev = false\n'
    with pytest.raises(Malformed, match="listed twice"):
        read(entry * 2)


def test_the_profile_intel_accepts_every_status_but_revoked_and_says_each() -> None:
    policy = PROFILES["intel"]
    assert policy.accepted_tcb_statuses == set(TcbStatus) - {TcbStatus.REVOKED}
    assert policy.weakenings[0] == "the profile is intel instead of strict"
    assert len(policy.weakenings) == len(TcbStatus)
    assert any("report attributes are not judged" in text for text in policy.weakenings)


def test_a_table_made_on_the_profile_intel_keeps_what_it_does_not_say() -> None:
    policy = read('profile = "intel"\nrequire = ["fresh"]')
    assert policy.attributes.allow_any
    assert policy.accepted_tcb_statuses == PROFILES["intel"].accepted_tcb_statuses


def test_weakenings_of_a_file_are_named() -> None:
    entry = f'[[images]]\nhash = "{"ab" * 32}"\nversion = "1"\ndev = true\n'
    policy = read(f"platform_grace_days = 7\nqe_grace_days = 8\nallow_dev_images = true\n{entry}")
    assert policy.weakenings == (
        "an out-of-date platform is accepted for 7 days after its TCB date",
        "an out-of-date quoting enclave is accepted for 8 days after its TCB date",
        "development images are accepted",
    )
