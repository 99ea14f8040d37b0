"""anvil under the devnet's chain: the same transactions lead to the same states as in py-evm; it keeps to itself."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from told_app import Told, publish, told_app
from twinproof.cli.main import main
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.anvil import Anvil
from twinproof_devnet.chain.anvil_process import VARIABLE, anvil_program
from twinproof_devnet.chain.blocks import Block
from twinproof_devnet.chain.compiler import artifacts
from twinproof_devnet.chain.devchain import MULTICALL3, DevChain
from twinproof_devnet.chain.endpoint import Endpoint
from twinproof_devnet.chain.engine_name import EngineError, EngineName
from twinproof_devnet.chain.errors import RpcError
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import KmsContract
from twinproof_devnet.chain.layout import IMPLEMENTATION, mapping_slot
from twinproof_devnet.command import main as devnet
from twinproof_devnet.world import World

HASH, DEVICE = b"\x11" * 32, b"\x33" * 32
SMALL = tuple(number.to_bytes(32, "big") for number in range(8))
SAME = ("receipts_root", "transactions_root", "bloom", "gas_used", "base_fee_per_gas", "timestamp")

pytestmark = pytest.mark.node


@pytest.fixture(autouse=True)
def program(anvil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, anvil)


@pytest.fixture
def engine() -> Iterator[Anvil]:
    engine = Anvil(31337)
    yield engine
    engine.close()


@pytest.mark.parametrize("generation", Generation)
def test_the_same_transactions_lead_to_the_same_receipts_and_states(engine: Anvil, generation: Generation) -> None:
    chain = DevChain.start()
    try:
        kms = KmsContract.deploy(chain, DevAccount.create(), generation)
        kms.set_info(b"k" * 33, b"c" * 91, b"q" * 1000)
        kms.allow_image(HASH)
        app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
        app.allow(DEVICE)
        app.remove(HASH)
        app.transfer_owner(DevAccount.create())
        app.upgrade(Generation.AUDITED)
        first = chain.ledger.block(0)
        assert first is not None
        money = chain.ledger.engine.account(first.header, chain.deployer.address).balance
        codes = {MULTICALL3: artifacts()["multicall3"].runtime}
        before = engine.genesis({chain.deployer.address: money}, codes, first.header.timestamp)
        touched: set[bytes] = set()
        for ours in (chain.ledger.block(number) for number in range(1, chain.ledger.head.number + 1)):
            assert ours is not None
            theirs, refused = engine.build(before.header, ours.transactions, ours.header.timestamp)
            assert refused == ()
            assert theirs.receipts == ours.receipts
            assert {name: getattr(theirs.header, name) for name in SAME} == {
                name: getattr(ours.header, name) for name in SAME
            }
            touched |= {item.sender for item in ours.transactions} | {item.to for item in ours.transactions if item.to}
            touched |= {log.address for receipt in ours.receipts for log in receipt.logs}
            touched |= {receipt.contract for receipt in ours.receipts if receipt.contract}
            for address in touched:
                accounts = engine.account(theirs.header, address), chain.ledger.engine.account(ours.header, address)
                same, other = (replace(account, storage_root=b"") for account in accounts)  # anvil keeps zeros there
                assert same == other
            before = theirs
        assert {kms.address, app.address} < touched
        for slot in (mapping_slot(HASH, 0), mapping_slot(DEVICE, 0), IMPLEMENTATION.to_bytes(32, "big"), *SMALL):
            words = [
                each.storage(block.header, app.address, int.from_bytes(slot, "big"))
                for each, block in ((engine, before), (chain.ledger.engine, chain.ledger.head))
            ]
            assert words[0] == words[1]
    finally:
        chain.close()


class Unwrapped:
    """What anvil itself says, with its own tags."""

    def __init__(self, engine: Anvil) -> None:
        self._engine = engine

    def answer(self, method: str, params: Sequence[object]) -> object:
        return self._engine.ask(method, *params)


@pytest.fixture
def told() -> Iterator[Told]:
    with told_app(engine=EngineName.ANVIL) as told:
        yield told


def said(arguments: Sequence[str], url: str) -> tuple[int, list[str]]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([*arguments, "--chain", url, "--no-cache"])
    place = url.removeprefix("http://")
    return code, printed.getvalue().replace(place, "HERE").split()


@pytest.mark.parametrize("command", ["history", "power"])
def test_the_commands_read_from_anvil_itself_what_they_read_from_the_devnets_endpoint(
    told: Told, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = told.chain.ledger.engine
    assert isinstance(engine, Anvil)
    own = Endpoint(Unwrapped(engine))
    try:
        arguments = [command, f"0x{told.app.address.hex()}", "--proof", "--kms", f"0x{told.kms.address.hex()}"]
        arguments += ["--published", str(publish(tmp_path / "releases"))] if command == "history" else []
        arguments += ["--from-block", "1"]  # what was there before it no state of anvil proves
        assert said(arguments, own.url) == said(arguments, told.chain.url)
        assert said(arguments, own.url)[0] == (4 if command == "history" else 0)
    finally:
        own.close()


def test_it_has_no_network_but_its_own_loopback(engine: Anvil) -> None:
    engine.genesis({}, {}, 1_700_000_000)
    assert "a network namespace of its own" in engine.description
    process = engine.process
    assert process is not None
    mine = Path("/proc/self/ns/net").readlink()
    running = [pid for pid in group(process.pid) if "anvil" in command_line(pid)]
    assert running
    for pid in running:
        assert Path(f"/proc/{pid}/ns/net").readlink() != mine
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert {item.partition(b"=")[0] for item in environment if item} <= {b"PATH", b"HOME", b"PWD", b"OLDPWD", b"_"}
    interfaces = Path(f"/proc/{running[0]}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def group(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == pid:
                found.append(int(entry.name))
    return found


def command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def until_gone(pid: int) -> bool:
    for _ in range(500):
        if not any(Path(f"/proc/{one}/exe").exists() for one in group(pid)):
            return True
        time.sleep(0.01)
    return False


def test_it_ends_when_it_is_closed_and_leaves_no_files(engine: Anvil) -> None:
    engine.genesis({}, {}, 1_700_000_000)
    process = engine.process
    assert process is not None
    folder = process.folder
    assert folder.is_dir()
    engine.close()
    assert until_gone(process.pid)
    assert not folder.exists()


def test_it_ends_when_the_process_that_started_it_is_killed() -> None:
    text = (
        "from twinproof_devnet.chain.anvil import Anvil\nimport time\n"
        "engine = Anvil(31337); engine.genesis({}, {}, 1_700_000_000)\n"
        "print(engine.process.pid, engine.process.folder, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        number, folder = parent.stdout.readline().split()
        pid = int(number)
        assert group(pid)
    finally:
        parent.kill()
        parent.communicate()
    assert until_gone(pid)
    assert not Path(folder).exists()


def test_one_that_does_not_start_says_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "anvil"
    fake.write_text("#!/bin/sh\necho no such option >&2\nexit 2\n")
    fake.chmod(0o700)
    monkeypatch.setenv(VARIABLE, str(fake))
    with pytest.raises(EngineError, match="did not come up: no such option"):
        DevChain.start(engine=EngineName.ANVIL)


def test_one_that_ends_while_it_is_asked_is_told(engine: Anvil) -> None:
    engine.genesis({}, {}, 1_700_000_000)
    process = engine.process
    assert process is not None
    for pid in group(process.pid):
        if "anvil" in command_line(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
    with pytest.raises(EngineError, match="does not answer eth_chainId"):
        engine.ask("eth_chainId")


def test_states_of_blocks_that_were_taken_back_are_gone() -> None:
    chain = DevChain.start(engine=EngineName.ANVIL)
    try:
        chain.mine(4)
        old: Block = chain.ledger.head
        chain.reorg(2)
        with pytest.raises(RpcError, match="missing trie node"):
            chain.ledger.engine.code(old.header, MULTICALL3)
        assert chain.ledger.engine.code(chain.ledger.head.header, MULTICALL3)
    finally:
        chain.close()


def test_without_it_the_error_says_how_it_comes_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="npm install @foundry-rs/anvil"):
        anvil_program()


def test_a_world_over_anvil_is_proved_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with World.start(chain=True, endpoints=3, directory=tmp_path, chain_engine=EngineName.ANVIL) as world:
        assert main([*world.compare_command()[1:], "--proof"]) == 0
        world.chain.remove(world.provisioned.vms["prod9"].compose_hash)
        world.chain.finalize()
        assert main([*world.compare_command()[1:], "--proof", "--require", "chain"]) == 4
    assert "PROOF COMPLETE" in capsys.readouterr().out


def test_asking_for_it_where_it_is_not_is_no_world(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/anvil")
    for module in ("twinproof_devnet.command", "twinproof_devnet.cloud.command"):
        monkeypatch.setattr(f"{module}.told_to_stop", Event)  # signals stay as pytest has them
    for more in ([], ["--cloud"]):
        assert devnet(["up", "--chain-engine", "anvil", *more]) == 2
        assert "anvil is not installed" in capsys.readouterr().err
