"""Quotes that a devnet machine signs as they are: every field that a verifier judges, at other values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from random import Random

from differential.edits import edited
from differential.harness import Case
from differential.world import REPORT_DATA, TD, Devnet, devnet, key
from twinproof_devnet.host import QuotingEnclave, Tampering, TdMeasurements, TdxModule, raw_signature
from twinproof_devnet.quote import CertificationData, Header

__all__ = ["signed_quote_cases"]

BODIES = ((4, "TD1.0"), (5, "TD1.0"), (5, "TD1.5"), (5, "TD1.5ex"))
XFAM = 0x000602E7


def _attributes(rng: Random) -> TdMeasurements:
    bits = 1 << 28
    for _ in range(rng.choice((1, 1, 2, 3))):
        bits ^= 1 << rng.randrange(64)
    return replace(TD, td_attributes=bits)


def _features(rng: Random) -> TdMeasurements:
    return replace(TD, xfam=XFAM ^ 1 << rng.randrange(64))


def _service_td(rng: Random) -> TdMeasurements:
    bits = 1 << 28 | rng.choice((0, 1 << 17))
    return replace(TD, mr_service_td=rng.choice((bytes(48), b"\x01" * 48)), td_attributes=bits)


def _svn(rng: Random) -> bytes:
    head = bytes([rng.choice((0, 1, 2, 3, 4, 5, 6, 255)), rng.choice((0, 0, 1, 1, 2, 3, 10, 255))])
    rest = bytearray(bytes([rng.choice((0, 2, 3, 4, 5, 255))]) + bytes(13))
    if rng.random() < 0.2:
        rest[rng.randrange(1, 14)] = rng.choice((1, 255))
    return head + bytes(rest)


def _module(rng: Random) -> TdxModule:
    module = TdxModule(tee_tcb_svn=_svn(rng), tee_tcb_svn2=_svn(rng))
    if rng.random() < 0.1:
        return replace(module, mrsignerseam=rng.randbytes(48))
    if rng.random() < 0.1:
        return replace(module, seam_attributes=(1 << rng.randrange(64)).to_bytes(8, "little"))
    return module


def _enclave(rng: Random, true: QuotingEnclave) -> QuotingEnclave:
    changes: tuple[Callable[[], QuotingEnclave], ...] = (
        lambda: replace(true, isv_svn=rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 65535))),
        lambda: replace(true, isv_svn=rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 65535))),
        lambda: replace(true, isv_prod_id=rng.randrange(4)),
        lambda: replace(true, attributes=true.attributes ^ 1 << rng.randrange(64)),
        lambda: replace(true, misc_select=1 << rng.randrange(32)),
        lambda: replace(true, mrsigner=rng.randbytes(32)),
        lambda: replace(true, mrenclave=rng.randbytes(32)),
        lambda: replace(true, auth_data=rng.randbytes(rng.choice((0, 1, 16, 31, 32, 32, 33, 64, 1000)))),
    )
    return rng.choice(changes)()


def _header(rng: Random) -> Callable[[Header], Header]:
    changes: tuple[Callable[[Header], Header], ...] = (
        lambda header: replace(header, reserved=rng.randbytes(4)),
        lambda header: replace(header, user_data=rng.randbytes(20)),
        lambda header: replace(header, qe_vendor_id=rng.randbytes(16)),
        lambda header: replace(header, attestation_key_type=rng.choice((0, 1, 3, 255, 65535))),
        lambda header: replace(header, tee_type=rng.choice((0, 1, 0x80, 0x82, 0x8100, 1 << 31))),
    )
    return rng.choice(changes)


def _tampering(rng: Random) -> Tampering:
    changes: tuple[Callable[[], Tampering], ...] = (
        lambda: Tampering(header=_header(rng)),
        lambda: Tampering(quote_signed_by=key(77)),
        lambda: Tampering(qe_report_signed_by=key(77)),
        lambda: Tampering(qe_report_data=rng.randbytes(64)),
        lambda: Tampering(attestation_key=rng.choice((bytes(64), b"\xff" * 64, rng.randbytes(64)))),
        lambda: Tampering(outer_kind=rng.randrange(9)),
        lambda: Tampering(body_type=rng.randrange(6)),
        lambda: Tampering(body_size=rng.choice((0, 384, 584, 648, 885, 583, 585))),
        lambda: Tampering(certification=CertificationData(rng.randrange(9), rng.randbytes(rng.choice((0, 36, 404))))),
        lambda: Tampering(signed=lambda data: edited(rng, data, 0, len(data))[1]),
    )
    return rng.choice(changes)()


def _other(before: tuple[object, ...], after: tuple[object, ...]) -> str:
    """The members that differ, and their values."""
    said = []
    for old, new in zip(before, after, strict=True):
        for item in fields(new) if is_dataclass(new) and type(old) is type(new) else ():
            value = getattr(new, item.name)
            if value != getattr(old, item.name):
                inner = _other((getattr(old, item.name),), (value,))
                said.append(f"{item.name} {inner or (value.hex() if isinstance(value, bytes) else value)}")
    return ", ".join(said)


def _quote(rng: Random, world: Devnet) -> tuple[str, bytes]:
    version, body = rng.choice(BODIES)
    host, td, tampering = world.host, TD, Tampering()
    for _ in range(rng.choice((1, 1, 1, 2))):
        kind = rng.choice(("attributes", "features", "service TD", "module", "module", "enclave", "enclave", "lie"))
        if kind in {"attributes", "features", "service TD"}:
            td = {"attributes": _attributes, "features": _features, "service TD": _service_td}[kind](rng)
        elif kind == "module":
            host = replace(host, module=_module(rng))
        elif kind == "enclave":
            host = replace(host, td_qe=_enclave(rng, world.host.td_qe))
        else:
            tampering = _tampering(rng)
    quote = host.quote(td, REPORT_DATA, version, body=body, tampering=tampering)
    return f"version {version} {body}: {_other((TD, world.host, Tampering()), (td, host, tampering))}", quote


def _sgx_quote(rng: Random, world: Devnet) -> tuple[str, bytes]:
    host, tampering = world.host, Tampering()
    enclave = host.enclave(REPORT_DATA)
    kind = rng.choice(("attributes", "enclave", "enclave", "lie", "version"))
    if kind == "attributes":
        enclave = replace(
            enclave, attributes=enclave.attributes ^ 1 << rng.randrange(64), xfrm=rng.choice((3, 0xE7, 0))
        )
    elif kind == "enclave":
        host = replace(host, sgx_qe=_enclave(rng, host.sgx_qe))
    elif kind == "lie":
        tampering = _tampering(rng)
    version = rng.choice((3, 4, 5)) if kind == "version" else 3
    quote = host.sgx_quote(enclave, version, tampering=tampering)
    return (
        f"SGX version {version}: {_other((world.host, Tampering()), (host, tampering))}, {enclave.attributes:#x}",
        quote,
    )


def _tail(rng: Random, world: Devnet) -> tuple[str, bytes]:
    """The second half of the QE's report data, which other verifiers do not look at."""
    honest = world.quote()
    start = honest.index(world.host.td_qe.mrsigner) - 128
    report = honest[start : start + 384]
    tail = rng.choice((bytes(32), b"\x01" + bytes(31), bytes(31) + b"\x01", rng.randbytes(32)))
    changed = report[:352] + tail
    signature = raw_signature(world.host.pck.key, changed)
    return f"QE report data ends in {tail.hex()}", honest[:start] + changed + signature + honest[start + 448 :]


def signed_quote_cases(rng: Random, count: int) -> Iterator[Case]:
    world = devnet()
    for _ in range(count):
        kind = rng.choices(("TDX", "SGX", "tail"), (12, 4, 1))[0]
        if kind == "SGX":
            what, quote = _sgx_quote(rng, world)
            yield world.sgx_case(what, quote)
        else:
            what, quote = _quote(rng, world) if kind == "TDX" else _tail(rng, world)
            yield world.case(what, quote)
