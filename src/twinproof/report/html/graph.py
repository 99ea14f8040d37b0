"""Where the nodes and links of the chain of trust stand in its drawing: a spine, and what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.report.trust_links import LinkState, link_states
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["HEIGHT", "WIDTH", "Drawing", "Edge", "Node", "draw"]

WIDTH, HEIGHT = 360, 620
_PITCH, _BOX = 68, 42
_LEFT, _SPINE_WIDTH = 4, 178
_RIGHT, _SIDE_WIDTH = 216, 140


@dataclass(frozen=True, slots=True)
class Node:
    """A box: its corner, size, name, and what it is here. `at` is in user units of the drawing."""

    id: str
    x: int
    y: int
    width: int
    height: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from one box to another, with a mark in its middle."""

    state: LinkState
    points: tuple[tuple[int, int], ...]
    mark: tuple[int, int]

    @property
    def path(self) -> str:
        return " ".join(f"{'L' if index else 'M'}{x} {y}" for index, (x, y) in enumerate(self.points))


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that one drawing shows."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


_SPINE = ("root", "pck", "qe", "quote", "registers", "events", "compose", "containers", "version")
_BESIDE = {"documents": (1, 2), "question": (3, 3), "image": (4, 4), "kms": (5, 5), "base": (6, 6)}
NAMES = {
    "root": "Trust root",
    "pck": "Machine (PCK key)",
    "qe": "Quoting enclave",
    "quote": "Quote",
    "registers": "Registers",
    "events": "Boot events",
    "compose": "Compose file",
    "containers": "Container images",
    "version": "Version",
    "documents": "Intel's documents",
    "question": "Your question",
    "image": "OS image",
    "kms": "Key service",
    "base": "Base: on-chain log",
}


def draw(verdict: Verdict) -> Drawing:
    """The drawing of one instance's chain of trust."""
    values = _values(verdict)
    nodes = {
        name: Node(name, _LEFT, row * _PITCH + 8, _SPINE_WIDTH, _BOX, NAMES[name], values.get(name, ""))
        for row, name in enumerate(_SPINE)
    }
    for name, (first, last) in _BESIDE.items():
        top, height = first * _PITCH + 8, (last - first) * _PITCH + _BOX
        nodes[name] = Node(name, _RIGHT, top, _SIDE_WIDTH, height, NAMES[name], values.get(name, ""))
    edges = tuple(_edge(state, nodes[state.link.start], nodes[state.link.end]) for state in link_states(verdict))
    return Drawing(tuple(nodes.values()), edges)


def _edge(state: LinkState, start: Node, end: Node) -> Edge:
    if start.x == end.x:  # down the spine
        x = start.x + start.width // 2
        top, bottom = start.y + start.height, end.y
        return Edge(state, ((x, top), (x, bottom)), (x, (top + bottom) // 2))
    if start.id == "root":  # around the corner, down onto what stands beside
        x, y = end.x + end.width // 2, start.y + start.height // 2
        return Edge(state, ((start.x + start.width, y), (x, y), (x, end.y)), (x, (y + end.y) // 2))
    y = (end if start.x > end.x else start).y + _BOX // 2
    left, right = _LEFT + _SPINE_WIDTH, _RIGHT
    points = ((right, y), (left, y)) if start.x > end.x else ((left, y), (right, y))
    return Edge(state, points, ((left + right) // 2, y))


def _values(verdict: Verdict) -> dict[str, str]:
    claims = verdict.claims
    found = {"root": shown(verdict.root.name, 26)}
    if platform := claims.platform:
        found["pck"] = f"machine {_short(platform.device_id)}"
        found["documents"] = platform.tcb_status
        found["qe"] = f"Intel {platform.tee}"
        found["quote"] = f"version {platform.quote_version}, {platform.tee}"
    if registers := claims.registers:
        found["registers"] = f"image {_short(registers.image_digest)}"
    if software := claims.software:
        found["events"] = f"instance {_short(software.instance_id) or 'without an id'}"
        found["compose"] = _short(software.compose_hash)
        found["image"] = _short(software.os_image_hash or b"")
        found["kms"] = shown(f"{software.key_provider_name} {software.key_provider_id[-12:]}", 20)
    if statement := claims.statement:
        found["version"] = shown(statement.version, 24)
        found["question"] = f"nonce {statement.eat_nonce.hex()[:8]}"
    return found


def _short(value: bytes) -> str:
    return value.hex()[:12]
