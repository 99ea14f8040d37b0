"""Was it allowed in public? The third question, asked of what the first two found.

1. chain.network      2. chain.header           3. chain.agreement     4. chain.finality    5. chain.recent
6. chain.state_proof  7. chain.implementation   8. chain.factory       9. chain.app         10. chain.compose_hash
11. chain.log         12. chain.device          13. chain.os_image     14. chain.key_provider
15. chain.kms_code

1 to 6 are a straight line, and say whose word the rest is. 7 to 15 are independent questions about a state that is then
known, each answered even when another fails. `policy.chain` passes when all of them did, except 11, and 15 where the
policy lists no code, and nothing of it rests on one endpoint's word.
"""

from __future__ import annotations

from dataclasses import replace

from twinproof.chain.allowed_log import check_log
from twinproof.chain.evidence import AgreedBlock, ChainEvidence
from twinproof.chain.factory_log import check_factory
from twinproof.chain.on_chain import OnChain
from twinproof.chain.plan import PLAN, STORED
from twinproof.chain.questions import Attested
from twinproof.chain.state import Answered, Proved, State
from twinproof.chain.state_steps import check_state
from twinproof.chain.trusted import TrustedChain
from twinproof.errors import Forged, Refused
from twinproof.ledger import Ledger, Line

__all__ = ["check_chain"]

_FUTURE_SECONDS = 300
_JUDGED_APART = {"chain.agreement", "chain.finality", "chain.factory", "chain.log", "chain.kms_code"}
_NEEDED = tuple(step.id for step in PLAN if step.id not in _JUDGED_APART)


def check_chain(
    evidence: ChainEvidence, attested: Attested, trusted: TrustedChain, ledger: Ledger, *, at: int
) -> OnChain | None:
    """Run the plan, and `policy.chain`; None unless the app's contract was found to allow what was attested.

    `at` (unix seconds) is the time of judgement. Raises nothing because of the evidence.
    """
    if attested.kms_root is None:
        _nobody_to_ask(f"the keys are from the key provider {attested.key_provider}: no KMS contract decides", ledger)
        return None
    block, weak = evidence.block, list[str]()
    state, off_chain = None, False
    with ledger.line("chain.network") as line:  # 1
        _check_network(line, evidence, trusted)
        line.step("chain.header")  # 2
        _check_header(line, block)
        line.step("chain.agreement")  # 3
        weak += _check_agreement(line, evidence, trusted)
        line.step("chain.finality")  # 4
        if not block.finalized:
            line.not_checked = f"block {block.header.number} is not final yet: it can still be undone"
            weak.append(line.not_checked)
        line.step("chain.recent")  # 5
        _check_recent(line, block, trusted, at)
        line.step("chain.state_proof")  # 6
        found = _state(line, evidence, attested)
        weak += [line.not_checked] if line.not_checked else []
        off_chain = found is not None and _keeps_no_log(found, attested)
        state = found
    if state is None:
        return None
    if off_chain:
        _nobody_to_ask("the keys come from another KMS than this contract's: it keeps no log here", ledger)
        return None
    check_state(state, attested, trusted, evidence, ledger)
    return _on_chain(evidence, attested, trusted, state, ledger, weak=weak)


def _nobody_to_ask(reason: str, ledger: Ledger) -> None:
    ledger.not_checked_yet((*(step.id for step in PLAN), "policy.chain"), reason)


def _keeps_no_log(state: State, attested: Attested) -> bool:
    """An app of an off-chain KMS: its id is no contract, and its keys are another KMS's."""
    return state.is_contract() is False and state.ca_pubkey() not in (None, attested.kms_root)


def _check_network(line: Line, evidence: ChainEvidence, trusted: TrustedChain) -> None:
    line.got = f"chain {evidence.chain_id}, KMS 0x{evidence.kms.hex()}"
    line.expected = f"chain {trusted.chain_id}, KMS 0x{trusted.kms.hex()}"
    if (evidence.chain_id, evidence.kms) != (trusted.chain_id, trusted.kms):
        raise Refused(
            "another chain or KMS contract than expected",
            got=line.got,
            expected=line.expected,
            hint="--expect chain_id=N and --expect kms_contract=ADDRESS say which ones are",
        )


def _check_header(line: Line, block: AgreedBlock) -> None:
    line.got, line.expected = block.header.hash.hex(), block.hash.hex()
    line.explain("hashed", "Keccak-256 over ", block.header.rlp)
    if block.header.hash != block.hash:
        raise Forged(
            "the header is not of the block that was agreed on",
            where=f"block {block.header.number}",
            got=block.header.hash.hex(),
            expected=block.hash.hex(),
        )


def _check_agreement(line: Line, evidence: ChainEvidence, trusted: TrustedChain) -> list[str]:
    """Why the block's hash is not yet to be believed, if it is not."""
    block = evidence.block
    line.got = f"{len(block.agreed)} of {len(block.asked)}: {', '.join(block.agreed)}"
    line.expected = f"at least {trusted.endpoints}"
    for name, reason in block.dissent:
        line.explain(name, reason)
    if not block.agreed:
        raise Refused("no endpoint agrees on the block", got=line.got, expected=line.expected)
    if evidence.stored:
        line.not_checked = STORED
        return [STORED]
    if len(block.agreed) < trusted.endpoints:
        count = f"{len(block.agreed)} endpoint" + ("s" if len(block.agreed) > 1 else "")
        line.warning = f"the word of {count} only ({', '.join(block.agreed)}); {trusted.endpoints} have to agree"
        return [line.warning]
    if block.dissent:
        line.warning = "; ".join(f"{name} {reason}" for name, reason in block.dissent)
    return []


def _check_recent(line: Line, block: AgreedBlock, trusted: TrustedChain, at: int) -> None:
    age = at - block.header.timestamp
    line.got, line.expected = f"{age} s", f"at most {trusted.max_age} s"
    if not -_FUTURE_SECONDS <= age <= trusted.max_age:
        raise Refused(
            "the block is too old" if age > 0 else "the block is of the future",
            where=f"block {block.header.number}",
            got=line.got,
            expected=line.expected,
            hint="the endpoints lag behind the chain, or a clock is wrong",
        )


def _state(line: Line, evidence: ChainEvidence, attested: Attested) -> State | None:
    block = evidence.block.header
    if evidence.proof is not None:
        line.got = f"state root {block.state_root.hex()}"
        return Proved(evidence.proof, block.state_root, attested.app_id, evidence.kms)
    if evidence.plain is None:
        line.not_checked = "no state was asked for"
        return None
    line.not_checked = f"no proof was asked for (--proof): what follows is the word of {evidence.plain.endpoint}"
    return Answered(evidence.plain, attested.app_id, evidence.kms)


def _on_chain(
    evidence: ChainEvidence,
    attested: Attested,
    trusted: TrustedChain,
    state: State,
    ledger: Ledger,
    *,
    weak: list[str],
) -> OnChain | None:
    """`policy.chain`, and what may be said. After a failure it stays open, and is blocked by that failure."""
    made_elsewhere = check_factory(evidence, state, attested, trusted, ledger)
    placed = check_log(evidence, attested, ledger)
    if ledger.failed("chain."):
        return None
    needed = (*_NEEDED, "chain.kms_code") if trusted.kms_implementations else _NEEDED
    weak += [f"{step_id} was not checked" for step_id in needed if not ledger.passed(step_id)]
    weak += [made_elsewhere] if made_elsewhere else []
    block = evidence.block
    with ledger.line("policy.chain") as line:
        line.got = f"block {block.header.number}, {len(block.agreed)} of {len(block.asked)} endpoints"
        line.not_checked = weak[0] if weak else ""
    if not ledger.passed("chain.app", "chain.compose_hash", "chain.device"):
        return None
    found = OnChain(
        chain_id=evidence.chain_id,
        kms=evidence.kms,
        app_id=attested.app_id,
        block_number=block.header.number,
        block_hash=block.hash,
        block_time=block.header.timestamp,
        endpoints=block.agreed,
        settled=not weak,
        any_device=state.any_device() is True,
    )
    if placed is None or evidence.allowed_by is None:
        return found
    by, transaction = evidence.allowed_by, placed.transaction
    proved = placed.proved and not evidence.stored and len(by.block.agreed) >= trusted.endpoints and by.block.finalized
    return replace(
        found,
        allowed_in_block=by.log.block_number,
        allowed_by_transaction=by.log.transaction_hash,
        allowed_by_sender=None if transaction is None else transaction.sender,
        log_proved=proved,
        transaction_proved=proved and transaction is not None,
        unbroken_by=evidence.unbroken,
    )
