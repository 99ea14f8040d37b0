"""What an endpoint that lies makes of an honest answer. Each lie is as consistent as one endpoint can make it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeGuard

import rlp

from twinproof_devnet.faults import Fault

__all__ = ["told"]

Json = Mapping[str, object]
Lie = Callable[[str, object], object]
"""From the method and the honest result."""
_FOREIGN = "0x" + "f0" * 20
_TRUE, _FALSE = "0x" + "0" * 63 + "1", "0x" + "0" * 64
_YES = f"0x{1:064x}{64:064x}{0:064x}"
_EARLIER_SECONDS = 3600
_WITH_RECEIPTS = frozenset({"eth_getTransactionReceipt", "eth_getBlockReceipts"})
_WITH_HEADERS = frozenset({"eth_getBlockByNumber", "eth_getBlockByHash"})


def told(faults: Collection[Fault], method: str, result: object) -> object:
    """What is answered instead of `result`."""
    for fault in sorted(faults):
        lie = _LIES.get(fault)
        if lie is not None:
            result = lie(method, result)
    return result


def _is_objects(value: object) -> TypeGuard[list[Json]]:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _on_logs(change: Callable[[list[Json]], list[Json]]) -> Lie:
    def lie(method: str, result: object) -> object:
        return change(result) if method == "eth_getLogs" and _is_objects(result) and result else result

    return lie


def _other_value(log: Json) -> Json:
    """The last byte of the data, or of the last topic, is another."""
    data, topics = str(log["data"]), log["topics"]
    if data != "0x":
        return {**log, "data": _bumped(data)}
    if isinstance(topics, list) and len(topics) > 1:
        return {**log, "topics": [*topics[:-1], _bumped(str(topics[-1]))]}
    return log


def _bumped(text: str) -> str:
    return f"{text[:-2]}{int(text[-2:], 16) ^ 1:02x}"


def _foreign(logs: list[Json]) -> list[Json]:
    return [item for log in logs for item in (log, {**log, "address": _FOREIGN})]


def _cut(log: Json) -> Json:
    data = str(log["data"])
    return {**log, "data": data[:-2] if data != "0x" else "0x00"}


def _forged_receipts(method: str, result: object) -> object:
    if method not in _WITH_RECEIPTS:
        return result
    if isinstance(result, list):
        return [_forged_receipt(item) for item in result]
    return _forged_receipt(result)


def _forged_receipt(receipt: object) -> object:
    if not isinstance(receipt, dict):
        return receipt
    return {**receipt, "logs": [_other_value(log) for log in receipt["logs"]]}


def _forged_proof(method: str, result: object) -> object:
    if method != "eth_getProof" or not isinstance(result, dict):
        return result
    return {**result, "storageProof": [_forged_slot(item) for item in result["storageProof"]]}


def _forged_slot(item: Mapping[str, object]) -> Json:
    """A slot with something is shown as empty, by a path that ends early; an empty one as 1, by a leaf of our own."""
    proof = item["proof"]
    nodes = list(proof) if isinstance(proof, list) else []
    if item["value"] != "0x0":
        return {**item, "value": "0x0", "proof": nodes[:-1]}
    leaf = rlp.encode([b"\x20" + bytes(31), b"\x01"])
    return {**item, "value": "0x1", "proof": [*nodes, "0x" + leaf.hex()]}


def _forged_header(method: str, result: object) -> object:
    if method not in _WITH_HEADERS or not isinstance(result, dict):
        return result
    return {**result, "timestamp": hex(int(str(result["timestamp"]), 16) - _EARLIER_SECONDS)}


def _wrong_chain_id(method: str, result: object) -> object:
    if method == "eth_chainId":
        return hex(int(str(result), 16) + 1)
    return str(int(str(result)) + 1) if method == "net_version" else result


def _false_call(method: str, result: object) -> object:
    if method != "eth_call":
        return result
    text = str(result)
    if text in {_TRUE, _FALSE}:
        return _FALSE if text == _TRUE else _TRUE
    if text.startswith(_FALSE) and len(text) > len(_YES):  # (false, reason): the answer of isAppAllowed
        return _YES
    return result


_LIES: Mapping[Fault, Lie] = {
    Fault.WRONG_LOGS: _on_logs(lambda logs: [_other_value(log) for log in logs]),
    Fault.MISSING_LOGS: _on_logs(lambda logs: logs[:-1]),
    Fault.FOREIGN_LOGS: _on_logs(_foreign),
    Fault.DISORDERED_LOGS: _on_logs(lambda logs: logs[::-1]),
    Fault.DUPLICATED_LOGS: _on_logs(lambda logs: [log for log in logs for _ in range(2)]),
    Fault.MALFORMED_LOGS: _on_logs(lambda logs: [_cut(log) for log in logs]),
    Fault.REORGED_LOGS: _on_logs(lambda logs: [*logs[:-1], {**logs[-1], "removed": True}]),
    Fault.FORGED_RECEIPTS: _forged_receipts,
    Fault.FORGED_PROOF: _forged_proof,
    Fault.FORGED_HEADER: _forged_header,
    Fault.WRONG_CHAIN_ID: _wrong_chain_id,
    Fault.FALSE_CALL: _false_call,
}
