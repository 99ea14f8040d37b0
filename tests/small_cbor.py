"""Writing CBOR for tests, and a measurement document to start from. It shares no code with the reader under test."""

from __future__ import annotations

import base64
import hashlib
from typing import TypeAlias

Value: TypeAlias = "int | bytes | str | dict[str, Value]"


def head(kind: int, number: int) -> bytes:
    """The first bytes of a value, in their shortest form."""
    if number < 24:
        return bytes([kind << 5 | number])
    size = next(size for size in (1, 2, 4, 8) if number < 1 << 8 * size)
    return bytes([kind << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + number.to_bytes(size, "big")


def cbor(value: Value) -> bytes:
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())


def digest(name: str) -> bytes:
    return hashlib.sha384(name.encode()).digest()


WITNESS = bytes.fromhex("80100904000609020b021010")


def image(**changes: Value) -> dict[str, Value]:
    return {
        "cmdline_sha384": digest("command line"),
        "kernel_authenticode": digest("kernel"),
        "initrd_sha384": digest("initrd"),
        **changes,
    }


def tdvf(**changes: Value) -> dict[str, Value]:
    return {
        "ovmf": "pre202505",
        "mrtd": {"single_pass": digest("single pass"), "two_pass": digest("two pass")},
        "td_hob": WITNESS,
        **changes,
    }


def document(**changes: Value) -> dict[str, Value]:
    return {"version": 3, "image": image(), "tdvf": tdvf(), **changes}


def checksums(measurement: bytes) -> bytes:
    """The image's `sha256sum.txt`, in which the measurement document is one of the files."""
    other = hashlib.sha256(b"ovmf").hexdigest()
    return f"{other}  ovmf.fd\n{hashlib.sha256(measurement).hexdigest()}  measurement.tdx.cbor\n".encode()


def in_vm_config(measurement: bytes, checksum_file: bytes | None = None) -> dict[str, object]:
    """The members of a vm_config that name the image and carry its document."""
    checksum_file = checksums(measurement) if checksum_file is None else checksum_file
    return {
        "os_image_hash": hashlib.sha256(checksum_file).hexdigest(),
        "tdx_attestation_variant": "lite",
        "tdx_measurement": {
            "checksum_file": base64.b64encode(checksum_file).decode(),
            "measurement": base64.b64encode(measurement).decode(),
        },
    }
