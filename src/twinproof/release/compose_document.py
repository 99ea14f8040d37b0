"""A compose file's YAML as plain values, strictly: one document, no key twice, nothing but texts, numbers, lists, maps.

This reader serves releases (what will be deployed, by its own author). Evidence is never read by it: there the measured
text is scanned line by line, in `dstack.compose_file`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from twinproof.errors import Malformed, UsageError
from twinproof.wire import shown

__all__ = ["compose_document"]

MAX_DEPTH = 20
MAX_NODES = 20_000


def compose_document(text: str, where: str) -> dict[str, Any]:
    """The top-level map. Raises Malformed, and UsageError when the extra `release` is not installed."""
    yaml = _yaml()
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            _check(yaml, node, where)
        value = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Malformed(f"not a compose file: {' '.join(str(error).split())[:200]}", where=where) from error
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise Malformed("not a compose file: no map at the top", where=where)
    return value


def _check(yaml: Any, top: Any, where: str) -> None:
    """Keys are texts, each once. Aliases are walked like copies, so a bomb of them meets the bound."""
    open_nodes, walked = [(top, 0)], 0
    while open_nodes:
        node, depth = open_nodes.pop()
        walked += 1
        if depth > MAX_DEPTH or walked > MAX_NODES:
            expected = f"at most {MAX_DEPTH} levels and {MAX_NODES} values"
            raise Malformed("nested too deeply, or too large", where=where, expected=expected)
        if isinstance(node, yaml.SequenceNode):
            open_nodes += [(item, depth + 1) for item in node.value]
        elif isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                line = f"{where} line {key.start_mark.line + 1}"
                if not isinstance(key, yaml.ScalarNode):
                    raise Malformed("a key that is no text", where=line)
                if key.value in seen:
                    raise Malformed("a key stands twice", where=line, got=shown(key.value, 40))
                seen.add(key.value)
                open_nodes.append((value, depth + 1))


def _yaml() -> Any:
    try:
        return import_module("yaml")
    except ModuleNotFoundError as error:
        raise UsageError("PyYAML is not installed", hint="pip install 'twinproof[release]'") from error
