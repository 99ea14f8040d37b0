"""The command on real, Intel-signed evidence: what a user sees, and every exit code."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from published_schemas import described
from twinproof.cli.main import main

AT = "2026-04-15T11:28:33Z"
LITE_MACHINE = "318a579a74326db98e209c5ffd7fd1e51a73bb1979c6408298a827a90ed268d0"
LITE_COMPOSE = "86b0e55f2fa8e4fb69d890f14f54d5612707646e2573d54e0d2ddaaade77caa9"

pytestmark = pytest.mark.vectors


@pytest.fixture
def lite(vectors: Path) -> str:
    return str(vectors / "dstack" / "verifier" / "tdx-lite-getquote.json")


@pytest.fixture
def legacy(vectors: Path) -> str:
    return str(vectors / "dstack" / "verifier" / "quote-report.json")


@pytest.fixture
def collateral(vectors: Path) -> list[str]:
    return [
        "--collateral",
        str(vectors / "dcap" / "collateral" / "tdx-90C06F000000-2026-03-16-eval18.json"),
        "--at",
        AT,
    ]


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["tdx-lite-getquote.json", "quote-report.json"])
def test_real_evidence_is_genuine_and_accepted(
    vectors: Path, collateral: list[str], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, verdict = run_json(capsys, "verify", str(vectors / "dstack" / "verifier" / name), *collateral)
    assert code == 0
    assert (verdict["genuine"], verdict["accepted"], verdict["fresh"]) == (True, True, False)
    assert (verdict["tcb_status"], verdict["advisory_ids"], verdict["simulated_hardware"]) == ("UpToDate", [], False)


def test_the_machine_and_the_compose_hash_come_from_the_quote(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, verdict = run_json(capsys, "verify", lite, *collateral)
    claims = verdict["claims"]
    assert isinstance(claims, dict)
    assert claims["platform"]["device_id"] == LITE_MACHINE
    assert claims["software"]["compose_hash"] == LITE_COMPOSE


def test_two_real_machines_with_different_code_are_told_apart(
    lite: str, legacy: str, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, proof = run_json(capsys, "compare", lite, legacy, *collateral)
    assert code == 4
    assert proof["first_difference"] == "compare.compose_hash"
    assert proof["outcome"] == "NOT PROVED: THE INSTANCES DIFFER"
    assert main(["compare", lite, legacy, *collateral]) == 4
    assert "First difference: the compose hash differs" in capsys.readouterr().out


def test_the_same_evidence_twice_is_not_two_machines(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    twin = tmp_path / "twin.json"
    twin.write_bytes(Path(lite).read_bytes())
    code, proof = run_json(capsys, "compare", lite, str(twin), *collateral)
    assert code == 4
    assert proof["first_difference"] == "compare.machine"


def test_a_target_named_twice_is_a_usage_error(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", lite, lite, *collateral]) == 2
    assert "named twice" in capsys.readouterr().err


def test_a_bundle_verifies_offline_at_its_own_terms(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["verify", lite, *collateral, "--save", str(tmp_path)]) == 0
    capsys.readouterr()
    (bundle,) = tmp_path.iterdir()
    code, verdict = run_json(capsys, "verify", str(bundle), "--at", AT)
    assert code == 0
    assert verdict["genuine"] is True


def test_one_changed_byte_of_the_log_is_not_genuine(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    forged = tmp_path / "forged.json"
    answer = json.loads(Path(lite).read_text(encoding="utf-8"))
    answer["event_log"] = answer["event_log"].replace(LITE_COMPOSE, "00" + LITE_COMPOSE[2:])
    forged.write_text(json.dumps(answer))
    code, verdict = run_json(capsys, "verify", str(forged), *collateral)
    assert code == 3
    assert verdict["genuine"] is False
    checks = {check["id"]: check for check in verdict["checks"]}
    assert checks["dstack.rtmr3_replay"]["status"] == "fail"
    assert checks["dstack.boot_events"]["reason"] == "blocked by dstack.rtmr3_replay"


def test_an_overwritten_report_data_breaks_the_signature(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = json.loads(Path(lite).read_text(encoding="utf-8"))
    quote = bytearray.fromhex(answer["quote"])
    quote[568:632] = bytes(64)
    answer["quote"] = quote.hex()
    forged = tmp_path / "simulated.json"
    forged.write_text(json.dumps(answer))
    code, verdict = run_json(capsys, "verify", str(forged), *collateral)
    assert code == 3
    failed = [check["id"] for check in verdict["checks"] if check["status"] == "fail"]
    assert failed == ["dcap.quote_signature"]


def test_a_raw_quote_and_its_hex_are_genuine_and_say_what_is_missing(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = json.loads(Path(lite).read_text(encoding="utf-8"))["quote"]
    raw, hexed = tmp_path / "quote.bin", tmp_path / "quote.hex"
    raw.write_bytes(bytes.fromhex(text))
    hexed.write_text(f"0x{text}\n")
    for path in (raw, hexed):
        code, verdict = run_json(capsys, "verify", str(path), *collateral)
        assert code == 0
        statuses = {check["id"]: check["status"] for check in verdict["checks"]}
        assert statuses["dstack.rtmr3_replay"] == statuses["dstack.boot_events"] == "not_checked"


def test_a_required_check_that_did_not_run_is_exit_4(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fresh", "image", "chain", "version", "dstack.compose_hash"):
        assert main(["verify", lite, *collateral, "--require", name]) == 4
        assert "required, but" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("pin", "code"),
    [
        (f"compose_hash={LITE_COMPOSE}", 0),
        (f"compose_hash={'00' * 32}", 4),
        ("image=07a2388c7a6a1b6a646d443f1517990a4ec294471d63146cda9d56972765051d", 4),  # the KMS's word
        ("image=e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db", 0),  # what the registers prove
        (f"image={'11' * 32}", 4),
        ("app_id=86b0e55f2fa8e4fb69d890f14f54d5612707646e", 0),
        (f"app_id=0x{'22' * 20}", 4),
        (f"app_id={'22' * 19}", 2),
        ("colour=red", 2),
        ("version", 2),
    ],
)
def test_pins_are_compared_and_bad_ones_refused(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str], pin: str, code: int
) -> None:
    assert main(["verify", lite, *collateral, "--expect", pin]) == code
    capsys.readouterr()


def test_out_of_its_time_the_evidence_is_stale_and_says_what_to_do(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", lite, *collateral[:2], "--at", "2027-01-01T00:00:00Z"]) == 3
    assert "has expired" in capsys.readouterr().out


def test_the_wrong_root_never_verifies_real_evidence(
    lite: str, vectors: Path, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = vectors / "dcap" / "pki" / "intel-sgx-pck-platform-ca-20180521-20330521-22eb770d.pem"
    assert main(["verify", lite, *collateral, "--trust-root", str(other)]) == 3
    out = capsys.readouterr().out
    assert out.startswith("SIMULATED HARDWARE")


def test_an_unreachable_instance_does_not_hide_the_other_one(
    lite: str, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    code, proof = run_json(capsys, "compare", lite, url, *collateral)
    assert code == 5
    assert (proof["complete"], proof["outcome"]) == (False, "NOT PROVED: THE EVIDENCE IS INCOMPLETE")
    (instance,) = proof["instances"]
    assert instance["genuine"] is True
    (missing,) = proof["unavailable"]
    assert (missing["source"], missing["error"]) == (url, "Unavailable")
    assert main(["compare", lite, url, *collateral]) == 5
    assert "EVIDENCE IS INCOMPLETE" in capsys.readouterr().out


def test_an_attestation_of_another_vendor_is_refused(
    vectors: Path, collateral: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = vectors / "dstack" / "verifier" / "sev-snp-attestation.json"
    code, verdict = run_json(capsys, "verify", str(path), *collateral)
    assert code == 3
    assert "not a TDX attestation" in verdict["checks"][0]["reason"]


def test_inspect_never_says_that_something_is_right(lite: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", lite]) == 0
    out = capsys.readouterr().out.lower()
    assert "unverified" in out
    assert not any(word in out for word in (" ok", "pass", "valid\n", "genuine", "proof"))
    assert main(["inspect", lite, "--json"]) == 0
    assert described("inspect.v1", capsys.readouterr().out)["origin"] == "dstack/get-quote"
