"""The `[policy]` table: strict reading of TOML into a Policy. Unknown keys, and what contradicts itself, are errors.

Keys and units are in docs/COMMANDS.md. Every error is a Malformed with the key's path; the command line turns it into a
usage error.
"""

from __future__ import annotations

import re
from dataclasses import replace

from twinproof.chain.trusted import TrustedChain
from twinproof.dcap.attributes import AttributeRules
from twinproof.dcap.tcb import TcbStatus
from twinproof.dstack.os_image import OsImage, read_os_image
from twinproof.errors import Malformed
from twinproof.policy import DAY, PROFILES, Pins, Policy
from twinproof.wire import Fields, shown, unhex

__all__ = ["ATTRIBUTE_RULES", "MAX_IMAGES", "read_policy"]

MAX_IMAGES = 1000
MAX_DAYS = 36500
MAX_SECONDS = 10 * 365 * DAY
ATTRIBUTE_RULES = {name.removeprefix("allow_"): name for name in AttributeRules._fields if name != "allow_any"}
_ADVISORY = re.compile(r"INTEL-SA-\d{5}", re.ASCII)
_PIN_BYTES = {"compose_hash": 32, "app_id": 20, "kms_contract": 20}
_PINNING = {
    "images",
    "kms_roots",
    "app_id",
    "compose_hash",
    "version",
    "git_sha",
    "kms_contract",
    "chain_id",
    "require",
}
_OUT_OF_DATE = {TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED}
KEYS = _PINNING | {
    "profile",
    "accepted_tcb_statuses",
    "platform_grace_days",
    "qe_grace_days",
    "refused_advisories",
    "tolerated_advisories",
    "min_tcb_evaluation",
    "max_collateral_age_days",
    "allow",
    "allow_dev_images",
    "max_clock_skew_seconds",
    "max_statement_age_seconds",
    "app_implementations",
    "app_proxies",
    "kms_implementations",
    "chain_endpoints",
    "max_chain_age_seconds",
}


def read_policy(table: Fields) -> Policy:
    """The policy of one `[policy]` table, without machines. Raises Malformed."""
    for name in table.raw:
        if name not in KEYS:
            raise Malformed("unknown key", where=table.where, got=shown(name, 40), expected=", ".join(sorted(KEYS)))
    base = _profile(table)
    policy = replace(
        base,
        accepted_tcb_statuses=_statuses(table, base),
        platform_grace=_number(table, "platform_grace_days", 0, MAX_DAYS) * DAY,
        qe_grace=_number(table, "qe_grace_days", 0, MAX_DAYS) * DAY,
        refused_advisories=_advisories(table, "refused_advisories") or frozenset(),
        tolerated_advisories=_advisories(table, "tolerated_advisories"),
        minimum_tcb_evaluation_data_number=_number(table, "min_tcb_evaluation", 0, 1 << 31),
        max_collateral_age=_limit(table, "max_collateral_age_days", MAX_DAYS, DAY),
        attributes=_attributes(table, base.attributes),
        images=_images(table),
        allow_dev_images="allow_dev_images" in table and table.boolean("allow_dev_images"),
        kms_roots=_kms_roots(table),
        max_clock_skew=_number(table, "max_clock_skew_seconds", base.max_clock_skew, MAX_SECONDS),
        max_statement_age=_limit(table, "max_statement_age_seconds", MAX_SECONDS, 1),
        chain=_chain(table, base.chain),
        pins=_pins(table),
        required=frozenset(_names(table, "require")),
    )
    if not any(table.raw.get(name) for name in _PINNING):
        raise Malformed(
            "a policy that pins nothing",
            where=table.where,
            expected=f"at least one of {', '.join(sorted(_PINNING))}",
            hint="without a policy the profile strict applies anyway",
        )
    _check_contradictions(table.where, policy)
    return policy


def _check_contradictions(where: str, policy: Policy) -> None:
    both = policy.refused_advisories & (policy.tolerated_advisories or frozenset())
    if both:
        raise Malformed("an advisory both tolerated and refused", where=where, got=", ".join(sorted(both)))
    if (policy.platform_grace or policy.qe_grace) and policy.accepted_tcb_statuses & _OUT_OF_DATE:
        raise Malformed(
            "a grace period for a status that is accepted for ever",
            where=f"{where}.accepted_tcb_statuses",
            got=", ".join(sorted(policy.accepted_tcb_statuses & _OUT_OF_DATE)),
            hint="leave the status out: the grace period accepts it while it lasts",
        )
    if policy.allow_dev_images and not any(image.dev for image in policy.images):
        raise Malformed("development images allowed, and none listed", where=f"{where}.allow_dev_images")


def _profile(table: Fields) -> Policy:
    name = table.text("profile", max_chars=40) if "profile" in table else "strict"
    if name not in PROFILES:
        raise Malformed(
            "unknown profile", where=f"{table.where}.profile", got=shown(name), expected=", ".join(PROFILES)
        )
    return PROFILES[name]


def _statuses(table: Fields, base: Policy) -> frozenset[TcbStatus]:
    name = "accepted_tcb_statuses"
    if name not in table:
        return base.accepted_tcb_statuses
    known = set(TcbStatus) - {TcbStatus.REVOKED}
    texts = _names(table, name)
    for text in texts:
        if text not in known:
            where = f"{table.where}.{name}"
            raise Malformed(
                "not a TCB status that can be accepted", where=where, got=shown(text), expected=", ".join(sorted(known))
            )
    if not texts:
        raise Malformed("no TCB status is accepted, so nothing could pass", where=f"{table.where}.{name}")
    return frozenset(TcbStatus(text) for text in texts)


def _attributes(table: Fields, base: AttributeRules) -> AttributeRules:
    rules = base
    for name in _names(table, "allow"):
        if name not in ATTRIBUTE_RULES:
            expected = ", ".join(sorted(ATTRIBUTE_RULES))
            raise Malformed("unknown rule", where=f"{table.where}.allow", got=shown(name), expected=expected)
        rules = rules._replace(**{ATTRIBUTE_RULES[name]: True})
    return rules


def _advisories(table: Fields, name: str) -> frozenset[str] | None:
    if name not in table:
        return None
    texts = [text.upper() for text in _names(table, name)]
    for text in texts:
        if not _ADVISORY.fullmatch(text):
            where = f"{table.where}.{name}"
            raise Malformed("not the name of an advisory", where=where, got=shown(text), expected="INTEL-SA-00000")
    return frozenset(texts)


def _images(table: Fields) -> tuple[OsImage, ...]:
    if "images" not in table:
        return ()
    images = tuple(read_os_image(entry) for entry in table.objects("images", max_items=MAX_IMAGES))
    hashes = [image.hash for image in images]
    twice = next((value for value in hashes if hashes.count(value) > 1), None)
    if twice is not None:
        raise Malformed("an image listed twice", where=f"{table.where}.images", got=twice.hex())
    return images


def _kms_roots(table: Fields) -> tuple[bytes, ...]:
    roots = []
    for index, text in enumerate(_names(table, "kms_roots")):
        root = unhex(text, f"{table.where}.kms_roots[{index}]", max_size=1024)
        if not root:
            raise Malformed("no key", where=f"{table.where}.kms_roots[{index}]")
        roots.append(root)
    return tuple(roots)


def _chain(table: Fields, base: TrustedChain) -> TrustedChain:
    return base._replace(
        app_implementations=_hex_list(table, "app_implementations", 20),
        app_proxies=_hex_list(table, "app_proxies", 32),
        kms_implementations=_hex_list(table, "kms_implementations", 20),
        endpoints=table.integer("chain_endpoints", low=1, high=64) if "chain_endpoints" in table else base.endpoints,
        max_age=_number(table, "max_chain_age_seconds", base.max_age, MAX_SECONDS),
    )


def _hex_list(table: Fields, name: str, size: int) -> tuple[bytes, ...]:
    return tuple(
        unhex(text.removeprefix("0x"), f"{table.where}.{name}[{index}]", size=size)
        for index, text in enumerate(_names(table, name))
    )


def _pins(table: Fields) -> Pins:
    found: dict[str, bytes | str | int] = {
        name: unhex(table.text(name, max_chars=200).removeprefix("0x"), f"{table.where}.{name}", size=size)
        for name, size in _PIN_BYTES.items()
        if name in table
    }
    if "chain_id" in table:
        found["chain_id"] = table.integer("chain_id", low=1)
    found |= {name: _pinned_text(table, name) for name in ("version", "git_sha") if name in table}
    return Pins(**found)  # type: ignore[arg-type]


def _pinned_text(table: Fields, name: str) -> str:
    text = table.text(name, max_chars=100)
    if not text:
        raise Malformed("an empty pin", where=f"{table.where}.{name}")
    return text


def _names(table: Fields, name: str) -> tuple[str, ...]:
    texts = table.texts(name, max_items=MAX_IMAGES, max_chars=4096) if name in table else ()
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise Malformed("named twice", where=f"{table.where}.{name}", got=shown(twice, 40))
    return texts


def _number(table: Fields, name: str, default: int, high: int) -> int:
    return table.integer(name, high=high) if name in table else default


def _limit(table: Fields, name: str, high: int, unit: int) -> int | None:
    return table.integer(name, low=1, high=high) * unit if name in table else None
