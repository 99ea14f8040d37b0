"""The README's output is what the demo prints, and its code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

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
    """Values that change from run to run, made the same; wrapping depends on none of them."""
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twinproof_devnet", "demo"],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path_factory.mktemp("home")), "PYTHONIOENCODING": "utf-8"},
        cwd=ROOT,
    )


def test_the_demo_ends_as_it_should(demo: subprocess.CompletedProcess[str]) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")
    codes = re.findall(r"^  exit code (.*)$", demo.stdout, re.MULTILINE)
    assert [code for code in codes if code != "0"] == ["4", "4", "3", "3", "4", "4"]  # diff, half an upgrade, four lies
    assert re.search(r"^All 24 commands and statements ended as they should\.$", demo.stdout, re.MULTILINE)


def test_the_demo_shows_what_it_promises(demo: subprocess.CompletedProcess[str]) -> None:
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


def test_the_demo_ends_with_the_path_of_a_report_that_is_there(demo: subprocess.CompletedProcess[str]) -> None:
    last = demo.stdout.splitlines()[-1].rpartition(" ")[2]
    report = Path(urlsplit(last).path).read_text(encoding="utf-8")
    assert "<h1>PROOF COMPLETE</h1>" in report
    assert "SIMULATED HARDWARE" in report


def test_the_readmes_output_is_the_demos(demo: subprocess.CompletedProcess[str]) -> None:
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
    import json

    said = judge(Instance().evidence().quote, json.dumps(devnet_collateral().to_json()), AT)
    assert said == "genuine False, TCB None, advisories ()"


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for path in (ROOT / "README.md", *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "enclave" / "README.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
