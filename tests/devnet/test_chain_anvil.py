"""The same transactions do the same in another EVM. Needs `anvil` on the PATH, or TWINPROOF_ANVIL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from devnet_rpc import rpc
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import KmsContract
from twinproof_devnet.chain.layout import IMPLEMENTATION, mapping_slot
from twinproof_devnet.chain.shapes import receipt_json

ANVIL = os.environ.get("TWINPROOF_ANVIL") or shutil.which("anvil")
HASH, DEVICE = b"\x11" * 32, b"\x33" * 32
SAME = (
    "status",
    "gasUsed",
    "cumulativeGasUsed",
    "contractAddress",
    "from",
    "to",
    "logsBloom",
    "type",
    "transactionHash",
)

pytestmark = pytest.mark.skipif(ANVIL is None, reason="anvil is not installed (npm install @foundry-rs/anvil)")


@pytest.fixture
def anvil() -> Iterator[str]:
    assert ANVIL is not None
    command = [ANVIL, "--port", "0", "--chain-id", "31337", "--hardfork", "prague", "--block-base-fee-per-gas", "0"]
    process = subprocess.Popen([*command, "--gas-limit", "30000000"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"Listening on (\S+)", line)
            if found:
                break
        else:
            pytest.fail("anvil did not start")
        yield f"http://{found[1]}"
    finally:
        process.kill()
        process.communicate()


def receipt(url: str, transaction: str) -> Any:
    """Once it is mined, within ten seconds."""
    for _ in range(1000):
        found = rpc(url, "eth_getTransactionReceipt", transaction)
        if found is not None:
            return found
        time.sleep(0.01)
    pytest.fail("not mined")


@pytest.mark.parametrize("generation", Generation)
def test_the_contracts_do_the_same_in_anvil(anvil: str, generation: Generation) -> None:
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
        rpc(anvil, "anvil_setBalance", f"0x{chain.deployer.address.hex()}", hex(10**21))
        for number in range(1, chain.ledger.head.number + 1):
            block = chain.ledger.block(number)
            assert block is not None
            transaction = f"0x{block.transactions[0].raw.hex()}"
            theirs = receipt(anvil, rpc(anvil, "eth_sendRawTransaction", transaction))
            ours = receipt_json(block, 0)
            assert {name: theirs[name] for name in SAME} == {name: ours[name] for name in SAME}
            assert isinstance(ours["logs"], list)
            assert [(log["address"], log["topics"], log["data"]) for log in theirs["logs"]] == [
                (log["address"], log["topics"], log["data"]) for log in ours["logs"]
            ]
        slots = [mapping_slot(HASH, 0), mapping_slot(DEVICE, 0), IMPLEMENTATION.to_bytes(32, "big")]
        asked = ("eth_getProof", f"0x{app.address.hex()}", [f"0x{slot.hex()}" for slot in slots], "latest")
        theirs, shown = rpc(anvil, *asked), rpc(chain.url, *asked)
        assert [item["value"] for item in theirs["storageProof"]] == [item["value"] for item in shown["storageProof"]]
        assert (theirs["nonce"], theirs["codeHash"]) == (shown["nonce"], shown["codeHash"])
    finally:
        chain.close()
