"""The recorded results over real quotes: 234 cases with their boundaries, and 171 mutations of three of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from real_vectors import vectors_directory
from twinproof.dcap.attributes import AttributeRules, check_report_attributes
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA
from twinproof.dcap.verify import PLAN, Appraisal, appraise
from twinproof.errors import Malformed, Refused
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.verdict import Status

Json = dict[str, Any]
MEMO = Memo()
"""One for all: the recorded results have to come out with a memory of everything else, too."""

END_OF_CERTIFICATE = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Accepted means: genuine, not revoked, and the strict attribute rules hold. Any other status is the policy's."""

    accepted: bool
    status: str = ""
    advisory_ids: frozenset[str] = frozenset()
    step: str = ""
    reason: str = ""

    @classmethod
    def recorded(cls, result: Json) -> Outcome:
        return cls(result["ok"], result.get("status", ""), frozenset(result.get("advisory_ids", ())))

    def same_as(self, other: Outcome) -> bool:
        return (self.accepted, self.status, self.advisory_ids) == (other.accepted, other.status, other.advisory_ids)


@cache
def index() -> Json:
    directory = vectors_directory()
    empty: Json = {"quotes": [], "collateral": [], "cases": []}
    return empty if directory is None else _load("index.json")


def _load(name: str) -> Json:
    directory = vectors_directory()
    assert directory is not None
    loaded: Json = json.loads((directory / "dcap" / name).read_text(encoding="utf-8"))
    return loaded


@cache
def mutations() -> list[Json]:
    found: list[Json] = _load("mutations.json")["mutations"] if index()["cases"] else []
    return found


@cache
def quote_bytes(quote_id: str) -> bytes:
    directory = vectors_directory()
    assert directory is not None
    return (directory / "dcap" / "quotes" / f"{quote_id}.bin").read_bytes()


@cache
def collateral_members(collateral_id: str) -> Json:
    return _load(f"collateral/{collateral_id}.json")


@cache
def collateral(collateral_id: str) -> Collateral:
    return Collateral.from_json(json.dumps(collateral_members(collateral_id)))


@cache
def cases() -> dict[str, Json]:
    return {case["id"]: case for case in index()["cases"]}


@cache
def claimed() -> dict[str, Json]:
    return {case["id"]: _load(case["claims"]) for case in index()["cases"] if case.get("claims")}


def appraised(quote: bytes, supplied: Collateral, at: int, memo: Memo = MEMO) -> Appraisal | Outcome:
    ledger = Ledger(PLAN)
    appraisal = appraise(quote, supplied, at=at, root=INTEL_SGX_ROOT_CA, ledger=ledger, memo=memo)
    if appraisal is not None:
        return appraisal
    failure = next(check for check in ledger.checks() if check.status is Status.FAIL)
    return Outcome(accepted=False, step=failure.id, reason=failure.reason)


def outcome(quote: bytes, supplied: Collateral, at: int, memo: Memo = MEMO) -> Outcome:
    result = appraised(quote, supplied, at, memo)
    if isinstance(result, Outcome):
        return result
    try:
        check_report_attributes(result.quote.report, AttributeRules())
    except Refused as error:
        return Outcome(accepted=False, step="policy.report_attributes", reason=str(error))
    return Outcome(accepted=True, status=result.tcb_status.value, advisory_ids=frozenset(result.advisory_ids))


def spoiled(mutation: Json) -> tuple[bytes, Json]:
    """The quote and the members of the collateral of a recorded mutation."""
    case = cases()[mutation["case"]]
    quote = _spoiled_quote(quote_bytes(case["quote"]), mutation)
    return quote, _spoiled_collateral(case["collateral"], mutation["mutation"])


def outcome_of_mutation(mutation: Json) -> Outcome:
    quote, members = spoiled(mutation)
    try:
        supplied = Collateral.from_json(json.dumps(members))
    except Malformed as error:
        return Outcome(accepted=False, step="collateral", reason=str(error))
    return outcome(quote, supplied, mutation["now"])


def _spoiled_quote(quote: bytes, mutation: Json) -> bytes:
    if "offset" in mutation:
        spoiled = bytearray(quote)
        spoiled[mutation["offset"]] ^= mutation["xor"]
        return bytes(spoiled)
    size: int = mutation.get("truncate_to", len(quote))
    zeros: int = mutation.get("append_zero", 0)
    ones: int = mutation.get("append_ff", 0)
    return quote[:size] + bytes(zeros) + b"\xff" * ones


def _spoiled_collateral(collateral_id: str, name: str) -> Json:
    members = dict(collateral_members(collateral_id))
    if not name.startswith("collateral:"):
        return members
    member, _, action = name.removeprefix("collateral:").partition(" ")
    if member == "swap":
        members["tcb_info"], members["qe_identity"] = members["qe_identity"], members["tcb_info"]
        return members
    members[member] = _spoiled_text(members, member, action)
    return members


def _spoiled_text(members: Json, member: str, action: str) -> str:
    text: str = members[member]
    if action == "byte 0 ^1":
        return _flipped(text, 0)
    if action == "last byte ^1":
        return _flipped(text, -1)
    if action.startswith(":= "):
        other: str = members[action.removeprefix(":= ").replace(" ", "_")]
        return other
    return {
        "append space": text + " ",
        "empty": "",
        "garbage": "garbage",
        "without root": text[: text.find(END_OF_CERTIFICATE) + len(END_OF_CERTIFICATE)],
    }[action]


def _flipped(text: str, index: int) -> str:
    data = bytearray.fromhex(text)
    data[index] ^= 1
    return data.hex()
