"""`--format vsa`: the outcome as an in-toto Statement with a SLSA Verification Summary, signed or not.

The subjects are the compose files by their measured hashes; the input attestations are the evidence bundles by the
hashes of their texts, so that the summary says exactly which bytes it is about.
Source: in-toto Statement v1, SLSA VSA v1, DSSE v1.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence

from twinproof.comparison import Proof
from twinproof.dcap.timestamps import iso
from twinproof.evidence.bundle import bundle_to_json
from twinproof.report.outcome import Failure, outcome_text
from twinproof.report.verdict_text import verdict_sentence
from twinproof.verifier import Verdict

__all__ = ["PAYLOAD_TYPE", "Signer", "dsse_envelope", "pre_authentication", "statement_bytes", "vsa_statement"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
Signer = Callable[[bytes], bytes]


def vsa_statement(
    proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = (), *, version: str
) -> dict[str, object]:
    """The Statement. PASSED means exit code 0: complete, or genuine and as wanted; `levels` say which of it holds."""
    passed = not failures and bool(verdicts) and (proof.exit_code if proof is not None else verdicts[0].exit_code) == 0
    predicate: dict[str, object] = {
        "verifier": {"id": "urn:twinproof:verifier", "version": {"twinproof": version}},
        "timeVerified": iso(max((verdict.at for verdict in verdicts), default=0)),
        "resourceUri": _resource(verdicts),
        "policy": _policy(verdicts),
        "inputAttestations": [_input(verdict) for verdict in verdicts],
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": _levels(proof, verdicts) if passed else ["FAILED"],
        "urn:twinproof:outcome": _outcome(proof, verdicts, failures),
        "urn:twinproof:simulated-hardware": any(verdict.simulated for verdict in verdicts),
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": _subjects(verdicts),
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": predicate,
    }


def _outcome(proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure]) -> str:
    if proof is None and len(verdicts) == 1 and not failures:
        return verdict_sentence(verdicts[0])
    return outcome_text(proof, failures)


def _policy(verdicts: Sequence[Verdict]) -> dict[str, object]:
    if not verdicts:
        return {"uri": "urn:twinproof:policy"}
    digest = verdicts[0].policy.digest
    return {"uri": f"urn:twinproof:policy:{digest}", "digest": {"sha256": digest}}


def _subjects(verdicts: Sequence[Verdict]) -> list[dict[str, object]]:
    """Each measured compose file once; the evidence itself where nothing was measured."""
    found: dict[str, dict[str, object]] = {}
    for verdict in verdicts:
        software = verdict.claims.software
        name = "app-compose.json" if software else "evidence"
        digest = software.compose_hash.hex() if software else _digest(verdict)
        found[digest] = {"name": name, "digest": {"sha256": digest}}
    return list(found.values())


def _resource(verdicts: Sequence[Verdict]) -> str:
    """The app by its id; where the instances are of several, or of none known, nothing is named."""
    ids = {verdict.claims.software.app_id.hex() if verdict.claims.software else "" for verdict in verdicts}
    return f"urn:dstack:app:{ids.pop()}" if len(ids) == 1 and "" not in ids else "urn:dstack:app:unknown"


def _input(verdict: Verdict) -> dict[str, object]:
    return {"uri": verdict.source, "digest": {"sha256": _digest(verdict)}}


def _digest(verdict: Verdict) -> str:
    return hashlib.sha256(bundle_to_json(verdict.evidence).encode()).hexdigest()


def _levels(proof: Proof | None, verdicts: Sequence[Verdict]) -> list[str]:
    """Levels of our own, for SLSA has none about running code."""
    fresh = all(verdict.fresh and not verdict.evidence.stored for verdict in verdicts)
    return [
        "TWINPROOF_GENUINE",
        *(["TWINPROOF_FRESH"] if fresh else []),
        *(["TWINPROOF_SAME_CODE"] if proof is not None and proof.complete else []),
    ]


def statement_bytes(statement: dict[str, object]) -> bytes:
    """What is printed, and what is signed."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def pre_authentication(payload: bytes) -> bytes:
    """What DSSE signs: type and payload with their lengths."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def dsse_envelope(statement: dict[str, object], sign: Signer, key_id: str) -> dict[str, object]:
    """The statement's bytes, and one signature over them. `key_id` is SHA-256 of the key's SPKI, hex."""
    payload = statement_bytes(statement)
    signature = base64.b64encode(sign(pre_authentication(payload))).decode()
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key_id, "sig": signature}],
    }
