"""The lies and failures that can be switched on by name, each at the place where it would happen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["COLLATERAL_FAULTS", "FRONT_FAULTS", "Fault", "FaultAt", "Place", "active"]


class Place(StrEnum):
    """Where a fault acts."""

    COLLATERAL = "collateral"
    """What the collateral service publishes."""
    MACHINE = "machine"
    """The hardware, its keys and its firmware."""
    VM = "vm"
    """What was booted, and how."""
    FRONT = "front"
    """Between the app and whoever asks it."""


class Fault(StrEnum):
    """`value` is the name on the command line."""

    place: Place
    description: str

    def __new__(cls, name: str, place: Place, description: str) -> Fault:  # noqa: PYI034  (an enum's members are of it)
        member = str.__new__(cls, name)
        member._value_ = name
        member.place = place
        member.description = description
        return member

    REVOKED_PCK = "revoked_pck", Place.COLLATERAL, "The machine's PCK certificate is on the PCK CA's revocation list."
    REVOKED_CA = "revoked_ca", Place.COLLATERAL, "The PCK Platform CA is on the root's revocation list."
    EXPIRED_COLLATERAL = (
        "expired_collateral",
        Place.COLLATERAL,
        "The service still gives out TCB Info and QE Identity of two months ago.",
    )
    WRONG_TCB_SIGNER = (
        "wrong_tcb_signer",
        Place.COLLATERAL,
        "TCB Info and QE Identity are signed by a certificate of the same root that is not for that.",
    )
    TCB_OUT_OF_DATE = "tcb_out_of_date", Place.MACHINE, "The machine has not had its last firmware update."
    TCB_REVOKED = "tcb_revoked", Place.COLLATERAL, "The firmware of every machine has the status Revoked."
    OTHER_ROOT = "other_root", Place.MACHINE, "The machine's certificate comes from a root of the attacker's own."
    SAME_MACHINE_TWICE = (
        "same_machine_twice",
        Place.MACHINE,
        "The instance runs on the first machine, under another name.",
    )
    DEBUG_TD = "debug_td", Place.VM, "The TD runs in debug mode: its host can read its memory."
    DIFFERENT_IMAGE = "different_image", Place.VM, "The VM boots another guest image: the development one."
    DIFFERENT_COMPOSE = "different_compose", Place.VM, "The VM runs another app-compose: another container image."
    HOST_LIES_ABOUT_REGISTERS = (
        "host_lies_about_registers",
        Place.VM,
        "Info shows registers that the quote does not have.",
    )
    REPLAYED_QUOTE = "replayed_quote", Place.FRONT, "Every nonce gets the same old answer, which was genuine once."
    STALE_NONCE = "stale_nonce", Place.FRONT, "The app is asked with another nonce than the one that was sent."
    FORGED_QUOTE = "forged_quote", Place.FRONT, "One bit of the quote's signed registers is another."
    FORGED_EVENT = "forged_event", Place.FRONT, "The compose hash in the event log is another."
    EDITED_STATEMENT = "edited_statement", Place.FRONT, "The statement claims another version than the app signed."
    SWAPPED_COMPOSE = "swapped_compose", Place.FRONT, "The app-compose shown is not the one that was measured."
    HTML_INSTEAD_OF_JSON = (
        "html_instead_of_json",
        Place.FRONT,
        "A web page instead of the attestation, with status 200.",
    )
    DUPLICATE_KEYS = "duplicate_keys", Place.FRONT, "The JSON answer has a member twice."
    WRONG_TYPES = "wrong_types", Place.FRONT, "The JSON answer has a number where a text belongs."
    NOT_HEX = "not_hex", Place.FRONT, "The quote's hex text has letters beyond f."
    SERVER_ERROR = "server_error", Place.FRONT, "Status 500."
    CUT_SHORT = "cut_short", Place.FRONT, "The connection ends in the middle of the answer."
    SLOW = "slow", Place.FRONT, "The answer comes one byte a second."
    SILENT = "silent", Place.FRONT, "The request is taken and never answered."
    ENDLESS_RESPONSE = "endless_response", Place.FRONT, "The answer never ends."
    REDIRECT_ELSEWHERE = "redirect_elsewhere", Place.FRONT, "The answer is on another host, it says."


COLLATERAL_FAULTS = frozenset(fault for fault in Fault if fault.place is Place.COLLATERAL)
FRONT_FAULTS = frozenset(fault for fault in Fault if fault.place is Place.FRONT)


@dataclass(frozen=True, slots=True)
class FaultAt:
    """A fault at one machine, or everywhere. Most faults of the collateral service are everywhere by nature."""

    fault: Fault
    machine: str | None = None

    @classmethod
    def parse(cls, text: str) -> FaultAt:
        """`NAME` or `NAME@machine`. Raises ValueError with the names there are."""
        name, at, machine = text.partition("@")
        try:
            return cls(Fault(name), machine if at else None)
        except ValueError:
            raise ValueError(f"unknown fault {name!r}; there are: {', '.join(Fault)}") from None

    def __str__(self) -> str:
        return self.fault.value if self.machine is None else f"{self.fault.value}@{self.machine}"


def active(faults: Iterable[FaultAt], machine: str) -> frozenset[Fault]:
    """The faults of this machine."""
    return frozenset(item.fault for item in faults if item.machine in {None, machine})
