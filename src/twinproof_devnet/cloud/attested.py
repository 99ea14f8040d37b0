"""What the API passes on of an instance's own evidence. Nothing of it is the cloud's word but `is_online` and names."""

from __future__ import annotations

import hashlib
import json

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof_devnet.cloud.cvm import Cvm
from twinproof_devnet.cloud.problems import Json
from twinproof_devnet.confidential_vm import ConfidentialVm

__all__ = ["attestation", "instance_attestation"]


def attestation(cvm: Cvm) -> dict[str, Json]:
    """As /cvms/{cvm}/attestation answers."""
    answer: dict[str, Json] = {
        "name": cvm.name,
        "is_online": False,
        "is_public": bool(json.loads(cvm.text)["public_tcbinfo"]),
        "error": cvm.status.error or None,
        "app_certificates": [],
        "tcb_info": None,
        "compose_file": None,
    }
    if cvm.instance.running:
        vm = cvm.instance.vm
        answer |= {
            "is_online": True,
            "app_certificates": _certificates(vm),
            "tcb_info": json.loads(vm.tcb_info()),
            "compose_file": str(json.loads(vm.app_compose)["docker_compose_file"]),
        }
    return answer


def instance_attestation(cvm: Cvm) -> dict[str, Json]:
    """As one of the instances in /apps/{app}/attestations; what is off has nulls."""
    answer: dict[str, Json] = {
        "vm_uuid": cvm.uuid,
        "name": cvm.name,
        "instance_id": cvm.instance_id.hex(),
        "status": cvm.status.name,
        "image_version": None,
        "quote": None,
        "ppid": cvm.node.host.machine.ppid.hex(),
        "device_id": cvm.node.claimed_device_id.hex(),
        "tcb_info": None,
        "app_certificates": None,
        "compose_file": None,
        "error": cvm.status.error or None,
    }
    if cvm.instance.running:
        vm = cvm.instance.vm
        certificates = _certificates(vm)
        answer |= {
            "image_version": vm.boot.image.name,
            "quote": vm.quote(bytes(64)).hex(),
            "tcb_info": json.loads(vm.tcb_info()),
            "app_certificates": certificates,
            "compose_file": str(json.loads(vm.app_compose)["docker_compose_file"]),
        }
    return answer


def _certificates(vm: ConfidentialVm) -> list[Json]:
    """Leaf, app CA, KMS root CA; the leaf's quote is over its key."""
    chain = x509.load_pem_x509_certificates(vm.app_cert().encode())
    return [_certificate(vm, certificate, position) for position, certificate in enumerate(chain)]


def _certificate(vm: ConfidentialVm, certificate: x509.Certificate, position: int) -> Json:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    quote = vm.quote(hashlib.sha512(b"ratls-cert:" + spki).digest()).hex() if position == 0 else None
    return {
        "subject": _name(certificate.subject),
        "issuer": _name(certificate.issuer),
        "serial_number": str(certificate.serial_number),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "version": certificate.version.name,
        "fingerprint": certificate.fingerprint(SHA256()).hex(),
        "signature_algorithm": "ecdsa-with-SHA256",
        "sans": None,
        "is_ca": position > 0,
        "position_in_chain": position,
        "quote": quote,
        "app_id": vm.app_id.hex() if position == 0 else None,
        "cert_usage": "app:custom" if position == 0 else None,
    }


def _name(name: x509.Name) -> Json:
    def first(oid: x509.ObjectIdentifier) -> str | None:
        found = name.get_attributes_for_oid(oid)
        return str(found[0].value) if found else None

    return {
        "common_name": first(x509.NameOID.COMMON_NAME),
        "organization": first(x509.NameOID.ORGANIZATION_NAME),
        "country": None,
        "state": None,
        "locality": None,
    }
