"""The one thing that a page may start: a re-check of configured instances, by who has the token, one at a time."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

import rechecked
from browser import Visit, axe_source, picture, visiting
from twinproof.cli.main import main
from twinproof.sources.archive.store import Archive
from twinproof.web.recheck import PAUSE, Busy, Recheck, Rechecked, RecheckedInstance
from twinproof_devnet.faults import Fault
from twinproof_devnet.world import World

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9", "prod7")) as running:
        yield running


@dataclass(frozen=True)
class Served:
    """A running server, and the token that it printed."""

    url: str
    token: str
    archive: Path

    def ask(self, method: str = "POST", path: str = "/recheck", **headers: str) -> tuple[int, dict[str, str], Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
                return error.code, dict(error.headers), json.loads(text) if text.startswith("{") else text

    def state(self) -> Any:
        return self.ask("GET", "/recheck?format=json")[2]

    def entries(self) -> int:
        with Archive(str(self.archive)) as archive:
            return len(archive)


@contextmanager
def serving(world: World, folder: Path, instances: Sequence[str]) -> Iterator[Served]:
    with rechecked.served(world, folder, instances) as (url, token):
        yield Served(url, token, folder / "archive")


@pytest.fixture(scope="module")
def served(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(world, tmp_path_factory.mktemp("good"), ["prod9", "prod7"]) as running:
        yield running


@contextmanager
def opened(browser: Browser, served: Served, *, path: str = "/recheck", width: int = 1200) -> Iterator[Visit]:
    with visiting(browser, f"{served.url}{path}", width=width, offline=False) as visit:
        yield visit


def finished(visit: Visit) -> str:
    visit.page.wait_for_selector("body[data-recheck=done]", state="attached")
    return visit.page.inner_text("#recheck-say")


REFUSED = {
    "without a token": ({}, 401),
    "with another token": ({"Authorization": "Bearer 0000000000000000"}, 401),
    "with the token as a password": ({"Authorization": "Basic {token}"}, 401),
    "from another origin": ({"Authorization": "Bearer {token}", "Origin": "https://attacker.example"}, 403),
    "from an origin that hides itself": ({"Authorization": "Bearer {token}", "Origin": "null"}, 403),
    "from another site": ({"Authorization": "Bearer {token}", "Sec_Fetch_Site": "cross-site"}, 403),
    "from another port of this host": ({"Authorization": "Bearer {token}", "Sec_Fetch_Site": "same-site"}, 403),
    "under a host name that was rebound": ({"Authorization": "Bearer {token}", "Host": "attacker.example"}, 400),
    "in the address": ({}, 401),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_request_is_refused(how: str, served: Served) -> None:
    headers, status = REFUSED[how]
    path = f"/recheck?token={served.token}" if how == "in the address" else "/recheck"
    given = {name: value.format(token=served.token) for name, value in headers.items()}
    assert served.ask(path=path, **given)[0] == status
    assert served.state()["state"] == "idle"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_there_is_no_other_way_to_write(method: str, served: Served) -> None:
    assert served.ask(method, Authorization=f"Bearer {served.token}")[0] == 405


def test_looking_starts_nothing_and_shows_no_token(served: Served) -> None:
    state = served.state()
    assert state["state"] == "idle"
    with urllib.request.urlopen(f"{served.url}/recheck", timeout=20) as answer:
        text = answer.read().decode() + str(answer.headers)
    assert len(served.token) == 64
    assert served.token not in text + json.dumps(state)


def test_without_configured_instances_there_is_no_such_route(world: World, tmp_path: Path) -> None:
    with serving(world, tmp_path / "none", []) as running:
        assert running.ask(Authorization="Bearer ")[0] == 405
        with urllib.request.urlopen(f"{running.url}/recheck", timeout=20) as answer:
            assert "started without instances" in answer.read().decode()


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>elsewhere</title>")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_page_of_another_origin_cannot_start_one_even_with_the_token(browser: Browser, served: Served) -> None:
    """The browser asks first (a preflight), and is not allowed; without the header there is no token."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        with visiting(browser, f"http://127.0.0.1:{elsewhere.server_port}/", offline=False) as visit:
            script = """async ([url, headers, mode]) => {
                try {
                    return (await fetch(url, { method: "POST", headers, mode })).type;
                } catch (error) { return error.name; }
            }"""
            token = {"Authorization": f"Bearer {served.token}"}
            assert visit.page.evaluate(script, [f"{served.url}/recheck", token, "cors"]) == "TypeError"
            assert visit.page.evaluate(script, [f"{served.url}/recheck", token, "no-cors"]) in ("opaque", "TypeError")
        elsewhere.shutdown()
    assert served.state()["state"] == "idle"


def test_the_button_asks_every_instance_shows_how_far_it_is_and_keeps_the_evidence(
    browser: Browser, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with opened(browser, served, path=f"/recheck#token={served.token}", width=360) as visit:
        assert visit.page.url.endswith("/recheck")  # the token is taken out of the address
        assert visit.page.get_attribute("#recheck-say", "aria-live") == "polite"
        assert visit.page.inner_text("#recheck-say") == "Nobody has asked since this server began."
        visit.page.focus("#recheck-token")
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.id") == "recheck-start"
        visit.page.keyboard.press("Enter")
        assert finished(visit) == "PROOF COMPLETE, CHAIN NOT SHOWN (exit code 0)."
        status, headers, document = served.ask(Authorization=f"Bearer {served.token}")
        assert (status, document["error"]) == (429, f"the last re-check ended less than {PAUSE} s ago")
        assert 0 < int(headers["retry-after"]) <= PAUSE
        rows = visit.page.locator("#recheck-rows tr").all_inner_texts()
        assert [("prod9" in row, "✓ pass" in row) for row in rows] == [(True, True), (False, True)]
        assert visit.page.locator("#recheck-rows a").all_inner_texts() == ["Entry 1", "Entry 2"]
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
        visit.page.evaluate(axe_source(tmp_path_factory.mktemp("axe")))
        found = visit.page.evaluate("axe.run()")["violations"]
        assert [item["id"] for item in found if item["impact"] in ("serious", "critical")] == []
        assert visit.said == []
        assert all(url.startswith(served.url) for url in visit.asked)
        picture(visit, "recheck")
    assert served.entries() == 2
    assert served.state()["exit_code"] == 0
    assert served.ask("GET", "/entries/1?format=json")[2]["accepted"] is True


def test_an_instance_that_does_not_answer_leaves_the_others_judged_and_kept(
    browser: Browser, world: World, tmp_path: Path
) -> None:
    with (
        serving(world, tmp_path / "gone", ["prod9", NOBODY]) as served,
        opened(browser, served, path=f"/recheck#token={served.token}") as visit,
    ):
        visit.page.click("#recheck-start")
        assert "NOT PROVED: THE EVIDENCE IS INCOMPLETE (exit code 5)" in finished(visit)
        rows = visit.page.locator("#recheck-rows tr").all_inner_texts()
        assert "✓ pass" in rows[0]
        assert "no evidence: " in rows[1]
        assert served.entries() == 1


def test_an_instance_that_lies_is_red_with_its_reason(browser: Browser, world: World, tmp_path: Path) -> None:
    world.switch(Fault.FORGED_EVENT, "prod7")
    try:
        with (
            serving(world, tmp_path / "lies", ["prod9", "prod7"]) as served,
            opened(browser, served, path=f"/recheck#token={served.token}") as visit,
        ):
            visit.page.click("#recheck-start")
            assert "(exit code 3)" in finished(visit)
            row = visit.page.locator('#recheck-rows tr[data-status="fail"]').inner_text()
            assert "prod7" in row
            assert "dstack." in row
            assert served.entries() == 2
    finally:
        world.switch(Fault.FORGED_EVENT, "prod7", on=False)


def test_a_wrong_token_is_told_on_the_page(browser: Browser, served: Served) -> None:
    with opened(browser, served) as visit:
        visit.page.fill("#recheck-token", "not the token")
        visit.page.click("#recheck-start")
        visit.page.wait_for_function("document.getElementById('recheck-say').textContent.startsWith('Not started')")
        assert "this needs the token of this server" in visit.page.inner_text("#recheck-say")


@pytest.mark.parametrize(
    "flags", [["--instance", "nobody"], ["--instance", "ftp://x"], ["--instance", NOBODY, "--token-file", "missing"]]
)
def test_what_cannot_be_asked_is_told_before_anything_is_served(flags: list[str], tmp_path: Path) -> None:
    with Archive(str(tmp_path / "archive"), write=True):
        pass
    assert main(["serve", str(tmp_path / "archive"), *flags]) == 2


def recheck(ask: Callable[[Callable[[str], None]], Rechecked], clock: Callable[[], int]) -> Recheck:
    return Recheck(("a", "b"), ask, token="t" * 16, clock=clock)


def test_one_at_a_time_and_not_too_often() -> None:
    gate = threading.Event()

    def ask(told: Callable[[str], None]) -> Rechecked:
        told("a")
        gate.wait(10)
        return Rechecked((RecheckedInstance("a", "pass", "x", 1), RecheckedInstance("b", "pass", "y", 2)), "DONE", 0)

    now = [100]
    one = recheck(ask, lambda: now[0])
    one.start()
    with pytest.raises(Busy, match="a re-check is running"):
        one.start()
    gate.set()
    for _ in range(200):
        if one.document()["state"] == "done":
            break
        threading.Event().wait(0.02)
    assert one.document()["outcome"] == "DONE"
    now[0] = 100 + PAUSE - 1
    with pytest.raises(Busy) as caught:
        one.start()
    assert caught.value.wait == 1
    now[0] = 100 + PAUSE
    one.start()
    assert one.document()["state"] in ("running", "done")


def test_an_error_ends_the_re_check_and_not_the_server() -> None:
    def ask(_told: Callable[[str], None]) -> Rechecked:
        raise RuntimeError("out of luck")

    one = recheck(ask, lambda: 0)
    one.start()
    for _ in range(200):
        if one.document()["state"] == "done":
            break
        threading.Event().wait(0.02)
    document = one.document()
    assert (document["outcome"], document["error"], document["exit_code"]) == ("NOT RE-CHECKED", "out of luck", 1)
