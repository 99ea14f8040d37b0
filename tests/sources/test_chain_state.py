"""What endpoints say about an instance is held against the block, and against each other: who lies is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest

from lying_node import Lie, lying
from rpc_stub import client
from twinproof.chain.account_proof import EMPTY_CODE, proved_account
from twinproof.chain.evidence import ChainEvidence, parse_evidence
from twinproof.chain.plan import PLAN
from twinproof.chain.questions import Attested
from twinproof.chain.receipt_proof import proved_logs
from twinproof.chain.state import Answered, Proved, State
from twinproof.chain.trusted import TrustedChain
from twinproof.chain.verify import check_chain
from twinproof.errors import Unavailable
from twinproof.keccak import keccak256
from twinproof.ledger import Ledger
from twinproof.sources.chain_cache import ChainCache
from twinproof.sources.chain_state import ChainReader
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Quorum, majority
from twinproof.verdict import Check, Status, Step
from twinproof.wire import Fields
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.governance import AppContract, KmsContract

DEVICE, HASH, IMAGE, ROOT = b"\x33" * 32, b"\x11" * 32, b"\x66" * 32, b"\x30" * 91
OTHER = b"\x99" * 32
LATER = b"\x22" * 32
REMOVED = bytes.fromhex("755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947")


@pytest.fixture(scope="module")
def chain(engine: EngineName) -> Iterator[DevChain]:
    chain = DevChain.start(engine=engine)
    yield chain
    chain.close()


@pytest.fixture(scope="module")
def kms(chain: DevChain) -> KmsContract:
    kms = KmsContract.deploy(chain, DevAccount.create())
    kms.set_info(b"\x02" * 33, ROOT)
    kms.allow_image(IMAGE)
    return kms


@pytest.fixture(scope="module")
def app(chain: DevChain, kms: KmsContract) -> AppContract:
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    app.allow(OTHER)
    app.remove(OTHER)
    app.allow(LATER)
    app.remove(HASH)
    app.allow(HASH)
    chain.settle()
    return app


@pytest.fixture
def attested(app: AppContract) -> Attested:
    return Attested(app.address, HASH, DEVICE, IMAGE, ROOT)


def reader(urls: Sequence[str], kms: KmsContract, *, proof: bool, notes: list[str] | None = None) -> ChainReader:
    endpoints = [Endpoint(url, client(), pause=lambda _: None) for url in urls]
    quorum = Quorum(endpoints, majority(len(endpoints)))
    said = notes if notes is not None else []
    return ChainReader(quorum, ChainCache(None), kms.address, proof=proof, note=said.append)


def read(urls: Sequence[str], kms: KmsContract, attested: Attested, *, proof: bool) -> ChainEvidence:
    return reader(urls, kms, proof=proof).evidence(attested)


def state_of(evidence: ChainEvidence, attested: Attested) -> State:
    if evidence.proof is not None:
        return Proved(evidence.proof, evidence.block.header.state_root, attested.app_id, evidence.kms)
    assert evidence.plain is not None
    return Answered(evidence.plain, attested.app_id, evidence.kms)


def says(state: State) -> dict[str, object]:
    return {
        "contract": state.is_contract(),
        "registered": state.registered(),
        "hash": state.compose_hash(HASH),
        "any": state.any_device(),
        "device": state.device(DEVICE),
        "image": state.os_image(IMAGE),
        "root": state.ca_pubkey(),
        "code": state.implementation() == state.app_implementation(),
    }


def judged(evidence: ChainEvidence, attested: Attested) -> dict[str, Check]:
    ledger = Ledger((*PLAN, Step("policy.chain", "", "", "")))
    trusted = TrustedChain(chain_id=evidence.chain_id, kms=evidence.kms, max_age=1 << 40)
    check_chain(evidence, attested, trusted, ledger, at=evidence.block.header.timestamp)
    return {check.id: check for check in ledger.checks()}


TRUTH = {
    "contract": True,
    "registered": True,
    "hash": True,
    "any": False,
    "device": True,
    "image": True,
    "root": ROOT,
    "code": True,
}


@pytest.mark.parametrize("proof", [False, True])
def test_one_honest_endpoint_tells_all_of_it(
    chain: DevChain, kms: KmsContract, app: AppContract, attested: Attested, proof: bool
) -> None:
    evidence = read([chain.url], kms, attested, proof=proof)
    assert says(state_of(evidence, attested)) == TRUTH
    assert (evidence.chain_id, evidence.kms) == (chain.chain_id, kms.address)
    assert evidence.block.header.number == chain.ledger.number_of("finalized")
    assert evidence.allowed_by is not None
    assert evidence.allowed_by.log.data == HASH
    assert (evidence.allowed_by.receipt is not None) is proof
    if evidence.allowed_by.receipt is not None:
        root = evidence.allowed_by.block.header.receipts_root
        assert any(log.data == HASH for log in proved_logs(evidence.allowed_by.receipt, root, "receipt"))
    assert parse_evidence(Fields(evidence.to_json(), "chain")) == evidence.from_file()


@pytest.mark.parametrize("proof", [False, True])
def test_a_removed_hash_is_not_allowed_and_has_no_log_that_allows_it(
    chain: DevChain, kms: KmsContract, attested: Attested, proof: bool
) -> None:
    evidence = read([chain.url], kms, replace(attested, compose_hash=OTHER), proof=proof)
    assert state_of(evidence, attested).compose_hash(OTHER) is False
    assert evidence.allowed_by is None


def test_a_bit_of_a_proof_changed_does_not_hold(chain: DevChain, kms: KmsContract, attested: Attested) -> None:
    evidence = read([chain.url], kms, attested, proof=True)
    assert evidence.proof is not None
    wrong = replace(evidence.proof.app, nodes=(*evidence.proof.app.nodes[:-1], evidence.proof.app.nodes[-1] + b"\0"))
    with pytest.raises(Exception, match="account"):
        proved_account(wrong, evidence.block.header.state_root)


def _honest(method: str, params: Sequence[object], answer: object) -> object:
    return answer


def _wrong_logs(method: str, params: Sequence[object], answer: object) -> object:
    """The hash was allowed one log later than it says."""
    if method == "eth_getLogs" and isinstance(answer, list):
        for log in answer:
            if log["data"] == "0x" + HASH.hex():
                log["data"] = "0x" + "77" * 32
    return answer


def _missing_logs(method: str, params: Sequence[object], answer: object) -> object:
    if method == "eth_getLogs" and isinstance(answer, list):
        return [log for log in answer if log["data"] != "0x" + HASH.hex()]
    return answer


def _made_up_log(method: str, params: Sequence[object], answer: object) -> object:
    """A hash that nobody allowed: the log of another one, changed."""
    if method == "eth_getLogs" and isinstance(answer, list):
        return [{**log, "data": "0x" + "77" * 32} if log["data"] == "0x" + LATER.hex() else log for log in answer]
    return answer


def _forged_proof(method: str, params: Sequence[object], answer: object) -> object:
    if method == "eth_getProof" and isinstance(answer, dict):
        for slot in answer["storageProof"]:
            slot["value"] = "0x1"
    return answer


def _proof_of_another_contract(method: str, params: Sequence[object], answer: object) -> object:
    if method == "eth_getProof" and isinstance(answer, dict):
        answer["address"] = "0x" + "12" * 20
    return answer


def _cut_proof(method: str, params: Sequence[object], answer: object) -> object:
    if method == "eth_getProof" and isinstance(answer, dict):
        answer["accountProof"] = answer["accountProof"][:-1]
    return answer


def _wrong_block(method: str, params: Sequence[object], answer: object) -> object:
    if method == "eth_getBlockByNumber" and isinstance(answer, dict):
        answer["stateRoot"] = "0x" + "55" * 32
    return answer


def _wrong_chain(method: str, params: Sequence[object], answer: object) -> object:
    return "0x1" if method == "eth_chainId" else answer


def _wrong_receipts(method: str, params: Sequence[object], answer: object) -> object:
    if method == "eth_getBlockReceipts" and isinstance(answer, list):
        for receipt in answer:
            receipt["logsBloom"] = "0x" + "00" * 256
    return answer


def _misplaced_receipts(method: str, params: Sequence[object], answer: object) -> object:
    """All that the block's root covers is true; the logs of who tells the truth would be in none of them."""
    if method == "eth_getBlockReceipts" and isinstance(answer, list):
        for part in (part for receipt in answer for part in (receipt, *receipt["logs"])):
            part["blockNumber"] = hex(int(part["blockNumber"], 16) + 1)
    return answer


def _another_transaction(method: str, params: Sequence[object], answer: object) -> object:
    """The hash of another transaction for every log, which no receipt's proof shows."""
    if method == "eth_getLogs" and isinstance(answer, list):
        return [{**log, "transactionHash": "0x" + "77" * 32} for log in answer]
    return answer


def _another_sender(method: str, params: Sequence[object], answer: object) -> object:
    """Signatures that are not those of the block's transactions."""
    if method == "eth_getBlockByNumber" and params[1] and isinstance(answer, dict):
        return {**answer, "transactions": [{**item, "r": "0x5"} for item in answer["transactions"]]}
    return answer


def _another_answer(method: str, params: Sequence[object], answer: object) -> object:
    return "0x" + "00" * 32 if method == "eth_call" else answer


def _no_creation(method: str, params: Sequence[object], answer: object) -> object:
    """Nothing of the first block in which the app has logs."""
    if method == "eth_getLogs" and isinstance(answer, list):
        return [log for log in answer if log["blockNumber"] != answer[0]["blockNumber"]]
    return answer


def _no_removal(method: str, params: Sequence[object], answer: object) -> object:
    """The hash was removed once, and added again: by these logs it was allowed all the time."""
    if method == "eth_getLogs" and isinstance(answer, list):
        return [log for log in answer if log["topics"][0] != "0x" + REMOVED.hex() or log["data"] != "0x" + HASH.hex()]
    return answer


def _wrong_answers(method: str, params: Sequence[object], answer: object) -> object:
    if method == "eth_call" and answer == "0x" + "00" * 32:
        return "0x" + "00" * 31 + "01"
    return answer


LIES: dict[str, Lie] = {
    "wrong logs": _wrong_logs,
    "missing logs": _missing_logs,
    "forged proof": _forged_proof,
    "a proof of another contract": _proof_of_another_contract,
    "half a proof": _cut_proof,
    "a block of its own": _wrong_block,
    "another chain": _wrong_chain,
    "wrong receipts": _wrong_receipts,
    "receipts of another number": _misplaced_receipts,
    "another transaction": _another_transaction,
    "another sender": _another_sender,
    "another answer": _another_answer,
    "no creation": _no_creation,
    "a removal left out": _no_removal,
}


LEFT_OUT = {
    "missing logs": (False, True),
    "no creation": (True, False),
    "a removal left out": (True, True),
    "another answer": (True, True),
}
"""What a lie of the only endpoint leaves: whether the log that allowed the hash, and the factory's, are shown."""
UNSEEN_WHEN_LAST = {
    *("forged proof", "a proof of another contract", "half a proof"),
    *("wrong receipts", "receipts of another number", "another sender"),
}
"""Proofs are asked of one endpoint after the other, until one holds."""


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("place", [0, 2], ids=["asked first", "asked last"])
def test_one_liar_of_three_changes_nothing_with_proofs(
    *, chain: DevChain, kms: KmsContract, app: AppContract, attested: Attested, name: str, place: int
) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(lying(chain.methods, _honest)) for _ in range(2)]
        urls.insert(place, stack.enter_context(lying(chain.methods, LIES[name])))
        asked = reader(urls, kms, proof=True)
        asked.quorum.chain_id = chain.chain_id
        evidence = asked.evidence(attested)
        logs = asked.logs(app.address)
        liar = urls[place].removeprefix("http://")
        honest = reader([chain.url], kms, proof=True)
        assert says(state_of(evidence, attested)) == TRUTH
        assert logs == honest.logs(app.address)
        assert evidence.allowed_by is not None
        assert evidence.allowed_by.log in logs
    if place == 0 or name not in UNSEEN_WHEN_LAST:
        assert set(asked.quorum.dissent) == {liar}
    assert set(asked.quorum.dissent) <= {liar}


@pytest.mark.parametrize("name", LIES)
def test_the_only_endpoint_proves_no_lie(
    chain: DevChain, kms: KmsContract, app: AppContract, attested: Attested, name: str
) -> None:
    """It may leave a log out, which nobody notices who asks nobody else; then none is shown."""
    with lying(chain.methods, LIES[name]) as url:
        asked = reader([url], kms, proof=True)
        asked.quorum.chain_id = chain.chain_id
        if name not in LEFT_OUT:
            with pytest.raises(Unavailable):
                asked.evidence(attested)
            return
        evidence = asked.evidence(attested)
        shown = evidence.allowed_by is not None, evidence.created_by is not None
        assert shown == LEFT_OUT[name]
        assert evidence.unbroken == (asked.quorum.endpoints[0].name,) * shown[0]
        check = judged(evidence, attested)["chain.implementation"]
        assert (check.status is Status.FAIL) is (name == "another answer")
        assert (asked.quorum.endpoints[0].name in check.reason) is (name == "another answer")


def _delegating_code(method: str, params: Sequence[object], answer: object) -> object:
    return "0x" + "60" * 23 if method == "eth_getCode" else answer


def test_code_is_what_was_proved_whoever_gives_it(chain: DevChain, kms: KmsContract) -> None:
    """Else a lie about a key with delegated code would make its account a contract of an unknown kind."""
    code = bytes.fromhex(str(chain.methods.answer("eth_getCode", ["0x" + kms.address.hex(), "latest"]))[2:])
    with lying(chain.methods, _delegating_code) as liar:
        asked = reader([liar, chain.url], kms, proof=True)
        assert asked.code(kms.address, keccak256(code)) == code
        assert set(asked.quorum.dissent) == {liar.removeprefix("http://")}
        with pytest.raises(RpcUntrue, match="gives other code than is proved"):
            reader([liar], kms, proof=True).code(kms.address, keccak256(code))
        assert reader([liar], kms, proof=True).code(kms.address, EMPTY_CODE) == b""


@pytest.mark.parametrize("name", ["wrong logs", "made up", "wrong receipts", "another transaction", "another sender"])
def test_the_only_endpoint_s_log_is_not_read_when_its_block_contradicts_it(
    chain: DevChain, kms: KmsContract, app: AppContract, name: str
) -> None:
    lies = {**LIES, "made up": _made_up_log}
    with lying(chain.methods, lies[name]) as url, pytest.raises(Unavailable):
        reader([url], kms, proof=True).logs(app.address)


def test_a_log_that_was_made_up_is_caught_by_its_block(chain: DevChain, kms: KmsContract, app: AppContract) -> None:
    with lying(chain.methods, _made_up_log) as url:
        asked = reader([chain.url, url, chain.url.replace("127.0.0.1", "localhost")], kms, proof=True)
        logs = asked.logs(app.address)
        assert {log.data for log in logs if len(log.data) == 32} >= {HASH, OTHER, LATER}
        assert "made up a log" in asked.quorum.dissent[url.removeprefix("http://")]


def test_answers_without_proof_need_enough_endpoints_that_give_them(
    chain: DevChain, kms: KmsContract, attested: Attested
) -> None:
    with lying(chain.methods, _wrong_answers) as url:
        urls = [url, chain.url, chain.url.replace("127.0.0.1", "localhost")]
        asked = reader(urls, kms, proof=False)
        assert says(state_of(asked.evidence(attested), attested)) == TRUTH
        assert set(asked.quorum.dissent) == {url.removeprefix("http://")}
        with pytest.raises(RpcUntrue, match="do not agree on the contracts' answers"):
            reader(urls[:2], kms, proof=False).evidence(attested)


def test_a_hash_that_no_endpoint_logs_is_read_without_a_log(
    chain: DevChain, kms: KmsContract, attested: Attested
) -> None:
    notes: list[str] = []
    evidence = reader([chain.url], kms, proof=True, notes=notes).evidence(replace(attested, compose_hash=b"\x44" * 32))
    assert evidence.allowed_by is None
    assert notes == []


def test_an_app_id_without_a_contract_is_read_as_that(chain: DevChain, kms: KmsContract, attested: Attested) -> None:
    nobody = replace(attested, app_id=b"\x77" * 20)
    for proof in (False, True):
        evidence = read([chain.url], kms, nobody, proof=proof)
        assert state_of(evidence, nobody).is_contract() is False
        assert evidence.allowed_by is None


def test_asking_twice_asks_the_log_once(chain: DevChain, kms: KmsContract, attested: Attested) -> None:
    asked = reader([chain.url], kms, proof=False)
    asked.evidence(attested)
    before = chain.endpoint.calls["eth_getLogs"]
    asked.evidence(replace(attested, device_id=OTHER))
    assert chain.endpoint.calls["eth_getLogs"] == before
