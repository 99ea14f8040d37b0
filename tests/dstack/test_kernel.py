"""What QEMU writes into the kernel's setup header, and how much of it depends on the memory of the VM."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_kernel import bzimage
from twinproof.dstack.kernel import STABLE_MEMORY, is_stable_memory, memory_below_4g, patched_kernel
from twinproof.errors import Malformed

GIB = 1 << 30
KERNEL = bzimage()
INITRD = 0x100000


def address(kernel: bytes, memory: int, initrd: int = INITRD) -> int:
    return int.from_bytes(patched_kernel(kernel, initrd_size=initrd, memory_size=memory)[0x218:0x21C], "little")


def test_only_the_fields_of_the_boot_loader_change() -> None:
    patched = patched_kernel(KERNEL, initrd_size=0x123456)
    expected = {
        0x210: b"\xb0",
        0x211: b"\x81",
        0x218: (0x7FFD7FFF - 0x123456 & ~0xFFF).to_bytes(4, "little"),
        0x21C: b"\x56\x34\x12\x00",
        0x224: b"\x00\xfe",
        0x228: b"\x00\x00\x02\x00",
    }
    assert patched == bzimage(setup=expected)


@pytest.mark.parametrize("memory", [2 * GIB, STABLE_MEMORY, 3 * GIB, 4 * GIB, 1 << 40])
def test_two_gib_and_2816_mib_or_more_give_one_value(memory: int) -> None:
    assert is_stable_memory(memory)
    assert memory_below_4g(memory) == 2 * GIB
    assert address(KERNEL, memory) == 0x7FED7000


@pytest.mark.parametrize(
    ("memory", "expected"), [(GIB, 0x3FED7000), (2 * GIB - 4096, 0x7FED6000), (STABLE_MEMORY - 4096, 0xAFED6000)]
)
def test_other_sizes_have_a_value_of_their_own(memory: int, expected: int) -> None:
    assert not is_stable_memory(memory)
    assert address(KERNEL, memory) == expected


@pytest.mark.parametrize(
    ("kernel", "memory", "expected"),
    [
        (bzimage(xloadflags=0x7D), 2 * GIB, 0x7FED7000),
        (bzimage(xloadflags=0x7D), STABLE_MEMORY - 4096, 0x7FEFF000),  # 0x7fffffff, the header's own limit
        (bzimage(xloadflags=0, initrd_max=0x37FFFFFF), 4 * GIB, 0x37EFF000),
        (bzimage(protocol=0x20B, initrd_max=0x37FFFFFF), 4 * GIB, 0x37EFF000),  # has no xloadflags yet
        (bzimage(protocol=0x203, initrd_max=0x37FFFFFF), 4 * GIB, 0x37EFF000),
        (bzimage(xloadflags=0, initrd_max=0x37FFFFFF), 512 << 20, 0x1FED7000),
    ],
)
def test_the_kernel_limits_where_its_initrd_may_be(kernel: bytes, memory: int, expected: int) -> None:
    assert address(kernel, memory) == expected


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (b"", "not a bzImage"),
        (KERNEL[:0x206], "ends inside"),
        (KERNEL[:0x3FF], "ends inside"),
        (bytes(4096), "not a bzImage"),
        (bzimage(protocol=0x202), "too old"),
        (bzimage(loadflags=0), "too old"),
        (bzimage(setup_sectors=0xFF), "ends inside"),
        (bzimage(xloadflags=0, initrd_max=0), "does not fit"),
    ],
)
def test_a_kernel_that_qemu_would_load_otherwise_is_malformed(kernel: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        patched_kernel(kernel, initrd_size=INITRD)


@pytest.mark.parametrize(
    ("initrd", "memory"), [(0, 4 * GIB), (2 * GIB, 4 * GIB), (1 << 33, 1 << 40), (INITRD, 0), (INITRD, 0x28000)]
)
def test_an_initrd_that_does_not_fit_is_malformed(initrd: int, memory: int) -> None:
    with pytest.raises(Malformed, match="does not fit"):
        patched_kernel(KERNEL, initrd_size=initrd, memory_size=memory)


@given(st.integers(0x1F0, 0x23F), st.binary(min_size=1, max_size=8), st.integers(0, 1 << 33), st.integers(0, 1 << 41))
def test_any_header_and_any_size_is_patched_or_malformed(at: int, data: bytes, initrd: int, memory: int) -> None:
    with suppress(Malformed):
        assert len(patched_kernel(bzimage(setup={at: data}), initrd_size=initrd, memory_size=memory)) == len(KERNEL)
