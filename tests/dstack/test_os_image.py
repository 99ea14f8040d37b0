"""An entry of the image allow-list says which image, and either all of its registers or none."""

from __future__ import annotations

import re

import pytest

from twinproof.dstack.os_image import OsImage, read_os_image
from twinproof.errors import Malformed
from twinproof.wire import Fields

HASH, REGISTER = "ab" * 32, "cd" * 48
ENTRY: dict[str, object] = {"hash": HASH, "version": "0.5.4", "dev": False}
MEASURED: dict[str, object] = {**ENTRY, "mrtd": [REGISTER, "ef" * 48], "rtmr1": [REGISTER], "rtmr2": [REGISTER]}


def read(entry: dict[str, object]) -> OsImage:
    return read_os_image(Fields(entry, "policy.images[0]"))


def test_an_entry_without_registers_names_an_image_by_its_hash() -> None:
    image = read(ENTRY)
    assert (image.hash.hex(), image.version, image.dev, image.measured) == (HASH, "0.5.4", False, False)


def test_an_entry_may_hold_several_legitimate_values_of_a_register() -> None:
    image = read(MEASURED)
    assert image.measured
    assert [value.hex() for value in image.mrtd] == MEASURED["mrtd"]
    assert read(image.to_json()) == image


def test_a_development_image_says_so_in_its_title() -> None:
    assert read({**ENTRY, "dev": True}).title == "0.5.4 (development)"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"hahs": HASH}, "unknown key"),
        ({"hash": "ab" * 31}, "wrong length"),
        ({"hash": "xy" * 32}, "not hex text"),
        ({"version": ""}, "not a version"),
        ({"version": "0.5\n"}, "not a version"),
        ({"dev": 0}, "wrong type"),
        ({"mrtd": [REGISTER]}, "registers of half an image"),
        ({"mrtd": [], "rtmr1": [REGISTER], "rtmr2": [REGISTER]}, "registers of half an image"),
        ({"mrtd": ["cd" * 47], "rtmr1": [REGISTER], "rtmr2": [REGISTER]}, "wrong length"),
        ({"mrtd": [REGISTER] * 17, "rtmr1": [REGISTER], "rtmr2": [REGISTER]}, "too many items"),
    ],
)
def test_a_wrong_entry_is_malformed(change: dict[str, object], what: str) -> None:
    with pytest.raises(Malformed, match=re.escape(what)):
        read({**ENTRY, **change})


def test_dev_has_to_be_said() -> None:
    with pytest.raises(Malformed, match="missing member"):
        read({"hash": HASH, "version": "0.5.4"})
