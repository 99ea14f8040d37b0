"""The chain of trust of one instance as links between what vouches and what is vouched for, each with its checks.

Every check of the plan belongs to exactly one link, so a failure is always red somewhere. A check that a newer plan
adds goes to the link of its family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.dstack.unmeasured import OPEN_CODE
from twinproof.instance_verdict import NOT_APPLICABLE, Verdict
from twinproof.verdict import Check, Status

__all__ = ["LINKS", "Link", "LinkState", "link_of", "link_states"]


@dataclass(frozen=True, slots=True)
class Link:
    """`start` vouches for `end`. Without `needs` it is grey; `also` can break it, and leaves it as it is otherwise."""

    start: str
    end: str
    holds: str
    needs: tuple[str, ...]
    also: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.start}-{self.end}"


def _ids(family: str, names: str) -> tuple[str, ...]:
    return tuple(f"{family}.{name}" for name in names.split())


LINKS = (
    Link(
        "root",
        "pck",
        "the root certified this machine, and nobody revoked it",
        _ids("dcap", "certification_data pck_chain root_crl pck_crl"),
        ("policy.machine",),
    ),
    Link(
        "root",
        "documents",
        "the root signs what is known about firmware, and it is current",
        _ids("dcap", "tcb_signing tcb_info qe_identity"),
        _ids("policy", "tcb_evaluation collateral_age"),
    ),
    Link(
        "documents",
        "pck",
        "the machine's firmware and TDX module are known and accepted",
        (*_ids("dcap", "platform_match tdx_module tcb_level tcb_status not_revoked"), "policy.tcb_status"),
        ("dcap.current_tcb", "policy.advisories"),
    ),
    Link("documents", "qe", "the quoting enclave is Intel's and known", _ids("dcap", "qe_match qe_tcb_level")),
    Link("pck", "qe", "the machine's key signed for its quoting enclave", _ids("dcap", "header qe_report_signature")),
    Link(
        "qe",
        "quote",
        "the quoting enclave signed this quote",
        ("evidence.carrier", *_ids("dcap", "quote_format qe_binding quote_signature")),
        ("dcap.second_opinion",),
    ),
    Link(
        "quote",
        "question",
        "the quote answers a question that was asked in this run",
        (*_ids("evidence", "report_data statement nonce"), *_ids("policy", "clock fresh")),
        (*_ids("evidence", "tls_key ra_tls_claims"), "policy.statement_age"),
    ),
    Link("quote", "registers", "the registers are of a VM without debug", ("policy.report_attributes",)),
    Link(
        "registers",
        "image",
        "the registers are those of an operating system image that is wanted",
        ("policy.image",),
        _ids("dstack", "os_image_hash image_registers"),
    ),
    Link(
        "registers",
        "events",
        "the boot events lead exactly to the registers",
        _ids("dstack", "event_log_format event_digests rtmr3_replay boot_events"),
        ("dstack.rtmr0_2_replay",),
    ),
    Link(
        "events",
        "kms",
        "the keys came from the key service that was wanted",
        ("dstack.key_provider", "policy.kms_root"),
    ),
    Link(
        "events",
        "compose",
        "the compose file shown is the one that was measured",
        ("dstack.compose_hash",),
        (*_ids("dstack", "mr_config_id app_id guest_claims"), *_ids("policy", "compose_hash app_id")),
    ),
    Link("compose", "base", "the compose file was published on chain before it ran", ("policy.chain",)),
    Link(
        "compose",
        "containers",
        "the compose file names every container image by its content",
        ("dstack.unmeasured_inputs",),
    ),
    Link(
        "containers",
        "version",
        "the app's own version is signed together with what was measured",
        ("evidence.agreement",),
        _ids("policy", "version git_sha"),
    ),
)

_FAMILIES = {"chain": "compose-base", "keys": "events-kms", "dcap": "qe-quote", "evidence": "quote-question"}
_OTHERS = "events-compose"


def link_of(check_id: str) -> str:
    """The id of the link that a check belongs to."""
    for link in LINKS:
        if check_id in link.needs or check_id in link.also:
            return link.id
    return _FAMILIES.get(check_id.partition(".")[0], _OTHERS)


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link of one instance: `pass` is green, `fail` red, `not_checked` grey, with the reason in `note`."""

    link: Link
    status: Status
    note: str
    checks: tuple[Check, ...]


def link_states(verdict: Verdict) -> tuple[LinkState, ...]:
    """Every link, with the checks of this verdict that it stands for."""
    by_link: dict[str, list[Check]] = {link.id: [] for link in LINKS}
    for check in verdict.checks:
        by_link[link_of(check.id)].append(check)
    return tuple(_state(link, by_link[link.id]) for link in LINKS)


def _state(link: Link, checks: Sequence[Check]) -> LinkState:
    for check in checks:
        if check.status is Status.FAIL:
            return LinkState(link, Status.FAIL, check.reason or check.step.title, tuple(checks))
    needed = [check for check in checks if check.id in link.needs]
    for check in needed:
        if reason := _open(check):
            return LinkState(link, Status.NOT_CHECKED, reason, tuple(checks))
    if not any(check.passed for check in needed):
        return LinkState(link, Status.NOT_CHECKED, "nothing here was checked", tuple(checks))
    warnings = (check.reason for check in checks if check.status is Status.WARN)
    return LinkState(link, Status.PASS, next(warnings, ""), tuple(checks))


def _open(check: Check) -> str:
    """Why this check leaves its link grey; an image named by tag passes with a warning, and shows nothing."""
    if check.status is Status.NOT_CHECKED:
        return "" if check.reason.startswith(NOT_APPLICABLE) else check.reason
    return "; ".join(text for name, text in check.detail if name in OPEN_CODE) if check.parts else ""
