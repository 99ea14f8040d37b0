"""The methods of dstack's guest agent, as JSON in and JSON out. Texts of errors are the agent's own.

Requests follow proto3: missing members are defaults, unknown ones are ignored, bytes are hex with or without 0x.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from twinproof_devnet.instance import Attester

__all__ = ["METHODS", "WORKER_METHODS", "call", "call_worker", "info"]

Members = Mapping[str, object]
UNKNOWN_DEVICE_ID = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing: the guest cannot know its PPID."""
REVISION = "twinproof-devnet"


def _text(members: Members, name: str) -> str:
    value = members.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"invalid type for {name}: expected a string")  # noqa: TRY004  (it becomes a 400 answer)
    return value


def _flag(members: Members, name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"invalid type for {name}: expected a boolean")  # noqa: TRY004  (as above)
    return value


def _number(members: Members, name: str) -> int | None:
    value = members.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    raise ValueError(f"invalid type for {name}: expected an integer")


def _octets(members: Members, name: str) -> bytes:
    text = _text(members, name)
    text = text[2:] if text[:2].lower() == "0x" else text
    if not text.isascii() or any(character.isspace() for character in text):
        raise ValueError(f"invalid hex in {name}")
    return bytes.fromhex(text)


def _texts(members: Members, name: str) -> tuple[str, ...]:
    value = members.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"invalid type for {name}: expected strings")
    return tuple(value)


def _get_quote(vm: Attester, members: Members) -> object:
    data = _octets(members, "report_data")
    quote = vm.quote(data)
    return {
        "quote": quote.hex(),
        "event_log": vm.event_log(),
        "report_data": data.ljust(64, b"\x00").hex(),
        "vm_config": vm.vm_config,
    }


def _get_key(vm: Attester, members: Members) -> object:
    answer = vm.keys.get_key(_text(members, "path"), _text(members, "purpose"), _text(members, "algorithm"))
    return {"key": answer.key.hex(), "signature_chain": [item.hex() for item in answer.signature_chain]}


def _get_tls_key(vm: Attester, members: Members) -> object:
    answer = vm.tls_key(
        subject=_text(members, "subject"),
        alt_names=_texts(members, "alt_names"),
        ra_tls=_flag(members, "usage_ra_tls"),
        server_auth=_flag(members, "usage_server_auth"),
        client_auth=_flag(members, "usage_client_auth"),
        not_before=_number(members, "not_before"),
        not_after=_number(members, "not_after"),
        with_app_info=_flag(members, "with_app_info"),
    )
    return {"key": answer.key, "certificate_chain": list(answer.certificate_chain)}


def _attest(vm: Attester, members: Members) -> object:
    return {"attestation": vm.attestation(_octets(members, "report_data")).hex()}


def info(vm: Attester, *, public: bool = False) -> dict[str, object]:
    """Info; the public form on port 8090 keeps back what the app does not publish."""
    shown = vm.public_tcbinfo or not public
    return {
        "app_id": vm.app_id.hex(),
        "instance_id": vm.instance_id.hex(),
        "app_cert": vm.app_cert(),
        "tcb_info": vm.tcb_info() if shown else "",
        "app_name": vm.app_name,
        "device_id": UNKNOWN_DEVICE_ID,
        "mr_aggregated": vm.mr_aggregated.hex(),
        "os_image_hash": vm.os_image_hash.hex(),
        "key_provider_info": vm.key_provider_info,
        "compose_hash": vm.compose_hash.hex(),
        "vm_config": vm.vm_config if shown else "",
        "cloud_vendor": "twinproof devnet, NOT INTEL",
        "cloud_product": "simulated hardware",
    }


def _info(vm: Attester, _: Members) -> object:
    return info(vm)


def _sign(vm: Attester, members: Members) -> object:
    answer = vm.keys.sign(_text(members, "algorithm"), _octets(members, "data"))
    return {
        "signature": answer.signature.hex(),
        "signature_chain": [item.hex() for item in answer.signature_chain],
        "public_key": answer.public_key.hex(),
    }


def _verify(_: Attester, members: Members) -> object:
    algorithm = _text(members, "algorithm")
    data, signature, key = (_octets(members, name) for name in ("data", "signature", "public_key"))
    try:
        if algorithm == "ed25519":
            Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
        elif algorithm in {"secp256k1", "k256", "secp256k1_prehashed"}:
            if len(signature) != 64:
                raise ValueError("signature error")
            der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            hashed = ECDSA(Prehashed(SHA256())) if algorithm.endswith("prehashed") else ECDSA(SHA256())
            EllipticCurvePublicKey.from_encoded_point(SECP256K1(), key).verify(der, data, hashed)
        else:
            raise ValueError("Unsupported algorithm")
    except InvalidSignature:
        return {"valid": False}
    return {"valid": True}


def _version(vm: Attester, _: Members) -> object:
    return {"version": vm.guest_version, "rev": REVISION}


def _emit_event(vm: Attester, members: Members) -> object:
    if vm.guest_version.startswith("0.6"):
        raise ValueError("Service not found: EmitEvent")
    vm.emit_event(_text(members, "event"), _octets(members, "payload"))
    return None


METHODS: dict[str, Callable[[Attester, Members], object]] = {
    "GetTlsKey": _get_tls_key,
    "GetKey": _get_key,
    "GetQuote": _get_quote,
    "Attest": _attest,
    "Info": _info,
    "Sign": _sign,
    "Verify": _verify,
    "Version": _version,
    "EmitEvent": _emit_event,
}


def _public_info(vm: Attester, _: Members) -> object:
    return info(vm, public=True)


def _app_key_attestation(vm: Attester, members: Members) -> object:
    """A quote over the app-wide signing key: no nonce, and the same for all instances."""
    algorithm = _text(members, "algorithm")
    key = vm.keys.public_key(algorithm)
    name = "ed25519-pk" if algorithm == "ed25519" else "secp256k1c-pk"
    encoded = base64.urlsafe_b64encode(key).rstrip(b"=").decode()
    return _get_quote(vm, {"report_data": f"dip1::{name}:{encoded}".encode().hex()})


WORKER_METHODS: dict[str, Callable[[Attester, Members], object]] = {
    "Info": _public_info,
    "Version": _version,
    "GetAttestationForAppKey": _app_key_attestation,
}


def call(vm: Attester, method: str, members: Members) -> tuple[int, bytes]:
    """Status and body of a call on the socket."""
    return _call(METHODS.get(method), vm, method, members)


def call_worker(vm: Attester, method: str, members: Members) -> tuple[int, bytes]:
    """The same for port 8090."""
    return _call(WORKER_METHODS.get(method), vm, method, members)


def _call(
    answer: Callable[[Attester, Members], object] | None, vm: Attester, method: str, members: Members
) -> tuple[int, bytes]:
    """The body is ASCII: one client counts characters where it should count bytes."""
    error = f"Service not found: {method}"
    if answer is not None:
        try:
            return 200, json.dumps(answer(vm, members), separators=(",", ":")).encode()
        except (ValueError, TypeError, OverflowError) as problem:
            error = str(problem)
    return 400, json.dumps({"error": error}, indent=2).encode()
