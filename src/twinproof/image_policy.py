"""Is the OS image one that may run? By the hash that the registers prove, or by the registers themselves.

An image's name in the event log or in vm_config is somebody's word; it can be refused for what it says, and never
accepted.
"""

from __future__ import annotations

from twinproof.claims import Claims, Registers
from twinproof.dstack.image_match import SHAPE, image_differences, match_image
from twinproof.dstack.os_image import OsImage
from twinproof.errors import Refused
from twinproof.ledger import Ledger
from twinproof.policy import Policy
from twinproof.wire import shown

__all__ = ["check_image"]

STEP = "policy.image"


def check_image(claims: Claims, policy: Policy, ledger: Ledger) -> None:
    """Pass needs an allowed image that the registers prove, by its measurement document or by recorded values."""
    software, registers, images = claims.software, claims.registers, policy.allowed_images
    proved = software.recomputed_image if software else None
    named = software.os_image_hash if software else None
    if not images:
        got = f", the registers are those of {proved.hex()}" if proved else ""
        ledger.not_checked(STEP, f"no image is pinned or listed{got}")
        return
    if registers is None:
        ledger.not_checked(STEP, "an image is pinned or listed, but this evidence shows no TD registers")
        return
    with ledger.line(STEP) as entry:
        entry.expected = ", ".join(f"{image.title} {image.hash.hex()}" for image in images[:4])
        entry.got = (proved or named or b"").hex()
        if proved is not None:
            image = next((image for image in images if image.hash == proved), None)
            if image is None:
                raise Refused("an OS image outside the allow-list", got=proved.hex(), expected=entry.expected)
        else:
            image = match_image(registers, images)
            entry.explain("matched by", f"MRTD, RTMR1 and RTMR2; {SHAPE}")
        if image is None:
            entry.not_checked = _unproved(named, registers, images)
        elif image.dev and not policy.allow_dev_images:
            raise Refused(
                "a development image: whoever runs the machine can log in to it",
                got=f"{shown(image.version)} {image.hash.hex()}",
                expected="a production image",
                hint="allow_dev_images = true in the policy accepts it; the report then says so",
            )
        else:
            entry.got = f"{shown(image.version)} {image.hash.hex()}"


def _unproved(named: bytes | None, registers: Registers, images: tuple[OsImage, ...]) -> str:
    """Why nothing proves the image; raises Refused where the evidence itself names another, or the registers differ."""
    if named is not None and all(image.hash != named for image in images):
        raise Refused("the evidence names an OS image outside the allow-list", got=named.hex())
    if all(image.measured for image in images):
        nearest = image_differences(registers, images)[0]
        raise Refused("the registers are those of no image on the allow-list", got=nearest.reason, hint=nearest.hint)
    return (
        "the registers were not recomputed (see dstack.image_registers), and the allow-list holds no register values"
        " for this image: `twinproof image measure` gives them"
    )
