"""`twinproof devnet sigstore`: an instance on this machine, whose identity provider vouches for whoever is named."""

from __future__ import annotations

import shlex
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from twinproof_devnet.sigstore.instance import SigstoreInstance
from twinproof_devnet.stopping import told_to_stop

__all__ = ["run"]

_USAGE = 2
_DAY = 86_400


def run(directory: Path | None, email: str) -> int:
    """Until it is stopped. Trust configuration and token are kept in a `directory` that was named, and only there."""
    stop = told_to_stop()
    with ExitStack() as resources:
        scratch = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="twinproof-")))
        instance = SigstoreInstance()
        resources.callback(instance.close)
        trust, token = (directory or scratch) / "trust.json", (directory or scratch) / "token"
        try:
            trust.parent.mkdir(parents=True, exist_ok=True)
            trust.write_text(instance.trust_config(), encoding="ascii")
            token.touch(mode=0o600)
            token.chmod(0o600)
            token.write_text(instance.provider.token({"email": email}, seconds=_DAY) + "\n", encoding="ascii")
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            return _USAGE
        print("SIMULATED: nothing here is signed by Sigstore\n")
        print(f"{'issuer':<12} {instance.provider.url}  of OpenID Connect tokens")
        print(f"{'Fulcio':<12} {instance.fulcio.url}")
        print(f"{'Rekor':<12} {instance.rekor.url}")
        print(f"{'trust':<12} {trust}")
        print(f"{'token':<12} {token}  of {email}, for a day")
        flags = ["--format", "vsa", "--sigstore-trust-config", str(trust), "--sigstore-token-file", str(token)]
        print(f"\n{shlex.join(flags)}\n")
        print("Ctrl-C stops it.", flush=True)
        stop.wait()
    print("stopped")
    return 0
