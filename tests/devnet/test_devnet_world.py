"""The running world: the real app on every machine, files for the tool, and an end to everything."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from devnet_announcement import announced
from twinproof_devnet.app_process import AppProcess
from twinproof_devnet.command import main
from twinproof_devnet.faults import Fault, FaultAt
from twinproof_devnet.world import World

NONCE = "ab" * 32


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9", "prod7")) as running:
        yield running


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


@pytest.mark.parametrize("name", ["prod9", "prod7"])
def test_each_instance_attests_to_the_nonce_it_is_given(world: World, name: str) -> None:
    document = get(f"{world.instances[name].url}/attestation?nonce={NONCE}")
    statement = json.loads(str(document["statement"]))
    assert statement["eat_nonce"] == NONCE
    bound = hashlib.sha512(b"toy-example/attestation/v1:" + str(document["statement"]).encode()).hexdigest()
    assert str(document["quote"])[2 * 568 : 2 * 632] == bound
    assert statement["compose_hash"] == hashlib.sha256(str(document["app_compose"]).encode()).hexdigest()


def test_both_run_one_app_as_two_instances_on_two_machines(world: World) -> None:
    infos = [get(f"{instance.agent_url}/prpc/Worker.Info") for instance in world.instances.values()]
    assert infos[0]["app_id"] == infos[1]["app_id"]
    assert infos[0]["compose_hash"] == infos[1]["compose_hash"]
    assert infos[0]["instance_id"] != infos[1]["instance_id"]
    devices = {instance.vm.host.device_id for instance in world.instances.values()}
    assert len(devices) == 2


def test_the_files_name_root_machines_and_collateral(world: World) -> None:
    (root,) = x509.load_pem_x509_certificates(world.root_path.read_bytes())
    assert "NOT INTEL" in root.subject.rfc4514_string()
    config = tomllib.loads(world.config_path.read_text())
    assert config["collateral"] == {"url": world.collateral_url}
    assert config["machines"]["prod9"] == {
        "region": "US-WEST",
        "url": world.instances["prod9"].url,
        "device_id": world.instances["prod9"].vm.host.device_id.hex(),
    }


def test_one_machine_as_two_keeps_the_labels_of_two(tmp_path: Path) -> None:
    faults = [FaultAt(Fault.SAME_MACHINE_TWICE, "prod7")]
    with World.start(("prod9", "prod7"), faults=faults, directory=tmp_path / "files") as running:
        vms = [instance.vm for instance in running.instances.values()]
        assert vms[0].host is vms[1].host
        assert vms[0].instance_id != vms[1].instance_id
    config = tomllib.loads((tmp_path / "files" / "twinproof.toml").read_text())
    assert config["machines"]["prod7"]["device_id"] != vms[1].host.device_id.hex()


@pytest.mark.parametrize(
    ("machines", "faults", "reason"),
    [
        ((), (), "at least one"),
        (("a", "a"), (), "each once"),
        (("../a",), (), "letters, digits and hyphens"),
        (("a",), (FaultAt(Fault.DEBUG_TD, "b"),), "there is no machine b"),
    ],
)
def test_a_world_that_cannot_be_is_refused(machines: tuple[str, ...], faults: tuple[FaultAt, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        World.start(machines, faults=faults)


def test_a_world_that_fails_to_start_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[AppProcess] = []
    original = AppProcess._wait_until_healthy

    def second_fails(self: AppProcess) -> None:
        started.append(self)
        if len(started) > 1:
            raise OSError("no more")
        original(self)

    monkeypatch.setattr(AppProcess, "_wait_until_healthy", second_fails)
    with pytest.raises(OSError, match="no more"):
        World.start(("prod9", "prod7"))
    assert [app._process.poll() is not None for app in started] == [True, True]


def test_closing_ends_everything_within_seconds(tmp_path: Path) -> None:
    running = World.start(("solo",), faults=[FaultAt(Fault.SILENT)], directory=tmp_path)
    instance = running.instances["solo"]
    before = time.monotonic()
    running.close()
    running.close()
    assert time.monotonic() - before < 10
    assert not instance.socket.exists()
    for url in (instance.url, instance.app_url, instance.agent_url, running.collateral_url):
        with pytest.raises(OSError, match=r"refused|reset"):
            urllib.request.urlopen(url, timeout=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_prints_addresses_and_a_line_to_paste_and_stops_when_told(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "twinproof_devnet", "up", "--machines", "prod9", "--fault", "debug_td@prod9"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        text = announced(process)
        assert text.startswith("SIMULATED HARDWARE")
        assert re.search(
            r"^twinproof compare http://127\.0\.0\.1:\d+ --trust-root /\S+ --config /\S+$", text, re.MULTILINE
        )
        assert "fault        debug_td@prod9: The TD runs in debug mode" in text
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
        assert rest == "stopped\n"
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_faults_are_listed_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(Fault)
    assert any(re.fullmatch(r"revoked_pck +collateral +The machine's PCK .*", line) for line in lines)


def test_an_unknown_fault_or_machine_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--fault", "gremlins"]) == 2
    assert main(["up", "--fault", "debug_td@nowhere"]) == 2
    err = capsys.readouterr().err
    assert "unknown fault 'gremlins'" in err
    assert "there is no machine nowhere" in err
