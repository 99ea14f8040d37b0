"""A small "TDX lite" image for tests: its measurement document, and the boot that a VM of some shape makes of it.

Written from the format descriptions: it shares no code with the reader under test.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from small_boot import IMAGE, Boot
from small_cbor import Value, cbor, checksums, digest, document, in_vm_config

GIB = 1 << 30
RTMR0 = [0x8000000B, 0x8000000A, *[0x80000001] * 5, 4, 10, 10, 10, 0x80000002, 0x80000002]
LAYOUT = [*((0, kind) for kind in RTMR0), (1, 0x80000003), *[(1, 0x80000007)] * 4, (2, 6), (2, 6)]
"""Register and type of each event: RTMR0's are 0 to 12, RTMR1's 13 to 17, RTMR2's 18 and 19."""
ACPI = (8, 9, 10)
KERNEL, COMMAND_LINE, INITRD = 13, 18, 19
FIXED = [
    "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790",
    "9dc3a1f80bcec915391dcda5ffbb15e7419f77eab462bbf72b42166fb70d50325e37b36f93537a863769bcf9bedae6fb",
    "6f2e3cbc14f9def86980f5f66fd85e99d63e69a73014ed8a5633ce56eca5b64b692108c56110e22acadcef58c3250f1b",
    "d607c0efb41c0d757d69bca0615c3a9ac0b1db06c557d992e906c6b7dee40e0e031640c7bfd7bcd35844ef9edeadc6f9",
    "08a74f8963b337acb6c93682f934496373679dd26af1089cb4eaf0c30cf260a12e814856385ab8843e56a9acea19e127",
    "18cc6e01f0c6ea99aa23f8a280423e94ad81d96d0aeb5180504fc0f7a40cb3619dd39bd6a95ec1680a86ed6ab0f9828d",
    "394341b7182cd227c5c6b07ef8000cdfd86136c4292b8e576573ad7ed9ae41019f5818b4b971c9effc60e1ad9f1289f0",
]
"""What follows the TD HOB on a real machine: firmware volume, five variables without data, separator."""


def sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()


def hob(memory: int) -> bytes:
    """The TD HOB of a VM with `memory` bytes and the witness of `small_cbor`, range by range."""
    ranges = [
        (7, 0x000000, 0x800000),
        (0, 0x800000, 0x006000),
        (7, 0x806000, 0x003000),
        (0, 0x809000, 0x002000),
        (0, 0x80B000, 0x002000),
        (7, 0x80D000, 0x003000),
        (0, 0x810000, 0x010000),
    ]
    if memory < 0xB0000000:
        ranges += [(7, 0x820000, memory - 0x820000)]
    else:
        ranges += [(7, 0x820000, 0x80000000 - 0x820000), (7, 0x100000000, memory - 0x80000000)]
    end = 0x809000 + 56 + 48 * len(ranges) + 8
    head = bytes.fromhex("01003800000000000900000000000000") + bytes(32) + end.to_bytes(8, "little")
    return head + b"".join(
        bytes.fromhex("0300300000000000") + bytes(16) + bytes([kind, 0, 0, 0, 7, 0, 0, 0])
        + start.to_bytes(8, "little") + size.to_bytes(8, "little")
        for kind, start, size in ranges
    )  # fmt: skip


@dataclass
class LiteVm:
    """A VM that booted the image of `document`; `declared` changes members of vm_config."""

    memory: int = 2 * GIB
    qemu: str | None = "8.2.2"
    document: dict[str, Value] = field(default_factory=document)
    declared: dict[str, object] = field(default_factory=dict)
    named: bool = True
    """Whether the KMS answered this image's hash."""

    @property
    def encoded(self) -> bytes:
        return cbor(self.document)

    @property
    def image_hash(self) -> bytes:
        return hashlib.sha256(checksums(self.encoded)).digest()

    @property
    def vm_config(self) -> str:
        shape = {"cpu_count": 2, "memory_size": self.memory, **({"qemu_version": self.qemu} if self.qemu else {})}
        return json.dumps({**shape, **in_vm_config(self.encoded), **self.declared})

    @property
    def boot(self) -> Boot:
        fixed = [bytes.fromhex(text) for text in FIXED]
        actions = [
            b"Calling EFI Application from Boot Option",
            bytes(4),
            b"Exit Boot Services Invocation",
            b"Exit Boot Services Returned with Success",
        ]
        digests = [
            sha384(hob(self.memory)),
            *fixed,
            *(digest(f"acpi {part}") for part in ("loader", "rsdp", "tables")),
            sha384(bytes(2)),
            bytes.fromhex(
                "23ada07f5261f12f34a0bd8e46760962d6b4d576a416f1fea1c64bc656b1d28eacf7047ae6e967c58fd2a98bfa74c298"
            ),
            digest("kernel"),
            *(sha384(action) for action in actions),
            digest("command line"),
            digest("initrd"),
        ]
        two_pass = self.qemu is not None and self.qemu.startswith("8.")
        boot = Boot(
            firmware=list(LAYOUT),
            measured=dict(enumerate(digests)),
            mrtd=digest("two pass" if two_pass else "single pass"),
        )
        return boot.with_payload("os-image-hash", self.image_hash if self.named else IMAGE)
