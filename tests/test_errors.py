"""Every error is one of ours, says what it found, and has the exit code of what the reader does next."""

from __future__ import annotations

import pytest

from twinproof import errors

EXIT_CODES = {
    "TwinproofError": 1,
    "UsageError": 2,
    "EvidenceError": 3,
    "Malformed": 3,
    "NotGenuine": 3,
    "Forged": 3,
    "Untrusted": 3,
    "Revoked": 3,
    "Stale": 3,
    "TcbUnknown": 3,
    "CollateralMismatch": 3,
    "Contradiction": 3,
    "Disputed": 3,
    "Refused": 4,
    "Unavailable": 5,
}


def test_the_tree_is_complete_and_every_leaf_has_its_exit_code() -> None:
    classes = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    assert {name: getattr(errors, name).exit_code for name in classes} == EXIT_CODES


@pytest.mark.parametrize("name", EXIT_CODES)
def test_every_error_descends_from_the_root_and_stands_in_its_drawing(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.TwinproofError)
    assert name in (errors.__doc__ or "")


def test_the_text_is_made_of_the_fields() -> None:
    error = errors.Malformed("wrong length", where="quote byte 48", got="3 bytes", expected="4 bytes", hint="cut off?")
    assert str(error) == "quote byte 48: wrong length: got 3 bytes, expected 4 bytes"
    assert error.hint == "cut off?"
    assert str(errors.Refused("no")) == "no"
