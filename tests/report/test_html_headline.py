"""A page whose large letters were edited: the evidence inside is what this browser goes by, and it says so on top."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from browser import Visit
from small_instance import AT, Instance, edited, twins, verifier
from twinproof.comparison import compare
from twinproof.policy import Pins, Policy
from twinproof.report.html.page import html_report
from twinproof.verifier import Verdict

INTEL_ROOT = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"


def page_of(*verdicts: Verdict) -> str:
    return html_report(compare(verdicts), verdicts, now=AT)


def honest() -> str:
    return page_of(*(verifier().verify(instance.evidence()) for instance in twins()))


def two_on_one_machine() -> str:
    return page_of(*(verifier().verify(one.evidence()) for one in (Instance(), Instance(index=1))))


def refused_by_policy() -> str:
    """Nothing that a browser could repeat is wrong with it: it is another version than the pinned one."""
    judge = verifier(Policy(pins=Pins(version="9.9.9")))
    return page_of(*(judge.verify(instance.evidence()) for instance in twins()))


def with_another_compose_text() -> str:
    first, second = twins()
    bad = edited(second.evidence(), app_compose="{}")
    return page_of(verifier().verify(first.evidence()), verifier().verify(bad))


def proclaimed(report: str) -> str:
    """Its headline and the colour of it replaced by those of a complete proof."""
    report, found = re.subn(r"<h1>.*?</h1>", "<h1>PROOF COMPLETE</h1>", report)
    assert found == 1
    return re.sub(r'(<header class="verdict" data-tone=)"\w+"', r'\1"good"', report)


def block_edited(report: str, name: str, edit: Callable[[Any], None]) -> str:
    pattern = re.compile(rf'(<script type="application/json" id="{name}">)(.*?)(</script>)', re.DOTALL)
    match = pattern.search(report)
    assert match
    block = json.loads(match[2])
    edit(block)
    return report[: match.start(2)] + json.dumps(block).replace("<", "\\u003c") + report[match.end(2) :]


def in_data(report: str) -> str:
    """The same in what the script reads: the outcome, and every check passed."""

    def edit(block: Any) -> None:
        block["outcome"] = "PROOF COMPLETE"
        for checks in (block["checks"], *(instance["checks"] for instance in block["instances"])):
            checks.update({name: "pass" for name, status in checks.items() if status == "fail"})

    return block_edited(proclaimed(report), "report", edit)


def without_comparison(report: str) -> str:
    return block_edited(in_data(report), "report", lambda block: block["checks"].clear())


def without(member: str) -> str:
    """Another version shown, and the evidence that says otherwise taken out."""

    def edit(block: Any) -> None:
        if member == "collateral":
            block["collateral"] = None
        else:
            del block["bundle"][member]
            block["carried"].pop(member, None)

    cell = '<code class="value">1.2.0</code>'
    return block_edited(honest().replace(cell, '<code class="value">6.6.6</code>'), "evidence-0", edit)


def alone_without(member: str) -> str:
    """The page of one instance, fresh and accepted."""
    report = html_report(None, [verifier().verify(Instance().evidence())], now=AT)
    return block_edited(report, "evidence-0", lambda block: block["bundle"].pop(member))


def of_one_instance() -> str:
    return block_edited(honest(), "report", lambda block: block["instances"].pop())


EDITED: dict[str, Callable[[], str]] = {
    "two instances on one machine": lambda: proclaimed(two_on_one_machine()),
    "two instances on one machine, in its data too": lambda: in_data(two_on_one_machine()),
    "two instances on one machine, not compared": lambda: without_comparison(two_on_one_machine()),
    "another version than the pinned one": lambda: proclaimed(refused_by_policy()),
    "another compose text": lambda: proclaimed(with_another_compose_text()),
    "another compose text, in its data too": lambda: in_data(with_another_compose_text()),
    "no collateral": lambda: without("collateral"),
    "no event log": lambda: without("event_log"),
    "no statement": lambda: without("statement"),
    "no compose text": lambda: without("app_compose"),
    "no challenge": lambda: without("challenge"),
    "one instance left": of_one_instance,
    "no word of the chain": lambda: honest().replace(", CHAIN NOT SHOWN", ""),
}


@pytest.mark.parametrize("how", EDITED)
def test_a_headline_that_the_evidence_does_not_bear_is_disputed_above_it(
    how: str, opened: Callable[..., Visit]
) -> None:
    visit = opened(EDITED[how]())
    assert visit.page.inner_text("h1").startswith("PROOF COMPLETE")
    assert "DISAGREES" in visit.page.inner_text("header.verdict > p:first-child")
    assert visit.page.get_attribute("header.verdict", "data-tone") == "bad"
    assert "DISAGREES" in visit.page.inner_text("#browser-progress")
    assert visit.page.get_attribute("#browser-result", "data-status") == "fail"
    assert visit.said == []


@pytest.mark.parametrize("member", ["event_log", "app_compose", "statement"])
def test_one_instance_whose_evidence_was_taken_out_is_disputed(member: str, opened: Callable[..., Visit]) -> None:
    visit = opened(alone_without(member))
    assert "DISAGREES" in visit.page.inner_text("header.verdict > p:first-child")
    assert "nothing inside lets a browser repeat it" in visit.page.inner_text("#browser-differences")


@pytest.mark.parametrize("make", [honest, two_on_one_machine, refused_by_policy, with_another_compose_text])
def test_a_headline_as_the_tool_wrote_it_is_disputed_by_nobody(
    make: Callable[[], str], opened: Callable[..., Visit]
) -> None:
    visit = opened(make())
    assert visit.page.locator("#disputed").count() == 0
    assert "DISAGREES" not in visit.page.inner_text("#browser-progress")


def test_the_name_of_intels_root_beside_another_root_makes_it_no_root_of_intels(opened: Callable[..., Visit]) -> None:
    def edit(block: Any) -> None:
        for instance in block["instances"]:
            instance["fingerprint"] = INTEL_ROOT

    visit = opened(block_edited(honest(), "report", edit))
    assert "under a root that is NOT Intel's" in visit.page.inner_text("#browser-progress")
