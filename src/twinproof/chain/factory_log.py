"""Step 8: the log in which the KMS says that its own factory made the app's contract.

Anyone can register any contract, and one that keeps a proxy's slots and writes its events may answer as it likes.
What the factory makes is a proxy of known code, with nothing in its storage but what its first logs tell.
"""

from __future__ import annotations

from twinproof.chain.events import Kind, is_event
from twinproof.chain.evidence import ChainEvidence
from twinproof.chain.placed_log import check_place
from twinproof.chain.questions import Attested
from twinproof.chain.state import State
from twinproof.chain.trusted import TrustedChain
from twinproof.errors import Contradiction
from twinproof.ledger import Ledger

__all__ = ["NOT_SHOWN", "check_factory"]

_STEP = "chain.factory"
NOT_SHOWN = (
    "no log shows that the KMS's factory made this contract: one of another kind can keep the same slots, write the "
    "same events, and answer the KMS as it likes"
)


def check_factory(
    evidence: ChainEvidence, state: State, attested: Attested, trusted: TrustedChain, ledger: Ledger
) -> str:
    """Why it is not proved, if it is not: no log, or one that is an endpoint's word. Code that is listed needs none."""
    code, found, weak = state.code_hash(), evidence.created_by, ""
    if code is not None and code in trusted.app_proxies:
        with ledger.line(_STEP) as line:
            line.got = f"code hash {code.hex()}, which app_proxies in [policy] lists"
        return ""
    if found is None:
        hint = "; app_proxies in [policy] lists code hashes that are known"
        ledger.not_checked(_STEP, NOT_SHOWN + (hint if code is None else f"; {code.hex()} is not in app_proxies"))
        return NOT_SHOWN
    log = found.log
    with ledger.line(_STEP) as line:
        line.got = log.place
        if not is_event(log, evidence.kms, Kind.APP_DEPLOYED_VIA_FACTORY, attested.app_id):
            raise Contradiction(
                "the log does not say that the factory made this app",
                where=line.got,
                expected=f"AppDeployedViaFactory 0x{attested.app_id.hex()}",
            )
        placed = check_place(found, evidence.block.header.number, line, stored=evidence.stored)
        few = len(found.block.agreed) < trusted.endpoints
        if not placed.proved or few:
            weak = "that the KMS's factory made the app's contract is the word of " + ", ".join(found.block.agreed)
            line.warning = line.warning or weak
    return weak
