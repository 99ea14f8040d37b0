"""What the chain adds to a verdict and a comparison: never a pass of its own, and never silence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import small_chain
from published_schemas import described
from small_instance import AT, judge, twins, verifier
from small_log import APP, KMS
from small_transactions import SENDER
from twinproof import Outcome, compare
from twinproof.chain import storage_layout as layout
from twinproof.chain.evidence import ChainEvidence
from twinproof.chain.questions import Attested
from twinproof.chain.trusted import TrustedChain
from twinproof.chain_question import attested_by
from twinproof.comparison import Proof
from twinproof.evidence.bundle import bundle_to_json, parse_bundle
from twinproof.evidence.evidence import Evidence
from twinproof.policy import Pins, Policy
from twinproof.report.chain_text import chain_row, chain_sentence
from twinproof.report.outcome import headline_text
from twinproof.report.proof_text import proof_text
from twinproof.verdict import Status

TRUSTED = TrustedChain(chain_id=31337, kms=KMS)
POLICY = Policy(chain=TRUSTED)


def asked() -> list[tuple[Evidence, Attested]]:
    found = []
    for instance in twins():
        attested = attested_by(judge(instance.evidence()).claims)
        assert attested is not None
        found.append((instance.evidence(), attested))
    return found


def read(attested: Attested, held: Mapping[bytes, Mapping[bytes, int]]) -> ChainEvidence:
    return small_chain.proved(attested, held, at=AT)


def chained(*, policy: Policy = POLICY, second: dict[bytes, int] | None = None) -> Proof:
    """Both instances, at one block; `second` is what is written to the app's contract besides."""
    pairs = asked()
    held = small_chain.storage(pairs[0][1])
    app = held[pairs[0][1].app_id]
    app |= {layout.device_slot(attested.device_id): 1 for _, attested in pairs}
    app |= second or {}
    judges = verifier(policy)
    return compare(
        [judges.verify(evidence.with_chain(read(attested, held))) for evidence, attested in pairs],
    )


def open_reasons(proof: Proof) -> set[str]:
    return {c.reason for c in proof.checks if c.id.startswith("compare.chain_") and c.status is Status.NOT_CHECKED}


def test_two_instances_that_the_contract_allows_are_settled() -> None:
    proof = chained()
    assert (proof.outcome, open_reasons(proof)) == (Outcome.COMPLETE, set())
    assert [chain_row(verdict) for verdict in proof.verdicts] == ["yes, added in block 20"] * 2
    assert "\nPROOF COMPLETE\n" in proof_text(proof, proof.verdicts, now=AT)
    sentence = chain_sentence(proof.verdicts)
    assert sentence.startswith("Its compose hash is allowed in public; proved at a final block: 3 endpoints agree on")
    assert "block 64 of chain 31337. It was added in block 20 by transaction 0x" in sentence
    assert f"of 0x{SENDER.hex()} (proved); that it was not removed in between is the word of rpc-a.example," in sentence
    assert " ".join(sentence.split()[:8]) in " ".join(proof_text(proof, proof.verdicts, now=AT).split())
    document = described("proof.v1", json.dumps(proof.to_json()))
    assert [verdict["claims"]["chain"]["settled"] for verdict in document["instances"]] == [True, True]


def test_what_is_allowed_now_is_never_said_to_have_been_allowed_ever_since() -> None:
    """State is proved at one block and a log in another; between them there is only what endpoints say."""
    sentence = chain_sentence(chained().verdicts)
    assert "since" not in sentence
    assert sentence.endswith("is the word of rpc-a.example, rpc-b.example, rpc-c.example.")


def test_a_transaction_that_is_not_proved_is_not_quoted_as_if_it_were() -> None:
    first, second = chained().verdicts
    assert second.claims.chain is not None
    word = replace(second.claims.chain, transaction_proved=False, allowed_by_sender=None)
    sentence = chain_sentence([first, replace(second, claims=second.claims._replace(chain=word))])
    assert "the transaction's hash is what the endpoints say" in sentence
    assert SENDER.hex() not in sentence


def test_a_proof_that_no_chain_settled_cannot_be_read_as_if_one_had() -> None:
    """One endpoint's word, or a chain that could not be read, is not shown in the first line either."""
    first, second = chained().verdicts
    assert second.claims.chain is not None
    word = replace(second, claims=second.claims._replace(chain=replace(second.claims.chain, settled=False)))
    assert headline_text(compare([first, second]), ()) == "PROOF COMPLETE"
    assert headline_text(compare([first, word]), ()) == "PROOF COMPLETE, CHAIN NOT SHOWN"


def test_without_a_chain_a_complete_proof_says_so_right_under_itself() -> None:
    judges = verifier()
    proof = compare([judges.verify(instance.evidence()) for instance in twins()])
    text = proof_text(proof, proof.verdicts, now=AT)
    assert proof.complete
    assert open_reasons(proof) == {"no chain was asked (--chain)"}
    assert "Not shown: that this code was allowed in public (no chain was asked" in " ".join(text.split())
    assert "PROOF COMPLETE\n" not in text
    assert (
        text.index("\nPROOF COMPLETE, CHAIN NOT SHOWN\n") < text.index("Not shown: that") < text.index("Not checked:")
    )


def test_a_machine_that_the_contract_does_not_allow_leaves_no_proof() -> None:
    device = asked()[1][1].device_id
    proof = chained(second={layout.device_slot(device): 0})
    assert proof.outcome is Outcome.REFUSED
    assert [check.id for check in proof.verdicts[1].failures] == ["chain.device"]
    assert [chain_row(verdict) for verdict in proof.verdicts] == ["yes, added in block 20", "NO"]


def test_a_chain_or_kms_that_the_evidence_names_is_not_believed() -> None:
    proof = chained(policy=Policy())
    assert {check.id for verdict in proof.verdicts for check in verdict.failures} == {"chain.network"}
    assert not proof.complete


def test_different_blocks_are_not_one_look() -> None:
    pairs = asked()
    judges = verifier(POLICY)
    verdicts = [judges.verify(e.with_chain(read(a, small_chain.storage(a)))) for e, a in pairs]
    proof = compare(verdicts)
    assert proof.check("compare.chain_compose_hash").status is Status.NOT_CHECKED
    assert "different blocks" in proof.check("compare.chain_compose_hash").reason


def test_another_app_contract_is_a_difference() -> None:
    first, second = chained().verdicts
    assert second.claims.chain is not None
    other = replace(second, claims=second.claims._replace(chain=replace(second.claims.chain, app_id=APP)))
    proof = compare([first, other])
    assert proof.check("compare.chain_app").status is Status.FAIL


def test_a_bundle_keeps_what_the_chain_said_and_verifies_it_again_but_settles_nothing() -> None:
    ((evidence, attested), _) = asked()
    whole = evidence.with_chain(read(attested, small_chain.storage(attested)))
    stored = parse_bundle(bundle_to_json(whole))
    assert stored.chain is not None
    assert replace(stored.chain, stored=False) == whole.chain
    verdict = verifier(POLICY).verify(stored)
    assert verdict.accepted
    assert verdict.check("chain.state_proof").status is Status.PASS
    assert verdict.check("policy.chain").status is Status.NOT_CHECKED
    required = verifier(replace(POLICY, required=frozenset({"chain"}))).verify(stored)
    assert (required.exit_code, required.check("policy.chain").status) == (4, Status.FAIL)


def test_a_pinned_kms_contract_requires_the_chain() -> None:
    ((evidence, _), _) = asked()
    for pins in (Pins(kms_contract=KMS), Pins(chain_id=31337)):
        verdict = verifier(Policy(pins=pins)).verify(evidence)
        assert (verdict.exit_code, verdict.check("policy.chain").status) == (4, Status.FAIL)


def test_a_chain_that_could_not_be_asked_leaves_the_steps_open_with_the_reason() -> None:
    ((evidence, _), _) = asked()
    verdict = verifier().verify(replace(evidence, chain_failure="the chain was not read: rpc.example is down"))
    assert verdict.accepted
    assert verdict.check("policy.chain").reason == "the chain was not read: rpc.example is down"
    assert not compare([verdict, verdict]).check("compare.chain_app").passed


def test_one_endpoint_s_word_being_enough_is_a_weakening_that_reports_show() -> None:
    assert Policy(chain=TRUSTED._replace(endpoints=1)).weakenings == (
        "the word of one endpoint is enough for a block of the chain",
    )
    assert Policy(chain=TRUSTED._replace(max_age=86400)).weakenings != ()
    assert POLICY.weakenings == ()
