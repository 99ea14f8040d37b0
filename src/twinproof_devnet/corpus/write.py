"""All cases, and how they lie in a directory: one directory per case, an index, a README."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from twinproof_devnet.corpus.accepted import accepted_cases
from twinproof_devnet.corpus.attributes import attribute_cases
from twinproof_devnet.corpus.bundles import bundle_cases
from twinproof_devnet.corpus.case import Case
from twinproof_devnet.corpus.certificates import certificate_cases
from twinproof_devnet.corpus.documents import document_cases
from twinproof_devnet.corpus.enclaves import enclave_cases
from twinproof_devnet.corpus.images import image_cases
from twinproof_devnet.corpus.quotes import quote_cases
from twinproof_devnet.corpus.ra_tls_bundles import ra_tls_cases
from twinproof_devnet.corpus.revocation import revocation_cases
from twinproof_devnet.corpus.rig import Rig
from twinproof_devnet.corpus.tcb import tcb_cases

__all__ = ["all_cases", "write_corpus"]

INDEX_SCHEMA = "twinproof/conformance-corpus/v1"
README = """\
# Conformance cases for verifiers of Intel DCAP quotes and of twinproof evidence bundles

Simulated hardware: every key here was made for this directory, none is Intel's, and `root.der` is the only root.

One directory per case:

- `quote.bin` and `collateral.json`, or `bundle.json`: the input;
- `root.der`: the trust root;
- `at`: the time to judge it at, unix seconds, UTC;
- `expected.json`: `verdict` (accept, refuse), `tcb_status` of what is accepted, `stage` (the check that refuses),
  `rule` (genuine: Intel's formats and rules demand it; strict: widely used verifiers answer otherwise; policy: a
  decision of the relying party, here the strict default) and a description.

`index.json` lists the cases in their order. tests/conformance/README.md of the twinproof repository describes the
protocol and a runner that asks any verifier.
"""


def all_cases(at: int) -> Iterator[Case]:
    """Every case, with new keys; `at` is the time (unix seconds) at which the good parts are valid."""
    rig = Rig.create(at)
    yield from accepted_cases(rig)
    for cases in (quote_cases, certificate_cases, revocation_cases, document_cases, enclave_cases, tcb_cases):
        yield from cases(rig)
    yield from attribute_cases(rig)
    yield from bundle_cases(rig)
    yield from ra_tls_cases(rig)
    yield from image_cases(rig)


def write_corpus(directory: Path, at: int) -> int:
    """Write the corpus into a new or empty directory: how many cases. Raises ValueError, OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty")
    names: list[str] = []
    for case in all_cases(at):
        _write_case(directory / case.name, case)
        names.append(case.name)
    if len(set(names)) != len(names):
        raise ValueError(f"two cases of one name: {sorted(name for name in set(names) if names.count(name) > 1)}")
    index = {"schema": INDEX_SCHEMA, "at": at, "cases": names}
    (directory / "README.md").write_text(README, encoding="utf-8")
    (directory / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return len(names)


def _write_case(directory: Path, case: Case) -> None:
    directory.mkdir(exist_ok=False)
    for name, data in case.files.items():
        (directory / name).write_bytes(data)
    (directory / "at").write_text(f"{case.at}\n", encoding="ascii")
    (directory / "expected.json").write_text(json.dumps(case.expected(), indent=1) + "\n", encoding="utf-8")
