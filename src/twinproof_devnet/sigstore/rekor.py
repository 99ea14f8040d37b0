"""A transparency log of DSSE envelopes with Rekor's first API: each entry comes back with its proof and its time."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from threading import Lock

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from twinproof_devnet.certificate import new_key
from twinproof_devnet.loopback import Answer, Request, Service
from twinproof_devnet.sigstore.ct_log import key_id
from twinproof_devnet.sigstore.merkle import inclusion_path, leaf_hash, tree_head

__all__ = ["Rekor"]

ORIGIN = "rekor.devnet.invalid"
_CREATED, _BAD_REQUEST = 201, 400


class Rekor(Service):
    """`bodies` is everything that was logged, in order."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.key = new_key()
        self.bodies: list[bytes] = []
        self._clock, self._lock = clock, Lock()
        super().__init__()

    def answer(self, request: Request) -> Answer:
        try:
            body = _entry(json.loads(request.body))
        except (InvalidSignature, ValueError, KeyError, TypeError):
            return Answer(b'{"code":400,"message":"not a DSSE entry whose signature holds"}', status=_BAD_REQUEST)
        with self._lock:
            self.bodies.append(body)
            entry = self.entry(len(self.bodies) - 1)
        return Answer(json.dumps({leaf_hash(body).hex(): entry}).encode(), status=_CREATED)

    def entry(self, index: int) -> dict[str, object]:
        """With its place in the tree as it is now."""
        leaves = [leaf_hash(body) for body in self.bodies]
        entry: dict[str, object] = {
            "body": base64.b64encode(self.bodies[index]).decode(),
            "integratedTime": self._clock(),
            "logID": key_id(self.key).hex(),
            "logIndex": index,
        }
        promise = self._signed(_compact(entry))
        proof = {
            "checkpoint": self.checkpoint(leaves),
            "hashes": [node.hex() for node in inclusion_path(index, leaves)],
            "logIndex": index,
            "rootHash": tree_head(leaves).hex(),
            "treeSize": len(leaves),
        }
        signed = base64.b64encode(promise).decode()
        return {**entry, "verification": {"inclusionProof": proof, "signedEntryTimestamp": signed}}

    def checkpoint(self, leaves: list[bytes]) -> str:
        """The head of the tree as a signed note."""
        note = f"{ORIGIN} - 1\n{len(leaves)}\n{base64.b64encode(tree_head(leaves)).decode()}\n"
        signature = struct.pack(">4s", key_id(self.key)) + self._signed(note.encode())
        return f"{note}\n\u2014 {ORIGIN} {base64.b64encode(signature).decode()}\n"

    def _signed(self, data: bytes) -> bytes:
        return self.key.sign(data, ECDSA(SHA256()))


def _entry(request: Mapping[str, Mapping[str, Mapping[str, object]]]) -> bytes:
    """What is logged of a proposed `dsse` entry, once its signature holds."""
    proposed = request["spec"]["proposedContent"]
    text, verifiers = proposed["envelope"], proposed["verifiers"]
    if not isinstance(text, str) or not isinstance(verifiers, list):
        raise TypeError
    envelope, (verifier,) = json.loads(text), verifiers
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    (signature,) = envelope["signatures"]
    key = x509.load_pem_x509_certificate(base64.b64decode(verifier)).public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise TypeError
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key.verify(base64.b64decode(signature["sig"]), signed, ECDSA(SHA256()))
    spec = {
        "envelopeHash": _sha256(text.encode()),
        "payloadHash": _sha256(payload),
        "signatures": [{"signature": signature["sig"], "verifier": verifier}],
    }
    return _compact({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _compact(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
