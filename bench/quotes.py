"""One quote: on a platform that was seen before, and on one that never was, beside dcap-qvl."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from bench import javascript
from bench.results import Bar, Section
from bench.rounds import Turn, in_turns, ratio
from bench.simulated import AT, Platform
from twinproof.dcap import shapes, timestamps
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, appraise
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.tdx.quote import parse_quote
from twinproof.verifier import Verifier

__all__ = ["appraised", "cold", "ecdsa_turn", "measure", "quote_turn"]

KNOWN, COLD, SLOW = 200, 40, 8
ECDSA_NAME = "one ECDSA P-256 verification with key load (`cryptography`)"
METHOD = """\
Devnet platforms, TDX quotes of version 4. Every quote is verified once: it has its own report data and a signature that
nobody has seen. \"Known\" is the same attestation key, PCK chain, quoting enclave report and collateral as in the round
before; \"cold\" starts with an empty memory for every quote (what depends on the trust root alone included). All twenty
checks of the `dcap.` plan are judged every time. CPU time; the collateral object is made outside, for everyone."""


def ecdsa_turn(platform: Platform) -> Turn:
    """The unit of the bars: load the attestation key of a quote, verify the quote's signature, nothing else."""

    def prepare() -> Sequence[object]:
        quotes = [parse_quote(quote) for quote in platform.quotes(KNOWN)]
        return [
            (
                b"\x04" + quote.attestation_key,
                encode_dss_signature(
                    int.from_bytes(quote.signature[:32], "big"), int.from_bytes(quote.signature[32:], "big")
                ),
                quote.signed,
            )
            for quote in quotes
        ]

    def run(inputs: Sequence[object]) -> None:
        for point, signature, signed in cast("Sequence[tuple[bytes, bytes, bytes]]", inputs):
            EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point).verify(signature, signed, ECDSA(SHA256()))

    return Turn(ECDSA_NAME, KNOWN, prepare, run)


def quote_turn(name: str, quotes: Callable[[], Sequence[object]], number: int, verify: Callable[[bytes], None]) -> Turn:
    def run(inputs: Sequence[object]) -> None:
        for quote in cast("Sequence[bytes]", inputs):
            verify(quote)

    return Turn(name, number, quotes, run)


def appraised(collateral: Collateral, root: TrustRoot, at: int, memo: Memo) -> Callable[[bytes], None]:
    """All checks of the `dcap.` plan, written down."""

    def verify(quote: bytes) -> None:
        ledger = Ledger(PLAN)
        appraisal = appraise(quote, collateral, at=at, root=root, ledger=ledger, memo=memo)
        if appraisal is None or len(ledger.checks()) != len(PLAN):
            raise AssertionError("a good quote was refused")

    return verify


def cold(collateral: Collateral, root: TrustRoot, at: int) -> Callable[[bytes], None]:
    """The same with an empty memory, and without what is remembered of the trust root and of dates."""

    def verify(quote: bytes) -> None:
        shapes.anchor_of.cache_clear()
        timestamps.unix_seconds.cache_clear()
        appraised(collateral, root, at, Memo())(quote)

    return verify


def measure(rounds: int) -> list[Section]:
    platform = Platform.create()
    root, collateral = platform.root, platform.collateral()
    verifier = Verifier(roots=(root,))
    qvl = import_module("dcap_qvl")
    theirs = qvl.QuoteCollateralV3.from_json(platform.collateral_text)

    def rust(quote: bytes) -> None:
        qvl.verify_with_root_ca(quote, theirs, platform.root_der, AT)

    def whole_plan(quote: bytes) -> None:
        verifier.verify_quote(quote, collateral, at=AT)

    def many() -> Sequence[object]:
        return platform.quotes(KNOWN)

    def few() -> Sequence[object]:
        return platform.quotes(COLD)

    turns = [
        ecdsa_turn(platform),
        quote_turn("twinproof, known platform", many, KNOWN, appraised(collateral, root, AT, Memo())),
        quote_turn("twinproof, known platform, as a Verdict of the whole plan", many, KNOWN, whole_plan),
        quote_turn("twinproof, cold", few, COLD, cold(collateral, root, AT)),
        quote_turn("dcap-qvl (Rust, from Python)", few, COLD, rust),
    ]
    members = json.loads(platform.collateral_text)
    with javascript.javascript(members, root=platform.root_der, at=AT) as node:
        if node is not None:
            ask = cast("Callable[[Sequence[object]], float]", node.seconds)
            turns.append(Turn(f"{javascript.NAME} (JavaScript)", SLOW, lambda: platform.quotes(SLOW), ask))
        figures = in_turns(turns, rounds)
    ecdsa, known, _, from_nothing, peer = figures[:5]
    return [
        Section(
            "One quote",
            METHOD,
            [figure.to_json("µs") for figure in figures],
            [
                Bar("a fresh quote of a known platform, against one ECDSA verification", ratio(known, ecdsa), 1.5),
                Bar("the same, so many times faster than dcap-qvl", ratio(peer, known), 5, at_least=True),
                Bar("a quote with nothing remembered, against dcap-qvl", ratio(from_nothing, peer), 1.2),
            ],
            [
                (
                    "Cold, nine signatures are checked. Nine times the first row are"
                    f" {9 * ratio(ecdsa, peer):.2f} times all that dcap-qvl does, so the bar for a cold quote leaves"
                    " next to nothing for reading four certificates, two CRLs and two JSON documents, which are Python"
                    " objects here and native there."
                ),
            ],
        )
    ]
