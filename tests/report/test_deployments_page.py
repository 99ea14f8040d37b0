"""The page about deployment records: every fact with what became of it, false ones named, the evidence read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from browser import Visit, axe_source, picture
from deployment_records import AT, failed
from live_instance import Live, live_instance
from twinproof.cli.main import main
from twinproof.deployments.check import Assessment, assess
from twinproof.deployments.fact_lines import fact_lines
from twinproof.deployments.proof import bundle_digest
from twinproof.deployments.record import Failure, Record
from twinproof.errors import Malformed, Unavailable
from twinproof.evidence.bundle import parse_bundle
from twinproof.report.html.deployments_page import deployments_page
from twinproof.sources.deployment_records import Recorded, write_record
from twinproof.verdict import Status
from twinproof.verifier import Verdict

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with live_instance() as found:
        yield found


def assessed(live: Live, record: Record, *, chain: bool = True) -> tuple[Assessment, Verdict]:
    stored = live.verifier.verify(parse_bundle(live.bundle))
    item = assess(
        record,
        mined=live.mined if chain else Unavailable("no endpoint answered"),
        verdict=stored if record.attested is not None else None,
        bundle=bundle_digest(live.bundle),
        proof=live.proof,
    )
    return item, stored


def lying(record: Record) -> Record:
    assert record.attested is not None
    return replace(record, run="101-1", attested=replace(record.attested, compose_hash=bytes(32)))


@pytest.fixture(scope="module")
def pages(live: Live) -> dict[str, str]:
    true, verdict = assessed(live, live.record())
    false, _ = assessed(live, lying(live.record()))
    open_item, _ = assessed(live, replace(live.record(), run="102-1"), chain=False)
    bad = Assessment(replace(failed(), failure=Failure("attest", HOSTILE)))
    broken = [(HOSTILE, Malformed(HOSTILE, where=HOSTILE))]
    every = [true, false, open_item, bad]
    verdicts = {item.record.name: verdict for item in every if item is not bad}
    return {
        "true": deployments_page([true], [], verdicts, now=AT),
        "all": deployments_page(every, broken, verdicts, now=AT),
        "none": deployments_page([], [], {}, now=AT),
        "failed": deployments_page([bad], [], {}, now=AT),
        "open": deployments_page([open_item], [], verdicts, now=AT),
    }


def test_each_fact_has_its_own_result(live: Live) -> None:
    true, _ = assessed(live, live.record())
    lines = {line.fact: line.status for line in fact_lines(true)}
    assert set(lines.values()) == {Status.PASS}
    assert {"version", "machine", "git_sha", "attested.compose_hash", "onchain.block", "onchain.log_index"} <= set(
        lines
    )
    false, _ = assessed(live, lying(live.record()))
    failing = {line.fact for line in fact_lines(false) if line.status is Status.FAIL}
    assert "attested.compose_hash" in failing
    assert "onchain.block" not in failing


def test_what_was_not_compared_is_no_pass(live: Live) -> None:
    record = live.record()
    assert record.attested is not None
    other, _ = assessed(live, replace(record, attested=replace(record.attested, bundle=bytes(32))))
    lines = {line.fact: line for line in fact_lines(other)}
    assert lines["attested.bundle"].status is Status.FAIL
    assert lines["attested.device_id"].status is Status.NOT_CHECKED
    assert lines["attested.device_id"].note == "not compared: attested.bundle is false as a whole"
    silent, _ = assessed(live, record, chain=False)
    lines = {line.fact: line for line in fact_lines(silent)}
    assert lines["onchain.block"].status is Status.NOT_CHECKED
    assert "no endpoint answered" in lines["onchain.block"].note
    assert lines["attested.compose_hash"].status is Status.PASS


def test_the_verdict_stands_first(pages: dict[str, str]) -> None:
    assert "<h1>EVERY RECORD IS TRUE</h1>" in pages["true"]
    assert "<h1>FALSE RECORDS</h1>" in pages["all"]
    assert "5 records: 2 true, 2 false, 1 not checked in full; 1 of deployments that failed." in pages["all"]
    assert "<h1>NO DEPLOYMENT IS RECORDED</h1>" in pages["failed"]
    assert "<h1>NOT EVERYTHING WAS CHECKED</h1>" in pages["open"]
    assert "<h1>NO RECORDS</h1>" in pages["none"]
    assert "SIMULATED HARDWARE" in pages["true"]


def test_hostile_reasons_and_names_stay_text(pages: dict[str, str], opened: Callable[..., Visit]) -> None:
    assert "<script>alert" not in pages["all"]
    visit = opened(pages["all"])
    assert visit.page.locator("img").count() == 0
    assert visit.said == []
    assert [url.partition(":")[0] for url in visit.asked] == ["file"]


def test_the_browser_reads_the_evidence_again(pages: dict[str, str], opened: Callable[..., Visit]) -> None:
    visit = opened(pages["true"])
    assert "all hold, and it agrees with the report" in visit.page.inner_text("#browser-progress")
    assert "steps repeated, all hold" in (visit.page.text_content("#browser-sum-0") or "")
    picture(visit, "deployments")


def test_a_false_record_is_false_in_the_browser_too_and_no_disagreement(
    pages: dict[str, str], opened: Callable[..., Visit]
) -> None:
    visit = opened(pages["all"])
    assert "do not hold, as the report says" in visit.page.inner_text("#browser-progress")
    assert visit.page.locator('code[data-value="compare.compose_hash"][data-told="fail"]').count() == 1


def test_a_fact_that_was_edited_in_the_file_is_found(pages: dict[str, str], opened: Callable[..., Visit]) -> None:
    cell = 'data-value="compare.version" data-instance="0" data-told="pass">'
    assert pages["true"].count(cell) == 1
    visit = opened(pages["true"].replace(cell, f"{cell}9"))
    assert "This browser DISAGREES" in visit.page.inner_text("#browser-progress")


def test_a_phone_the_keyboard_the_dark_and_no_serious_accessibility_findings(
    pages: dict[str, str], opened: Callable[..., Visit], tmp_path_factory: pytest.TempPathFactory
) -> None:
    visit = opened(pages["all"], width=360, scheme="dark")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
    visit.page.focus("details.group summary")
    visit.page.keyboard.press("Enter")
    assert visit.page.locator("details.group").first.get_attribute("open") is not None
    visit.page.evaluate(axe_source(tmp_path_factory.mktemp("axe")))
    found = visit.page.evaluate("axe.run()")["violations"]
    assert [
        (item["id"], item["nodes"][0]["html"][:200]) for item in found if item["impact"] in ("serious", "critical")
    ] == []


def test_the_command_writes_it(live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(tmp_path / "deployments", Recorded(live.record(), live.bundle))
    page = tmp_path / "page.html"
    root = tmp_path / "root.pem"
    root.write_bytes(live.verifier.roots[0].der)
    code = main(["deployments", "verify", "--directory", str(tmp_path), "--trust-root", str(root), "--html", str(page)])
    text = page.read_text(encoding="utf-8")
    captured = capsys.readouterr()
    assert captured.out.startswith("SIMULATED HARDWARE: ")
    assert code in (4, 5)
    assert f"<code>{live.record().name}</code>" in text
    assert "nothing to hold it against" in text
    assert str(page) in captured.err
    assert main(["deployments", "verify", "--directory", str(tmp_path), "--html", str(tmp_path / "no" / "x")]) == 2
