"""An endpoint that lies to one who writes: what harms is not signed, and what is not done is not called so."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from rpc_stub import client
from twinproof.chain.app_change import allow_compose_hash
from twinproof.cli.main import main
from twinproof.errors import TwinproofError
from twinproof.sources.chain_writer import ChainWriter
from twinproof.sources.final_receipt import wait_finalized
from twinproof.sources.planned_transaction import Limits, PlannedTransaction
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.signing_key import Signer, key_from_environment
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.endpoint import Endpoint as Served
from twinproof_devnet.chain.errors import RpcError
from twinproof_devnet.chain.governance import AppContract, KmsContract

Lie = Callable[[Callable[[], object]], object]
"""From the honest answer, which is asked only when it is wanted."""
ESCAPES = "\x1b[2J\x1b]0;owned\x07 \u202e all is well"
OTHER = "0x" + "77" * 32


class Lying:
    """Answers some methods with something else."""

    def __init__(self, chain: DevChain, lies: Mapping[str, Lie]) -> None:
        self._chain, self._lies = chain, lies

    def answer(self, method: str, params: Sequence[object]) -> object:
        def honest() -> object:
            return self._chain.methods.answer(method, params)

        lie = self._lies.get(method)
        return honest() if lie is None else lie(honest)


@pytest.fixture(scope="module")
def app() -> Iterator[AppContract]:
    chain = DevChain.start()
    kms = KmsContract.deploy(chain, DevAccount.create())
    yield kms.deploy_app(kms.owner, device_id=b"\x33" * 32, compose_hash=b"\x11" * 32)
    chain.close()


@pytest.fixture
def signer(app: AppContract, monkeypatch: pytest.MonkeyPatch) -> Signer:
    monkeypatch.setenv("DEVNET_KEY", app.owner.key.hex())
    return key_from_environment("DEVNET_KEY")


@pytest.fixture
def served(app: AppContract) -> Iterator[Callable[[Mapping[str, Lie]], str]]:
    """Starts a lying endpoint of the same chain."""
    with ExitStack() as resources:

        def start(lies: Mapping[str, Lie]) -> str:
            endpoint = Served(Lying(app.chain, lies))
            resources.callback(endpoint.close)
            return endpoint.url

        yield start


def writer(*urls: str, show: Callable[[PlannedTransaction], None] = lambda _: None) -> ChainWriter:
    clock = iter(range(10_000))
    endpoints = [Endpoint(url, client(), pause=lambda _: None) for url in urls]
    quorum = Quorum(endpoints, len(urls) // 2 + 1, 31337)
    return ChainWriter(
        quorum, limits=Limits(timeout=20), show=show, pause=lambda _: None, clock=lambda: float(next(clock))
    )


def refuse(message: str) -> Lie:
    def lie(_: Callable[[], object]) -> object:
        raise RpcError(-32000, message)

    return lie


def changed(**members: object) -> Lie:
    def lie(honest: Callable[[], object]) -> object:
        found = honest()
        return {**found, **members} if isinstance(found, dict) else found

    return lie


def other_contract(honest: Callable[[], object]) -> object:
    found = honest()
    assert isinstance(found, dict) or found is None
    return found and {**found, "logs": [{**log, "address": "0x" + "f0" * 20} for log in found["logs"]]}


def second(value: str) -> Lie:
    """The honest answer first, and this every second time."""
    calls = iter(range(1000))
    return lambda honest: value if next(calls) % 2 else honest()


BEFORE_ANYTHING_IS_SIGNED: dict[str, tuple[Mapping[str, Lie], str]] = {
    "a nonce far ahead": ({"eth_getTransactionCount": second(hex(5000))}, "nonce that cannot be"),
    "a nonce beyond all": ({"eth_getTransactionCount": lambda _: hex(2**256 - 1)}, "nonce that cannot be"),
    "an estimate of 10^18": ({"eth_estimateGas": lambda _: hex(10**18)}, "estimate that cannot be"),
    "an estimate beyond all": ({"eth_estimateGas": lambda _: hex(2**256 - 1)}, "estimate that cannot be"),
    "a tip of an ether": ({"eth_maxPriorityFeePerGas": lambda _: hex(10**18)}, "may cost more than allowed"),
    "a tip beyond all": ({"eth_maxPriorityFeePerGas": lambda _: hex(2**256 - 1)}, "may cost more than allowed"),
    "no money": ({"eth_getBalance": lambda _: "0x0"}, "cannot pay"),
    "another chain": ({"eth_chainId": lambda _: hex(8453)}, "another chain"),
    "escapes in a refusal": ({"eth_estimateGas": refuse(ESCAPES)}, "all is well"),
    "escapes in a revert": ({"eth_estimateGas": refuse("execution reverted: " + ESCAPES)}, "would refuse"),
}


@pytest.mark.parametrize("name", BEFORE_ANYTHING_IS_SIGNED)
def test_nothing_is_signed_when_what_it_says_cannot_be(
    app: AppContract, signer: Signer, served: Callable[[Mapping[str, Lie]], str], name: str
) -> None:
    lies, reason = BEFORE_ANYTHING_IS_SIGNED[name]
    head = app.chain.ledger.head
    signed: list[PlannedTransaction] = []
    with pytest.raises(TwinproofError, match=reason) as failure:
        writer(served(lies), show=signed.append).write(allow_compose_hash(app.address, secrets.token_bytes(32)), signer)
    said = str(failure.value) + failure.value.hint
    assert said.isprintable()
    assert "\u202e" not in said
    assert (signed, app.chain.ledger.head) == ([], head)


AFTERWARDS: dict[str, tuple[Mapping[str, Lie], str]] = {
    "another hash": ({"eth_sendRawTransaction": lambda honest: honest() and OTHER}, "another hash"),
    "the receipt of another": ({"eth_getTransactionReceipt": changed(transactionHash=OTHER)}, "receipt"),
    "a log of another contract": ({"eth_getTransactionReceipt": other_contract}, "without the log"),
    "no log": ({"eth_getTransactionReceipt": changed(logs=[])}, "without the log"),
    "a failure": (
        {"eth_getTransactionReceipt": changed(status="0x0", logs=[], logsBloom="0x" + "00" * 256)},
        "mined and failed",
    ),
    "nothing that is mined": ({"eth_getTransactionReceipt": lambda _: None}, "was replaced"),
    "that it was not taken": ({"eth_sendRawTransaction": lambda honest: honest() and refuse(ESCAPES)(honest)}, "take"),
}


@pytest.mark.parametrize("name", AFTERWARDS)
def test_nothing_is_called_done_for_what_it_says_afterwards(
    app: AppContract, signer: Signer, served: Callable[[Mapping[str, Lie]], str], name: str
) -> None:
    lies, reason = AFTERWARDS[name]
    change = allow_compose_hash(app.address, secrets.token_bytes(32))
    with pytest.raises(TwinproofError, match=reason) as failure:
        writer(served(lies)).write(change, signer)
    assert (str(failure.value) + failure.value.hint).isprintable()
    assert writer(app.chain.url).write(change, signer).already, "and an honest one finds it done"


def test_what_is_signed_is_for_the_chain_that_was_asked_for(
    app: AppContract, signer: Signer, served: Callable[[Mapping[str, Lie]], str]
) -> None:
    answers = iter([hex(31337), *[hex(8453)] * 50])
    url = served({"eth_chainId": lambda _: next(answers)})
    plans: list[PlannedTransaction] = []
    writer(url, show=plans.append).write(allow_compose_hash(app.address, secrets.token_bytes(32)), signer)
    assert [plan.chain_id for plan in plans] == [31337]


def test_one_of_three_does_not_choose_the_nonce(
    app: AppContract, signer: Signer, served: Callable[[Mapping[str, Lie]], str]
) -> None:
    ahead = served({"eth_getTransactionCount": lambda honest: hex(int(str(honest()), 16) + 20)})
    plans: list[PlannedTransaction] = []
    right = app.chain.ledger.next_nonce(app.owner.address)
    urls = (ahead, app.chain.url, served({}))
    writer(*urls, show=plans.append).write(allow_compose_hash(app.address, secrets.token_bytes(32)), signer)
    assert [plan.nonce for plan in plans] == [right]


def test_one_of_three_cannot_say_that_it_is_done_already(
    app: AppContract, signer: Signer, served: Callable[[Mapping[str, Lie]], str]
) -> None:
    yes = served({"eth_call": lambda honest: f"0x{1:064x}" if honest() == f"0x{0:064x}" else honest()})
    value = secrets.token_bytes(32)
    written = writer(yes, app.chain.url, served({})).write(allow_compose_hash(app.address, value), signer)
    assert not written.already
    assert app.is_allowed(value)


def test_a_receipt_that_only_one_of_three_shows_is_never_final(
    app: AppContract, signer: Signer, served: Callable[[Mapping[str, Lie]], str]
) -> None:
    without = served({"eth_getTransactionReceipt": lambda _: None})
    asked = writer(app.chain.url, without, served({"eth_getTransactionReceipt": changed(logs=[])}))
    written = asked.write(allow_compose_hash(app.address, secrets.token_bytes(32)), signer)
    app.chain.mine(app.chain.ledger.depths.finalized)
    with pytest.raises(RpcUntrue, match="do not agree on the receipt") as failure:
        wait_finalized(asked.quorum, written, timeout=100)
    assert "1 of 3" in failure.value.got


def test_a_refusal_with_escapes_reaches_no_terminal(
    app: AppContract,
    served: Callable[[Mapping[str, Lie]], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DEVNET_KEY", app.owner.key.hex())
    for lies in ({"eth_estimateGas": refuse(ESCAPES)}, {"eth_estimateGas": refuse(app.owner.key.hex() + ESCAPES)}):
        command = ["chain", "allow", f"0x{app.address.hex()}", "--compose-hash", "55" * 32, "--chain", served(lies)]
        assert main([*command, "--key-env", "DEVNET_KEY"]) in {4, 5}
        out, err = capsys.readouterr()
        assert not set("\x1b\x07\u202e") & set(out + err)
        assert "all is well" in err


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
