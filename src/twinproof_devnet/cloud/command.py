"""`devnet up --cloud`: a cloud runs until it is stopped, and says how to reach it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from twinproof_devnet.app_process import AppError
from twinproof_devnet.chain.devchain import BLOCK_SECONDS, CHAIN_ID
from twinproof_devnet.chain.engine_name import EngineError, EngineName
from twinproof_devnet.cloud.world import MACHINES, CloudWorld
from twinproof_devnet.faults import FaultAt
from twinproof_devnet.stopping import told_to_stop

__all__ = ["announcement", "up"]

_USAGE = 2


def up(
    machines: Sequence[str],
    fault_texts: Sequence[str],
    directory: Path | None,
    chain_id: int | None,
    engine: EngineName = EngineName.PY_EVM,
) -> int:
    """The exit code: 0, or 2 for a cloud that cannot be."""
    stop = told_to_stop()
    try:
        faults = [FaultAt.parse(text) for text in fault_texts]
        world = CloudWorld.start(
            machines or MACHINES,
            chain_id=chain_id or CHAIN_ID,
            block_seconds=BLOCK_SECONDS,
            faults=faults,
            directory=directory,
            chain_engine=engine,
        )
    except (ValueError, AppError, EngineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _USAGE
    with world:
        print("SIMULATED HARDWARE: nothing here is signed by Intel, nothing here is on Base\n")
        for line in announcement(world):
            print(line)
        for item in faults:
            print(f"{'fault':<12} {item}: {item.fault.description}")
        print("\nCtrl-C stops it.", flush=True)
        stop.wait()
    print("stopped")
    return 0


def announcement(world: CloudWorld) -> list[str]:
    """Where everything is. Keys are named by their files, never shown."""
    found = [(name, f"node {node.number}, device id {node.host.device_id.hex()}") for name, node in world.nodes.items()]
    contracts = world.contracts
    found += [
        ("cloud API", world.service.url),
        ("API key", str(world.key_path)),
        ("chain RPC", f"{', '.join(contracts.rpc_urls)}  chain id {contracts.chain_id}"),
        ("chain engine", contracts.chain.engine),
        ("KMS", f"0x{contracts.kms_contract.hex()}"),
        ("KMS root", world.kms.root_public_key.hex()),
        ("owner", f"{world.owner.checksum_address}  has money; its key: {world.owner_key_path}"),
        ("registry", f"{world.registry.directory}  (`twinproof devnet push`)"),
        ("collateral", world.collateral_url),
        ("trust root", str(world.root_path)),
        ("config", str(world.config_path)),
    ]
    lines = [f"{name:<12} {value}" for name, value in found]
    return [
        *lines,
        "",
        f"export PHALA_CLOUD_API_PREFIX={world.service.url}",
        f'export PHALA_CLOUD_API_KEY="$(cat {world.key_path})"',
    ]
