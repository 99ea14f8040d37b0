"""Inputs to start from: real evidence where it lies, simulated evidence always. Nothing is written anywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed

import small_chain
from deployment_records import APP_ID, failed, record
from historical_table import TABLE
from real_vectors import vectors_directory
from simulated import AT, host, members, pki, quote
from small_answers import hashed, header_json, log_json, receipt_json, receipt_leaf
from small_boot import COMPOSE, VM_CONFIG, Boot, v0_attestation, v1_attestation, v1_members
from small_cbor import cbor, checksums, document, in_vm_config
from small_firmware import firmware
from small_image import archive, image
from small_instance import Instance, statement
from small_kernel import bzimage
from small_transactions import deposit_json, raw_deposit, signed, signed_json
from twinproof.chain.abi import encode_words
from twinproof.chain.contracts import KMS_INFO
from twinproof.chain.rlp_items import encode
from twinproof.dcap.pem import pem_certificates
from twinproof.deployments.journal import Journal, SignedTransaction
from twinproof.evidence.bundle import bundle_to_json
from twinproof_devnet.provision import provision
from twinproof_devnet.sgx_extension import encode_members

__all__ = ["seeds"]

_POLICY = b"""[policy]
profile = "strict"
accepted_tcb_statuses = ["UpToDate"]
min_tcb_evaluation = 18
version = "1.2.0"
"""
_SMALL_FILE = 64 * 1024


_CLOUD_ANSWER = json.dumps(
    {
        "nodes": [{"teepod_id": 18, "name": "prod9", "device_id": "cd" * 32, "support_onchain_kms": True}],
        "details": [{"field": "compose_hash", "value": "ab" * 32}, {"field": "device_id", "value": "cd" * 32}],
        "compose_hash": "ab" * 32,
        "name": "toy-example",
        "public_key": "11" * 32,
        "signature": "22" * 65,
        "kms_info": {"slug": "kms-base-prod9", "chain_id": 8453, "kms_contract_address": "0x" + "33" * 20},
    }
).encode()


def _journal() -> bytes:
    transaction = SignedTransaction(b"\x02\xf8", bytes(20), 3, 21000)
    return Journal("toy-example", bytes(32), 8453, APP_ID, {"contract": transaction}).to_json().encode()


def seeds(name: str) -> tuple[bytes, ...]:
    """For the target of this name: at least one that is read without an error."""
    return _all()[name]


def _chain_seeds() -> dict[str, tuple[bytes, ...]]:
    whole = small_chain.proved()
    bare = replace(whole, proof=None, plain=small_chain.plain())
    assert whole.proof is not None
    assert whole.allowed_by is not None
    assert whole.allowed_by.receipt is not None
    answer = encode_words(KMS_INFO.outputs, (b"\2" * 33, b"key", b"quote", b"log"))
    return {
        "chain_evidence": tuple(json.dumps(item.to_json()).encode() for item in (whole, bare)),
        "chain_log": (json.dumps(log_json()).encode(),),
        "chain_header": (json.dumps(hashed(header_json(21))).encode(),),
        "chain_receipt": (json.dumps(receipt_json()).encode(),),
        "chain_answer": (answer,),
        "chain_revert": (bytes.fromhex("08c379a0") + encode_words(("string",), ("no",)), b""),
        "trie_node": (encode([b"\x20" + bytes(32), b"value"]), *whole.proof.app.nodes[:1]),
        "chain_transaction": (*(signed(kind) for kind in range(5)), raw_deposit()),
        "chain_transaction_of_ours": (signed(2),),
        "chain_transaction_json": tuple(
            json.dumps(shown).encode() for shown in (*(signed_json(kind) for kind in range(5)), deposit_json())
        ),
        "trie_receipt": (receipt_leaf(),),
    }


@cache
def _all() -> dict[str, tuple[bytes, ...]]:
    boot = Boot()
    collateral = members()
    quotes = (quote(), quote(5, "TD1.5ex"), host().sgx_quote(host().enclave()), *_real("dcap/quotes/*.bin", 3))
    bundle = bundle_to_json(Instance().evidence()).encode()
    v0 = v0_attestation(boot, quote())
    v1 = v1_attestation(v1_members(boot, quote()))
    answers = _real("dstack/verifier/*.json", 4)
    info = json.dumps(
        {"app_id": "11" * 20, "tcb_info": json.dumps({"event_log": boot.entries(), "app_compose": COMPOSE})}
    )
    files = image()
    return _chain_seeds() | {
        "quote": quotes,
        "deployment_record": (record().to_json().encode(), failed().to_json().encode()),
        "deployment_table": (TABLE.encode(),),
        "deploy_journal": (_journal(),),
        "env_file": (b"# secrets\nTOKEN=value\n",),
        "cloud_answer": (_CLOUD_ANSWER,),
        "pem": (host().pck_chain, collateral["tcb_info_issuer_chain"].encode(), *_real("dcap/pki/*.pem", 2)),
        "certificate": (host().pck.der, pki().root.der, *_real("dcap/pki/*.der", 1)),
        "sgx_extension": (encode_members(host().machine),),
        "crl": (bytes.fromhex(collateral["pck_crl"]), *_real_crls()),
        "tcb_info": (collateral["tcb_info"].encode(), *(text.encode() for text in _real_members("tcb_info"))),
        "qe_identity": (collateral["qe_identity"].encode(), *(text.encode() for text in _real_members("qe_identity"))),
        "collateral": (json.dumps(collateral).encode(),),
        "verification": (json.dumps({"quote": quote().hex(), "collateral": collateral}).encode(),),
        "event_log": (boot.log().encode(), boot.log(digests=False).encode(), *_real_texts("event_log")),
        "vm_config": (
            VM_CONFIG.encode(),
            json.dumps(in_vm_config(cbor(document()))).encode(),
            *_real_texts("vm_config"),
        ),
        "attestation": (v0, v1, *_real("dstack/simulator/attestation.bin", 1)),
        "message_pack": (v1,),
        "ra_tls": _ra_tls(),
        "get_quote": (json.dumps({"quote": quote().hex(), "event_log": boot.log()}).encode(), *answers),
        "guest_info": (info.encode(),),
        "app_compose": (COMPOSE.encode(), *_real("dstack/*/app-compose.json", 2)),
        "app_info": _app_info(),
        "compose_file": (b"services:\n  app:\n    image: a@sha256:11\n    privileged: true\n    env_file: x\n",),
        "statement": (statement(bytes(32)).encode(),),
        "bundle": (bundle,),
        "verdict": (bundle,),
        "evidence_file": (bundle, quote(), quote().hex().encode(), v0, v1, info.encode(), *answers),
        "key_answer": (_key_answer(),),
        "measurement_document": (cbor(document()), checksums(cbor(document()))),
        "td_hob_witness": (b"\x00\x00\x01\x00\x10", *_witness()),
        "ccel": _real("dstack/eventlog/ccel.bin", 1, limit=2048) or (bytes(64),),
        "firmware": (firmware(),),
        "kernel": (bzimage(),),
        "image_metadata": (files["metadata.json"],),
        "checksum_list": (files["sha256sum.txt"],),
        "archive": (archive({"metadata.json": b"{}", "sha256sum.txt": b"x" * 700}, mode="w"),),
        "policy": (_POLICY,),
        "toml": (_POLICY + b'[machines.prod9]\nregion = "US-WEST"\nurl = "https://prod9.example"\n',),
        "conformance_stream": (json.dumps({"id": 1, "kind": "quote", "at": AT, "root": {"base64": "AA=="}}).encode(),),
    }


def _real(pattern: str, most: int, *, limit: int = _SMALL_FILE) -> tuple[bytes, ...]:
    directory = vectors_directory()
    found: list[Path] = sorted(directory.glob(pattern)) if directory else []
    return tuple(path.read_bytes()[:limit] for path in found[:most])


def _real_members(name: str) -> tuple[str, ...]:
    return tuple(str(json.loads(data)[name]) for data in _real("dcap/collateral/tdx-*.json", 2))


def _real_crls() -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(text) for text in (*_real_members("pck_crl"), *_real_members("root_ca_crl")))


def _real_texts(name: str) -> tuple[bytes, ...]:
    answers: list[dict[str, Any]] = [json.loads(data) for data in _real("dstack/verifier/*.json", 4)]
    return tuple(answer[name].encode() for answer in answers if isinstance(answer.get(name), str))


def _ra_tls() -> tuple[bytes, ...]:
    vm = provision(["prod9"], [], clock=lambda: AT).vms["prod9"]
    return pem_certificates(vm.app_cert().encode(), "app certificate")[:1]


def _app_info() -> tuple[bytes, ...]:
    members = {
        "app_id": bytes(20),
        "compose_hash": bytes(32),
        "instance_id": b"",
        "device_id": bytes(32),
        "mr_system": bytes(32),
        "mr_aggregated": bytes(32),
        "os_image_hash": b"",
        "key_provider_info": b"{}",
    }
    forms = ([*members.values()], {**members, "init_script_hashes": [bytes(32)]})
    return tuple(msgpack.packb(form) for form in forms)


def _key_answer() -> bytes:
    return json.dumps({"key": "11" * 32, "signature_chain": ["22" * 65, "33" * 65]}).encode()


def _witness() -> tuple[bytes, ...]:
    return (bytes.fromhex("80101000") + b"\x01\x00\x20",)
