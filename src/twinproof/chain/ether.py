"""Amounts of ETH: whole wei inside, decimal ETH for people."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from twinproof.errors import UsageError
from twinproof.wire import shown

__all__ = ["ether", "wei_of"]

_DECIMALS = 18
_WEI = Decimal(10**_DECIMALS)
_MOST = 1000


def ether(wei: int, decimals: int = _DECIMALS) -> str:
    """Wei as ETH, rounded to so many decimals; by default no digit is lost."""
    text = f"{Decimal(wei) / _WEI:.{decimals}f}".rstrip("0").rstrip(".")
    return f"{text} ETH"


def wei_of(text: str, where: str) -> int:
    """Wei of an amount that a person typed, in ETH. Raises UsageError."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 < value < _MOST:
        raise UsageError("not an amount of ETH", where=where, got=shown(text, 40), expected="such as 0.01")
    return int(value * _WEI)
