"""The pages over an archive, served for real, opened in a real browser: read-only, and hostile values stay values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser import axe_source, picture, until_repeated, visiting
from published_schemas import errors
from served_pages import Served, serving
from small_boot import COMPOSE, Boot
from small_files import archived, root_file
from small_instance import AT, Instance, edited, twins
from twinproof.cli.main import main
from twinproof.evidence.evidence import Evidence
from twinproof.report.html.timeline import LABEL, WIDTH, Piece, Track, draw_tracks
from twinproof.sources.archive.store import Archive

HOSTILE = '"><script>alert(1)</script>'
ADDRESSES = ("/", "/versions", "/entries", "/entries/1", "/compare?entries=1,2", "/diff?from=1.2.0&to=1.3.0")


def evidences() -> Iterator[Evidence]:
    """Two machines of 1.2.0, one of 1.3.0 with another compose file, and a forgery with a hostile name."""
    for instance in twins():
        yield instance.evidence()
    other = COMPOSE.replace("toy@", "other@")
    digest = hashlib.sha256(other.encode()).digest()
    said: dict[str, object] = {"version": "1.3.0", "compose_hash": digest.hex()}
    newer = Instance(boot=Boot().with_payload("compose-hash", digest), said=said)
    yield edited(newer.evidence(at=AT + 100), app_compose=other)
    yield edited(Instance().evidence(), source=f"https://{HOSTILE}", challenge=None, app_compose="{}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("served")
    root_file(found)
    archived(found, *evidences())
    return found


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder) as running:
        yield running


@pytest.mark.parametrize("path", [*ADDRESSES, "/badge.svg", "/none", "/entries/99"])
def test_every_answer_has_its_security_headers(served: Served, path: str) -> None:
    _, headers, _ = served.get(path)
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_page_is_json_at_the_same_address(served: Served, path: str) -> None:
    assert served.json(path)
    separator = "&" if "?" in path else "?"
    assert json.loads(served.get(f"{path}{separator}format=json")[2]) == served.json(path)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(served: Served, method: str) -> None:
    assert all(served.get(path, method)[0] == 405 for path in ADDRESSES)


def test_another_host_name_is_not_answered(served: Served) -> None:
    assert served.get("/", Host="attacker.example")[0] == 400


def test_the_overview_has_machines_and_versions(served: Served) -> None:
    document = served.json("/")
    assert document["entries"] == 4
    assert {machine["number"] for machine in document["machines"]} == {2, 3}
    assert [(span["version"], span["count"]) for span in document["versions"]] == [("1.3.0", 1), ("1.2.0", 2)]
    assert document["stale"] is True  # these proofs are of a fixed day


def test_one_instance_is_judged_again_when_it_is_shown(served: Served) -> None:
    assert served.json("/entries/1")["accepted"] is True
    assert served.json("/entries/4")["genuine"] is False
    assert list(errors("verdict.v1", served.json("/entries/4"))) == []
    assert "<h1>GENUINE</h1>" in served.get("/entries/1")[2]


def test_one_proof_compares_the_entries_that_were_named(served: Served) -> None:
    assert served.json("/compare?entries=1,2")["outcome"] == "PROOF COMPLETE"
    assert served.json("/compare?entries=1,3")["exit_code"] == 4
    assert list(errors("proof.v1", served.json("/compare?entries=1,3"))) == []


def test_the_bundle_of_an_entry_is_there_byte_for_byte(served: Served, folder: Path) -> None:
    with Archive(str(folder / "archive")) as archive:
        assert served.get("/entries/1/bundle.json")[2].encode() == archive.bundle(1)


def test_two_versions_differ_in_the_lines_of_their_compose_files(served: Served) -> None:
    lines = served.json("/diff?from=1.2.0&to=1.3.0")["lines"]
    assert {line["kind"] for line in lines} >= {"old", "new"}
    assert served.get("/diff?from=1.2.0&to=9.9.9")[0] == 404
    assert served.get("/diff?from=1.2.0")[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/entries?before=x",
        "/entries?before=-1",
        "/compare",
        "/compare?entries=1",
        "/compare?entries=1,x",
        "/versions?page=1e9",
    ],
)
def test_questions_that_make_no_sense_are_refused(served: Served, path: str) -> None:
    assert served.get(path)[0] == 400


def test_large_archives_are_paged(served: Served) -> None:
    assert [entry["number"] for entry in served.json("/entries?before=3")["entries"]] == [2, 1]


def test_hostile_values_stay_values(served: Served) -> None:
    for path in ("/", "/entries", "/entries/4", "/compare?entries=1,4", f"/diff?from={'%22%3E%3Cscript%3E'}&to=1.2.0"):
        assert "<script>alert" not in served.get(path)[2]


@pytest.mark.parametrize(("flags", "word"), [((), "no recent proof"), (("--max-age", "9999999999"), "failed")])
def test_the_badge_goes_grey_when_the_last_proof_is_old(folder: Path, flags: tuple[str, ...], word: str) -> None:
    with serving(folder, *flags) as running:
        status, headers, text = running.get("/badge.svg")
    assert f"<title>simulated: {word}</title>" in text
    assert (status, headers["content-type"]) == (200, "image/svg+xml")


def test_what_is_no_archive_is_told_before_anything_is_served(tmp_path: Path) -> None:
    assert main(["serve", str(tmp_path)]) == 2


def test_bars_share_one_scale() -> None:
    tracks = [Track("b", (Piece(100, None, "pass"),)), Track("a", (Piece(0, 100, "fail"),))]
    drawn = draw_tracks(tracks, until=200)
    assert [bar.x for bar in drawn.bars] == [LABEL + (WIDTH - LABEL - 4) // 2, LABEL]
    assert all(bar.x + bar.width <= WIDTH for bar in drawn.bars)
    assert draw_tracks([], until=0).bars == ()


@pytest.mark.parametrize("width", [1200, 360])
def test_pages_in_a_browser_are_quiet_and_stay_at_home(served: Served, browser: Browser, width: int) -> None:
    for path in ADDRESSES:
        with visiting(browser, f"{served.url}{path}", width=width, offline=False) as visit:
            if path in ("/entries/1", "/compare?entries=1,2"):
                until_repeated(visit)
                assert "agrees with the report" in visit.page.inner_text("#browser-progress")
            assert visit.said == []
            assert all(url.startswith((served.url, "blob:")) for url in visit.asked)
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
            if path == "/" and width == 1200:
                picture(visit, "pages")


def test_pages_have_no_serious_accessibility_findings(
    served: Served, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = axe_source(tmp_path_factory.mktemp("axe"))
    for path in ("/", "/versions", "/entries", "/diff?from=1.2.0&to=1.3.0"):
        with visiting(browser, f"{served.url}{path}", offline=False) as visit:
            visit.page.evaluate(source)
            found = visit.page.evaluate("axe.run()")["violations"]
            assert [(path, item["id"]) for item in found if item["impact"] in ("serious", "critical")] == []
