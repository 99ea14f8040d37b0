"""Reading untrusted JSON and hex strictly, once, with the place of every error.

JSON is capped in size and depth, refuses duplicate members, NaN and Infinity, and huge numbers; hex is lower or upper
case digits and nothing else, no white space either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Never
from unicodedata import bidirectional

from twinproof.compact_json import INTEGER_DIGITS, UNREAD, read_compact
from twinproof.errors import Malformed

__all__ = ["LAST_SECOND", "Fields", "parse_json", "parse_object", "shown", "unhex"]

MAX_JSON_BYTES = 1 << 20
MAX_JSON_DEPTH = 32
LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z: later times have no date
_LEFTWARDS = frozenset({"R", "AL", "AN"})
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_COMMAND = re.compile(
    r"##\[|::(?=(?:add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state"
    r"|set-env|set-output|stop-commands|warning)\b)",
    re.IGNORECASE,
)
_SHORT_HEX = 1024  # bytes; below it a wrong length is told by `unhex`, with both lengths


def shown(value: object, limit: int = 80) -> str:
    """A short printable form of an untrusted value, for an error message: no control characters, no whole documents.

    Nor a command to the runner of a workflow that prints it, such as `::add-mask::` or `##[error]`.
    Letters that are written from right to left would take the numbers after them, another column's too, along.
    """
    text = value if isinstance(value, str) else repr(value)
    text = text[: limit + 1]
    if "##[" in text or "::" in text:
        text = _COMMAND.sub(lambda match: f"{match[0][:-1]} {match[0][-1]}", text)
    if not (text.isascii() and text.isprintable()):
        text = "".join(char if char.isprintable() and bidirectional(char) not in _LEFTWARDS else "?" for char in text)
    return text if len(text) <= limit else text[:limit] + "..."


def unhex(text: str, where: str, *, size: int | None = None, max_size: int | None = None) -> bytes:
    """Bytes of a hex text. `size` and `max_size` are in bytes. Raises Malformed."""
    limit = size if size is not None else max_size
    if limit is not None and len(text) > 2 * limit:
        raise Malformed("hex text too long", where=where, got=f"{len(text)} digits", expected=f"at most {2 * limit}")
    data = _digits(text)
    if 2 * len(data) != len(text):
        raise Malformed("not hex text", where=where, got=shown(text, 40), expected="an even number of hex digits")
    if size is not None and len(data) != size:
        raise Malformed("wrong length", where=where, got=f"{len(data)} bytes", expected=f"{size} bytes")
    return data


def _digits(text: str) -> bytes:
    """The bytes of hex digits; none for anything else, such as the white space that `fromhex` skips."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return b""
    return data if 2 * len(data) == len(text) else b""


def parse_json(text: str | bytes, where: str, *, max_bytes: int = MAX_JSON_BYTES) -> object:
    """Parse one JSON document strictly. Raises Malformed; never RecursionError, never ValueError."""
    size = len(text)
    if size > max_bytes:
        raise Malformed("JSON document too large", where=where, got=f"{size}", expected=f"at most {max_bytes} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("not UTF-8 text", where=f"{where} byte {error.start}") from error
    value = read_compact(text)
    if value is not UNREAD:
        return value
    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _unique(pairs, where),
            parse_constant=lambda name: _refuse_constant(name, where),
            parse_int=lambda digits: _bounded_int(digits, where),
        )
    except (json.JSONDecodeError, RecursionError) as error:
        at = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        hint = "this is an HTML page, not JSON" if text.lstrip()[:1] == "<" else ""
        raise Malformed(f"not JSON{at}", where=where, got=shown(text, 40), hint=hint) from error
    _check_values(value, where)
    return value


def _unique(pairs: list[tuple[str, object]], where: str) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:  # one pass: counting each name would take hours over megabytes of them
            if name in seen:
                raise Malformed("duplicate JSON member", where=where, got=shown(name, 40))
            seen.add(name)
    return members


def _refuse_constant(name: str, where: str) -> Never:
    raise Malformed("not a JSON number", where=where, got=name)


def _bounded_int(digits: str, where: str) -> int:
    if len(digits) > INTEGER_DIGITS:
        raise Malformed("JSON number too large", where=where, got=f"{len(digits)} digits")
    if digits == "-0":  # an integer to some readers, a fraction to others
        raise Malformed("not a JSON number", where=where, got=digits)
    return int(digits)


def _check_values(value: object, where: str) -> None:
    """Depth is capped, and every text can be encoded: half a surrogate pair has no UTF-8 bytes to hash."""
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str) and not item.isascii() and _HALF_PAIR.search(item):
                raise Malformed("text with half a surrogate pair", where=where, got=shown(item, 40))
        if not below:
            return
        level = below
    raise Malformed("JSON nested too deeply", where=where, expected=f"at most {MAX_JSON_DEPTH} levels")


def parse_object(text: str | bytes, where: str, *, max_bytes: int = MAX_JSON_BYTES) -> Fields:
    """Parse a JSON document that must be an object, for reading by `Fields`."""
    return Fields(parse_json(text, where, max_bytes=max_bytes), where)


class Fields:
    """Typed reading of one JSON object; every error carries the path of the member, such as `tcbInfo.tcbLevels[3]`.

    A path is put together when somebody asks for it: good documents have hundreds of objects, and need none.
    """

    __slots__ = ("_inside", "_place", "raw")

    def __init__(self, value: object, where: str, inside: Fields | None = None) -> None:
        """`where` is the path of `value`, or with `inside` what comes after the path of that object."""
        self._place, self._inside = where, inside
        if not isinstance(value, dict):
            raise Malformed("not a JSON object", where=self.where, got=type(value).__name__)
        self.raw: dict[str, object] = value

    @property
    def where(self) -> str:
        return self._place if self._inside is None else f"{self._inside.where}{self._place}"

    def __contains__(self, name: str) -> bool:
        return name in self.raw

    def _at(self, name: str) -> str:
        return f"{self.where}.{name}"

    def _get(self, name: str) -> object:
        if name not in self.raw:
            raise Malformed("missing member", where=self._at(name))
        return self.raw[name]

    def _wrong_type(self, name: str, expected: str) -> Never:
        raise Malformed("wrong type", where=self._at(name), got=type(self._get(name)).__name__, expected=expected)

    def text(self, name: str, *, max_chars: int = MAX_JSON_BYTES) -> str:
        value = self.raw.get(name)
        if not isinstance(value, str):
            self._wrong_type(name, "a string")
        if len(value) > max_chars:
            raise Malformed(
                "text too long", where=self._at(name), got=f"{len(value)} characters", expected=f"at most {max_chars}"
            )
        return value

    def optional_text(self, name: str, *, max_chars: int = MAX_JSON_BYTES) -> str | None:
        """None only when the member is absent; an explicit null is an error, as in the formats read here."""
        return self.text(name, max_chars=max_chars) if name in self.raw else None

    def hex(self, name: str, *, size: int | None = None, max_size: int | None = None) -> bytes:
        value = self.raw.get(name)
        if size is not None and isinstance(value, str) and len(value) == 2 * size and (data := _digits(value)):
            return data
        limit = size if size is not None else max_size
        text = self.text(name, max_chars=MAX_JSON_BYTES if limit is None else max(2 * limit, 2 * _SHORT_HEX))
        return unhex(text, self._at(name), size=size, max_size=max_size)

    def integer(self, name: str, *, low: int = 0, high: int = (1 << 63) - 1) -> int:
        value = self.raw.get(name)
        if isinstance(value, bool) or not isinstance(value, int):  # True is an int in Python
            self._wrong_type(name, "an integer")
        if not low <= value <= high:
            raise Malformed("out of range", where=self._at(name), got=str(value), expected=f"{low}..{high}")
        return value

    def boolean(self, name: str) -> bool:
        value = self.raw.get(name)
        if not isinstance(value, bool):
            self._wrong_type(name, "true or false")
        return value

    def child(self, name: str) -> Fields:
        return Fields(self._get(name), f".{name}", self)

    def array(self, name: str, *, max_items: int = 4096) -> Sequence[object]:
        value = self.raw.get(name)
        if not isinstance(value, list):
            self._wrong_type(name, "an array")
        if len(value) > max_items:
            raise Malformed(
                "too many items", where=self._at(name), got=str(len(value)), expected=f"at most {max_items}"
            )
        return value

    def objects(self, name: str, *, max_items: int = 4096) -> tuple[Fields, ...]:
        return tuple(
            Fields(item, f".{name}[{index}]", self) for index, item in enumerate(self.array(name, max_items=max_items))
        )

    def texts(self, name: str, *, max_items: int = 4096, max_chars: int = 4096) -> tuple[str, ...]:
        texts: list[str] = []
        for index, item in enumerate(self.array(name, max_items=max_items)):
            if not isinstance(item, str) or len(item) > max_chars:
                raise Malformed("not a short string", where=f"{self._at(name)}[{index}]", got=shown(item, 40))
            texts.append(item)
        return tuple(texts)
