"""`[chain]` of twinproof.toml and `--chain`: which endpoints, which chain, how many have to agree, which KMS."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, NamedTuple

from twinproof.errors import Malformed, UsageError
from twinproof.sources.child_environment import keep_from_children
from twinproof.urls import split_url
from twinproof.wire import Fields, shown, unhex

if TYPE_CHECKING:
    from twinproof.chain.trusted import TrustedChain
    from twinproof.sources.http import HttpClient
    from twinproof.sources.rpc_quorum import Quorum

__all__ = ["ChainSettings", "address_of", "hash_of", "read_chain_settings", "with_flags"]

_KEYS = {"rpc", "kms", "chain_id", "quorum", "from_block"}
_FROM_ENVIRONMENT = "env:"
_MOST_ENDPOINTS = 16
_MAX_BLOCK = 1 << 40


class ChainSettings(NamedTuple):
    """`rpc` are URLs, or `env:NAME` for one that a variable holds. `kms` is the DstackKms contract, 20 bytes.

    `quorum` None is a majority of the endpoints, `chain_id` None whatever they agree on.
    """

    rpc: tuple[str, ...] = ()
    kms: bytes | None = None
    chain_id: int | None = None
    quorum: int | None = None
    from_block: int | None = None

    def __repr__(self) -> str:
        """Without the URLs, in which providers put keys."""
        return f"ChainSettings({len(self.rpc)} endpoints)"

    def believed(self, chain: TrustedChain) -> TrustedChain:
        """The chain and the KMS contract that are believed, where this names them."""
        return chain._replace(
            chain_id=chain.chain_id if self.chain_id is None else self.chain_id,
            kms=chain.kms if self.kms is None else self.kms,
        )

    def opened(self, http: HttpClient) -> Quorum:
        """The endpoints, nothing asked yet. Raises UsageError when there are none."""
        from twinproof.sources.rpc import endpoints_of
        from twinproof.sources.rpc_quorum import Quorum, majority

        if not self.rpc:
            raise UsageError(
                "no chain endpoint", where="--chain", hint="--chain https://..., or rpc of [chain] in twinproof.toml"
            )
        urls = tuple(_url(text) for text in self.rpc)
        endpoints = endpoints_of(urls, http, note=_note)
        return Quorum(endpoints, majority(len(endpoints)) if self.quorum is None else self.quorum, self.chain_id)


def read_chain_settings(table: Fields) -> ChainSettings:
    """The `[chain]` table. Raises Malformed."""
    for name in table.raw:
        if name not in _KEYS:
            raise Malformed("unknown key", where=table.where, got=shown(name, 40), expected=", ".join(sorted(_KEYS)))
    rpc: tuple[str, ...] = ()
    if "rpc" in table:
        one = isinstance(table.raw["rpc"], str)
        rpc = (table.text("rpc"),) if one else table.texts("rpc", max_items=_MOST_ENDPOINTS)
    kms = None
    if "kms" in table:
        kms = unhex(table.text("kms", max_chars=100).removeprefix("0x"), f"{table.where}.kms", size=20)
    return ChainSettings(
        rpc=rpc,
        kms=kms,
        chain_id=table.integer("chain_id", low=1, high=(1 << 53) - 1) if "chain_id" in table else None,
        quorum=table.integer("quorum", low=1, high=_MOST_ENDPOINTS) if "quorum" in table else None,
        from_block=table.integer("from_block", high=_MAX_BLOCK) if "from_block" in table else None,
    )


def with_flags(settings: ChainSettings | None, arguments: argparse.Namespace) -> ChainSettings:
    """Flags before the file. `--chain` names other endpoints, to which the quorum of the file does not apply."""
    merged = settings or ChainSettings()
    named: list[str] = getattr(arguments, "chain", None) or []
    if named:
        rpc = tuple(part.strip() for text in named for part in text.split(",") if part.strip())
        merged = merged._replace(rpc=rpc, quorum=merged.quorum if rpc == merged.rpc else None)
    if getattr(arguments, "kms", None) is not None:
        merged = merged._replace(kms=address_of(arguments.kms, "--kms"))
    for name in ("chain_id", "quorum", "from_block"):
        value = getattr(arguments, name, None)
        if value is not None:
            if not (0 if name == "from_block" else 1) <= value <= _MAX_BLOCK:
                raise UsageError("out of range", where=f"--{name.replace('_', '-')}", got=str(value))
            merged = merged._replace(**{name: value})
    return merged


def address_of(text: str, where: str) -> bytes:
    """20 bytes of hex, with or without 0x or dstack's `app_`. Raises UsageError; a wrong checksum is one too."""
    digits = text.removeprefix("app_").removeprefix("0x")
    address = _hex(digits, where, 20)
    if digits != digits.lower() and digits != digits.upper():
        from twinproof.keccak import keccak256

        key = keccak256(digits.lower().encode()).hex()
        if digits != "".join(c.upper() if int(key[i], 16) > 7 else c for i, c in enumerate(digits.lower())):
            raise UsageError(
                "an address with a wrong checksum", where=where, got=shown(text, 60), hint="a letter was mistyped"
            )
    return address


def hash_of(text: str, where: str) -> bytes:
    """32 bytes of hex, with or without 0x. Raises UsageError."""
    return _hex(text.removeprefix("0x"), where, 32)


def _hex(digits: str, where: str, size: int) -> bytes:
    try:
        return unhex(digits, where, size=size)
    except Malformed as error:
        raise UsageError(error.what, where=where, got=error.got, expected=error.expected) from error


def _url(text: str) -> str:
    if text.startswith(_FROM_ENVIRONMENT):
        name = text.removeprefix(_FROM_ENVIRONMENT)
        text = os.environ.get(name, "")
        if not text:
            raise UsageError("no such environment variable", where=f"--chain {_FROM_ENVIRONMENT}{shown(name, 60)}")
        keep_from_children(name)
    split_url(text)
    return text


def _note(text: str) -> None:
    import sys

    print(f"twinproof: {text}", file=sys.stderr)
