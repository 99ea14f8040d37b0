"""Who built this image? Sigstore's answer, asked with GitHub's own command: this workflow, this tag, this commit."""

from __future__ import annotations

import shutil
import subprocess

from twinproof.errors import Refused, Unavailable, UsageError
from twinproof.sources.child_environment import child_environment
from twinproof.wire import shown

__all__ = ["WORKFLOW", "require_attestation"]

WORKFLOW = ".github/workflows/toy-build.yml"
SECONDS = 300
_NOT_LOGGED_IN = 4
"""What `gh` exits with when it needs credentials."""


def require_attestation(image: str, repository: str, tag: str, commit: str) -> None:
    """`image` is `name@sha256:...`. Raises Refused without an attestation by this workflow for this tag and commit."""
    if shutil.which("gh") is None:
        raise UsageError("gh is not installed", hint="GitHub's command line verifies attestations")
    command = [
        *("gh", "attestation", "verify", f"oci://{image}", "--repo", repository),
        *("--signer-workflow", f"{repository}/{WORKFLOW}"),
        *("--source-ref", f"refs/tags/{tag}", "--source-digest", commit, "--deny-self-hosted-runners"),
    ]
    try:
        done = subprocess.run(  # noqa: S603  (no shell; every part was validated)
            command, check=False, capture_output=True, text=True, timeout=SECONDS, env=child_environment()
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("did not end", where="gh attestation verify", got=f"nothing in {SECONDS} s") from error
    if done.returncode == _NOT_LOGGED_IN:
        raise UsageError("gh has no credentials", where="gh attestation verify", hint="GH_TOKEN")
    if done.returncode != 0:
        raise Refused(
            "not attested by this repository's build of this version",
            where=image,
            got=shown(" ".join(done.stderr.split()), 300),
            expected=f"{WORKFLOW} at {tag}",
        )
