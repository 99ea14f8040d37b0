"""The paths that only tell something."""

from __future__ import annotations

import json

from twinproof_devnet.cloud.attested import attestation, instance_attestation
from twinproof_devnet.cloud.cvm import Cvm
from twinproof_devnet.cloud.fleet import Fleet
from twinproof_devnet.cloud.on_chain import OnChain
from twinproof_devnet.cloud.problems import Json, Problem, not_found, not_valid
from twinproof_devnet.cloud.routes import Call, Reply, Route
from twinproof_devnet.cloud.shapes import NEWEST, Shapes
from twinproof_devnet.image import Image

__all__ = ["Reading"]

_SLUG = "devnet"


class Reading:
    def __init__(self, fleet: Fleet, on_chain: OnChain) -> None:
        self._fleet, self._on_chain = fleet, on_chain
        self._shapes = Shapes(on_chain)

    def routes(self) -> list[Route]:
        get = [
            ("/auth/me", self._me),
            ("/teepods/available", self._available),
            ("/workspaces", lambda _: Reply({"data": [_WORKSPACE]})),
            ("/workspaces/{slug}", lambda _: Reply(_WORKSPACE)),
            ("/workspaces/{slug}/nodes", self._nodes),
            ("/instance-types", lambda _: Reply({"result": [{"name": "cpu", "items": [_SMALL], "total": 1}]})),
            ("/instance-types/{family}", lambda _: Reply({"items": [_SMALL], "total": 1})),
            ("/os-images", self._os_images),
            ("/kms", self._kms_list),
            ("/kms/on-chain/base", self._kms_contracts),
            ("/kms/{kms}", self._kms),
            ("/kms/{kms}/pubkey/{app}", self._env_key),
            ("/cvms/paginated", self._cvms),
            ("/cvms/{cvm}", lambda call: Reply(self._shapes.cvm(self._cvm(call), call.date))),
            ("/cvms/{cvm}/compose_file", lambda call: Reply(json.loads(self._cvm(call).text))),
            ("/cvms/{cvm}/docker-compose.yml", lambda call: self._text(call, "docker_compose_file")),
            ("/cvms/{cvm}/pre-launch-script", lambda call: self._text(call, "pre_launch_script")),
            ("/cvms/{cvm}/attestation", lambda call: Reply(attestation(self._cvm(call)))),
            ("/cvms/{cvm}/network", self._network),
            ("/apps", self._apps),
            ("/apps/{app}", lambda call: Reply(self._shapes.app(self._app(call), call.date))),
            ("/apps/{app}/cvms", self._app_cvms),
            ("/apps/{app}/revisions", self._revisions),
            ("/apps/{app}/revisions/{revision}", self._revision),
            ("/apps/{app}/device-allowlist", self._devices),
        ]
        post = [
            ("/status/batch", self._statuses),
            ("/apps/{app}/is-allowed", self._is_allowed),
            ("/cvms/{cvm}/is-allowed", self._is_allowed),
            ("/apps/{app}/cvms/is-allowed", self._are_allowed),
        ]
        public = Route("GET", "/apps/{app}/attestations", self._attestations, open=True)
        return [
            public,
            *(Route("GET", path, handler) for path, handler in get),
            *(Route("POST", path, handler) for path, handler in post),
        ]

    def _cvm(self, call: Call) -> Cvm:
        return self._fleet.find(call.names["cvm"])

    def _app(self, call: Call) -> list[Cvm]:
        """Its instances; at least one."""
        return self._fleet.of_app(self._fleet.find(call.names["app"]).app_id)

    def _text(self, call: Call, name: str) -> Reply:
        return Reply(text=str(json.loads(self._cvm(call).text).get(name, "")))

    def _me(self, _: Call) -> Reply:
        user: Json = {
            "username": "devnet",
            "email": "devnet@devnet.invalid",
            "role": "user",
            "avatar": "",
            "email_verified": True,
            "totp_enabled": False,
            "has_backup_codes": False,
            "flag_has_password": False,
        }
        credit: Json = {"balance": 100, "granted_balance": 0, "is_post_paid": False, "outstanding_amount": 0}
        return Reply({"user": user, "workspace": _WORKSPACE, "credits": credit})

    def _available(self, _: Call) -> Reply:
        nodes = [node for node in self._fleet.nodes.values() if node.up]
        shown: list[Json] = [node.available(self._fleet.used_slots(node)) for node in nodes]
        kms: list[Json] = [self._on_chain.kms_info(node) for node in nodes]
        capacity: Json = {"max_instances": 24, "max_vcpu": 64, "max_memory": 131072, "max_disk": 1000}
        return Reply({"tier": "devnet", "capacity": capacity, "nodes": shown, "kms_list": kms})

    def _nodes(self, call: Call) -> Reply:
        return _page(call, [node.shown() for node in self._fleet.nodes.values()])

    def _os_images(self, call: Call) -> Reply:
        image = Image()
        shown: Json = {"name": image.name, "version": image.version, "os_image_hash": image.os_image_hash.hex()}
        return _page(call, [shown])

    def _kms_list(self, call: Call) -> Reply:
        return _page(call, [self._on_chain.kms_info(node) for node in self._fleet.nodes.values()])

    def _kms(self, call: Call) -> Reply:
        for node in self._fleet.nodes.values():
            if node.kms_slug == call.names["kms"]:
                return Reply(self._on_chain.kms_info(node))
        raise not_found(f"KMS {call.names['kms']}", "ERR-02-011")

    def _kms_contracts(self, _: Call) -> Reply:
        contracts, image = self._on_chain.contracts, Image()
        nodes = self._fleet.nodes.values()
        devices: list[Json] = [
            {"device_id": node.claimed_device_id.hex(), "node_name": node.name, "on_chain_allowed": None}
            for node in nodes
        ]
        images: list[Json] = [
            {
                "name": image.name,
                "version": image.version,
                "os_image_hash": image.os_image_hash.hex(),
                "on_chain_allowed": None,
            }
        ]
        contract: Json = {
            "contract_address": f"0x{contracts.kms_contract.hex()}",
            "chain_id": contracts.chain_id,
            "chain_name": "base",
            "devices": devices,
            "os_images": images,
        }
        return Reply({"chain_name": "base", "chain_id": contracts.chain_id, "contracts": [contract]})

    def _env_key(self, call: Call) -> Reply:
        slugs = {node.kms_slug: node for node in self._fleet.nodes.values()}
        if call.names["kms"] not in slugs and call.names["kms"] != "base":
            raise not_found(f"KMS {call.names['kms']}", "ERR-02-011")
        node = slugs.get(call.names["kms"], next(iter(slugs.values())))
        app_id = _address(call.names["app"])
        public, signature = self._on_chain.env_public_key(app_id, self._fleet.faults(node.name))
        return Reply({"public_key": public.hex(), "signature": signature.hex()})

    def _cvms(self, call: Call) -> Reply:
        return _page(call, [self._shapes.cvm(cvm, call.date) for cvm in self._fleet.cvms])

    def _network(self, call: Call) -> Reply:
        cvm = self._cvm(call)
        urls: list[Json] = [{"app": cvm.instance.url, "instance": cvm.instance.url}]
        return Reply(
            {
                "is_online": cvm.instance.running,
                "is_public": True,
                "error": cvm.status.error or None,
                "internal_ip": None,
                "latest_handshake": None,
                "public_urls": urls,
            }
        )

    def _apps(self, call: Call) -> Reply:
        ids = list(dict.fromkeys(cvm.app_id for cvm in self._fleet.cvms))
        shown: list[Json] = [self._shapes.app(self._fleet.of_app(app_id), NEWEST) for app_id in ids]
        page = _page(call, shown).body
        assert isinstance(page, dict)  # noqa: S101  (as _page makes it)
        page["dstack_apps"], page["total_pages"] = page.pop("items"), page.pop("pages")
        return Reply(page)

    def _app_cvms(self, call: Call) -> Reply:
        return Reply([self._shapes.cvm(cvm, call.date) for cvm in self._app(call)])

    def _revisions(self, call: Call) -> Reply:
        page = _page(call, self._shapes.revisions(self._app(call))).body
        assert isinstance(page, dict)  # noqa: S101  (as _page makes it)
        page["revisions"], page["total_pages"] = page.pop("items"), page.pop("pages")
        return Reply(page)

    def _revision(self, call: Call) -> Reply:
        for cvm in self._app(call):
            for item in cvm.revisions:
                if item.number == call.names["revision"]:
                    return Reply({"revision_id": item.number, "compose_file": item.text, "vm_uuid": cvm.uuid})
        raise not_found(f"revision {call.names['revision']}")

    def _devices(self, call: Call) -> Reply:
        cvms, contracts = self._app(call), self._on_chain.contracts
        app_id = cvms[0].app_id
        devices: list[Json] = []
        for node in self._fleet.nodes.values():
            here: list[Json] = [cvm.number for cvm in cvms if cvm.node is node]
            allowed = contracts.is_device_allowed(app_id, node.claimed_device_id)
            devices.append(
                {
                    "device_id": node.claimed_device_id.hex(),
                    "node_name": node.name,
                    "cvm_ids": here,
                    "allowed_onchain": allowed,
                    "status": "allowed" if allowed else "not_allowed",
                }
            )
        return Reply(
            {
                "is_onchain_kms": True,
                "allow_any_device": contracts.allows_any_device(app_id),
                "chain_id": contracts.chain_id,
                "app_contract_address": f"0x{app_id.hex()}",
                "devices": devices,
            }
        )

    def _attestations(self, call: Call) -> Reply:
        try:
            cvms = self._app(call)
        except Problem:
            raise Problem(500, "Internal Server Error") from None  # as the public endpoint answers for an unknown app
        contracts, kms = self._on_chain.contracts, self._on_chain.kms_info(cvms[0].node)
        info: Json = {
            "contract_address": kms["kms_contract_address"],
            "chain_id": str(contracts.chain_id),
            "version": kms["version"],
            "url": kms["url"],
            "gateway_app_id": None,
            "gateway_app_url": "",
            "kms_type": "base",
        }
        return Reply(
            {
                "app_id": cvms[0].app_id.hex(),
                "contract_address": f"0x{cvms[0].app_id.hex()}",
                "kms_info": info,
                "instances": [instance_attestation(cvm) for cvm in cvms],
                "kms_guest_agent_info": None,
                "gateway_guest_agent_info": None,
                "qemu_version": None,
            }
        )

    def _statuses(self, call: Call) -> Reply:
        found: dict[str, Json] = {}
        for uuid in call.body.texts("vm_uuids"):
            try:
                cvm = self._fleet.find(uuid)
            except Problem:
                continue
            found[uuid] = self._shapes.status(cvm)
        return Reply(found)

    def _is_allowed(self, call: Call) -> Reply:
        cvm = self._fleet.find(call.names.get("cvm") or call.names["app"])
        return Reply(self._allowed(call, cvm))

    def _allowed(self, call: Call, cvm: Cvm) -> dict[str, Json]:
        body = call.body
        number = body.integer("node_id")
        node = cvm.node if number is None else self._fleet.node(number)
        return self._on_chain.is_allowed(cvm.app_id, body.digest("compose_hash") or cvm.compose_hash, node)

    def _are_allowed(self, call: Call) -> Reply:
        return Reply({"results": [{"vm_uuid": cvm.uuid, **self._allowed(call, cvm)} for cvm in self._app(call)]})


def _address(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.lower().removeprefix("app_").removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 20:
        raise not_valid("app_id", "not an app id")
    return found


def _page(call: Call, items: list[dict[str, Json]] | list[Json]) -> Reply:
    """A part of the list, as `page` (from 1) and `page_size` ask."""
    page, size = (call.request.query(name) or default for name, default in (("page", "1"), ("page_size", "50")))
    if not page.isdecimal() or not size.isdecimal() or not 1 <= int(size) <= 1000 or int(page) < 1:
        raise not_valid("page", "not a page")
    start, per_page = (int(page) - 1) * int(size), int(size)
    shown: list[Json] = list(items)[start : start + per_page]
    pages = -(-len(items) // per_page)
    return Reply({"items": shown, "total": len(items), "page": int(page), "page_size": per_page, "pages": pages})


_WORKSPACE: Json = {
    "id": _SLUG,
    "name": "devnet",
    "slug": _SLUG,
    "tier": "devnet",
    "role": "owner",
    "avatar": None,
}
_SMALL: Json = {
    "id": "tdx.small",
    "name": "tdx.small",
    "description": "1 vCPU, 2 GB",
    "vcpu": 1,
    "memory_mb": 2048,
    "hourly_rate": "0",
    "requires_gpu": False,
}
