"""The app info of an RA-TLS certificate (extension `.9`): what its issuer read out of the same attestation.

MessagePack. Guests 0.5.6 to 0.5.11 write an array of eight byte strings in the order below; 0.6 writes a map by name,
and adds `init_script_hashes` (an array of hashes, or nil). Names that are not known here are claims that nobody reads.
"""

from __future__ import annotations

from typing import NamedTuple

from twinproof.dstack.message_pack import unpack
from twinproof.errors import Malformed

__all__ = ["AppInfo", "parse_app_info"]

MAX_APP_INFO_BYTES = 16 << 10
WHERE = "RA-TLS certificate app info"
_SIZES: dict[str, tuple[int, ...]] = {
    "app_id": (20,),
    "compose_hash": (32,),
    "instance_id": (20, 0),
    "device_id": (32, 0),
    "mr_system": (32,),
    "mr_aggregated": (32,),
    "os_image_hash": (32, 0),
    "key_provider_info": (),
}
_SCRIPTS = "init_script_hashes"


class AppInfo(NamedTuple):
    """Claims of the certificate's issuer, as bytes; empty where it knew nothing."""

    app_id: bytes
    compose_hash: bytes
    instance_id: bytes
    device_id: bytes
    """Normally SHA-256 of nothing: no issuer verified the quote."""
    mr_system: bytes
    mr_aggregated: bytes
    os_image_hash: bytes
    key_provider_info: bytes
    """The payload of the key-provider event."""
    init_script_hashes: tuple[bytes, ...] | None
    """None where the form does not say."""

    def to_json(self) -> dict[str, object]:
        """Bytes as hex, by the names of the form."""
        scripts = [item.hex() for item in self.init_script_hashes or ()]
        return {name: getattr(self, name).hex() for name in _SIZES} | ({_SCRIPTS: scripts} if scripts else {})


def parse_app_info(data: bytes) -> AppInfo:
    """Read either form. Raises Malformed."""
    if len(data) > MAX_APP_INFO_BYTES:
        raise Malformed(
            "too large", where=WHERE, got=f"{len(data)} bytes", expected=f"at most {MAX_APP_INFO_BYTES} bytes"
        )
    members = _by_name(unpack(data, WHERE))
    scripts = members.get(_SCRIPTS)
    if scripts is not None and not isinstance(scripts, list):
        raise Malformed("wrong type", where=f"{WHERE}.{_SCRIPTS}", got=type(scripts).__name__, expected="an array")
    return AppInfo(
        **{name: _octets(members, name, sizes) for name, sizes in _SIZES.items()},
        init_script_hashes=None if scripts is None else tuple(_hash(item) for item in scripts),
    )


def _by_name(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return {str(name): item for name, item in value.items()}
    if isinstance(value, list) and len(value) in {len(_SIZES), len(_SIZES) + 1}:
        return dict(zip((*_SIZES, _SCRIPTS), value, strict=False))
    got = f"an array of {len(value)}" if isinstance(value, list) else type(value).__name__
    raise Malformed("neither a map nor an array of its members", where=WHERE, got=got)


def _octets(members: dict[str, object], name: str, sizes: tuple[int, ...]) -> bytes:
    value = members.get(name)
    if not isinstance(value, bytes):
        raise Malformed("wrong type", where=f"{WHERE}.{name}", got=type(value).__name__, expected="bytes")
    if sizes and len(value) not in sizes:
        raise Malformed(
            "wrong length", where=f"{WHERE}.{name}", got=f"{len(value)} bytes", expected=f"{sizes[0]} bytes"
        )
    return value


def _hash(item: object) -> bytes:
    if not isinstance(item, bytes) or len(item) != 32:
        raise Malformed("not a hash", where=f"{WHERE}.{_SCRIPTS}", expected="32 bytes each")
    return item
