"""TCB Info and QE Identity: signed over their exact text, about this platform, in their window, unambiguous."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated import AT, REPORT_DATA, TD, Judgement, host, judge, members, pki, quote
from twinproof.dcap.qe_identity import parse_qe_identity
from twinproof.dcap.signed_json import parse_signed
from twinproof.dcap.tcb_info import parse_tcb_info
from twinproof.errors import Malformed
from twinproof.wire import parse_object
from twinproof_devnet.certificate import new_key
from twinproof_devnet.collateral import Documents, compact, make
from twinproof_devnet.host import TdxHost
from twinproof_devnet.machine import Machine

TCB_INFO: dict[str, Any] = json.loads(members()["tcb_info"])
SGX_TCB_INFO: dict[str, Any] = json.loads(members("SGX")["tcb_info"])
QE_IDENTITY: dict[str, Any] = json.loads(members()["qe_identity"])
DOCUMENTS = {"tcb_info": "dcap.tcb_info", "qe_identity": "dcap.qe_identity"}
NAMES = {"tcb_info": "tcbInfo", "qe_identity": "enclaveIdentity"}


def judge_with(**texts: Any) -> Judgement:
    return judge(quote(), make(pki(), AT, **texts))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_somebody_else_signed_is_forged(document: str) -> None:
    other = make(pki(), AT, signed_by=new_key())
    member = f"{document}_signature"
    assert judge(quote(), members() | {member: other[member]}).failed == (DOCUMENTS[document], "Forged")


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize(
    "change",
    [lambda text: text + " ", lambda text: " " + text, lambda text: text.replace('"id"', '"iD"'), str.lower],
    ids=["space after", "space before", "a member's name", "letter case"],
)
def test_the_signature_is_over_the_exact_text(document: str, change: Callable[[str], str]) -> None:
    good = members()
    judgement = judge(quote(), good | {document: change(good[document])})
    assert judgement.failed == (DOCUMENTS[document], "Forged")


def test_the_documents_cannot_be_exchanged() -> None:
    good = members()
    swapped = {"tcb_info": good["qe_identity"], "tcb_info_signature": good["qe_identity_signature"]}
    assert judge(quote(), good | swapped).failed == ("dcap.tcb_info", "Malformed")


@pytest.mark.parametrize("name", ["", "tdx", "SGX ", "TD_QE", "TDX2"])
def test_a_document_about_neither_tee_is_malformed(name: str) -> None:
    with pytest.raises(Malformed, match="unknown TEE"):
        parse_tcb_info(compact(TCB_INFO | {"id": name}))
    with pytest.raises(Malformed, match="unknown enclave"):
        parse_qe_identity(compact(QE_IDENTITY | {"id": name if name != "TD_QE" else "QVE"}))


def test_documents_of_the_other_tee_are_a_mismatch() -> None:
    sgx = members("SGX")
    tcb = {name: sgx[name] for name in sgx if name.startswith("tcb_info")}
    qe = {name: sgx[name] for name in sgx if name.startswith("qe_identity")}
    assert judge(quote(), members() | tcb).failed == ("dcap.tcb_info", "CollateralMismatch")
    assert judge(quote(), members() | qe).failed == ("dcap.qe_identity", "CollateralMismatch")
    enclave = host().sgx_quote(host().enclave())
    assert judge(enclave, members()).failed == ("dcap.tcb_info", "CollateralMismatch")


@pytest.mark.parametrize(
    ("change", "name"), [({"fmspc": bytes(6)}, "FMSPC"), ({"pce_id": b"\x00\x01"}, "PCE ID")], ids=["FMSPC", "PCE ID"]
)
def test_the_levels_of_another_platform_are_a_mismatch(change: dict[str, Any], name: str) -> None:
    judgement = judge_with(documents=replace(Documents.at(AT), **change))
    assert judgement.failed == ("dcap.platform_match", "CollateralMismatch")
    assert name in judgement.reason


def test_the_case_of_hex_letters_is_no_difference() -> None:
    lower = TCB_INFO | {"fmspc": TCB_INFO["fmspc"].lower()}
    assert judge_with(tcb_info=compact(lower)).genuine


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize(
    ("issue", "update", "good"),
    [(0, 10, True), (-10, 0, True), (1, 10, False), (-10, -1, False)],
    ids=["at issueDate", "at nextUpdate", "before issueDate", "after nextUpdate"],
)
def test_a_document_holds_from_issue_date_through_next_update(
    document: str, issue: int, update: int, good: bool
) -> None:
    other = make(pki(), AT, documents=replace(Documents.at(AT), issue_date=AT + issue, next_update=AT + update))
    mine = {name: other[name] for name in other if name.startswith(document)}
    judgement = judge(quote(), members() | mine)
    assert judgement.failed == (("", "") if good else (DOCUMENTS[document], "Stale")), judgement.reason


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"tcb_info_version": 2}, "version"),
        ({"tcb_info_version": 4}, "version"),
        ({"qe_identity_version": 1}, "version"),
        ({"qe_identity_version": 3}, "version"),
        ({"tcb_type": 1}, "tcbType"),
    ],
)
def test_documents_of_another_version_or_type_are_not_guessed_at(change: dict[str, Any], where: str) -> None:
    judgement = judge_with(documents=replace(Documents.at(AT), **change))
    assert judgement.failed[1] == "Malformed"
    assert where in judgement.reason


def test_the_lower_evaluation_number_is_the_one_that_counts() -> None:
    older = make(pki(), AT, documents=replace(Documents.at(AT), tcb_evaluation_data_number=17))
    mixed = members() | {name: older[name] for name in older if name.startswith("qe_identity")}
    assert judge(quote(), members()).good.tcb_evaluation_data_number == 20
    assert judge(quote(), mixed).good.tcb_evaluation_data_number == 17


def test_the_appraisal_tells_the_windows_of_everything_used() -> None:
    appraisal = judge(quote()).good
    assert appraisal.latest_issue == AT - 3600
    assert appraisal.earliest_expiration == AT - 3600 + 30 * 86_400
    assert appraisal.earliest_issue == AT - 5 * 365 * 86_400


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every member of a document, one of each kind of list item."""
    if isinstance(value, dict):
        return [found for name, item in value.items() for found in ((*path, name), *paths(item, (*path, name)))]
    if isinstance(value, list) and value and not isinstance(value[0], str):
        return paths(value[-1], (*path, len(value) - 1))
    return []


def changed(document: dict[str, Any], path: tuple[str | int, ...], value: object) -> str:
    copy: Any = deepcopy(document)
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return compact(copy)


OPTIONAL = {"advisoryIDs", "tdxModuleIdentities"}
MEMBERS = [(TCB_INFO, path) for path in paths(TCB_INFO)] + [(QE_IDENTITY, path) for path in paths(QE_IDENTITY)]
UNREAD = {"attributesMask"}


def read(document: dict[str, Any], text: str) -> object:
    return parse_qe_identity(text) if document is QE_IDENTITY else parse_tcb_info(text)


@pytest.mark.parametrize(
    ("document", "path"), MEMBERS, ids=lambda item: ".".join(map(str, item)) if isinstance(item, tuple) else ""
)
def test_no_member_may_be_missing(document: dict[str, Any], path: tuple[str | int, ...]) -> None:
    text = changed(document, path, ...)
    if path[-1] in OPTIONAL:
        read(document, text)
        return
    with pytest.raises(Malformed):
        read(document, text)


@pytest.mark.parametrize(
    ("document", "path"), MEMBERS, ids=lambda item: ".".join(map(str, item)) if isinstance(item, tuple) else ""
)
@pytest.mark.parametrize("value", [None, True, -1, 1.5, 1 << 70, "", "zz", "0" * 99, [], {}, [None], [[]]], ids=repr)
def test_no_member_may_be_of_another_type_or_size(
    document: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    if path[-1] == "advisoryIDs" and value == []:
        return
    with pytest.raises(Malformed):
        read(document, changed(document, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tcbLevels", 0, "tcb", "sgxtcbcomponents", 3, "svn"), 256),
        (("tcbLevels", 0, "tcb", "tdxtcbcomponents", 15, "svn"), 256),
        (("tcbLevels", 0, "tcb", "pcesvn"), 65536),
        (("tdxModuleIdentities", 0, "tcbLevels", 0, "tcb", "isvsvn"), 256),
        (("tcbEvaluationDataNumber",), 1 << 32),
    ],
)
def test_a_number_above_its_range_does_not_wrap_around(path: tuple[str | int, ...], value: int) -> None:
    """256 narrowed to 8 bits is 0: every platform would reach such a level."""
    with pytest.raises(Malformed, match="out of range"):
        parse_tcb_info(changed(TCB_INFO, path, value))


@pytest.mark.parametrize("size", [0, 15, 17])
@pytest.mark.parametrize("name", ["sgxtcbcomponents", "tdxtcbcomponents"])
def test_there_are_sixteen_components(name: str, size: int) -> None:
    with pytest.raises(Malformed, match="wrong number of components"):
        parse_tcb_info(changed(TCB_INFO, ("tcbLevels", 0, "tcb", name), [{"svn": 0}] * size))


@pytest.mark.parametrize("where", [("tcbLevels",), ("tdxModuleIdentities", 0, "tcbLevels")])
def test_a_level_said_twice_could_mean_two_things(where: tuple[str | int, ...]) -> None:
    levels: Any = TCB_INFO
    for key in where:
        levels = levels[key]
    twice = [*levels, levels[0] | {"tcbStatus": "Revoked"}]
    with pytest.raises(Malformed, match="twice"):
        parse_tcb_info(changed(TCB_INFO, where, twice))


def test_the_quoting_enclaves_levels_are_not_said_twice_either() -> None:
    levels = QE_IDENTITY["tcbLevels"]
    with pytest.raises(Malformed, match="twice"):
        parse_qe_identity(changed(QE_IDENTITY, ("tcbLevels",), [*levels, levels[0]]))


def test_a_module_said_twice_could_mean_two_things() -> None:
    modules = TCB_INFO["tdxModuleIdentities"]
    again = modules[0] | {"id": modules[0]["id"].replace("TDX_01", "TDX_01")}
    with pytest.raises(Malformed, match="twice"):
        parse_tcb_info(changed(TCB_INFO, ("tdxModuleIdentities",), [*modules, again]))


@pytest.mark.parametrize("name", ["TDX_1", "TDX_001", "tdx_01", "SEAM_01", "TDX_0G", "TDX_ 1", "TDX_+1", "01", ""])
def test_the_name_of_a_module_is_tdx_and_two_hex_digits(name: str) -> None:
    with pytest.raises(Malformed, match="not the id of a TDX module"):
        parse_tcb_info(changed(TCB_INFO, ("tdxModuleIdentities", 0, "id"), name))


def test_the_name_of_a_module_is_read_in_either_case() -> None:
    assert 0xAB in parse_tcb_info(changed(TCB_INFO, ("tdxModuleIdentities", 0, "id"), "TDX_aB")).modules


@pytest.mark.parametrize("name", ["tcbLevels", "tdxModuleIdentities"])
def test_an_empty_list_of_levels_or_modules_is_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        parse_tcb_info(changed(TCB_INFO, (name,), []))


def test_there_are_at_most_256_levels() -> None:
    (level,) = SGX_TCB_INFO["tcbLevels"][:1]
    levels = [level | {"tcb": level["tcb"] | {"pcesvn": number}} for number in range(257)]
    assert len(parse_tcb_info(compact(SGX_TCB_INFO | {"tcbLevels": levels[:256]})).levels) == 256
    with pytest.raises(Malformed, match="too many items"):
        parse_tcb_info(compact(SGX_TCB_INFO | {"tcbLevels": levels}))


@pytest.mark.parametrize("name", ["tdxModule", "tdxModuleIdentities"])
def test_an_sgx_document_has_nothing_of_tdx(name: str) -> None:
    with pytest.raises(Malformed, match="TDX member"):
        parse_tcb_info(compact(SGX_TCB_INFO | {name: TCB_INFO[name]}))


def test_an_sgx_level_has_no_tdx_components() -> None:
    with pytest.raises(Malformed, match="TDX member"):
        parse_tcb_info(compact(SGX_TCB_INFO | {"tcbLevels": TCB_INFO["tcbLevels"]}))


@pytest.mark.parametrize("status", ["uptodate", "UpToDate ", "TDRelaunchAdvised", "", "Unknown"])
def test_an_unknown_status_is_malformed_even_in_a_level_that_nobody_reaches(status: str) -> None:
    with pytest.raises(Malformed, match="unknown TCB status"):
        parse_tcb_info(changed(TCB_INFO, ("tcbLevels", 2, "tcbStatus"), status))


@pytest.mark.parametrize("status", ["SWHardeningNeeded", "ConfigurationNeeded", "OutOfDateConfigurationNeeded"])
def test_a_quoting_enclave_or_module_has_three_statuses(status: str) -> None:
    """Elsewhere, a quoting enclave in need of configuration counts as up to date."""
    with pytest.raises(Malformed, match="unknown TCB status"):
        parse_qe_identity(changed(QE_IDENTITY, ("tcbLevels", 1, "tcbStatus"), status))
    with pytest.raises(Malformed, match="unknown TCB status"):
        parse_tcb_info(changed(TCB_INFO, ("tdxModuleIdentities", 1, "tcbLevels", 1, "tcbStatus"), status))


@pytest.mark.parametrize(
    "date",
    [
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00.0Z",
        "2026-01-01t00:00:00z",
        "2026-01-01 00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "\uff12026-01-01T00:00:00Z",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
    ],
)
def test_a_date_has_one_form_and_exists(date: str) -> None:
    with pytest.raises(Malformed, match="not a date"):
        parse_tcb_info(changed(TCB_INFO, ("issueDate",), date))
    with pytest.raises(Malformed, match="not a date"):
        parse_qe_identity(changed(QE_IDENTITY, ("tcbLevels", 0, "tcbDate"), date))


def test_the_order_of_levels_in_the_document_does_not_matter() -> None:
    turned = TCB_INFO | {"tcbLevels": TCB_INFO["tcbLevels"][::-1]}
    turned["tdxModuleIdentities"] = [
        module | {"tcbLevels": module["tcbLevels"][::-1]} for module in TCB_INFO["tdxModuleIdentities"]
    ]
    qe = QE_IDENTITY | {"tcbLevels": QE_IDENTITY["tcbLevels"][::-1]}
    assert judge_with(tcb_info=compact(turned), qe_identity=compact(qe)).good.tcb_status == "UpToDate"


def test_members_that_are_not_known_are_left_alone() -> None:
    assert judge_with(tcb_info=compact(TCB_INFO | {"later": {"added": [1, 2.5, None]}})).genuine


@pytest.mark.parametrize(
    "text",
    [
        '{"id":"TDX","id":"SGX"}',
        '{"a":{"b":1,"b":1}}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        "[" * 40 + "]" * 40,
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a":' + "[" * 40 + "]" * 40 + "}",  # compact and said once: the fast reader has to see the depth, too
        '{"a":' * 40 + "1" + "}" * 40,
        "1" * 5000,
        '{"a":' + "1" * 5000 + "}",
        "",
        "null",
        "[]",
        "<html>",
        '{"a":"\\ud800"}',
        "{} {}",
    ],
    ids=lambda text: text[:24],
)
def test_what_is_not_one_strict_json_object_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_signed(text, "document")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    ),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_the_fast_reader_reads_what_the_strict_one_reads(
    value: object, ascii_only: bool, marks: tuple[str, str]
) -> None:
    text = json.dumps({"a": value}, ensure_ascii=ascii_only, separators=marks)
    try:
        strict: object = parse_object(text, "document").raw
    except Malformed:
        strict = None
    try:
        fast: object = parse_signed(text, "document").raw
    except Malformed:
        fast = None
    if strict is None and fast is not None:  # numbers of 21 to 4300 digits in members that nobody reads
        assert any(len(digits) > 20 for digits in text.replace("-", "").split(","))
    else:
        assert fast == strict


def test_a_platform_older_than_the_oldest_level_is_unknown() -> None:
    machine = replace(Machine.named("old"), pce_svn=3)
    old = TdxHost.create(pki(), AT, machine=machine)
    levels = [level for level in TCB_INFO["tcbLevels"] if level["tcb"]["pcesvn"] > 3]
    judgement = judge(old.quote(TD, REPORT_DATA), make(pki(), AT, tcb_info=compact(TCB_INFO | {"tcbLevels": levels})))
    assert judgement.failed == ("dcap.tcb_level", "TcbUnknown")
