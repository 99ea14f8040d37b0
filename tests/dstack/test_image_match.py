"""A TD is an image's when MRTD, RTMR1 and RTMR2 are all recorded values of that one image."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from twinproof.dstack.image_match import image_differences, match_image
from twinproof.dstack.os_image import OsImage


def value(byte: int) -> bytes:
    return bytes([byte]) * 48


def image(version: str, *, mrtd: tuple[int, ...], rtmr1: tuple[int, ...], rtmr2: tuple[int, ...]) -> OsImage:
    values = [tuple(map(value, values)) for values in (mrtd, rtmr1, rtmr2)]
    return OsImage(version.encode().ljust(32), version, False, *values)


OLD = image("0.5.4", mrtd=(1, 2), rtmr1=(3, 4), rtmr2=(5,))
NEW = image("0.5.8", mrtd=(1,), rtmr1=(6,), rtmr2=(7,))
BY_HASH = OsImage(bytes(32), "0.6.0", dev=False)
LIST = (BY_HASH, OLD, NEW)


@dataclass(frozen=True)
class Registers:
    mrtd: bytes
    rtmr1: bytes
    rtmr2: bytes


def td(mrtd: int, rtmr1: int, rtmr2: int) -> Registers:
    return Registers(value(mrtd), value(rtmr1), value(rtmr2))


@pytest.mark.parametrize("registers", [td(1, 3, 5), td(2, 3, 5), td(1, 4, 5), td(2, 4, 5)])
def test_any_legitimate_value_of_each_register_matches(registers: Registers) -> None:
    assert match_image(registers, LIST) is OLD


def test_registers_of_two_images_are_no_image() -> None:
    mixed = td(1, 3, 7)
    assert match_image(mixed, LIST) is None
    assert [item.reason for item in image_differences(mixed, LIST)] == [
        "0.5.4: RTMR2 (kernel command line or initrd) differs",
        "0.5.8: RTMR1 (kernel) differs",
    ]


def test_the_nearest_image_is_named_first() -> None:
    differences = image_differences(td(9, 6, 7), LIST)
    assert [(item.image.version, item.registers) for item in differences] == [
        ("0.5.8", ("mrtd",)),
        ("0.5.4", ("mrtd", "rtmr1", "rtmr2")),
    ]
    assert differences[1].reason.endswith("RTMR2 (kernel command line or initrd) differ")


def test_only_rtmr1_may_be_a_question_of_memory() -> None:
    by_registers = {item.registers: item for item in image_differences(td(1, 9, 5), LIST)}
    assert "--memory" in by_registers["rtmr1",].hint
    assert not by_registers["rtmr1", "rtmr2"].hint


def test_an_image_without_recorded_registers_never_matches() -> None:
    assert match_image(td(1, 3, 5), (BY_HASH,)) is None
    assert image_differences(td(1, 3, 5), (BY_HASH,)) == ()


def test_zeros_match_nothing() -> None:
    assert match_image(td(0, 0, 0), LIST) is None
