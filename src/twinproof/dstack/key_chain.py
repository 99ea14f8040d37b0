"""Did the KMS hand out this key? The signatures of a GetKey or Sign answer, from the key up to the KMS root.

1. keys.format    2. keys.app_signature    3. keys.root_signature    4. keys.root_pinned    5. keys.data_signature

    app key   signs keccak(purpose || ":" || hex(public key))
    KMS root  signs keccak("dstack-kms-issued:" || app id || app key)

Neither key is in the answer: both are recovered, and recovery gives some key for any message. So 2 and 3 say nothing by
themselves, and pass only when what 3 gives is the pinned root. The public key is the last 66 or 64 characters of its
message and has no colon, so a purpose that has one makes no second reading.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from twinproof.dstack.key_answer import Algorithm, KeyAnswer, Method, parse_key_answer
from twinproof.errors import Forged, Malformed, Untrusted, UsageError
from twinproof.ledger import Ledger, Plan
from twinproof.secp256k1 import recover, verify_digest
from twinproof.verdict import Check, Status, Step

__all__ = ["DOES_NOT_PROVE", "PLAN", "PROVES", "KeyVerdict", "judge_key"]

SCHEMA = "twinproof/key/v1"
PROVES = "the KMS released the app's key to some authorised instance at some time, and that key vouches for this one"
DOES_NOT_PROVE = (
    "which version, compose file or instance holds the key: all instances of an app, and all versions that were ever "
    "allowed, get the same"
)
NOT_PINNED = "not pinned: give the KMS root to compare with (--kms-root)"
_RECOVERED = "a key was recovered, as from any signature; only the pinned KMS root tells whose it is"
_SIGNING = "signing"
_SOURCE = "dstack guest-agent and KMS: signature chain of GetKey"

PLAN = Plan(
    (
        Step(
            "keys.format",
            "the answer is one of GetKey or Sign, with a chain of its length",
            "two readers of a loose format can be shown two different keys",
            "dstack guest-agent: GetKey, Sign, DeriveK256Key",
        ),
        Step(
            "keys.app_signature",
            "the app's key vouches for this public key and this purpose",
            "any key could be shown beside a real app key",
            _SOURCE,
        ),
        Step(
            "keys.root_signature",
            "the KMS root vouches for the app's key and this app id",
            "an app key of the attacker's own could vouch for anything",
            _SOURCE,
        ),
        Step(
            "keys.root_pinned",
            "the chain ends at the pinned KMS root",
            "every chain ends at some key: a made-up KMS hands out keys that others know",
            "DstackKms.kmsInfo().k256Pubkey, or the KMS's GetMeta compared out of band",
        ),
        Step(
            "keys.data_signature",
            "this key signed the data",
            "a real key could be shown beside data that it never signed",
            "dstack guest-agent: Sign",
        ),
    )
)
_CHAIN = ("keys.format", "keys.app_signature", "keys.root_signature", "keys.root_pinned")


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """What the chain of one answer is worth. Keys are SEC1 compressed, 33 bytes; `app_key` and `root` as recovered."""

    source: str
    checks: tuple[Check, ...]
    app_id: bytes
    pinned: bytes | None
    purpose: str
    answer: KeyAnswer | None
    app_key: bytes | None
    root: bytes | None

    @property
    def proved(self) -> bool:
        """The chain ends at the pinned root, and nothing that was checked failed."""
        return all(check.passed for check in self.checks if check.id in _CHAIN) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.status is Status.FAIL)

    @property
    def exit_code(self) -> int:
        """0 proved, 3 not genuine, 4 nothing pinned: then nothing was proved either."""
        return 0 if self.proved else 3 if self.failures else 4

    def check(self, step_id: str) -> Check:
        return next(check for check in self.checks if check.id == step_id)

    def to_json(self) -> dict[str, object]:
        answer = self.answer
        return {
            "schema": SCHEMA,
            "source": self.source,
            "proved": self.proved,
            "exit_code": self.exit_code,
            "method": answer.method.value if answer else None,
            "algorithm": answer.algorithm.value if answer else None,
            "purpose": self.purpose,
            "public_key": answer.public_key.hex() if answer else None,
            "app_id": self.app_id.hex(),
            "recovered_app_key": self.app_key.hex() if self.app_key else None,
            "recovered_kms_root": self.root.hex() if self.root else None,
            "pinned_kms_root": self.pinned.hex() if self.pinned else None,
            "proves": PROVES if self.proved else None,
            "does_not_prove": DOES_NOT_PROVE,
            "checks": [check.to_json() for check in self.checks],
        }


def judge_key(
    text: str | bytes,
    *,
    source: str,
    app_id: bytes,
    kms_root: bytes | None,
    purpose: str | None = None,
    data: bytes | None = None,
    algorithm: Algorithm | None = None,
) -> KeyVerdict:
    """Judge one saved answer.

    `app_id` is 20 bytes, from a source that was verified; `kms_root` a compressed key. `purpose` is what GetKey was
    asked with (default none); Sign's is always `signing`. `algorithm` is what was asked for, where the answer does not
    say. `data` is what Sign was given. Raises UsageError for arguments that do not fit the answer, and where eth-keys
    is not installed; never because of the answer.
    """
    ledger = Ledger(PLAN)
    answer = app_key = root = None
    with ledger.line("keys.format") as entry:  # 1
        answer = parse_key_answer(text, algorithm=algorithm)
        entry.got = f"{answer.method}, {answer.algorithm}, public key {answer.public_key.hex()}"
    purpose = _purpose(answer, purpose)
    if answer is not None:
        _check_use(answer, data)
        app_key, root = _check_chain(answer, purpose, app_id, kms_root, ledger)
        _check_data(answer, data, algorithm, ledger)
    return KeyVerdict(source, ledger.checks(), app_id, kms_root, purpose, answer, app_key, root)


def _purpose(answer: KeyAnswer | None, purpose: str | None) -> str:
    if answer is None or answer.method is Method.GET_KEY:
        return purpose or ""
    if purpose not in {None, _SIGNING}:
        raise UsageError("Sign has one purpose", where="--purpose", got=purpose or "none", expected=_SIGNING)
    return _SIGNING


def _check_use(answer: KeyAnswer, data: bytes | None) -> None:
    if answer.method is Method.GET_KEY and data is not None:
        raise UsageError("a GetKey answer signs no data", where="--data", hint="Sign's answer has a member `signature`")


def _check_chain(
    answer: KeyAnswer, purpose: str, app_id: bytes, kms_root: bytes | None, ledger: Ledger
) -> tuple[bytes | None, bytes | None]:
    """Steps 2 to 4; the recovered keys, whatever they are worth."""
    app_key = root = None
    with ledger.line("keys.app_signature") as first:  # 2
        message = f"{purpose}:{answer.public_key.hex()}"
        first.explain("hashed", f"Keccak-256 over {message}")
        app_key = recover(answer.app_signature, message.encode(), "the app key's signature")
        first.got = f"app key {app_key.hex()}"
        with ledger.line("keys.root_signature") as second:  # 3
            root = _issuer(answer, app_id, app_key)
            second.explain("hashed", f"Keccak-256 over dstack-kms-issued: || {app_id.hex()} || {app_key.hex()}")
            second.got = f"KMS root {root.hex()}"
            if root != kms_root:
                first.not_checked = second.not_checked = _RECOVERED
        if root is None:
            first.not_checked = "blocked by keys.root_signature"
            return app_key, None
        if kms_root is None:
            ledger.not_checked("keys.root_pinned", NOT_PINNED)
            return app_key, root
        first.step("keys.root_pinned")  # 4
        first.got, first.expected = root.hex(), kms_root.hex()
        if root != kms_root:
            asked = "app id" if answer.method is Method.SIGN else "app id, purpose or algorithm"
            raise Untrusted(
                f"the chain does not end at the pinned KMS root: it is another KMS's, or made for another {asked}",
                where="KMS root",
                got=root.hex(),
                expected=kms_root.hex(),
            )
    return app_key, root


def _issuer(answer: KeyAnswer, app_id: bytes, app_key: bytes) -> bytes:
    if not answer.root_signature:
        raise Untrusted(
            "no KMS vouches for the app's key: with the key provider none, local or tpm the guest made it itself",
            where="the KMS root's signature",
            got="an empty signature",
            expected="65 bytes",
        )
    return recover(answer.root_signature, b"dstack-kms-issued:" + app_id + app_key, "the KMS root's signature")


def _check_data(answer: KeyAnswer, data: bytes | None, algorithm: Algorithm | None, ledger: Ledger) -> None:
    """Step 5: of Sign only."""
    if answer.data_signature is None:
        ledger.not_checked("keys.data_signature", "not applicable: a GetKey answer signs no data")
        return
    if data is None:
        ledger.not_checked("keys.data_signature", "the data was not given (--data)")
        return
    with ledger.line("keys.data_signature") as entry:  # 5
        how = algorithm or answer.algorithm
        entry.explain("signed", f"{len(data)} bytes, {how}")
        where = "the data's signature"
        if answer.algorithm is Algorithm.ED25519:
            _verify_ed25519(answer.public_key, answer.data_signature, data, where)
        else:
            verify_digest(answer.public_key, answer.data_signature, _digest(data, how), where)


def _digest(data: bytes, algorithm: Algorithm) -> bytes:
    if algorithm is not Algorithm.SECP256K1_PREHASHED:
        return hashlib.sha256(data).digest()
    if len(data) != 32:
        raise Malformed("not a digest", where="--data", got=f"{len(data)} bytes", expected="32 bytes")
    return data


def _verify_ed25519(public_key: bytes, signature: bytes, data: bytes, where: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature as error:
        raise Forged("the signature does not hold", where=where) from error
