"""TCB Info and QE Identity with one defect, signed all the same, and collateral that cannot be read: steps 8 and 9."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from twinproof_devnet.certificate import new_key
from twinproof_devnet.collateral import compact, make
from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import Json, Rig

__all__ = ["document_cases"]

_STAGES = {"tcb_info": "dcap.tcb_info", "qe_identity": "dcap.qe_identity"}
_ANY_DATE_FORM = ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.0Z", "2026-01-01 00:00:00Z")
_NO_DATES = ("2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "")
Change = Callable[[Any], object]


def document_cases(rig: Rig) -> Iterator[Case]:
    """Steps 8 and 9, and files that hold no collateral."""
    for document, stage in _STAGES.items():
        yield from _signatures(rig, document, stage)
        yield from _windows(rig, document, stage)
        yield from _texts(rig, document, stage)
        yield from _members(rig, document, stage)
        yield from _dates(rig, document, stage)
    yield from _tcb_info(rig)
    yield from _qe_identity(rig)
    yield from _files(rig)


def _signatures(rig: Rig, document: str, stage: str) -> Iterator[Case]:
    good = rig.collateral()
    text, signature = str(good[document]), str(good[f"{document}_signature"])

    def given(name: str, description: str, members: Json, rule: Rule = Rule.GENUINE) -> Case:
        return rig.refuse(stage, name, description, collateral=good | members, rule=rule)

    forged = make(rig.pki, rig.at, signed_by=new_key())
    yield given("forged", "signed by somebody else", {f"{document}_signature": forged[f"{document}_signature"]})
    yield given("signature-zero", "r and s are zero", {f"{document}_signature": "00" * 64})
    yield given("signature-swapped", "s before r", {f"{document}_signature": signature[64:] + signature[:64]})
    for name, changed in (
        ("space-after", text + " "),
        ("space-before", " " + text),
        ("newline-after", text + "\n"),
        ("space-inside", text.replace(",", ", ", 1)),
        ("spelling", text.replace('"version"', '"\\u0076ersion"', 1)),
        ("order", _last_member_first(text)),
        ("letter-case", text.replace("T", "t", 1)),
    ):
        same_values = name.startswith(("space", "newline", "spelling", "order"))
        description = f"the text differs from the signed one: {name.replace('-', ' ')}"
        rule = Rule.STRICT if same_values else Rule.GENUINE
        yield given(f"bytes-{name}", description, {document: changed}, rule)
    other = "qe_identity" if document == "tcb_info" else "tcb_info"
    yield given(
        "other-document",
        f"the {other}, well signed, in its place",
        {document: good[other], f"{document}_signature": good[f"{other}_signature"]},
    )
    sgx = rig.collateral("SGX")
    yield given(
        "other-tee",
        "the document of SGX beside a TDX quote",
        {name: sgx[name] for name in sgx if name.startswith(document)},
    )


def _last_member_first(text: str) -> str:
    members = list(json.loads(text).items())
    return compact(dict([members[-1], *members[:-1]]))


def _windows(rig: Rig, document: str, stage: str) -> Iterator[Case]:
    for name, description, issue, update in (
        ("future", "issued a second ahead", 1, 100),
        ("expired", "expired a second ago", -100, -1),
        ("expired-long-ago", "expired two months ago", -90 * 86_400, -60 * 86_400),
    ):
        documents = replace(rig.documents, issue_date=rig.at + issue, next_update=rig.at + update)
        other = rig.collateral(documents=documents)
        yield rig.refuse(
            stage,
            name,
            description,
            collateral=rig.collateral() | {key: other[key] for key in other if key.startswith(document)},
            rule=Rule.STRICT if name == "future" else Rule.GENUINE,
        )


def _texts(rig: Rig, document: str, stage: str) -> Iterator[Case]:
    def text(name: str, description: str, change: Callable[[str], str], rule: Rule = Rule.GENUINE) -> Case:
        collateral = rig.signed(document, lambda value: change(compact(value)))
        return rig.refuse(stage, f"json-{name}", description, collateral=collateral, rule=rule)

    yield text("none", "signed, and no JSON", lambda _: "<html>")
    yield text("array", "signed, and an array", lambda value: f"[{value}]")
    yield text("null", "signed, and null", lambda _: "null")
    yield text("cut", "signed, and cut off", lambda value: value[:-1])
    yield text("twice", "a member said twice, the second time otherwise", _said_twice)
    yield text("deep", "an unknown member nested 100 deep", _nested, Rule.STRICT)
    yield text("nan", "an unknown member that is NaN", lambda value: value[:-1] + ',"later":NaN}')
    yield text("second-value", "a second value after the first", lambda value: value + "{}")


def _said_twice(text: str) -> str:
    return text.replace('"version":', '"version":99,"version":', 1)


def _nested(text: str) -> str:
    return text[:-1] + ',"later":' + "[" * 100 + "]" * 100 + "}"


def _set(*path: str | int, value: object) -> Change:
    """Replace one value; `...` removes it."""

    def change(document: Any) -> object:
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        if value is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        return document

    return change


def _case(rig: Rig, document: str, name: str, description: str, change: Change, *, rule: Rule = Rule.GENUINE) -> Case:
    return rig.refuse(_STAGES[document], name, description, collateral=rig.signed(document, change), rule=rule)


def _members(rig: Rig, document: str, stage: str) -> Iterator[Case]:
    del stage
    shared = ("version", "issueDate", "nextUpdate", "tcbEvaluationDataNumber", "tcbLevels", "id")
    own = ("fmspc", "pceId", "tcbType", "tdxModule") if document == "tcb_info" else ("mrsigner", "isvprodid")
    for member in (*shared, *own):
        rule = Rule.STRICT if member in {"tcbType", "tdxModule", "tcbEvaluationDataNumber"} else Rule.GENUINE
        yield _case(rig, document, f"without-{member}", f"no {member}", _set(member, value=...), rule=rule)
    yield _case(rig, document, "levels-empty", "no TCB levels", _set("tcbLevels", value=[]))
    yield _case(rig, document, "version-4", "version 4", _set("version", value=4), rule=Rule.STRICT)
    yield _case(rig, document, "version-true", "a version that is true", _set("version", value=True))
    yield _case(rig, document, "version-text", "a version that is text", _set("version", value="3"))
    yield _case(rig, document, "id-unknown", "an id that nobody knows", _set("id", value="TEE"))
    status = ("tcbLevels", 0, "tcbStatus")
    yield _case(rig, document, "status-unknown", "a status that nobody knows", _set(*status, value="Unknown"))
    last = ("tcbLevels", 1, "tcbStatus")
    name = "status-unknown-below"
    yield _case(
        rig, document, name, "the same in a level below the one that applies", _set(*last, value=""), rule=Rule.STRICT
    )

    def level_twice(value: Any) -> None:
        value["tcbLevels"].append(value["tcbLevels"][0] | {"tcbStatus": "Revoked"})

    yield _case(rig, document, "level-twice", "one level twice, with two statuses", level_twice, rule=Rule.STRICT)


def _dates(rig: Rig, document: str, stage: str) -> Iterator[Case]:
    del stage
    for index, date in enumerate((*_NO_DATES, *_ANY_DATE_FORM)):
        rule = Rule.STRICT if date in _ANY_DATE_FORM else Rule.GENUINE
        change = _set("issueDate", value=date)
        yield _case(rig, document, f"date-{index}", f"issueDate is {date!r}", change, rule=rule)


def _tcb_info(rig: Rig) -> Iterator[Case]:
    def case(name: str, description: str, change: Change, rule: Rule = Rule.GENUINE) -> Case:
        return _case(rig, "tcb_info", name, description, change, rule=rule)

    tcb = ("tcbLevels", 0, "tcb")
    yield case("version-2", "version 2, which has other members", _set("version", value=2))
    yield case("type-1", "tcbType 1", _set("tcbType", value=1), Rule.STRICT)
    for name in ("sgxtcbcomponents", "tdxtcbcomponents"):
        for size in (0, 15, 17):
            change = _set(*tcb, name, value=[{"svn": 0}] * size)
            yield case(f"{name}-{size}", f"{size} {name}", change)
        yield case(f"{name}-none", f"no {name}", _set(*tcb, name, value=...))
        yield case(
            f"{name}-256", "a component of 256, which is 0 in eight bits", _set(*tcb, name, 3, value={"svn": 256})
        )
        yield case(f"{name}-negative", "a component of -1", _set(*tcb, name, 3, value={"svn": -1}))
        yield case(f"{name}-fraction", "a component of 1.5", _set(*tcb, name, 3, value={"svn": 1.5}))
    yield case("pcesvn-65536", "a PCESVN of 65536", _set(*tcb, "pcesvn", value=65536))
    yield case("fmspc-short", "an FMSPC of five bytes", _set("fmspc", value="DE5E7A0000"))
    yield case("fmspc-no-hex", "an FMSPC that is no hex", _set("fmspc", value="ZZ5E7A000000"))
    yield case("fmspc-spaces", "an FMSPC with spaces in it", _set("fmspc", value="DE5E 7A00 00"))
    modules = "tdxModuleIdentities"
    yield case("modules-empty", "an empty list of TDX modules", _set(modules, value=[]), Rule.STRICT)

    def module_twice(value: Any) -> None:
        value[modules].append(value[modules][0])

    yield case("module-twice", "one TDX module twice", module_twice, Rule.STRICT)
    yield case(
        "module-name", "a TDX module without a version in its name", _set(modules, 1, "id", value="TDX"), Rule.STRICT
    )
    status = _set(modules, 0, "tcbLevels", 0, "tcbStatus", value="ConfigurationNeeded")
    yield case("module-status", "a module with a status that modules do not have", status, Rule.STRICT)
    yield case("module-svn-256", "a module level of 256", _set(modules, 0, "tcbLevels", 0, "tcb", "isvsvn", value=256))
    for name in ("tdxModule", modules):
        tdx_value = json.loads(str(rig.collateral()["tcb_info"]))[name]
        yield rig.refuse(
            "dcap.tcb_info",
            f"sgx-with-{name}",
            f"a document of SGX with a {name}",
            quote=rig.sgx_quote(),
            collateral=rig.signed("tcb_info", _set(name, value=tdx_value), "SGX"),
            rule=Rule.STRICT,
        )
    yield rig.refuse(
        "dcap.tcb_info",
        "sgx-quote",
        "the document of TDX beside an SGX quote",
        quote=rig.sgx_quote(),
    )


def _qe_identity(rig: Rig) -> Iterator[Case]:
    def case(name: str, description: str, change: Change, rule: Rule = Rule.GENUINE) -> Case:
        return _case(rig, "qe_identity", name, description, change, rule=rule)

    yield case("version-3", "version 3", _set("version", value=3), Rule.STRICT)
    status = ("tcbLevels", 1, "tcbStatus")
    for value in ("OutOfDateConfigurationNeeded", "SWHardeningNeeded"):
        name, description = f"status-{value}", f"{value}: a status that quoting enclaves do not have"
        yield case(name, description, _set(*status, value=value), Rule.STRICT)
    for member, size in (("miscselect", 4), ("miscselectMask", 4), ("attributes", 16), ("attributesMask", 16)):
        yield case(f"{member}-short", f"{member} one byte too short", _set(member, value="00" * (size - 1)))
    yield case("mrsigner-long", "MRSIGNER one byte too long", _set("mrsigner", value="00" * 33))
    yield case("isvsvn-65536", "a level of 65536", _set("tcbLevels", 0, "tcb", "isvsvn", value=65536))


def _files(rig: Rig) -> Iterator[Case]:
    good = rig.collateral()
    text = json.dumps(good)
    for name, description, data in (
        ("empty", "an empty file", b""),
        ("no-json", "a web page", b"<html></html>"),
        ("cut", "the last character is missing", text[:-1].encode()),
        ("array", "an array", f"[{text}]".encode()),
        ("binary", "bytes that are no text", b"\xff\xfe" + text.encode()),
        ("crl-no-hex", "a CRL that is no hex", json.dumps(good | {"pck_crl": "zz"}).encode()),
        ("crl-odd", "a CRL of an odd number of digits", json.dumps(good | {"pck_crl": "308"}).encode()),
        ("signature-short", "a signature of 63 bytes", json.dumps(good | {"tcb_info_signature": "11" * 63}).encode()),
    ):
        yield rig.refuse("collateral", name, f"collateral: {description}", collateral=data)
    for member in (
        "root_ca_crl",
        "pck_crl",
        "tcb_info",
        "tcb_info_signature",
        "qe_identity",
        "qe_identity_issuer_chain",
    ):
        left = {name: value for name, value in good.items() if name != member}
        yield rig.refuse("collateral", f"without-{member}", f"collateral without {member}", collateral=left)
