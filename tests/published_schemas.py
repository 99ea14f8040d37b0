"""The schemas of docs/schemas, for tests of whatever prints JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

__all__ = ["described", "errors", "named", "schemas"]

_FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schemas"


@cache
def schemas() -> dict[str, Any]:
    """By name, such as `verdict.v1`."""
    return {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in _FOLDER.glob("*.json")}


@cache
def _validator(name: str) -> Draft202012Validator:
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas().values()
    )
    file, _, place = name.partition("#")
    return Draft202012Validator({"$ref": f"{schemas()[file]['$id']}#{place}"}, registry=registry)


def named(document: dict[str, Any]) -> str:
    """The schema that a document says it has: `twinproof/audit/v1` is `audit.v1`."""
    return str(document["schema"]).removeprefix("twinproof/").replace("/", ".")


def errors(name: str, document: object) -> Iterator[str]:
    """What is wrong with a document; `audit.v1#/$defs/problem` names a part of a schema."""
    for error in _validator(name).iter_errors(document):
        yield f"{error.json_path}: {error.message[:200]}"


def described(name: str, text: str) -> Any:
    """The JSON document that was printed; fails unless the schema describes all of it."""
    document = json.loads(text)
    assert list(errors(name, document)) == []
    return document
