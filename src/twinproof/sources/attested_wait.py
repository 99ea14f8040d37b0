"""Deployed means attested: ask an instance with a fresh nonce, again and again, until its quote shows the new hash.

A status of the service is no evidence. What the last answer was is the reason when the time is up: another compose hash
is Refused (exit 4), evidence that does not hold NotGenuine (3), no answer Unavailable (5).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twinproof.errors import NotGenuine, Refused, TwinproofError, Unavailable, UsageError
from twinproof.verifier import Verdict

__all__ = ["wait_attested"]


def wait_attested(
    ask: Callable[[], Verdict],
    *,
    compose_hash: bytes,
    device_id: bytes,
    seconds: float,
    pause: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Verdict:
    """The first verdict that is accepted, fresh, about this hash and this machine. `ask` uses a new nonce each time."""
    end = clock() + seconds
    while True:
        try:
            verdict = ask()
            reason = _missing(verdict, compose_hash, device_id)
        except UsageError:
            raise
        except TwinproofError as error:
            reason = error
        else:
            if reason is None:
                return verdict
        left = end - clock()
        if left <= 0:
            raise _late(reason, seconds)
        sleep(min(pause, left))


def _missing(verdict: Verdict, compose_hash: bytes, device_id: bytes) -> TwinproofError | None:
    software = verdict.claims.software
    if not verdict.genuine:
        failures = ", ".join(check.id for check in verdict.failures) or "not everything could be checked"
        return NotGenuine("the evidence does not hold", where=verdict.name, got=failures)
    if software is None or software.compose_hash != compose_hash:
        return Refused(
            "another compose hash is attested",
            where=verdict.name,
            got=software.compose_hash.hex() if software else "none",
            expected=compose_hash.hex(),
        )
    platform = verdict.claims.platform
    if platform is None or platform.device_id != device_id:
        return Refused(
            "another machine answers at this address",
            where=verdict.source,
            got=platform.device_id.hex() if platform else "none",
            expected=device_id.hex(),
        )
    if not verdict.accepted:
        failed = verdict.failures[0] if verdict.failures else None
        return Refused(
            f"attested, and not accepted: {failed.id if failed else 'unknown'}",
            where=verdict.name,
            got=failed.got if failed else "",
            expected=failed.expected if failed else "",
        )
    if not verdict.fresh:
        return Refused("not an answer to a fresh nonce", where=verdict.name)
    return None


def _late(reason: TwinproofError, seconds: float) -> TwinproofError:
    """The same error, and how long was waited."""
    kind = type(reason) if type(reason) in (Refused, Unavailable, NotGenuine) else Unavailable
    kind = NotGenuine if reason.exit_code == NotGenuine.exit_code else kind
    return kind(
        f"{reason.what} (after {seconds:g} s)",
        where=reason.where,
        got=reason.got,
        expected=reason.expected,
        hint=reason.hint or "run it again when the instance is up: what was done is not done twice",
    )
