"""TCB statuses: which level a platform reaches, and how the statuses of its parts become one.

Source: Intel SGX and TDX DCAP Quoting Library (`TcbStatus`), QVL `QuoteVerifier` and `TdxTcbStatus` convergence.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["OUT_OF_DATE", "WITHOUT_AGE", "TcbStatus", "converge", "relaunch"]


class TcbStatus(StrEnum):
    """Intel's words. The two about a relaunch exist for TD 1.5 only, and `Revoked` never reaches a policy."""

    __hash__ = str.__hash__  # of the word it equals, and without a call of Python code at every look-up

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"
    REVOKED = "Revoked"


S = TcbStatus
PLATFORM_STATUSES = frozenset(S) - {S.TD_RELAUNCH_ADVISED, S.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED}
COMPONENT_STATUSES = frozenset({S.UP_TO_DATE, S.OUT_OF_DATE, S.REVOKED})
"""What a QE level and a TDX module level may say."""

_CONFIGURATION = frozenset(
    {S.CONFIGURATION_NEEDED, S.CONFIGURATION_AND_SW_HARDENING_NEEDED, S.OUT_OF_DATE_CONFIGURATION_NEEDED}
)
OUT_OF_DATE = frozenset({S.OUT_OF_DATE, S.OUT_OF_DATE_CONFIGURATION_NEEDED})
WITHOUT_AGE = {
    S.OUT_OF_DATE: S.UP_TO_DATE,
    S.OUT_OF_DATE_CONFIGURATION_NEEDED: S.CONFIGURATION_NEEDED,
}
"""What is left of a level's status when it is no longer out of date."""
_CURRENT_ENOUGH = frozenset(
    {S.UP_TO_DATE, S.SW_HARDENING_NEEDED, S.CONFIGURATION_NEEDED, S.CONFIGURATION_AND_SW_HARDENING_NEEDED}
)


def converge(platform: TcbStatus, *components: TcbStatus) -> TcbStatus:
    """One status of the platform level and of its components (QE, and the TDX module when it has a version)."""
    if S.REVOKED in (platform, *components):
        return S.REVOKED
    if S.OUT_OF_DATE in components:
        return S.OUT_OF_DATE_CONFIGURATION_NEEDED if platform in _CONFIGURATION else S.OUT_OF_DATE
    return platform


def relaunch(launch: TcbStatus, current: TcbStatus) -> TcbStatus:
    """TD 1.5: a TD launched under old firmware on a machine that has been updated since should be launched again."""
    if launch in OUT_OF_DATE and current in _CURRENT_ENOUGH:
        if launch in _CONFIGURATION or current in _CONFIGURATION:
            return S.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
        return S.TD_RELAUNCH_ADVISED
    return launch
