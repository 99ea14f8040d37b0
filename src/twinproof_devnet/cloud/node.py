"""A node of the cloud: one TDX machine with a name, a number, and a KMS that asks the chain."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof_devnet.cloud.problems import Json
from twinproof_devnet.host import TdxHost
from twinproof_devnet.image import Image
from twinproof_devnet.machine import FMSPC

__all__ = ["SLOTS", "Node", "node_number"]

SLOTS = 8
_NUMBERS = {"prod5": 26, "prod7": 12, "prod9": 18}
_OTHERS = 100


def node_number(name: str, position: int) -> int:
    """Known machines have known numbers; the others count from 100."""
    return _NUMBERS.get(name, _OTHERS + position)


@dataclass(slots=True, eq=False)
class Node:
    number: int
    name: str
    region: str
    host: TdxHost
    claimed_device_id: bytes
    """What the API says; the machine's own, but for a fault."""
    up: bool = True

    @property
    def kms_slug(self) -> str:
        return f"kms-base-{self.name}"

    def available(self, used_slots: int) -> dict[str, Json]:
        """As an entry of /teepods/available."""
        image = Image()
        version: list[Json] = [int(part) for part in image.version.split(".")]
        images: list[Json] = [
            {
                "name": image.name,
                "is_dev": False,
                "version": version,
                "os_image_hash": image.os_image_hash.hex(),
            }
        ]
        return {
            "teepod_id": self.number,
            "name": self.name,
            "listed": True,
            "resource_score": 10.0,
            "remaining_vcpu": 64.0,
            "remaining_memory": 131072.0,
            "remaining_cvm_slots": float(SLOTS - used_slots),
            "images": images,
            "support_onchain_kms": True,
            "fmspc": FMSPC.hex(),
            "device_id": self.claimed_device_id.hex(),
            "region_identifier": self.region.lower(),
            "default_kms": self.kms_slug,
            "kms_list": [self.kms_slug],
        }

    def shown(self) -> dict[str, Json]:
        """As `node_info`, and as an entry of a workspace's nodes."""
        return {
            "object_type": "node",
            "id": self.number,
            "name": self.name,
            "region": self.region.lower(),
            "device_id": self.claimed_device_id.hex(),
            "ppid": self.host.machine.ppid.hex(),
            "status": "ONLINE" if self.up else "OFFLINE",
            "version": "v0.5.8",
        }
