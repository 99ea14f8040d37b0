"""Shared by every test: the real vectors, and the promise that they are never skipped in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from chain_engines import ENGINES, installed_anvil
from real_vectors import ENVIRONMENT_VARIABLE, must_run, vectors_directory
from twinproof_devnet.chain.anvil_process import VARIABLE
from twinproof_devnet.chain.engine_name import EngineName

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from browser import Visit

settings.register_profile("two shared cores", deadline=None, derandomize=True)
settings.load_profile("two shared cores")

_VECTORS: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}

_COUNTS: list[str] = []
"""What tests counted, by `record_property("counts", ...)`."""


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The directory of real evidence; the test is skipped, visibly, when a user has only the repository."""
    directory = vectors_directory()
    if directory is None:
        pytest.skip(f"real vectors not found (set {ENVIRONMENT_VARIABLE} to their directory)")
    return directory


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program. Without Node.js: skipped on a desk, a failure in CI."""
    return installed_anvil(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[EngineName]:
    """Each engine of the devnet's chain, ready to be started."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param is EngineName.ANVIL:
            patch.setenv(VARIABLE, request.getfixturevalue("anvil"))
        yield request.param


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a file of tests; the others do not wait for the import."""
    from browser import chromium

    with chromium() as running:
        yield running


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    """Opens the page of a text from disk, as `from_disk` does, until the test ends."""
    from browser import from_disk

    with ExitStack() as visits:
        yield lambda text, **how: visits.enter_context(from_disk(browser, tmp_path, text, **how))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        _COUNTS.extend(str(value) for name, value in report.user_properties if name == "counts")
    if "vectors" in report.keywords and (report.when == "call" or report.skipped or report.failed):
        _VECTORS[report.outcome].add(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in sorted(_COUNTS):
        terminalreporter.write_line(line)
    counts = {outcome: len(tests) for outcome, tests in _VECTORS.items()}
    if any(counts.values()):
        terminalreporter.write_line(
            f"real Intel-signed vectors: {counts['passed']} tests passed, {counts['failed']} failed, "
            f"{counts['skipped']} skipped" + ("" if vectors_directory() else f" (not found; {ENVIRONMENT_VARIABLE})")
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if must_run() and _VECTORS["skipped"] and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long values hold keys, quotes and times of the run: as names they would differ from one worker to the next."""
    return argname if isinstance(val, str | bytes) and len(val) > (60 if isinstance(val, str) else 8) else None
