"""Who signs a summary: a key of one's own, or an identity at a Sigstore instance. At most one, and only when named."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from twinproof.errors import UsageError

if TYPE_CHECKING:
    from twinproof.sources.sigstore_signing import SigstoreInstance
    from twinproof.sources.sigstore_token import TokenSource

__all__ = ["add_signing_flags", "check_signing", "given_signing_flags", "signed_summary"]

_FLAGS = (
    "--sign-key",
    "--sigstore-trust-config",
    "--sigstore-public",
    "--sigstore-token-file",
    "--sigstore-token-env",
)


def add_signing_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who signs the summary", "with --format vsa; nobody without these")
    group.add_argument(
        "--sign-key",
        metavar="FILE",
        help="sign it as a DSSE envelope with this key (PEM, ECDSA P-256 or Ed25519, no passphrase)",
    )
    group.add_argument(
        "--sigstore-trust-config",
        metavar="FILE",
        help="sign it with an OIDC identity at the Sigstore instance of this client trust configuration (JSON); prints "
        "a Sigstore bundle",
    )
    group.add_argument(
        "--sigstore-public",
        action="store_true",
        help="sign it at the public Sigstore instance: the identity then stands in a public log for ever",
    )
    group.add_argument(
        "--sigstore-token-file",
        metavar="FILE",
        help="read the OIDC token from this file (default: the identity of the CI job)",
    )
    group.add_argument(
        "--sigstore-token-env", metavar="NAME", help="read the OIDC token from this environment variable"
    )


def given_signing_flags(arguments: argparse.Namespace) -> Iterator[str]:
    """The flags that were given, for commands that sign nothing."""
    for flag in _FLAGS:
        if getattr(arguments, flag[2:].replace("-", "_")):
            yield flag


def check_signing(arguments: argparse.Namespace) -> None:
    """Everything that can be known before anything is asked. Raises UsageError, and Unavailable for a job's token."""
    given = list(given_signing_flags(arguments))
    if not given:
        return
    if arguments.format != "vsa":
        raise UsageError("only a summary is signed", where=given[0], hint="--format vsa")
    signers = [flag for flag in given if "token" not in flag]
    if len(signers) != 1:
        expected = "one of --sign-key, --sigstore-trust-config, --sigstore-public"
        raise UsageError("one signs", where="--format vsa", got=", ".join(given), expected=expected)
    if signers == ["--sign-key"]:
        from twinproof.sources.summary_key import read_summary_key

        if len(given) > 1:
            raise UsageError("a key needs no token", where=given[1])
        read_summary_key(arguments.sign_key)
        return
    if len(given) > 2:
        raise UsageError("one token says who signs", where="--format vsa", got=", ".join(given[1:]))
    if find_spec("sigstore") is None:
        raise UsageError("sigstore is not installed", where=given[0], hint='pip install "twinproof[sigstore]"')
    _instance(arguments)
    _token_source(arguments).read()


def signed_summary(arguments: argparse.Namespace, statement: dict[str, object]) -> str:
    """The Statement as JSON, or what carries it with its signature. Raises Unavailable when Sigstore gives none."""
    from twinproof.report.vsa import dsse_envelope, statement_bytes

    if arguments.sign_key is not None:
        from twinproof.sources.summary_key import read_summary_key

        key = read_summary_key(arguments.sign_key)
        return json.dumps(dsse_envelope(statement, key.sign, key.key_id), sort_keys=True, separators=(",", ":"))
    if not any(given_signing_flags(arguments)):
        return statement_bytes(statement).decode()
    instance = _instance(arguments)
    print(f"twinproof: signing at {instance.name}", file=sys.stderr)
    signed = instance.sign(statement_bytes(statement), _token_source(arguments).read())
    told = f"signed by {signed.identity}, as {signed.issuer} says; log entry {signed.log_index}"
    print(f"twinproof: {told}", file=sys.stderr)
    return signed.bundle


def _instance(arguments: argparse.Namespace) -> SigstoreInstance:
    from twinproof.sources.sigstore_signing import SigstoreInstance, settle_environment

    settle_environment(arguments.ca_file)
    if arguments.sigstore_public:
        return SigstoreInstance.public(arguments.timeout)
    return SigstoreInstance.from_file(arguments.sigstore_trust_config, arguments.timeout)


def _token_source(arguments: argparse.Namespace) -> TokenSource:
    from twinproof.sources.sigstore_token import TokenSource

    return TokenSource(arguments.sigstore_token_file, arguments.sigstore_token_env, arguments.timeout)
