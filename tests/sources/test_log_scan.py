"""Logs in as few requests as the endpoint's limits allow, and not one that is not what it should be."""

from __future__ import annotations

import json
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc_stub import APP, StubNode, added, endpoint
from twinproof.chain.log import Log
from twinproof.errors import Unavailable
from twinproof.sources.log_scan import LogFilter, LogScan, finished
from twinproof.sources.rpc_errors import RpcRefused, RpcUntrue
from twinproof_devnet.loopback import Answer

WANTED = LogFilter((APP,))


def scanned(node: StubNode, first: int, last: int, *, limit: int | None = None) -> tuple[list[Log], int]:
    with endpoint(node) as asked:
        return list(finished(LogScan(asked, WANTED, limit).chunks(first, last))), node.asked["eth_getLogs"]


def blocks_of(logs: list[Log]) -> list[int]:
    return [log.block_number for log in logs]


def test_without_a_limit_one_request_is_enough() -> None:
    logs, requests = scanned(StubNode(logs=[added(3), added(999_999)]), 0, 1_000_000)
    assert (blocks_of(logs), requests) == ([3, 999_999], 1)


@pytest.mark.parametrize("limit", [1_000, 2_000, 10_000, 50_000])
def test_a_limit_that_is_known_costs_the_minimum_of_requests(limit: int) -> None:
    logs, requests = scanned(StubNode(range_limit=limit, logs=[added(77_777)]), 1, 1_000_000, limit=limit)
    assert (blocks_of(logs), requests) == ([77_777], ceil(1_000_000 / limit))


@pytest.mark.parametrize("limit", [2_000, 10_000])
def test_a_limit_that_the_refusal_names_costs_one_request_more(limit: int) -> None:
    _, requests = scanned(StubNode(range_limit=limit), 1, 1_000_000)
    assert requests == ceil(1_000_000 / limit) + 1


def test_a_limit_that_is_not_named_is_found_by_halving() -> None:
    _, requests = scanned(StubNode(range_limit=3_000, limit_message="block range too large"), 1, 1_000_000)
    assert requests == ceil(1_000_000 / 2_500) + 3  # 1,000,000, 10,000 and 5,000 were refused


def test_a_limit_on_results_halves_where_logs_are_dense_and_grows_again_where_they_are_not() -> None:
    dense = [added(500_000 + block) for block in range(100)]
    logs, requests = scanned(StubNode(logs=dense, result_limit=10), 0, 1_000_000)
    assert blocks_of(logs) == [500_000 + block for block in range(100)]
    assert requests < 250  # without growing again: more than 100,000


def test_a_single_block_that_is_too_much_is_told() -> None:
    node = StubNode(logs=[added(5, index) for index in range(3)], result_limit=2)
    with pytest.raises(RpcRefused, match="more than 2 results"):
        scanned(node, 0, 10)


def test_a_refusal_that_is_no_limit_is_not_halved() -> None:
    node = StubNode(range_limit=0, limit_code=-32601, limit_message="the method does not exist")
    with pytest.raises(RpcRefused, match="does not exist"):
        scanned(node, 0, 1000)
    assert node.asked["eth_getLogs"] == 1


@given(
    places=st.sets(st.integers(0, 4_000), max_size=60),
    range_limit=st.integers(1, 5_000) | st.none(),
    result_limit=st.integers(1, 50) | st.none(),
    named=st.booleans(),
)
def test_no_limit_loses_or_repeats_a_log(
    places: set[int], range_limit: int | None, result_limit: int | None, named: bool
) -> None:
    node = StubNode(
        logs=[added(block) for block in sorted(places)],
        range_limit=range_limit,
        result_limit=result_limit,
        limit_message="max block range is {limit}" if named else "range too large",
    )

    class Direct:
        name = "node"

        def call(self, method: str, *params: object) -> object:
            try:
                return node.result(method, list(params))
            except Exception as error:
                raise RpcRefused(str(error), where="node", code=-32005) from error

    logs = finished(LogScan(Direct(), WANTED).chunks(0, 4_000))  # type: ignore[arg-type]  # asks without a network
    assert blocks_of(list(logs)) == sorted(places)


def _answering(logs: object) -> StubNode:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": logs}).encode()
    return StubNode(answer=lambda *_: Answer(body))


BAD: dict[str, tuple[object, str]] = {
    "no list": ({}, "not a list"),
    "no object": ([1], "not a JSON object"),
    "out of order": ([added(6), added(5)], "out of order"),
    "twice": ([added(5), added(5)], "a log twice"),
    "of another contract with the same topic": ([{**added(5), "address": "0x" + "ee" * 20}], "another contract"),
    "removed": ([{**added(5), "removed": True}], "removed by a reorganisation"),
    "of a block that was not asked for": ([added(11)], "another block"),
    "pending": ([{**added(5), "blockNumber": None}], "blockNumber"),
    "with half a data word": ([{**added(5), "data": "0x123"}], "hex"),
    "with a short topic": ([{**added(5), "topics": ["0x12"]}], "topics"),
    "with two hashes of one block": ([added(5), {**added(5, 1), "blockHash": "0x" + "77" * 32}], "two hashes"),
    "with transactions that cross": ([added(5, 1), {**added(5, 2), "transactionIndex": "0x0"}], "apart"),
}


@pytest.mark.parametrize("name", BAD)
def test_logs_that_cannot_be_are_refused_whole(name: str) -> None:
    logs, reason = BAD[name]
    with endpoint(_answering(logs)) as asked, pytest.raises(RpcUntrue, match=reason) as failure:
        finished(LogScan(asked, WANTED).chunks(0, 10))
    assert failure.value.exit_code == 5
    assert asked.name in str(failure.value)


def test_a_log_of_another_event_than_the_one_asked_for_is_refused() -> None:
    wanted = LogFilter((APP,), ((b"\x01" * 32,),))
    with endpoint(_answering([added(5)])) as asked, pytest.raises(RpcUntrue, match="another event"):
        finished(LogScan(asked, wanted).chunks(0, 10))


def test_what_was_read_before_a_failure_is_there() -> None:
    node = StubNode(logs=[added(1), added(9)], range_limit=5)

    def fail(method: str, params: list[object]) -> Answer | None:
        first = params[0]
        assert isinstance(first, dict)
        return Answer(b"", status=500) if int(first["fromBlock"], 16) > 5 else None

    node.answer = fail
    with endpoint(node) as asked:
        chunks = LogScan(asked, WANTED, 5).chunks(1, 10)
        assert [log.block_number for log in next(chunks).logs] == [1]
        with pytest.raises(Unavailable, match="status 500"):
            next(chunks)
