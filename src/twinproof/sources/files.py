"""Files in, bundles out. Every read is capped; what cannot be read is the user's to mend."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path

from twinproof.dstack.get_quote import parse_quote_answer
from twinproof.errors import Malformed, UsageError
from twinproof.evidence.bundle import MAX_BUNDLE_BYTES, SCHEMA, bundle_to_json, parse_bundle
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.wire import parse_object, shown, unhex

__all__ = ["evidence_from_bytes", "load_evidence", "read_file", "save_bundle", "write_atomically"]

STANDARD_INPUT = "-"
MAX_EVIDENCE_BYTES = 2 * MAX_BUNDLE_BYTES
_HEX_TEXT = re.compile(rb"\s*(?:0x)?(?:[0-9a-fA-F]{2})+\s*")
_QUOTE_STARTS = (b"\x03\x00", b"\x04\x00", b"\x05\x00")


def read_file(name: str, what: str, *, max_bytes: int) -> bytes:
    """The file's bytes, or those of standard input for `-`. Raises UsageError naming the file."""
    try:
        if name == STANDARD_INPUT:
            data = sys.stdin.buffer.read(max_bytes + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot be read: {reason}", where=f"{what} {shown(name)}") from error
    if len(data) > max_bytes:
        raise UsageError("file too large", where=f"{what} {shown(name)}", expected=f"at most {max_bytes} bytes")
    return data


def load_evidence(name: str) -> Evidence:
    """Evidence from a file of any known kind. Raises UsageError for the file, Malformed for what is in it."""
    return evidence_from_bytes(read_file(name, "file", max_bytes=MAX_EVIDENCE_BYTES), name)


def evidence_from_bytes(data: bytes, source: str) -> Evidence:
    """Tell the kind by the first bytes, then read it strictly. Raises Malformed.

    `{`            JSON: a bundle by its `schema`, else a GetQuote or Attest answer
    hex digits     the same binary forms as text, with or without 0x
    03 00, 04 00, 05 00   a raw quote
    00, 80..8f, de, df    a versioned attestation
    """
    if data.lstrip()[:1] == b"{":
        return _from_json(data, source)
    if _HEX_TEXT.fullmatch(data):
        text = data.strip().decode("ascii").removeprefix("0x")
        data = unhex(text, source, max_size=MAX_EVIDENCE_BYTES)
    if data[:2] in _QUOTE_STARTS:
        return Evidence(source=source, origin=Origin.QUOTE, quote=data)
    if data and (data[0] == 0 or 0x80 <= data[0] <= 0x8F or data[0] in (0xDE, 0xDF)):
        return Evidence(source=source, origin=Origin.ATTESTATION, attestation=data)
    raise Malformed(
        "not evidence of a known kind",
        where=source,
        got=f"{len(data)} bytes starting with {data[:4].hex() or 'nothing'}",
        expected="a quote, a GetQuote or Attest answer, a versioned attestation or a bundle",
        hint="an HTML page was saved here" if data.lstrip()[:1] == b"<" else "",
    )


def _from_json(data: bytes, source: str) -> Evidence:
    fields = parse_object(data, source, max_bytes=MAX_EVIDENCE_BYTES)
    if fields.raw.get("schema") == SCHEMA:
        return parse_bundle(data)
    answer = parse_quote_answer(data)
    origin = Origin.GET_QUOTE if answer.quote is not None else Origin.ATTESTATION
    return Evidence(
        source=source,
        origin=origin,
        quote=answer.quote,
        attestation=answer.attestation,
        event_log=answer.event_log,
        vm_config=answer.vm_config,
    )


def save_bundle(directory: str, evidence: Evidence) -> Path:
    """Write the bundle as `<name>.json`, whole or not at all; another content never replaces one that is there."""
    text = bundle_to_json(evidence).encode()
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", evidence.source.partition("://")[2] or Path(evidence.source).name).strip(
        "-."
    )
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = folder / (f"{stem or 'evidence'}.json" if number == 1 else f"{stem or 'evidence'}-{number}.json")
            if not path.exists():
                write_atomically(path, text)
                return path
            if path.read_bytes() == text:
                return path
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=f"--save {shown(directory)}") from error
    raise UsageError("too many bundles of one name", where=f"--save {shown(directory)}", got=stem)


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """A reader sees the old file or the new one, never half of it. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
