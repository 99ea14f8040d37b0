"""The folder `deployments/`: one file per record, one bundle per record under `evidence/`, each written once.

A file that cannot be read as a record costs no other its row: it is named, and what is rendered stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinproof.deployments.record import MAX_RECORD_BYTES, Record, parse_record
from twinproof.errors import Malformed, Refused, TwinproofError, UsageError
from twinproof.evidence.bundle import MAX_BUNDLE_BYTES
from twinproof.sources.disk import write_new
from twinproof.wire import shown

__all__ = ["FOLDER", "RecordFolder", "Recorded", "bundle_path", "read_bundle_text", "read_records", "write_record"]

FOLDER = "deployments"
EVIDENCE = "evidence"
MAX_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is written for one machine: the record, and the text of its bundle where there is one."""

    record: Record
    bundle: bytes | None = None


@dataclass(frozen=True, slots=True)
class RecordFolder:
    """`broken` holds files that are no records, by name, with what is wrong."""

    records: tuple[Record, ...] = ()
    broken: tuple[tuple[str, TwinproofError], ...] = ()

    def whole(self) -> tuple[Record, ...]:
        """The records. Raises Malformed naming every file that is none."""
        if self.broken:
            name, first = self.broken[0]
            more = f"; {len(self.broken) - 1} more" if len(self.broken) > 1 else ""
            raise Malformed(
                f"not a deployment record: {first}{more}",
                where=name,
                hint=f"mend or remove: {', '.join(name for name, _ in self.broken[:10])}",
            )
        return self.records


def read_records(folder: Path) -> RecordFolder:
    """Every `*.json` directly in the folder, in the order of their names; no folder is no record."""
    records, broken = [], []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except FileNotFoundError:
        return RecordFolder()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(folder)) from error
    if len(paths) > MAX_RECORDS:
        raise UsageError("too many files", where=str(folder), got=str(len(paths)), expected=f"at most {MAX_RECORDS}")
    for path in paths:
        name = shown(path.name, 160)
        try:
            record = parse_record(_read(path, MAX_RECORD_BYTES), name)
            if path.name != f"{record.name}.json":
                raise Malformed("a record under another name", where=name, expected=f"{record.name}.json")
        except TwinproofError as error:
            broken.append((name, error))
        else:
            records.append(record)
    return RecordFolder(tuple(records), tuple(broken))


def _read(path: Path, most: int) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise Malformed("not a plain file", where=path.name)
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Malformed(f"cannot be read: {error.strerror}", where=path.name) from error
    if len(data) > most:
        raise Malformed("file too large", where=path.name, expected=f"at most {most} bytes")
    return data


def bundle_path(folder: Path, record: Record) -> Path:
    return folder / EVIDENCE / f"{record.name}.json"


def read_bundle_text(folder: Path, record: Record) -> bytes:
    """The bundle's file. Raises UsageError when there is none, Malformed when it cannot be one."""
    path = bundle_path(folder, record)
    if not path.exists():
        raise UsageError("there is no evidence bundle for this record", where=str(path))
    return _read(path, MAX_BUNDLE_BYTES)


def write_record(folder: Path, item: Recorded) -> tuple[Path, ...]:
    """Write the bundle, then the record, each whole or not at all; the paths that were written or were there already.

    The same record again is success. Raises Refused when another one stands under its name.
    """
    paths = [(folder / f"{item.record.name}.json", item.record.to_json().encode())]
    if item.bundle is not None:
        paths.insert(0, (bundle_path(folder, item.record), item.bundle))
    for path, data in paths:
        if path.parent.is_symlink() or folder.is_symlink():
            raise UsageError("a link in the place of a folder", where=str(path.parent), expected="a folder")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(path, data)
        except FileExistsError:
            if path.is_symlink() or not path.is_file() or path.read_bytes() != data:
                raise Refused(
                    "another record of this name exists",
                    where=str(path),
                    hint="records are never changed: a second attempt is another run",
                ) from None
        except OSError as error:
            raise UsageError(f"cannot write: {error.strerror}", where=str(path)) from error
    return tuple(path for path, _ in paths)


def write_records(folder: Path, items: Sequence[Recorded]) -> tuple[Path, ...]:
    """All of them, in order. Raises Refused, UsageError."""
    return tuple(path for item in items for path in write_record(folder, item))
