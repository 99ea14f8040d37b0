"""Every reader of bytes that somebody else chose, by name. Each may end in a value or in a TwinproofError."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable

import small_chain
from simulated import AT, pki
from twinproof.chain.abi import read_answer
from twinproof.chain.block import parse_header
from twinproof.chain.contracts import KMS_INFO
from twinproof.chain.evidence import parse_evidence
from twinproof.chain.indexed_proof import IndexedProof
from twinproof.chain.log import parse_log
from twinproof.chain.plan import PLAN as CHAIN_PLAN
from twinproof.chain.receipt import parse_receipt
from twinproof.chain.receipt_proof import proved_logs
from twinproof.chain.transaction import consensus_form, read_transaction
from twinproof.chain.trie import lookup
from twinproof.chain.verify import check_chain
from twinproof.cli import configuration
from twinproof.conformance.stream import answers
from twinproof.dcap.certificates import load_certificate
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import check_not_revoked, load_crl
from twinproof.dcap.pck import parse_pck_extension
from twinproof.dcap.pem import pem_certificates
from twinproof.dcap.qe_identity import parse_qe_identity
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.tcb_info import parse_tcb_info
from twinproof.dcap.verify import PLAN, appraise
from twinproof.deployments.cloud_answers import read_cvm, read_env_key, read_nodes, read_pending, read_provision
from twinproof.deployments.historical import judge_rows, read_table
from twinproof.deployments.journal import parse_journal
from twinproof.deployments.record import parse_record
from twinproof.deployments.sealed_env import parse_env_file
from twinproof.dstack.app_compose import parse_app_compose
from twinproof.dstack.app_info import parse_app_info
from twinproof.dstack.attestation import parse_versioned_attestation
from twinproof.dstack.authenticode import authenticode_sha384
from twinproof.dstack.boot import read_boot
from twinproof.dstack.checksum_list import parse_checksums
from twinproof.dstack.compose_file import scan_compose_file
from twinproof.dstack.event_log import parse_event_log
from twinproof.dstack.get_quote import parse_quote_answer
from twinproof.dstack.guest_info import parse_guest_info
from twinproof.dstack.image_metadata import parse_metadata
from twinproof.dstack.kernel import patched_kernel
from twinproof.dstack.key_answer import parse_key_answer
from twinproof.dstack.measurement_document import parse_measurement_document
from twinproof.dstack.message_pack import unpack
from twinproof.dstack.ra_tls import read_ra_tls_certificate
from twinproof.dstack.td_hob import parse_witness
from twinproof.dstack.tdvf import parse_tdvf
from twinproof.dstack.unmeasured import unmeasured_inputs
from twinproof.dstack.vm_config import parse_vm_config
from twinproof.errors import Malformed
from twinproof.evidence import carrier
from twinproof.evidence.bundle import parse_bundle
from twinproof.evidence.statement import parse_statement
from twinproof.keccak import keccak256
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.sources.files import evidence_from_bytes
from twinproof.sources.planned_transaction import read_signed
from twinproof.sources.tar_stream import read_tar
from twinproof.tdx.ccel import parse_ccel
from twinproof.tdx.quote import parse_quote
from twinproof.verdict import Step
from twinproof.verifier import Verifier
from twinproof.wire import parse_object

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], object]


def _text(data: bytes) -> str:
    """Bytes that are no UTF-8 become halves of surrogate pairs, which JSON texts can hold."""
    return data.decode("utf-8", "surrogateescape")


def _root() -> TrustRoot:
    return TrustRoot.from_pem_or_der(pki().root.der)


def _pem(data: bytes) -> None:
    for der in pem_certificates(data, "chain"):
        _certificate(der)


def _certificate(data: bytes) -> None:
    assert isinstance(load_certificate(data, "certificate").name, str)


def _crl(data: bytes) -> None:
    check_not_revoked(load_crl(data, "CRL"), "CRL", load_certificate(pki().root.der, "root"))


def _verification(data: bytes) -> None:
    """A quote and its collateral, spoiled together; no step may raise anything but what the ledger records."""
    try:
        given = json.loads(data)
        quote, collateral = bytes.fromhex(given["quote"]), json.dumps(given["collateral"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    supplied = Collateral.from_json(collateral)
    appraise(quote, supplied, at=AT, root=_root(), ledger=Ledger(PLAN), memo=Memo())


def _event_log(data: bytes) -> None:
    log = parse_event_log(_text(data))
    log.check_digests()
    for register in range(4):
        assert len(log.replay(register)) == 48
    read_boot(log)


def _app_compose(data: bytes) -> None:
    assert isinstance(unmeasured_inputs(_text(data)), tuple)
    parse_app_compose(_text(data))


def _verdict(data: bytes) -> None:
    evidence = parse_bundle(data)
    if evidence.collateral is not None:
        verdict = Verifier(roots=(_root(),)).verify(evidence, at=AT)
        json.dumps(verdict.to_json())


def _bundle(data: bytes) -> None:
    carrier.unpack(parse_bundle(data))


def _evidence_file(data: bytes) -> None:
    carrier.unpack(evidence_from_bytes(data, "file"))


def _kernel(data: bytes) -> None:
    authenticode_sha384(data)
    patched_kernel(data, initrd_size=70_000)


def _archive(data: bytes) -> None:
    for file in read_tar(io.BytesIO(data).read):
        assert sum(map(len, file.chunks)) == file.size


def _toml(data: bytes) -> None:
    configuration._parsed(data, "twinproof.toml", configuration._configuration)


def _policy(data: bytes) -> None:
    configuration._parsed(data, "policy", configuration._policy)


def _chain_evidence(data: bytes) -> None:
    """What is said of a chain, in a file: no step may raise anything but what the ledger records."""
    evidence = parse_evidence(parse_object(data, "chain"))
    ledger = Ledger((*CHAIN_PLAN, Step("policy.chain", "", "", "")))
    check_chain(evidence, small_chain.ATTESTED, small_chain.TRUSTED, ledger, at=small_chain.AT)
    assert len(ledger.checks()) == len(CHAIN_PLAN) + 1


def _conformance_stream(data: bytes) -> None:
    for line in answers([b'"path"' if b'"/' in data else data]):  # no path of this machine is opened
        json.loads(line)


def _cloud_answer(data: bytes) -> None:
    fields = parse_object(data, "answer")
    for read in (read_nodes, read_provision, read_pending, read_cvm, read_env_key):
        with contextlib.suppress(Malformed):
            read(fields)


def _deployment_table(data: bytes) -> None:
    judge_rows(read_table(_text(data), "file"), None)


TARGETS: dict[str, Target] = {
    "quote": parse_quote,
    "pem": _pem,
    "certificate": _certificate,
    "sgx_extension": parse_pck_extension,
    "crl": _crl,
    "tcb_info": lambda data: parse_tcb_info(_text(data)),
    "qe_identity": lambda data: parse_qe_identity(_text(data)),
    "collateral": Collateral.from_json,
    "verification": _verification,
    "event_log": _event_log,
    "vm_config": lambda data: parse_vm_config(_text(data)),
    "attestation": parse_versioned_attestation,
    "message_pack": lambda data: unpack(data, "attestation"),
    "ra_tls": read_ra_tls_certificate,
    "get_quote": parse_quote_answer,
    "guest_info": parse_guest_info,
    "app_compose": _app_compose,
    "app_info": parse_app_info,
    "compose_file": lambda data: scan_compose_file(_text(data)),
    "statement": lambda data: parse_statement(_text(data)),
    "bundle": _bundle,
    "verdict": _verdict,
    "evidence_file": _evidence_file,
    "key_answer": parse_key_answer,
    "measurement_document": parse_measurement_document,
    "td_hob_witness": parse_witness,
    "ccel": parse_ccel,
    "firmware": parse_tdvf,
    "kernel": _kernel,
    "image_metadata": parse_metadata,
    "checksum_list": parse_checksums,
    "archive": _archive,
    "policy": _policy,
    "toml": _toml,
    "conformance_stream": _conformance_stream,
    "deployment_record": lambda data: parse_record(data, "record"),
    "deployment_table": _deployment_table,
    "deploy_journal": lambda data: parse_journal(data, "journal"),
    "env_file": lambda data: parse_env_file(_text(data), "file"),
    "cloud_answer": _cloud_answer,
    "chain_evidence": _chain_evidence,
    "chain_log": lambda data: parse_log(parse_object(data, "log")),
    "chain_header": lambda data: parse_header(parse_object(data, "block")).rlp,
    "chain_receipt": lambda data: parse_receipt(parse_object(data, "receipt")),
    "chain_answer": lambda data: read_answer(KMS_INFO, data, reverted=False),
    "chain_revert": lambda data: read_answer(KMS_INFO, data, reverted=True),
    "trie_node": lambda data: lookup(keccak256(data), bytes(32), [data], "proof"),
    "chain_transaction": lambda data: read_transaction(data, "transaction"),
    "chain_transaction_of_ours": lambda data: read_signed(data, bytes(20)),
    "chain_transaction_json": lambda data: consensus_form(parse_object(data, "transaction")),
    "trie_receipt": lambda data: proved_logs(IndexedProof(0, (data,)), keccak256(data), "receipt"),
}
