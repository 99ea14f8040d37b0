"""The chain cache reads each block once, believes no reorganised block, and is never the reason that a run fails."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from rpc_stub import APP, StubNode, added, client, endpoint, running
from twinproof.chain.log import Log
from twinproof.sources.chain_cache import ChainCache, ScanKey
from twinproof.sources.chain_logs import first_block_with_code, pending_logs, read_logs
from twinproof.sources.log_scan import LogFilter
from twinproof.sources.rpc import Endpoint, header_at
from twinproof_devnet.loopback import Answer

WANTED = LogFilter((APP,))


def read(asked: Endpoint, cache: ChainCache, *, start: int = 0, end: int | None = None) -> list[int]:
    header = header_at(asked, "finalized" if end is None else hex(end))
    return [log.block_number for log in _logs(asked, cache, start, header)]


def _logs(asked: Endpoint, cache: ChainCache, start: int, header: object) -> tuple[Log, ...]:
    return read_logs(asked, WANTED, chain_id=8453, start=start, end=header, cache=cache)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "chain.sqlite"


def test_a_warm_run_reads_only_new_blocks(path: Path) -> None:
    node = StubNode(head=100_000, finalized=90_000, logs=[added(5), added(89_999), added(95_000)], range_limit=10_000)
    with endpoint(node) as asked:
        assert read(asked, ChainCache(path)) == [5, 89_999]
        node.asked.clear()
        assert read(asked, ChainCache(path)) == [5, 89_999]
        assert node.asked == {"eth_getBlockByNumber": 1}  # the finalized block itself, and nothing of the logs
        node.finalized = 95_000
        node.asked.clear()
        assert read(asked, ChainCache(path)) == [5, 89_999, 95_000]
        assert node.asked == {"eth_getBlockByNumber": 2, "eth_getLogs": 1}


def test_the_limit_that_was_met_is_remembered(path: Path) -> None:
    node = StubNode(head=100_000, finalized=50_000, range_limit=10_000)
    with endpoint(node) as asked:
        read(asked, ChainCache(path), end=49_999)
        assert node.asked["eth_getLogs"] == 1 + 5
        node.asked.clear()
        read(asked, ChainCache(path), end=99_999)
        assert node.asked["eth_getLogs"] == 5


def test_an_interrupted_run_goes_on_where_it_stopped(path: Path) -> None:
    node = StubNode(head=100, finalized=100, range_limit=10, logs=[added(3), added(95)])

    def fail(method: str, params: list[object]) -> Answer | None:
        return Answer(b"", status=500) if isinstance(params[0], dict) and int(params[0]["fromBlock"], 16) > 50 else None

    node.answer = fail
    with endpoint(node) as asked:
        with pytest.raises(Exception, match="status 500"):
            read(asked, ChainCache(path), start=1)
        node.answer = None
        node.asked.clear()
        assert read(asked, ChainCache(path), start=1) == [3, 95]
        assert node.asked["eth_getLogs"] == 5 + 1  # the limit was not kept by the run that failed


@pytest.mark.parametrize(("fork", "kept"), [(60, [10, 50]), (50, [10]), (5, [])])
def test_a_reorganisation_drops_what_came_after_it(path: Path, fork: int, kept: list[int]) -> None:
    node = StubNode(head=100, finalized=100, logs=[added(10), added(50), added(70)])
    with endpoint(node) as asked:
        assert read(asked, ChainCache(path)) == [10, 50, 70]
        node.fork = fork
        node.logs = [added(block, fork=fork) for block in (*kept, 80)]
        assert read(asked, ChainCache(path)) == [*kept, 80]
        assert read(asked, ChainCache(path)) == [*kept, 80]


def test_another_chain_with_the_same_id_is_not_the_cached_one(path: Path) -> None:
    node = StubNode(head=100, finalized=100, logs=[added(10), added(50)])
    with endpoint(node) as asked:
        assert read(asked, ChainCache(path)) == [10, 50]
        node.fork, node.head, node.finalized, node.logs = 1, 40, 40, [added(20, fork=1)]
        assert read(asked, ChainCache(path)) == [20]


def test_what_one_endpoint_left_out_is_not_missing_for_another(path: Path) -> None:
    with endpoint(StubNode(logs=[])) as lying, endpoint(StubNode(logs=[added(10)])) as honest:
        assert read(lying, ChainCache(path)) == []
        assert read(honest, ChainCache(path)) == [10]


def test_a_log_of_another_block_than_the_agreed_one_is_refused(path: Path) -> None:
    with endpoint(StubNode(logs=[added(900, fork=3)])) as asked, pytest.raises(Exception, match="agreed"):
        read(asked, ChainCache(path))


def test_a_corrupt_file_is_built_again_with_a_warning(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, but it is longer than a header of one would be: " * 20)
    warnings: list[str] = []
    with endpoint(StubNode(logs=[added(10)])) as asked:
        assert read(asked, ChainCache(path, warn=warnings.append)) == [10]
    assert "corrupt" in warnings[0]
    assert path.read_bytes().startswith(b"SQLite format 3")


def test_a_file_that_breaks_while_it_is_used_is_built_again(path: Path) -> None:
    warnings: list[str] = []
    with endpoint(StubNode(logs=[added(10)])) as asked:
        first = ChainCache(path)
        read(asked, first)
        first.close()
        raw = bytearray(path.read_bytes())
        for start in range(4096, len(raw), 4096):
            raw[start : start + 200] = b"\xff" * len(raw[start : start + 200])
        path.write_bytes(raw)
        assert read(asked, ChainCache(path, warn=warnings.append)) == [10]
        assert read(asked, ChainCache(path)) == [10]
    assert warnings


def test_an_entry_that_is_no_log_is_read_from_the_chain_again(path: Path) -> None:
    warnings: list[str] = []
    with endpoint(StubNode(logs=[added(10)])) as asked:
        read(asked, ChainCache(path))
        database = sqlite3.connect(path)
        database.execute("UPDATE logs SET block_hash = substr(block_hash, 2)")
        database.commit()
        database.close()
        assert read(asked, ChainCache(path, warn=warnings.append)) == [10]
    assert "read from the chain again" in warnings[0]


def test_a_cache_that_cannot_be_written_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    warnings: list[str] = []
    with endpoint(StubNode(logs=[added(10)])) as asked:
        assert read(asked, ChainCache(tmp_path / "file" / "chain.sqlite", warn=warnings.append)) == [10]
    assert "cannot be used" in warnings[0]


def test_many_at_once_read_the_same_and_break_nothing(path: Path) -> None:
    node = StubNode(head=1000, finalized=1000, range_limit=100, logs=[added(block) for block in range(0, 1000, 7)])
    results: list[list[int]] = []
    with running(node) as url:

        def one() -> None:
            cache = ChainCache(path)
            results.append(read(Endpoint(url, client(), pause=lambda _: None), cache))
            cache.close()

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with endpoint(node):
            key = ScanKey(8453, url.removeprefix("http://"), WANTED)
            kept = ChainCache(path).get(key)
    assert results == [list(range(0, 1000, 7))] * 6
    assert kept is not None
    assert [log.block_number for log in kept.logs] == list(range(0, 1000, 7))
    assert (kept.first, kept.last) == (0, 1000)


def test_only_the_user_may_read_the_file(path: Path) -> None:
    ChainCache(path).close()
    assert path.stat().st_mode & 0o077 == 0


def test_blocks_that_are_not_final_are_read_apart_and_not_kept(path: Path) -> None:
    node = StubNode(head=1000, finalized=900, logs=[added(899), added(950)])
    with endpoint(node) as asked:
        assert read(asked, ChainCache(path)) == [899]
        assert [log.block_number for log in pending_logs(asked, WANTED, 900)[1]] == [950]
        kept = ChainCache(path).get(ScanKey(8453, asked.name, WANTED))
    assert kept is not None
    assert kept.last == 900


@pytest.mark.parametrize("created", [0, 1, 499, 900])
def test_the_first_block_of_a_contract_is_found_by_bisection(path: Path, created: int) -> None:
    node = StubNode(created=created)
    with endpoint(node) as asked:
        for requests in (10, 0):
            node.asked.clear()
            address = "0x" + APP.hex()
            found = first_block_with_code(asked, address, chain_id=8453, end=900, cache=ChainCache(path))
            assert found == created
            assert node.asked["eth_getCode"] <= requests
