"""What a docker-compose text says about the code that runs, read line by line, with every doubt said aloud.

The whole text is measured (it is part of app-compose.json), but what it *names* is not: an image by tag is whatever the
registry serves that day. There is no YAML parser here on purpose. The scanner knows the plain block style in which
compose files are written; whatever else a line may be (flow mappings, tags, aliases as images, odd line breaks, quotes
over several lines) is reported as a line that could not be read, never passed over in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.wire import parse_json, shown

__all__ = ["ComposeFile", "Image", "scan_compose_file"]

MAX_LINES = 100_000
_PINNED = re.compile(r"[^\s@$]+@sha256:[0-9a-f]{64}", re.ASCII)
_VARIABLE = re.compile(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_BLOCK_TEXT = re.compile(r"[|>][-+]?", re.ASCII)
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+(?:\s+|$)")
_PLAIN_KEY = re.compile(r"(?:[^\s\"'\[\]{}#&*!|>%@`?:,-][^\"'\[\]{}#]*|<<)", re.ASCII)
_QUOTED_KEY = re.compile(r"(?:\"(?P<double>[^\"\\]*)\"|'(?P<single>(?:[^']|'')*)')\s*:(?=\s|$)")
_QUOTED = re.compile(r"(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^']|'')*)')\s*(?:#.*)?")
_ODD_CHARACTER = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ufeff]")
_DASHES = re.compile(r"(?:-(?: +|$))*")
_QUOTED_OR_VARIABLE = re.compile(r"\"[^\"\\]*\"|'(?:[^']|'')*'|\$\{[^{}]*\}")
_NOT_IN_LIST = re.compile(r"[{}&!\"'\\]")
_ALIAS = re.compile(r"(?:^|: |- |[\[,]) *\*[^\s,\]]+ *(?:[,\]#]|$)")
_NAME_FIRST = re.compile(r"[\"']?[A-Za-z_][A-Za-z0-9_.-]*=", re.ASCII)
_ELSEWHERE = frozenset({"include", "extends", "env_file", "provider", "models"})
_SETTINGS = frozenset(
    {
        "environment",
        "ports",
        "expose",
        "hostname",
        "container_name",
        "restart",
        "logging",
        "mem_limit",
        "cpus",
        "shm_size",
    }
)
"""Members of a service in which a value from outside is a setting of the code that runs, not the choice of it."""
_CONTENTS = frozenset({("configs",), ("secrets",)})
"""Members of the file whose content may come from elsewhere. A config can be a program: it is mounted anywhere."""
_REACHED_BY_ALIAS = _CONTENTS | {("<<",)}
_HOST_ACCESS = re.compile(
    r"(?:docker|containerd|podman)\.sock"
    r"|(?<![\w.])/(?:(?:var/)?run/?)?:/"  # a bind mount of / or of the directory with the sockets
    r"|\bsource: *[\"']?/[\"']? *(?:#|$)",
    re.ASCII,
)


class Image(NamedTuple):
    """One `image:` value. `pinned` when it names its content by SHA-256; `variables` are filled in from outside."""

    line: int
    value: str
    variables: tuple[str, ...]

    @property
    def pinned(self) -> bool:
        return bool(_PINNED.fullmatch(self.value))


@dataclass(slots=True)
class ComposeFile:
    """What was found, and `doubts`: (line, reason) for each line that this scanner cannot vouch for."""

    images: list[Image] = field(default_factory=list)
    builds: list[int] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Keys that bring in other files: `line 3: include`."""
    privileges: list[str] = field(default_factory=list)
    """Lines that hand a container the host of all containers: privileged mode, runtime sockets, the root directory."""
    variables: tuple[str, ...] = ()
    decided_outside: list[str] = field(default_factory=list)
    """Lines where a variable may choose what runs: in a command, a mount, a config: `line 4: $SCRIPT`."""
    doubts: list[tuple[int, str]] = field(default_factory=list)


def scan_compose_file(text: str) -> ComposeFile:
    """Scan a compose text. Never raises: what cannot be read is a doubt."""
    found = ComposeFile(variables=_variables(text))
    if text.lstrip(" \n\r\t").startswith("{"):
        _scan_json(text, found)
    elif odd := _ODD_CHARACTER.search(text.replace("\r\n", "\n")):
        found.doubts.append((text.count("\n", 0, odd.start()) + 1, "a control character or an unusual line break"))
    else:
        _scan_lines(text.replace("\r\n", "\n").split("\n"), found)
    if not found.images and not found.builds and not found.elsewhere and not found.doubts:
        found.doubts.append((1, "no image was found"))
    return found


def _variables(text: str) -> tuple[str, ...]:
    return tuple(sorted({match[1] for match in _VARIABLE.finditer(text) if match[1]}))


def _scan_lines(lines: list[str], found: ComposeFile) -> None:
    if len(lines) > MAX_LINES:
        found.doubts.append((MAX_LINES, "too many lines"))
        return
    block_above: int | None = None  # the column of the key whose block text is being skipped
    started = False
    place = _Place(aliased=any(_ALIAS.search(line) for line in lines if not line.lstrip(" ").startswith("#")))
    for number, line in enumerate(lines, 1):
        content = line.strip(" ")
        column = len(line) - len(line.lstrip(" "))
        if block_above is not None and (not content or column > block_above):
            _note_privileges(number, content, found)
            _note_variables(number, place.sure, content, found)
            continue
        block_above = None
        if not content or content.startswith("#") or (content == "---" and not started):
            continue
        started = True
        block_above = _scan_line(number, column, content, found, place)


class _Place:
    """The keys under which a line stands. An alias can carry a value to any other place: then none is sure."""

    __slots__ = ("_above", "aliased")

    def __init__(self, *, aliased: bool) -> None:
        self.aliased = aliased
        self._above: list[tuple[int, str]] = []

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for _, key in self._above)

    @property
    def sure(self) -> tuple[str, ...]:
        return () if self.aliased else self.keys

    def enter(self, column: int, key: str) -> None:
        """Begin a line whose content, after any dashes, starts in this column; `key` is empty for one without."""
        while self._above and self._above[-1][0] >= column:
            self._above.pop()
        if key:
            self._above.append((column, key))


def _note_variables(number: int, keys: tuple[str, ...], content: str, found: ComposeFile) -> None:
    """Note the variables of a text, unless they are settings or the names of images, which have their own notice."""
    names = _variables(content)
    if names and not _only_settings(keys, content):
        found.decided_outside.append(f"line {number}: {', '.join(f'${name}' for name in names)}")


def _only_settings(keys: tuple[str, ...], content: str) -> bool:
    if len(keys) < 3 or keys[0] != "services":
        return False
    if keys[2] == "environment" and len(keys) == 3:  # an item of a list, which may not be a variable altogether
        return bool(_NAME_FIRST.match(content))
    return keys[2] in _SETTINGS or keys[2:] == ("image",)


def _scan_line(number: int, column: int, content: str, found: ComposeFile, place: _Place) -> int | None:
    """Read one line outside block texts; returns the column of its key when a block text follows."""
    if "\t" in content or (column == 0 and content.startswith(("---", "...", "%"))):
        found.doubts.append((number, "a tab, a directive or a document marker"))
        return None
    if dashes := _DASHES.match(content):
        column, content = column + dashes.end(), content[dashes.end() :]
    _note_privileges(number, content, found)
    key = ""
    if quoted := _QUOTED_KEY.match(content):
        key, content = _unquoted(quoted), content[quoted.end() :].strip(" ")
    elif plain := _plain_key(content):
        key, content = plain, content[content.index(":", len(plain)) + 1 :].strip(" ")
    place.enter(column, key)
    _note_variables(number, place.sure, content, found)
    if place.keys[:1] in _REACHED_BY_ALIAS and _ALIAS.search(content):
        found.doubts.append((number, "an alias where a config or a secret is made"))
    if anchor := _ANCHOR.match(content):
        content = content[anchor.end() :]
    value, doubt = _quoted_scalar(content) if content[:1] in ("'", '"') else _plain_scalar(content, keyed=bool(key))
    if doubt:
        found.doubts.append((number, doubt))
    elif key:
        _note(number, place.keys, value, found)
    return column if _BLOCK_TEXT.fullmatch(_without_comment(content)) else None


def _plain_key(content: str) -> str:
    """The text before the first colon that ends a key, or nothing when that is no plain key."""
    at = content.find(": ")
    if at < 0 and content.endswith(":"):
        at = len(content) - 1
    key = content[:at].rstrip(" ") if at > 0 else ""
    return key if _PLAIN_KEY.fullmatch(key) else ""


def _unquoted(match: re.Match[str]) -> str:
    return match["double"] if match["double"] is not None else match["single"].replace("''", "'")


def _without_comment(content: str) -> str:
    return "" if content.startswith("#") else content.split(" #", 1)[0].rstrip(" ")


def _quoted_scalar(content: str) -> tuple[str, str]:
    """The value of a quoted text that ends on its line, and why it cannot be read (empty when it can)."""
    match = _QUOTED.fullmatch(content)
    if not match:
        return "", "a quoted text that does not end on its line, or is followed by something"
    if match["double"] is not None and "\\" in match["double"]:
        return "\\", ""  # an escape: harmless anywhere but in an image, which `_note` refuses
    return _unquoted(match), ""


def _plain_scalar(content: str, *, keyed: bool) -> tuple[str, str]:
    """The same for everything else that stands after a key, or alone on its line."""
    plain = _without_comment(content)
    first = plain[:1]
    doubt = ""
    if not keyed and (": " in plain or plain.endswith(":")):
        doubt = "a key in an unusual form"
    elif first and first in "{!?%@`" and plain != "{}":
        doubt = "a flow mapping, a tag or a complex key"
    elif first and first in "[]},":
        rest = _QUOTED_OR_VARIABLE.sub("", plain)
        balanced = plain.startswith("[") and rest.count("[") == rest.count("]")
        if not balanced or _NOT_IN_LIST.search(rest):
            doubt = "a list that is more than texts on one line"
    elif first and first in "|>" and not _BLOCK_TEXT.fullmatch(plain):
        doubt = "a block text with an explicit indentation"
    return plain, doubt


def _note(number: int, keys: tuple[str, ...], value: str, found: ComposeFile) -> None:
    """A member by the keys it stands under, its own last."""
    top, key = keys[:1], keys[-1]
    if key == "image":
        if not value or value[0] in "*|>\\[&" or "\\" in value:
            found.doubts.append((number, "an image that is not written out"))
        else:
            found.images.append(Image(number, value, _variables(value)))
    elif key == "build":
        found.builds.append(number)
    elif key in _ELSEWHERE or (key == "file" and (value or top in _CONTENTS)):
        found.elsewhere.append(f"line {number}: {key}")
    elif key == "environment" and (top == ("configs",) or (top != ("secrets",) and value and value[0] not in "*[{")):
        found.decided_outside.append(
            f"line {number}: " + (f"${value}" if value else "a variable is a config's content")
        )
    elif key == "type" and value == "image":  # of a volume: its source is an image, pinned or not
        found.elsewhere.append(f"line {number}: an image as a volume")
    elif key == "privileged" and value.lower() not in {"false", "no", "off"}:
        found.privileges.append(f"line {number}: privileged")


def _note_privileges(number: int, content: str, found: ComposeFile) -> None:
    if _HOST_ACCESS.search(content):
        found.privileges.append(f"line {number}: {shown(content, 60)}")


def _scan_json(text: str, found: ComposeFile) -> None:
    """YAML is a superset of JSON, so a compose file may be JSON; lines do not matter there, and are given as 1."""
    try:
        value = parse_json(text, "docker_compose_file")
    except Malformed as error:
        found.doubts.append((1, f"not the JSON it starts as: {error.what}"))
        return
    for keys, item in _members(value):
        _note(1, keys, item if isinstance(item, str) else json.dumps(item), found)
        if isinstance(item, str):
            _note_privileges(1, item, found)
            _note_variables(1, tuple(key for key in keys if key), item, found)


def _members(value: object, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every member of every object with the keys it stands under; texts in arrays come with an empty last one.

    Depth was capped by the parser.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*above, key), item
            yield from _members(item, (*above, key))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                yield (*above, ""), item
            yield from _members(item, above)
