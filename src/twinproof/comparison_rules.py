"""What must be equal and what must differ between instances, each with the reason. One table, in the report's order.

What may differ is in neither list: RTMR0, RTMR3, MRSEAM, the TCB status, the signup counter (docs/VERIFICATION.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from twinproof.claims import Claims
from twinproof.verdict import Question, Step

__all__ = ["RULES", "SOURCE", "Relation", "Rule"]

SOURCE = "docs/VERIFICATION.md, the same code on N machines"


class Relation(StrEnum):
    """How a value has to stand between instances."""

    EQUAL = "must be equal"
    DIFFERENT = "must differ"


@dataclass(frozen=True, slots=True)
class Rule:
    """One value and how it has to stand between instances.

    `optional` rules may be `not_checked` in a complete proof: the value need not exist (a TLS key, an instance id).
    """

    name: str
    what: str
    relation: Relation
    why: str
    value: Callable[[Claims], bytes | str | None]
    optional: bool = False

    @property
    def step(self) -> Step:
        title = f"same {self.what}" if self.relation is Relation.EQUAL else f"a different {self.what} each"
        return Step(f"compare.{self.name}", title, self.why, SOURCE, Question.WANTED)


RULES = (
    Rule(
        "compose_hash",
        "compose hash",
        Relation.EQUAL,
        "the machines would run different containers, settings or scripts",
        lambda claims: claims.software and claims.software.compose_hash,
    ),
    Rule(
        "os_image",
        "OS image hash",
        Relation.EQUAL,
        "one machine would boot another operating system",
        lambda claims: claims.software and claims.software.os_image_hash,
    ),
    Rule(
        "mrtd",
        "firmware measurement (MRTD)",
        Relation.EQUAL,
        "one machine would start other firmware, which measures everything after it",
        lambda claims: claims.registers and claims.registers.mrtd,
    ),
    Rule(
        "rtmr1",
        "kernel measurement (RTMR1)",
        Relation.EQUAL,
        "one machine would boot another kernel",
        lambda claims: claims.registers and claims.registers.rtmr1,
    ),
    Rule(
        "rtmr2",
        "command line and initrd measurement (RTMR2)",
        Relation.EQUAL,
        "one machine would boot another root file system",
        lambda claims: claims.registers and claims.registers.rtmr2,
    ),
    Rule(
        "app_id",
        "app id",
        Relation.EQUAL,
        "the instances would belong to different apps, with different keys and another on-chain log",
        lambda claims: claims.software and claims.software.app_id,
    ),
    Rule(
        "key_provider",
        "key provider",
        Relation.EQUAL,
        "one instance would get its keys from someone else",
        lambda claims: claims.software and f"{claims.software.key_provider_name}:{claims.software.key_provider_id}",
    ),
    Rule(
        "td_attributes",
        "TD attributes",
        Relation.EQUAL,
        "one TD would run with other privileges, such as debug",
        lambda claims: claims.registers and claims.registers.td_attributes,
    ),
    Rule(
        "mrsignerseam",
        "signer of the TDX module",
        Relation.EQUAL,
        "one machine would run a TDX module that is not Intel's",
        lambda claims: claims.registers and claims.registers.mrsignerseam,
    ),
    Rule(
        "version",
        "attested version",
        Relation.EQUAL,
        "the instances would say different versions of themselves",
        lambda claims: claims.statement and claims.statement.version,
    ),
    Rule(
        "git_sha",
        "attested git SHA",
        Relation.EQUAL,
        "the instances would be built from different commits",
        lambda claims: claims.statement and claims.statement.git_sha,
    ),
    Rule(
        "machine",
        "machine (device id)",
        Relation.DIFFERENT,
        "two URLs on one machine are not two machines",
        lambda claims: claims.platform and claims.platform.device_id,
    ),
    Rule(
        "instance_id",
        "instance id",
        Relation.DIFFERENT,
        "one instance would answer under two names",
        lambda claims: (claims.software and claims.software.instance_id) or None,
        optional=True,
    ),
    Rule(
        "nonce",
        "answered nonce",
        Relation.DIFFERENT,
        "one recorded answer could serve for several instances",
        lambda claims: claims.statement and claims.statement.eat_nonce,
    ),
    Rule(
        "tls_key",
        "attested TLS key",
        Relation.DIFFERENT,
        "one key in two places: connections to one instance could end at another",
        lambda claims: claims.tls_key,
        optional=True,
    ),
)
