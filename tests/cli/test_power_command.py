"""`twinproof power` tells who can change what runs: of devnet apps in each state, and of owners of each kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from lying_node import Lie, lying
from published_schemas import errors
from twinproof.chain.power import Holder, HolderKind, Power, power_facts, power_sentence
from twinproof.cli.main import main
from twinproof.keccak import keccak256
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import AppContract, KmsContract

DEVICE, HASH, OTHER = b"\x33" * 32, b"\x11" * 32, b"\x22" * 32


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    chain = DevChain.start()
    yield chain
    chain.close()


@pytest.fixture(scope="module")
def kms(chain: DevChain) -> KmsContract:
    return KmsContract.deploy(chain, DevAccount.create())


def told(
    app: AppContract,
    kms: KmsContract,
    capsys: pytest.CaptureFixture[str],
    *flags: str,
    url: str = "",
) -> dict[str, tuple[str, bool]]:
    """Answer and concern by the name of the fact."""
    app.chain.mine(app.chain.ledger.depths.finalized)
    command = ["power", "0x" + app.address.hex(), "--chain", url or app.chain.url, "--kms", "0x" + kms.address.hex()]
    assert main([*command, "--no-cache", *flags, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(errors("power.v1", document)) == []
    assert all(fact["shown_by"] for fact in document["facts"])
    return {fact["name"]: (fact["answer"], fact["concern"]) for fact in document["facts"]}


@pytest.mark.parametrize("flags", [(), ("--proof",)], ids=["", "with proofs"])
@pytest.mark.parametrize("generation", list(Generation))
def test_a_new_app_is_in_the_hand_of_one_key(
    chain: DevChain, generation: Generation, flags: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kms = KmsContract.deploy(chain, DevAccount.create(), generation)
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    facts = told(app, kms, capsys, *flags)
    assert facts["owner"] == (f"0x{app.owner.address.hex()}, one key; at once, old versions stay allowed", True)
    assert facts["upgrades"] == ("yes, by the owner", True)
    assert facts["compose_hashes"] == ("1", False)
    assert facts["devices"] == ("1 named by their device ids", False)
    assert facts["tcb"] == ("no", True)
    assert facts["kms"] == (f"0x{kms.address.hex()}", False)
    assert facts["kms_owner"][0].startswith(f"0x{kms.owner.address.hex()}, one key")
    assert "pending_owner" not in facts
    assert "gives to new apps" in facts["code"][0]


@pytest.mark.parametrize("flags", [(), ("--proof",)], ids=["", "with proofs"])
def test_every_change_shows(kms: KmsContract, flags: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH, disable_upgrades=True, require_tcb=True)
    app.allow(OTHER)
    app.set_allow_any_device(allowed=True)
    heir = DevAccount.create()
    app.transfer_owner(heir, accept=False)
    facts = told(app, kms, capsys, *flags)
    assert facts["compose_hashes"] == ("2", True)
    assert facts["devices"] == ("ANY machine", True)
    assert facts["upgrades"][0].startswith("no: disabled for ever")
    assert facts["tcb"] == ("yes", False)
    assert facts["pending_owner"] == (f"0x{heir.address.hex()}, one key", True)


def test_an_app_of_another_kms_is_not_registered(
    chain: DevChain, kms: KmsContract, capsys: pytest.CaptureFixture[str]
) -> None:
    other = KmsContract.deploy(chain, DevAccount.create())
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    facts = told(app, other, capsys)
    assert "NOT registered" in facts["kms"][0]
    assert "NOT known" in facts["code"][0]


def _contract_owner(answers: dict[str, bytes]) -> Lie:
    """The node says that the owner has code, and that this code answers so."""
    selectors = {"0x" + keccak256(f"{name}()".encode())[:4].hex(): "0x" + data.hex() for name, data in answers.items()}

    def lie(method: str, params: Sequence[object], answer: object) -> object:
        if method == "eth_getCode" and answer == "0x":
            return "0x6000"
        if method == "eth_call" and isinstance(params[0], dict):
            return selectors.get(str(params[0]["data"]), answer)
        return answer

    return lie


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            {"getThreshold": _word(2), "getOwners": _word(32) + _word(3) + _word(1) + _word(2) + _word(3)},
            "a Safe: 2 of 3 signers, by its own answers",
        ),
        ({"getMinDelay": _word(172800)}, "a timelock: 172800 s (48.0 h) before anything happens, by its own answers"),
        ({}, "a contract of another kind"),
    ],
    ids=["Safe", "timelock", "other"],
)
def test_an_owner_that_is_a_contract_is_named_by_its_kind(
    kms: KmsContract, answers: dict[str, bytes], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    with lying(kms.chain.methods, _contract_owner(answers)) as url:
        assert words in told(app, kms, capsys, url=url)["owner"][0]


def test_a_key_that_is_shown_as_a_contract_is_caught_by_the_proof(
    kms: KmsContract, capsys: pytest.CaptureFixture[str]
) -> None:
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    with lying(kms.chain.methods, _contract_owner({"getMinDelay": _word(172800)})) as url:
        assert "one key" in told(app, kms, capsys, "--proof", url=url)["owner"][0]


def test_the_text_fits_80_columns_and_ends_in_one_sentence(
    kms: KmsContract, capsys: pytest.CaptureFixture[str]
) -> None:
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    kms.chain.mine(kms.chain.ledger.depths.finalized)
    assert main(["power", "0x" + app.address.hex(), "--chain", kms.chain.url, "--kms", "0x" + kms.address.hex()]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "One key can let any other code run as this app, at once." in out


@pytest.mark.parametrize(
    ("owner", "sentence"),
    [
        (Holder(bytes(20), HolderKind.NOBODY), "nobody can change"),
        (Holder(b"\1" * 20, HolderKind.KEY), "one key"),
        (Holder(b"\1" * 20, HolderKind.DELEGATED_KEY), "one key"),
        (Holder(b"\1" * 20, HolderKind.SAFE, threshold=1, signers=5), "one key"),
        (Holder(b"\1" * 20, HolderKind.SAFE, threshold=3, signers=5), "3 of 5 keys"),
        (Holder(b"\1" * 20, HolderKind.TIMELOCK, delay=60), "60 s after"),
        (Holder(b"\1" * 20, HolderKind.CONTRACT), "read its code"),
    ],
)
def test_the_sentence_says_who_decides_alone(owner: Holder, sentence: str) -> None:
    assert sentence in power_sentence(_power(owner))


def test_a_flag_of_unknown_code_disables_no_upgrade() -> None:
    known, unknown = (_power(Holder(b"\1" * 20, HolderKind.KEY), code_known=known) for known in (True, False))
    facts = [{fact.name: fact for fact in power_facts(power)}["upgrades"] for power in (known, unknown)]
    assert [fact.concern for fact in facts] == [False, True]
    assert facts[1].answer.startswith("cannot be told")


def _power(owner: Holder, *, code_known: bool = True) -> Power:
    return Power(
        app_id=b"\2" * 20,
        owner=owner,
        pending_owner=None,
        upgrades_disabled=True,
        code=b"\3" * 20,
        code_known=code_known,
        any_device=False,
        devices=1,
        require_tcb=True,
        compose_hashes=1,
        opaque=False,
        kms=b"\4" * 20,
        registered=True,
        kms_owner=None,
        kms_code=None,
    )
