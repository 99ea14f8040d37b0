"""The engines by name: a command line lists them without loading an EVM."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EngineError", "EngineName"]


class EngineName(StrEnum):
    """Which EVM executes."""

    PY_EVM = "py-evm"
    ANVIL = "anvil"


class EngineError(RuntimeError):
    """The engine is not installed, did not come up, or ended."""
