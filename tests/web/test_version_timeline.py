"""The versions: where each ran, since when it is allowed, what replaced it, what is dark, or "not known"."""

from __future__ import annotations

import hashlib
import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser import visiting
from served_pages import Served, serving
from small_boot import COMPOSE, COMPOSE_HASH, Boot
from small_chain import TRUSTED, proved
from small_files import archived, root_file
from small_instance import AT, Instance, edited, judge, twins, verifier
from twinproof.chain_question import attested_by
from twinproof.cli.main import main
from twinproof.errors import Malformed
from twinproof.evidence.evidence import Evidence
from twinproof.policy import Policy
from twinproof.release.history_file import parse_history
from twinproof.sources.archive.store import Archive

NEWER = COMPOSE.replace("toy@", "newer@")
NEWER_HASH = hashlib.sha256(NEWER.encode()).digest()
DARK = "d" * 64
HOSTILE = '"><script>alert(1)</script>'


def newer(machine: str, index: int, at: int) -> Evidence:
    said: dict[str, object] = {"version": "1.3.0", "compose_hash": NEWER_HASH.hex()}
    boot = Boot().with_payload("compose-hash", NEWER_HASH)
    instance = Instance(machine, index, boot=boot, said=said)
    return edited(instance.evidence(at=at), app_compose=NEWER)


def evidences(*, chain: bool) -> list[Evidence]:
    """1.2.0 on both machines; prod9 goes to 1.3.0 and back."""
    first, second = (instance.evidence() for instance in twins())
    if chain:
        attested = attested_by(judge(second).claims)
        assert attested is not None
        second = second.with_chain(proved(attested, at=AT))
    back = replace(Instance("prod9", 2).evidence(at=AT + 200))
    return [first, second, newer("prod9", 3, AT + 100), back]


def filled(folder: Path, *, chain: bool) -> Path:
    root_file(folder)
    archived(folder, *evidences(chain=chain), judge=verifier(Policy(chain=TRUSTED)))
    (folder / "policy.toml").write_text(
        f"[policy]\nchain_id = {TRUSTED.chain_id}\nkms_contract = '{TRUSTED.kms.hex()}'\n", encoding="ascii"
    )
    return folder


def moment(block: int) -> dict[str, object]:
    return {"block": block, "time": AT - 1000 + block, "transaction": "0x" + "ab" * 32, "log_index": 0, "actor": None}


def history(name: str = "1.2.0") -> dict[str, object]:
    def version(digest: str, names: list[str], *, dark: bool, since: int, until: int | None) -> dict[str, object]:
        span = {"since": moment(since), "until": None if until is None else moment(until)}
        return {"compose_hash": f"0x{digest}", "versions": names, "dark": dark, "spans": [span]}

    return {
        "schema": "twinproof/history/v1",
        "app_id": "0x" + "11" * 20,
        "chain_id": 31337,
        "to_block": 99,
        "proved": True,
        "whose_word": "what all of them say",
        "versions": [
            version(COMPOSE_HASH.hex(), [name], dark=False, since=20, until=80),
            version(DARK, [], dark=True, since=30, until=None),
        ],
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("plain"), chain=False)


def test_without_a_chain_it_says_not_known_and_where_each_ran(plain: Path) -> None:
    with serving(plain) as served:
        rows = {row["version"]: row for row in served.json("/versions")["versions"]}
        text = served.get("/versions")[2]
    assert list(rows) == ["1.3.0", "1.2.0"]
    for row in rows.values():
        assert row["allowed_since"][0].startswith("not known: ")
        assert row["allowed_until"][0].startswith("not known: ")
        assert row["dark"].startswith("no: its text is in entry ")
    (ran,) = rows["1.3.0"]["ran"]
    assert (ran["first"], ran["last"], ran["count"]) == (AT + 100, AT + 100, 1)
    assert ran["replaced"].startswith(f"replaced by 1.2.0 ({COMPOSE_HASH.hex()[:12]}), first proved ")
    told = sorted(ran["replaced"][:12] for ran in rows["1.2.0"]["ran"])
    assert told == ["not replaced", "not replaced", "replaced by "]
    assert "not known</span> Which versions were allowed and never proved here" in text


def test_chain_evidence_in_a_bundle_dates_its_version(tmp_path: Path) -> None:
    folder = filled(tmp_path, chain=True)
    with Archive(str(folder / "archive")) as archive:
        assert len(archive) == 4
    with serving(folder, "--policy", str(folder / "policy.toml")) as served:
        rows = {row["version"]: row for row in served.json("/versions")["versions"]}
    assert rows["1.3.0"]["allowed_since"][0].startswith("not known: ")
    (since,) = rows["1.2.0"]["allowed_since"]
    assert since.startswith("block 20, ")
    assert since.endswith("(entry 2, its place is proved, that the block is of the chain is not)")


def test_a_history_tells_since_when_until_when_and_what_is_dark(plain: Path, tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps(history(HOSTILE)), encoding="ascii")
    with serving(plain, "--history", str(path)) as served:
        rows = {row["compose_hash"]: row for row in served.json("/versions")["versions"]}
        known = rows[COMPOSE_HASH.hex()]
        assert known["allowed_since"][0].startswith("block 20, ")
        assert known["allowed_until"][0].startswith("block 80, ")
        assert rows[DARK]["status"] == "fail"
        assert rows[DARK]["dark"] == "DARK: allowed, and published nowhere (history.json)"
        assert rows[DARK]["allowed_until"] == ["still allowed in block 99 (history.json)"]
        assert rows[DARK]["ran"] == []
        assert rows[NEWER_HASH.hex()]["allowed_since"][0].startswith("not known")
        text = served.get("/versions")[2]
        assert "<script>alert" not in text
        assert "no accepted proof of it in this archive" in text
        links = re.findall(r'href="(/diff[^"]*)"', text)
        assert [served.get(html.unescape(link))[0] for link in links] == [200]  # none to a version without a proof
        _looks_right(served, browser)


def _looks_right(served: Served, browser: Browser) -> None:
    with visiting(browser, f"{served.url}/versions", width=360, offline=False) as visit:
        assert visit.page.locator('tr[data-status="fail"]').count() == 1
        assert visit.page.locator("svg.timeline rect.bar").count() == 4
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
        assert visit.said == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("schema", "twinproof/history/v2"),
        ("to_block", "many"),
        ("versions", [{"compose_hash": "0x12", "versions": [], "dark": True, "spans": [{"since": None}]}]),
        ("versions", [{"compose_hash": "0x" + DARK, "versions": [], "dark": True, "spans": []}]),
        ("versions", [{"compose_hash": "0x" + DARK, "versions": [], "dark": "no", "spans": [{"since": None}]}]),
    ],
)
def test_a_history_of_another_form_is_refused(member: str, value: object, plain: Path, tmp_path: Path) -> None:
    document = {**history(), member: value}
    with pytest.raises(Malformed):
        parse_history(json.dumps(document).encode(), "history.json")
    path = tmp_path / "history.json"
    path.write_text(json.dumps(document), encoding="ascii")
    assert main(["serve", str(plain / "archive"), "--history", str(path)]) == 2
