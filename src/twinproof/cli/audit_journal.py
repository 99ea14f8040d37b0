"""The journal of an audit: one line per entry, so that an interrupted audit goes on, and counts nothing twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from twinproof.cli.audit_work import Audited
from twinproof.errors import UsageError
from twinproof.sources.archive.entry import Summary
from twinproof.wire import shown

__all__ = ["Journal"]


class Journal:
    """Appends results; `before` are those of an earlier run over the same archive.

    By the same version of this tool, under the same policy and roots.
    """

    def __init__(self, name: str, about: dict[str, object]) -> None:
        """Raises UsageError for a file that is another audit's. A last line that was cut short is written anew."""
        self._path, self._where = Path(name), f"--journal {shown(name)}"
        self._first = json.dumps({"schema": "twinproof/audit-journal/v1", **about}, sort_keys=True)
        try:
            whole = self._whole_lines() if self._path.exists() else 0
            self._file = self._path.open("a", encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot be used: {error}", where=self._where) from error
        self._file.truncate(whole)
        if whole == 0:
            self._write(self._first)

    def _whole_lines(self) -> int:
        """Bytes up to the end of the last whole line. Raises UsageError for the journal of another audit."""
        size = 0
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                if not line.endswith("\n"):
                    break
                if size == 0 and line != f"{self._first}\n":
                    raise UsageError(
                        "the journal of another audit",
                        where=self._where,
                        got=shown(line.strip(), 200),
                        hint="another archive, policy, trust root or version of this tool: name a new file",
                    )
                size += len(line.encode())
        return size

    def before(self) -> Iterator[tuple[Audited, str]]:
        """Results of earlier runs, each with the hash of its entry. Raises UsageError for a line that is none."""
        with self._path.open(encoding="utf-8") as lines:
            next(lines, "")
            for number, line in enumerate(lines, start=2):
                try:
                    members = json.loads(line)
                    entry_hash = members.pop("hash")
                    for name in ("then", "now"):
                        members[name] = members[name] and Summary.from_json(json.dumps(members[name]))
                    yield Audited(**members), str(entry_hash)
                except (ValueError, TypeError, KeyError) as error:
                    raise UsageError("not a line of a journal", where=f"{self._where} line {number}") from error

    def add(self, result: Audited, entry_hash: str) -> None:
        self._write(json.dumps({**asdict(result), "hash": entry_hash}))

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
