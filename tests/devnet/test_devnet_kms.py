"""Keys and signatures of the devnet's KMS follow dstack's derivation, down to the published test key."""

from __future__ import annotations

import json
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey, Signature

from twinproof.dstack.app_info import parse_app_info
from twinproof.dstack.ra_tls import read_ra_tls_certificate
from twinproof_devnet.boot import Boot
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.host import TdxHost
from twinproof_devnet.image import Image
from twinproof_devnet.kms import AppKeys, Kms, derive_key
from twinproof_devnet.pki import Pki
from twinproof_devnet.ra_tls import report_data

AT = 1_800_000_000
KMS = Kms.create(AT)
APP_ID = bytes(range(20))
KEYS = KMS.release(APP_ID)


def recovered(signature: bytes, message: bytes) -> bytes:
    return Signature(signature).recover_public_key_from_msg_hash(keccak(message)).to_compressed_bytes()


def test_the_chain_of_a_key_ends_at_the_kms_root() -> None:
    answer = KEYS.get_key("/signup", "counter", "")
    assert answer.key == derive_key(KEYS.app_key, b"/signup")
    assert answer.key == KEYS.get_key("/signup", "other purpose", "secp256k1").key
    message = b"counter:" + compressed(answer.key).hex().encode()
    app_key = recovered(answer.signature_chain[0], message)
    assert app_key == compressed(KEYS.app_key)
    assert recovered(answer.signature_chain[1], b"dstack-kms-issued:" + APP_ID + app_key) == KMS.root_public_key


def compressed(secret: bytes) -> bytes:
    return PrivateKey(secret).public_key.to_compressed_bytes()


def test_every_release_to_an_app_has_the_same_keys_and_another_app_has_others() -> None:
    assert KMS.release(APP_ID).app_key == KEYS.app_key
    assert KMS.release(bytes(20)).app_key != KEYS.app_key
    assert KMS.release(APP_ID).ca.key.private_numbers() == KEYS.ca.key.private_numbers()


@pytest.mark.vectors
def test_the_published_test_key_derives_as_published(vectors: Path) -> None:
    keys = json.loads((vectors / "dstack" / "simulator" / "appkeys.json").read_text())
    expected = json.loads((vectors / "dstack" / "expected.json").read_text())["key_chain_vector"]
    app_keys = AppKeys(bytes.fromhex(keys["k256_key"]), bytes.fromhex(keys["k256_signature"]), KEYS.ca, ())
    answer = app_keys.get_key(expected["path"], expected["purpose"], "secp256k1")
    assert answer.key.hex() == expected["derived_key"]
    assert recovered(answer.signature_chain[0], expected["message_ascii"].encode()).hex() == expected["app_k256_pubkey"]
    assert answer.signature_chain[1].hex() == expected["signature_chain_1_rsv"]


@pytest.mark.parametrize(
    ("algorithm", "data", "size"),
    [("secp256k1", b"any", 33), ("secp256k1_prehashed", bytes(32), 33), ("ed25519", b"", 32)],
)
def test_sign_answers_64_bytes_and_its_chain(algorithm: str, data: bytes, size: int) -> None:
    answer = KEYS.sign(algorithm, data)
    assert [len(part) for part in (answer.signature, *answer.signature_chain)] == [64, 64, 65, 65]
    assert len(answer.public_key) == size
    assert answer.signature_chain[2] == KEYS.app_key_signature


@pytest.mark.parametrize(
    ("algorithm", "data", "reason"),
    [
        ("rsa", b"", "Unsupported algorithm"),
        ("", b"", "Unsupported algorithm"),
        ("secp256k1_prehashed", b"x", "Pre-hashed signing requires a 32-byte digest, but received 1 bytes"),
    ],
)
def test_sign_refuses_in_the_guest_agents_words(algorithm: str, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        KEYS.sign(algorithm, data)


def test_without_a_kms_nothing_vouches_for_the_app_key() -> None:
    answer = AppKeys.without_kms(AT).get_key("", "", "")
    assert [len(part) for part in answer.signature_chain] == [65, 0]


def test_an_ra_tls_certificate_carries_a_quote_over_its_own_key() -> None:
    boot = Boot(key_provider=KMS.key_provider)
    host = TdxHost.create(Pki.create(AT), AT)
    vm = ConfidentialVm(host, boot, KMS.release(boot.effective_app_id), clock=lambda: AT)
    answer = vm.tls_key(subject="x", alt_names=("a.test", "::1"), ra_tls=True, server_auth=True, client_auth=False)
    leaf, ca, root = (x509.load_pem_x509_certificate(pem.encode()) for pem in answer.certificate_chain)
    leaf.verify_directly_issued_by(ca)
    ca.verify_directly_issued_by(root)
    spki = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert json.loads(vm.key_provider_info) == {"name": "kms", "id": spki.hex()}
    extension = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.4.1.62397.1.8")).value
    assert isinstance(extension, x509.UnrecognizedExtension)
    key = load_pem_private_key(answer.key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert report_data(key) in extension.value


def test_a_certificate_cannot_end_before_it_starts() -> None:
    vm = ConfidentialVm(TdxHost.create(Pki.create(AT), AT), Boot(), KEYS, clock=lambda: AT)
    with pytest.raises(ValueError, match="not_before must be earlier than not_after"):
        vm.tls_key(
            subject="", alt_names=(), ra_tls=False, server_auth=True, client_auth=False, not_before=5, not_after=5
        )


def test_an_event_of_the_app_changes_the_quote_and_the_log_together() -> None:
    vm = ConfidentialVm(TdxHost.create(Pki.create(AT), AT), Boot(), KEYS, clock=lambda: AT)
    before = vm.quote(b"")[48 + 472 : 48 + 520]
    vm.emit_event("mine", b"x")
    after = vm.quote(b"")[48 + 472 : 48 + 520]
    assert before != after == vm.boot.measurements.rtmr3
    assert json.loads(vm.event_log())[-1]["event"] == "mine"


@pytest.mark.parametrize(("version", "shape"), [("0.5.8", list), ("0.6.0", dict)])
def test_app_info_is_an_array_and_from_0_6_a_map(version: str, shape: type) -> None:
    boot = Boot(key_provider=KMS.key_provider, image=Image(version=version))
    vm = ConfidentialVm(TdxHost.create(Pki.create(AT), AT), boot, KMS.release(boot.effective_app_id), clock=lambda: AT)
    answer = vm.tls_key(subject="x", alt_names=(), ra_tls=True, server_auth=True, client_auth=False, with_app_info=True)
    leaf = x509.load_pem_x509_certificate(answer.certificate_chain[0].encode())
    assert isinstance(msgpack.unpackb(boot.app_info()), shape)
    assert parse_app_info(boot.app_info()).app_id == boot.effective_app_id
    assert read_ra_tls_certificate(leaf.public_bytes(Encoding.DER)).app_info == parse_app_info(boot.app_info())
