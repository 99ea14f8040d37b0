"""An RA-TLS certificate's own claims held against the boot that its quote measured.

The issuer's signature is not verified, so `.3` and `.9` are words: agreement proves nothing new, and a contradiction
means that the certificate was made for another app, or that somebody put another quote into it.
"""

from __future__ import annotations

from collections.abc import Iterator

from twinproof.dstack.boot import Boot
from twinproof.dstack.guest_info import UNKNOWN_DEVICE_ID
from twinproof.dstack.measurements import mr_aggregated, mr_system
from twinproof.dstack.ra_tls import RaTlsEvidence
from twinproof.errors import Contradiction
from twinproof.tdx.report import TdReport

__all__ = ["compare_ra_tls_claims"]


def compare_ra_tls_claims(
    certificate: RaTlsEvidence, report: TdReport, boot: Boot, *, device_id: bytes, declared_image: bytes | None
) -> tuple[str, ...]:
    """The names compared. `declared_image` is the hash in vm_config, which the issuer may have read instead.

    Raises Contradiction with the first claim that differs.
    """
    compared = []
    for name, claimed, true in _pairs(certificate, report, boot, device_id, declared_image):
        known = [value for value in true if value is not None]
        if not known:
            continue
        compared.append(name)
        if claimed not in known:
            raise Contradiction(
                f"the certificate claims another {name} than was measured",
                where=f"RA-TLS certificate {name}",
                got=claimed.hex() or "empty",
                expected=known[0].hex() or "empty",
            )
    return tuple(compared)


def _pairs(
    certificate: RaTlsEvidence, report: TdReport, boot: Boot, device_id: bytes, declared_image: bytes | None
) -> Iterator[tuple[str, bytes, tuple[bytes | None, ...]]]:
    """Name, claim, and what would be true; nothing known to be true makes it no claim."""
    if certificate.app_id is not None:
        yield "app id", certificate.app_id, (boot.app_id,)
    info = certificate.app_info
    if info is None:
        return
    yield "app_info.app_id", info.app_id, (boot.app_id,)
    yield "app_info.compose_hash", info.compose_hash, (boot.compose_hash,)
    yield "app_info.instance_id", info.instance_id, (boot.instance_id,)
    if info.device_id not in {b"", UNKNOWN_DEVICE_ID}:
        yield "app_info.device_id", info.device_id, (device_id,)
    yield "app_info.mr_system", info.mr_system, (mr_system(report, boot.key_provider.raw),)
    yield "app_info.mr_aggregated", info.mr_aggregated, (mr_aggregated(report),)
    if info.os_image_hash:
        yield "app_info.os_image_hash", info.os_image_hash, (boot.os_image_hash, declared_image)
    yield "app_info.key_provider_info", info.key_provider_info, (boot.key_provider.raw,)
    if info.init_script_hashes is not None:
        scripts = b"".join(info.init_script_hashes)
        yield "app_info.init_script_hashes", scripts, (b"".join(boot.init_script_hashes),)
