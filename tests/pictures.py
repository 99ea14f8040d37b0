"""`make pictures`: the pictures of docs/REPORTS.md and README.md, taken of a report of the simulated world."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from browser import chromium, until_repeated, visiting
from rechecked import served
from told_app import publish, told_app
from twinproof.cli.main import main
from twinproof_devnet.world import World

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"


def take() -> None:
    """A report of two machines; the same with one byte of an event log changed; both in a real browser."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, World.start(("prod9", "prod7"), chain=True, endpoints=3) as world:
        report, tampered = Path(folder) / "report.html", Path(folder) / "tampered.html"
        flags = ["--trust-root", str(world.root_path), "--config", str(world.config_path), "--no-cache"]
        if main(["compare", "prod9", "prod7", *flags, "--proof", "--html", str(report)]) != 0:
            raise SystemExit("no proof, so no picture")
        tampered.write_text(_tampered(report.read_text(encoding="utf-8")), encoding="utf-8")
        with chromium() as browser:
            _picture(browser, report, "report", 1000)
            _picture(browser, report, "report-phone", 360, scheme="dark", height=760)
            _picture(browser, report, "chain", 1000, part=".chains")
            _picture(browser, tampered, "chain-tampered", 1000, part="figure")
            _recheck(browser, world, Path(folder))
    with tempfile.TemporaryDirectory() as folder, told_app() as told, chromium() as browser:
        page = Path(folder) / "history.html"
        flags = ["--chain", told.chain.url, "--kms", "0x" + told.kms.address.hex(), "--no-cache", "--proof"]
        flags += ["--published", str(publish(Path(folder) / "releases")), "--html", str(page)]
        main(["history", "0x" + told.app.address.hex(), *flags])
        _picture(browser, page, "history", 1000)


def _recheck(browser: Browser, world: World, folder: Path) -> None:
    """The pages over an empty archive: a re-check of one machine that answers, and one that does not."""
    with (
        served(world, folder, ["prod9", "http://127.0.0.1:9"]) as (url, token),
        visiting(browser, f"{url}/recheck#token={token}", width=1000, offline=False) as visit,
    ):
        visit.page.click("#recheck-start")
        visit.page.wait_for_selector("body[data-recheck=done]", state="attached")
        visit.page.set_viewport_size({"width": 1000, "height": 460})
        visit.page.screenshot(path=FOLDER / "recheck.png")


def _tampered(text: str) -> str:
    """The version in the evidence of prod9, edited, as its owner might like to."""
    match = re.search(r'id="evidence-0">(.*?)</script>', text, re.DOTALL)
    if match is None:
        raise SystemExit("no evidence in the report")
    block = json.loads(match[1])
    log = json.loads(block["bundle"]["event_log"])
    event = next(item for item in log if item["event"] == "compose-hash")
    event["event_payload"] = f"{int(event['event_payload'][:2], 16) ^ 1:02x}{event['event_payload'][2:]}"
    block["bundle"]["event_log"] = json.dumps(log)
    return text[: match.start(1)] + json.dumps(block).replace("<", "\\u003c") + text[match.end(1) :]


def _picture(
    browser: Browser, path: Path, name: str, width: int, *, part: str = "", scheme: str = "light", height: int = 900
) -> None:
    with visiting(browser, path.as_uri(), width=width, scheme="dark" if scheme == "dark" else "light") as visit:
        until_repeated(visit)
        visit.page.set_viewport_size({"width": width, "height": height})
        target = FOLDER / f"{name}.png"
        if part:
            visit.page.locator(part).first.screenshot(path=target)
        else:
            visit.page.screenshot(path=target)


if __name__ == "__main__":
    take()
