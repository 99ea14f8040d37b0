"""A block counts when enough endpoints agree on its hash; who lies, lags or fails is named, and counts for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from loopback import dead_port
from rpc_stub import StubNode, client, running
from twinproof.errors import Unavailable, UsageError
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Agreement, Quorum, majority


def agree(
    nodes: Sequence[StubNode], *, needed: int | None = None, chain_id: int | None = 8453, dead: int = 0
) -> tuple[Agreement, list[str]]:
    """The agreement, and the names of the endpoints in the order of the nodes."""
    with ExitStack() as stack:
        urls = [stack.enter_context(running(node)) for node in nodes]
        urls += [f"http://127.0.0.1:{dead_port()}" for _ in range(dead)]
        endpoints = [Endpoint(url, client(), pause=lambda _: None) for url in urls]
        quorum = Quorum(endpoints, needed or majority(len(endpoints)), chain_id)
        return quorum.finalized(), [endpoint.name for endpoint in endpoints]


def test_endpoints_of_one_chain_agree_in_two_questions_each() -> None:
    nodes = [StubNode(), StubNode(), StubNode()]
    agreement, names = agree(nodes)
    assert agreement.block.number == 900
    assert agreement.agreed == tuple(names)
    assert (agreement.needed, agreement.asked, agreement.dissent) == (2, tuple(names), ())
    assert [sum(node.asked.values()) for node in nodes] == [2, 2, 2]


def test_the_block_is_one_that_enough_endpoints_call_finalized() -> None:
    agreement, names = agree([StubNode(finalized=900), StubNode(finalized=890), StubNode(finalized=895)])
    assert agreement.block.number == 895
    assert agreement.agreed == (names[0], names[2]) or set(agreement.agreed) == {names[0], names[2]}
    assert dict(agreement.dissent) == {names[1]: "is 5 blocks behind"}


def test_one_that_claims_a_far_future_moves_nothing() -> None:
    agreement, _ = agree([StubNode(), StubNode(), StubNode(head=1 << 40, finalized=1 << 39)])
    assert agreement.block.number == 900


def test_one_that_lies_about_the_block_is_named() -> None:
    agreement, names = agree([StubNode(), StubNode(fork=500), StubNode()])
    assert set(agreement.agreed) == {names[0], names[2]}
    assert "another block 900" in dict(agreement.dissent)[names[1]]


def test_one_that_lags_is_named_and_does_not_count() -> None:
    agreement, names = agree([StubNode(), StubNode(head=200, finalized=100), StubNode()])
    assert set(agreement.agreed) == {names[0], names[2]}
    assert "lags" in dict(agreement.dissent)[names[1]]


def test_one_that_is_down_is_named_and_does_not_count() -> None:
    agreement, names = agree([StubNode(), StubNode()], dead=1)
    assert "does not answer" in dict(agreement.dissent)[names[2]]


@pytest.mark.parametrize("fork", [1, 500, 900])
def test_two_that_disagree_prove_nothing(fork: int) -> None:
    with pytest.raises(RpcUntrue, match="do not agree on block 900"):
        agree([StubNode(), StubNode(fork=fork)])


def test_two_groups_that_are_both_large_enough_prove_nothing() -> None:
    with pytest.raises(RpcUntrue, match="do not agree"):
        agree([StubNode(), StubNode(), StubNode(fork=9), StubNode(fork=9)], needed=2)


def test_too_few_that_answer_prove_nothing() -> None:
    with pytest.raises(Unavailable, match="only 1 of 3 endpoints") as failure:
        agree([StubNode()], dead=2)
    assert failure.value.exit_code == 5


def test_the_only_endpoint_s_failure_is_told_in_its_own_words() -> None:
    with pytest.raises(Unavailable, match="refused"):
        agree([], dead=1)


def test_an_endpoint_of_another_chain_is_named() -> None:
    agreement, names = agree([StubNode(), StubNode(), StubNode(chain_id=1)])
    assert dict(agreement.dissent) == {names[2]: "is of chain 1, not 8453"}


def test_the_only_endpoint_of_another_chain_is_an_error() -> None:
    with pytest.raises(RpcUntrue, match="another chain: got chain id 1, expected chain id 8453"):
        agree([StubNode(chain_id=1)])


def test_endpoints_of_two_chains_without_a_chosen_one_are_an_error() -> None:
    with pytest.raises(RpcUntrue, match="different chains"):
        agree([StubNode(), StubNode(chain_id=1), StubNode()], chain_id=None)


@pytest.mark.parametrize("needed", [0, 3, -1])
def test_a_quorum_that_cannot_be_is_a_mistake(needed: int) -> None:
    endpoints = [Endpoint(f"http://127.0.0.1:{port}", client()) for port in (1, 2)]
    with pytest.raises(UsageError, match="quorum"):
        Quorum(endpoints, needed)


def test_a_majority_is_more_than_half() -> None:
    assert [majority(count) for count in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
