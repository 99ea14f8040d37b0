"""Is it what was wanted? Measured against the policy; nothing here says whether evidence is genuine.

A pin that is not set leaves its check `not_checked`; naming it in `required` turns that into a failure. A pin that is
set has to be shown: evidence that leaves it out is refused like evidence that contradicts it.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.claims import Claims
from twinproof.errors import Refused, UsageError
from twinproof.evidence.evidence import Evidence
from twinproof.image_policy import check_image
from twinproof.ledger import Ledger
from twinproof.names import short_source
from twinproof.policy import Machine, Policy
from twinproof.verdict import Question, Step

__all__ = ["PLAN", "REQUIRABLE", "STORED", "check_pins", "machine_of", "pinned_ids", "required_ids"]


def _step(name: str, title: str, why: str, source: str = "policy") -> Step:
    return Step(f"policy.{name}", title, why, source, Question.WANTED)


PLAN = (
    _step(
        "tcb_status",
        "Intel's status for this platform's firmware and microcode is accepted",
        "a platform with known holes can be made to sign quotes for anything",
        "Intel DCAP: TCB status",
    ),
    _step(
        "advisories",
        "no advisory on this platform is refused by name",
        "a status can be accepted for one known hole and then cover another",
        "Intel PCS v4: advisoryIDs",
    ),
    _step(
        "tcb_evaluation",
        "the collateral is from a recent enough TCB recovery",
        "whoever supplies collateral could choose an older set that is still unexpired and knows fewer holes",
        "Intel PCS v4: tcbEvaluationDataNumber",
    ),
    _step(
        "collateral_age",
        "the collateral was issued recently enough",
        "documents stay valid for a month: an older one knows fewer holes and revocations",
        "Intel PCS v4: issueDate, thisUpdate",
    ),
    _step(
        "report_attributes",
        "the TD runs without debug, migration and unknown attributes",
        "the host can read and change the memory of a debug TD",
        "Intel TDX Module ABI: TDATTRIBUTES, XFAM",
    ),
    _step(
        "clock",
        "the statement's time agrees with the collector's clock",
        "an old answer, kept with old collateral, could pass for a recent one",
    ),
    _step(
        "statement_age",
        "the statement was made recently enough",
        "what was true when it was signed may have ended since",
    ),
    _step(
        "machine",
        "the machine is the one its label names",
        "a label such as prod9 is a name in a file; only the device id in the quote tells which machine answered",
        "SHA-256 of the PPID in the PCK certificate",
    ),
    _step("fresh", "the quote answers a nonce chosen in this run", "a recorded quote can be replayed for ever"),
    _step(
        "image",
        "the OS image is an allowed one, and no development image",
        "a malicious base image can report any event log it likes",
    ),
    _step("compose_hash", "the compose hash is the expected one", "other code may be running"),
    _step("version", "the version is the expected one", "an old version, or one never released, may be running"),
    _step("git_sha", "the git commit is the expected one", "the version's name may hide another commit"),
    _step("app_id", "the app id is the expected one", "another app's instances may be answering"),
    _step("kms_root", "the key provider is the expected KMS", "a KMS of the host's choice could hand out known keys"),
    _step(
        "chain",
        "the compose hash is allowed on chain, proved against a block that enough endpoints agree on",
        "code that was never published in the transparency log may be running",
    ),
)

STORED = "read from a file: whoever made it chose the nonce"
REQUIRABLE = {step.id.removeprefix("policy."): step.id for step in PLAN}


def required_ids(names: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    """Check ids for the names of `--require`: a policy name (`image`) or a full check id. Raises UsageError."""
    ids = set()
    for name in names:
        step_id = REQUIRABLE.get(name.replace("-", "_"), name)
        if step_id not in known:
            raise UsageError(
                "nothing of this name can be required",
                got=name,
                expected=", ".join(sorted(REQUIRABLE)),
                hint="a full check id, as `--json` prints them, works too",
            )
        ids.add(step_id)
    return frozenset(ids)


def pinned_ids(policy: Policy) -> frozenset[str]:
    """Check ids of what the policy pins or limits, so that leaving it out of the evidence is no way around it."""
    names = {"chain" if name in {"chain_id", "kms_contract"} else name for name in policy.pins.to_json()}
    names |= {"image"} if policy.allowed_images else set()
    names |= {"kms_root"} if policy.allowed_kms_roots else set()
    names |= {"statement_age"} if policy.max_statement_age is not None else set()
    return frozenset(f"policy.{name}" for name in names)


def check_pins(
    claims: Claims, evidence: Evidence, machine: Machine | None, policy: Policy, ledger: Ledger, *, at: int
) -> None:
    """Identities of what runs, against the pins; what is not pinned, or was not shown, is `not_checked`.

    `machine` is the configured one that this evidence is about (`machine_of`).
    `at` is the time of judgement: an answer that was fresh for its collector is not fresh at another time.
    """
    software, statement, pins = claims.software, claims.statement, policy.pins
    _check_clock(claims, evidence, policy, ledger)
    _check_statement_age(claims, policy, ledger, at)
    _check_machine(claims, machine, policy, ledger)
    collected = evidence.fetched_at
    if not ledger.passed("evidence.nonce"):
        ledger.not_checked("policy.fresh", "no answer to a nonce of this run was shown")
    elif collected is None or abs(at - collected) > policy.max_clock_skew:
        ledger.not_checked("policy.fresh", "the answer was collected at another time than it is judged at")
    elif evidence.stored and policy.required & {"fresh", "policy.fresh"}:
        ledger.not_checked("policy.fresh", STORED)
    else:
        ledger.holds("policy.fresh")
    check_image(claims, policy, ledger)
    for step_id, got, pin in (
        ("policy.compose_hash", software and software.compose_hash, pins.compose_hash),
        ("policy.version", statement and statement.version, pins.version),
        ("policy.git_sha", statement and statement.git_sha, pins.git_sha),
        ("policy.app_id", software and software.app_id, pins.app_id),
    ):
        _check_pin(step_id, got, () if pin is None else (pin,), ledger)
    _check_pin("policy.kms_root", _kms_root(claims), policy.allowed_kms_roots, ledger)


def _kms_root(claims: Claims) -> bytes | None:
    software = claims.software
    if software is None or software.key_provider_name != "kms":
        return None
    return bytes.fromhex(software.key_provider_id)


def _check_pin(step_id: str, got: bytes | str | None, allowed: Sequence[bytes | str], ledger: Ledger) -> None:
    if not allowed:
        ledger.not_checked(step_id, "not pinned" if got else "not pinned, and not shown", got=_text(got or ""))
        return
    expected = " or ".join(map(_text, allowed))
    if got is None:
        ledger.not_checked(step_id, f"pinned to {expected}, but this evidence does not show it")
    else:
        with ledger.line(step_id) as entry:
            entry.got, entry.expected = _text(got), expected
            if got not in allowed:
                name = step_id.removeprefix("policy.").replace("_", " ")
                raise Refused(f"another {name} than expected", got=_text(got), expected=expected)


def _text(value: bytes | str) -> str:
    return value.hex() if isinstance(value, bytes) else value


def _check_clock(claims: Claims, evidence: Evidence, policy: Policy, ledger: Ledger) -> None:
    if claims.statement is None or evidence.fetched_at is None:
        ledger.not_checked("policy.clock", "there is no statement with a time, or no time of collection")
        return
    skew, limit = claims.statement.issued_at - evidence.fetched_at, policy.max_clock_skew
    got, expected = f"{skew:+d} s", f"at most {limit} s"
    if abs(skew) <= limit:
        ledger.holds("policy.clock", got, expected)
        return
    with ledger.line("policy.clock"):
        raise Refused(
            "the statement's time and the collector's clock are too far apart",
            got=got,
            expected=expected,
            hint="one of the two clocks is wrong, or the evidence is older than it says",
        )


def _check_statement_age(claims: Claims, policy: Policy, ledger: Ledger, at: int) -> None:
    limit = policy.max_statement_age
    if claims.statement is None or limit is None:
        why = "no maximum was set" if limit is None else "there is no statement with a time"
        ledger.not_checked("policy.statement_age", why)
        return
    with ledger.line("policy.statement_age") as entry:
        age = at - claims.statement.issued_at
        entry.got, entry.expected = f"{age} s", f"at most {limit} s"
        if age > limit:
            raise Refused("the statement is too old", got=f"{age} s", expected=f"at most {limit} s")


def machine_of(policy: Policy, evidence: Evidence, claims: Claims) -> Machine | None:
    """The configured machine at this URL; without one, that of the attested device id; then one whose name is claimed.

    The last only where it can be held against a device id, which it then contradicts; the URL of a file, which is its
    maker's word, likewise.
    """
    if not policy.machines:
        return None
    source, url = evidence.source, _address(evidence.source)
    pinned = [machine for machine in policy.machines if machine.device_id is not None]
    believed = pinned if evidence.stored else policy.machines
    by_url = next((machine for machine in believed if machine.url and _address(machine.url) == url), None)
    if by_url is not None or claims.platform is None:
        return by_url
    device_id = claims.platform.device_id
    attested = next((machine for machine in policy.machines if machine.device_id == device_id), None)
    claimed = (machine for machine in pinned if short_source(source) in machine.labels)
    return attested or next(claimed, None)


def _address(url: str) -> object:
    """The same for every spelling of one address: a device id that is pinned for it holds for all of them."""
    from twinproof.urls import place, split_url  # noqa: PLC0415  (only where machines are configured)

    try:
        return *place(url), split_url(url).path.rstrip("/")
    except UsageError:  # of a file, which may say anything
        return url


def _check_machine(claims: Claims, machine: Machine | None, policy: Policy, ledger: Ledger) -> None:
    if machine is None or claims.platform is None:
        ledger.not_checked("policy.machine", "no machine in twinproof.toml has this URL or this device id")
        return
    if machine.device_id is None:
        ledger.not_checked("policy.machine", f"{machine.name} has no device_id in twinproof.toml")
        return
    device_id = claims.platform.device_id
    with ledger.line("policy.machine") as entry:
        entry.got, entry.expected = device_id.hex(), machine.device_id.hex()
        if device_id != machine.device_id:
            other = next((other.name for other in policy.machines if other.device_id == device_id), "")
            raise Refused(
                f"the machine that answered is not {machine.name}",
                got=device_id.hex() + (f" ({other})" if other else ""),
                expected=machine.device_id.hex(),
            )
