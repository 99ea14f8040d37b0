"""Calls and answers of contract functions: encoded and decoded by eth-abi, refused when a second encoding of a value.

Optional: `pip install twinproof[chain]`. Source: Solidity, Contract ABI specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twinproof.errors import Malformed, Refused, UsageError
from twinproof.keccak import INSTALL, keccak256
from twinproof.wire import shown

__all__ = ["Answer", "AnswerKind", "Function", "decode_words", "encode_words", "read_answer", "revert_reason"]

Value = object
_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")
# Custom errors of DstackApp, DstackKms and what they inherit from OpenZeppelin 5: name and arguments.
CUSTOM_ERRORS: dict[bytes, tuple[str, tuple[str, ...]]] = {
    bytes.fromhex("118cdaa7"): ("OwnableUnauthorizedAccount", ("address",)),
    bytes.fromhex("1e4fbdf7"): ("OwnableInvalidOwner", ("address",)),
    bytes.fromhex("f92ee8a9"): ("InvalidInitialization", ()),
    bytes.fromhex("d7e6bcf8"): ("NotInitializing", ()),
    bytes.fromhex("4c9c8ce3"): ("ERC1967InvalidImplementation", ("address",)),
    bytes.fromhex("b398979f"): ("ERC1967NonPayable", ()),
    bytes.fromhex("e07c8dba"): ("UUPSUnauthorizedCallContext", ()),
    bytes.fromhex("aa1d49a4"): ("UUPSUnsupportedProxiableUUID", ("bytes32",)),
    bytes.fromhex("9996b315"): ("AddressEmptyCode", ("address",)),
    bytes.fromhex("1425ea42"): ("FailedInnerCall", ()),
    bytes.fromhex("d6bda275"): ("FailedCall", ()),
}


class AnswerKind(StrEnum):
    """What came back from a call. The last three say different things about what stands at the address."""

    VALUE = "value"
    NO_CODE = "no contract at this address"
    NOT_SUPPORTED = "the contract has no such function"
    REVERTED = "the contract refused"


@dataclass(frozen=True, slots=True)
class Function:
    """A contract function: its name, the types of its arguments and of its answer, in the ABI's words."""

    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def signature(self) -> str:
        return f"{self.name}({','.join(self.inputs)})"

    @property
    def selector(self) -> bytes:
        """4 bytes: the start of Keccak-256 of the signature."""
        return keccak256(self.signature.encode())[:4]

    def call(self, *arguments: Value) -> bytes:
        """The input of a call or transaction: bytes for `bytes32` and `address`, int, bool and str as they are."""
        return self.selector + encode_words(self.inputs, arguments)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave: `values` when it is a value (bytes for addresses and hashes), else `kind` and `reason`."""

    function: Function
    kind: AnswerKind
    values: tuple[Value, ...] = ()
    reason: str = ""

    @property
    def flag(self) -> bool:
        """The one boolean. Raises Refused when there is no value."""
        value = self.value
        assert isinstance(value, bool)  # noqa: S101  (the function's declared type)
        return value

    @property
    def octets(self) -> bytes:
        """The one address (20 bytes) or hash. Raises Refused when there is no value."""
        value = self.value
        assert isinstance(value, bytes)  # noqa: S101
        return value

    @property
    def value(self) -> Value:
        """The first value. Raises Refused when there is none."""
        if self.kind is not AnswerKind.VALUE:
            raise Refused(f"no answer: {self.kind}", where=self.function.signature, got=self.reason)
        return self.values[0]


def read_answer(function: Function, output: bytes, *, reverted: bool, where: str = "eth_call") -> Answer:
    """What `eth_call` gave: its output, or the data of its revert.

    A revert without data is how a contract answers a selector it does not have; no output at all is what an address
    without code answers. Raises Malformed for an output of another form than the function's.
    """
    if reverted and not output:
        return Answer(function, AnswerKind.NOT_SUPPORTED)
    if reverted:
        return Answer(function, AnswerKind.REVERTED, reason=revert_reason(output))
    if not output and function.outputs:
        return Answer(function, AnswerKind.NO_CODE)
    return Answer(function, AnswerKind.VALUE, decode_words(function.outputs, output, f"{where} {function.signature}"))


def revert_reason(data: bytes) -> str:
    """The words of a revert: `Error(string)`, a panic's code, one of the contracts' custom errors, or hex."""
    selector, body = data[:4], data[4:]
    try:
        if selector == _ERROR:
            (text,) = decode_words(("string",), body, "revert")
            return shown(text, 200)
        if selector == _PANIC:
            (code,) = decode_words(("uint256",), body, "revert")
            return f"panic {code}"
        if selector in CUSTOM_ERRORS:
            name, types = CUSTOM_ERRORS[selector]
            values = decode_words(types, body, "revert")
            return f"{name}({', '.join('0x' + v.hex() for v in values if isinstance(v, bytes))})"
    except Malformed:
        pass
    return f"0x{data[:68].hex()}"


def encode_words(types: tuple[str, ...], values: tuple[Value, ...]) -> bytes:
    """ABI encoding. Raises UsageError without eth-abi; values of another type than their name are a bug."""
    try:
        from eth_abi.abi import encode  # noqa: PLC0415  (an optional dependency)
    except ImportError as error:
        raise UsageError("eth-abi is not installed", where="ABI", hint=INSTALL) from error
    return encode(types, values)


def decode_words(types: tuple[str, ...], data: bytes, where: str) -> tuple[Value, ...]:
    """Exactly these types, in their one encoding; addresses as 20 bytes. Raises Malformed, UsageError."""
    values = _decoded(types, data)
    if values is None or encode_words(types, values) != data:
        raise Malformed(
            "not the ABI encoding of its type", where=where, got=f"{len(data)} bytes", expected=", ".join(types) or "-"
        )
    return tuple(
        bytes.fromhex(value[2:]) if kind == "address" and isinstance(value, str) else value
        for kind, value in zip(types, values, strict=True)
    )


def _decoded(types: tuple[str, ...], data: bytes) -> tuple[Value, ...] | None:
    try:
        from eth_abi.abi import decode  # noqa: PLC0415
        from eth_abi.exceptions import DecodingError  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("eth-abi is not installed", where="ABI", hint=INSTALL) from error
    try:
        return tuple(decode(types, data))
    except (DecodingError, ValueError, OverflowError):
        return None
