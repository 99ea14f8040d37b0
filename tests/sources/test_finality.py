"""What was sent is final when the last of it is: not before, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from twinproof.errors import Unavailable
from twinproof.sources.finality import wait_final
from twinproof.sources.http import HttpClient
from twinproof.sources.rpc import endpoints_of
from twinproof.sources.rpc_quorum import Quorum
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.engine_name import EngineName


@pytest.fixture(scope="module")
def chain(engine: EngineName) -> Iterator[DevChain]:
    chain = DevChain.start(engine=engine)
    chain.settle()
    yield chain
    chain.close()


def quorum_of(chain: DevChain) -> Quorum:
    return Quorum(endpoints_of((chain.url,), HttpClient()), 1)


def test_a_block_behind_the_final_one_is_not_final(chain: DevChain) -> None:
    next_block = chain.ledger.number_of("finalized") + 1
    reason = wait_final(quorum_of(chain), next_block, seconds=0)
    assert isinstance(reason, Unavailable)
    assert reason.what == "what was sent is not final"


def test_it_waits_until_the_very_block_is_final(chain: DevChain) -> None:
    last = chain.ledger.number_of("finalized") + 2
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        chain.mine()

    assert wait_final(quorum_of(chain), last, seconds=60, pause=pause) is None
    assert len(waits) == 2, "neither before the block is final nor longer"


def test_a_chain_that_does_not_answer_is_the_reason(chain: DevChain) -> None:
    gone = DevChain.start()
    quorum = quorum_of(gone)
    gone.close()
    assert isinstance(wait_final(quorum, 1, seconds=0), Unavailable)
