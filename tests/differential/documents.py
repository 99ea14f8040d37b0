"""TCB Info and QE Identity that the devnet's TCB Signing key signs with something else in them; and the file around."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

from differential.edits import edited
from differential.harness import Case
from differential.world import AT, REPORT_DATA, TD, devnet, key, real_cases
from twinproof_devnet.collateral import Documents, compact, qe_identity, tcb_info, utc
from twinproof_devnet.host import raw_signature

__all__ = ["collateral_file_cases", "document_cases"]

Path = tuple[str | int, ...]
STATUSES = (
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
    "Revoked",
    "TDRelaunchAdvised",
    "uptodate",
    "",
    "NotSupported",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 3, -1, 5, 7, 11, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32, 2**32 - 1, 2**63,
    2**64, 10**30, 1.0, 1.5, -0.0, 1e3, "", "0", "5", "UpToDate", "TDX", "SGX", "TD_QE", "QE", "QVE", [], {}, [[]],
    [0], [{}], {"svn": 0}, {"isvsvn": 0}, "00" * 6, "DE5E7A000000", "de5e7a000000", "0000", "00" * 48, "FF" * 8,
    "TDX_01", "TDX_03", "tdx_01", "TDX_1", "TDX_00", "TDX_0A", "TDX_+1",
)  # fmt: skip


@cache
def originals() -> dict[str, str]:
    return {
        name: json.dumps(make(Documents.at(AT)))
        for name, make in (("tcb_info", tcb_info), ("qe_identity", qe_identity))
    }


def _fresh(name: str, tee: str = "TDX") -> dict[str, Any]:
    if tee == "SGX":
        return tcb_info(Documents.at(AT, "SGX")) if name == "tcb_info" else qe_identity(Documents.at(AT, "SGX"))
    document: dict[str, Any] = json.loads(originals()[name])
    return document


@cache
def quotes() -> tuple[tuple[str, bytes], ...]:
    host = devnet().host
    made = [("TDX", host.quote(TD, REPORT_DATA, version, body=body)) for version, body in ((4, "TD1.0"), (5, "TD1.5"))]
    return (*made, ("SGX", host.sgx_quote(host.enclave(REPORT_DATA))))


def _paths(value: Any, at: Path = ()) -> Iterator[Path]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from _paths(item, (*at, name))


def _get(document: Any, path: Path) -> Any:
    for name in path:
        document = document[name]
    return document


def _set(document: Any, path: Path, value: Any) -> None:
    _get(document, path[:-1])[path[-1]] = value


def _value(rng: Random, document: Any) -> str:
    path = rng.choice([path for path in _paths(document) if path])
    value = rng.choice(VALUES)
    _set(document, path, value)
    return f"{_name(path)} := {value!r}"


def _nearby(rng: Random, document: Any) -> str:
    """A number or a hex text a little different."""
    paths = [path for path in _paths(document) if path and type(_get(document, path)) in {int, str}]
    path = rng.choice(paths)
    old = _get(document, path)
    new = old + rng.choice((-1, 1, 10)) if isinstance(old, int) else _other_text(rng, old)
    _set(document, path, new)
    return f"{_name(path)} := {new!r}"


def _other_text(rng: Random, text: str) -> str:
    if re.fullmatch("[0-9A-F]+", text) and len(text) > 3:
        at = rng.randrange(len(text))
        return rng.choice(
            (
                text.lower(),
                text[:-1],
                text[:-2],
                text + "00",
                "0x" + text,
                " " + text,
                text + "\n",
                text[:at] + rng.choice("0123456789ABCDEFg\u0661") + text[at + 1 :],
            )
        )
    return rng.choice((text.lower(), text.upper(), text + " ", " " + text, text[:-1], text + "\u0000", text[::-1]))


def _date(rng: Random, document: Any) -> str:
    paths = [path for path in _paths(document) if path and path[-1] in {"issueDate", "nextUpdate", "tcbDate"}]
    top = [path for path in paths if path[-1] != "tcbDate"]
    path = rng.choice(top if rng.random() < 0.8 else paths)
    moment = AT + rng.choice((-86_400, -1, 0, 1, 86_400))
    text = utc(moment)
    forms = (
        text,
        text,
        text,
        text.replace("Z", "+00:00"),
        text.replace("Z", "-00:00"),
        text.replace("Z", "+14:00"),
        text.replace("Z", ".000Z"),
        text.replace("Z", ".999999999Z"),
        text.replace("Z", ""),
        text.replace("Z", "z"),
        text.replace("T", "t"),
        text.replace("T", " "),
        text[:-4] + "Z",
        text[:10],
        text.replace("-", ""),
        text[:17] + "60Z",
        text[:11] + "24:00:00Z",
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        text.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
        " " + text,
        text + "\n",
    )
    new: Any = rng.choice((*forms, moment))
    _set(document, path, new)
    return f"{_name(path)} := {new!r}"


def _status(rng: Random, document: Any) -> str:
    said = []
    paths = [path for path in _paths(document) if path and path[-1] == "tcbStatus"]
    for path in rng.sample(paths, min(len(paths), rng.choice((1, 2, 4)))):
        status = rng.choice(STATUSES if rng.random() < 0.3 else STATUSES[:7])
        _set(document, path, status)
        said.append(f"{_name(path)} := {status}")
        if rng.random() < 0.3:
            advisories = rng.choice((["INTEL-SA-00009"], ["INTEL-SA-00009"] * 2, [], ["intel-sa-00009", "x"], [""]))
            _get(document, path[:-1])["advisoryIDs"] = advisories
    return ", ".join(said)


def _svns(rng: Random, document: Any) -> str:
    """Other numbers in the levels, so that another level is chosen, or none."""
    names = {"svn", "pcesvn", "isvsvn"}
    paths = [path for path in _paths(document) if path and path[-1] in names]
    said = []
    for path in rng.sample(paths, min(len(paths), rng.choice((1, 2, 6, 20)))):
        old = _get(document, path)
        value = rng.choice((0, 0, max(0, old - 1), old + 1, 1, 5, 255))
        _set(document, path, value)
        said.append(f"{_name(path)} := {value}")
    return ", ".join(said)


def _member(rng: Random, document: Any) -> str:
    """A member left out, named otherwise, moved, put in, or in another place."""
    objects = [path for path in _paths(document) if isinstance(_get(document, path), dict)]
    path = rng.choice(objects)
    entry = _get(document, path)
    names = list(entry)
    kind = rng.choice(("gone", "gone", "renamed", "order", "new", "foreign"))
    if kind in {"gone", "renamed"} and names:
        name = rng.choice(names)
        value = entry.pop(name)
        if kind == "renamed":
            other = rng.choice((name.lower(), name.upper(), name + "_", name + "\u0000"))
            entry[other] = value
            return f"{_name(path)}.{name} renamed to {other!r}"
        return f"{_name(path)}.{name} left out"
    if kind == "order":
        rng.shuffle(names)
        for name in names:
            entry[name] = entry.pop(name)
        return f"{_name(path)} in the order {names}"
    name = rng.choice(
        ("future", "comment", "tdxModule", "tdxModuleIdentities", "tdxtcbcomponents", "tcbType", "isvsvn")
    )
    entry[name] = rng.choice(VALUES)
    return f"{_name(path)}.{name} put in: {entry[name]!r}"


def _array(rng: Random, document: Any) -> str:
    arrays = [path for path in _paths(document) if isinstance(_get(document, path), list)]
    path = rng.choice(arrays)
    items = _get(document, path)
    kind = rng.choice(("gone", "twice", "reversed", "shuffled", "empty", "twice, changed"))
    if kind == "empty" or not items:
        items.clear()
    elif kind == "gone":
        del items[rng.randrange(len(items))]
    elif kind == "reversed":
        items.reverse()
    elif kind == "shuffled":
        rng.shuffle(items)
    else:
        again = deepcopy(rng.choice(items))
        if kind == "twice, changed" and isinstance(again, dict) and "tcbStatus" in again:
            again["tcbStatus"] = rng.choice(STATUSES[:7])
        items.insert(rng.randrange(len(items) + 1), again)
    return f"{_name(path)} {kind}"


def _masks(rng: Random, document: Any) -> str:
    names = {"attributes", "attributesMask", "miscselect", "miscselectMask", "mrsigner"}
    path = rng.choice([path for path in _paths(document) if path and path[-1] in names])
    old = _get(document, path)
    value = bytearray(bytes.fromhex(old))
    at = rng.randrange(min(len(value), 8))
    value[at] ^= rng.choice((1, 2, 4, 16, 32, 255))
    new = rng.choice((value.hex().upper(), value.hex().upper(), "00" * len(value), "FF" * len(value)))
    _set(document, path, new)
    return f"{_name(path)} := {new}"


def _name(path: Path) -> str:
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path)


CHANGES: tuple[tuple[Callable[[Random, Any], str], int], ...] = (
    (_value, 6),
    (_nearby, 4),
    (_date, 4),
    (_status, 5),
    (_svns, 6),
    (_member, 4),
    (_array, 4),
    (_masks, 2),
)


def _text_edit(rng: Random, text: str) -> tuple[str, str]:
    """What parsers of JSON disagree about, signed."""
    number = rng.choice(re.findall(r":(\d+)", text))
    name = rng.choice(re.findall(r'"([A-Za-z]+)":', text))
    edits: tuple[tuple[str, Callable[[], str]], ...] = (
        ("white space inside", lambda: text.replace(",", ", ").replace(":", ": ")),
        ("lines", lambda: json.dumps(json.loads(text), indent=2)),
        ("white space around", lambda: f" {text}\r\n\t"),
        ("no-break space before", lambda: f"\u00a0{text}"),
        ("a form feed before", lambda: f"\f{text}"),
        ("a byte order mark", lambda: f"\ufeff{text}"),
        ("a NUL after", lambda: f"{text}\u0000"),
        ("text after", lambda: f"{text}x"),
        ("an object after", lambda: text + "{}"),
        ("a comma at the end", lambda: text[:-1] + ",}"),
        ("a comment", lambda: text[:-1] + "/*x*/}"),
        ("single quotes", lambda: text.replace('"', "'")),
        ("cut off", lambda: text[: rng.randrange(len(text))]),
        ("empty", lambda: ""),
        ("null", lambda: "null"),
        ("in an array", lambda: f"[{text}]"),
        ("in an object", lambda: '{"tcbInfo":' + text + "}"),
        ("a string of it", lambda: json.dumps(text)),
        (f"{number} as {number}.0", lambda: text.replace(f":{number}", f":{number}.0", 1)),
        (f"{number} as 0{number}", lambda: text.replace(f":{number}", f":0{number}", 1)),
        (f"{number} as +{number}", lambda: text.replace(f":{number}", f":+{number}", 1)),
        (f"{number} as -0", lambda: text.replace(f":{number}", ":-0", 1)),
        (f"{number} as {number}e0", lambda: text.replace(f":{number}", f":{number}e0", 1)),
        (f"{number} as 0x5", lambda: text.replace(f":{number}", ":0x5", 1)),
        (f"{number} as NaN", lambda: text.replace(f":{number}", ":NaN", 1)),
        (f"{number} as Infinity", lambda: text.replace(f":{number}", ":Infinity", 1)),
        (f"{number} with 5000 digits", lambda: text.replace(f":{number}", ":" + "9" * 5000, 1)),
        (f"{number} and a fraction of zeros", lambda: text.replace(f":{number}", f":{number}." + "0" * 400, 1)),
        (f"{name} twice", lambda: re.sub(rf'("{name}":)', r"\1null,\1", text, count=1)),
        (f"{name} twice, the second is null", lambda: text[:-1] + f',"{name}":null' + "}"),
        (f"{name} twice, the same", lambda: _same_again(text, name)),
        (f"{name} twice, once escaped", lambda: _same_again(text, name, escaped=True)),
        ("an unknown member twice", lambda: text[:-1] + ',"x":1,"x":2}'),
        (f"{name} escaped", lambda: text.replace(f'"{name}"', f'"\\u{ord(name[0]):04x}{name[1:]}"')),
        ("a value escaped", lambda: text.replace("UpToDate", "\\u0055pToDate", 1)),
        ("half a pair", lambda: text[:-1] + ',"x":"\\ud800"}'),
        ("a control character in a string", lambda: text[:-1] + ',"x":"\u0001"}'),
        ("a line end in a string", lambda: text[:-1] + ',"x":"\n"}'),
        ("an unknown escape", lambda: text[:-1] + ',"x":"\\x41"}'),
        ("nested 30 deep", lambda: text[:-1] + ',"x":' + "[" * 30 + "]" * 30 + "}"),
        ("nested 40 deep", lambda: text[:-1] + ',"x":' + "[" * 40 + "]" * 40 + "}"),
        ("nested 200 deep", lambda: text[:-1] + ',"x":' + "[" * 200 + "]" * 200 + "}"),
        ("nested 5000 deep", lambda: text[:-1] + ',"x":' + "[" * 5000 + "]" * 5000 + "}"),
        ("a large string", lambda: text[:-1] + ',"x":"' + "a" * 100_000 + '"}'),
        ("many members", lambda: text[:-1] + "".join(f',"x{number}":0' for number in range(2000)) + "}"),
        ("a letter outside ASCII", lambda: text[:-1] + ',"x":"\u00e9\U0001f600"}'),
    )
    what, edit = rng.choice(edits)
    return what, edit()


def _same_again(text: str, name: str, *, escaped: bool = False) -> str:
    document = json.loads(text)
    if name not in document:
        return text
    spelled = f"\\u{ord(name[0]):04x}{name[1:]}" if escaped else name
    return text[:-1] + f',"{spelled}":{compact(document[name])}' + "}"


def _changed_text(rng: Random, name: str, tee: str) -> tuple[str, str]:
    document = _fresh(name, tee)
    kind = rng.random()
    if kind < 0.15:
        return _text_edit(rng, compact(document))
    if kind < 0.25:
        raw = compact(document).encode()
        what, changed = edited(rng, raw, 0, len(raw))
        return what, changed.decode("utf-8", "replace")
    changes, weights = zip(*CHANGES, strict=True)
    said = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        try:
            said.append(rng.choices(changes, weights)[0](rng, document))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):  # an earlier change took its place away
            continue
    return ", ".join(said), compact(document)


def signed_again(members: dict[str, str], documents: dict[str, Any]) -> str:
    """The collateral with these documents instead, signed by the devnet's TCB Signing key."""
    for name, document in documents.items():
        text = compact(document)
        signature = raw_signature(devnet().pki.tcb_signing.key, text.encode())
        members = {**members, name: text, f"{name}_signature": signature.hex()}
    return json.dumps(members)


def document_cases(rng: Random, count: int) -> Iterator[Case]:
    world = devnet()
    for _ in range(count):
        name = rng.choice(("tcb_info", "tcb_info", "tcb_info", "qe_identity"))
        tee, quote = rng.choice(quotes())
        what, text = _changed_text(rng, name, tee)
        signature = raw_signature(world.pki.tcb_signing.key, text.encode())
        if rng.random() < 0.02:
            what, signature = f"{what}, signed by a stranger", raw_signature(key(66), text.encode())
        members = {name: text, f"{name}_signature": signature.hex()}
        case = world.sgx_case if tee == "SGX" else world.case
        yield case(f"{tee} {name}: {what}", quote, members)


def collateral_file_cases(rng: Random, count: int) -> Iterator[Case]:
    """The file that carries the nine members: unsigned, so what is in it must not matter, or be refused."""
    for _ in range(count):
        base = rng.choice(real_cases())
        members: dict[str, Any] = dict(base.members)
        name = rng.choice(tuple(members))
        kind = rng.choice(("gone", "value", "more", "another's", "edit", "edit", "escaped", "file"))
        case = base.case(kind)
        text = case.collateral
        if kind == "gone":
            del members[name]
            text = json.dumps(members)
        elif kind == "value":
            members[name] = rng.choice((None, 1, "", [], {}, "00", "zz", members[name] + "\n", members[name].upper()))
            text = json.dumps(members)
        elif kind == "more":
            extra = rng.choice(("pck_certificate_chain", "x", "version", name.upper()))
            members[extra] = rng.choice((None, "", "x", 3, members["tcb_info_issuer_chain"]))
            text, name = json.dumps(members), extra
        elif kind == "another's":
            other = rng.choice(real_cases())
            members[name] = other.members[name]
            text, kind = json.dumps(members), f"of {other.name}"
        elif kind == "edit":
            value = members[name].encode()
            what, changed = edited(rng, value, 0, len(value))
            members[name] = changed.decode("utf-8", "replace")
            text, kind = json.dumps(members), what
        elif kind == "escaped":
            text = json.dumps(members).replace("a", "\\u0061")
        else:
            text = rng.choice(
                (json.dumps(members, indent=1), f"\ufeff{text}", f"{text} ", f"[{text}]", "", "{}", text[:-1])
            )
        yield Case(f"{base.name}: collateral {name} {kind}", case.quote, text, case.at, case.root)
