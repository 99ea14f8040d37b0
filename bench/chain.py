"""The log of an app with ten thousand events over a million blocks: requests, reading, folding, one storage proof."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from math import ceil
from pathlib import Path

from bench.results import Bar, Section
from bench.rounds import Figure
from twinproof.chain.account_proof import AccountProof, proved_account
from twinproof.chain.block import Header
from twinproof.chain.fold import fold_history
from twinproof.chain.log import Log
from twinproof.chain.storage_layout import compose_hash_slot
from twinproof.sources.chain_cache import ChainCache
from twinproof.sources.chain_logs import read_logs
from twinproof.sources.http import HttpClient
from twinproof.sources.log_scan import LogFilter
from twinproof.sources.rpc import Endpoint, header_at
from twinproof.sources.state_answers import account_proof
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.governance import KmsContract
from twinproof_devnet.chain.ledger import Depths
from twinproof_devnet.chain.log_filter import Limits
from twinproof_devnet.chain.synthetic import SyntheticChain, long_chain

__all__ = ["measure"]

BLOCKS, EVENTS, RANGE, NEW = 1_000_000, 10_000, 10_000, 5_000
HASHES = 64
MAX_ROUNDS = 3
CALLS = 20
METHOD = f"""\
A synthetic chain on loopback (real headers, receipts and JSON-RPC) in which one app logged {EVENTS:,} events over
{BLOCKS:,} blocks; the endpoint refuses more than {RANGE:,} blocks at a time. "Cold" has an empty cache and knows the
limit of the endpoint; "warm" reads {NEW:,} new blocks after it, and first looks whether the chain still has the block
up to which it read. Wall time, both sides of the connection on this machine. Folding is what `twinproof history` does
with the events, CPU time. The storage proof is of the app's contract on the devnet's chain, {HASHES} hashes allowed:
account and slot, from the state root."""


def measure(rounds: int) -> list[Section]:
    rounds = min(rounds, MAX_ROUNDS)
    chain = SyntheticChain(blocks=BLOCKS - 1 + Depths().finalized, events=EVENTS)  # as many are final
    endpoint = long_chain(Limits(max_range=RANGE), chain)
    try:
        cold, warm, counts, logs = _scans(chain, endpoint.url, rounds)
    finally:
        endpoint.close()
    fold = Figure("folding 10,000 events", tuple(_cpu(lambda: _fold(logs, chain.app)) for _ in range(rounds)))
    proof = _proof(rounds)
    fewest = ceil(BLOCKS / RANGE)
    return [
        Section(
            "The log of an app",
            METHOD,
            [figure.to_json("ms") for figure in (cold, warm, fold, proof)],
            [
                Bar("requests of a cold scan, against the fewest that the limit allows", counts[0] / fewest, 1),
                Bar(
                    f"requests of a warm run over {NEW:,} new blocks, with the look whether the old ones are there",
                    counts[1],
                    ceil(NEW / RANGE) + 1,
                    "requests",
                ),
                Bar("folding 10,000 events", _median(fold) * 1000, 1000, "ms"),
                Bar("verifying one storage proof", _median(proof) * 1000, 5, "ms"),
            ],
        )
    ]


def _scans(chain: SyntheticChain, url: str, rounds: int) -> tuple[Figure, Figure, tuple[int, int], tuple[Log, ...]]:
    """Cold and warm figures, the eth_getLogs requests of each, and the logs."""
    cold: list[float] = []
    warm: list[float] = []
    counts = (0, 0)
    logs: tuple[Log, ...] = ()
    asked = Endpoint(url, HttpClient())
    wanted = LogFilter((chain.app,))
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, closing(ChainCache(Path(folder) / "chain.sqlite")) as cache:
            cache.keep_fact(RANGE, "range limit", chain.chain_id, asked.name)
            first = _read(asked, wanted, chain, cache)
            chain.advance(NEW)
            second = _read(asked, wanted, chain, cache)
        cold.append(first[0])
        warm.append(second[0])
        counts, logs = (first[1], second[1]), second[2]
        chain.advance(-NEW)
    return Figure("cold scan", tuple(cold)), Figure("warm run", tuple(warm)), counts, logs


def _read(
    asked: Endpoint, wanted: LogFilter, chain: SyntheticChain, cache: ChainCache
) -> tuple[float, int, tuple[Log, ...]]:
    end = header_at(asked, "finalized")
    before, start = asked.requests, time.perf_counter()
    logs = read_logs(asked, wanted, chain_id=chain.chain_id, start=0, end=end, cache=cache)
    seconds, requests = time.perf_counter() - start, asked.requests - before
    if len(logs) != EVENTS:
        raise RuntimeError(f"{len(logs)} logs were read instead of {EVENTS}")
    return seconds, requests, logs


def _fold(logs: tuple[Log, ...], app: bytes) -> None:
    history = fold_history(logs, app, to_block=logs[-1].block_number)
    if not history.spans:
        raise RuntimeError("nothing was folded")


def _proof(rounds: int) -> Figure:
    chain = DevChain.start()
    try:
        kms = KmsContract.deploy(chain, DevAccount.create())
        values = [bytes([number]) * 32 for number in range(1, HASHES + 1)]
        app = kms.deploy_app(kms.owner, device_id=b"\x33" * 32, compose_hash=values[0])
        for value in values[1:]:
            app.allow(value)
        asked = Endpoint(chain.url, HttpClient())
        header = header_at(asked, "latest")
        proof = account_proof(asked, app.address, (compose_hash_slot(values[7]),), header)
    finally:
        chain.close()
    return Figure("one storage proof", tuple(_cpu(lambda: _verify(proof, header)) / CALLS for _ in range(rounds)))


def _verify(proof: AccountProof, header: Header) -> None:
    for _ in range(CALLS):
        account = proved_account(proof, header.state_root)
        if account is None or set(account.words.values()) != {1}:
            raise RuntimeError("the proof says something else")


def _cpu(run: Callable[[], None]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _median(figure: Figure) -> float:
    return sorted(figure.seconds)[len(figure.seconds) // 2]
