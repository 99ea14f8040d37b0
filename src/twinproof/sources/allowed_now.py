"""What an app's contract allows now, as enough endpoints say."""

from __future__ import annotations

import contextlib

from twinproof.chain.abi import AnswerKind
from twinproof.chain.app_change import Change, allow_device
from twinproof.chain.contracts import ALLOW_ANY_DEVICE
from twinproof.chain.receipt import Receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Refused, Unavailable
from twinproof.sources.chain_calls import ask
from twinproof.sources.rpc import Endpoint, header_at
from twinproof.sources.rpc_quorum import Quorum

__all__ = ["device_may_boot", "is_done", "is_undone"]


def is_done(quorum: Quorum, change: Change) -> bool:
    """Whether the contract says so now, to as many endpoints as have to agree.

    Raises Refused for what is no app contract, Unavailable.
    """
    chain_id = quorum.check_chain_id()
    said: list[bool] = []
    failures: list[Unavailable] = []
    for endpoint in quorum.trusted:
        try:
            said.append(_says(endpoint, change, chain_id))
        except Unavailable as error:
            failures.append(error)
        if said.count(True) >= quorum.needed:
            return True
    if len(said) < quorum.needed and failures:
        raise failures[0]
    return False


def is_undone(quorum: Quorum, change: Change, receipt: Receipt) -> bool:
    """Whether what this mined transaction did holds no more: so say enough endpoints that have its block.

    Those that are behind it do not know of it yet, and are no reason to send it a second time. Raises Unavailable.
    """
    there = 0
    for endpoint in quorum.trusted:
        with contextlib.suppress(Unavailable):
            there += header_at(endpoint, "latest").number >= receipt.block_number
    return there >= quorum.needed and not is_done(quorum, change)


def device_may_boot(quorum: Quorum, app_id: bytes, device_id: bytes) -> bool:
    """This one, or every one. Raises Refused for what is no app contract, Unavailable."""
    any_device = ask(quorum.trusted[0], app_id, ALLOW_ANY_DEVICE)
    if any_device.kind is AnswerKind.VALUE and any_device.flag:
        return True
    return is_done(quorum, allow_device(app_id, device_id))


def _says(endpoint: Endpoint, change: Change, chain_id: int) -> bool:
    answer = ask(endpoint, change.contract, change.view, change.value)
    if answer.kind is AnswerKind.VALUE:
        return answer.flag
    raise Refused(
        f"not an app of dstack: {answer.kind}",
        where=hex_data(change.contract),
        got=answer.reason,
        hint=f"the app id is the address of its contract; is it of chain {chain_id}?",
    )
