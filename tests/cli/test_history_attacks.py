"""What an endpoint, or the owner of an app's contract, does to get a wrong "every version is published: yes"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from lying_node import Lie, lying
from told_app import DEVICE, HASHES, Told, publish, told_app
from twinproof.cli.main import main
from twinproof_devnet.chain.abi import call_data
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.compiler import artifacts
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.errors import METHOD_NOT_FOUND, RpcError
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import AppContract, KmsContract

INITIALIZED = "0xc7f505b2f371ae2175ee4913f4499e1f2633a7b5936321eed1cdaeb6115181d2"


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with told_app() as told:
        yield told


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@dataclass
class Ask:
    """Runs `history` on an app, with three published versions; what came is the code and the document."""

    told: Told
    published: Path
    capsys: pytest.CaptureFixture[str]

    def text(self, app: bytes, *flags: str, url: str = "", kms: bytes = b"") -> tuple[int, str]:
        where = ["--chain", url or self.told.chain.url, "--kms", "0x" + (kms or self.told.kms.address).hex()]
        code = main(["history", "0x" + app.hex(), *where, "--published", str(self.published), "--no-cache", *flags])
        out = self.capsys.readouterr()
        return code, out.out + out.err

    def __call__(self, app: bytes, *flags: str, url: str = "", kms: bytes = b"") -> tuple[int, dict[str, Any]]:
        code, out = self.text(app, "--json", *flags, url=url, kms=kms)
        return code, json.loads(out)


@pytest.fixture
def ask(told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    return Ask(told, publish(tmp_path / "releases"), capsys)


def new_app(told: Told) -> AppContract:
    return told.kms.deploy_app(told.kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])


def settle(told: Told) -> None:
    told.chain.mine(told.chain.ledger.depths.finalized)


def kinds(document: dict[str, Any]) -> list[str]:
    """Of the findings, without the versions that are published and that the app never had."""
    found = [finding["kind"] for finding in document["findings"]]
    return [kind for kind in found if kind != "published but never allowed"]


PROOF = pytest.mark.parametrize("flags", [(), ("--proof",)], ids=["", "with proofs"])


@PROOF
def test_an_upgrade_that_the_only_endpoint_hides_contradicts_the_state(
    told: Told, ask: Ask, flags: tuple[str, ...]
) -> None:
    app = new_app(told)
    created = told.chain.ledger.head.number
    app.upgrade(Generation.TCB)
    settle(told)

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        if method == "eth_getLogs" and isinstance(answer, list):
            return [log for log in answer if int(log["blockNumber"], 16) <= created]
        return answer

    with lying(told.chain.methods, lie) as url:
        code, out = ask.text(app.address, *flags, url=url)
    assert code == 5
    assert "contradict each other" in out
    assert "implementation" in out


@PROOF
def test_a_contract_that_imitates_a_proxy_s_events_and_slots_gets_no_yes(
    told: Told, ask: Ask, flags: tuple[str, ...]
) -> None:
    """Its owner made it, with the KMS's own code behind it, and registered it: what was in its storage is not known."""
    owner, chain = told.kms.owner, told.chain
    code = chain.methods.answer("eth_getStorageAt", ["0x" + told.kms.address.hex(), "0x" + f"{9:064x}", "latest"])
    implementation = bytes.fromhex(str(code)[26:])
    first = call_data(
        "initialize(address,bool,bool,bytes32,bytes32)", owner.address, False, False, DEVICE, HASHES["1.0.0"]
    )
    init = artifacts(Generation.AUDITED)["erc1967_proxy"].init + encode(["address", "bytes"], [implementation, first])
    made = chain.transact(owner, None, init).receipt.contract
    assert made is not None
    told.kms.send("registerApp(address)", made, by=owner)
    settle(told)
    exit_code, document = ask(made, *flags)
    assert (exit_code, document["all_published"], document["registered"]) == (4, None, True)
    assert kinds(document) == ["not made by the KMS's factory"]
    assert [item["versions"] for item in document["versions"]] == [["1.0.0"]]


@PROOF
def test_an_app_that_is_not_registered_at_this_kms_gets_no_yes(told: Told, ask: Ask, flags: tuple[str, ...]) -> None:
    other = KmsContract.deploy(told.chain, DevAccount.create())
    app = new_app(told)
    settle(told)
    code, document = ask(app.address, *flags, kms=other.address)
    assert (code, document["all_published"], document["registered"]) == (4, None, False)
    assert "not registered at the KMS" in kinds(document)


@PROOF
def test_an_upgrade_that_is_not_final_yet_gets_no_yes(told: Told, ask: Ask, flags: tuple[str, ...]) -> None:
    app = new_app(told)
    settle(told)
    assert ask(app.address, *flags)[1]["all_published"] is True
    app.upgrade(Generation.TCB)
    code, document = ask(app.address, *flags)
    assert (code, document["all_published"]) == (4, None)
    assert kinds(document) == ["opaque"]


def test_a_later_initialisation_is_not_taken_for_the_creation(told: Told, ask: Ask) -> None:
    app = new_app(told)
    app.allow(HASHES["1.1.0"])
    settle(told)

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        if method != "eth_getLogs" or not isinstance(answer, list):
            return answer
        later = [log for log in answer if log["blockNumber"] != answer[0]["blockNumber"]]
        for log in later[1:2]:
            log |= {"topics": [INITIALIZED], "data": "0x" + f"{2:064x}"}
        return later

    with lying(told.chain.methods, lie) as url:
        code, document = ask(app.address, url=url)
    assert (code, document["all_published"]) == (4, None)
    assert "incomplete" in kinds(document)


def test_with_proofs_the_sender_is_who_signed_whatever_an_endpoint_says(told: Told, ask: Ask) -> None:
    kms = KmsContract.deploy(told.chain, DevAccount.create(), Generation.FIRST)
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
    settle(told)

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        if isinstance(answer, dict) and "from" in answer:
            return answer | {"from": "0x" + "66" * 20}
        if method == "eth_getBlockByNumber" and params[1] and isinstance(answer, dict):
            return answer | {"transactions": [item | {"from": "0x" + "66" * 20} for item in answer["transactions"]]}
        return answer

    with lying(told.chain.methods, lie) as url:
        _, document = ask(app.address, "--proof", url=url, kms=kms.address)
    (version,) = document["versions"]
    since = version["spans"][0]["since"]
    assert (since["actor"], since["transaction_proved"]) == ("0x" + kms.owner.address.hex(), True)


def test_where_no_endpoint_gives_the_block_s_transactions_each_row_says_whose_word_it_is(told: Told, ask: Ask) -> None:
    app = new_app(told)
    settle(told)

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        if method == "eth_getBlockByNumber" and params[1]:
            raise RpcError(METHOD_NOT_FOUND, "no whole transactions here")
        return answer

    with lying(told.chain.methods, lie) as url:
        _, document = ask(app.address, "--proof", url=url)
        code, out = ask.text(app.address, "--proof", url=url)
    assert document["versions"][0]["spans"][0]["since"]["transaction_proved"] is False
    assert (code, document["all_published"]) == (0, True)
    rows = [line for line in out.splitlines() if "+ 1.0.0" in line]
    assert len(rows) == 1
    assert "…* " in rows[0] or "...* " in rows[0]
    said = " ".join(out.split())
    assert f"who sent it are as {url.removeprefix('http://')} says, and not proved" in said
    assert "no whole transactions here" in said


def test_a_pending_hash_that_one_endpoint_hides_is_told_by_another(told: Told, ask: Ask) -> None:
    app = new_app(told)
    settle(told)
    app.allow_dark_hash()
    with ExitStack() as stack:
        liar = stack.enter_context(lying(told.chain.methods, _nothing_after(told)))
        honest = [stack.enter_context(lying(told.chain.methods, lambda *call: call[2])) for _ in range(2)]
        code, document = ask(app.address, "--proof", url=",".join([liar, *honest]))
    assert (code, document["all_published"]) == (4, False)
    assert all(liar.removeprefix("http://") not in item["told_by"] for item in document["pending"])


def _nothing_after(told: Told) -> Lie:
    final = told.chain.ledger.number_of("finalized")

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        if method == "eth_getLogs" and isinstance(answer, list):
            return [log for log in answer if int(log["blockNumber"], 16) <= final]
        return answer

    return lie


def test_one_endpoint_of_two_that_lies_is_named_and_nothing_is_told(told: Told, ask: Ask) -> None:
    app = new_app(told)
    app.allow(HASHES["1.1.0"])
    settle(told)

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        if method == "eth_getLogs" and isinstance(answer, list):
            return [log | {"data": "0x" + "77" * 32} if len(log["data"]) == 66 else log for log in answer]
        return answer

    with lying(told.chain.methods, lie) as liar, lying(told.chain.methods, lambda *call: call[2]) as honest:
        code, out = ask.text(app.address, "--proof", url=f"{honest},{liar}")
    assert code == 5
    assert f"{liar.removeprefix('http://')} made up a log" in " ".join(out.split())
    assert honest.removeprefix("http://") + " made" not in out


def test_an_old_version_is_named_only_when_it_was_superseded_long_ago(told: Told, ask: Ask) -> None:
    app = new_app(told)
    app.allow(HASHES["1.1.0"])
    settle(told)
    assert kinds(ask(app.address)[1])[0] == "superseded lately, still allowed"
    _, document = ask(app.address, "--superseded-days", "0")
    assert kinds(document)[0] == "superseded but still allowed"
    assert "(0 days or more is long)" in document["findings"][-1]["text"]
    assert ask.text(app.address, "--superseded-days", "-1")[0] == 2


@PROOF
def test_an_endpoint_that_ends_the_chain_before_a_dark_hash_gets_no_yes_and_no_word_on_who_decides(
    ask: Ask, flags: tuple[str, ...]
) -> None:
    """Every block, log and word that it gives is true and proved; only what came after is hidden, and its owner too."""
    chain = DevChain.start(age=10 * 3600)
    try:
        kms = KmsContract.deploy(chain, DevAccount.create())
        app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
        last = chain.ledger.head.number
        chain.settle()
        app.allow(b"\x77" * 32)
        chain.mine(chain.ledger.depths.finalized)

        def lie(method: str, params: Sequence[object], answer: object) -> object:
            if method == "eth_getBlockByNumber" and params[0] in ("finalized", "latest"):
                return chain.methods.answer(method, [hex(last), params[1]])
            return answer

        with lying(chain.methods, lie) as url:
            code, document = ask(app.address, *flags, url=url, kms=kms.address)
            assert (code, document["all_published"], document["to_block"]) == (4, None, last)
            assert kinds(document) == ["ends too early"]
            assert "10.0 hours old" in document["findings"][0]["text"]
            where = ["--chain", url, "--kms", "0x" + kms.address.hex(), "--no-cache", *flags]
            assert main(["power", "0x" + app.address.hex(), *where]) == 0
            out = " ".join(ask.capsys.readouterr().out.split())
            assert "how old is what is shown here: 10.0 hours" in out
            assert "10.0 hours ago is known, and not who can now" in out
        _, document = ask(app.address, *flags, url=chain.url, kms=kms.address)
        assert (kinds(document)[0], document["all_published"]) == ("dark", False)
    finally:
        chain.close()
