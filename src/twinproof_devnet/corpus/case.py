"""One case: an input, the time and root to judge it with, and the answer that a verifier should give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["SCHEMA", "Case", "Kind", "Rule"]

SCHEMA = "twinproof/conformance-case/v1"


class Kind(StrEnum):
    """What the input is."""

    QUOTE = "quote"
    """`quote.bin` and `collateral.json`."""
    BUNDLE = "bundle"
    """`bundle.json`: one instance's evidence, collateral included."""


class Rule(StrEnum):
    """Why the answer is the expected one."""

    GENUINE = "genuine"
    """Intel's formats and rules demand it."""
    STRICT = "strict"
    """Widely used verifiers answer otherwise; the expected answer is that of the strictest reading."""
    POLICY = "policy"
    """A decision of the relying party: the expected answer is the strict default."""


@dataclass(frozen=True, slots=True)
class Case:
    """`files` by name, without the ones about time and answer. `at` is unix seconds, UTC."""

    name: str
    """The directory's name."""
    kind: Kind
    description: str
    files: Mapping[str, bytes] = field(repr=False)
    at: int
    stage: str = ""
    """Where it is refused: the id of the check, or `collateral` for a file that cannot be read. Empty: accepted."""
    tcb_status: str = ""
    """Of what is accepted."""
    rule: Rule = Rule.GENUINE

    @property
    def accepted(self) -> bool:
        return not self.stage

    def expected(self) -> dict[str, object]:
        """expected.json."""
        return {
            "schema": SCHEMA,
            "kind": self.kind.value,
            "verdict": "accept" if self.accepted else "refuse",
            "tcb_status": self.tcb_status or None,
            "stage": self.stage or None,
            "rule": self.rule.value,
            "description": self.description,
        }
