"""`twinproof key`: one GetKey or Sign answer, and whether its chain ends at the pinned KMS root."""

from __future__ import annotations

import argparse
import json

from twinproof.cli.output import style_of
from twinproof.dstack.key_answer import MAX_ANSWER_BYTES, Algorithm
from twinproof.dstack.key_chain import judge_key
from twinproof.errors import Malformed, UsageError
from twinproof.report.key_text import key_text
from twinproof.secp256k1 import compressed_point
from twinproof.sources.files import read_file
from twinproof.wire import shown, unhex

__all__ = ["run"]

MAX_DATA_BYTES = 64 << 20
_P256_SPKI = bytes.fromhex("3059")  # how the DER of the KMS's CA key starts


def run(arguments: argparse.Namespace) -> int:
    if arguments.file == arguments.data == "-":
        raise UsageError("standard input can be read once", where="--data", got="- twice")
    app_id = _hex(arguments.app_id, "--app-id", size=20)
    verdict = judge_key(
        read_file(arguments.file, "file", max_bytes=MAX_ANSWER_BYTES),
        source=shown(arguments.file, 1000),
        app_id=app_id,
        kms_root=None if arguments.kms_root is None else _root(arguments.kms_root),
        purpose=_purpose(arguments.purpose),
        data=None if arguments.data is None else read_file(arguments.data, "--data", max_bytes=MAX_DATA_BYTES),
        algorithm=None if arguments.algorithm is None else _algorithm(arguments.algorithm),
    )
    if arguments.json:
        print(json.dumps(verdict.to_json(), indent=1))
    else:
        print(key_text(verdict, style_of(), explain=arguments.explain), end="")
    return verdict.exit_code


def _hex(text: str, where: str, *, size: int | None = None) -> bytes:
    try:
        return unhex(text.removeprefix("0x"), where, size=size, max_size=256)
    except Malformed as error:
        raise UsageError(error.what, where=where, got=error.got, expected=error.expected) from error


def _root(text: str) -> bytes:
    data = _hex(text, "--kms-root")
    try:
        return compressed_point(data, "--kms-root")
    except Malformed as error:
        hint = ""
        if data.startswith(_P256_SPKI):
            hint = (
                "this is the key of the KMS's certificate authority (the key provider's id); its secp256k1 root differs"
            )
        raise UsageError(error.what, where=error.where, got=error.got, expected=error.expected, hint=hint) from error


def _purpose(text: str | None) -> str | None:
    """Raises UsageError for a command line that is not UTF-8: the purpose is hashed."""
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise UsageError("not UTF-8 text", where="--purpose") from error
    return text


def _algorithm(name: str) -> Algorithm:
    name = "secp256k1" if name == "k256" else name
    if name not in set(Algorithm):
        raise UsageError("unknown algorithm", where="--algorithm", got=shown(name, 40), expected=", ".join(Algorithm))
    return Algorithm(name)
