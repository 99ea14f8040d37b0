"""Which OS images may run: what the registers prove decides, what the evidence merely names never does."""

from __future__ import annotations

from small_boot import IMAGE
from small_instance import Instance, edited, judge
from twinproof import wanted
from twinproof.claims import Claims
from twinproof.dstack.os_image import OsImage
from twinproof.errors import Refused
from twinproof.image_policy import check_image
from twinproof.ledger import Ledger
from twinproof.policy import Pins, Policy
from twinproof.verdict import Check, Status

OTHER = b"\x22" * 32


def claims(*, proved: bytes | None) -> Claims:
    found = judge(Instance().evidence()).claims
    assert found.software
    return found._replace(software=found.software._replace(recomputed_image=proved))


def measured(**changes: object) -> OsImage:
    """The entry whose registers are those of the test instances."""
    registers = claims(proved=None).registers
    assert registers
    entry = OsImage(
        IMAGE, "0.5.4", dev=False, mrtd=(registers.mrtd,), rtmr1=(registers.rtmr1,), rtmr2=(registers.rtmr2,)
    )
    return entry._replace(**changes)  # type: ignore[arg-type]


def check(found: Claims, *images: OsImage, **policy: object) -> Check:
    ledger = Ledger(wanted.PLAN)
    check_image(found, Policy(images=images, **policy), ledger)  # type: ignore[arg-type]
    return next(item for item in ledger.checks() if item.id == "policy.image")


def test_without_a_list_no_image_is_checked_and_the_proved_one_is_said() -> None:
    found = check(claims(proved=IMAGE))
    assert found.status is Status.NOT_CHECKED
    assert IMAGE.hex() in found.reason


def test_an_image_that_the_registers_prove_passes_when_it_is_listed() -> None:
    assert check(claims(proved=IMAGE), OsImage(IMAGE, "0.5.4", dev=False)).status is Status.PASS


def test_an_image_that_the_registers_prove_is_refused_when_it_is_not_listed() -> None:
    found = check(claims(proved=OTHER), OsImage(IMAGE, "0.5.4", dev=False))
    assert (found.status, found.error) == (Status.FAIL, Refused.__name__)
    assert "outside the allow-list" in found.reason


def test_an_image_that_is_only_named_by_the_log_is_not_accepted() -> None:
    found = check(claims(proved=None), OsImage(IMAGE, "0.5.4", dev=False))
    assert found.status is Status.NOT_CHECKED
    assert "not recomputed" in found.reason


def test_an_image_that_the_log_names_and_the_list_does_not_is_refused() -> None:
    assert check(claims(proved=None), OsImage(OTHER, "0.5.4", dev=False)).error == Refused.__name__


def test_an_image_is_known_by_its_registers() -> None:
    assert check(claims(proved=None), measured()).status is Status.PASS


def test_each_register_has_to_be_a_listed_value() -> None:
    for name in ("mrtd", "rtmr1", "rtmr2"):
        found = check(claims(proved=None), measured(**{name: (bytes(48),)}))
        assert (found.status, found.error) == (Status.FAIL, Refused.__name__), name
        assert f"0.5.4: {name.upper()} (" in found.reason


def test_a_match_by_registers_says_what_it_leaves_open() -> None:
    explained = dict(check(claims(proved=None), measured()).detail)
    assert "shape not verified" in explained["matched by"]


def test_registers_of_two_listed_images_cannot_be_mixed() -> None:
    first, second = measured(mrtd=(bytes(48),)), measured(hash=OTHER, rtmr1=(bytes(48),))
    assert check(claims(proved=None), first, second).status is Status.FAIL


def test_a_development_image_is_refused_although_it_is_listed() -> None:
    for found in (
        check(claims(proved=IMAGE), OsImage(IMAGE, "0.5.4", dev=True)),
        check(claims(proved=None), measured(dev=True)),
    ):
        assert (found.status, found.error) == (Status.FAIL, Refused.__name__)
        assert "development image" in found.reason
    allowed = check(claims(proved=IMAGE), OsImage(IMAGE, "0.5.4", dev=True), allow_dev_images=True)
    assert allowed.status is Status.PASS


def test_a_pinned_image_narrows_the_list_to_its_own_entry() -> None:
    entries = measured(), OsImage(OTHER, "0.5.5", dev=False)
    assert check(claims(proved=OTHER), *entries, pins=Pins(image=OTHER)).status is Status.PASS
    assert check(claims(proved=IMAGE), *entries, pins=Pins(image=OTHER)).status is Status.FAIL
    assert check(claims(proved=None), *entries, pins=Pins(image=IMAGE)).status is Status.PASS


def test_a_quote_without_a_log_is_matched_by_its_registers() -> None:
    bare = edited(Instance().evidence(), event_log=None, statement=None, challenge=None, app_compose=None)
    assert judge(bare, Policy(images=(measured(),))).check("policy.image").status is Status.PASS


def test_evidence_without_registers_is_not_checked() -> None:
    found = check(Claims(), measured())
    assert (found.status, "no TD registers" in found.reason) == (Status.NOT_CHECKED, True)
