"""The official JavaScript client, from its own package and unmodified, works against the guest agent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from dstack_sdk import DstackClient

from running_agent import running_agent

NPM = Path(__file__).resolve().parents[1] / "npm"
NO_NETWORK = ("unshare", "--map-root-user", "--net")  # the unix socket is all that the client needs

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client installed from its lock file; where Node.js is missing, skipped on a desk and a failure in CI."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("Node.js is missing: .ci/run has to install it")
        pytest.skip("Node.js is not installed: the JavaScript client was not run")
    if subprocess.run([*NO_NETWORK, "true"], check=False, capture_output=True).returncode != 0:
        if os.environ.get("CI"):
            pytest.fail("network namespaces cannot be made here: .ci/run needs unshare")
        pytest.skip("no network namespaces here: the JavaScript client was not run")
    directory = tmp_path_factory.mktemp("npm") / "client"
    shutil.copytree(NPM, directory, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=directory,
        check=False,
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()
    return directory


def test_the_official_javascript_client_sees_what_the_python_client_sees(package: Path, tmp_path: Path) -> None:
    with running_agent(tmp_path) as (agent, _):
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
            assert [len(item) for item in seen["chain"]] == [130, 130]
            assert seen["compose_hash"] == client.info().compose_hash
            assert seen["app_compose"] == client.info().tcb_info.app_compose
            assert seen["attestation"].startswith("0000")
            assert (seen["tls"], seen["verified"], seen["reachable"]) == (3, True, True)
            assert seen["version"] == client.version().version
