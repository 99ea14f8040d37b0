"""The key that signs transactions: from a file, an environment variable or a keystore, never from the command line.

A key is 32 bytes; as text 64 hex digits, with or without 0x. It lives in one object that shows its address and nothing
else: not in messages, not in `repr`, not in a traceback's line.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Never

from twinproof.errors import UsageError
from twinproof.keccak import INSTALL
from twinproof.wire import shown

if TYPE_CHECKING:
    from eth_account import Account
    from eth_account.signers.local import LocalAccount

__all__ = ["Signer", "key_from_environment", "key_from_file", "key_from_keystore", "read_private_file"]

_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
_MAX_FILE = 1 << 16
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_FORM = "64 hex digits"


class Signer:
    """Signs for one address (20 bytes)."""

    __slots__ = ("_account", "address")

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = bytes.fromhex(account.address[2:])

    def __repr__(self) -> str:
        return f"Signer(0x{self.address.hex()})"

    def __reduce__(self) -> Never:
        raise TypeError("a key is not copied")

    def sign(self, transaction: Mapping[str, int | bytes]) -> bytes:
        """The signed transaction, as eth_sendRawTransaction takes it."""
        return bytes(self._account.sign_transaction(dict(transaction)).raw_transaction)


def key_from_file(name: str) -> Signer:
    """The file holds the key's text and belongs to this user alone. Raises UsageError."""
    where = f"--key-file {shown(name)}"
    return _signer(read_private_file(name, where), where)


def key_from_environment(name: str) -> Signer:
    """The variable is named on the command line, its value is not. Raises UsageError."""
    where = f"--key-env {shown(name, 40)}"
    text = os.environ.get(name)
    if text is None:
        hint = "give the name of a variable, not the key" if _KEY.fullmatch(name) else ""
        where = "--key-env" if hint else where
        raise UsageError("no such environment variable", where=where, hint=hint)
    return _signer(text, where)


def key_from_keystore(name: str, password: Callable[[], str]) -> Signer:
    """A Web3 Secret Storage file (version 3), as geth, clef and foundry write them. Raises UsageError."""
    where = f"--keystore {shown(name)}"
    text = read_private_file(name, where)
    account = _library(where)
    try:
        key = account.decrypt(text, password())
    except Exception:  # noqa: BLE001  (the library has many, and its words may hold what it was given)
        raise UsageError("the keystore does not open", where=where, hint="wrong password, or no keystore") from None
    return Signer(account.from_key(key))


def read_private_file(name: str, where: str, *, what: str = "key", form: str = _FORM) -> str:
    """The text of a file that nobody else can read. Raises UsageError; what is in it stands in no message."""
    try:
        with Path(name).open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                _refuse("not a file", where, "a regular file")
            if status.st_mode & _OTHERS or status.st_uid not in (os.getuid(), 0):
                got = f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}"
                raise UsageError(
                    f"others can read this {what}", where=where, got=got, expected="0600", hint="chmod 600"
                )
            data = file.read(_MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise UsageError(f"cannot be read: {reason}", where=where) from error
    if len(data) > _MAX_FILE or not data.isascii():
        _refuse(f"not a {what}", where, form)
    return data.decode("ascii").strip()


def _signer(text: str, where: str) -> Signer:
    match = _KEY.fullmatch(text.strip())
    if match is None:
        _refuse("not a key", where, _FORM)
    account = _library(where)
    try:
        return Signer(account.from_key(bytes.fromhex(match[1])))
    except Exception:  # noqa: BLE001  (the library has many, and its words may hold the key)
        raise UsageError("not a secp256k1 key", where=where, expected="a number from 1 to the order") from None


def _refuse(what: str, where: str, expected: str) -> Never:
    raise UsageError(what, where=where, expected=expected)


def _library(where: str) -> type[Account]:
    try:
        from eth_account import Account  # noqa: PLC0415  (an optional dependency, and not a fast one)
    except ImportError as error:
        raise UsageError("eth-account is not installed", where=where, hint=INSTALL) from error
    return Account
