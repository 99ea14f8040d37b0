"""The devnet on the command line: `up` runs a world until it is stopped, `push` builds an image for its cloud, `demo`
shows one, `sigstore` runs an instance of that, `faults` lists faults, `corpus` writes conformance cases.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from twinproof_devnet.app_process import AppError
from twinproof_devnet.chain.engine_name import EngineError, EngineName
from twinproof_devnet.faults import Fault, FaultAt
from twinproof_devnet.provision import BootRefused
from twinproof_devnet.registry import Registry
from twinproof_devnet.stopping import told_to_stop
from twinproof_devnet.world import World

__all__ = ["main"]

_USAGE = 2
_GIT_SHA = re.compile("[0-9a-f]{40}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_BLOCK_SECONDS = 2
"""As on Base; so what was sent becomes final within half a minute."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 for a command that cannot be meant."""
    parser = argparse.ArgumentParser(
        prog="twinproof devnet", description="A TDX world on this machine, for trying twinproof: NOT INTEL."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start machines and run until Ctrl-C or SIGTERM")
    up.add_argument("--machines", metavar="NAME,NAME", help="default: prod9,prod7; with --cloud prod5,prod7,prod9")
    up.add_argument(
        "--cloud", action="store_true", help="a cloud with an API and a chain, where nothing is deployed yet"
    )
    up.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[@machine]",
        help="switch on a fault, everywhere or at one machine or endpoint (rpc1); may be repeated",
    )
    up.add_argument(
        "--no-chain", action="store_true", help="without a chain: the KMS asks nobody whom it gives keys to"
    )
    up.add_argument(
        "--chain-id",
        type=int,
        metavar="N",
        help="what the simulated chain says it is; default: 31337, as local chains do. Some programs know only 8453",
    )
    up.add_argument(
        "--chain-engine",
        choices=[name.value for name in EngineName],
        default=EngineName.PY_EVM.value,
        help="what executes on the simulated chain: py-evm, in this process, or anvil when it is installed (on PATH, "
        "or named by TWINPROOF_ANVIL); default: py-evm, the same on every machine",
    )
    up.add_argument(
        "--endpoints", type=int, default=1, metavar="N", help="how many JSON-RPC endpoints, rpc1 to rpcN; default: 1"
    )
    up.add_argument("--directory", type=Path, help="where to write root.pem and twinproof.toml (default: temporary)")
    push = commands.add_parser("push", help="build the app of a checkout into a cloud's registry; prints the digest")
    push.add_argument("registry", type=Path, metavar="DIRECTORY", help="the registry that `up --cloud` announced")
    push.add_argument("--checkout", type=Path, metavar="DIR", help="default: the repository of the devnet itself")
    push.add_argument("--git-sha", required=True, metavar="SHA", help="40 hex digits, baked into the image")
    push.add_argument("--build-time", required=True, metavar="TIME", help="YYYY-MM-DDThh:mm:ssZ, baked into the image")
    demo = commands.add_parser("demo", help="a release, its upgrade, the proof, and four lies being caught")
    demo.add_argument("--keep", action="store_true", help="afterwards leave it running until Ctrl-C")
    sigstore = commands.add_parser("sigstore", help="start a Sigstore instance, to sign summaries with an identity")
    sigstore.add_argument("--directory", type=Path, help="where to write trust.json and token (default: temporary)")
    sigstore.add_argument(
        "--email", default="alice@example.com", help="whom its token is about (default: alice@example.com)"
    )
    faults = commands.add_parser("faults", help="list the faults")
    corpus = commands.add_parser("corpus", help="write conformance cases for verifiers into a new directory")
    corpus.add_argument("directory", type=Path, metavar="DIR")
    corpus.add_argument(
        "--at", type=int, metavar="SECONDS", help="unix time at which the good parts are valid; default: now"
    )
    for command, run in (
        (up, _up),
        (push, _push),
        (demo, _demo),
        (sigstore, _sigstore),
        (faults, _faults),
        (corpus, _corpus),
    ):
        command.set_defaults(run=run)
    parsed = parser.parse_args(arguments)
    return cast("int", parsed.run(parsed))


def _demo(parsed: argparse.Namespace) -> int:
    from twinproof_devnet.story import upgrade  # noqa: PLC0415  (only when asked for)

    return upgrade.run(keep=parsed.keep)


def _sigstore(parsed: argparse.Namespace) -> int:
    from twinproof_devnet.sigstore import command  # noqa: PLC0415  (only when asked for)

    return command.run(parsed.directory, parsed.email)


def _names(machines: str | None) -> list[str]:
    return [name.strip() for name in (machines or "").split(",") if name.strip()]


def _push(parsed: argparse.Namespace) -> int:
    for flag, text, form in (("--git-sha", parsed.git_sha, _GIT_SHA), ("--build-time", parsed.build_time, _TIME)):
        if not form.fullmatch(text):
            print(
                f"error: {flag}: not of its form: got {text[:80]!r}\nhint: twinproof devnet push --help",
                file=sys.stderr,
            )
            return _USAGE
    registry = Registry(parsed.registry)
    try:
        digest = registry.push(git_sha=parsed.git_sha, build_time=parsed.build_time, checkout=parsed.checkout)
    except (AppError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _USAGE
    print(digest)
    return 0


def _faults(_: argparse.Namespace) -> int:
    width = max(len(fault) for fault in Fault)
    for fault in Fault:
        print(f"{fault.value:<{width}}  {fault.place.value:<10}  {fault.description}")
    return 0


def _corpus(parsed: argparse.Namespace) -> int:
    from twinproof_devnet.corpus.write import write_corpus  # noqa: PLC0415  (only when asked for)

    try:
        count = write_corpus(parsed.directory, int(time.time()) if parsed.at is None else parsed.at)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _USAGE
    print(f"{count} cases in {parsed.directory}")
    return 0


def _up(parsed: argparse.Namespace) -> int:
    if parsed.cloud:
        from twinproof_devnet.cloud import command as cloud  # noqa: PLC0415  (only when asked for)

        engine = EngineName(parsed.chain_engine)
        return cloud.up(_names(parsed.machines), parsed.fault, parsed.directory, parsed.chain_id, engine)
    stop = told_to_stop()
    names = _names(parsed.machines) or ["prod9", "prod7"]
    try:
        faults = [FaultAt.parse(text) for text in parsed.fault]
        world = World.start(
            names,
            faults=faults,
            directory=parsed.directory,
            chain=not parsed.no_chain,
            chain_id=parsed.chain_id,
            endpoints=parsed.endpoints,
            chain_engine=EngineName(parsed.chain_engine),
        )
    except (ValueError, AppError, EngineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _USAGE
    except BootRefused as error:
        print(f"error: {error}\nhint: --no-chain boots it without asking the contracts", file=sys.stderr)
        return _USAGE
    with world:
        if world.has_chain:
            world.chain.chain.mine_every(_BLOCK_SECONDS)
        _announce(world, faults)
        stop.wait()
    print("stopped")
    return 0


def _announce(world: World, faults: Sequence[FaultAt]) -> None:
    print("SIMULATED HARDWARE: nothing here is signed by Intel\n")
    for name, instance in world.instances.items():
        print(f"{name:<12} {instance.url}")
        print(f"{'':<12} {instance.agent_url}  guest agent, public (port 8090)")
        print(f"{'':<12} {instance.socket}  guest agent, for the app")
    print(f"{'collateral':<12} {world.collateral_url}")
    print(f"{'trust root':<12} {world.root_path}")
    app_id, root = world.provisioned.app_id.hex(), world.provisioned.kms.root_public_key.hex()
    print(f"{'KMS root':<12} {root}  of the keys of app {app_id}")
    if world.has_chain:
        chain = world.chain
        for number, endpoint in enumerate(chain.rpc, start=1):
            print(f"rpc{number:<9} {endpoint.url}  JSON-RPC, chain id {chain.chain_id}, SIMULATED")
        print(f"{'chain engine':<12} {chain.chain.engine}")
        print(f"{'KMS contract':<12} 0x{chain.kms.address.hex()}")
        print(f"{'app contract':<12} 0x{app_id}  its address is the app id")
        print(f"{'owner':<12} {chain.owner.checksum_address}  of both; key in {world.chain_key_path}")
    for item in faults:
        print(f"{'fault':<12} {item}: {item.fault.description}")
    print(f"\n{shlex.join(world.compare_command())}\n")
    print("Ctrl-C stops it.", flush=True)
