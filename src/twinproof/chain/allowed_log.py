"""Step 11: the log that allowed the compose hash. It dates a version; that the hash is allowed now is step 10."""

from __future__ import annotations

from twinproof.chain.events import Kind, is_event
from twinproof.chain.evidence import ChainEvidence
from twinproof.chain.placed_log import Placed, check_place
from twinproof.chain.questions import Attested
from twinproof.errors import Contradiction
from twinproof.ledger import Ledger

__all__ = ["check_log"]

_STEP = "chain.log"


def check_log(evidence: ChainEvidence, attested: Attested, ledger: Ledger) -> Placed | None:
    """The log's place, when it is this app's, about this hash, and where it is said to be; None otherwise."""
    found = evidence.allowed_by
    if found is None:
        ledger.not_checked(_STEP, "no log that allowed it was shown")
        return None
    log = found.log
    with ledger.line(_STEP) as line:
        line.got = log.place
        if not is_event(log, attested.app_id, Kind.COMPOSE_HASH_ADDED, attested.compose_hash):
            raise Contradiction(
                "the log does not allow the attested compose hash",
                where=line.got,
                got=log.data.hex(),
                expected=f"ComposeHashAdded {attested.compose_hash.hex()}",
            )
        line.explain("not removed since", "by the logs of ", ", ".join(evidence.unbroken) or "nobody")
        return check_place(found, evidence.block.header.number, line, stored=evidence.stored)
    return None
