"""A bounded run over every reader: spoiled evidence ends in a value or in an error of ours, soon, in little memory."""

from __future__ import annotations

import ast
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.mutations import EDITS, Edit, spoiled
from fuzz.seeds import seeds
from fuzz.targets import TARGETS
from twinproof.errors import TwinproofError

SRC = Path(__file__).resolve().parents[2] / "src" / "twinproof"
SECONDS = 5.0
"""Of processor time for one input; the slowest takes a few hundredths."""
MEMORY = 96 << 20
HOSTILE = (
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 200_000,
    b'"' + b"\\u0041" * 30_000,
    b"\x30\x84\xff\xff\xff\xff" * 1000,
    b"\x04\x00\x02\x00\x81\x00\x00\x00" + b"\xff" * 60_000,
    b"\x82" * 20_000,
    b"\xdd\xff\xff\xff\xff" * 2000,
    b"-----BEGIN CERTIFICATE-----\n" * 500,
    b"a: &a [" * 5000,
    b"%s:" * 20_000,
    b"\x00" * 300_000,
    b"-" * 300_000,
    b" " * 300_000,
)
EDIT = st.tuples(st.sampled_from(EDITS), st.integers(0, 1 << 20), st.integers(0, 1 << 16))


def run(name: str, data: bytes) -> None:
    started = time.process_time()
    with suppress(TwinproofError):
        TARGETS[name](data)
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("name", TARGETS)
def test_there_is_a_seed_that_is_read(name: str) -> None:
    TARGETS[name](seeds(name)[0])


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_spoiled_evidence_ends_in_a_value_or_in_an_error_of_ours(name: str, data: st.DataObject) -> None:
    seed, other = data.draw(st.sampled_from(seeds(name))), data.draw(st.sampled_from(seeds(name)))
    edits: list[Edit] = data.draw(st.lists(EDIT, min_size=1, max_size=5))
    run(name, spoiled(seed, edits, other))


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_bytes_take_little_time_and_memory(name: str) -> None:
    seed = seeds(name)[0]
    middle = len(seed) // 2
    for hostile in HOSTILE:
        for data in (hostile, seed[:middle] + hostile + seed[middle:], seed + hostile):
            tracemalloc.start()
            try:
                run(name, data)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < MEMORY + 64 * len(data)


READ_ELSEWHERE = {
    "parse_td_report": "quote",
    "parse_enclave_report": "quote",
    "parse_signed": "tcb_info",
    "parse_json": "collateral",
    "parse_object": "collateral",
    "parse_key_provider": "event_log",
    "load_point": "verification",
    "read_cbor": "measurement_document",
    "read_boot": "event_log",
    "read_bundle": "bundle",
    "read_os_image": "policy",
    "read_policy": "policy",
    "read_mr_config_id": "verdict",
    "read_kms_info": "cloud_answer",
    "parse_account_proof": "chain_evidence",
    "parse_indexed_proof": "chain_evidence",
    "read_bytes": "chain_evidence",
    "read_compact": "collateral",
}
"""Readers that another target reaches."""
NO_FUZZING = {
    "read_from": "a context in which answers of an endpoint are read",
    "read_logs": "asks an endpoint: the reader of a log is a target",
    "read_app_history": "the same",
    "read_power": "the same",
    "read_app_state": "the same",
    "read_private_file": "the user's own file, for its owner only",
    "read_password": "the same",
    "read_summary_key": "the user's own key file",
    "read_compose": "gives None instead of an error; its reader is a target",
    "read_attestation": "an answer of HTTP: the same readers",
    "read_guest_info": "the same",
    "read_image": "a directory or an archive: its readers are targets",
    "read_file": "opens a file",
    "read_compose_settings": "the deployer's own file",
    "load_evidence": "opens a file",
    "read_records": "opens files: their reader is a target",
    "read_bundle_text": "opens a file",
}


def test_every_reader_is_a_target_or_says_why_not() -> None:
    named = {
        node.name
        for folder in ("tdx", "dcap", "dstack", "chain", "evidence", "deployments", "sources", ".")
        for path in SRC.glob(f"{folder}/*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("parse_", "read_", "load_", "unpack"))
    }
    used = {
        node.id
        for node in ast.walk(ast.parse((Path(__file__).parent / "targets.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Name)
    }
    assert named - used - set(READ_ELSEWHERE) - set(NO_FUZZING) == set()
    assert set(READ_ELSEWHERE.values()) <= set(TARGETS)
