"""JSON inside HTML: the evidence a report carries, and what the tool found, for the script that repeats it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from twinproof.dstack.vm_config import parse_vm_config
from twinproof.errors import EvidenceError
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.carrier import unpack
from twinproof.evidence.evidence import Evidence
from twinproof.verdict import Check
from twinproof.verifier import Verdict

__all__ = ["Block", "bundle_file", "evidence_blocks", "json_block", "tool_block"]

_MARKUP = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Block:
    """A data element of the page: its id, and JSON in which no markup can begin."""

    id: str
    text: str


def json_block(name: str, value: object) -> Block:
    return Block(name, json.dumps(value, sort_keys=True, separators=(",", ":")).translate(_MARKUP))


def evidence_blocks(verdicts: Sequence[Verdict]) -> list[Block]:
    """One block per instance, one per set of collateral: a hundred instances of one platform share one."""
    blocks: dict[str, Block] = {}
    for index, verdict in enumerate(verdicts):
        evidence, digest = verdict.evidence, None
        if evidence.collateral is not None:
            members = evidence.collateral.to_json()
            digest = hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()
            blocks.setdefault(digest, json_block(f"collateral-{digest}", members))
        name = f"evidence-{index}"
        blocks[name] = json_block(
            name,
            {
                "bundle": json.loads(bundle_to_json(replace(evidence, collateral=None))),
                "collateral": digest,
                "carried": _carried(evidence),
                "file": bundle_file(index, verdict),
            },
        )
    return list(blocks.values())


def bundle_file(index: int, verdict: Verdict) -> str:
    """What the saved bundle of instance `index` (from 0) is called."""
    return f"{index + 1}-{_NO_FILE_NAME.sub('-', verdict.name)[:60].strip('-.') or 'evidence'}.json"


def _carried(evidence: Evidence) -> dict[str, object]:
    """What stands inside another container: the script finds the quote in it, and replays the rest to the quote."""
    try:
        carried = unpack(evidence)
    except EvidenceError:
        return {}
    found: dict[str, object] = {}
    if evidence.quote is None:
        found["quote"] = carried.quote.hex()
    if carried.event_log is not None and (evidence.quote is None or evidence.event_log is None):
        found["event_log"] = json.dumps(
            [
                {
                    "imr": event.imr,
                    "event_type": event.event_type,
                    "digest": event.digest.hex(),
                    "event": event.event,
                    "event_payload": event.payload.hex(),
                    "version": event.version,
                }
                for event in carried.event_log.events
            ]
        )
    if carried.app_compose is not None and (evidence.quote is None or evidence.app_compose is None):
        found["app_compose"] = carried.app_compose
    if document := _mr_config(carried.vm_config):
        found["mr_config"] = document
    return found


def _mr_config(vm_config: str | None) -> str | None:
    """The document that MR_CONFIG_ID of version 3 commits to, where the evidence has it."""
    try:
        return parse_vm_config(vm_config).mr_config if vm_config is not None else None
    except EvidenceError:
        return None


def tool_block(verdicts: Sequence[Verdict], titles: Sequence[str], checks: Sequence[Check], outcome: str) -> Block:
    """What the tool found: the outcome, and statuses by check id, of each instance and between them."""
    return json_block(
        "report",
        {
            "outcome": outcome,
            "checks": {check.id: check.status.value for check in checks},
            "instances": [
                {
                    "title": title,
                    "at": verdict.at,
                    "root": verdict.root.der.hex(),
                    "checks": {check.id: check.status.value for check in verdict.checks},
                }
                for title, verdict in zip(titles, verdicts, strict=True)
            ],
        },
    )
