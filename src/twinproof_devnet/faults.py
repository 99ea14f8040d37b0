"""The lies and failures that can be switched on by name, each at the place where it would happen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CHAIN_FAULTS", "CLOUD_FAULTS", "COLLATERAL_FAULTS", "FRONT_FAULTS", "Fault", "FaultAt", "Place", "active"]


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
    CLOUD = "cloud"
    """What the cloud's API says and does."""
    CHAIN = "chain"
    """What an RPC endpoint says about the chain; the chain itself is honest."""


class Fault(StrEnum):
    """The value is the name on the command line."""

    REVOKED_PCK = "revoked_pck"
    REVOKED_CA = "revoked_ca"
    EXPIRED_COLLATERAL = "expired_collateral"
    WRONG_TCB_SIGNER = "wrong_tcb_signer"
    TCB_OUT_OF_DATE = "tcb_out_of_date"
    TCB_REVOKED = "tcb_revoked"
    OTHER_ROOT = "other_root"
    SAME_MACHINE_TWICE = "same_machine_twice"
    DEBUG_TD = "debug_td"
    DIFFERENT_IMAGE = "different_image"
    DEV_IMAGE = "dev_image"
    MALICIOUS_IMAGE = "malicious_image"
    DIFFERENT_COMPOSE = "different_compose"
    FOREIGN_KMS_KEY = "foreign_kms_key"
    HOST_LIES_ABOUT_REGISTERS = "host_lies_about_registers"
    REPLAYED_QUOTE = "replayed_quote"
    STALE_NONCE = "stale_nonce"
    FORGED_QUOTE = "forged_quote"
    FORGED_EVENT = "forged_event"
    EDITED_STATEMENT = "edited_statement"
    SWAPPED_COMPOSE = "swapped_compose"
    HTML_INSTEAD_OF_JSON = "html_instead_of_json"
    DUPLICATE_KEYS = "duplicate_keys"
    WRONG_TYPES = "wrong_types"
    NOT_HEX = "not_hex"
    SERVER_ERROR = "server_error"
    CUT_SHORT = "cut_short"
    SLOW = "slow"
    SILENT = "silent"
    ENDLESS_RESPONSE = "endless_response"
    REDIRECT_ELSEWHERE = "redirect_elsewhere"
    STALE_STATUS = "stale_status"
    REWRITTEN_HASH = "rewritten_hash"
    WRONG_DEVICE_ID = "wrong_device_id"
    DROPPED_COMMIT = "dropped_commit"
    LOST_ANSWER = "lost_answer"
    MACHINE_DOWN = "machine_down"
    WRONG_IMAGE = "wrong_image"
    KMS_DOWN = "kms_down"
    FOREIGN_ENV_KEY = "foreign_env_key"
    WRONG_LOGS = "wrong_logs"
    MISSING_LOGS = "missing_logs"
    FOREIGN_LOGS = "foreign_logs"
    DISORDERED_LOGS = "disordered_logs"
    DUPLICATED_LOGS = "duplicated_logs"
    MALFORMED_LOGS = "malformed_logs"
    REORGED_LOGS = "reorged_logs"
    FORGED_RECEIPTS = "forged_receipts"
    FORGED_PROOF = "forged_proof"
    FORGED_HEADER = "forged_header"
    STALE_HEAD = "stale_head"
    EARLY_FINALITY = "early_finality"
    WRONG_CHAIN_ID = "wrong_chain_id"
    FALSE_CALL = "false_call"
    RPC_HTML = "rpc_html"
    RATE_LIMITED = "rate_limited"
    RPC_SLOW = "rpc_slow"
    RPC_DOWN = "rpc_down"

    @property
    def place(self) -> Place:
        return _CATALOGUE[self][0]

    @property
    def description(self) -> str:
        """One sentence."""
        return _CATALOGUE[self][1]


_CATALOGUE: dict[Fault, tuple[Place, str]] = {
    Fault.REVOKED_PCK: (Place.COLLATERAL, "The machine's PCK certificate is on the PCK CA's revocation list."),
    Fault.REVOKED_CA: (Place.COLLATERAL, "The PCK Platform CA is on the root's revocation list."),
    Fault.EXPIRED_COLLATERAL: (
        Place.COLLATERAL,
        "The service still gives out TCB Info and QE Identity of two months ago.",
    ),
    Fault.WRONG_TCB_SIGNER: (
        Place.COLLATERAL,
        "TCB Info and QE Identity are signed by a certificate of the same root that is not for that.",
    ),
    Fault.TCB_OUT_OF_DATE: (Place.MACHINE, "The machine has not had its last firmware update."),
    Fault.TCB_REVOKED: (Place.COLLATERAL, "The firmware of every machine has the status Revoked."),
    Fault.OTHER_ROOT: (Place.MACHINE, "The machine's certificate comes from a root of the attacker's own."),
    Fault.SAME_MACHINE_TWICE: (Place.MACHINE, "The instance runs on the first machine, under another name."),
    Fault.DEBUG_TD: (Place.VM, "The TD runs in debug mode: its host can read its memory."),
    Fault.DIFFERENT_IMAGE: (Place.VM, "The VM boots another guest image: that of another version."),
    Fault.DEV_IMAGE: (Place.VM, "The VM boots the development image: whoever runs the machine can log in to it."),
    Fault.MALICIOUS_IMAGE: (Place.VM, "The VM boots another kernel than the one of the image that it names."),
    Fault.DIFFERENT_COMPOSE: (Place.VM, "The VM runs another app-compose: another container image."),
    Fault.FOREIGN_KMS_KEY: (Place.VM, "The app's keys come from another KMS than the one that was measured."),
    Fault.HOST_LIES_ABOUT_REGISTERS: (Place.VM, "Info shows registers that the quote does not have."),
    Fault.REPLAYED_QUOTE: (Place.FRONT, "Every nonce gets the same old answer, which was genuine once."),
    Fault.STALE_NONCE: (Place.FRONT, "The app is asked with another nonce than the one that was sent."),
    Fault.FORGED_QUOTE: (Place.FRONT, "One bit of the quote's signed registers is another."),
    Fault.FORGED_EVENT: (Place.FRONT, "The compose hash in the event log is another."),
    Fault.EDITED_STATEMENT: (Place.FRONT, "The statement claims another version than the app signed."),
    Fault.SWAPPED_COMPOSE: (Place.FRONT, "The app-compose shown is not the one that was measured."),
    Fault.HTML_INSTEAD_OF_JSON: (Place.FRONT, "A web page instead of the attestation, with status 200."),
    Fault.DUPLICATE_KEYS: (Place.FRONT, "The JSON answer has a member twice."),
    Fault.WRONG_TYPES: (Place.FRONT, "The JSON answer has a number where a text belongs."),
    Fault.NOT_HEX: (Place.FRONT, "The quote's hex text has letters beyond f."),
    Fault.SERVER_ERROR: (Place.FRONT, "Status 500."),
    Fault.CUT_SHORT: (Place.FRONT, "The connection ends in the middle of the answer."),
    Fault.SLOW: (Place.FRONT, "The answer comes one byte a second."),
    Fault.SILENT: (Place.FRONT, "The request is taken and never answered."),
    Fault.ENDLESS_RESPONSE: (Place.FRONT, "The answer never ends."),
    Fault.REDIRECT_ELSEWHERE: (Place.FRONT, "The answer is on another host, it says."),
    Fault.STALE_STATUS: (Place.CLOUD, "The API says running, with the new compose hash; the old version goes on."),
    Fault.REWRITTEN_HASH: (Place.CLOUD, "The server composes another text than it was sent: with a script of its own."),
    Fault.WRONG_DEVICE_ID: (Place.CLOUD, "The API names another device than the machine's."),
    Fault.DROPPED_COMMIT: (Place.CLOUD, "A commit or a confirmation is answered as done, and nothing was done."),
    Fault.LOST_ANSWER: (Place.CLOUD, "A commit or a confirmation is done, and the connection ends without an answer."),
    Fault.MACHINE_DOWN: (Place.CLOUD, "The machine is off, and so is what ran on it."),
    Fault.WRONG_IMAGE: (Place.CLOUD, "Boots another OS image than the API names: one that the KMS contract refuses."),
    Fault.KMS_DOWN: (Place.CLOUD, "The KMS gives out nothing: no app keys, no encryption keys."),
    Fault.FOREIGN_ENV_KEY: (Place.CLOUD, "Secrets are to be encrypted to a key that the KMS never signed."),
    Fault.WRONG_LOGS: (Place.CHAIN, "Every log has another value than the one that was logged."),
    Fault.MISSING_LOGS: (Place.CHAIN, "The last log of every answer is left out."),
    Fault.FOREIGN_LOGS: (Place.CHAIN, "Logs of another contract with the same topics are among those asked for."),
    Fault.DISORDERED_LOGS: (Place.CHAIN, "Logs come in the wrong order."),
    Fault.DUPLICATED_LOGS: (Place.CHAIN, "Every log comes twice."),
    Fault.MALFORMED_LOGS: (Place.CHAIN, "The data of every log ends one byte early."),
    Fault.REORGED_LOGS: (Place.CHAIN, "The last log of every answer was removed by a reorganisation, it says."),
    Fault.FORGED_RECEIPTS: (Place.CHAIN, "Receipts hold other values than those that were logged."),
    Fault.FORGED_PROOF: (Place.CHAIN, "eth_getProof says that what is not in a slot is there, and the reverse."),
    Fault.FORGED_HEADER: (Place.CHAIN, "Blocks have an earlier time than the one that their hash covers."),
    Fault.STALE_HEAD: (Place.CHAIN, "The endpoint stopped following the chain."),
    Fault.EARLY_FINALITY: (Place.CHAIN, "The newest block is final, it says."),
    Fault.WRONG_CHAIN_ID: (Place.CHAIN, "The endpoint says that it is of another chain."),
    Fault.FALSE_CALL: (Place.CHAIN, "eth_call answers yes where the contract says no, and the reverse."),
    Fault.RPC_HTML: (Place.CHAIN, "A web page instead of an answer, with status 200."),
    Fault.RATE_LIMITED: (Place.CHAIN, "Every second request gets status 429."),
    Fault.RPC_SLOW: (Place.CHAIN, "Every answer takes five seconds."),
    Fault.RPC_DOWN: (Place.CHAIN, "The connection ends without an answer."),
}
COLLATERAL_FAULTS = frozenset(fault for fault in Fault if fault.place is Place.COLLATERAL)
CHAIN_FAULTS = frozenset(fault for fault in Fault if fault.place is Place.CHAIN)
CLOUD_FAULTS = frozenset(fault for fault in Fault if fault.place is Place.CLOUD)
FRONT_FAULTS = frozenset(fault for fault in Fault if fault.place is Place.FRONT)


@dataclass(frozen=True, slots=True)
class FaultAt:
    """A fault at one machine, or everywhere. Most faults of the collateral service are everywhere by nature.

    Faults of the chain are at one of its endpoints: rpc1, rpc2, ...
    """

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
