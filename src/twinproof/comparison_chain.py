"""The comparisons that only a chain can show: one app contract, which allows everything that runs, at one block."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.chain.plan import NOT_ASKED
from twinproof.comparison_rules import SOURCE
from twinproof.errors import Refused
from twinproof.ledger import Ledger
from twinproof.verdict import Question, Step
from twinproof.verifier import Verdict

__all__ = ["PLAN", "compare_chain"]


def _step(name: str, title: str, why: str) -> Step:
    return Step(f"compare.chain_{name}", title, why, SOURCE, Question.WANTED)


PLAN = (
    _step(
        "app",
        "one app contract, on one chain, under one KMS contract",
        "the instances would be governed by different contracts, with different owners and logs",
    ),
    _step(
        "compose_hash",
        "every compose hash is allowed, at one block",
        "one machine would run what the other's reader never sees allowed",
    ),
    _step(
        "devices",
        "every machine is allowed",
        "one machine would hold keys that its app's owner gave to no such machine",
    ),
)
"""They stay open without a chain, and do not keep a proof from being complete: the verdict then says so."""


def compare_chain(verdicts: Sequence[Verdict], ledger: Ledger) -> None:
    """Only what is settled for every instance counts; anything else is one endpoint's, or a file's, word."""
    found = [(verdict, verdict.claims.chain) for verdict in verdicts]
    settled = [(verdict, chain) for verdict, chain in found if chain is not None and chain.settled]
    if len(settled) < len(found):
        reason = _why_open(verdicts)
        for step in PLAN:
            ledger.not_checked(step.id, reason)
        return
    first, reference = settled[0]
    with ledger.line("compare.chain_app") as line:
        contract = (reference.chain_id, reference.kms, reference.app_id)
        line.got = f"chain {reference.chain_id}, 0x{reference.app_id.hex()}"
        for verdict, chain in settled[1:]:
            if (chain.chain_id, chain.kms, chain.app_id) != contract:
                raise Refused(
                    f"the app contract differs between {first.name} and {verdict.name}",
                    got=f"chain {chain.chain_id}, 0x{chain.app_id.hex()}",
                    expected=line.got,
                )
    with ledger.line("compare.chain_compose_hash") as line:
        line.got = f"block {reference.block_number}, {reference.block_hash.hex()}"
        if any(chain.block_hash != reference.block_hash for _, chain in settled):
            line.not_checked = "the instances were looked up at different blocks: compare them in one run"
    with ledger.line("compare.chain_devices") as line:
        line.got = "any" if reference.any_device else f"{len(settled)} machines by their device ids"


def _why_open(verdicts: Sequence[Verdict]) -> str:
    unsettled = [verdict for verdict in verdicts if verdict.claims.chain is None or not verdict.claims.chain.settled]
    reasons = dict.fromkeys(verdict.check("policy.chain").reason for verdict in unsettled)
    if reasons == {NOT_ASKED: None}:
        return NOT_ASKED
    return f"not settled for {', '.join(verdict.name for verdict in unsettled)}: {next(iter(reasons))}"
