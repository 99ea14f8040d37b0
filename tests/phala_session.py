"""The official `phala` command's whole day against the devnet's cloud, inside a network that has only loopback.

`python phala_session.py CLI SCRATCH`, started by test_phala_cli.py in a network namespace of its own. CLI is the
command's entry file. Writes one JSON document: what every command said, and what the cloud and its chain then were.
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

from cloud_client import BUILD_TIME, GIT_SHA, compose_file
from twinproof_devnet.chain.abi import topic
from twinproof_devnet.cloud.world import CloudWorld

BASE = 8453
_IFREQ = "16sh14x"
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
SECONDS = 120


def loopback_up() -> None:
    """In a new network namespace even loopback is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as interface:
        request = struct.pack(_IFREQ, b"lo", 0)
        flags = struct.unpack(_IFREQ, fcntl.ioctl(interface, _GET_FLAGS, request))[1]
        fcntl.ioctl(interface, _SET_FLAGS, struct.pack(_IFREQ, b"lo", flags | _UP))


class Session:
    """Runs the command as a person with an API key would, every endpoint said."""

    def __init__(self, cli: Path, scratch: Path, world: CloudWorld) -> None:
        self.cli, self.scratch, self.world = cli, scratch, world
        self.said: dict[str, dict[str, object]] = {}

    def run(self, name: str, *arguments: str) -> str:
        """stdout."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.scratch),
            "CI": "1",
            "PHALA_CLOUD_DIR": str(self.scratch / "credentials"),
            "PHALA_DISABLE_UPDATE_CHECK": "1",
            "PHALA_CLOUD_API_PREFIX": self.world.service.url,
            "PHALA_CLOUD_API_KEY": self.world.key,
            "PRIVATE_KEY": self.key,
        }
        done = subprocess.run(
            ["node", str(self.cli), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            cwd=self.scratch,
            env=environment,
        )
        self.said[name] = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
        self.world.fleet.settle()
        return done.stdout

    @property
    def key(self) -> str:
        """Of an account of this devnet, made at run time; the command takes it only as an argument."""
        return f"0x{self.world.owner.key.hex()}"

    def compose(self, version: str) -> str:
        """The path of a compose file with this version's image."""
        built = self.world.registry.push(git_sha=GIT_SHA, build_time=BUILD_TIME, version=version)
        path = self.scratch / f"{version}.yml"
        path.write_text(compose_file(f"registry.invalid/toy-example@{built}"))
        return str(path)

    def logs(self, event: str) -> list[str]:
        """The data of every such event on the chain, in order."""
        ledger = self.world.contracts.chain.ledger
        blocks = (ledger.block(number) for number in range(ledger.head.number + 1))
        receipts = [receipt for block in blocks if block is not None for receipt in block.receipts]
        return [log.data.hex() for receipt in receipts for log in receipt.logs if log.topics[0] == topic(event)]


def day(session: Session) -> dict[str, object]:
    """First deployment, an upgrade, a second machine; and all the reading in between."""
    world = session.world
    chain = ("--private-key", session.key, "--rpc-url", world.contracts.rpc_url)
    rpc = ("--rpc-url", world.contracts.rpc_url)
    session.run("nodes", "nodes", "list", "--json")
    new = ("deploy", "-n", "toy-example", "-c", session.compose("1.0.0"), "--kms", "base")
    session.run("deploy", *new, "--node-id", str(world.nodes["prod9"].number), "--no-dev-os", "--json", *chain)
    first = world.fleet.cvms[0]
    before = first.compose_hash
    session.run("get", "cvms", "get", first.uuid, "--json")
    session.run("list", "cvms", "list", "--json")
    session.run("attestation", "cvms", "attestation", first.uuid, "--json")
    session.run("upgrade", "deploy", "--cvm-id", first.uuid, "-c", session.compose("1.1.0"), "--json", *chain)
    session.run("devices", "allow-devices", "list", first.uuid, "--json", *rpc)
    session.run("allow", "allow-devices", "add", f"app_{first.app_id.hex()}", "prod7", "--json", *chain)
    session.run("replicate", "cvms", "replicate", first.uuid, "--node-id", "prod7", "--json", *chain)
    session.run("list of two", "cvms", "list", "--json")
    return {
        "before": before,
        "cvms": [
            {
                "node": cvm.node.name,
                "device_id": cvm.node.host.device_id.hex(),
                "app_id": cvm.app_id.hex(),
                "uuid": cvm.uuid,
                "compose_hash": cvm.compose_hash,
                "attested": cvm.instance.vm.compose_hash.hex() if cvm.instance.running else None,
                "error": cvm.status.error,
            }
            for cvm in world.fleet.cvms
        ],
        "hashes": session.logs("ComposeHashAdded(bytes32)"),
        "devices": session.logs("DeviceAdded(bytes32)"),
        "apps": len(session.logs("AppDeployedViaFactory(address,address)")),
    }


def main() -> int:
    cli, scratch = (Path(argument) for argument in sys.argv[1:3])
    loopback_up()
    with CloudWorld.start(chain_id=BASE) as world:
        session = Session(cli, scratch, world)
        then = day(session)
        json.dump({"said": session.said, "then": then}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
