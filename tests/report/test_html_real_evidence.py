"""What the page's script says of real, Intel-signed evidence, good and spoiled, is what the tool says, step by step."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser import from_disk
from recorded import collateral, index, mutations, quote_bytes, spoiled
from twinproof.dcap.collateral import Collateral
from twinproof.errors import Malformed, Unavailable
from twinproof.report.html.page import html_report
from twinproof.verdict import Status
from twinproof.verifier import Verdict, Verifier

pytestmark = pytest.mark.vectors
NOT_ASKED = [("another instance", Unavailable("not asked"))]


def repeated_by_the_browser(verdicts: Sequence[Verdict], browser: Browser, directory: Path) -> tuple[int, str]:
    """How many steps it repeated, and what it says of them."""
    text = html_report(None, verdicts, NOT_ASKED, now=0)
    with from_disk(browser, directory, text, seconds=200) as visit:
        said = visit.page.inner_text("#browser-progress") + visit.page.inner_text("#browser-differences")
        assert visit.said == []
    match = re.search(r"repeated (\d+) steps under the Intel SGX Root CA", said)
    assert match, said
    return int(match[1]), said


@pytest.mark.usefixtures("vectors")
def test_real_quotes(browser: Browser, tmp_path: Path) -> None:
    verifier = Verifier()
    cases = index()["cases"][::3]
    verdicts = [
        verifier.verify_quote(quote_bytes(case["quote"]), collateral(case["collateral"]), at=case["now"])
        for case in cases
    ]
    steps, _ = repeated_by_the_browser(verdicts, browser, tmp_path)
    assert steps > 15 * len(cases)


@pytest.mark.usefixtures("vectors")
def test_spoiled_quotes_and_collateral(browser: Browser, tmp_path: Path) -> None:
    verifier, verdicts = Verifier(), []
    for mutation in mutations():
        quote, members = spoiled(mutation)
        try:
            verdicts.append(verifier.verify_quote(quote, Collateral.from_json(json.dumps(members)), at=mutation["now"]))
        except Malformed:
            continue  # no collateral at all, so no verdict and no page
    failed = sum(any(check.status is Status.FAIL for check in verdict.checks) for verdict in verdicts)
    _, said = repeated_by_the_browser(verdicts, browser, tmp_path)
    match = re.search(r"(\d+) do not hold, as the report says", said)
    assert match
    assert failed > 100
    assert int(match[1]) > failed / 2
