"""The toy example's first table, built again from what is known of it: 20 rows, and what is wrong with each."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployment_records import APP_ID as APP
from deployment_records import mined
from historical_table import BLOCKS, SIGNED, TABLE, VERSIONS
from twinproof.deployments.anchor import Mined
from twinproof.deployments.historical import BlockHash, HistoricalRow, judge_rows, read_table, transactions
from twinproof.errors import Malformed

ROWS = read_table(TABLE, "DEPLOYMENTS.md")


def chain(value: bytes) -> Mined | BlockHash | None:
    """Knows the two blocks, and no transaction at all."""
    return BlockHash(BLOCKS[value]) if value in BLOCKS else None


def test_every_one_of_the_twenty_rows_is_marked_with_what_is_wrong() -> None:
    first = [marks[0] for marks in judge_rows(ROWS, chain)]
    assert len(first) == 20
    assert sum(mark == "no transaction: the row says 'pending'" for mark in first) == 17
    assert sum(mark.startswith("not a transaction hash: the first 32 bytes of a serialized") for mark in first) == 1
    assert sum(mark.startswith("not a transaction hash: it is the hash of block ") for mark in first) == 2


def test_the_signed_transaction_is_read_as_what_it_is() -> None:
    row = next(row for row in ROWS if row.transaction == SIGNED)
    assert (row.version, row.machine) == ("1.2.0", "prod7")
    mark = judge_rows(ROWS, None)[ROWS.index(row)][0]
    assert mark.endswith("(type 2, 272 bytes, chain id 8453)")


def test_both_rows_of_the_last_version_hold_block_hashes() -> None:
    marked = [row.version for row, marks in zip(ROWS, judge_rows(ROWS, chain), strict=True) if "of block" in marks[0]]
    assert marked == [VERSIONS[-1]] * 2


def test_without_a_chain_a_hash_is_unchecked_and_never_right() -> None:
    marks = [item for item in judge_rows(ROWS, None) if "not looked up" in item[0]]
    assert len(marks) == 2
    assert all(any("no evidence" in mark for mark in item) for item in marks)


def test_twenty_rows_cannot_all_be_active_on_two_machines() -> None:
    assert all(any("call themselves Active" in mark for mark in marks) for marks in judge_rows(ROWS, chain))


def test_one_version_with_two_hashes_is_marked_on_both_rows() -> None:
    marks = judge_rows(ROWS, chain)
    differing = [
        row.version for row, item in zip(ROWS, marks, strict=True) if any("another compose" in m for m in item)
    ]
    assert differing.count("1.2.3") == 2


def test_only_what_may_be_a_hash_is_looked_up() -> None:
    assert set(transactions(ROWS)) == set(BLOCKS)


def row(**changed: str) -> HistoricalRow:
    values = {
        "timestamp": "2026-01-01 00:00:00",
        "version": "1.0.0",
        "machine": "prod9",
        "compose_hash": "ab" * 32,
        "transaction": "0x" + "cd" * 32,
        "status": "Active",
    }
    return HistoricalRow(1, **(values | changed))


@pytest.mark.parametrize(
    ("found", "mark"),
    [
        (None, "the chain knows no such transaction"),
        (mined(APP, succeeded=False), "its transaction was reverted"),
        (mined(APP), "its transaction did not allow this compose hash: it logged none"),
        (mined(APP, bytes(32)), f"its transaction did not allow this compose hash: it logged {'00' * 32}"),
    ],
)
def test_a_real_transaction_can_still_be_the_wrong_one(found: Mined | None, mark: str) -> None:
    assert judge_rows([row()], lambda _: found)[0][0] == mark


def test_a_transaction_that_holds_the_log_is_not_complained_about_and_the_row_still_is_no_evidence() -> None:
    marks = judge_rows([row()], lambda _: mined(APP, bytes.fromhex("ab" * 32)))[0]
    assert len(marks) == 1
    assert marks[0].startswith("no evidence")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Deployments\n",
        "| Version | Machine |\n|---|---|\n| 1.0.0 | prod9 |\n",
        "| Timestamp | Version | Machine | Compose Hash | On-Chain TX | Status |\n|---|---|---|---|---|---|\n",
        "| Timestamp | Version | Machine | Compose Hash | On-Chain TX | Status |\n|---|\n| a | b |\n",
    ],
)
def test_what_is_no_table_of_deployments_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_table(text, "file")


@given(st.text(alphabet="|-0x12abf[]() \n`Timesap", max_size=300))
def test_any_text_is_a_table_or_malformed(text: str) -> None:
    try:
        rows = read_table(text, "file")
    except Malformed:
        return
    judge_rows(rows, None)


@given(st.binary(min_size=32, max_size=32))
def test_a_real_hash_is_hardly_ever_taken_for_a_transaction(value: bytes) -> None:
    digest = hashlib.sha256(value).digest()
    marks = judge_rows([row(transaction=f"0x{digest.hex()}")], None)
    assert "signed transaction" not in marks[0][0]
