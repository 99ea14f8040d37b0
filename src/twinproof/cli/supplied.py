"""What `--collateral FILE` and `--app-compose FILE` give to evidence that lacks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.platform_hint import platform_hint
from twinproof.errors import EvidenceError, Malformed, UsageError
from twinproof.evidence.carrier import quote_of
from twinproof.evidence.evidence import Evidence
from twinproof.sources.files import read_file

__all__ = ["SuppliedCollateral", "read_app_compose"]


class SuppliedCollateral(NamedTuple):
    """The sets in the order of the flags, and what each says it is about: TEE and FMSPC."""

    sets: tuple[Collateral, ...] = ()
    about: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, names: Sequence[str]) -> SuppliedCollateral:
        """Raises UsageError naming the file."""
        sets = tuple(_read(name) for name in names)
        return cls(sets, tuple(_about(item) for item in sets) if len(sets) > 1 else ())

    def __bool__(self) -> bool:
        return bool(self.sets)

    def for_platform(self, evidence: Evidence) -> Collateral:
        """The set that says it is about this platform; which one it is does not decide whether it holds."""
        if len(self.sets) > 1:
            try:
                hint = platform_hint(quote_of(evidence))
                return self.sets[self.about.index((hint.tee, hint.fmspc.hex().upper()))]
            except (EvidenceError, ValueError):
                pass  # a quote without certificates, or collateral about another platform: the verifier says so
        return self.sets[0]


def read_app_compose(name: str | None) -> str | None:
    """The exact text of the file, if one was named. Raises UsageError."""
    if not name:
        return None
    try:
        return read_file(name, "--app-compose", max_bytes=64 << 20).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("not UTF-8 text", where=f"--app-compose {name}") from error


def _about(item: Collateral) -> tuple[str, str]:
    try:
        return item.about()
    except Malformed:
        return "", ""


def _read(name: str) -> Collateral:
    try:
        return Collateral.from_json(read_file(name, "--collateral", max_bytes=4 << 20))
    except Malformed as error:
        raise UsageError(f"not a collateral file: {error}", where=f"--collateral {name}") from error
