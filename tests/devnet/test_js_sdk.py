"""The official JavaScript client, from its own package and unmodified, works against the guest agent."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from dstack_sdk import DstackClient
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey, Signature

from npm_package import NO_NETWORK, NPM, installed
from running_agent import running_agent
from twinproof.dstack.key_chain import judge_key
from twinproof_devnet.boot import Boot
from twinproof_devnet.compose import ToyApp, app_compose

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client installed from its lock file."""
    return installed(NPM, tmp_path_factory.mktemp("npm") / "client")


def kms_root_of(seen: dict[str, str], app_id: bytes) -> bytes:
    """The key at the end of the chain of `key`, by recovery: the message of each link names the key before it."""
    public = PrivateKey(bytes.fromhex(seen["key"])).public_key.to_compressed_bytes()
    app_signature, root_signature = (Signature(bytes.fromhex(item)) for item in seen["chain"])
    app_key = app_signature.recover_public_key_from_msg_hash(keccak(f"a purpose:{public.hex()}".encode()))
    message = b"dstack-kms-issued:" + app_id + app_key.to_compressed_bytes()
    return root_signature.recover_public_key_from_msg_hash(keccak(message)).to_compressed_bytes()


def test_the_official_javascript_client_sees_what_the_python_client_sees(package: Path, tmp_path: Path) -> None:
    boot = Boot(app_compose=app_compose(ToyApp(name="t\u00f6y")))
    with running_agent(tmp_path, boot) as (agent, kms):
        done = subprocess.run(
            [*NO_NETWORK, "node", "client.mjs", str(agent.socket)],
            cwd=package,
            check=False,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        seen = json.loads(done.stdout)
        client = DstackClient(str(agent.socket))
        with client:  # not `as client`: that gives the asynchronous one
            key = client.get_key("a/path", "a purpose")
            assert bytes.fromhex(seen["quote"])[568:632] == b"\x01\x02" + bytes(62)
            assert json.loads(seen["event_log"]) == json.loads(client.get_quote(b"x").event_log)
            assert seen["key"] == key.key
            assert seen["ed25519"] == client.get_key("a/path", "a purpose", "ed25519").key
            assert kms_root_of(seen, agent.vm.app_id) == kms.root_public_key
            for printed, purpose in (("printed_key", "a purpose"), ("printed_signature", None)):
                verdict = judge_key(
                    seen[printed],
                    source=printed,
                    app_id=agent.vm.app_id,
                    kms_root=kms.root_public_key,
                    purpose=purpose,
                    data=None if purpose else b"\x01\x02",
                )
                assert (printed, verdict.failures, verdict.proved) == (printed, (), True)
            assert seen["app_name"] == client.info().app_name == "t\u00f6y"
            assert seen["compose_hash"] == client.info().compose_hash
            assert seen["app_compose"] == client.info().tcb_info.app_compose
            assert seen["attestation"].startswith("0000")
            assert (seen["tls"], seen["verified"], seen["reachable"]) == (3, True, True)
            assert seen["version"] == client.version().version
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(seen["public_key"]))
            public.verify(bytes.fromhex(seen["signature"]), b"\x01\x02")  # raises when it is not one
            assert seen["non_ascii"] == "TypeError"  # what this client makes of an answer that is an error
            assert seen["non_ascii_seconds"] < 5
