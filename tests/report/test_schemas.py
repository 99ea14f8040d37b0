"""The published schemas describe what is printed and saved: all of it, and not more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import twinproof
from published_schemas import errors, schemas
from small_files import root_file
from small_instance import Instance, edited, judge, twins, verifier
from twinproof.cli.main import main
from twinproof.comparison import compare
from twinproof.evidence import bundle
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Origin
from twinproof.verdict import Status


def plain(document: object) -> Any:
    return json.loads(json.dumps(document))


@pytest.mark.parametrize("name", schemas())
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])


def test_no_object_may_have_members_that_its_schema_does_not_name() -> None:
    opened = [
        f"{name}{place}"
        for name, schema in schemas().items()
        for place, part in parts(schema)
        if part.get("type") == "object" and "properties" in part and part.get("additionalProperties") is not False
    ]
    assert opened == []


def test_every_member_says_what_it_means() -> None:
    silent = [
        f"{name}{place}: {member}"
        for name, schema in schemas().items()
        for place, part in parts(schema)
        if part.get("type") == "object"
        for member, described in part.get("properties", {}).items()
        if not {"const", "description"} & described.keys()
    ]
    assert silent == []


def parts(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a schema, and where it is."""
    if isinstance(node, dict):
        yield place, node
        for name, value in node.items():
            yield from parts(value, f"{place}/{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from parts(value, f"{place}/{index}")


KEPT = {"twinproof/deployment/v1", "twinproof/deploy-journal/v1", "twinproof/audit-journal/v1"}
"""Files that only twinproof writes and reads."""


def test_every_schema_that_is_printed_is_published() -> None:
    sources = Path(twinproof.__file__).parent.rglob("*.py")
    said = {name for path in sources for name in re.findall(r'"(twinproof/[a-z-]+/v\d+)"', path.read_text())}
    assert {name.removeprefix("twinproof/").replace("/", ".") for name in said - KEPT} | {"vsa.v1"} == schemas().keys()


def test_good_and_bad_verdicts_are_described() -> None:
    honest = Instance().evidence()
    for evidence in (
        honest,
        edited(honest, statement=None, challenge=None),
        edited(honest, event_log="[]"),
        edited(honest, quote=b"\x04\x00"),
        edited(honest, app_compose=None),
    ):
        assert list(errors("verdict.v1", plain(judge(evidence).to_json()))) == []


@pytest.mark.parametrize("how", ["both", "one is missing", "they differ"])
def test_what_compare_prints_is_described(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = []
    for index, instance in enumerate(twins()):
        path = tmp_path / f"{index}.json"
        evidence = instance.evidence()
        path.write_text(
            bundle_to_json(edited(evidence, app_compose="{}") if how == "they differ" and index else evidence)
        )
        names.append(str(path) if how != "one is missing" or not index else "http://127.0.0.1:9")
    main(["compare", *names, "--trust-root", str(root_file(tmp_path)), "--no-cache", "--timeout", "2", "--json"])
    assert list(errors("proof.v1", json.loads(capsys.readouterr().out))) == []


def test_bundles_are_described_member_by_member() -> None:
    evidence = Instance().evidence()
    assert list(errors("evidence.v1", json.loads(bundle_to_json(evidence)))) == []
    schema = schemas()["evidence.v1"]
    assert set(schema["properties"]) == bundle._MEMBERS
    assert set(schema["properties"]["origin"]["enum"]) == set(Origin)


@pytest.mark.parametrize(
    "change", [{"quote": None}, {"attestation": "00"}, {"extra": 1}, {"schema": "twinproof/evidence/v2"}]
)
def test_what_the_reader_refuses_the_schema_refuses_too(change: dict[str, Any]) -> None:
    document = json.loads(bundle_to_json(Instance().evidence()))
    document = {name: value for name, value in {**document, **change}.items() if value is not None}
    assert list(errors("evidence.v1", document))


def test_a_check_that_was_not_run_needs_its_reason() -> None:
    document = plain(compare([verifier().verify(item.evidence()) for item in twins()]).verdicts[0].to_json())
    check = next(item for item in document["checks"] if item["status"] == Status.NOT_CHECKED.value)
    check["reason"] = ""
    assert len(list(errors("verdict.v1", document))) == 1
