"""The simulated contracts behave as dstack's to whoever reads or calls them: slots, events, their order, reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from twinproof_devnet.boot_info import BootInfo
from twinproof_devnet.chain.abi import APP_BOOT_INFO, call_data, selector, topic
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.errors import RpcError
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import AppContract, KmsContract
from twinproof_devnet.chain.layout import IMPLEMENTATION, INITIALIZED, OWNER, PENDING_OWNER, mapping_slot

DEVICE, HASH, IMAGE = b"\x33" * 32, b"\x11" * 32, b"\x66" * 32
NAMES = {
    topic(f"{name}({types})"): name
    for name, types in {
        "Upgraded": "address",
        "DeviceAdded": "bytes32",
        "ComposeHashAdded": "bytes32",
        "ComposeHashRemoved": "bytes32",
        "OwnershipTransferred": "address,address",
        "OwnershipTransferStarted": "address,address",
        "Initialized": "uint64",
        "AppRegistered": "address",
        "AppDeployedViaFactory": "address,address",
        "PolicyChanged": "address,bytes32,bytes32,bool",
        "UpgradesDisabled": "",
    }.items()
}


@pytest.fixture(scope="module")
def chain(engine: EngineName) -> Iterator[DevChain]:
    chain = DevChain.start(engine=engine)
    yield chain
    chain.close()


@pytest.fixture(scope="module")
def kmses(chain: DevChain) -> dict[Generation, KmsContract]:
    return {generation: KmsContract.deploy(chain, DevAccount.create(), generation) for generation in Generation}


@pytest.fixture(scope="module")
def kms(kmses: dict[Generation, KmsContract]) -> KmsContract:
    return kmses[Generation.AUDITED]


@pytest.fixture
def app(kms: KmsContract) -> AppContract:
    return kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)


def word(contract: AppContract | KmsContract, slot: int | bytes) -> int:
    place = slot if isinstance(slot, int) else int.from_bytes(slot, "big")
    return contract.chain.ledger.engine.storage(contract.chain.ledger.head.header, contract.address, place)


def events(contract: AppContract | KmsContract) -> list[str]:
    """Of the last transaction."""
    return [NAMES[log.topics[0]] for log in contract.chain.ledger.head.receipts[0].logs]


def refused(contract: AppContract | KmsContract, signature: str, *values: object, by: DevAccount | None = None) -> str:
    with pytest.raises(RpcError) as caught:
        contract.send(signature, *values, by=by)
    return str(caught.value.data) if caught.value.message == "execution reverted" else caught.value.message


def custom(signature: str, address: bytes | None = None) -> str:
    return "0x" + selector(signature).hex() + ("" if address is None else address.rjust(32, b"\x00").hex())


def test_the_apps_state_is_in_the_slots_where_a_proof_looks_for_it(app: AppContract, kms: KmsContract) -> None:
    assert mapping_slot(HASH, 0).hex() == "5c75bb376affa44a4f06c8a768453c2f7945122a65eb322a0dd3cc2edcbd6f0a"
    assert mapping_slot(DEVICE, 2).hex() == "616e83665b2fa485e82239f3e38266766713d9ae681ec9b59e5ce8f0e1bd947d"
    assert word(app, mapping_slot(HASH, 0)) == word(app, mapping_slot(DEVICE, 2)) == 1
    assert word(app, mapping_slot(HASH, 2)) == word(app, 1) == word(app, 3) == 0
    assert word(app, OWNER) == int.from_bytes(app.owner.address, "big")
    assert word(app, INITIALIZED) == 1
    assert word(app, IMPLEMENTATION) == word(kms, 9) != 0
    app.set_allow_any_device(allowed=True)
    assert word(app, 1) == 0x0100
    app.disable_upgrades()
    app.set_require_tcb_up_to_date(required=True)
    assert (word(app, 1), word(app, 3)) == (0x0101, 1)
    app.remove(HASH)
    assert word(app, mapping_slot(HASH, 0)) == 0


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 65, 3000])
def test_the_kmss_texts_are_stored_as_solidity_does(kms: KmsContract, size: int) -> None:
    quote = bytes(range(1, 256)) * (size // 255 + 1)
    quote = quote[:size]
    kms.set_info(b"k" * 33, b"c" * 91, quote)
    assert kms.read("kmsInfo()", ["bytes"] * 4) == (b"k" * 33, b"c" * 91, quote, b"")
    assert word(kms, 0) == 2 * 33 + 1
    assert word(kms, keccak((0).to_bytes(32, "big"))) == int.from_bytes(b"k" * 32, "big")
    expected = 2 * size + 1 if size > 31 else int.from_bytes(quote.ljust(32, b"\x00"), "big") | 2 * size
    assert word(kms, 2) == expected
    kms.send("setGatewayAppId(string)", "x" * size)
    assert kms.read("gatewayAppId()", ["string"]) == ("x" * size,)


def test_the_kmss_mappings_are_in_their_slots(kms: KmsContract, app: AppContract) -> None:
    kms.allow_image(IMAGE)
    kms.send("addKmsAggregatedMr(bytes32)", HASH)
    kms.send("addKmsDevice(bytes32)", DEVICE)
    assert mapping_slot(IMAGE, 8).hex() == "ec9ff6ce293adb3ccdce7b2fb1259252e056efa77a1db19d4778dac7f6b74d5e"
    slots = [(app.address, 5), (HASH, 6), (DEVICE, 7), (IMAGE, 8)]
    assert [word(kms, mapping_slot(key, slot)) for key, slot in slots] == [1, 1, 1, 1]


FACTORY = {
    Generation.AUDITED: "Upgraded DeviceAdded PolicyChanged ComposeHashAdded PolicyChanged OwnershipTransferred"
    " Initialized AppRegistered PolicyChanged AppDeployedViaFactory",
    Generation.TCB: "Upgraded DeviceAdded ComposeHashAdded OwnershipTransferred Initialized AppRegistered"
    " AppDeployedViaFactory",
}
FACTORY[Generation.FIRST] = FACTORY[Generation.TCB]


@pytest.mark.parametrize("generation", Generation)
def test_the_factory_logs_in_the_order_of_the_real_one(
    kmses: dict[Generation, KmsContract], generation: Generation
) -> None:
    kms = kmses[generation]
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    assert events(kms) == FACTORY[generation].split()
    logs = kms.chain.ledger.head.receipts[0].logs
    for log in logs:
        if NAMES[log.topics[0]] == "PolicyChanged" and log.address == app.address:
            assert log.topics[1] == kms.address.rjust(32, b"\x00")
    kms.deploy_app(kms.owner)  # neither device nor hash: zero leaves no event
    names = FACTORY[generation].split()
    assert events(kms) == ["Upgraded", *names[names.index("OwnershipTransferred") :]]


@pytest.mark.parametrize("generation", [Generation.TCB, Generation.AUDITED])
def test_the_factory_with_six_arguments_sets_every_flag(
    kmses: dict[Generation, KmsContract], generation: Generation
) -> None:
    kms = kmses[generation]
    app = kms.deploy_app(kms.owner, compose_hash=HASH, allow_any_device=True, disable_upgrades=True, require_tcb=True)
    assert (word(app, 1), word(app, 3)) == (0x0101, 1)
    assert app.read("requireTcbUpToDate()", ["bool"]) == app.read("allowAnyDevice()", ["bool"]) == (True,)


def test_the_oldest_generation_has_no_six_arguments_and_no_version(kmses: dict[Generation, KmsContract]) -> None:
    kms = kmses[Generation.FIRST]
    with pytest.raises(RpcError) as caught:
        kms.deploy_app(kms.owner, require_tcb=True)
    assert (caught.value.code, caught.value.data) == (3, "0x")
    app = kms.deploy_app(kms.owner)
    for view in ("version()", "pendingOwner()", "requireTcbUpToDate()"):
        with pytest.raises(RpcError) as caught:
            app.read(view, ["uint256"])
        assert (caught.value.code, caught.value.data) == (3, "0x")
    assert app.chain.call(b"\x12" * 20, call_data("version()")) == b""


def test_changes_repeat_their_event_and_name_their_policy(app: AppContract) -> None:
    for _ in range(2):
        sent = app.allow(HASH)
        assert events(app) == ["ComposeHashAdded", "PolicyChanged"]
        policy = sent.receipt.logs[1]
        assert policy.topics[1:] == (app.owner.address.rjust(32, b"\x00"), keccak(b"compose-hash"), HASH)
        assert policy.data == (1).to_bytes(32, "big")
    for _ in range(2):
        assert app.remove(DEVICE).receipt.logs[1].data == bytes(32)
    for _ in range(2):
        sent = app.disable_upgrades()
        assert events(app) == ["UpgradesDisabled", "PolicyChanged"]
        assert sent.receipt.logs[1].topics[2:] == (keccak(b"upgrades-disabled"), bytes(32))


def test_an_upgrade_logs_its_policy_before_it_and_keeps_the_state(kmses: dict[Generation, KmsContract]) -> None:
    kms = kmses[Generation.FIRST]
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    app.upgrade(Generation.AUDITED)
    assert events(app) == ["Upgraded"]
    assert app.read("version()", ["uint256"]) == (2,)
    assert app.is_allowed(HASH)
    app.upgrade(Generation.AUDITED)
    assert events(app) == ["PolicyChanged", "Upgraded"]
    app.disable_upgrades()
    assert refused(app, "upgradeToAndCall(address,bytes)", kms.address, b"") == (
        "execution reverted: Upgrades are permanently disabled"
    )
    app.allow(DEVICE)  # the allowlists stay open


def test_upgrades_to_what_is_no_implementation_are_refused(app: AppContract, kms: KmsContract) -> None:
    implementation = word(app, IMPLEMENTATION).to_bytes(20, "big")
    upgrade = "upgradeToAndCall(address,bytes)"
    assert refused(app, upgrade, kms.address, b"") == custom("ERC1967InvalidImplementation(address)", kms.address)
    assert refused(app, upgrade, b"\x12" * 20, b"") == "0x"
    direct = AppContract(app.chain, implementation, app.owner)
    assert refused(direct, upgrade, implementation, b"") == custom("UUPSUnauthorizedCallContext()")
    assert refused(app, "proxiableUUID()") == custom("UUPSUnauthorizedCallContext()")
    assert refused(direct, "initialize(address,bool,bool,bytes32,bytes32)", b"\x12" * 20, False, False, HASH, HASH) == (
        custom("InvalidInitialization()")
    )


@pytest.mark.parametrize(
    ("signature", "values"),
    [
        ("addComposeHash(bytes32)", [HASH]),
        ("removeComposeHash(bytes32)", [HASH]),
        ("addDevice(bytes32)", [DEVICE]),
        ("removeDevice(bytes32)", [DEVICE]),
        ("setAllowAnyDevice(bool)", [True]),
        ("setRequireTcbUpToDate(bool)", [True]),
        ("disableUpgrades()", []),
        ("upgradeToAndCall(address,bytes)", [b"\x12" * 20, b""]),
        ("transferOwnership(address)", [b"\x12" * 20]),
        ("renounceOwnership()", []),
    ],
)
def test_a_stranger_changes_nothing(app: AppContract, signature: str, values: list[object]) -> None:
    stranger = app.chain.deployer
    assert refused(app, signature, *values, by=stranger) == custom(
        "OwnableUnauthorizedAccount(address)", stranger.address
    )


def test_owners_change_in_two_steps_in_the_newest_generation_and_at_once_before(
    kmses: dict[Generation, KmsContract],
) -> None:
    heir = DevAccount.create()
    kms = kmses[Generation.AUDITED]
    app = kms.deploy_app(kms.owner)
    app.transfer_owner(heir, accept=False)
    assert events(app) == ["OwnershipTransferStarted"]
    assert app.owner is kms.owner
    assert word(app, PENDING_OWNER) == int.from_bytes(heir.address, "big")
    app.transfer_owner(heir)
    assert events(app) == ["OwnershipTransferred"]
    assert (word(app, OWNER), word(app, PENDING_OWNER)) == (int.from_bytes(heir.address, "big"), 0)
    older = kmses[Generation.TCB]
    app = older.deploy_app(older.owner)
    app.transfer_owner(heir)
    assert events(app) == ["OwnershipTransferred"]
    app.send("renounceOwnership()")
    assert app.read("owner()", ["address"]) == (f"0x{'00' * 20}",)


def info(app: AppContract) -> BootInfo:
    return BootInfo(app.address, HASH, bytes(20), DEVICE, HASH, HASH, IMAGE)


def test_the_reasons_come_in_the_real_order(kms: KmsContract, app: AppContract) -> None:
    kms.allow_image(IMAGE)
    app.set_require_tcb_up_to_date(required=True)
    good = info(app)
    assert kms.is_app_allowed(good) == app.is_app_allowed(good) == (True, "")
    worse = replace(good, device_id=HASH)
    assert kms.is_app_allowed(worse) == (False, "Device not allowed")
    worse = replace(worse, compose_hash=DEVICE)
    assert kms.is_app_allowed(worse) == (False, "Compose hash not allowed")
    worse = replace(worse, tcb_status="OutOfDate", advisory_ids=("INTEL-SA-00837",))
    assert kms.is_app_allowed(worse) == (False, "TCB status is not up to date")
    kms.send("registerApp(address)", b"\x12" * 20, by=kms.chain.deployer)
    assert kms.is_app_allowed(replace(worse, app_id=b"\x12" * 20)) == (False, "App not deployed or invalid address")
    worse = replace(worse, os_image_hash=HASH)
    assert kms.is_app_allowed(worse) == (False, "OS image is not allowed")
    assert kms.is_app_allowed(replace(worse, app_id=b"\x13" * 20)) == (False, "App not registered")


def test_a_kms_is_allowed_by_status_image_measurement_and_machine(kms: KmsContract, app: AppContract) -> None:
    def asked(boot: BootInfo) -> tuple[object, ...]:
        ids = (boot.app_id, boot.compose_hash, boot.instance_id, boot.device_id)
        rest: tuple[object, ...] = (boot.mr_aggregated, boot.mr_system, boot.os_image_hash, boot.tcb_status, [])
        return kms.read(f"isKmsAllowed({APP_BOOT_INFO})", ["bool", "string"], (*ids, *rest))

    kms.allow_image(IMAGE)
    kms.send("addKmsAggregatedMr(bytes32)", HASH)
    kms.send("addKmsDevice(bytes32)", DEVICE)
    boot = info(app)
    assert asked(boot) == (True, "")
    boot = replace(boot, device_id=HASH)
    assert asked(boot) == (False, "KMS is not allowed to boot on this device")
    boot = replace(boot, mr_aggregated=DEVICE)
    assert asked(boot) == (False, "Aggregated MR not allowed")
    boot = replace(boot, os_image_hash=HASH)
    assert asked(boot) == (False, "OS image is not allowed")
    assert asked(replace(boot, tcb_status="")) == (False, "TCB status is not up to date")


def test_what_cannot_be_is_refused_with_the_real_words(kms: KmsContract, app: AppContract) -> None:
    five = "deployAndRegisterApp(address,bool,bool,bytes32,bytes32)"
    assert refused(kms, five, bytes(20), False, False, HASH, HASH) == "execution reverted: Invalid owner address"
    assert refused(kms, "registerApp(address)", bytes(20)) == "execution reverted: Invalid app ID"
    assert refused(kms, "setAppImplementation(address)", bytes(20)) == (
        "execution reverted: Invalid implementation address"
    )
    again = "initialize(address,bool,bool,bool,bytes32,bytes32)"
    assert refused(app, again, b"\x12" * 20, False, False, False, HASH, HASH) == custom("InvalidInitialization()")
    bare = KmsContract(kms.chain, _bare_kms(kms), kms.owner)
    assert refused(bare, five, b"\x12" * 20, False, False, HASH, HASH) == (
        "execution reverted: DstackApp implementation not set"
    )


def _bare_kms(kms: KmsContract) -> bytes:
    """A KMS that was initialised without an implementation for apps."""
    from eth_abi.abi import encode

    from twinproof_devnet.chain.compiler import artifacts

    implementation = word(kms, IMPLEMENTATION).to_bytes(20, "big")
    first = call_data("initialize(address,address)", kms.owner.address, bytes(20))
    code = artifacts()["erc1967_proxy"].init + encode(["address", "bytes"], [implementation, first])
    contract = kms.chain.transact(kms.owner, None, code).receipt.contract
    assert contract is not None
    return contract


def test_interfaces_tell_an_app_from_a_kms(kms: KmsContract, app: AppContract) -> None:
    def supports(contract: AppContract | KmsContract) -> list[object]:
        ids = ("01ffc9a7", "1e079198", "8fd37527", "ffffffff")
        return [contract.read("supportsInterface(bytes4)", ["bool"], bytes.fromhex(item))[0] for item in ids]

    assert supports(app) == [True, True, True, False]
    assert supports(kms) == [True, True, False, False]
    assert app.read("UPGRADE_INTERFACE_VERSION()", ["string"]) == ("5.0.0",)


def test_the_chain_leaves_the_recursion_limit_as_it_was(chain: DevChain) -> None:
    """A text of brackets has to end in an error of json, not at the end of the stack."""
    with pytest.raises(RecursionError):
        json.loads("[" * 100_000)
