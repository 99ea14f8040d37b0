"""What a worker of an audit does, in this process, another or on another machine: it needs nothing but its task.

Everything an entry is made of travels with it, so no worker needs the archive's disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from twinproof.cli.settings import Settings
from twinproof.errors import TwinproofError
from twinproof.evidence.bundle import parse_bundle
from twinproof.sources.archive.entry import Summary, summary_of
from twinproof.sources.archive.store import Packed
from twinproof.verifier import Verifier
from twinproof.wire import shown

__all__ = ["INDEX_DIFFERS", "Audited", "Task", "audit_tasks", "indexed_as_said", "lost"]

INDEX_DIFFERS = "the index says something else than the entry"


@dataclass(frozen=True, slots=True)
class Task:
    """An entry, the shared texts that it names, and whether it follows the one before it."""

    packed: Packed
    shared: tuple[tuple[str, bytes], ...]
    linked: bool


@dataclass(frozen=True, slots=True)
class Audited:
    """`broken` says what is wrong with the entry itself; `now` is today's verdict, where there could be one."""

    number: int
    source: str
    broken: str = ""
    then: Summary | None = None
    now: Summary | None = None
    hint: str = ""
    """Of what fails now, the mistake that people really make."""

    @property
    def changed(self) -> bool:
        """The same evidence, another answer: of another policy or root, or of another version of this tool."""
        if self.then is None or self.now is None:
            return False
        return (self.then.exit_code, self.then.failed) != (self.now.exit_code, self.now.failed)


def audit_tasks(settings: Settings, tasks: Sequence[Task]) -> list[Audited]:
    """One result per task, in their order."""
    verifier = _verifier(settings)
    return [_audited(task, verifier) for task in tasks]


@lru_cache(maxsize=1)
def _verifier(settings: Settings) -> Verifier:
    return Verifier(roots=settings.roots, policy=settings.policy)


def _audited(task: Task, verifier: Verifier) -> Audited:
    entry = task.packed.entry
    said = shown(entry.source, 200)
    if task.packed.unread:
        return Audited(entry.number, said, broken=task.packed.unread)
    if not task.linked:
        return Audited(entry.number, said, broken="it does not follow the entry before it: one was changed or left out")
    try:
        then = entry.judged
        if not indexed_as_said(task.packed):
            return Audited(entry.number, said, broken=INDEX_DIFFERS)
        evidence = parse_bundle(task.packed.text(dict(task.shared)))
        verdict = verifier.verify(evidence)
        hint = next((check.hint for check in verdict.failures if check.hint), "")
        return Audited(entry.number, said, then=then, now=summary_of(verdict), hint=hint)
    except TwinproofError as error:
        return Audited(entry.number, said, broken=shown(str(error), 1000))
    except (ValueError, TypeError, KeyError) as error:  # a summary that somebody wrote anew, with a fitting chain
        return Audited(entry.number, said, broken=f"its summary cannot be read: {shown(str(error), 200)}")


def indexed_as_said(packed: Packed) -> bool:
    """Whether the index says of an entry what the entry says. Raises Malformed for a summary that is none."""
    then = packed.entry.judged
    return packed.indexed == (then.at, then.version, then.device_id, then.exit_code)


def lost(task: Task, death: BaseException) -> Audited:
    """The result of a task whose worker died over it."""
    entry = task.packed.entry
    return Audited(entry.number, shown(entry.source, 200), broken=f"its worker died: {shown(str(death), 200)}")
