"""Merkle-Patricia proofs: the library's proofs hold, and nothing else does."""

from __future__ import annotations

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st

from small_trie import library_proof, library_trie
from twinproof.chain.trie import EMPTY_ROOT, lookup
from twinproof.chain.trie_builder import root_and_proof
from twinproof.errors import EvidenceError, Forged, Malformed
from twinproof.keccak import keccak256

ENTRIES = st.dictionaries(
    st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=40), min_size=1, max_size=40
)
LONG = {keccak256(bytes([n])): bytes([n + 1]) * 3 for n in range(60)}


@given(ENTRIES, st.binary(min_size=4, max_size=4))
@settings(deadline=None)
def test_the_library_s_proofs_of_presence_and_absence_hold(entries: dict[bytes, bytes], other: bytes) -> None:
    made = library_trie(entries)
    for key in [*entries, other]:
        assert lookup(made.root_hash, key, library_proof(made, key), "proof") == entries.get(key)


@given(ENTRIES)
@settings(deadline=None)
def test_our_builder_makes_the_library_s_root_and_proofs(entries: dict[bytes, bytes]) -> None:
    made = library_trie(entries)
    for key in entries:
        root, nodes = root_and_proof(entries, key)
        assert root == made.root_hash
        assert list(nodes) == library_proof(made, key)


@given(st.data())
@settings(deadline=None)
def test_a_proof_with_any_byte_changed_never_holds(data: st.DataObject) -> None:
    made = library_trie(LONG)
    key = data.draw(st.sampled_from(sorted(LONG)))
    nodes = library_proof(made, key)
    which = data.draw(st.integers(0, len(nodes) - 1))
    at = data.draw(st.integers(0, len(nodes[which]) - 1))
    changed = bytearray(nodes[which])
    changed[at] ^= data.draw(st.integers(1, 255))
    nodes[which] = bytes(changed)
    with pytest.raises(EvidenceError):
        lookup(made.root_hash, key, nodes, "proof")


def test_a_proof_for_another_key_proves_nothing_here() -> None:
    made = library_trie(LONG)
    first, second = min(LONG), max(LONG)
    with pytest.raises(EvidenceError):
        lookup(made.root_hash, second, library_proof(made, first), "proof")


def test_a_proof_cut_short_is_no_proof_of_absence() -> None:
    made = library_trie(LONG)
    key = min(LONG)
    nodes = library_proof(made, key)
    for count in range(len(nodes)):
        with pytest.raises(Forged, match="ends before the way does"):
            lookup(made.root_hash, key, nodes[:count], "proof")


def test_surplus_nodes_are_refused() -> None:
    made = library_trie(LONG)
    key = min(LONG)
    nodes = library_proof(made, key)
    for surplus in ([*nodes, nodes[-1]], [*nodes, b"\x80"]):
        with pytest.raises(Malformed, match="not on the way"):
            lookup(made.root_hash, key, surplus, "proof")


@pytest.mark.parametrize("nodes", [[], [b"\x80"]], ids=["no node", "the empty node"])
def test_an_empty_trie_holds_nothing(nodes: list[bytes]) -> None:
    assert lookup(EMPTY_ROOT, b"\1" * 32, nodes, "proof") is None
    assert keccak256(b"\x80") == EMPTY_ROOT


def test_an_empty_trie_has_no_other_nodes() -> None:
    with pytest.raises(Malformed, match="empty trie"):
        lookup(EMPTY_ROOT, b"\1" * 32, [b"\xc0"], "proof")


DEEP_LEAF = [bytes.fromhex("20"), b"x" * 32]
BRANCH = [b""] * 17


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ([b"\x40", b"value"], "no hex-prefix"),
        ([b"\x01", b"value"], "no hex-prefix"),
        ([b"", b"value"], "no hex-prefix"),
        ([b"\x00", b"\1" * 32], "extension by nothing"),
        ([b"\x20" + b"\1" * 4, b""], "leaf without a value"),
        ([b"\x20" + b"\1" * 4, [b"value"]], "list instead of a byte string"),
        ([b"\x00\x01", b""], "leads nowhere"),
        ([b"\x00\x02", b""], "leads nowhere"),
        ([b"\x00\x01", b"\1" * 31], "reference of 31 bytes"),
        ([b"\x00\x01", DEEP_LEAF], "long node inside its parent"),
        ([b"\x00\x01", [b"\x00\x01", [b"\x20\x01\x01", b"v"]]], "leads to no branch"),
        ([b"value"], "node of 1 items"),
        ([b""] * 16, "node of 16 items"),
        (b"value", "no list"),
    ],
)
def test_a_node_that_no_builder_writes_is_refused(node: object, reason: str) -> None:
    raw = bytes(rlp.encode(node))
    with pytest.raises(Malformed, match=reason):
        lookup(keccak256(raw), b"\1" * 4, [raw], "proof")


@pytest.mark.parametrize("depth", [10, 400, 5000])
def test_a_node_nested_deeply_is_refused_before_anything_runs_out_of_stack(depth: int) -> None:
    raw = b"\x80"
    for _ in range(depth):
        size = len(raw).to_bytes(3, "big").lstrip(b"\0")
        raw = (bytes([0xC0 + len(raw)]) if len(raw) < 56 else bytes([0xF7 + len(size)]) + size) + raw
    with pytest.raises(Malformed, match=r"nested too deeply|not RLP"):
        lookup(keccak256(raw), b"\1" * 4, [raw], "proof")


def test_a_short_node_may_not_be_named_by_its_hash() -> None:
    leaf = bytes(rlp.encode([b"\x20\x11", b"v"]))
    branch = [*BRANCH]
    branch[0] = keccak256(leaf)
    root = bytes(rlp.encode(branch))
    with pytest.raises(Malformed, match="should stand inside its parent"):
        lookup(keccak256(root), b"\x01\x11", [root, leaf], "proof")


def test_more_nodes_than_a_key_has_places_are_refused() -> None:
    with pytest.raises(Malformed, match="too many nodes"):
        lookup(b"\1" * 32, b"\1" * 32, [b"\x80"] * 66, "proof")
