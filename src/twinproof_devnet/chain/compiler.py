"""Compiles contracts/*.vy when they are first needed, once per version of source and compiler.

Sources have blocks between `#: NAME` and `#: end` that only generations with this feature keep. The compiler is told
every variable's slot, and computes slots of mappings as Solidity does: keccak256(key || slot). Its own order is the
other one, and a storage proof of this chain would then mean nothing for the real contracts.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.layout import LAYOUT, Layout

__all__ = ["Artifact", "Artifacts", "artifacts", "compile_all", "source_of"]

_CONTRACTS = Path(__file__).with_name("contracts")
_EVM = "cancun"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract."""

    init: bytes
    """What a transaction that creates it carries, constructor arguments not included."""
    runtime: bytes
    """The code that is left, for contracts without constructor."""
    blueprint: bytes
    """What creates an ERC-5202 blueprint of it."""
    abi: tuple[Mapping[str, object], ...]
    """Without the overloads that are found by selector."""


Artifacts = Mapping[str, Artifact]


def source_of(name: str, generation: Generation) -> str:
    """The source of this contract in this generation."""
    lines: list[str] = []
    keep = True
    for line in (_CONTRACTS / f"{name}.vy").read_text(encoding="utf-8").splitlines():
        marker = line.strip().removeprefix("#: ") if line.strip().startswith("#: ") else ""
        if marker:
            keep = marker == "end" or marker in generation.features
        elif keep:
            lines.append(line)
    return "\n".join(lines) + "\n"


@cache
def artifacts(generation: Generation = Generation.AUDITED) -> Artifacts:
    """By name: dstack_app, dstack_kms, erc1967_proxy, multicall3. From the cache, or compiled now (about 4 s)."""
    path = _cache_directory() / f"{_fingerprint(generation)}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return {name: _from_json(item) for name, item in json.loads(path.read_text("utf-8")).items()}
    compiled = compile_all(generation)
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({name: _to_json(item) for name, item in compiled.items()}), "utf-8")
        part.replace(path)
    return compiled


def _cache_directory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    return Path(root) / "twinproof" / "devnet-contracts"


def _fingerprint(generation: Generation) -> str:
    digest = hashlib.sha256(f"{version('vyper')} {_EVM} {generation} {LAYOUT}".encode())
    for path in (*sorted(_CONTRACTS.glob("*.vy")), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _to_json(item: Artifact) -> dict[str, object]:
    return {
        "init": item.init.hex(),
        "runtime": item.runtime.hex(),
        "blueprint": item.blueprint.hex(),
        "abi": item.abi,
    }


def _from_json(item: Mapping[str, object]) -> Artifact:
    init, runtime, blueprint = (bytes.fromhex(str(item[name])) for name in ("init", "runtime", "blueprint"))
    abi = item["abi"]
    if not isinstance(abi, list):
        raise TypeError("abi")
    return Artifact(init, runtime, blueprint, tuple(abi))


def compile_all(generation: Generation) -> Artifacts:
    """Without the cache."""
    with tempfile.TemporaryDirectory(prefix="twinproof-contracts-") as directory:
        for path in _CONTRACTS.glob("*.vy"):
            (Path(directory) / path.name).write_text(source_of(path.stem, generation), "utf-8")
        return {name: _compile(Path(directory), name) for name in LAYOUT}


def _compile(directory: Path, name: str) -> Artifact:
    from vyper.compiler.input_bundle import FilesystemInputBundle, JSONInput  # noqa: PLC0415  (slow, seldom needed)
    from vyper.compiler.output import build_abi_output  # noqa: PLC0415  (as above)
    from vyper.compiler.phases import CompilerData  # noqa: PLC0415  (as above)
    from vyper.compiler.settings import Settings  # noqa: PLC0415  (as above)

    bundle = FilesystemInputBundle([directory])
    path = Path(f"{name}.vy")
    settings = Settings(evm_version=_EVM)
    source = bundle.load_file(path)
    variables = CompilerData(source, bundle, settings=settings).storage_layout.get("storage_layout", {})
    layout = JSONInput(-1, path, path, "", _moved(variables, LAYOUT[name]))
    data = CompilerData(source, bundle, settings=settings, storage_layout=layout, no_bytecode_metadata=True)
    seen: set[int] = set()  # the two trees share nodes
    for tree in (data.ir_nodes, data.ir_runtime):
        _solidity_order(tree, seen)
    return Artifact(data.bytecode, data.bytecode_runtime, data.blueprint_bytecode, tuple(build_abi_output(data)))


def _moved(variables: Mapping[str, Mapping[str, object]], layout: Layout) -> dict[str, object]:
    """The compiler's own layout, with slots of ours."""
    moved: dict[str, object] = {}
    for name, variable in variables.items():
        place = layout[name]
        moved[name] = _moved(variable, place) if isinstance(place, dict) else {**variable, "slot": place}  # type: ignore[arg-type]
    return moved


class _Node:
    """What of the compiler's intermediate representation is used here."""

    value: object
    args: list[_Node]


def _solidity_order(node: _Node, seen: set[int]) -> None:
    """sha3_64 hashes its two arguments in their order: the mapping's slot and the key, until they change places."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.value == "sha3_64":
        node.args.reverse()
    children: Iterable[_Node] = node.args
    for child in children:
        _solidity_order(child, seen)
