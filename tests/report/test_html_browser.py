"""The page in a real browser, without a network: it verifies itself again, and every lie in it turns something red."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from browser import Visit, axe_source, picture, until_repeated
from small_instance import AT, Instance, edited, twins, verifier
from twinproof.comparison import compare
from twinproof.report.html.page import html_report
from twinproof.verifier import Verdict

AGREES = "all hold, and it agrees with the report"
DISAGREES = "This browser DISAGREES"


def judged() -> list[Verdict]:
    judge = verifier()
    return [judge.verify(instance.evidence()) for instance in twins()]


@pytest.fixture(scope="module")
def honest() -> str:
    verdicts = judged()
    return html_report(compare(verdicts), verdicts, now=AT)


@pytest.fixture(scope="module")
def large() -> str:
    """The same two again and again: five columns of each."""
    verdicts = judged() * 5
    return html_report(compare(verdicts), verdicts, now=AT)


def conclusion(visit: Visit) -> str:
    return visit.page.inner_text("#browser-progress")


def red_edges(visit: Visit, instance: int = 0) -> set[str]:
    found = visit.page.locator(f'g.edge[data-instance="{instance}"][data-status="fail"]')
    return {edge.get_attribute("data-link") or "" for edge in found.all()}


def test_an_honest_report_verifies_itself_again_without_a_network(honest: str, opened: Callable[..., Visit]) -> None:
    visit = opened(honest)
    assert AGREES in conclusion(visit)
    assert red_edges(visit) == red_edges(visit, 1) == set()
    assert visit.page.inner_text("h1") == "PROOF COMPLETE, CHAIN NOT SHOWN"
    assert visit.page.locator(".simulated").count() == 1
    assert visit.said == []
    assert [url.partition(":")[0] for url in visit.asked] == ["file"]
    picture(visit, "report")


def changed(report: str, instance: int, member: str, edit: Callable[[str], str]) -> str:
    """One string of the evidence inside the file, edited as somebody with a text editor would."""
    pattern = re.compile(rf'(<script type="application/json" id="evidence-{instance}">)(.*?)(</script>)', re.DOTALL)
    match = pattern.search(report)
    assert match
    block = json.loads(match[2])
    before = json.dumps(block)
    block["bundle"][member] = edit(block["bundle"][member])
    assert json.dumps(block) != before
    return report[: match.start(2)] + json.dumps(block).replace("<", "\\u003c") + report[match.end(2) :]


def one_byte(at: int) -> Callable[[str], str]:
    """Flips one bit of the byte at this place of a hex text."""
    return lambda text: text[: 2 * at] + f"{int(text[2 * at : 2 * at + 2], 16) ^ 1:02x}" + text[2 * at + 2 :]


def flipped_event(text: str) -> str:
    events = json.loads(text)
    event = next(item for item in events if item["event"] == "app-id")
    event["event_payload"] = one_byte(3)(event["event_payload"])
    return json.dumps(events)


TAMPERED = {
    "a register": ("quote", one_byte(48 + 376), {"qe-quote", "registers-events"}),
    "the report data": ("quote", one_byte(48 + 530), {"qe-quote", "quote-question"}),
    "the quote's signature": ("quote", one_byte(48 + 584 + 4 + 5), {"qe-quote"}),
    "the attestation key": ("quote", one_byte(48 + 584 + 4 + 64 + 5), {"qe-quote"}),
    "the quoting enclave's report": ("quote", one_byte(48 + 584 + 4 + 128 + 6 + 20), {"pck-qe"}),
    "the signer of the quoting enclave": ("quote", one_byte(48 + 584 + 4 + 128 + 6 + 130), {"pck-qe", "documents-qe"}),
    "an event": ("event_log", flipped_event, {"registers-events", "containers-version"}),
    "the compose file": ("app_compose", lambda text: text.replace('"toy"', '"tox"'), {"events-compose"}),
    "the statement": ("statement", lambda text: text.replace('"1.2.0"', '"1.2.1"'), {"quote-question"}),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_one_changed_byte_turns_its_own_edge_red(what: str, honest: str, opened: Callable[..., Visit]) -> None:
    member, edit, edges = TAMPERED[what]
    visit = opened(changed(honest, 0, member, edit))
    assert DISAGREES in conclusion(visit)
    assert red_edges(visit) == edges
    assert red_edges(visit, 1) == set()
    if what == "an event":
        picture(visit, "report-tampered")


def test_collateral_that_was_edited_breaks_the_documents(honest: str, opened: Callable[..., Visit]) -> None:
    number = r"\"tcbEvaluationDataNumber\":"
    assert number in honest
    visit = opened(honest.replace(number, f"{number}9"))
    assert DISAGREES in conclusion(visit)
    assert red_edges(visit) == {"root-documents"}


def test_a_value_that_is_shown_but_was_not_signed_is_found(honest: str, opened: Callable[..., Visit]) -> None:
    cell = 'data-value="compare.version" data-instance="0">'
    assert honest.count(f"{cell}1.2.0<") == 1
    visit = opened(honest.replace(f"{cell}1.2.0<", f"{cell}6.6.6<"))
    assert DISAGREES in conclusion(visit)
    assert "this page shows 6.6.6, the evidence says 1.2.0" in visit.page.inner_text("#browser-differences")


def test_a_report_of_failed_evidence_agrees_that_it_fails(opened: Callable[..., Visit]) -> None:
    judge, (first, second) = verifier(), twins()
    bad = edited(second.evidence(), app_compose="{}")
    verdicts = [judge.verify(first.evidence()), judge.verify(bad)]
    visit = opened(html_report(compare(verdicts), verdicts, now=AT))
    assert "do not hold, as the report says" in conclusion(visit)
    assert "events-compose" in red_edges(visit, 1)
    assert visit.page.locator("pre.lines .old").count() > 0
    assert visit.said == []
    picture(visit, "report-different")


def test_another_root_under_an_honest_chain_is_not_the_root_of_this_report(
    honest: str, opened: Callable[..., Visit]
) -> None:
    match = re.search(r'"root":"([0-9a-f]+)"', honest)
    assert match
    visit = opened(honest.replace(match[1], one_byte(40)(match[1]), 1))
    assert DISAGREES in conclusion(visit)
    assert {"root-pck", "root-documents"} <= red_edges(visit)


def test_one_verdict_has_a_page_too(opened: Callable[..., Visit]) -> None:
    verdicts = [verifier().verify(Instance().evidence())]
    visit = opened(html_report(None, verdicts, now=AT))
    assert visit.page.inner_text("h1") == "GENUINE"
    assert AGREES in conclusion(visit)


def test_a_phone_shows_everything_without_scrolling_sideways(honest: str, opened: Callable[..., Visit]) -> None:
    visit = opened(honest, width=360)
    visit.page.click("#open-all")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
    picture(visit, "report-phone")


def test_dark_mode_is_dark(honest: str, opened: Callable[..., Visit]) -> None:
    grounds = [
        opened(honest, scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert grounds == ["rgb(255, 255, 255)", "rgb(16, 20, 24)"]
    picture(opened(honest, scheme="dark"), "report-dark")


def test_printed_nothing_is_cut_off_and_no_button_is_left(honest: str, opened: Callable[..., Visit]) -> None:
    visit = opened(honest)
    visit.page.emulate_media(media="print")
    assert visit.page.locator("button:visible").count() == 0
    assert visit.page.locator("h1:visible").count() == 1
    cut = "[...document.querySelectorAll('pre')].filter((node) => getComputedStyle(node).maxHeight !== 'none')"
    assert visit.page.evaluate(f"{cut}.length") == 0


def test_the_keyboard_reaches_everything_that_can_be_done(honest: str, opened: Callable[..., Visit]) -> None:
    visit = opened(honest)
    seen = []
    for _ in range(12):
        visit.page.keyboard.press("Tab")
        seen.append(visit.page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert seen[0] == "skip"
    assert {"browser-again", "open-all"} <= set(seen)
    visit.page.focus("details.group summary")
    visit.page.keyboard.press("Enter")
    assert visit.page.locator("details.group").first.get_attribute("open") is not None
    visit.page.focus("#browser-again")
    visit.page.keyboard.press("Enter")
    until_repeated(visit)
    assert AGREES in conclusion(visit)


def test_a_saved_bundle_is_the_evidence_that_was_judged(honest: str, opened: Callable[..., Visit]) -> None:
    from twinproof.evidence.bundle import parse_bundle

    visit = opened(honest)
    with visit.page.expect_download() as download:
        visit.page.locator("[data-save]").nth(1).click()
    saved = parse_bundle(download.value.path().read_bytes())
    judge = verifier()
    assert judge.verify(saved).accepted
    assert judge.verify(saved).evidence.collateral == twins()[1].evidence().collateral


def test_without_javascript_the_report_is_readable_and_says_what_is_missing(
    honest: str, opened: Callable[..., Visit]
) -> None:
    visit = opened(honest, javascript=False)
    assert visit.page.inner_text("h1") == "PROOF COMPLETE, CHAIN NOT SHOWN"
    assert "needs JavaScript" in conclusion(visit)
    assert visit.page.locator("button:visible").count() == 0


def test_checks_of_many_instances_are_built_when_they_are_opened_with_what_the_browser_found(
    large: str, opened: Callable[..., Visit]
) -> None:
    visit = opened(large)
    group = visit.page.locator("details.group").nth(1)
    assert group.locator("td").count() == 0
    group.locator("> summary").click()
    group.locator("tr#check-dcap\\.pck_chain").wait_for()
    cells = group.locator("tr#check-dcap\\.pck_chain small.browser")
    assert cells.all_inner_texts() == ["this browser: holds"] * 10
    visit.page.click("#browser-again")
    until_repeated(visit)
    assert cells.all_inner_texts() == ["this browser: holds"] * 10
    assert visit.said == []


def test_the_chain_in_words_of_many_instances_is_built_when_it_is_opened_with_what_the_browser_found(
    large: str, opened: Callable[..., Visit]
) -> None:
    visit = opened(large)
    conclusion(visit)
    words = visit.page.locator("details.words").nth(2)
    assert words.locator("li").count() == 0
    words.locator("summary").click()
    words.locator("li").first.wait_for()
    found = words.locator('li[data-instance="2"] .browser').all_inner_texts()
    assert found
    assert all("steps repeated" in text for text in found)
    assert visit.said == []


def test_a_value_that_many_instances_share_stands_once_and_is_held_against_the_evidence_of_each(
    large: str, opened: Callable[..., Visit]
) -> None:
    visit = opened(large)
    conclusion(visit)
    assert visit.page.locator("tr#row-compare\\.version [data-value]").all_inner_texts() == ["1.2.0"]
    assert visit.page.locator("tr#row-compare\\.machine [data-value]").count() == 10
    shown = visit.page.locator("#browser-differences").inner_text()
    assert "this page shows" not in shown

    cell = 'data-value="compare.version" data-instance="all">'
    visit = opened(large.replace(f"{cell}1.2.0<", f"{cell}6.6.6<"))
    conclusion(visit)
    doubts = visit.page.locator("#browser-differences li").all_inner_texts()
    assert sum("this page shows 6.6.6, the evidence says 1.2.0" in doubt for doubt in doubts) == 10


def test_without_javascript_the_checks_of_many_instances_are_there(large: str, opened: Callable[..., Visit]) -> None:
    visit = opened(large, javascript=False)
    visit.page.locator("details.group > summary").nth(1).click()
    assert visit.page.locator("tr#check-dcap\\.pck_chain td").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_findings(
    scheme: str, honest: str, opened: Callable[..., Visit], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = axe_source(tmp_path_factory.mktemp("axe"))
    visit = opened(honest, scheme=scheme)
    visit.page.click("#open-all")
    visit.page.evaluate(source)  # not bound by the page's own policy: it comes over the debugging protocol
    result = visit.page.evaluate("axe.run()")
    serious = [
        (item["id"], item["nodes"][0]["html"][:200])
        for item in result["violations"]
        if item["impact"] in ("serious", "critical")
    ]
    assert serious == []
