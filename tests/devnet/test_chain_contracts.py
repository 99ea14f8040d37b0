"""The simulated contracts are, to whoever reads or calls them, dstack's: selectors, topics, slots, order of events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from twinproof_devnet.chain.abi import call_data, selector, topic
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.governance import AppContract, KmsContract
from twinproof_devnet.chain.layout import mapping_slot

DEVICE, HASH = b"\x33" * 32, b"\x11" * 32


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    chain = DevChain.start()
    yield chain
    chain.close()


@pytest.fixture(scope="module")
def kms(chain: DevChain) -> KmsContract:
    return KmsContract.deploy(chain, DevAccount.create())


@pytest.fixture(scope="module")
def app(kms: KmsContract) -> AppContract:
    return kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)


def test_a_hash_is_allowed_in_the_slot_where_a_proof_looks_for_it(app: AppContract) -> None:
    slot = mapping_slot(HASH, 0)
    assert slot.hex() == "5c75bb376affa44a4f06c8a768453c2f7945122a65eb322a0dd3cc2edcbd6f0a"
    evm, header = app.chain.ledger.evm, app.chain.ledger.head.header
    assert evm.storage(header, app.address, int.from_bytes(slot, "big")) == 1
    assert app.is_allowed(HASH)
    assert not app.is_allowed(DEVICE)


def test_the_helpers_of_these_tests_agree_with_published_constants() -> None:
    assert selector("addComposeHash(bytes32)").hex() == "dfc77223"
    assert topic("ComposeHashAdded(bytes32)").hex().startswith("fecb34306dd9d8b7")
    assert call_data("addDevice(bytes32)", DEVICE) == bytes.fromhex("2a819728") + DEVICE
