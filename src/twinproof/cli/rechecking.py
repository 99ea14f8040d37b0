"""What a re-check from the pages asks: the instances that `serve` was started with, and no others."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from twinproof.cli.archive_keep import keep
from twinproof.cli.collect import check_targets
from twinproof.cli.compare import Asked, ask_all
from twinproof.cli.settings import Settings
from twinproof.comparison import required_comparisons
from twinproof.errors import TwinproofError, UsageError
from twinproof.names import short_source
from twinproof.report.outcome import headline_text
from twinproof.report.verdict_text import verdict_sentence
from twinproof.sources import clock, entropy
from twinproof.sources.files import read_file
from twinproof.urls import masked, split_url
from twinproof.verdict import Status
from twinproof.verifier import Verdict, Verifier
from twinproof.web.recheck import Recheck, Rechecked, RecheckedInstance
from twinproof.wire import shown

__all__ = ["rechecking"]

_SHORTEST_TOKEN = 16


def rechecking(arguments: argparse.Namespace, settings: Settings, verifier: Verifier) -> tuple[Recheck | None, str]:
    """The re-check of `--instance`, and the token that was made for it, if none was given. Raises UsageError."""
    targets: list[str] = arguments.instance
    if not targets:
        return None, ""
    for target in targets:
        url = target if "://" in target else settings.url_of(target)
        if url is None:
            raise UsageError(
                "not an instance",
                where="--instance",
                got=shown(target, 100),
                expected="a URL, or a machine of twinproof.toml",
            )
        split_url(url)
    check_targets(targets, settings, ra_tls=False)
    required = required_comparisons(settings.required_comparisons)
    asking = argparse.Namespace(
        **{**vars(arguments), "targets": targets, "ra_tls": False, "collateral": [], "app_compose": None, "save": None}
    )

    def ask(told: Callable[[str], None]) -> Rechecked:
        asked = ask_all(asking, settings, required, verifier, progress=lambda _done, _total, name: told(_name(name)))
        not_archived, entries = "", list[int | None]([None] * len(asked.verdicts))
        try:
            entries = keep(arguments.archive, asked.verdicts)
        except TwinproofError as error:
            not_archived = f"Not archived: {error}"
        return _rechecked(asked, entries, not_archived)

    made = "" if arguments.token_file else entropy.session_secret().hex()
    token = made or _token(arguments.token_file)
    return Recheck(tuple(map(_name, targets)), ask, token=token, clock=clock.now), made


def _token(name: str) -> str:
    text = read_file(name, "--token-file", max_bytes=4096).decode("ascii", "replace").strip()
    if len(text) < _SHORTEST_TOKEN or not text.isascii() or not text.isprintable():
        raise UsageError(
            "not a token", where=f"--token-file {shown(name)}", expected=f"{_SHORTEST_TOKEN} or more ASCII characters"
        )
    return text


def _name(target: str) -> str:
    return masked(target) if "://" in target else target


def _rechecked(asked: Asked, entries: list[int | None], not_archived: str) -> Rechecked:
    """One line for each target, in their order."""
    failures, verdicts = dict(asked.failures), list(zip(asked.verdicts, entries, strict=True))
    lines = []
    for item in asked.collected:
        error = failures.get(item.name)
        if error is not None:
            lines.append(RecheckedInstance(_name(item.name), "not_checked", f"no evidence: {error}"))
            continue
        verdict, entry = verdicts.pop(0)
        lines.append(RecheckedInstance(_name(item.name), *_line(verdict), entry))
    if asked.proof is None and len(asked.verdicts) == 1 and not asked.failures:
        return Rechecked(tuple(lines), verdict_sentence(asked.verdicts[0]), asked.exit_code, not_archived)
    return Rechecked(tuple(lines), headline_text(asked.proof, asked.failures), asked.exit_code, not_archived)


def _line(verdict: Verdict) -> tuple[str, str]:
    failed = [check for check in verdict.checks if check.status is Status.FAIL]
    title = verdict.machine.title if verdict.machine else short_source(verdict.source)
    if failed:
        return "fail", f"{title}: {verdict_sentence(verdict)}: {failed[0].reason} ({failed[0].id})"
    return "pass" if verdict.fresh else "warn", f"{title}: {verdict_sentence(verdict)}"
