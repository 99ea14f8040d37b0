"""The README's output is what the demo prints, and its code runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from browser import chromium, until_repeated, visiting
from small_instance import AT, Instance, devnet_collateral

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
VOLATILE = (
    (r"twinproof-[0-9a-z_]{8}", "twinproof-XXXXXXXX"),
    (r"(?<=127\.0\.0\.1:)\d+", "PORT"),
    (r"[0-9a-f]{64}", "HEX"),
    (r"0x[0-9a-f]{40}", "ADDRESS"),
    (r"0x[0-9a-f]{11,}…", "HEX…"),
    (r"\b[0-9a-f]{11,}…", "HEX…"),
    (r"\bblock \d+", "block N"),
    (r"\b[0-9a-f]{12}\b", "HEX"),
    (r"quote, \d{4} bytes", "quote, SIZE bytes"),  # DER signatures have 70 to 72 bytes
    (r"\d{4}-\d{2}-\d{2}", "DATE"),
    (r"\d{2}:\d{2}:\d{2}", "TIME"),
)


def masked(text: str) -> str:
    """Values that change from run to run, made the same; a longer one may wrap lines elsewhere."""
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text)
    return " ".join(text.split())


@dataclass(frozen=True)
class Demo:
    """`stdout` up to where the world goes on, `kept` from there, `versions` of the instances meanwhile."""

    returncode: int
    stdout: str
    stderr: str
    kept: str
    versions: tuple[str, ...]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One run, kept for a moment and then told to stop."""
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONIOENCODING": "utf-8"}
    with (home / "stderr").open("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "twinproof_devnet", "demo", "--keep"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=ROOT,
        )
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not (lines and lines[-1].startswith("cd /")):
                lines.append(process.stdout.readline())
                if not lines[-1]:
                    break
            stdout, _, kept = "".join(lines).partition("\n=== The world goes on")
            versions = tuple(version_of(url) for url in re.findall(r"^prod\d +(http\S+)$", kept, re.MULTILINE))
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        return Demo(process.returncode, stdout, errors.read(), kept, versions)


def version_of(url: str) -> str:
    with urllib.request.urlopen(f"{url}/version", timeout=10) as answer:
        return str(json.load(answer)["version"])


def test_the_demo_ends_as_it_should(demo: Demo) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")
    codes = re.findall(r"^  exit code (.*)$", demo.stdout, re.MULTILINE)
    assert [code for code in codes if code != "0"] == ["4", "4", "3", "3", "4", "4"]  # diff, half an upgrade, four lies
    assert re.search(r"^All 24 commands and statements ended as they should\.$", demo.stdout, re.MULTILINE)


def test_the_demo_shows_what_it_promises(demo: Demo) -> None:
    titles = re.findall(r"^=== ([^:.;\n]+)", demo.stdout, re.MULTILINE)
    assert titles == [
        "The devnet",
        "v1",
        "People sign up",
        "A developer adds a feature and makes the next version",
        "The compose hash changes, and why",
        "Half an upgrade, on purpose",
        "The whole upgrade",
        "The proof",
        "What was written down",
        "The public memory",
        "Lie 1",
        "Lie 2",
        "Lie 3",
        "Lie 4",
    ]
    rows = re.findall(r"^\| [\d-]+ [\d:]+ \| (\S+) \| (\S+) \|.*\| (\w+) \|$", demo.stdout, re.MULTILINE)
    assert sorted(rows) == [
        ("1.0.0", r"prod7\*", "Replaced"),
        ("1.0.0", r"prod9\*", "Replaced"),
        ("1.1.0", r"prod7\*", "Active"),
        ("1.1.0", r"prod9\*", "Active"),
    ]


def test_the_demo_ends_with_the_path_of_a_report_that_is_there(demo: Demo) -> None:
    last = demo.stdout.splitlines()[-1].rpartition(" ")[2]
    report = Path(urlsplit(last).path).read_text(encoding="utf-8")
    assert "<h1>PROOF COMPLETE</h1>" in report
    assert "SIMULATED HARDWARE" in report


def test_the_demos_report_verifies_itself_again_in_a_browser_without_a_network(demo: Demo) -> None:
    address = demo.stdout.splitlines()[-1].rpartition(" ")[2]
    with chromium() as browser, visiting(browser, address) as visit:
        until_repeated(visit)
        assert "all hold, and it agrees with the report" in visit.page.inner_text("#browser-progress")
        chain = visit.page.locator('[id^="browser-"][id$="-chain.compose_hash"]')
        assert set(chain.all_text_contents()) == {"this browser: holds"}
        assert [url.partition(":")[0] for url in visit.asked] == ["file"]
        assert visit.said == []


def test_a_world_that_is_kept_says_where_it_is_and_goes_on(demo: Demo) -> None:
    assert demo.versions == ("1.1.0", "1.1.0")
    for word in ("export PHALA_CLOUD_API_PREFIX=http://127.0.0.1:", "chain RPC", "owner", "registry", "cd /"):
        assert word in demo.kept


def test_the_readmes_output_is_the_demos(demo: Demo) -> None:
    match = re.search(r"<!-- demo:begin -->\n```console\n(.*?)```\n<!-- demo:end -->", README, re.DOTALL)
    assert match
    assert masked(match[1]) in masked(demo.stdout)


def test_the_readmes_library_example_runs() -> None:
    match = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert match
    names: dict[str, object] = {}
    exec(match[1], names)
    judge = names["judge"]
    assert callable(judge)
    said = judge(Instance().evidence().quote, json.dumps(devnet_collateral().to_json()), AT)
    assert said == "genuine False, TCB None, advisories ()"


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for path in (ROOT / "README.md", *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "enclave" / "README.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
