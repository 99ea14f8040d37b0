"""`twinproof deploy`: the plan, the deployment, and which machine stands where."""

from __future__ import annotations

import argparse
import json

from twinproof.cli.deploy_setup import read_setup
from twinproof.cli.deployment import Deployed, Instance, deploy
from twinproof.errors import TwinproofError
from twinproof.wire import shown

__all__ = ["result_json", "result_lines", "run"]


def run(arguments: argparse.Namespace) -> int:
    setup = read_setup(arguments, tag=arguments.tag)
    deployed = deploy(setup, arguments)
    if arguments.json:
        print(json.dumps(result_json(deployed), indent=1))
    elif not arguments.plan:
        print("\n".join(result_lines(deployed)))
    return deployed.exit_code


def result_lines(deployed: Deployed) -> list[str]:
    """For people: each machine, and the transaction behind all of them."""
    lines = [f"app id       {deployed.app_id.hex() if deployed.app_id else '-'}"]
    mined = deployed.mined
    if mined is not None and not isinstance(mined, TwinproofError):
        lines.append(f"transaction  0x{mined.receipt.transaction_hash.hex()}")
        lines.append(f"block        {mined.receipt.block_number}")
    elif mined is not None:
        lines.append(f"transaction  not found: {shown(str(mined), 300)}")
    for instance in deployed.instances:
        lines.append(_line(instance))
        if instance.error is not None and instance.error.hint:
            lines.append(f"             hint: {shown(instance.error.hint, 200)}")
    done = sum(instance.error is None for instance in deployed.instances)
    lines.append(f"{done} of {len(deployed.instances)} machines attest this version")
    return lines


def _line(instance: Instance) -> str:
    if instance.error is not None:
        return f"{instance.machine.name:<12} FAILED at {instance.step}: {shown(str(instance.error), 400)}"
    return f"{instance.machine.name:<12} attests it: {instance.url}"


def result_json(deployed: Deployed) -> dict[str, object]:
    mined = None if isinstance(deployed.mined, TwinproofError) else deployed.mined
    return {
        "schema": "twinproof/deploy/v1",
        "plan": deployed.plan.to_json(),
        "app_id": deployed.app_id.hex() if deployed.app_id else None,
        "transaction": f"0x{mined.receipt.transaction_hash.hex()}" if mined else None,
        "machines": [
            {
                "name": instance.machine.name,
                "attested": instance.error is None,
                "url": instance.url or None,
                "cvm": instance.cvm.uuid if instance.cvm else None,
                "step": instance.step or None,
                "error": type(instance.error).__name__ if instance.error else None,
                "message": str(instance.error) if instance.error else None,
            }
            for instance in deployed.instances
        ],
        "exit_code": deployed.exit_code,
    }
