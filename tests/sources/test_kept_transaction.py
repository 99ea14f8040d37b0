"""A transaction that waits is sent again or paid better by the next run, and is never two."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from lying_node import lying
from rpc_stub import client
from twinproof.chain.app_change import NewApp, Written, allow_compose_hash
from twinproof.deployments.journal import Journal
from twinproof.errors import Refused, Unavailable
from twinproof.sources.app_deployment import deploy_app
from twinproof.sources.chain_writer import SENT, ChainWriter
from twinproof.sources.deploy_journal import JournalFile, journal_file
from twinproof.sources.planned_transaction import DEFAULT_MAX_COST, Limits
from twinproof.sources.registrar import ALLOW, Registrar
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.signing_key import Signer, key_from_environment
from twinproof_devnet.chain.abi import call_data
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.blocks import Transaction
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.governance import AppContract, KmsContract
from twinproof_devnet.chain.signing import sign

DEVICE, HASH = b"\x33" * 32, b"\x11" * 32
TIP = "twinproof_devnet.chain.state_methods.TIP"


@pytest.fixture(scope="module")
def kms(engine: EngineName) -> Iterator[KmsContract]:
    chain = DevChain.start(engine=engine)
    yield KmsContract.deploy(chain, DevAccount.create())
    chain.close()


@pytest.fixture(scope="module")
def app(kms: KmsContract) -> AppContract:
    return kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)


@pytest.fixture
def new(kms: KmsContract, app: AppContract) -> NewApp:
    return NewApp(kms.address, app.owner.address, DEVICE, secrets.token_bytes(32))


@pytest.fixture
def signer(app: AppContract, monkeypatch: pytest.MonkeyPatch) -> Signer:
    monkeypatch.setenv("DEVNET_KEY", app.owner.key.hex())
    return key_from_environment("DEVNET_KEY")


@pytest.fixture
def slow(app: AppContract) -> Iterator[DevChain]:
    """The chain, where blocks come only when they are asked for."""
    app.chain.ledger.automine = False
    yield app.chain
    app.chain.ledger.automine = True
    app.chain.mine()


def writer(chain: DevChain, limits: Limits | None = None) -> ChainWriter:
    clock = iter(range(100_000))
    quorum = Quorum([Endpoint(chain.url, client(), pause=lambda _: None)], 1, chain.chain_id)
    return ChainWriter(
        quorum, limits=limits or Limits(timeout=3), pause=lambda _: None, clock=lambda: float(next(clock))
    )


def journal(folder: Path) -> AbstractContextManager[JournalFile]:
    return journal_file(folder / "journal.json", Journal("chain", HASH, 31337))


def allow(app: AppContract, value: bytes, signer: Signer, folder: Path, limits: Limits | None = None) -> Written:
    with journal(folder) as kept:
        return writer(app.chain, limits).write(allow_compose_hash(app.address, value), signer, kept)


def stuck(app: AppContract, value: bytes, signer: Signer, folder: Path) -> Transaction:
    with pytest.raises(Unavailable, match="not mined yet"):
        allow(app, value, signer, folder)
    (waiting,) = app.chain.ledger.pending
    return waiting


def test_one_whose_fee_is_what_is_asked_now_is_sent_again_as_it_was(
    slow: DevChain, app: AppContract, signer: Signer, tmp_path: Path
) -> None:
    value = secrets.token_bytes(32)
    first = stuck(app, value, signer, tmp_path)
    slow.ledger.drop(first.hash)
    assert stuck(app, value, signer, tmp_path).raw == first.raw


def test_one_whose_fee_is_too_low_by_now_is_replaced_by_itself_at_a_higher_one(
    slow: DevChain, app: AppContract, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = secrets.token_bytes(32)
    first = stuck(app, value, signer, tmp_path)
    monkeypatch.setattr(TIP, 1_000_001)  # a little more than it pays: a node wants a tenth more to replace it
    second = stuck(app, value, signer, tmp_path)
    assert (second.nonce, second.to, second.data, second.gas) == (first.nonce, first.to, first.data, first.gas)
    assert second.gas_price * 10 >= first.gas_price * 11
    assert second.priority_fee * 10 >= first.priority_fee * 11
    with journal(tmp_path) as kept:
        assert kept.now.transactions[SENT].replaced == (first.hash,)
    slow.mine()
    assert allow(app, value, signer, tmp_path).already
    assert slow.ledger.next_nonce(signer.address) == first.nonce + 1


def deploy(app: AppContract, new: NewApp, signer: Signer, folder: Path, *, another: bool = False) -> Written:
    with journal(folder) as kept:
        return deploy_app(writer(app.chain), new, signer, kept, another=another)


def stuck_deployment(app: AppContract, new: NewApp, signer: Signer, folder: Path) -> Transaction:
    with pytest.raises(Unavailable, match="not mined yet"):
        deploy(app, new, signer, folder)
    (waiting,) = app.chain.ledger.pending
    return waiting


def test_whichever_of_them_is_mined_is_found(
    *, slow: DevChain, app: AppContract, new: NewApp, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stuck_deployment(app, new, signer, tmp_path)
    monkeypatch.setattr(TIP, 3_000_000)
    second = stuck_deployment(app, new, signer, tmp_path)
    assert second.hash != first.hash
    slow.ledger.drop(second.hash)
    slow.ledger.send(first.raw)  # who makes blocks had the first one
    slow.mine()
    written = deploy(app, new, signer, tmp_path)
    assert written.log is not None
    assert (written.log.transaction_hash, written.already) == (first.hash, True)
    assert slow.ledger.pending == ()


def test_a_higher_fee_stays_within_what_is_allowed(
    slow: DevChain, app: AppContract, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = secrets.token_bytes(32)
    first = stuck(app, value, signer, tmp_path)
    monkeypatch.setattr(TIP, 2_000_000)
    cost = first.gas * first.gas_price
    with pytest.raises(Refused, match="may cost more than allowed"):
        allow(app, value, signer, tmp_path, Limits(timeout=3, max_cost=cost))
    assert slow.ledger.pending == (first,)


def test_what_another_transaction_replaced_is_planned_anew(
    slow: DevChain, app: AppContract, signer: Signer, tmp_path: Path
) -> None:
    value = secrets.token_bytes(32)
    first = stuck(app, value, signer, tmp_path)
    raw = sign(
        app.owner,
        chain_id=slow.chain_id,
        nonce=first.nonce,
        to=app.owner.address,
        data=b"",
        gas=21_000,
        max_fee=3 * first.gas_price,
        priority_fee=10**8,
    )
    slow.ledger.send(raw)
    slow.mine()
    second = stuck(app, value, signer, tmp_path)
    assert (second.nonce, second.data) == (first.nonce + 1, first.data)


def test_what_was_allowed_and_removed_since_is_allowed_by_a_new_transaction(
    app: AppContract, signer: Signer, tmp_path: Path
) -> None:
    value = secrets.token_bytes(32)
    first = allow(app, value, signer, tmp_path)
    app.remove(value)
    second = allow(app, value, signer, tmp_path)
    assert first.log is not None
    assert second.log is not None
    assert first.log.transaction_hash != second.log.transaction_hash
    assert app.is_allowed(value)


def registrar(kms: KmsContract, signer: Signer, *others: str, max_cost: int = DEFAULT_MAX_COST) -> Registrar:
    """As many endpoints as there are have to agree."""
    urls = (kms.chain.url, *others)
    quorum = Quorum([Endpoint(url, client(), pause=lambda _: None) for url in urls], len(urls), kms.chain.chain_id)
    writer = ChainWriter(quorum, limits=Limits(max_cost=max_cost, timeout=3))
    return Registrar(writer, signer, kms=kms.address, pause=lambda _: None)


def test_a_deployment_sends_nothing_that_may_cost_more_than_allowed(
    kms: KmsContract, app: AppContract, signer: Signer, tmp_path: Path
) -> None:
    head = kms.chain.ledger.head
    with journal(tmp_path) as kept, pytest.raises(Refused, match="may cost more than allowed"):
        registrar(kms, signer, max_cost=1).allow(kept, app.address, compose_hash=secrets.token_bytes(32))
    assert kms.chain.ledger.head is head


@pytest.mark.parametrize("what", ["compose hash", "device"])
def test_a_deployment_allows_again_what_it_allowed_and_somebody_removed_since(
    kms: KmsContract, app: AppContract, signer: Signer, tmp_path: Path, what: str
) -> None:
    value, label = secrets.token_bytes(32), ALLOW if what == "compose hash" else "device prod9"
    deployment = registrar(kms, signer)

    def make(kept: JournalFile) -> None:
        if what == "compose hash":
            deployment.allow(kept, app.address, compose_hash=value)
        else:
            deployment.add_device(kept, app.address, "prod9", value)

    with journal(tmp_path) as kept:
        make(kept)
        first = kept.now.transactions[label]
        make(kept)
        assert kept.now.transactions[label] == first
        app.send("removeComposeHash(bytes32)" if what == "compose hash" else "removeDevice(bytes32)", value)
        make(kept)
        assert kept.now.transactions[label].nonce == first.nonce + 2
    view = "allowedComposeHashes" if what == "compose hash" else "allowedDeviceIds"
    call = {"to": "0x" + app.address.hex(), "data": "0x" + call_data(f"{view}(bytes32)", value).hex()}
    assert app.chain.methods.answer("eth_call", [call, "latest"]) == "0x" + f"{1:064x}"


def test_an_endpoint_that_is_behind_does_not_have_it_sent_twice(
    kms: KmsContract, app: AppContract, signer: Signer, tmp_path: Path
) -> None:
    value, before = secrets.token_bytes(32), kms.chain.ledger.head.number

    def behind(method: str, params: Sequence[object], answer: object) -> object:
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            return kms.chain.methods.answer(method, [hex(before), params[1]])
        if method == "eth_call" and isinstance(params[0], dict) and value.hex() in str(params[0]["data"]):
            return "0x" + "00" * 32
        return answer

    with journal(tmp_path) as kept, lying(kms.chain.methods, behind) as url:
        registrar(kms, signer).allow(kept, app.address, compose_hash=value)
        first, head = kept.now.transactions[ALLOW], kms.chain.ledger.head.number
        with pytest.raises(Unavailable, match="does not allow the compose hash yet"):
            registrar(kms, signer, url).allow(kept, app.address, compose_hash=value)
        assert (kept.now.transactions[ALLOW], kms.chain.ledger.head.number) == (first, head)


def test_a_journal_from_before_replacements_is_read(
    slow: DevChain, app: AppContract, signer: Signer, tmp_path: Path
) -> None:
    value = secrets.token_bytes(32)
    first = stuck(app, value, signer, tmp_path)
    path = tmp_path / "journal.json"
    path.write_text(path.read_text().replace('"replaced": [],', "").replace(',\n   "replaced": []', ""))
    assert "replaced" not in path.read_text()
    assert stuck(app, value, signer, tmp_path).raw == first.raw


def test_an_app_is_deployed_once_however_often_it_is_asked_for(
    app: AppContract, new: NewApp, signer: Signer, tmp_path: Path
) -> None:
    first = deploy(app, new, signer, tmp_path)
    again = deploy(app, new, signer, tmp_path)
    assert (first.already, again.already) == (False, True)
    assert (again.contract, again.log) == (first.contract, first.log)


def test_without_its_journal_an_app_is_found_in_the_factorys_log(
    app: AppContract, new: NewApp, signer: Signer, tmp_path: Path
) -> None:
    first = deploy(app, new, signer, tmp_path / "one")
    other = replace(new, compose_hash=secrets.token_bytes(32))
    assert deploy(app, other, signer, tmp_path / "other").contract != first.contract
    head = app.chain.ledger.head
    again = deploy(app, new, signer, tmp_path / "two")
    assert (again.contract, again.already, again.log) == (first.contract, True, None)
    assert app.chain.ledger.head is head


def test_one_more_is_deployed_when_that_is_what_is_wanted_and_then_it_has_to_be_said_which_one_is_meant(
    app: AppContract, new: NewApp, signer: Signer, tmp_path: Path
) -> None:
    first = deploy(app, new, signer, tmp_path / "one")
    second = deploy(app, new, signer, tmp_path / "one", another=True)
    assert first.contract != second.contract
    with pytest.raises(Refused, match="several apps of this account") as failure:
        deploy(app, new, signer, tmp_path / "two")
    assert all(found.contract.hex() in failure.value.got for found in (first, second))
    assert "--another" in failure.value.hint


def test_one_that_waits_is_not_deployed_a_second_time_beside_it(
    slow: DevChain, app: AppContract, new: NewApp, signer: Signer, tmp_path: Path
) -> None:
    first = stuck_deployment(app, new, signer, tmp_path)
    assert stuck_deployment(app, new, signer, tmp_path).hash == first.hash
    slow.mine()
    written = deploy(app, new, signer, tmp_path)
    assert written.already
    assert written.log is not None
    assert written.log.transaction_hash == first.hash


def test_without_its_journal_one_that_waits_is_not_joined_by_a_second(
    slow: DevChain, app: AppContract, new: NewApp, signer: Signer, tmp_path: Path
) -> None:
    first = stuck_deployment(app, new, signer, tmp_path / "one")
    with pytest.raises(Refused, match="one of them may be this deployment"):
        deploy(app, new, signer, tmp_path / "two")
    assert slow.ledger.pending == (first,)
