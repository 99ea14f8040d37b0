"""The chain in `verify` and `compare`: a world whose instances got their keys by contract, read at three endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from published_schemas import described
from twinproof.chain.plan import PLAN
from twinproof.cli.main import main
from twinproof_devnet.faults import CHAIN_FAULTS, Fault
from twinproof_devnet.world import World

MACHINES = ("prod9", "prod7")
HARMLESS = {Fault.RATE_LIMITED}
"""The endpoint is asked again, and tells the truth."""
NOT_ASKED = {Fault.FALSE_CALL, Fault.EARLY_FINALITY}
"""With proofs no call decides, and what one endpoint alone calls final does not count."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(MACHINES, chain=True, endpoints=3) as world:
        yield world


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def flags(world: World) -> list[str]:
    return ["--trust-root", str(world.root_path), "--config", str(world.config_path), "--no-cache", "--timeout", "4"]


def verified(
    world: World, capsys: pytest.CaptureFixture[str], *more: str, target: str = "prod9"
) -> tuple[int, dict[str, dict[str, str]], dict[str, object]]:
    code = main(["verify", target, *flags(world), "--json", *more])
    document = described("verdict.v1", capsys.readouterr().out)
    return code, {check["id"]: check for check in document["checks"]}, document


def test_with_proofs_every_check_of_the_chain_passes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks, document = verified(world, capsys, "--proof", "--require", "chain")
    assert code == 0
    expected = {step.id: "pass" for step in PLAN} | {"chain.kms_code": "not_checked"}  # the policy lists no code
    assert {step.id: checks[step.id]["status"] for step in PLAN} == expected
    assert checks["policy.chain"]["status"] == "pass"
    claims = document["claims"]
    assert isinstance(claims, dict)
    assert claims["chain"]["settled"] is True
    assert claims["chain"]["transaction_proved"] is True
    assert claims["chain"]["allowed_by_sender"] == world.chain.app.owner.address.hex()
    assert len(claims["chain"]["unbroken_by"]) == 3


def test_without_proofs_it_is_the_endpoints_word_and_not_settled(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    code, checks, _ = verified(world, capsys)
    assert code == 0
    assert checks["chain.compose_hash"]["status"] == "warn"
    assert checks["chain.state_proof"]["status"] == "not_checked"
    assert checks["policy.chain"]["status"] == "not_checked"


def test_compare_shows_the_rows_and_says_since_when(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *MACHINES, *flags(world), "--proof"]) == 0
    out = capsys.readouterr().out
    assert "On-Chain" in out
    assert "yes, added in" in out
    assert "one app contract, on one chain" in " ".join(out.split())
    assert "Its compose hash is allowed in public; proved at a final block: 3 endpoints" in " ".join(out.split())
    assert "It was added in block" in " ".join(out.split())
    assert "PROOF COMPLETE" in out


def test_a_bundle_keeps_the_chain_and_verifies_without_it(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    verified(world, capsys, "--proof", "--save", str(tmp_path / "saved"))
    (bundle,) = (tmp_path / "saved").iterdir()
    before = [dict(endpoint.calls) for endpoint in world.chain.rpc]
    code, checks, _ = verified(world, capsys, target=str(bundle))
    assert code == 0
    assert checks["chain.state_proof"]["status"] == "pass"
    assert [dict(endpoint.calls) for endpoint in world.chain.rpc] == before


@pytest.mark.parametrize("fault", sorted(CHAIN_FAULTS - HARMLESS))
def test_every_lie_of_one_endpoint_of_three_is_caught_with_proofs_and_changes_nothing(
    world: World, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    world.switch(fault, "rpc1")
    try:
        if fault is Fault.STALE_HEAD:
            world.chain.mine(5)
        code, checks, _ = verified(world, capsys, "--proof", "--require", "chain")
        app = "0x" + world.chain.app_id.hex()
        history = main(["history", app, "--config", str(world.config_path), "--proof", "--json", "--timeout", "4"])
        told = described("history.v1", capsys.readouterr().out)
    finally:
        world.switch(fault, "rpc1", on=False)
    assert code == 0, checks["policy.chain"]
    assert history in (0, 4)
    assert len(told["versions"]) == 1
    caught = {item["endpoint"] for item in told["dissent"]}
    if fault not in NOT_ASKED:
        assert caught == {world.chain.rpc[0].url.removeprefix("http://")}
    else:
        assert caught <= {world.chain.rpc[0].url.removeprefix("http://")}


def test_an_unreachable_chain_leaves_its_checks_open_with_the_reason(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 3):
        world.switch(Fault.RPC_DOWN, f"rpc{number}")
    try:
        code, checks, _ = verified(world, capsys)
        assert code == 0
        assert "the chain was not read" in checks["chain.app"]["reason"]
        assert main(["verify", "prod9", *flags(world), "--require", "chain"]) == 5
        assert "endpoints" in capsys.readouterr().err
    finally:
        for number in (1, 2, 3):
            world.switch(Fault.RPC_DOWN, f"rpc{number}", on=False)


def test_a_hash_that_was_removed_since_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    compose_hash = world.instances["prod9"].vm.compose_hash
    world.chain.remove(compose_hash)
    world.chain.finalize()
    try:
        code, checks, _ = verified(world, capsys, "--proof")
        assert code == 4
        assert checks["chain.compose_hash"]["status"] == "fail"
        assert checks["chain.device"]["status"] == "pass"
    finally:
        world.chain.allow(compose_hash)
        world.chain.finalize()


def test_another_chain_than_the_one_that_is_believed_is_not_read(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    code, checks, _ = verified(world, capsys, "--chain-id", "8453")
    assert code == 0
    assert "expected chain id 8453" in checks["policy.chain"]["reason"]
