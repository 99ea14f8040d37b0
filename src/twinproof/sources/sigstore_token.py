"""The OIDC token that says who signs: from a file, an environment variable or the CI job around us, never an argument.

Sigstore's client reads its claims without verifying it: that is the certificate authority's part.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from sigstore.oidc import IdentityError, IdentityToken, detect_credential

from twinproof.errors import Unavailable, UsageError
from twinproof.sources.deadline import within
from twinproof.sources.signing_key import read_private_file
from twinproof.wire import shown

__all__ = ["TokenSource"]

_JOB_HINT = "--sigstore-token-file or --sigstore-token-env; a GitHub workflow needs permissions: id-token: write"


@dataclass(frozen=True, slots=True)
class TokenSource:
    """The file's name or the variable's; without both, what the CI job offers (GitHub, GitLab, Buildkite, ...)."""

    file: str | None
    variable: str | None
    seconds: float

    def read(self) -> IdentityToken:
        """A token that is good now. Raises UsageError, and Unavailable where a job's own service does not give one."""
        if self.file is not None:
            where = f"--sigstore-token-file {shown(self.file)}"
            return _token(read_private_file(self.file, where, what="token", form="a JWT"), where)
        if self.variable is not None:
            return self._from_environment(self.variable)
        return self._from_job()

    @staticmethod
    def _from_environment(name: str) -> IdentityToken:
        text = os.environ.get(name)
        if text is None:
            hint = "give the name of a variable, not the token" if "." in name else ""
            where = "--sigstore-token-env" if hint else f"--sigstore-token-env {shown(name, 40)}"
            raise UsageError("no such environment variable", where=where, hint=hint)
        return _token(text.strip(), f"--sigstore-token-env {shown(name, 40)}")

    def _from_job(self) -> IdentityToken:
        where = "the CI job's identity"
        try:
            text = within(self.seconds, detect_credential)
        except IdentityError as error:  # its words may end with what a service answered
            said = shown(str(error).partition(", body=")[0], 200)
            raise Unavailable("no token for this job", where=where, got=said, hint=_JOB_HINT) from None
        except (OSError, TypeError, ValueError) as error:
            raise Unavailable("no token for this job", where=where, got=type(error).__name__, hint=_JOB_HINT) from None
        if text is None:
            raise UsageError("nobody says who signs", where="--format vsa", expected="a token", hint=_JOB_HINT)
        return _token(text, where)


def _token(text: str, where: str) -> IdentityToken:
    """Nothing of the text stands in a message."""
    try:
        return IdentityToken(text)
    except IdentityError as error:
        reason = type(error.__cause__).__name__ if error.__cause__ else str(error)
        raise UsageError(
            "not a token to sign with", where=where, got=reason, expected="a JWT for the audience sigstore, good now"
        ) from None
