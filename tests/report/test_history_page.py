"""The page about an app's past: its proofs are repeated by the browser, and what no proof shows is said."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser import Visit, axe_source, picture, until_repeated
from told_app import HASHES, Told, publish, told_app
from twinproof.cli.main import main

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with told_app() as told:
        yield told


@pytest.fixture(scope="module")
def pages(told: Told, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With proofs, without, and with published files whose names are hostile."""
    folder = tmp_path_factory.mktemp("history")
    published = publish(folder / "releases")
    hostile = folder / "hostile"
    hostile.mkdir()
    shutil.copy(published / "v1.1.0" / "app-compose.json", hostile / f"{HOSTILE.replace('/', '%')}.json")
    command = ["history", "0x" + told.app.address.hex(), "--chain", told.chain.url, "--no-cache", "--json"]
    command += ["--kms", "0x" + told.kms.address.hex(), "--config", str(_empty(folder))]
    found = {}
    for name, flags in (
        ("proved", ["--proof", "--published", str(published)]),
        ("plain", ["--published", str(published)]),
        ("hostile", ["--published", str(hostile)]),
    ):
        path = folder / f"{name}.html"
        assert main([*command, *flags, "--html", str(path)]) == 4
        found[name] = path.read_text(encoding="utf-8")
    return found


def _empty(folder: Path) -> Path:
    path = folder / "twinproof.toml"
    path.touch()
    return path


def test_the_verdict_the_versions_and_who_could_change_it_are_on_the_page(pages: dict[str, str], told: Told) -> None:
    text = pages["proved"]
    assert "<h1>NOT EVERY VERSION IS PUBLISHED</h1>" in text
    assert "is published: NO, 1 dark." in text
    assert {told.dark.hex(), *(HASHES[name].hex() for name in ("1.0.0", "1.1.0", "1.2.0"))} == set(
        re.findall(r'data-published="([0-9a-f]{64})"', text)
    )
    for words in ("DARK, still allowed", "no longer allowed", "replaced, still allowed", "by 1.2.0"):
        assert words in text
    assert "One key can let any other code run as this app, at once." in text
    assert "who can allow other code and machines" in text
    assert told.first_owner.address.hex() in text


def test_nothing_is_loaded_and_only_our_script_runs(pages: dict[str, str]) -> None:
    for text in pages.values():
        assert "default-src &#39;none&#39;" in text
        assert text.count("sha256-") == 2
        assert not re.search(r"<(?:link|img|iframe|form)\b|<[a-z]+[^>]*\ssrc=|https?://(?!www\.w3\.org)", text)


def test_hostile_names_of_published_files_stay_names(pages: dict[str, str], opened: Callable[..., Visit]) -> None:
    assert "<script>alert" not in pages["hostile"]
    assert "&lt;script&gt;alert" in pages["hostile"]
    visit = opened(pages["hostile"])
    assert visit.page.locator("img").count() == 0
    assert visit.said == []


def test_the_browser_repeats_every_proof_and_every_published_text(
    pages: dict[str, str], opened: Callable[..., Visit]
) -> None:
    visit = opened(pages["proved"])
    assert "of the proofs and texts inside: all hold" in visit.page.inner_text("#browser-progress")
    said = visit.page.locator("[data-log] .browser").all_inner_texts()
    assert len(said) >= 8
    assert set(said) == {"this browser: holds"}
    texts = visit.page.locator("[data-published]").all()
    assert [row.locator(".browser").inner_text() for row in texts].count("this browser: holds") == 3
    dark = visit.page.locator('[data-published][data-status="fail"] .browser').inner_text()
    assert dark == "this browser: not repeated (needs the published text, which is not inside)"
    assert visit.said == []
    assert [url.partition(":")[0] for url in visit.asked] == ["file"]
    picture(visit, "history")


def test_without_proofs_nothing_is_called_verified(pages: dict[str, str], opened: Callable[..., Visit]) -> None:
    visit = opened(pages["plain"])
    said = visit.page.locator("[data-log] .browser").all_inner_texts()
    assert set(said) == {"this browser: not repeated (no proof is inside: the word of one endpoint)"}
    assert "no log was proved (--proof)" in pages["plain"]


def _proof(text: str, edit: Callable[[list[dict[str, object]]], None]) -> str:
    match = re.search(r'id="history-proofs">(.*?)</script>', text, re.DOTALL)
    assert match
    items = json.loads(match[1])
    edit(items)
    return text[: match.start(1)] + json.dumps(items) + text[match.end(1) :]


def _flip(text: object) -> str:
    assert isinstance(text, str)
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _node(items: list[dict[str, object]]) -> None:
    receipt = items[0]["receipt"]
    assert isinstance(receipt, dict)
    receipt["nodes"][0] = _flip(receipt["nodes"][0])


def _header(items: list[dict[str, object]]) -> None:
    block = items[0]["block"]
    assert isinstance(block, dict)
    block["header"] = _flip(block["header"])


def _log(items: list[dict[str, object]]) -> None:
    log = items[-1]["log"]
    assert isinstance(log, dict)
    log["data"] = _flip(log["data"])


LIES: dict[str, Callable[[str], str]] = {
    "a byte of a receipt": lambda text: _proof(text, _node),
    "a byte of a block": lambda text: _proof(text, _header),
    "a byte of a log": lambda text: _proof(text, _log),
    "a hash in the table": lambda text: re.sub(r'data-hash="[0-9a-f]{64}"', f'data-hash="{"7" * 64}"', text, count=1),
    "an addition shown as a removal": lambda text: re.sub(
        r'(data-hash="[0-9a-f]{64}") data-sign="\+"', r'\1 data-sign="-"', text, count=1
    ),
    "another time": lambda text: re.sub(r'data-time="[0-9]+"', 'data-time="1700000000"', text, count=1),
    "a published text": lambda text: text.replace(r"\"name\": \"v1\"", r"\"name\": \"v7\""),
}


@pytest.mark.parametrize("what", LIES)
def test_one_lie_in_the_file_is_red_and_named(what: str, pages: dict[str, str], opened: Callable[..., Visit]) -> None:
    edited = LIES[what](pages["proved"])
    assert edited != pages["proved"]
    visit = opened(edited)
    assert "This browser DISAGREES" in visit.page.inner_text("#browser-progress")
    assert visit.page.locator("#browser-differences li").count() >= 1
    red = visit.page.locator('.browser[data-status="fail"]').count()
    assert red or what == "a byte of a log"  # of a PolicyChanged, which has no row of its own


def test_a_phone_the_keyboard_and_the_dark(pages: dict[str, str], opened: Callable[..., Visit]) -> None:
    visit = opened(pages["proved"], width=360, scheme="dark")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 24)"
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    visit.page.focus("#browser-again")
    visit.page.keyboard.press("Enter")
    until_repeated(visit)
    assert "all hold" in visit.page.inner_text("#browser-progress")


def test_no_serious_accessibility_findings(
    pages: dict[str, str], opened: Callable[..., Visit], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = axe_source(tmp_path_factory.mktemp("axe"))
    visit = opened(pages["proved"])
    visit.page.evaluate(source)
    found = visit.page.evaluate("axe.run()")["violations"]
    assert [
        (item["id"], item["nodes"][0]["html"][:200]) for item in found if item["impact"] in ("serious", "critical")
    ] == []
