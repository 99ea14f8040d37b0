"""Was it allowed in public? Every way of a lie, one at a time, and whose word is left where nothing is proved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from small_chain import (
    AT,
    ATTESTED,
    ENDPOINTS,
    KMS_ROOT,
    TRUSTED,
    agreed,
    answered,
    byte_words,
    created_by,
    header,
    plain,
    proved,
    storage,
)
from small_log import APP, CODE, FOREIGN_CODE, KMS
from small_transactions import SENDER
from small_trie import CODE_HASH
from twinproof.chain import storage_layout as layout
from twinproof.chain.evidence import ChainEvidence, parse_evidence
from twinproof.chain.on_chain import OnChain
from twinproof.chain.plan import PLAN
from twinproof.chain.questions import Attested
from twinproof.chain.trusted import TrustedChain
from twinproof.chain.verify import check_chain
from twinproof.errors import Malformed
from twinproof.ledger import Ledger
from twinproof.verdict import Check, Status, Step
from twinproof.wire import Fields, parse_object

GOOD = proved()


def judge(
    evidence: ChainEvidence, *, attested: Attested = ATTESTED, trusted: TrustedChain = TRUSTED, at: int = AT
) -> tuple[OnChain | None, dict[str, Check]]:
    ledger = Ledger((*PLAN, Step("policy.chain", "", "", "")))
    found = check_chain(evidence, attested, trusted, ledger, at=at)
    return found, {check.id: check for check in ledger.checks()}


def failed(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.error for name, check in checks.items() if check.status is Status.FAIL}


def state(changes: dict[bytes, dict[bytes, int]]) -> ChainEvidence:
    """Evidence of another state, proved just as well."""
    held = storage()
    for address, words in changes.items():
        held[address] |= words
    return proved(state=held)


def test_everything_proved_passes_every_check() -> None:
    found, checks = judge(GOOD, trusted=TRUSTED._replace(kms_implementations=(CODE,)))
    assert {check.status for check in checks.values()} == {Status.PASS}
    assert found is not None
    assert (found.settled, found.log_proved, found.allowed_in_block, found.block_number) == (True, True, 20, 64)
    assert (found.transaction_proved, found.allowed_by_sender) == (True, SENDER)
    assert found.unbroken_by == ENDPOINTS


def test_a_bundle_says_the_same_but_who_agreed_is_its_maker_s_word() -> None:
    stored = parse_evidence(Fields(GOOD.to_json(), "chain"))
    assert replace(stored, stored=False) == GOOD
    found, checks = judge(stored)
    assert failed(checks) == {}
    assert checks["chain.compose_hash"].status is Status.PASS
    assert checks["chain.agreement"].status is checks["policy.chain"].status is Status.NOT_CHECKED
    assert "whoever made it" in checks["policy.chain"].reason
    assert found is not None
    assert (found.settled, found.log_proved) == (False, False)


@pytest.mark.parametrize(
    ("evidence", "step", "error", "reason"),
    [
        (replace(GOOD, chain_id=1), "chain.network", "Refused", "another chain"),
        (replace(GOOD, kms=APP), "chain.network", "Refused", "another chain or KMS contract"),
        (
            replace(GOOD, block=replace(GOOD.block, hash=b"\1" * 32)),
            "chain.header",
            "Forged",
            "not of the block that was agreed on",
        ),
        (replace(GOOD, block=replace(GOOD.block, agreed=())), "chain.agreement", "Refused", "no endpoint agrees"),
        (proved(at=AT - 86400), "chain.recent", "Refused", "too old"),
        (proved(at=AT + 86400), "chain.recent", "Refused", "of the future"),
        (
            replace(GOOD, block=agreed(header(64, AT - 60, state_root=b"\7" * 32))),
            "chain.state_proof",
            "Forged",
            "not the one that is named",
        ),
        (state({APP: {layout.IMPLEMENTATION: 1 << 200}}), "chain.implementation", "Malformed", "not an address"),
        (state({KMS: {layout.registered_app_slot(APP): 0}}), "chain.app", "Refused", "not registered"),
        (
            state({APP: {layout.compose_hash_slot(ATTESTED.compose_hash): 0}}),
            "chain.compose_hash",
            "Refused",
            "does not allow the attested compose hash",
        ),
        (state({APP: {layout.device_slot(ATTESTED.device_id): 0}}), "chain.device", "Refused", "this machine"),
        (state({KMS: {layout.os_image_slot(b"\xe1" * 32): 0}}), "chain.os_image", "Refused", "OS image"),
        (
            state({KMS: byte_words(layout.KMS_CA_PUBKEY, KMS_ROOT[::-1])}),
            "chain.key_provider",
            "Refused",
            "another KMS",
        ),
    ],
)
def test_each_lie_or_refusal_fails_its_check(evidence: ChainEvidence, step: str, error: str, reason: str) -> None:
    found, checks = judge(evidence)
    assert failed(checks) == {step: error}
    assert reason in checks[step].reason
    assert found is None
    assert checks["policy.chain"].status is Status.NOT_CHECKED
    assert step in checks["policy.chain"].reason


def test_a_slot_that_holds_no_boolean_is_of_another_layout() -> None:
    _, checks = judge(state({APP: {layout.compose_hash_slot(ATTESTED.compose_hash): 2}}))
    assert failed(checks) == {"chain.implementation": "Malformed", "chain.compose_hash": "Malformed"}
    assert "not a boolean" in checks["chain.compose_hash"].reason


def test_a_forged_value_beside_a_true_proof_is_a_contradiction() -> None:
    assert GOOD.proof is not None
    lie = tuple(replace(slot, value=1) if slot.slot == layout.APP_FLAGS else slot for slot in GOOD.proof.app.slots)
    evidence = replace(GOOD, proof=replace(GOOD.proof, app=replace(GOOD.proof.app, slots=lie)))
    _, checks = judge(evidence)
    assert failed(checks) == {"chain.state_proof": "Contradiction"}


def test_a_proof_of_another_app_s_contract_does_not_serve() -> None:
    _, checks = judge(GOOD, attested=replace(ATTESTED, app_id=b"\xab" * 20))
    assert failed(checks) == {"chain.state_proof": "Contradiction"}


def test_a_chain_without_the_kms_contract_proves_nothing() -> None:
    held = storage()
    del held[KMS]
    _, checks = judge(proved(state=held))
    assert failed(checks) == {"chain.state_proof": "Contradiction"}
    assert "no KMS contract" in checks["chain.state_proof"].reason


def test_an_app_id_that_is_no_contract_is_refused() -> None:
    held = storage()
    del held[APP]
    _, checks = judge(proved(state=held))
    assert failed(checks)["chain.app"] == "Refused"
    assert "no contract" in checks["chain.app"].reason


def test_an_app_of_an_off_chain_kms_has_nobody_to_ask() -> None:
    held = storage()
    del held[APP]
    held[KMS] |= byte_words(layout.KMS_CA_PUBKEY, KMS_ROOT[::-1])
    found, checks = judge(proved(state=held))
    assert (found, failed(checks)) == (None, {})
    assert checks["policy.chain"].reason == checks["chain.compose_hash"].reason
    assert "keeps no log" in checks["policy.chain"].reason


def test_keys_from_no_kms_leave_every_step_open() -> None:
    found, checks = judge(GOOD, attested=replace(ATTESTED, kms_root=None, key_provider="local-sgx"))
    assert found is None
    assert {check.status for check in checks.values()} == {Status.NOT_CHECKED}
    assert "local-sgx" in checks["chain.network"].reason


def test_any_device_allows_this_one() -> None:
    held = {APP: {layout.APP_FLAGS: 0x0100, layout.device_slot(ATTESTED.device_id): 0}}
    found, checks = judge(state(held))
    assert failed(checks) == {}
    assert found is not None
    assert found.any_device


def test_one_endpoint_is_its_word_alone() -> None:
    found, checks = judge(replace(GOOD, block=agreed(GOOD.block.header, endpoints=ENDPOINTS[:1])))
    assert checks["chain.agreement"].status is Status.WARN
    assert checks["policy.chain"].status is Status.NOT_CHECKED
    assert "the word of 1 endpoint only (rpc-a.example)" in checks["policy.chain"].reason
    assert found is not None
    assert not found.settled
    settled, _ = judge(
        replace(GOOD, block=agreed(GOOD.block.header, endpoints=ENDPOINTS[:1])), trusted=TRUSTED._replace(endpoints=1)
    )
    assert settled is not None
    assert settled.settled


def test_an_endpoint_that_lies_is_named_though_the_others_agree() -> None:
    block = replace(
        agreed(GOOD.block.header, endpoints=ENDPOINTS[:2]), dissent=((ENDPOINTS[2], "has another block 64"),)
    )
    found, checks = judge(replace(GOOD, block=block))
    assert checks["chain.agreement"].status is Status.WARN
    assert "rpc-c.example has another block 64" in checks["chain.agreement"].reason
    assert checks["policy.chain"].status is Status.PASS
    assert found is not None


def test_a_block_that_is_not_final_settles_nothing() -> None:
    found, checks = judge(replace(GOOD, block=replace(GOOD.block, finalized=False)))
    assert checks["chain.finality"].status is checks["policy.chain"].status is Status.NOT_CHECKED
    assert found is not None
    assert not found.settled


def test_code_that_the_kms_does_not_give_to_apps_is_not_known() -> None:
    evidence = state({APP: {layout.IMPLEMENTATION: int.from_bytes(FOREIGN_CODE, "big")}})
    found, checks = judge(evidence)
    assert checks["chain.implementation"].status is checks["policy.chain"].status is Status.NOT_CHECKED
    assert found is not None
    assert not found.settled
    listed, _ = judge(evidence, trusted=TRUSTED._replace(app_implementations=(FOREIGN_CODE,)))
    assert listed is not None
    assert listed.settled


def test_an_app_contract_without_an_implementation_is_of_another_kind() -> None:
    _, checks = judge(state({APP: {layout.IMPLEMENTATION: 0}}))
    assert "no proxy of this kind" in checks["chain.implementation"].reason
    assert checks["policy.chain"].status is Status.NOT_CHECKED


def test_an_image_that_the_log_does_not_name_stays_open() -> None:
    attested = replace(ATTESTED, os_image_hash=None)
    _, checks = judge(proved(attested), attested=attested)
    assert checks["chain.os_image"].status is checks["policy.chain"].status is Status.NOT_CHECKED


def test_a_slot_that_was_not_asked_for_stays_open() -> None:
    assert GOOD.proof is not None
    app = replace(GOOD.proof.app, slots=GOOD.proof.app.slots[:2])
    found, checks = judge(replace(GOOD, proof=replace(GOOD.proof, app=app)))
    assert checks["chain.compose_hash"].status is Status.NOT_CHECKED
    assert found is None


def test_plain_answers_are_the_word_of_whoever_gave_them() -> None:
    found, checks = judge(replace(GOOD, proof=None, plain=plain()))
    assert failed(checks) == {}
    assert checks["chain.state_proof"].status is checks["policy.chain"].status is Status.NOT_CHECKED
    for name in ("implementation", "app", "compose_hash", "device", "os_image", "key_provider"):
        assert checks[f"chain.{name}"].status is Status.WARN
        assert "the word of rpc-a.example" in checks[f"chain.{name}"].reason
    assert found is not None
    assert not found.settled


@pytest.mark.parametrize(
    ("answers", "step"),
    [
        ({"allowedComposeHashes": False}, "chain.compose_hash"),
        ({"allowedDeviceIds": False}, "chain.device"),
        ({"registeredApps": False}, "chain.app"),
        ({"allowedOsImages": False}, "chain.os_image"),
        ({"kmsInfo": (b"", b"\1", b"", b"")}, "chain.key_provider"),
    ],
)
def test_a_plain_no_is_a_no(answers: dict[str, object], step: str) -> None:
    _, checks = judge(replace(GOOD, proof=None, plain=plain(answers=answers)))
    assert failed(checks) == {step: "Refused"}


def test_an_address_without_code_is_no_app_also_without_proof() -> None:
    _, checks = judge(replace(GOOD, proof=None, plain=plain(no_code=True)))
    assert failed(checks) == {"chain.app": "Refused"}


def test_a_contract_that_answers_otherwise_than_its_storage_says_has_another_layout() -> None:
    _, checks = judge(replace(GOOD, plain=answered(allowed=False)))
    assert failed(checks) == {"chain.implementation": "Contradiction"}
    assert all(name in checks["chain.implementation"].reason for name in ENDPOINTS)


def test_a_contract_without_the_function_keeps_something_else_in_its_slots() -> None:
    (call,) = answered().calls
    for wrong in (replace(call, output=b"", reverted=True), replace(call, output=b"")):
        _, checks = judge(replace(GOOD, plain=replace(answered(), calls=(wrong,))))
        assert failed(checks) == {"chain.implementation": "Contradiction"}


def test_a_layout_that_was_not_held_against_the_contract_s_answer_is_said() -> None:
    _, checks = judge(replace(GOOD, plain=None))
    assert checks["chain.implementation"].status is Status.WARN
    assert "was not held against" in checks["chain.implementation"].reason


def test_a_contract_that_imitates_a_proxy_s_slots_and_events_settles_nothing() -> None:
    """Anyone can register any contract at the KMS; only the KMS's own log says that its factory made one."""
    imitation = replace(GOOD, created_by=None)
    found, checks = judge(imitation)
    assert checks["chain.factory"].status is checks["policy.chain"].status is Status.NOT_CHECKED
    assert "answer the KMS as it likes" in checks["policy.chain"].reason
    assert CODE_HASH.hex() in checks["chain.factory"].reason
    assert found is not None
    assert not found.settled
    settled, checks = judge(imitation, trusted=TRUSTED._replace(app_proxies=(CODE_HASH,)))
    assert checks["chain.factory"].status is Status.PASS
    assert settled is not None
    assert settled.settled


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"address": APP}, "Malformed"),
        ({"topics": (b"\x02" * 32,)}, "Contradiction"),
        ({"data": b"\1"}, "Malformed"),
        ({"block_number": 21}, "Contradiction"),
        ({"transaction_hash": bytes(32)}, "Contradiction"),
    ],
    ids=["the app's own log", "another event", "more data", "another block", "another transaction"],
)
def test_a_factory_s_log_that_the_kms_did_not_write_fails(changes: dict[str, object], error: str) -> None:
    made = created_by()
    forged = replace(made, log=replace(made.log, **changes))  # type: ignore[arg-type]
    found, checks = judge(replace(GOOD, created_by=forged))
    assert failed(checks) == {"chain.factory": error}
    assert found is None


def test_a_factory_s_log_about_another_app_fails() -> None:
    other = created_by(replace(ATTESTED, app_id=b"\xab" * 20))
    _, checks = judge(replace(GOOD, created_by=other))
    assert failed(checks) == {"chain.factory": "Contradiction"}


@pytest.mark.parametrize("weak", ["no receipt", "one endpoint"])
def test_a_factory_s_log_that_is_one_endpoint_s_word_settles_nothing(weak: str) -> None:
    made = created_by()
    made = (
        replace(made, receipt=None)
        if weak == "no receipt"
        else replace(made, block=agreed(made.block.header, endpoints=ENDPOINTS[:1]))
    )
    found, checks = judge(replace(GOOD, created_by=made))
    assert (checks["chain.factory"].status, checks["policy.chain"].status) == (Status.WARN, Status.NOT_CHECKED)
    assert "factory" in checks["policy.chain"].reason
    assert found is not None
    assert not found.settled


def test_a_kms_whose_owner_replaced_its_code_is_refused_where_its_code_is_listed() -> None:
    _, checks = judge(GOOD, trusted=TRUSTED._replace(kms_implementations=(FOREIGN_CODE,)))
    assert failed(checks) == {"chain.kms_code": "Refused"}
    _, checks = judge(GOOD)
    assert checks["chain.kms_code"].status is Status.NOT_CHECKED
    assert CODE.hex() in checks["chain.kms_code"].reason


def test_no_log_leaves_the_date_open_and_nothing_else() -> None:
    found, checks = judge(replace(GOOD, allowed_by=None))
    assert checks["chain.log"].status is Status.NOT_CHECKED
    assert checks["policy.chain"].status is Status.PASS
    assert found is not None
    assert found.allowed_in_block is None


def test_a_log_without_a_receipt_proof_is_an_endpoint_s_word() -> None:
    assert GOOD.allowed_by is not None
    found, checks = judge(replace(GOOD, allowed_by=replace(GOOD.allowed_by, receipt=None)))
    assert checks["chain.log"].status is Status.WARN
    assert found is not None
    assert (found.settled, found.log_proved) == (True, False)


def test_a_transaction_that_no_endpoint_proves_is_said_to_be_a_word() -> None:
    assert GOOD.allowed_by is not None
    found, checks = judge(replace(GOOD, allowed_by=replace(GOOD.allowed_by, transaction=None)))
    assert checks["chain.log"].status is Status.PASS
    assert "hash and sender" in dict(checks["chain.log"].detail)["not proved"]
    assert found is not None
    assert (found.settled, found.log_proved, found.transaction_proved) == (True, True, False)
    assert found.allowed_by_sender is None


def test_a_log_that_names_another_transaction_than_its_own_is_a_contradiction() -> None:
    assert GOOD.allowed_by is not None
    log = replace(GOOD.allowed_by.log, transaction_hash=b"\6" * 32)
    _, checks = judge(replace(GOOD, allowed_by=replace(GOOD.allowed_by, log=log)))
    assert failed(checks) == {"chain.log": "Contradiction"}
    assert "another transaction" in checks["chain.log"].reason


def test_the_proof_of_another_transaction_of_the_block_does_not_serve() -> None:
    assert GOOD.allowed_by is not None
    assert GOOD.allowed_by.transaction is not None
    for index, error in ((0, "Contradiction"), (1, "Forged")):
        nodes = GOOD.allowed_by.transaction.nodes[:1]
        proof = replace(GOOD.allowed_by.transaction, transaction_index=index, nodes=nodes)
        _, checks = judge(replace(GOOD, allowed_by=replace(GOOD.allowed_by, transaction=proof)))
        assert failed(checks) == {"chain.log": error}


def test_a_log_in_a_block_that_one_endpoint_shows_is_not_proved() -> None:
    assert GOOD.allowed_by is not None
    alone = replace(GOOD.allowed_by, block=agreed(GOOD.allowed_by.block.header, endpoints=ENDPOINTS[:1]))
    found, _ = judge(replace(GOOD, allowed_by=alone))
    assert found is not None
    assert not found.log_proved


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"address": b"\xbb" * 20}, "Malformed"),
        ({"data": b"\x02" * 32}, "Contradiction"),
        ({"topics": (b"\x02" * 32,)}, "Contradiction"),
        ({"block_number": 21}, "Contradiction"),
        ({"block_hash": bytes(32)}, "Contradiction"),
        ({"transaction_index": 0}, "Contradiction"),
    ],
    ids=["foreign contract", "another hash", "another event", "another block", "another fork", "another transaction"],
)
def test_a_log_that_is_not_what_it_is_said_to_be_fails(changes: dict[str, object], error: str) -> None:
    assert GOOD.allowed_by is not None
    log = replace(GOOD.allowed_by.log, **changes)  # type: ignore[arg-type]
    found, checks = judge(replace(GOOD, allowed_by=replace(GOOD.allowed_by, log=log)))
    assert failed(checks) == {"chain.log": error}
    assert found is None


def test_a_receipt_proved_in_another_block_fails() -> None:
    assert GOOD.allowed_by is not None
    other = agreed(header(20, AT - 4000, receipts_root=b"\5" * 32))
    log = replace(GOOD.allowed_by.log, block_hash=other.hash)
    _, checks = judge(replace(GOOD, allowed_by=replace(GOOD.allowed_by, block=other, log=log)))
    assert failed(checks) == {"chain.log": "Forged"}


def test_a_log_later_than_the_state_is_a_contradiction() -> None:
    assert GOOD.allowed_by is not None
    held = replace(GOOD, block=agreed(header(10, AT - 1800, state_root=GOOD.block.header.state_root)))
    _, checks = judge(held)
    assert failed(checks) == {"chain.log": "Contradiction"}


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 0},
        {"kms": "0x00"},
        {"extra": 1},
        {"block": {}},
        {"allowed_by": {}},
        {"proof": {"app": {}}},
    ],
)
def test_a_chain_member_of_another_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        parse_evidence(Fields(GOOD.to_json() | change, "chain"))


def test_a_chain_member_needs_proofs_or_answers() -> None:
    members = GOOD.to_json()
    del members["proof"], members["plain"]
    with pytest.raises(Malformed, match="neither proofs nor answers"):
        parse_evidence(Fields(members, "chain"))


def test_an_endpoint_that_was_not_asked_cannot_agree() -> None:
    members = replace(GOOD, block=replace(GOOD.block, asked=ENDPOINTS[:1])).to_json()
    with pytest.raises(Malformed, match="not asked"):
        parse_evidence(Fields(members, "chain"))


def test_plain_answers_come_back_as_they_went() -> None:
    import json

    evidence = replace(GOOD, proof=None, plain=plain())
    text = json.dumps(evidence.to_json())
    assert replace(parse_evidence(parse_object(text, "chain")), stored=False) == evidence


def test_the_code_of_the_small_state_is_the_one_the_kms_gives() -> None:
    _, checks = judge(GOOD)
    assert checks["chain.implementation"].got == f"0x{CODE.hex()}"
