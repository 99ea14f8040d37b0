"""The word on badge and overview: what each machine's newest evidence is worth here and now, not what was noted."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from small_boot import COMPOSE, Boot
from small_files import archived
from small_instance import AT, Instance, edited, host, twins, verifier
from twinproof.evidence.evidence import Evidence
from twinproof.policy import Machine, Pins, Policy
from twinproof.sources.archive.entry import link
from twinproof.verifier import Verifier
from twinproof.web.app import make_app
from twinproof.web.recheck import Recheck, Rechecked
from twinproof.web.site import Site

DAY = 86400


def pages(folder: str, *, now: int = AT, judge: Verifier | None = None) -> TestClient:
    site = Site(folder=folder, verifier=judge or verifier(), max_age=DAY, clock=lambda: now)
    return TestClient(make_app(site, hosts=["testserver"]))


def said(folder: str, *, now: int = AT, judge: Verifier | None = None) -> str:
    """The one word, which is the same on the badge, on the overview and for machines."""
    client = pages(folder, now=now, judge=judge)
    word = str(client.get("/?format=json").json()["standing"])
    label = "simulated" if judge is None or not judge.roots[0].is_intel else "twinproof"
    assert f"<title>{label}: {word}</title>" in client.get("/badge.svg").text
    page = client.get("/").text
    assert f"<h1>{word.capitalize()}</h1>" in page
    assert ('data-tone="good">' in page) == (word == "proved")
    return word


def both(at: int = AT) -> Sequence[Evidence]:
    return [instance.evidence(at=at) for instance in twins()]


def rewritten(folder: str, number: int, edit: Callable[[dict[str, object]], None]) -> None:
    """What was noted of an entry, edited by hand: in its summary, its link and the index, so that all of them agree."""
    with closing(sqlite3.connect(f"{folder}/index.sqlite", isolation_level=None)) as database:
        row = database.execute(
            "SELECT number, added_at, source, digest, summary, previous FROM entries WHERE number = ?", (number,)
        ).fetchone()
        summary = json.loads(row[4])
        edit(summary)
        text = json.dumps(summary, sort_keys=True, separators=(",", ":"))
        database.execute(
            "UPDATE entries SET summary = ?, hash = ?, at = ?, exit_code = ? WHERE number = ?",
            (text, link((*row[:4], text, row[5])), summary["at"], summary["exit_code"], number),
        )


def test_two_machines_whose_newest_evidence_holds_are_proved(tmp_path: Path) -> None:
    assert said(archived(tmp_path, *both())) == "proved"


def test_one_machine_that_fails_now_is_not_covered_by_the_proofs_before(tmp_path: Path) -> None:
    bad = edited(Instance().evidence(at=AT + 10), app_compose="{}")
    assert said(archived(tmp_path, *both(), bad), now=AT + 10) == "failed"


def test_what_somebody_elses_root_accepted_is_not_proved_under_this_one(tmp_path: Path) -> None:
    assert said(archived(tmp_path, *both()), judge=Verifier()) == "failed"


def test_what_a_weaker_policy_accepted_is_not_proved_under_this_one(tmp_path: Path) -> None:
    assert said(archived(tmp_path, *both()), judge=verifier(Policy(pins=Pins(version="9.9.9")))) == "failed"


def test_a_verdict_flipped_by_hand_proves_nothing(tmp_path: Path) -> None:
    first, second = both()
    folder = archived(tmp_path, first, edited(second, app_compose="{}"))
    rewritten(folder, 2, lambda summary: summary.update(exit_code=0, failed=[]))
    assert said(folder) == "failed"
    assert pages(folder).get("/?format=json").json()["machines"][0].keys() >= {"exit_code_now"}


def test_a_time_written_anew_makes_no_old_proof_recent(tmp_path: Path) -> None:
    folder = archived(tmp_path, *both())
    for number in (1, 2):
        rewritten(folder, number, lambda summary: summary.update(at=AT + 10 * DAY))
    assert said(folder, now=AT + 10 * DAY) == "no recent proof"


@pytest.mark.parametrize("ahead", [-1, 3600, 20 * DAY])
def test_evidence_from_the_future_does_not_keep_a_badge_green(ahead: int, tmp_path: Path) -> None:
    """A clock that was set back, or evidence dated so that nothing after it is newer."""
    folder = archived(tmp_path, *both(AT + ahead))
    assert said(folder) == ("proved" if ahead < 0 else "no recent proof")


def test_a_configured_machine_that_answers_no_more_is_not_covered_by_the_others(tmp_path: Path) -> None:
    """Its host swaps the code and lets nobody ask: the other machine's new proof is none about this one."""
    first, second = twins()
    folder = archived(tmp_path, first.evidence(), second.evidence(), second.evidence(at=AT + 2 * DAY))
    machines = tuple(Machine(one.machine, device_id=host(one.machine).device_id) for one in (first, second))
    assert said(folder, now=AT + 2 * DAY) == "proved"  # as far as is known, the first was retired
    assert said(folder, now=AT + 2 * DAY, judge=verifier(Policy(machines=machines))) == "no recent proof"
    assert said(folder, now=AT + 2 * DAY, judge=verifier(Policy(machines=machines[1:]))) == "proved"


def test_an_old_quote_that_is_dated_anew_makes_no_badge_green(tmp_path: Path) -> None:
    """Without the statement nothing in the bundle says when it was made, but whoever wrote the bundle."""
    redated = [edited(one, statement=None, challenge=None, fetched_at=AT + DAY) for one in both()]
    assert verifier().verify(redated[0]).exit_code == 0
    assert said(archived(tmp_path, *redated), now=AT + DAY) == "no recent proof"


def test_two_machines_that_run_different_code_are_not_proved_though_each_is_accepted(tmp_path: Path) -> None:
    first, second = twins()
    other = replace(second, said={"version": "1.3.0"})
    for instances, word in (((first, second), "proved"), ((first, other), "failed")):
        folder = tmp_path / word
        folder.mkdir()
        evidences = [instance.evidence() for instance in instances]
        assert [verifier().verify(evidence).exit_code for evidence in evidences] == [0, 0]
        assert said(archived(folder, *evidences)) == word


def test_what_compare_cannot_show_no_badge_shows(tmp_path: Path) -> None:
    """The same text on both machines names its image by tag."""
    tagged = {**json.loads(COMPOSE), "docker_compose_file": "services:\n  app:\n    image: toy:latest\n"}
    text = json.dumps(tagged)
    measured = hashlib.sha256(text.encode()).digest()
    boot = Boot().with_payload("compose-hash", measured)
    named: dict[str, object] = {"compose_hash": measured.hex()}
    evidences = [edited(replace(one, boot=boot, said=named).evidence(), app_compose=text) for one in twins()]
    assert [verifier().verify(evidence).exit_code for evidence in evidences] == [0, 0]
    assert said(archived(tmp_path, *evidences)) == "no recent proof"


def test_an_entry_that_calls_itself_a_known_machine_gets_no_label_of_it(tmp_path: Path) -> None:
    """`archive add` takes anybody's bundle, so on the pages its address is the word of a file."""
    one = Instance().evidence()
    folder = archived(tmp_path, one)
    policy = Policy(machines=(Machine("prod1", "EU", url=one.source),))
    client = pages(folder, judge=verifier(policy))
    assert verifier(policy).verify(one).title == "prod1 (EU)"
    assert "prod1 (EU)" not in client.get("/entries/1").text
    told = client.get("/entries/1?format=json").json()
    assert (told["machine"], told["stored"]) == (None, True)


def test_a_bundle_that_was_exchanged_for_another_good_one_is_not_proved(tmp_path: Path) -> None:
    folder = archived(tmp_path, *both())
    with closing(sqlite3.connect(f"{folder}/index.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE entries SET rest = (SELECT rest FROM entries WHERE number = 1) WHERE number = 2")
    assert said(folder) == "failed"


def test_a_summary_that_is_none_is_told_and_takes_no_page_down(tmp_path: Path) -> None:
    folder = archived(tmp_path, *both())
    with closing(sqlite3.connect(f"{folder}/index.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE entries SET summary = '[]' WHERE number = 2")
    for path in ("/", "/entries"):
        answer = pages(folder).get(path)
        assert (answer.status_code, "its summary cannot be read" in answer.text) == (500, True)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_an_exit_code_that_does_not_exist_is_shown_as_unknown(tmp_path: Path) -> None:
    folder = archived(tmp_path, *both())
    rewritten(folder, 2, lambda summary: summary.update(exit_code=7))
    assert "unknown" in pages(folder).get("/entries").text


def test_a_clock_set_back_does_not_block_the_re_check_for_long() -> None:
    now = [AT]
    one = Recheck(("a",), lambda _told: Rechecked((), "DONE", 0), token="t" * 16, clock=lambda: now[0])
    one._state = one._state.__class__("done", (), finished_at=AT)
    now[0] = AT - DAY
    one.start()


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30, "9" * 5000, "-1", "1e3", "\u0661", "..%2f1", "%00", "x"])
@pytest.mark.parametrize("rest", ["", "/bundle.json"])
def test_a_number_that_no_entry_can_have_is_not_there(number: str, rest: str, tmp_path: Path) -> None:
    answer = pages(archived(tmp_path, *both())).get(f"/entries/{number}{rest}")
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
