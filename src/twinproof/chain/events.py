"""Every event of DstackApp and DstackKms, in all generations, and what they inherit from OpenZeppelin.

An event is read only when its data and topics have exactly the form its signature says: the number of words, zero
padding before addresses, booleans of 0 or 1. Source: Dstack-TEE/dstack, dstack/kms/auth-eth/contracts; ERC-1967.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from twinproof.chain.abi import decode_words
from twinproof.chain.log import Log
from twinproof.errors import Malformed

__all__ = ["TOPICS", "UNKNOWN_POLICY", "Event", "Kind", "decode_event", "is_event", "topics"]


class Kind(StrEnum):
    """The events, by their names in the contracts."""

    COMPOSE_HASH_ADDED = "ComposeHashAdded"
    COMPOSE_HASH_REMOVED = "ComposeHashRemoved"
    DEVICE_ADDED = "DeviceAdded"
    DEVICE_REMOVED = "DeviceRemoved"
    ALLOW_ANY_DEVICE_SET = "AllowAnyDeviceSet"
    REQUIRE_TCB_UP_TO_DATE_SET = "RequireTcbUpToDateSet"
    UPGRADES_DISABLED = "UpgradesDisabled"
    APP_REGISTERED = "AppRegistered"
    APP_DEPLOYED_VIA_FACTORY = "AppDeployedViaFactory"
    APP_IMPLEMENTATION_SET = "AppImplementationSet"
    APP_AUTH_IMPLEMENTATION_SET = "AppAuthImplementationSet"
    OS_IMAGE_HASH_ADDED = "OsImageHashAdded"
    OS_IMAGE_HASH_REMOVED = "OsImageHashRemoved"
    KMS_AGGREGATED_MR_ADDED = "KmsAggregatedMrAdded"
    KMS_AGGREGATED_MR_REMOVED = "KmsAggregatedMrRemoved"
    KMS_DEVICE_ADDED = "KmsDeviceAdded"
    KMS_DEVICE_REMOVED = "KmsDeviceRemoved"
    KMS_INFO_SET = "KmsInfoSet"
    GATEWAY_APP_ID_SET = "GatewayAppIdSet"
    POLICY_CHANGED = "PolicyChanged"
    UPGRADED = "Upgraded"
    INITIALIZED = "Initialized"
    OWNERSHIP_TRANSFERRED = "OwnershipTransferred"
    OWNERSHIP_TRANSFER_STARTED = "OwnershipTransferStarted"


@dataclass(frozen=True, slots=True)
class _Form:
    """`indexed` arguments are topics, the others stand in the data; both in the order of the signature."""

    kind: Kind
    indexed: tuple[str, ...]
    data: tuple[str, ...]

    @property
    def signature(self) -> str:
        return f"{self.kind}({','.join(self.indexed + self.data)})"


def _form(topic: str, kind: Kind, *, indexed: tuple[str, ...] = (), data: tuple[str, ...] = ()) -> tuple[bytes, _Form]:
    return bytes.fromhex(topic), _Form(kind, indexed, data)


_HASH, _ADDRESS, _FLAG = ("bytes32",), ("address",), ("bool",)
TOPICS: dict[bytes, _Form] = dict(
    (
        _form("fecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af", Kind.COMPOSE_HASH_ADDED, data=_HASH),
        _form(
            "755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947", Kind.COMPOSE_HASH_REMOVED, data=_HASH
        ),
        _form("67fc71ab96fe3fa3c6f78e9a00e635d591b7333ce611c0380bc577aac702243b", Kind.DEVICE_ADDED, data=_HASH),
        _form("e0862975ac517b0478d308012afabc4bc37c23874a18144d7f2dfb852ff95c2c", Kind.DEVICE_REMOVED, data=_HASH),
        _form(
            "bb2cdb6c7b362202d40373f87bc4788301cca658f91711ac1662e1ad2cba4a20", Kind.ALLOW_ANY_DEVICE_SET, data=_FLAG
        ),
        _form(
            "afae60561b2481a349b45b3a47357f70eef6ae67e5b6e1749d74de7f19a25aa1",
            Kind.REQUIRE_TCB_UP_TO_DATE_SET,
            data=_FLAG,
        ),
        _form("0e5daa943fcd7e7182d0e893d180695c2ea9f6f1b4a1c5432faf14cf17b774e8", Kind.UPGRADES_DISABLED),
        _form("0d540ad8f39e07d19909687352b9fa017405d93c91a6760981fbae9cf28bfef7", Kind.APP_REGISTERED, data=_ADDRESS),
        _form(
            "fd86d7f6962eba3b7a3bf9129c06c0b2f885e1c61ef2c9f0dbb856be0deefdee",
            Kind.APP_DEPLOYED_VIA_FACTORY,
            indexed=("address", "address"),
        ),
        _form(
            "08bb433f12b5fd81d2d5e0deeb3b4d28371781ddbd80e9d053e7468d2b1aa82d",
            Kind.APP_IMPLEMENTATION_SET,
            data=_ADDRESS,
        ),
        _form(
            "72eff6cd08df1c809dd1c76cac29b34c5bceb628ba05c4ec612eca6aae43b67d",
            Kind.APP_AUTH_IMPLEMENTATION_SET,
            data=_ADDRESS,
        ),
        _form("4911843506849c85a5ca6e6e2c01eed2d3ab86baba619517a2aad9d5ab2aeff2", Kind.OS_IMAGE_HASH_ADDED, data=_HASH),
        _form(
            "99b3cee95daf3138d0c982299cd0264f5b7a61aa629b42b92f3ec8966aa7f6fe", Kind.OS_IMAGE_HASH_REMOVED, data=_HASH
        ),
        _form(
            "68615a0b92795750b3d180ff73429e1291d225e449eee954a567b91104fd9837", Kind.KMS_AGGREGATED_MR_ADDED, data=_HASH
        ),
        _form(
            "54cd662e41eec7ddf0f32f034b2533e481b471dd3ea978222d609ec8fffb1bb0",
            Kind.KMS_AGGREGATED_MR_REMOVED,
            data=_HASH,
        ),
        _form("f2b290637b1193e12eb38ab32b986303639b1687cc2cd1e25f993e6eae2f4041", Kind.KMS_DEVICE_ADDED, data=_HASH),
        _form("1a9888a45e3df8b7e6bb3090747d598d2a0d78e61388161a90799f54df8f4434", Kind.KMS_DEVICE_REMOVED, data=_HASH),
        _form("77cdad119a452bbd96c45635758fc4af8a6bde3deaccf3fada634ddf9a162706", Kind.KMS_INFO_SET, data=("bytes",)),
        _form(
            "5b2b64f770ea5266055ebd3ebf205ef06cbfa738e62684edf0e28356e34acf06",
            Kind.GATEWAY_APP_ID_SET,
            data=("string",),
        ),
        _form(
            "341d3bc64e32172fc5bcf27b0f7f69dc5adc19af64b7aa1dee361e5883c32375",
            Kind.POLICY_CHANGED,
            indexed=("address", "bytes32", "bytes32"),
            data=_FLAG,
        ),
        _form("bc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b", Kind.UPGRADED, indexed=_ADDRESS),
        _form("c7f505b2f371ae2175ee4913f4499e1f2633a7b5936321eed1cdaeb6115181d2", Kind.INITIALIZED, data=("uint64",)),
        _form(
            "8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0",
            Kind.OWNERSHIP_TRANSFERRED,
            indexed=("address", "address"),
        ),
        _form(
            "38d16b8cac22d99fc7c124b9cd0de2d3fa1faef420bfe791d8c362d765e22700",
            Kind.OWNERSHIP_TRANSFER_STARTED,
            indexed=("address", "address"),
        ),
    )
)
"""By topic0, which is Keccak-256 of the signature (tests/chain/test_events.py recomputes all of them)."""

_POLICIES = {
    bytes.fromhex(topic): name
    for topic, name in (
        ("56bdf4352a9ceb1ba8f5c68066725c095e69c1d3f8a437290f0ac1da8fb4e19c", "compose-hash"),
        ("8e7eff7e4a57bd436b18f220111863326b17773a8b4460f9fabd87a334233046", "device"),
        ("dd3079240d4e002c905dcbcaf6b06d77e782afb127bbb837120b8c7fc6703da3", "implementation-upgrade"),
        ("560720bbc77afadfad8faeab0a79cf66b13e5433c09dd9182d5d36413084a84e", "allow-any-device"),
        ("eb206ee4e1c06549322091bfcf2a5ff8658edc40901aa7f3af6f571a159471fb", "require-tcb-up-to-date"),
        ("f6943036509aad7f2319e01f7ed528873bcbdaaf6d25921b03e395124e6a46d3", "upgrades-disabled"),
        ("1a61f88f2e67632c1bf4321c88aec40bbf788e2b1a14b69f1186e6a3a31d9028", "registered-app"),
        ("bc0346dd2a1caffcfdf89515e8a3ad921515d32b39d8e28334b87bd5a1bdb6aa", "os-image"),
        ("eec6b85dea30e3cb63f324855a4722f1bf23ddd4c142a551610e18744a193734", "app-implementation"),
        ("adc23d82fa8b20f02103a2405c452d2446e5a589f0182bd71f6d87e3357fbe65", "kms-info"),
        ("6061a738ec69c97ed6ae96633751763d1291f32a6ef6515845ad8ddefda35ec6", "gateway-app-id"),
        ("22cfb8b3fc209be958082ecee5badccf8f7ab55e79ec93f5ac413a164feb98ea", "kms-aggregated-mr"),
        ("1a2d46e254225ae2e84638f6fcb742191317930982ce206e0917877506edc3a0", "kms-device"),
    )
}
UNKNOWN_POLICY = "unknown policy"


@dataclass(frozen=True, slots=True)
class Event:
    """A log whose topic and form are known. `values` are its arguments in order: bytes, bool, int or str."""

    kind: Kind
    values: tuple[object, ...]
    log: Log

    @property
    def octets(self) -> bytes:
        """The first argument, where it is a hash (32 bytes), an address (20) or bytes."""
        return _bytes(self.values[0])

    @property
    def flag(self) -> bool:
        """The last argument, where it is a boolean."""
        return self.values[-1] is True

    @property
    def actor(self) -> bytes:
        """Who called (20 bytes), of PolicyChanged; the new owner of an ownership event is `target`."""
        return _bytes(self.values[0])

    @property
    def target(self) -> bytes:
        """The second argument of an event with two addresses."""
        return _bytes(self.values[1])

    @property
    def policy(self) -> str:
        """The policy's name, of PolicyChanged; `UNKNOWN_POLICY` for one that is not listed."""
        return _POLICIES.get(_bytes(self.values[1]), UNKNOWN_POLICY)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"an event argument that is no bytes: {type(value).__name__}")
    return value


@cache
def topics(*kinds: Kind) -> tuple[bytes, ...]:
    """topic0 of these events, of all without any: what to ask an endpoint for."""
    return tuple(topic for topic, form in TOPICS.items() if not kinds or form.kind in kinds)


def decode_event(log: Log, contract: bytes) -> Event | None:
    """The event of a log of `contract`; None when its topic is none of ours.

    Anyone can deploy a contract that writes the same topics: a log of another address is refused. Raises Malformed,
    also when the arguments are not exactly as the signature says.
    """
    where = f"block {log.block_number} log {log.log_index}"
    if log.address != contract:
        raise Malformed(
            "a log of another contract", where=where, got=f"0x{log.address.hex()}", expected=f"0x{contract.hex()}"
        )
    form = TOPICS.get(log.topics[0]) if log.topics else None
    if form is None:
        return None
    if len(log.topics) != 1 + len(form.indexed):
        raise Malformed(
            f"another number of topics than {form.kind} has",
            where=where,
            got=str(len(log.topics)),
            expected=str(1 + len(form.indexed)),
        )
    indexed = tuple(
        _word(kind, topic, f"{where} topic {number}")
        for number, (kind, topic) in enumerate(zip(form.indexed, log.topics[1:], strict=True), start=1)
    )
    return Event(form.kind, indexed + _data(form, log.data, where), log)


def is_event(log: Log, contract: bytes, kind: Kind, octets: bytes) -> bool:
    """Whether `contract` says with this log that `kind` happened to `octets`. Raises Malformed as `decode_event`."""
    event = decode_event(log, contract)
    return event is not None and event.kind is kind and event.octets == octets


def _data(form: _Form, data: bytes, where: str) -> tuple[object, ...]:
    if set(form.data) & {"bytes", "string"}:
        return decode_words(form.data, data, where)
    if len(data) != 32 * len(form.data):
        raise Malformed(
            f"another length of data than {form.kind} has",
            where=where,
            got=f"{len(data)} bytes",
            expected=f"{32 * len(form.data)} bytes",
        )
    return tuple(_word(kind, data[32 * i : 32 * i + 32], f"{where} word {i}") for i, kind in enumerate(form.data))


def _word(kind: str, word: bytes, where: str) -> object:
    """One static argument. Written out, because a history has thousands of them."""
    if kind == "bytes32":
        return word
    value = int.from_bytes(word, "big")
    if kind == "address" and value < 1 << 160:
        return word[12:]
    if kind == "bool" and value < 2:
        return bool(value)
    if kind == "uint64" and value < 1 << 64:
        return value
    raise Malformed(f"not the encoding of {kind}", where=where, got=word.hex())
