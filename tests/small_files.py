"""Small instances as files: their bundles, the root to verify them by, an archive of them."""

from __future__ import annotations

from pathlib import Path

from small_instance import AT, pki, twins, verifier
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Evidence
from twinproof.sources.archive.entry import summary_of
from twinproof.sources.archive.store import Archive, New
from twinproof.verifier import Verifier

__all__ = ["archived", "new_entry", "root_file", "twin_files"]


def root_file(folder: Path) -> Path:
    """`root.pem`, the devnet's root."""
    path = folder / "root.pem"
    path.write_text(pki().root.pem, encoding="ascii")
    return path


def twin_files(folder: Path) -> list[Path]:
    """`0.json` and `1.json`, bundles of two instances that prove the same code."""
    paths = [folder / "0.json", folder / "1.json"]
    for path, instance in zip(paths, twins(), strict=True):
        path.write_text(bundle_to_json(instance.evidence()), encoding="ascii")
    return paths


def new_entry(evidence: Evidence, judge: Verifier) -> New:
    """As `twinproof archive add` makes it of a bundle."""
    return New(bundle_to_json(evidence).encode(), evidence.source, summary_of(judge.verify(evidence)))


def archived(folder: Path, *evidences: Evidence, judge: Verifier | None = None) -> str:
    """The name of `archive` in the folder, with these added at one time."""
    judge = judge or verifier()
    name = str(folder / "archive")
    with Archive(name, write=True) as archive:
        list(archive.add([new_entry(evidence, judge) for evidence in evidences], clock=lambda: AT))
    return name
