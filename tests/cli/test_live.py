"""Live, over HTTP, against the real app: the proof, the saved evidence, and every named fault with its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from twinproof.cli.main import main
from twinproof_devnet.faults import FRONT_FAULTS, Fault, FaultAt
from twinproof_devnet.front import Front
from twinproof_devnet.world import World

MACHINES = ("prod9", "prod7")
TIMEOUT = "3"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(MACHINES) as running:
        yield running


def flags(world: World) -> list[str]:
    return [
        "--trust-root",
        str(world.root_path),
        "--config",
        str(world.config_path),
        "--no-cache",
        "--timeout",
        TIMEOUT,
    ]


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def failed(document: dict[str, Any]) -> set[str]:
    checks = [check for instance in document.get("instances", [document]) for check in instance["checks"]]
    return {check["id"] for check in checks + document.get("checks", []) if check["status"] == "fail"}


def test_two_live_machines_are_a_complete_proof(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, proof = run_json(capsys, "compare", *MACHINES, *flags(world))
    assert (code, proof["outcome"], proof["complete"]) == (0, "PROOF COMPLETE", True)
    assert [instance["machine"] for instance in proof["instances"]] == ["prod9 (US-WEST)", "prod7 (US-EAST)"]


def test_the_text_says_first_that_the_hardware_is_simulated(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *MACHINES, *flags(world)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("SIMULATED HARDWARE")
    assert "\nPROOF COMPLETE, CHAIN NOT SHOWN\n" in out
    assert max(map(len, out.splitlines())) <= 80
    for row in ("Version", "Git SHA", "Compose Hash", "MR_ENCLAVE", "MR_SIGNER", "Signup Counter", "Health", "Machine"):
        assert f"\n  {row} " in out


def test_explain_shows_the_bytes_that_were_hashed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *MACHINES, *flags(world), "--explain"]) == 0
    out = "".join(capsys.readouterr().out.split())
    assert "SHA-512overtoy-example/attestation/v1:{" in out
    assert "rtmr3" in out


def test_without_the_devnets_root_the_same_machines_prove_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument for argument in flags(world) if argument not in ("--trust-root", str(world.root_path))]
    code, proof = run_json(capsys, "compare", *MACHINES, *arguments)
    assert (code, failed(proof) - {"compare.genuine"}) == (3, {"dcap.pck_chain"})
    assert proof["simulated_hardware"] is False


def test_saved_evidence_proves_the_same_offline(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, live = run_json(capsys, "compare", *MACHINES, *flags(world), "--save", str(tmp_path))
    assert code == 0
    bundles = sorted(str(path) for path in tmp_path.iterdir())
    assert len(bundles) == 2
    offline = ["--trust-root", str(world.root_path), "--config", str(world.config_path)]
    assert main(["compare", *bundles, *offline, "--require", "fresh"]) == 4
    assert main(["compare", *bundles, *offline, "--require", "compare.fresh"]) == 4
    assert "whoever made it chose the nonce" in " ".join(capsys.readouterr().out.split())
    code, again = run_json(capsys, "compare", *bundles, *offline)
    assert code == 0
    assert [instance.pop("stored") for instance in (*live["instances"], *again["instances"])] == [False] * 2 + [
        True
    ] * 2
    by_source = {instance["source"]: instance for instance in again["instances"]}
    assert [by_source[instance["source"]] for instance in live["instances"]] == live["instances"]


CAUGHT = {
    Fault.REPLAYED_QUOTE: (3, {"evidence.nonce"}),
    Fault.STALE_NONCE: (3, {"evidence.nonce"}),
    Fault.FORGED_QUOTE: (3, {"dcap.quote_signature"}),
    Fault.FORGED_EVENT: (3, {"dstack.rtmr3_replay"}),
    Fault.EDITED_STATEMENT: (3, {"evidence.report_data"}),
    Fault.SWAPPED_COMPOSE: (3, {"dstack.compose_hash", "dstack.mr_config_id"}),
    Fault.HTML_INSTEAD_OF_JSON: (5, set[str]()),
    Fault.DUPLICATE_KEYS: (3, set[str]()),
    Fault.WRONG_TYPES: (3, set[str]()),
    Fault.NOT_HEX: (3, set[str]()),
    Fault.SERVER_ERROR: (5, set[str]()),
    Fault.CUT_SHORT: (5, set[str]()),
    Fault.SLOW: (5, set[str]()),
    Fault.SILENT: (5, set[str]()),
    Fault.ENDLESS_RESPONSE: (5, set[str]()),
    Fault.REDIRECT_ELSEWHERE: (5, set[str]()),
}


def test_every_fault_of_a_man_in_the_middle_is_in_the_table() -> None:
    assert set(CAUGHT) == FRONT_FAULTS


@pytest.mark.parametrize("fault", sorted(FRONT_FAULTS))
def test_a_man_in_the_middle_is_caught_and_the_honest_machine_is_still_shown(
    world: World, capsys: pytest.CaptureFixture[str], fault: Fault
) -> None:
    expected, checks = CAUGHT[fault]
    with closing(Front(world.instances["prod7"].url, fault)) as front:
        if fault is Fault.REPLAYED_QUOTE:
            main(["verify", front.url, *flags(world)])
            capsys.readouterr()
        start = time.monotonic()
        code, proof = run_json(capsys, "compare", "prod9", front.url, *flags(world))
        assert time.monotonic() - start < 30
    assert code == expected
    assert proof["complete"] is False
    assert failed(proof) - {"compare.genuine"} == checks
    honest = next(instance for instance in proof["instances"] if instance["machine"] == "prod9 (US-WEST)")
    assert honest["genuine"] is True
    if not checks:
        (missing,) = proof["unavailable"]
        assert missing["message"]


@pytest.mark.parametrize(
    ("fault", "code", "checks"),
    [
        ("same_machine_twice@prod7", 4, {"policy.machine", "compare.machine"}),
        ("debug_td@prod7", 4, {"policy.report_attributes", "compare.td_attributes"}),
        ("different_compose@prod7", 4, {"compare.compose_hash"}),
        ("different_image@prod7", 4, {"compare.os_image", "compare.mrtd", "compare.rtmr1", "compare.rtmr2"}),
        ("dev_image@prod7", 4, {"compare.os_image", "compare.mrtd", "compare.rtmr1", "compare.rtmr2"}),
        ("malicious_image@prod7", 3, {"dstack.image_registers"}),
        ("malicious_image", 3, {"dstack.image_registers"}),
        ("other_root@prod7", 3, {"dcap.pck_chain"}),
        ("tcb_out_of_date@prod7", 4, {"policy.tcb_status"}),
        ("revoked_pck", 3, {"dcap.pck_crl"}),
        ("revoked_ca", 3, {"dcap.root_crl"}),
        ("expired_collateral", 3, {"dcap.tcb_info"}),
        ("wrong_tcb_signer", 3, {"dcap.tcb_signing"}),
        ("tcb_revoked", 3, {"dcap.not_revoked"}),
    ],
)
def test_a_bad_machine_is_caught(capsys: pytest.CaptureFixture[str], fault: str, code: int, checks: set[str]) -> None:
    with World.start(MACHINES, faults=[FaultAt.parse(fault)]) as world:
        found, proof = run_json(capsys, "compare", *MACHINES, *flags(world))
    assert found == code
    assert proof["complete"] is False
    caught = failed(proof) - {"compare.genuine"}
    assert checks <= caught
    assert all(check.startswith(("compare.", *checks)) for check in caught)


def test_a_weakening_is_a_flag_that_the_report_shows(capsys: pytest.CaptureFixture[str]) -> None:
    with World.start(MACHINES, faults=[FaultAt(Fault.DEBUG_TD)]) as world:
        assert main(["compare", *MACHINES, *flags(world)]) == 4
        capsys.readouterr()
        assert main(["compare", *MACHINES, *flags(world), "--allow", "debug"]) == 0
        assert "weakened: attribute rule debug is not applied" in capsys.readouterr().out


def test_a_dstack_app_without_our_endpoint_is_genuine_and_not_shown_to_be_fresh(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = [instance.agent_url for instance in world.instances.values()]
    code, proof = run_json(capsys, "compare", *agents, *flags(world))
    assert (code, proof["outcome"]) == (0, "GENUINE AND EQUAL, NOT SHOWN TO BE FRESH")
    assert failed(proof) == set()
    assert main(["compare", *agents, *flags(world), "--require", "fresh"]) == 4
    assert "PROOF COMPLETE" not in capsys.readouterr().out


def test_a_guest_agent_that_lies_about_its_registers_is_caught(capsys: pytest.CaptureFixture[str]) -> None:
    with World.start(("prod9",), faults=[FaultAt(Fault.HOST_LIES_ABOUT_REGISTERS)]) as world:
        code, verdict = run_json(capsys, "verify", world.instances["prod9"].agent_url, *flags(world))
    assert (code, failed(verdict)) == (3, {"dstack.guest_claims"})


def test_collateral_is_cached_until_it_is_old(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arguments = [argument for argument in flags(world) if argument != "--no-cache"]
    assert main(["verify", "prod9", *arguments]) == 0
    (entry,) = (tmp_path / "twinproof" / "collateral").iterdir()
    before = entry.stat().st_mtime_ns
    assert main(["verify", "prod9", *arguments]) == 0
    assert entry.stat().st_mtime_ns == before
    entry.write_bytes(entry.read_bytes()[:100])
    assert main(["verify", "prod9", *arguments]) == 0
    assert len(entry.read_bytes()) > 100
    capsys.readouterr()


def test_the_script_that_users_know_runs_the_same_comparison(world: World) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / "compare-instances.sh"
    urls = [instance.url for instance in world.instances.values()]
    done = subprocess.run([str(script), *urls, *flags(world)], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nPROOF COMPLETE, CHAIN NOT SHOWN\n" in done.stdout
    assert subprocess.run([str(script)], check=False, capture_output=True, timeout=60).returncode == 2


def test_the_devnet_is_reached_through_the_command() -> None:
    command = [sys.executable, "-m", "twinproof", "devnet", "faults"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert all(fault.value in done.stdout for fault in Fault)
