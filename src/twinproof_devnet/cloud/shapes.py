"""A CVM as the API shows it: one shape for each date that clients ask for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from twinproof_devnet.cloud.cvm import Cvm
from twinproof_devnet.cloud.on_chain import OnChain
from twinproof_devnet.cloud.problems import Json
from twinproof_devnet.image import Image

__all__ = ["NEWEST", "OLDEST", "Shapes"]

OLDEST, NEWEST = "2025-10-28", "2026-01-21"
_USER = 1


@dataclass(frozen=True, slots=True)
class Shapes:
    on_chain: OnChain

    def cvm(self, cvm: Cvm, date: str) -> dict[str, Json]:
        return self._old(cvm) if date == OLDEST else self._new(cvm)

    def _public_urls(self, cvm: Cvm) -> list[Json]:
        return [{"app": cvm.instance.url, "instance": cvm.instance.url}]

    def _new(self, cvm: Cvm) -> dict[str, Json]:
        contracts = self.on_chain.contracts
        text = json.loads(cvm.text)
        public, _ = self.on_chain.env_public_key(cvm.app_id, frozenset())
        return {
            "id": f"cvm_{cvm.number}",
            "name": cvm.name,
            "app_id": cvm.app_id.hex(),
            "vm_uuid": cvm.uuid,
            "instance_id": cvm.instance_id.hex(),
            "resource": {
                "instance_type": cvm.resources.instance_type,
                "vcpu": cvm.resources.vcpu,
                "memory_in_gb": cvm.resources.memory / 1024,
                "disk_in_gb": cvm.resources.disk,
                "gpus": 0,
            },
            "status": cvm.status.name,
            "in_progress": bool(cvm.status.doing),
            "progress": {
                "target": "running" if cvm.status.doing else None,
                "correlation_id": cvm.status.correlation_id or None,
            },
            "node_info": cvm.node.shown(),
            "os": {
                "name": Image().name,
                "version": Image().version,
                "is_dev": False,
                "os_image_hash": Image().os_image_hash.hex(),
            },
            "kms_type": "base",
            "kms_info": {
                "chain_id": contracts.chain_id,
                "dstack_kms_address": f"0x{contracts.kms_contract.hex()}",
                "dstack_app_address": f"0x{cvm.app_id.hex()}",
                "deployer_address": f"0x{cvm.deployer.hex()}" if cvm.deployer else None,
                "rpc_endpoint": contracts.rpc_url,
                "encrypted_env_pubkey": public.hex(),
            },
            "compose_hash": cvm.compose_hash,
            "compose_file": cvm.text,
            "gateway": {"base_domain": None, "cname": None},
            "services": [],
            "endpoints": self._public_urls(cvm),
            "public_logs": bool(text["public_logs"]),
            "public_sysinfo": bool(text["public_sysinfo"]),
            "public_tcbinfo": bool(text["public_tcbinfo"]),
            "gateway_enabled": bool(text["gateway_enabled"]),
            "secure_time": bool(text["secure_time"]),
            "listed": False,
            "created_at": cvm.created_at,
        }

    def _old(self, cvm: Cvm) -> dict[str, Json]:
        public, _ = self.on_chain.env_public_key(cvm.app_id, frozenset())
        return {
            "id": cvm.number,
            "name": cvm.name,
            "status": cvm.status.name,
            "in_progress": bool(cvm.status.doing),
            "teepod_id": cvm.node.number,
            "teepod": {"id": cvm.node.number, "name": cvm.node.name},
            "app_id": cvm.app_id.hex(),
            "vm_uuid": cvm.uuid,
            "instance_id": cvm.instance_id.hex(),
            "vcpu": cvm.resources.vcpu,
            "memory": cvm.resources.memory,
            "disk_size": cvm.resources.disk,
            "base_image": Image().name,
            "encrypted_env_pubkey": public.hex(),
            "kms_info": self.on_chain.kms_info(cvm.node),
            "contract_address": f"0x{cvm.app_id.hex()}",
            "deployer_address": f"0x{cvm.deployer.hex()}" if cvm.deployer else None,
            "public_urls": self._public_urls(cvm),
            "gateway_domain": None,
            "listed": False,
        }

    def created(self, cvm: Cvm) -> dict[str, Json]:
        """The answer to a commit."""
        return {
            **self._old(cvm),
            "user_id": _USER,
            "docker_compose_file": str(json.loads(cvm.text)["docker_compose_file"]),
            "created_at": cvm.created_at,
            "app_url": cvm.instance.url,
            "manifest_version": 2,
            "runner": "docker-compose",
            "app_auth_contract_address": f"0x{cvm.app_id.hex()}",
        }

    def status(self, cvm: Cvm) -> dict[str, Json]:
        """As /status/batch shows it."""
        return {
            "vm_uuid": cvm.uuid,
            "status": cvm.status.name,
            "in_progress": bool(cvm.status.doing),
            "boot_error": cvm.status.error or None,
            "boot_progress": None,
            "operation_type": cvm.status.doing or None,
            "correlation_id": cvm.status.correlation_id or None,
        }

    def app(self, cvms: Sequence[Cvm], date: str) -> dict[str, Json]:
        """All instances of one app; at least one."""
        first = cvms[0]
        shown: list[Json] = [self.cvm(cvm, date) for cvm in cvms]
        return {
            "id": f"app_{first.app_id.hex()}",
            "name": first.name,
            "app_id": first.app_id.hex(),
            "created_at": first.created_at,
            "kms_type": "base",
            "current_cvm": shown[0],
            "cvms": shown,
            "cvm_count": len(cvms),
        }

    def revisions(self, cvms: Sequence[Cvm]) -> list[Json]:
        """Of all instances, the newest first."""
        found = [(item, cvm) for cvm in cvms for item in cvm.revisions]
        found.sort(key=lambda pair: pair[0].created_at, reverse=True)
        return [
            {
                "revision_id": item.number,
                "app_id": cvm.app_id.hex(),
                "vm_uuid": cvm.uuid,
                "compose_hash": item.compose_hash,
                "created_at": item.created_at,
                "operation_type": item.operation,
            }
            for item, cvm in found
        ]
