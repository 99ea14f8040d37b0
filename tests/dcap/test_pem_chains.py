"""PEM chains: certificate blocks and nothing else, so that nobody reads another chain out of the same text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorded import index, quote_bytes
from simulated import host, pki
from twinproof.dcap.certificates import load_certificate
from twinproof.dcap.pem import MAX_PEM_BYTES, pem_certificates
from twinproof.errors import Malformed, Untrusted
from twinproof.tdx.quote import parse_quote

CHAIN = host().pck_chain
DERS = (host().pck.der, pki().platform_ca.der, pki().root.der)
NO_CHAIN = {
    "sgx-v3-00906EA10000-2a49ce72": "corrupted at its origin: a name",
    "sgx-v3-00906EA10000-4e3f9fa7": "corrupted at its origin: a name",
    "sgx-v3-00906EA10000-f4f27469": "corrupted at its origin: the root's key",
    "tdx-v4-20A06F000000-6f8e92b8": "corrupted at its origin: the CA",
    "sgx-v3-00906EA10000-6dc7792a": "leaf, root, CA: in another order",
    "sgx-v3-00906EA10000-7d63357d": "leaf, root, CA: in another order",
    "tdx-v4-none-aa2cafad": "three DER certificates from the root down",
}
PPID_SIZES = {1: 34, 3: 404}


@pytest.mark.parametrize(
    "text",
    [
        CHAIN,
        CHAIN.rstrip(b"\x00"),
        CHAIN.rstrip(b"\x00\n"),
        CHAIN.rstrip(b"\x00").replace(b"\n", b"\r\n"),
        CHAIN.replace(b"-----BEGIN", b"\n\n-----BEGIN"),
    ],
    ids=["as in quotes", "without NUL", "without the last line end", "CRLF", "empty lines"],
)
def test_the_usual_spellings_are_the_same_chain(text: bytes) -> None:
    assert pem_certificates(text, "chain") == DERS


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x00",
        b"\n",
        CHAIN + b"\x00",
        CHAIN.rstrip(b"\x00") + b"trailing",
        b"leading\n" + CHAIN,
        CHAIN.replace(b"-----END CERTIFICATE-----\n-----BEGIN", b"-----END CERTIFICATE-----\ncomment\n-----BEGIN"),
        CHAIN.replace(b"-----BEGIN CERTIFICATE-----", b"-----BEGIN CERTIFICATE----", 1),
        CHAIN.replace(b"-----END CERTIFICATE-----", b"-----END CERTIFICATE----", 1),
        CHAIN.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
        CHAIN.replace(b"MII", b"M I", 1),
        CHAIN.replace(b"MII", b"M=I", 1),
        CHAIN.replace(b"MII", b"M-I", 1),
        host().pck.der,
        CHAIN.rstrip(b"\x00") * 2,
        b"-----END CERTIFICATE-----\n" * 3,
    ],
    ids=range(16),
)
def test_any_other_text_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        pem_certificates(text, "chain")


def test_bytes_have_one_text() -> None:
    """The bits of the last character beyond the last byte are zero: RFC 4648, 3.5."""
    pem = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
    assert pem_certificates(pem, "chain") == (b"0",)
    with pytest.raises(Malformed, match="no bits beyond the last byte"):
        pem_certificates(pem.replace(b"MA==", b"MB=="), "chain")


def test_a_chain_of_many_kilobytes_is_not_read() -> None:
    with pytest.raises(Malformed, match="too long"):
        pem_certificates(b"\n" * (MAX_PEM_BYTES + 1), "chain")


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_spoiled_chain_is_read_or_refused_with_a_typed_error(edits: list[tuple[int, int]]) -> None:
    spoiled = bytearray(CHAIN)
    for at, value in edits:
        spoiled[at % len(spoiled)] = value
    try:
        for der in pem_certificates(bytes(spoiled), "chain"):
            load_certificate(der, "certificate")
    except (Malformed, Untrusted):
        return


@pytest.mark.parametrize("der", DERS, ids=["PCK", "CA", "root"])
def test_a_certificate_with_any_byte_spoiled_is_read_or_refused_with_a_typed_error(der: bytes) -> None:
    for at in range(len(der)):
        for bit in (0x01, 0x80):
            spoiled = bytearray(der)
            spoiled[at] ^= bit
            try:
                assert load_certificate(bytes(spoiled), "certificate").der == bytes(spoiled)
            except (Malformed, Untrusted):
                continue


@pytest.mark.vectors
@pytest.mark.parametrize("listed", index()["quotes"], ids=lambda listed: listed["id"])
def test_the_chains_of_real_quotes_are_read(listed: dict[str, str]) -> None:
    parsed = parse_quote(quote_bytes(listed["id"]))
    if parsed.certification_type != 5:
        assert len(parsed.certification_data) == PPID_SIZES[parsed.certification_type]
        return
    try:
        chain = [
            load_certificate(der, "certificate") for der in pem_certificates(parsed.certification_data, "PCK chain")
        ]
    except (Malformed, Untrusted):
        chain = []
    linked = [c.issuer for c in chain] == [c.subject for c in (*chain[1:], *chain[-1:])]
    assert (len(chain) == 3 and linked) == (listed["id"] not in NO_CHAIN)
