"""A change of the chain is done once, found again whatever happened, and proved by the contract's own log."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rpc_stub import client
from twinproof.chain.app_change import Change, NewApp, allow_compose_hash, allow_device
from twinproof.errors import Refused, TwinproofError, Unavailable, UsageError
from twinproof.keccak import keccak256
from twinproof.sources.allowed_now import is_done
from twinproof.sources.app_deployment import deploy_app, plan_app
from twinproof.sources.chain_writer import ChainWriter
from twinproof.sources.final_receipt import wait_finalized
from twinproof.sources.planned_transaction import Limits, PlannedTransaction
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.signing_key import Signer, key_from_environment
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import AppContract, KmsContract
from twinproof_devnet.chain.signing import sign

DEVICE, HASH = b"\x33" * 32, b"\x11" * 32


@pytest.fixture(scope="module")
def chain(engine: EngineName) -> Iterator[DevChain]:
    chain = DevChain.start(engine=engine)
    yield chain
    chain.close()


@pytest.fixture(autouse=True)
def automine(chain: DevChain) -> Iterator[None]:
    yield
    chain.ledger.automine = True
    chain.mine()


@pytest.fixture(scope="module")
def kms(chain: DevChain) -> KmsContract:
    return KmsContract.deploy(chain, DevAccount.create())


@pytest.fixture(scope="module")
def app(kms: KmsContract) -> AppContract:
    return kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)


class Clock:
    """Time passes only by waiting, and something may happen then."""

    def __init__(self, then: Callable[[int], object] = lambda _: None) -> None:
        self.now, self.waits, self.then = 0.0, 0, then

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.waits += 1
        self.then(self.waits)

    def read(self) -> float:
        return self.now


def writer(
    chain: DevChain,
    *,
    limits: Limits | None = None,
    clock: Clock | None = None,
    show: Callable[[PlannedTransaction], None] = lambda _: None,
) -> ChainWriter:
    clock = clock or Clock()
    quorum = Quorum([Endpoint(chain.url, client(), pause=lambda _: None)], 1, chain.chain_id)
    return ChainWriter(quorum, limits=limits or Limits(), show=show, pause=clock.pause, clock=clock.read)


def signer(account: DevAccount, monkeypatch: pytest.MonkeyPatch) -> Signer:
    monkeypatch.setenv("DEVNET_KEY", account.key.hex())
    return key_from_environment("DEVNET_KEY")


def some_hash() -> bytes:
    return secrets.token_bytes(32)


@pytest.mark.parametrize("make", [allow_compose_hash, allow_device])
def test_a_change_is_made_shown_first_and_proved_by_its_log(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch, make: Callable[[bytes, bytes], Change]
) -> None:
    value = some_hash()
    shown: list[PlannedTransaction] = []
    before = chain.ledger.head.number
    written = writer(chain, show=shown.append).write(make(app.address, value), signer(app.owner, monkeypatch))
    assert written.log is not None
    assert (written.log.address, written.log.data) == (app.address, value)
    assert written.log.block_number == before + 1 == chain.ledger.head.number
    (plan,) = shown
    assert (plan.to, plan.data[4:], plan.sender) == (app.address, value, app.owner.address)
    document = written.to_json()
    assert document["transaction"] == "0x" + written.log.transaction_hash.hex()
    assert (document["chain_id"], document["block"], document["already"]) == (chain.chain_id, before + 1, False)
    assert (document["log_index"], document["finalized"]) == (written.log.log_index, False)


def test_what_is_allowed_already_is_success_without_a_transaction(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = chain.ledger.head.number
    written = writer(chain).write(allow_compose_hash(app.address, HASH), signer(app.owner, monkeypatch))
    assert (written.log, written.to_json()["already"]) == (None, True)
    assert chain.ledger.head.number == before


def test_a_plan_sends_nothing_and_needs_no_key(chain: DevChain, app: AppContract) -> None:
    value, before = some_hash(), chain.ledger.head.number
    plan = writer(chain).plan(allow_compose_hash(app.address, value))
    assert plan is not None
    assert plan.sender == app.owner.address
    assert (chain.ledger.head.number, chain.ledger.pending) == (before, ())
    assert writer(chain).plan(allow_compose_hash(app.address, HASH)) is None


def test_another_account_than_the_owner_is_told_before_anything_is_sent(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = DevAccount.create()
    with pytest.raises(Refused, match="only the owner") as failure:
        writer(chain).write(allow_compose_hash(app.address, some_hash()), signer(stranger, monkeypatch))
    assert "0x" + app.owner.address.hex() in str(failure.value)
    assert "another key" in failure.value.hint


def test_an_owner_that_is_a_contract_is_named_as_one(chain: DevChain, kms: KmsContract) -> None:
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    app.send("transferOwnership(address)", kms.address)  # two steps: a contract cannot accept here
    first = KmsContract.deploy(chain, DevAccount.create(), Generation.FIRST)
    old = first.deploy_app(first.owner, device_id=DEVICE, compose_hash=HASH)
    old.send("transferOwnership(address)", kms.address)
    with pytest.raises(Refused, match="only the owner") as failure:
        writer(chain).plan(allow_compose_hash(old.address, some_hash()), app.owner.address)
    assert "Safe" in failure.value.hint


@pytest.mark.parametrize("place", ["nothing", "the KMS"])
def test_what_is_no_app_is_told(chain: DevChain, kms: KmsContract, place: str) -> None:
    address = kms.address if place == "the KMS" else b"\x77" * 20
    with pytest.raises(Refused, match="not an app of dstack"):
        writer(chain).plan(allow_compose_hash(address, some_hash()))


@pytest.mark.parametrize("value", [bytes(32), b"\1" * 31, b""])
def test_a_missing_value_is_a_mistake_and_no_transaction(chain: DevChain, app: AppContract, value: bytes) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        writer(chain).plan(allow_compose_hash(app.address, value))


def test_an_account_without_money_is_told_before_anything_is_sent(
    chain: DevChain, kms: KmsContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = DevAccount.create()
    app = NewApp(kms.address, poor.address, DEVICE, HASH)
    with pytest.raises(Refused, match="cannot pay") as failure:
        deploy_app(writer(chain), app, signer(poor, monkeypatch))
    assert failure.value.exit_code == 4


def test_fees_above_what_is_allowed_are_refused(chain: DevChain, app: AppContract) -> None:
    with pytest.raises(Refused, match="may cost more than allowed"):
        writer(chain, limits=Limits(max_cost=1000)).plan(allow_compose_hash(app.address, some_hash()))


def test_too_little_gas_is_told_before_anything_is_sent(chain: DevChain, app: AppContract) -> None:
    with pytest.raises(UsageError, match="too little gas"):
        writer(chain, limits=Limits(gas=30_000)).plan(allow_compose_hash(app.address, some_hash()))


def test_a_transaction_that_runs_out_of_gas_is_told_as_that(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = writer(chain)
    monkeypatch.setattr(
        "twinproof.sources.chain_writer.plan_transaction",
        lambda *args, **kwargs: replace(_plan(*args, **kwargs), gas=30_000),
    )
    with pytest.raises(Refused, match="ran out of gas"):
        asked.write(allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch))


def _plan(*args: object, **kwargs: object) -> PlannedTransaction:
    from twinproof.sources.planned_transaction import plan_transaction

    return plan_transaction(*args, **kwargs)  # type: ignore[arg-type]  # what the writer gave


def test_a_transaction_is_waited_for(chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.ledger.automine = False
    clock = Clock(lambda waits: chain.mine() if waits == 5 else None)
    written = writer(chain, clock=clock).write(
        allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch)
    )
    assert written.log is not None
    assert clock.waits == 5


def test_a_transaction_that_is_not_mined_in_time_is_not_called_done(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.ledger.automine = False
    change, key = allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch)
    with pytest.raises(Unavailable, match="not mined yet") as failure:
        writer(chain, limits=Limits(timeout=3)).write(change, key)
    assert failure.value.exit_code == 5
    chain.mine()
    assert writer(chain).write(change, key).log is None  # and the second run finds it done


def test_a_replaced_transaction_is_told(chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.ledger.automine = False

    def replace_it(waits: int) -> None:
        if waits == 2:
            (waiting,) = chain.ledger.pending
            raw = sign(
                app.owner,
                chain_id=chain.chain_id,
                nonce=waiting.nonce,
                to=app.owner.address,
                data=b"",
                gas=21_000,
                max_fee=3 * waiting.gas_price,
                value=0,
            )
            chain.ledger.send(raw)
            chain.mine()

    with pytest.raises(Refused, match="was replaced"):
        writer(chain, clock=Clock(replace_it)).write(
            allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch)
        )


def test_a_dropped_transaction_is_sent_again(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.ledger.automine = False

    def drop_then_mine(waits: int) -> None:
        if waits == 2:
            chain.ledger.drop(chain.ledger.pending[0].hash)
        if waits == 30:
            chain.mine()

    written = writer(chain, clock=Clock(drop_then_mine)).write(
        allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch)
    )
    assert written.log is not None


def test_finality_is_waited_for(chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda _: chain.mine())
    asked = writer(chain, clock=clock)
    written = asked.write(allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch))
    final = wait_finalized(asked.quorum, written, timeout=1000, pause=clock.pause, clock=clock.read)
    assert final.finalized
    assert final.log == written.log
    assert clock.waits == chain.ledger.depths.finalized


def test_a_block_that_never_becomes_final_is_told(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    asked = writer(chain, clock=clock)
    written = asked.write(allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch))
    with pytest.raises(Unavailable, match="not finalized yet"):
        wait_finalized(asked.quorum, written, timeout=20, pause=clock.pause, clock=clock.read)


@pytest.mark.parametrize("keep", [True, False], ids=["mined again", "forgotten"])
def test_a_reorganisation_while_waiting_is_noticed(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    def reorganise(waits: int) -> None:
        if waits == 1:
            chain.reorg(2, keep=keep)
        chain.mine()

    clock = Clock(reorganise)
    asked = writer(chain, clock=clock)
    chain.mine()
    written = asked.write(allow_compose_hash(app.address, some_hash()), signer(app.owner, monkeypatch))
    chain.mine()
    if keep:
        final = wait_finalized(asked.quorum, written, timeout=1000, pause=clock.pause, clock=clock.read)
        assert final.log is not None
        assert written.log is not None
        assert final.log.block_hash != written.log.block_hash
    else:
        with pytest.raises(Unavailable, match="not finalized yet") as failure:
            wait_finalized(asked.quorum, written, timeout=60, pause=clock.pause, clock=clock.read)
        assert "reorganisation" in failure.value.got


@pytest.mark.parametrize("generation", list(Generation))
@pytest.mark.parametrize("require_tcb", [False, True])
def test_an_app_is_deployed_and_its_id_comes_from_the_factory_s_log(
    chain: DevChain, monkeypatch: pytest.MonkeyPatch, generation: Generation, require_tcb: bool
) -> None:
    kms = KmsContract.deploy(chain, DevAccount.create(), generation)
    new = NewApp(kms.address, kms.owner.address, DEVICE, HASH, require_tcb_up_to_date=require_tcb)
    asked = writer(chain)
    if require_tcb and generation is Generation.FIRST:
        with pytest.raises(Refused, match="would refuse"):
            deploy_app(asked, new, signer(kms.owner, monkeypatch))
        return
    written = deploy_app(asked, new, signer(kms.owner, monkeypatch))
    app = AppContract(chain, written.contract, kms.owner)
    assert app.is_allowed(HASH)
    assert written.log is not None
    assert written.log.topics == (keccak256(b"ComposeHashAdded(bytes32)"),)
    assert is_done(asked.quorum, allow_device(app.address, DEVICE))


def test_what_is_no_kms_deploys_nothing(chain: DevChain, app: AppContract) -> None:
    with pytest.raises(Refused, match="not a KMS of dstack"):
        plan_app(writer(chain), NewApp(app.address, app.owner.address, DEVICE, HASH), app.owner.address)


def test_a_log_that_is_missing_is_no_success(
    chain: DevChain, kms: KmsContract, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = replace(allow_compose_hash(app.address, some_hash()), topic=keccak256(b"SomethingElse(bytes32)"))
    with pytest.raises(Refused, match="without the log"):
        writer(chain).write(change, signer(app.owner, monkeypatch))


def test_the_key_is_in_no_message_and_no_json(
    chain: DevChain, app: AppContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = signer(app.owner, monkeypatch)
    said: list[str] = [repr(key), str(key)]
    written = writer(chain, show=lambda plan: said.append(f"{plan} {plan.to_json()}")).write(
        allow_compose_hash(app.address, some_hash()), key
    )
    said += [repr(written), json.dumps(written.to_json())]
    for limits in (Limits(max_cost=1), Limits(gas=1)):
        with pytest.raises(TwinproofError) as failure:
            writer(chain, limits=limits).write(allow_compose_hash(app.address, some_hash()), key)
        said += [str(failure.value), failure.value.hint]
    assert app.owner.key.hex() not in " ".join(said).lower()
