"""Files in, bundles out. Every read is capped; what cannot be read is the user's to mend."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

from twinproof.errors import Malformed, Unavailable, UsageError
from twinproof.evidence.bundle import MAX_BUNDLE_BYTES, SCHEMA, bundle_to_json, read_bundle
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.sources.disk import write_new
from twinproof.wire import Fields, parse_object, shown, unhex

__all__ = ["evidence_from_bytes", "load_evidence", "read_file", "save_bundle"]

STANDARD_INPUT = "-"
MAX_EVIDENCE_BYTES = 2 * MAX_BUNDLE_BYTES
_HEX_TEXT = re.compile(rb"(?:0[xX])?[0-9a-fA-F]+")
_WHITE_SPACE = b" \t\r\n"
_QUOTE_STARTS = (b"\x03\x00", b"\x04\x00", b"\x05\x00")
_PEM_START, _DER_START = b"-----BEGIN CERTIFICATE-----", b"\x30\x82"
_NOT_UTF_8 = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_MAX_STEM = 100
_MAX_SOURCE = 1000  # of a path: it stands in reports and bundles
_KNOWN = "a quote, a GetQuote or Attest answer, a versioned attestation, an RA-TLS certificate or a bundle"


_APP_COMPOSE = "`twinproof compose check` judges it; --app-compose gives it to evidence that lacks it"
_NO_FILE = "what is no URL and no machine of twinproof.toml is taken for a file"


def read_file(name: str, what: str, *, max_bytes: int, hint: str = "") -> bytes:
    """The file's bytes, or those of standard input for `-`. Raises UsageError naming the file."""
    try:
        if name == STANDARD_INPUT:
            data = sys.stdin.buffer.read(max_bytes + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot be read: {reason}", where=f"{what} {shown(name)}", hint=hint) from error
    if len(data) > max_bytes:
        raise UsageError("file too large", where=f"{what} {shown(name)}", expected=f"at most {max_bytes} bytes")
    return data


def load_evidence(name: str) -> Evidence:
    """Evidence from a file of any known kind. Raises UsageError for the file, Malformed for what is in it."""
    try:
        folder = Path(name).is_dir()
    except (OSError, ValueError):  # a name that no file can have: reading it says so
        folder = False
    hint = "`verify --batch DIR` judges every file of a folder" if folder else _NO_FILE
    data = read_file(name, "file", max_bytes=MAX_EVIDENCE_BYTES, hint=hint)
    return evidence_from_bytes(data, shown(name, _MAX_SOURCE))


def evidence_from_bytes(data: bytes, source: str) -> Evidence:
    """Evidence that is marked as stored. Raises Malformed."""
    return replace(_told_by_its_start(data, source), stored=True)


def _told_by_its_start(data: bytes, source: str) -> Evidence:
    """Tell the kind by the first bytes, then read it strictly. Raises Malformed.

    `{`                   JSON: a bundle or an answer of the app by its `schema`; a guest agent's Info by its members;
                          any other is a GetQuote or Attest answer
    hex digits            one of the binary forms below as text, with or without 0x, on one line or more
    03 00, 04 00, 05 00   a raw quote
    00, 80..8f, de, df    a versioned attestation
    30 82, -----BEGIN     an RA-TLS certificate, or a chain that begins with one
    No form can be taken for another: a certificate starts with a hex digit, and has bytes that are none.
    """
    text = data.lstrip(_WHITE_SPACE)
    if text[:1] == b"{":
        return _from_json(data, source)
    digits = data.translate(None, _WHITE_SPACE)
    if _HEX_TEXT.fullmatch(digits):
        data = unhex(digits.decode("ascii").lower().removeprefix("0x"), source)
    if data[:2] in _QUOTE_STARTS:
        return Evidence(source=source, origin=Origin.QUOTE, quote=data)
    if data and (data[0] == 0 or 0x80 <= data[0] <= 0x8F or data[0] in (0xDE, 0xDF)):
        return Evidence(source=source, origin=Origin.ATTESTATION, attestation=data)
    if text.startswith(_PEM_START):
        from twinproof.dstack.ra_tls import first_certificate  # noqa: PLC0415  (most files are bundles)

        data = first_certificate(text, source)
    if data.startswith(_DER_START):
        return Evidence(source=source, origin=Origin.RA_TLS, ra_tls_certificate=data)
    hint = ""
    if text[:1] == b"<":
        hint = "an HTML page was saved here"
    elif data.startswith(_NOT_UTF_8):
        hint = "the file starts with a byte order mark: save it as UTF-8 without one"
    raise Malformed(
        "not evidence of a known kind",
        where=source,
        got=f"{len(data)} bytes starting with {data[:4].hex() or 'nothing'}",
        expected=_KNOWN,
        hint=hint,
    )


def _from_json(data: bytes, source: str) -> Evidence:
    fields = parse_object(data, source, max_bytes=MAX_EVIDENCE_BYTES)
    schema = fields.raw.get("schema")
    if schema == SCHEMA:
        if len(data) > MAX_BUNDLE_BYTES:
            raise Malformed(
                "bundle too large", where=source, got=f"{len(data)}", expected=f"at most {MAX_BUNDLE_BYTES}"
            )
        return read_bundle(Fields(fields.raw, "bundle"))
    return _from_answer(data, fields, source)


def _from_answer(data: bytes, fields: Fields, source: str) -> Evidence:
    from twinproof.dstack.get_quote import parse_quote_answer  # noqa: PLC0415  (most files are bundles)
    from twinproof.sources import answers  # noqa: PLC0415

    schema = fields.raw.get("schema")
    try:
        if schema == answers.SCHEMA:
            return answers.read_attestation(data, source, source)
        if "docker_compose_file" in fields.raw:
            raise Malformed("an app-compose text is no evidence", where=source, hint=_APP_COMPOSE)
        if answers.is_guest_info(fields):
            return answers.read_guest_info(data, source, source)
    except Unavailable as error:  # no other address to ask: this file is what there is
        raise Malformed(error.what, where=error.where, got=error.got, hint=error.hint) from error
    if schema is not None:
        raise Malformed("an unknown schema", where=f"{source}.schema", got=shown(schema), expected=SCHEMA)
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
    """Write the bundle as `<host and path>.json`, whole or not at all; it never takes the place of another content."""
    text = bundle_to_json(evidence).encode()
    name = evidence.source.partition("://")[2] or Path(evidence.source).name
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:_MAX_STEM].strip("-.") or "evidence"
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = folder / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
            try:
                write_new(path, text)
            except FileExistsError:
                if not path.is_file() or path.read_bytes() != text:
                    continue
            return path
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot write: {reason}", where=f"--save {shown(directory)}") from error
    raise UsageError("too many bundles of one name", where=f"--save {shown(directory)}", got=stem)
