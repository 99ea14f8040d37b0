"""What a request asks for: numbers, strictly read, and whether a machine or a person reads the answer."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["entry_number", "number", "numbers", "wants_json"]

MOST_COMPARED = 20
MOST_DIGITS = 18
"""So that every number fits into the 64 bits of the archive's index."""


def wants_json(request: Request) -> bool:
    asked = request.query_params.get("format")
    if asked is not None:
        return asked == "json"
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def entry_number(request: Request) -> int:
    found = _read(str(request.path_params["number"]))
    if found is None:
        raise HTTPException(404, "no such entry")
    return found


def number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    found = default if text is None else _read(text)
    if found is None:
        raise HTTPException(400, f"{name} is not a number")
    return found


def numbers(request: Request, name: str) -> list[int]:
    texts = request.query_params.get(name, "").split(",")
    found = [value for value in map(_read, texts) if value is not None]
    if not 2 <= len(found) == len(texts) <= MOST_COMPARED:
        raise HTTPException(400, f"{name} takes 2 to {MOST_COMPARED} numbers, separated by commas")
    return found


def _read(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
