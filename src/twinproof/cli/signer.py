"""The key that signs transactions, as the flags name it; never the key itself."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from twinproof.errors import UsageError
from twinproof.sources.child_environment import keep_from_children

if TYPE_CHECKING:
    from twinproof.sources.signing_key import Signer

__all__ = ["key_of"]


def key_of(arguments: argparse.Namespace) -> Signer:
    """The key that one of the flags names. Raises UsageError."""
    from twinproof.sources.signing_key import key_from_environment, key_from_file, key_from_keystore

    given = [name for name in ("key_file", "key_env", "keystore") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise UsageError(
            "one key signs",
            where="twinproof chain",
            got=", ".join(f"--{name.replace('_', '-')}" for name in given) or "none",
            expected="one of --key-file, --key-env, --keystore",
            hint="--plan needs none",
        )
    if arguments.key_file is not None:
        return key_from_file(arguments.key_file)
    if arguments.key_env is not None:
        return key_from_environment(arguments.key_env)
    return key_from_keystore(arguments.keystore, _password(arguments))


def _password(arguments: argparse.Namespace) -> Callable[[], str]:
    from twinproof.sources.signing_key import read_password

    if arguments.password_file is not None:
        return lambda: read_password(arguments.password_file)
    if arguments.password_env is not None:
        if arguments.password_env not in os.environ:
            raise UsageError("no such environment variable", where="--password-env")
        keep_from_children(arguments.password_env)
        return lambda: os.environ[arguments.password_env]
    if not sys.stdin.isatty():
        raise UsageError("no password", where="--keystore", hint="--password-file or --password-env")
    return lambda: getpass.getpass("keystore password: ", stream=sys.stderr)
