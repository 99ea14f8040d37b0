"""Steps 7 to 15, without the logs: what the contracts hold, against what the hardware signed."""

from __future__ import annotations

from twinproof.chain import contracts
from twinproof.chain.abi import AnswerKind, read_answer
from twinproof.chain.evidence import ChainEvidence
from twinproof.chain.questions import Attested
from twinproof.chain.state import State
from twinproof.chain.trusted import TrustedChain
from twinproof.errors import Contradiction, Refused
from twinproof.ledger import Ledger, Line

__all__ = ["check_state"]

_NOT_ANSWERED = "the endpoint was not asked, or the contract has no such function"


def check_state(
    state: State, attested: Attested, trusted: TrustedChain, evidence: ChainEvidence, ledger: Ledger
) -> None:
    """Every step on its own. What no proof shows is marked as the word of whoever answered."""
    whose = "" if state.proved or evidence.plain is None else f"without a proof: the word of {evidence.plain.endpoint}"
    with ledger.line("chain.implementation") as line:  # 7
        line.warning = whose
        _check_implementation(line, state, attested, trusted, evidence)
    with ledger.line("chain.app") as line:  # 9
        line.warning, line.got = whose, f"0x{attested.app_id.hex()}"
        if state.is_contract() is False:
            raise Refused("the app id is no contract", got=line.got, hint="is it the app id of this chain?")
        _decide(line, state.registered(), "the app is not registered at the KMS", line.got)
    with ledger.line("chain.compose_hash") as line:  # 10
        line.warning, line.got = whose, attested.compose_hash.hex()
        allowed = state.compose_hash(attested.compose_hash)
        _decide(line, allowed, "the app's contract does not allow the attested compose hash", line.got)
    with ledger.line("chain.device") as line:  # 12
        line.warning, line.got = whose, attested.device_id.hex()
        if state.any_device():
            line.explain("allowed", "any device")
        else:
            _decide(line, state.device(attested.device_id), "the app's contract does not allow this machine", line.got)
    if attested.os_image_hash is None:
        ledger.not_checked("chain.os_image", "the event log names no OS image")
    else:
        with ledger.line("chain.os_image") as line:  # 13
            line.warning, line.got = whose, attested.os_image_hash.hex()
            _decide(line, state.os_image(attested.os_image_hash), "the KMS does not allow the OS image", line.got)
    with ledger.line("chain.key_provider") as line:  # 14
        line.warning, line.got = whose, (attested.kms_root or b"").hex()
        root = state.ca_pubkey()
        line.expected = root.hex() if root else ""
        _decide(line, None if root is None else root == attested.kms_root, "the keys come from another KMS", line.got)
    with ledger.line("chain.kms_code") as line:  # 15
        line.warning = whose
        _check_kms_code(line, state.kms_implementation(), trusted)


def _decide(line: Line, holds: bool | None, otherwise: str, got: str) -> None:
    if holds is None:
        line.not_checked = _NOT_ANSWERED
    elif not holds:
        raise Refused(otherwise, got=got, expected=line.expected)


def _check_implementation(
    line: Line, state: State, attested: Attested, trusted: TrustedChain, evidence: ChainEvidence
) -> None:
    """Known code is what this KMS gives to new apps, or what the policy lists; and its answer is what its slot says."""
    code, given = state.implementation(), state.app_implementation()
    _check_layout(line, state, attested, evidence)
    if code is None or given is None:
        line.not_checked = _NOT_ANSWERED
        return
    line.got, line.expected = f"0x{code.hex()}", f"0x{given.hex()}, which this KMS gives to new apps"
    if not any(code):
        line.not_checked = "the app's contract is no proxy of this kind: what its storage means is not known"
    elif code != given and code not in trusted.app_implementations:
        line.not_checked = (
            f"the app runs 0x{code.hex()}, which is not what this KMS gives to new apps: an older version, or other "
            "code; app_implementations in [policy] lists what is known"
        )


def _check_layout(line: Line, state: State, attested: Attested, evidence: ChainEvidence) -> None:
    """What the contract itself answers has to be what its proved slot says: else its storage is another one."""
    if not state.proved or state.is_contract() is False:
        return
    function = contracts.ALLOWED_COMPOSE_HASHES
    asked = (attested.app_id, function.call(attested.compose_hash))
    calls = () if evidence.plain is None else evidence.plain.calls
    call = next((call for call in calls if (call.to, call.input) == asked), None)
    answer = None if call is None else read_answer(function, call.output, reverted=call.reverted)
    if answer is None:
        line.warning = "that its storage has the known form was not held against the contract's own answer"
        return
    whose = "" if evidence.plain is None else f"block {evidence.block.header.number}, as {evidence.plain.endpoint} says"
    if answer.kind is not AnswerKind.VALUE:
        raise Contradiction("the contract does not answer as an app's does", where=function.name, got=answer.kind.value)
    if answer.flag is not state.compose_hash(attested.compose_hash):
        raise Contradiction(
            f"the contract answers otherwise than its storage says: its layout is another one, or an endpoint lies "
            f"({whose})",
            where="allowedComposeHashes",
            got=str(answer.flag).lower(),
            expected=str(not answer.flag).lower(),
        )
    line.explain("held against", f"allowedComposeHashes in {whose}")


def _check_kms_code(line: Line, code: bytes | None, trusted: TrustedChain) -> None:
    """Nobody but the reader can know which code is the KMS's: without a list it stays open, with one it is a pin."""
    if code is None:
        line.not_checked = _NOT_ANSWERED
        return
    line.got = f"0x{code.hex()}"
    if not trusted.kms_implementations:
        line.not_checked = f"the KMS runs {line.got}; kms_implementations in [policy] lists what is known"
    elif code not in trusted.kms_implementations:
        line.expected = ", ".join(f"0x{known.hex()}" for known in trusted.kms_implementations)
        raise Refused(
            "the KMS's contract runs code that the policy does not list", got=line.got, expected=line.expected
        )
