"""A kernel as QEMU hands it to the firmware: bzImage with the fields of the setup header that a boot loader fills in.

The header is inside the bytes that Authenticode hashes, so RTMR1 depends on what QEMU writes there: constants, the
size of the initrd, and the address at which the initrd ends up. That address depends on the memory below 4 GiB, which
for VMs of exactly 2 GiB and of 2816 MiB or more is 2 GiB. All other sizes have a value of their own. QEMU 10.2 and
newer give the firmware of a confidential VM the file as it is.

Sources: Linux x86 boot protocol, "The Real-Mode Kernel Header"; QEMU hw/i386/x86-common.c and pc_q35.c (behaviour).
"""

from __future__ import annotations

from twinproof.errors import Malformed

__all__ = ["MAX_KERNEL_BYTES", "STABLE_MEMORY", "is_stable_memory", "memory_below_4g", "patched_kernel"]

MAX_KERNEL_BYTES = 64 << 20
TWO_GIB, STABLE_MEMORY = 0x8000_0000, 0xB000_0000
"""Bytes. From `STABLE_MEMORY` (2816 MiB) on, QEMU's q35 machine has 2 GiB below 4 GiB and the rest above."""
ACPI_DATA_BYTES = 0x28000
REAL_MODE_ADDRESS, COMMAND_LINE_ADDRESS = 0x10000, 0x20000
HEAP_END = COMMAND_LINE_ADDRESS - REAL_MODE_ADDRESS - 0x200
QEMU_LOADER, CAN_USE_HEAP, LOADED_HIGH = 0xB0, 0x80, 0x01
LOADABLE_ABOVE_4G = 0x0002
INITRD_ANYWHERE = 0xFFFF_FFFF
MIN_PROTOCOL, XLOADFLAGS_PROTOCOL = 0x0203, 0x020C
SETUP_HEADER_END = 0x238


def is_stable_memory(memory_size: int) -> bool:
    """Whether a VM of so many bytes has the one value of RTMR1 that does not depend on its memory."""
    return memory_size == TWO_GIB or memory_size >= STABLE_MEMORY


def memory_below_4g(memory_size: int) -> int:
    """Bytes of memory that QEMU's q35 machine places below 4 GiB."""
    return TWO_GIB if memory_size >= STABLE_MEMORY else memory_size


def patched_kernel(kernel: bytes, *, initrd_size: int, memory_size: int = STABLE_MEMORY) -> bytes:
    """The file with QEMU's changes; sizes are in bytes. Raises Malformed for kernels that QEMU would load otherwise.

    The default memory stands for every size that `is_stable_memory`.
    """
    if len(kernel) > MAX_KERNEL_BYTES:
        raise Malformed("kernel too large", where="kernel", got=f"{len(kernel)} bytes", expected=f"{MAX_KERNEL_BYTES}")
    protocol = _check_header(kernel)
    address = _initrd_address(kernel, protocol, initrd_size, memory_size)
    patched = bytearray(kernel)
    patched[0x210] = QEMU_LOADER
    patched[0x211] |= CAN_USE_HEAP
    patched[0x218:0x21C] = address.to_bytes(4, "little")
    patched[0x21C:0x220] = initrd_size.to_bytes(4, "little")
    patched[0x224:0x226] = HEAP_END.to_bytes(2, "little")
    patched[0x228:0x22C] = COMMAND_LINE_ADDRESS.to_bytes(4, "little")
    return bytes(patched)


def _check_header(kernel: bytes) -> int:
    """The version of the boot protocol."""
    if kernel[0x202:0x206] != b"HdrS":
        raise Malformed("not a bzImage", where="kernel byte 514", got=kernel[0x202:0x206].hex(), expected="HdrS")
    setup_bytes = ((kernel[0x1F1] or 4) + 1) * 512
    if not SETUP_HEADER_END <= setup_bytes <= len(kernel):
        raise Malformed("ends inside its setup code", where="kernel byte 497", got=f"{len(kernel)} of {setup_bytes}")
    protocol = int.from_bytes(kernel[0x206:0x208], "little")
    if protocol < MIN_PROTOCOL or not kernel[0x211] & LOADED_HIGH:
        raise Malformed(
            "boot protocol too old", where="kernel byte 518", got=f"{protocol:#x}", expected="0x203 or newer"
        )
    return protocol


def _initrd_address(kernel: bytes, protocol: int, initrd_size: int, memory_size: int) -> int:
    """As high as the kernel and the memory allow, on a page."""
    flags = int.from_bytes(kernel[0x236:0x238], "little") if protocol >= XLOADFLAGS_PROTOCOL else 0
    limit = int.from_bytes(kernel[0x22C:0x230], "little")
    if flags & LOADABLE_ABOVE_4G:
        limit = INITRD_ANYWHERE
    highest = min(limit, memory_below_4g(memory_size) - ACPI_DATA_BYTES - 1)
    if not 0 < initrd_size < highest:
        raise Malformed("initrd does not fit", where="initrd", got=f"{initrd_size} bytes", expected=f"below {highest}")
    return (highest - initrd_size) & ~4095
