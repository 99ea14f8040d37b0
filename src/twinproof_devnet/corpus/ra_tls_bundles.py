"""Evidence bundles whose quote lies in an RA-TLS certificate, with one defect each. Kind `bundle`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec

from twinproof_devnet.boot import Boot, KeyProvider
from twinproof_devnet.certificate import new_key
from twinproof_devnet.corpus.case import Case, Kind
from twinproof_devnet.corpus.rig import Json, Rig
from twinproof_devnet.envelope import encode_v0, stripped
from twinproof_devnet.ra_tls import LeafRequest, app_ca, issue_leaf, report_data

__all__ = ["ra_tls_cases"]

_URL = "https://prod9.example"
_KMS = KeyProvider("kms", "3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04" + "22" * 64)
Attached = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class _Server:
    """A VM behind TLS, and the key of its certificate."""

    rig: Rig
    boot: Boot = field(default_factory=lambda: Boot(key_provider=_KMS))
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def quote(self, data: bytes | None = None) -> bytes:
        """Over the certificate's key, or over `data`."""
        return self.rig.host.quote(self.boot.measurements, report_data(self.key) if data is None else data)

    def envelope(self, *, said: bytes | None = None) -> bytes:
        """A V0 attestation; `said` replaces the report data that it repeats."""
        events = stripped(self.boot.shown_events())
        return encode_v0(self.quote(), events, report_data(self.key) if said is None else said, self.boot.vm_config)

    def pair(self, *, packed: bool = False) -> Attached:
        """The older form: quote and event log."""
        log = self.boot.event_log().encode()
        return ("1", self.quote()), ("2", b"ELGZv1" + gzip.compress(log, mtime=0) if packed else log)

    def certificate(self, *attached: tuple[str, bytes], key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        request = LeafRequest(key or self.key, "app", self.rig.at - 60, self.rig.at + 86_400, attached=(*attached,))
        return issue_leaf(request, app_ca(None, new_key(), self.rig.at)).der

    def bundle(self, certificate: bytes, **changes: object) -> Json:
        """As when the certificate of the connection is all that there is."""
        members: Json = {
            "schema": "twinproof/evidence/v1",
            "source": _URL,
            "origin": "dstack/ra-tls",
            "fetched_at": self.rig.at,
            "ra_tls_certificate": certificate.hex(),
            "tls_certificate": certificate.hex(),
            "app_compose": self.boot.app_compose,
            "collateral": self.rig.collateral(),
        }
        return members | changes

    def case(self, name: str, description: str, bundle: Json, stage: str = "") -> Case:
        files = {"bundle.json": json.dumps(bundle, indent=1).encode(), "root.der": self.rig.pki.root.der}
        prefix = f"{stage.rpartition('.')[2]}." if stage else ""
        status = "" if stage else "UpToDate"
        return Case(f"bundle.{prefix}{name}", Kind.BUNDLE, description, files, self.rig.at, stage, status)


def ra_tls_cases(rig: Rig) -> Iterator[Case]:
    """Accepted certificates in every form, and one defect for each check that reads them."""
    server = _Server(rig)
    whole = (("8", server.envelope()), ("3", server.boot.effective_app_id), ("9", server.boot.app_info()))
    forms: dict[str, tuple[str, Attached]] = {
        "ra-tls": ("a certificate with a versioned attestation, app id and app info", whole),
        "ra-tls-bare": ("a certificate with a versioned attestation and nothing else", whole[:1]),
        "ra-tls-older": ("a certificate with quote and event log", server.pair()),
        "ra-tls-gzip": ("a certificate with quote and compressed event log", server.pair(packed=True)),
    }
    for name, (description, attached) in forms.items():
        yield server.case(f"accept.{name}", description, server.bundle(server.certificate(*attached)))
    yield from _bindings(server)
    yield from _carriers(server)
    yield from _claims(server)


def _bindings(server: _Server) -> Iterator[Case]:
    stage = "evidence.report_data"
    copied = server.certificate(("8", server.envelope()), key=new_key())
    yield server.case("ra-tls-key", "a genuine quote in a certificate over another key", server.bundle(copied), stage)
    lying = server.certificate(("8", server.envelope(said=bytes(64))))
    description = "an envelope that repeats other report data than the quote signs"
    yield server.case("ra-tls-envelope", description, server.bundle(lying), stage)
    honest = server.certificate(("8", server.envelope()))
    seen = server.certificate(key=new_key()).hex()
    description = "the connection's certificate is another than the one that carries the quote"
    yield server.case("ra-tls", description, server.bundle(honest, tls_certificate=seen), "evidence.tls_key")


def _carriers(server: _Server) -> Iterator[Case]:
    def carried(name: str, description: str, *attached: tuple[str, bytes]) -> Case:
        return server.case(
            f"ra-tls-{name}", description, server.bundle(server.certificate(*attached)), "evidence.carrier"
        )

    quote, log = server.pair()
    yield carried("nothing", "a certificate without a quote")
    yield carried("no-log", "a quote without its event log", quote)
    yield carried("both", "the same evidence in both forms", quote, log, ("8", server.envelope()))
    bomb = b"ELGZv1" + gzip.compress(b"[" + b" " * (1 << 24) + b"]", mtime=0)
    yield carried("bomb", "an event log that unpacks to 16 MiB", quote, ("2", bomb))
    yield carried("tail", "bytes after the compressed event log", quote, ("2", server.pair(packed=True)[1][1] + b"x"))
    yield carried("app-info", "app info that is no MessagePack", quote, log, ("9", b"\xc1"))
    der = server.certificate(*server.pair(), ("3", bytes(20)), ("5", bytes(20)))
    doubled = der.replace(_oid("5"), _oid("3"))
    yield server.case("ra-tls-twice", "one extension twice", server.bundle(doubled), "evidence.carrier")


def _oid(last: str) -> bytes:
    """The DER of an object identifier of dstack's arc, 1.3.6.1.4.1.62397.1."""
    return bytes.fromhex("060a2b0601040183e73d01") + bytes([int(last)])


def _claims(server: _Server) -> Iterator[Case]:
    stage = "evidence.ra_tls_claims"
    other = replace(server.boot, app_id=bytes(20))
    claims = {"app-id": ("3", bytes(20)), "app-info": ("9", other.app_info())}
    for name, claim in claims.items():
        certificate = server.certificate(("8", server.envelope()), claim)
        description = f"the certificate's {name.replace('-', ' ')} is another app's than the one that was measured"
        yield server.case(name, description, server.bundle(certificate), stage)
