"""The key that signs transactions: from a file, an environment variable or a keystore, never from the command line.

A key is 32 bytes; as text 64 hex digits, with or without 0x. It lives in one object that shows its address and nothing
else: not in messages, not in `repr`, not in a traceback's line.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Never

from twinproof.errors import Malformed, UsageError
from twinproof.keccak import INSTALL
from twinproof.sources.child_environment import keep_from_children
from twinproof.wire import Fields, parse_object, shown

if TYPE_CHECKING:
    from eth_account import Account
    from eth_account.signers.local import LocalAccount

__all__ = ["Signer", "key_from_environment", "key_from_file", "key_from_keystore", "read_password", "read_private_file"]

_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
_VERSION = 3
_LIKE_A_KEY = re.compile(r"[0-9a-fA-F]{40}", re.ASCII)
_MAX_FILE = 1 << 16
_MOST_MEMORY, _MOST_WORK, _MOST_ROUNDS = 1 << 30, 1 << 32, 10_000_000
"""Bytes of scrypt at once and in all, and rounds of PBKDF2: four, sixteen and ten times what wallets write."""
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
    where = _named("--key-file", name)
    return _signer(read_private_file(name, where), where)


def key_from_environment(name: str) -> Signer:
    """The variable is named on the command line, its value is not. Raises UsageError."""
    where = _named("--key-env", name)
    text = os.environ.get(name)
    if text is None:
        hint = "give the name of a variable, not the key" if _LIKE_A_KEY.search(name) else ""
        raise UsageError("no such environment variable", where=where, hint=hint)
    keep_from_children(name)
    return _signer(text, where)


def key_from_keystore(name: str, password: Callable[[], str]) -> Signer:
    """A Web3 Secret Storage file (version 3), as geth, clef and foundry write them. Raises UsageError."""
    where = _named("--keystore", name)
    text = read_private_file(name, where)
    document = _checked_keystore(text, where)
    account = _library(where)
    try:
        key = account.decrypt(document, password())
    except UsageError:
        raise
    except Exception:  # noqa: BLE001  (the library has many, and its words may hold what it was given)
        raise _does_not_open(where) from None
    return _signer_of(account, key, where)


def read_password(name: str) -> str:
    """The password in a file that nobody else can read: all of it but the end of its last line. Raises UsageError."""
    text = _private_text(name, _named("--password-file", name), "password", "UTF-8")
    return text.removesuffix("\n").removesuffix("\r")


def read_private_file(name: str, where: str, *, what: str = "key", form: str = _FORM) -> str:
    """The ASCII text of a file that nobody else can read, without the space around it. Raises UsageError.

    What is in it stands in no message.
    """
    text = _private_text(name, where, what, form)
    if not text.isascii():
        _refuse(f"not a {what}", where, form)
    return text.strip()


def _private_text(name: str, where: str, what: str, form: str) -> str:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would be waited for
        with os.fdopen(descriptor, "rb", closefd=True) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                _refuse("cannot be read: not a file", where, "a regular file")
            if status.st_mode & _OTHERS or status.st_uid not in (os.getuid(), 0):
                got = f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}"
                raise UsageError(
                    f"others can read this {what}", where=where, got=got, expected="0600", hint="chmod 600"
                )
            data = file.read(_MAX_FILE + 1)
        text = data.decode()
    except UnicodeDecodeError:
        _refuse(f"not a {what}", where, form)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise UsageError(f"cannot be read: {reason}", where=where) from None
    if len(data) > _MAX_FILE:
        _refuse(f"not a {what}", where, f"at most {_MAX_FILE} bytes")
    return text


def _checked_keystore(text: str, where: str) -> dict[str, object]:
    """The document, with names in lower case as the library reads them. Raises UsageError.

    A keystore says itself how much memory and time it takes to open.
    """
    try:
        document = _lowered(parse_object(text.encode(), "keystore").raw)
        fields = Fields(document, "keystore")
        if fields.integer("version") != _VERSION:
            raise _does_not_open(where)
        parameters = fields.child("crypto").child("kdfparams")
        numbers = {name: parameters.integer(name, low=1) for name in ("n", "r", "p", "c") if name in parameters}
    except Malformed:
        raise _does_not_open(where) from None
    memory = 128 * numbers.get("n", 1) * numbers.get("r", 1)
    if memory > _MOST_MEMORY or memory * numbers.get("p", 1) > _MOST_WORK or numbers.get("c", 1) > _MOST_ROUNDS:
        raise UsageError(
            "a keystore that takes too much to open",
            where=where,
            got=", ".join(f"{name} {shown(str(number), 20)}" for name, number in numbers.items()),
            expected=f"scrypt of at most {_MOST_MEMORY >> 20} MiB, or {_MOST_ROUNDS} rounds of PBKDF2",
            hint="geth's default takes 256 MiB and a second",
        )
    return document


def _lowered(members: Mapping[str, object]) -> dict[str, object]:
    found = {name.lower(): _lowered(value) if isinstance(value, dict) else value for name, value in members.items()}
    if len(found) != len(members):
        raise Malformed("a name twice", where="keystore")
    return found


def _does_not_open(where: str) -> UsageError:
    return UsageError("the keystore does not open", where=where, hint="wrong password, or no keystore")


def _named(flag: str, name: str) -> str:
    """The flag with its value, unless that looks like a key which someone gave in the place of a name."""
    return flag if _LIKE_A_KEY.search(name) else f"{flag} {shown(name)}"


def _signer(text: str, where: str) -> Signer:
    match = _KEY.fullmatch(text.strip())
    if match is None:
        _refuse("not a key", where, _FORM)
    account = _library(where)
    return _signer_of(account, bytes.fromhex(match[1]), where)


def _signer_of(account: type[Account], key: bytes, where: str) -> Signer:
    try:
        return Signer(account.from_key(key))
    except Exception:  # noqa: BLE001  (the library has many, and its words may hold the key)
        raise UsageError("not a secp256k1 key", where=where, expected="a number from 1 to the order") from None


def _refuse(what: str, where: str, expected: str) -> Never:
    raise UsageError(what, where=where, expected=expected)


def _library(where: str) -> type[Account]:
    limit = sys.getrecursionlimit()
    try:
        from eth_account import Account  # noqa: PLC0415  (an optional dependency, and not a fast one)
    except ImportError as error:
        raise UsageError("eth-account is not installed", where=where, hint=INSTALL) from error
    finally:
        sys.setrecursionlimit(limit)  # py_ecc raises it, and a JSON text of brackets would then end this process
    return Account
