"""The guest agent's claims held against the quote: a contradiction is a failure, agreement proves nothing new."""

from __future__ import annotations

from collections.abc import Iterator

from twinproof.dstack.app_compose import compose_hash
from twinproof.dstack.boot import Boot
from twinproof.dstack.event_log import EventLog, parse_event_log
from twinproof.dstack.guest_info import UNKNOWN_DEVICE_ID, GuestInfo
from twinproof.dstack.measurements import mr_aggregated
from twinproof.errors import Contradiction
from twinproof.tdx.report import TdReport

__all__ = ["check_guest_claims"]


def check_guest_claims(
    info: GuestInfo, report: TdReport, log: EventLog | None, boot: Boot | None, device_id: bytes | None
) -> tuple[str, ...]:
    """Compare every claim for which the quote or the replayed log has the truth; returns the names compared.

    Raises Contradiction with the first that differs, Malformed when the agent's event log cannot be read.
    """
    compared = []
    for name, claimed, true in _pairs(info, report, log, boot, device_id):
        if claimed is None or true is None:
            continue
        compared.append(name)
        if claimed != true:
            raise Contradiction(
                f"the guest agent claims another {name} than was measured",
                where=f"Info.{name}",
                got=claimed.hex() or "empty",
                expected=true.hex() or "empty",
            )
    return tuple(compared)


def _pairs(
    info: GuestInfo, report: TdReport, log: EventLog | None, boot: Boot | None, device_id: bytes | None
) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    rtmr3 = _rtmr3_at_the_time_of_the_answer(info, report, log)
    true: dict[str, bytes | None] = {
        "mr_aggregated": mr_aggregated(report, rtmr3),
        "app_id": boot.app_id if boot else None,
        "compose_hash": boot.compose_hash if boot else None,
        "instance_id": boot.instance_id if boot else None,
        "os_image_hash": boot.os_image_hash if boot else None,
        "device_id": device_id,
    }
    yield "mrtd", info.mrtd, report.mrtd
    yield "rtmr0", info.rtmr0, report.rtmr0
    yield "rtmr1", info.rtmr1, report.rtmr1
    yield "rtmr2", info.rtmr2, report.rtmr2
    yield "rtmr3", info.rtmr3, rtmr3
    for name, value in true.items():
        claimed: bytes | None = getattr(info, name)
        yield name, _known(claimed), value
    for name, repeated in info.tcb_claims:
        yield f"tcb_info.{name}", _known(repeated), true[name]
    if boot is not None:
        provider = info.key_provider_info
        yield "key_provider_info", provider.encode() if provider is not None else None, boot.key_provider.raw
        preimage = info.app_compose
        yield "tcb_info.app_compose", compose_hash(preimage) if preimage is not None else None, boot.compose_hash


def _known(claimed: bytes | None) -> bytes | None:
    """The agent's device id is normally the hash of nothing: it cannot know its own, so that is no claim."""
    return None if claimed == UNKNOWN_DEVICE_ID else claimed


def _rtmr3_at_the_time_of_the_answer(info: GuestInfo, report: TdReport, log: EventLog | None) -> bytes:
    """The quote's RTMR3, or the one a little later or earlier in the same boot.

    The agent's certificate keeps the quote of its making while the app may go on extending RTMR3, so the two may stand
    at different places of one sequence. Of one sequence means: one list of events begins with the other.
    """
    if info.event_log is None or log is None:
        return report.rtmr3
    theirs = parse_event_log(info.event_log)
    ours = [event.measured for event in log.runtime]
    other = [event.measured for event in theirs.runtime]
    shared = min(len(ours), len(other))
    return theirs.replay(3) if ours[:shared] == other[:shared] else report.rtmr3
