"""`--second-opinion` on real, Intel-signed evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinproof.cli.main import main

pytestmark = pytest.mark.vectors

COLLATERAL = ("dcap", "collateral", "tdx-90C06F000000-2026-03-16-eval18.json")
AT = "2026-04-15T11:28:33Z"


def status(text: str) -> str:
    verdict = json.loads(text)
    return next(str(check["status"]) for check in verdict["checks"] if check["id"] == "dcap.second_opinion")


@pytest.mark.parametrize(("flags", "expected"), [([], "not_checked"), (["--second-opinion"], "pass")])
def test_verify_asks_when_told(
    vectors: Path, capsys: pytest.CaptureFixture[str], flags: list[str], expected: str
) -> None:
    target = vectors / "dstack" / "verifier" / "tdx-lite-getquote.json"
    arguments = ["--collateral", str(vectors.joinpath(*COLLATERAL)), "--at", AT]
    assert main(["verify", str(target), *arguments, *flags, "--json"]) == 0
    assert status(capsys.readouterr().out) == expected


def test_compare_asks_about_every_instance(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = [str(vectors / "dstack" / "verifier" / f"{name}.json") for name in ("tdx-lite-getquote", "quote-report")]
    arguments = ["--collateral", str(vectors.joinpath(*COLLATERAL)), "--at", AT, "--second-opinion", "--json"]
    assert main(["compare", *targets, *arguments, "--require", "dcap.second_opinion"]) == 4  # they differ
    proof = json.loads(capsys.readouterr().out)
    assert [status(json.dumps(verdict)) for verdict in proof["instances"]] == ["pass", "pass"]


def test_a_dispute_prints_both_reasons(vectors: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An issuer chain without its root: refused here, accepted by dcap-qvl (docs/dcap-differences.md)."""
    members = json.loads(vectors.joinpath(*COLLATERAL).read_text(encoding="utf-8"))
    end = "-----END CERTIFICATE-----\n"
    members["tcb_info_issuer_chain"] = members["tcb_info_issuer_chain"].partition(end)[0] + end
    collateral = tmp_path / "collateral.json"
    collateral.write_text(json.dumps(members))
    target = vectors / "dstack" / "verifier" / "tdx-lite-getquote.json"
    code = main(["verify", str(target), "--collateral", str(collateral), "--at", AT, "--second-opinion"])
    out = " ".join(capsys.readouterr().out.split())
    assert code == 3
    assert "NOT GENUINE" in out
    assert "the verifiers disagree: twinproof: refused, " in out
    assert "dcap-qvl 0.7.0: accepted, UpToDate" in out
