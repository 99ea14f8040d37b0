"""`twinproof history` tells the truth about an app with three versions, a removed hash, a new owner and a dark hash."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lying_node import lying
from published_schemas import errors
from told_app import COMPOSES, DEVICE, HASHES, Told, publish, told_app
from twinproof.chain.contracts import APP_IMPLEMENTATION
from twinproof.chain.storage_layout import IMPLEMENTATION
from twinproof.chain.values import hex_data
from twinproof.cli.main import main
from twinproof.deployments.record import Anchor, Attested, Record
from twinproof.release.versions import Version
from twinproof.sources.deployment_records import Recorded, write_record
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import KmsContract


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with told_app() as told:
        yield told


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return publish(tmp_path / "releases")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a tag of each version, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = tmp_path / "repository"
    top.mkdir()
    git = ["git", "-C", str(top), "-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    for version in COMPOSES:
        subprocess.run([*git, "tag", f"v{version}"], check=True)
    monkeypatch.chdir(top)
    return top


def ask(told: Told, *more: str, url: str = "") -> list[str]:
    return [
        "history",
        "0x" + told.app.address.hex(),
        "--chain",
        url or told.chain.url,
        "--kms",
        "0x" + told.kms.address.hex(),
        *more,
    ]


@pytest.mark.parametrize("flags", [[], ["--proof"]], ids=["", "with proofs"])
def test_the_whole_past_is_told(
    told: Told, published: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ask(told, "--json", "--published", str(published), *flags)) == 4
    document = json.loads(capsys.readouterr().out)
    assert list(errors("history.v1", document)) == []
    versions = {item["compose_hash"]: item for item in document["versions"]}
    assert [item["versions"] for item in document["versions"]] == [["1.0.0"], ["1.1.0"], [], ["1.2.0"]]
    assert versions["0x" + HASHES["1.0.0"].hex()]["allowed_now"] is False
    removed = versions["0x" + HASHES["1.0.0"].hex()]["spans"][0]
    assert removed["since"]["block"] < removed["until"]["block"]
    assert removed["until"]["actor"] == "0x" + told.first_owner.address.hex()
    assert versions["0x" + told.dark.hex()]["dark"] is True
    owners = [span["value"] for span in document["spans"] if span["subject"] == "owner"]
    assert owners == ["0x" + told.first_owner.address.hex(), "0x" + told.app.owner.address.hex()]
    kinds = [finding["kind"] for finding in document["findings"]]
    assert kinds == [
        "dark",
        "published but never allowed",
        "superseded lately, still allowed",
        "superseded lately, still allowed",
    ]
    assert (document["all_published"], document["proved"], document["registered"]) == (False, bool(flags), True)
    assert all(item["spans"][0]["since"]["time"] for item in document["versions"])
    flags_at_start = {span["subject"]: span for span in document["spans"] if span["since"] is None}
    assert flags_at_start["allow any device"]["value"] is False
    assert document["not_read"] == []


def test_the_text_fits_80_columns_and_ends_in_one_verdict(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ask(told, "--published", str(published))) == 4
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for words in ("+ 1.0.0", "- 1.0.0", "+ 1.1.0", "+ DARK", "+ 1.2.0", "owner", "device"):
        assert words in out
    verdict = " ".join(out.split())
    assert "Every version that could have received keys since block 6 is published: NO, 1 dark" in verdict


def test_without_the_dark_hash_everything_is_published(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = told.kms.deploy_app(told.kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    told.chain.mine(told.chain.ledger.depths.finalized)
    command = ["history", "0x" + app.address.hex(), "--chain", told.chain.url, "--kms", "0x" + told.kms.address.hex()]
    assert main([*command, "--published", str(published)]) == 0
    assert "is published: yes" in " ".join(capsys.readouterr().out.split())


def test_what_is_not_final_is_pending_with_its_depth(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = told.kms.deploy_app(told.kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    told.chain.mine(told.chain.ledger.depths.finalized)
    app.allow(HASHES["1.1.0"])
    told.chain.mine(2)
    command = ["history", "0x" + app.address.hex(), "--chain", told.chain.url, "--kms", "0x" + told.kms.address.hex()]
    main([*command, "--published", str(published), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert list(errors("history.v1", document)) == []
    assert [item["versions"] for item in document["versions"]] == [["1.0.0"]]
    assert {item["depth"] for item in document["pending"]} == {3}
    main([*command, "--published", str(published)])
    assert "3 deep" in capsys.readouterr().out


def test_a_dark_hash_that_boots_before_its_block_is_final_is_no_yes(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = told.kms.deploy_app(told.kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    told.chain.mine(told.chain.ledger.depths.finalized)
    app.allow(told.dark)
    command = ["history", "0x" + app.address.hex(), "--chain", told.chain.url, "--kms", "0x" + told.kms.address.hex()]
    assert main([*command, "--published", str(published), "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert list(errors("history.v1", document)) == []
    assert document["all_published"] is False
    assert [item["compose_hash"] for item in document["findings"] if item["kind"] == "dark"] == [told.dark.hex()]


def test_code_that_is_not_known_makes_the_answer_unknown(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = told.kms.deploy_app(told.kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    app.upgrade(Generation.TCB)
    told.chain.mine(told.chain.ledger.depths.finalized)
    command = ["history", "0x" + app.address.hex(), "--chain", told.chain.url, "--kms", "0x" + told.kms.address.hex()]
    assert main([*command, "--published", str(published), "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert list(errors("history.v1", document)) == []
    assert document["all_published"] is None
    assert "opaque" in [finding["kind"] for finding in document["findings"]]


def test_an_endpoint_that_calls_the_apps_own_code_the_kmss_gets_no_yes_with_proofs(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = told.kms.deploy_app(told.kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    app.upgrade(Generation.TCB)
    told.chain.mine(told.chain.ledger.depths.finalized)
    code = told.chain.methods.answer("eth_getStorageAt", [hex_data(app.address), hex_data(IMPLEMENTATION), "latest"])

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        asked = params[0] if params else None
        if method == "eth_call" and isinstance(asked, dict) and asked["data"] == hex_data(APP_IMPLEMENTATION.call()):
            return code
        return answer

    with lying(told.chain.methods, lie) as url:
        command = ["history", "0x" + app.address.hex(), "--chain", url, "--kms", "0x" + told.kms.address.hex()]
        main([*command, "--published", str(published), "--json", "--proof"])
    assert json.loads(capsys.readouterr().out)["all_published"] is None


def test_a_record_written_by_hand_publishes_no_dark_hash(
    told: Told, published: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the app-compose bytes in its bundle nobody can read what ran."""
    attested = Attested(DEVICE, told.dark, told.app.address, b"", 1, bytes(32), bytes(32), simulated=False)
    anchor = Anchor(1, bytes(32), 1, bytes(32), 0, 1)
    record = Record(Version(9, 9, 9), "prod9", "1", "a" * 40, 1, attested, anchor)
    write_record(elsewhere / "deployments", Recorded(record))
    assert main(ask(told, "--json", "--published", str(published))) == 4
    assert json.loads(capsys.readouterr().out)["all_published"] is False


def test_an_app_of_the_first_generation_names_who_acted_by_its_transactions(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kms = KmsContract.deploy(told.chain, DevAccount.create(), Generation.FIRST)
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    app.allow(HASHES["1.1.0"])
    told.chain.mine(told.chain.ledger.depths.finalized)
    command = ["history", "0x" + app.address.hex(), "--chain", told.chain.url, "--kms", "0x" + kms.address.hex()]
    assert main([*command, "--published", str(published), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(errors("history.v1", document)) == []
    actors = {span["since"]["actor"] for item in document["versions"] for span in item["spans"]}
    assert actors == {"0x" + kms.owner.address.hex()}


def test_an_id_that_is_no_contract_is_told(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "0x" + "77" * 20, "--chain", told.chain.url]) == 4
    assert "no contract at this app id" in capsys.readouterr().err


def test_a_log_that_was_left_out_contradicts_the_state(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone, an endpoint that hides a removal is caught by the contract's own answer."""

    def lie(method: str, params: object, answer: object) -> object:
        if method == "eth_getLogs" and isinstance(answer, list):
            removed = "0x755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947"
            return [log for log in answer if log["topics"][0] != removed]
        return answer

    with lying(told.chain.methods, lie) as url:
        for flags in ([], ["--proof"]):
            assert main(ask(told, *flags, url=url)) == 5
            assert "contradict" in capsys.readouterr().err


def test_a_dark_hash_that_one_endpoint_hides_is_shown_by_another(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lie(method: str, params: object, answer: object) -> object:
        if method == "eth_getLogs" and isinstance(answer, list):
            return [log for log in answer if told.dark.hex() not in log["data"] + "".join(log["topics"])]
        return answer

    with lying(told.chain.methods, lie) as url, lying(told.chain.methods, lambda *call: call[2]) as honest:
        urls = f"{url},{honest},{told.chain.url}"
        assert main(ask(told, "--proof", "--json", "--published", str(published), url=urls)) == 4
        document = json.loads(capsys.readouterr().out)
        assert list(errors("history.v1", document)) == []
    assert [item["dark"] for item in document["versions"]] == [False, False, True, False]
    (caught,) = document["dissent"]
    assert caught["endpoint"] == url.removeprefix("http://")
    assert "left out a log" in caught["reason"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--published", "there-is-none"], "neither a file nor a folder"),
        (["--from-block", "-1"], "--from-block"),
        (["--quorum", "2"], "quorum"),
        (["--timeout", "0"], "--timeout"),
    ],
)
def test_a_mistake_is_told(told: Told, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ask(told, *arguments)) == 2
    assert reason in capsys.readouterr().err


def test_a_log_that_begins_after_the_creation_gives_no_yes(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hash that was allowed before the first block that was read may still boot."""
    app = told.kms.deploy_app(told.kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    first = told.chain.ledger.head.number
    app.allow(HASHES["1.1.0"])
    told.chain.mine(told.chain.ledger.depths.finalized)
    command = ["history", "0x" + app.address.hex(), "--chain", told.chain.url, "--kms", "0x" + told.kms.address.hex()]
    command += ["--published", str(published), "--json"]
    assert main([*command, "--from-block", str(first)]) == 0
    assert json.loads(capsys.readouterr().out)["all_published"] is True
    assert main([*command, "--from-block", str(first + 1)]) == 4
    document = json.loads(capsys.readouterr().out)
    assert list(errors("history.v1", document)) == []
    assert document["all_published"] is None
    assert "incomplete" in [finding["kind"] for finding in document["findings"]]


def test_an_endpoint_that_lied_once_is_read_again(
    told: Told, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lies = [True]

    def lie(method: str, params: object, answer: object) -> object:
        if lies and method == "eth_getLogs" and isinstance(answer, list):
            return [log for log in answer if told.dark.hex() not in log["data"] + "".join(log["topics"])]
        return answer

    with lying(told.chain.methods, lie) as url, lying(told.chain.methods, lambda *call: call[2]) as honest:
        urls = f"{url},{honest},{told.chain.url}"
        for dissent in (1, 0):
            main(ask(told, "--proof", "--json", "--published", str(published), url=urls))
            assert len(json.loads(capsys.readouterr().out)["dissent"]) == dissent
            lies.clear()
