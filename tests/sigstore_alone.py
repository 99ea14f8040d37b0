"""A program: in a network namespace of its own, sign a summary and let Sigstore's command judge it.

Only loopback is there, so neither command can ask the public instance or refresh its keys. Prints JSON: what each
command ended with.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from twinproof_devnet.sigstore.instance import SigstoreInstance

SET_FLAGS, UP = 0x8914, 1
ALICE = "alice@example.org"


def run(*command: str) -> tuple[int, str, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.cwd()), "SIGSTORE_TOKEN_OF_TEST": TOKEN}
    done = subprocess.run(
        [sys.executable, "-m", *command], check=False, capture_output=True, text=True, timeout=60, env=environment
    )
    return done.returncode, done.stdout, done.stderr


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loopback:
    fcntl.ioctl(loopback, SET_FLAGS, struct.pack("16sh", b"lo", UP))
instance = SigstoreInstance()
TOKEN = instance.provider.token({"email": ALICE})
Path("trust.json").write_text(instance.trust_config(), encoding="ascii")
comparing = ("twinproof", "compare", "0.json", "1.json", "--trust-root", "root.pem", "--no-cache", "--format", "vsa")
token = ("--sigstore-token-env", "SIGSTORE_TOKEN_OF_TEST", "--timeout", "5")
signed = run(*comparing, *token, "--sigstore-trust-config", "trust.json")
Path("summary.sigstore.json").write_text(signed[1], encoding="ascii")


def judged(identity: str) -> tuple[int, str, str]:
    who = ("--cert-identity", identity, "--cert-oidc-issuer", instance.provider.url)
    what = ("--bundle", "summary.sigstore.json", f"sha256:{sys.argv[1]}")
    return run("sigstore", "--trust-config", "trust.json", "verify", "identity", *who, *what)


outcomes = {
    "signed": signed,
    "verified": judged(ALICE),
    "another identity": judged("mallory@example.org"),
    "public": run(*comparing, *token, "--sigstore-public"),
}
sys.stdout.write(json.dumps(outcomes))
