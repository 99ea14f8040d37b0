"""The report of a comparison of a hundred instances, opened in Chromium."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from statistics import median
from typing import TYPE_CHECKING, cast

from bench.progress import rounds_within, say
from bench.results import Bar, Section
from bench.rounds import Figure
from bench.simulated import AT, SESSION, Platform
from twinproof.comparison import compare
from twinproof.evidence.nonce import challenge_for
from twinproof.report.html.page import html_report
from twinproof.verifier import Verifier
from twinproof_devnet.host import TdxHost

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["measure"]

INSTANCES, SMALL = 100, 4
MAX_ROUNDS = 9
MAX_SECONDS = 90.0
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
METHOD = """\
`twinproof compare --html FILE` of 100 instances on 100 devnet machines, opened from disk in a headless Chromium,
offline, each time in a context of its own (no cache), 1,200 x 900 pixels. Times are the browser's own, from the start
of the navigation. \"Can be read\": the verdict is laid out and the frame after it has begun. The load event comes when
the whole file was parsed and every check of every instance stands in the page. Only then does the page begin to repeat
the verification with the browser's own cryptography, in slices, while it can be read and used."""
_WATCH = """
addEventListener("DOMContentLoaded", () => {}, { once: true });
const seen = new MutationObserver(() => {
  if (!document.querySelector("header.verdict > p + h1 + p")) return;
  seen.disconnect();
  requestAnimationFrame(() => setTimeout(() => { globalThis.verdictAt = performance.now(); }));
});
seen.observe(document, { childList: true, subtree: true });
globalThis.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.startTime > performance.getEntriesByType("navigation")[0].loadEventEnd)
      globalThis.longest = Math.max(globalThis.longest, entry.duration);
  }
}).observe({ type: "longtask", buffered: true });
"""
_ASK = """
() => {
  const [page] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return [paint ? paint.startTime : -1, globalThis.verdictAt ?? -1, page.domInteractive, page.loadEventEnd,
    performance.now(), globalThis.longest];
}
"""
_NAMES = (
    "the first content is painted",
    "the verdict can be read",
    "the file is parsed",
    "the load event",
    "the browser has repeated every verification",
)


def _page(number: int) -> str:
    first = Platform.create()
    verifier, collateral = Verifier(roots=(first.root,)), first.collateral()
    verdicts = []
    for index in range(number):
        host = TdxHost.create(first.pki, AT, name=f"machine {index}")
        boot = replace(first.boot, app_id=bytes(20), instance_id_seed=index.to_bytes(20, "big"))
        challenge = challenge_for(SESSION, index, f"https://prod{index}.example")
        evidence = replace(first, host=host).answer(boot, collateral, challenge=challenge)
        verdicts.append(verifier.verify(evidence))
    proof = compare(verdicts)
    if not proof.complete:
        raise AssertionError((proof.outcome, proof.first_difference))
    return html_report(proof, verdicts, now=AT)


@contextmanager
def _browser() -> Iterator[Browser | None]:
    """None where Chromium or Playwright is missing."""
    path = which("chromium")
    if path is None or find_spec("playwright") is None:
        yield None
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (not part of every set-up)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


def _opened(browser: Browser, url: str) -> list[float]:
    """Milliseconds of `_NAMES`, and the longest time for which the page did not answer while it repeated things."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(_WATCH)
    page.goto(url)
    page.wait_for_selector("#browser-result[data-done]", state="attached")
    found = cast("list[float]", page.evaluate(_ASK))
    said = page.inner_text("#browser-progress")
    context.close()
    if "all hold, and it agrees" not in said or -1 in found:
        raise AssertionError((said, found))
    return found


def measure(rounds: int, *, small: bool = False) -> list[Section]:
    number = SMALL if small else INSTANCES
    bars = (f"the verdict of a report of {number} instances can be read", "the load event of the same")
    with tempfile.TemporaryDirectory() as folder, _browser() as browser:
        if browser is None:
            notes = ["**Not run**: there is no Chromium, or no Playwright, on this machine."]
            return [Section("A report", METHOD, [], [Bar(name, None, 1000, "ms") for name in bars], notes)]
        say(f"making a report of {number} instances")
        path = Path(folder, "report.html")
        path.write_text(_page(number), encoding="utf-8")
        found = [_opened(browser, path.as_uri()) for _ in rounds_within(min(rounds, MAX_ROUNDS), MAX_SECONDS)]
        size, name = path.stat().st_size, f"Chromium {browser.version}, Playwright {version('playwright')}"
    figures = [
        Figure(name, tuple(value / 1000 for value in values))
        for name, values in zip(
            (*_NAMES, "the longest task behind the load event"), zip(*found, strict=True), strict=True
        )
    ]
    return [
        Section(
            "A report",
            METHOD,
            [figure.to_json("ms") for figure in figures],
            [
                Bar(bars[0], median(figures[1].seconds) * 1000, 1000, "ms"),
                Bar(bars[1], median(figures[3].seconds) * 1000, 1000, "ms"),
            ],
            [f"The file has {size / 1e6:.1f} MB. {name}."],
        )
    ]
