"""One instance's Verdict as text: the sentence, what it is, every check, and what was not checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from twinproof.policy import Policy
from twinproof.report.chain_text import chain_sentence
from twinproof.report.layout import marked, paragraph, shorten
from twinproof.report.style import PLAIN, Style
from twinproof.verdict import Check, Question, Status
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = [
    "STORED",
    "age_lines",
    "channel_lines",
    "check_lines",
    "explained",
    "hint_lines",
    "not_checked_lines",
    "policy_lines",
    "simulated_line",
    "time_text",
    "verdict_sentence",
    "verdict_text",
]

RECENT_SECONDS = 600
_MANY = 10
STORED = "Read from files, whose makers chose nonce and time: this says nothing about now."


def time_text(seconds: int) -> str:
    """Unix seconds as UTC text; the report never uses the reader's time zone."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def simulated_line(names: set[str], style: Style) -> list[str]:
    """The first line of every report whose trust root is not Intel's."""
    text = f"SIMULATED HARDWARE: the trust root is {', '.join(sorted(names))}. Nothing here is about real machines."
    return [style.paint(line, "bold", "yellow") for line in paragraph(text, style, indent="")]


def verdict_sentence(verdict: Verdict) -> str:
    if not verdict.genuine:
        return "NOT GENUINE"
    if not verdict.accepted:
        return "GENUINE, BUT NOT WHAT WAS EXPECTED"
    return "GENUINE" if verdict.fresh else "GENUINE, NOT SHOWN TO BE FRESH"


def age_lines(verdicts: Sequence[Verdict], now: int, style: Style) -> list[str]:
    """Evidence that was not collected just now says nothing about now, however fresh it was for its collector."""
    collected = [v.at if v.evidence.fetched_at is None else v.evidence.fetched_at for v in verdicts]
    if any(verdict.evidence.stored for verdict in verdicts):
        text = STORED
    elif max(abs(now - time) for time in collected) > RECENT_SECONDS:
        text = "Evidence that is not of this run says nothing about now."
    else:
        return []
    text = f"Collected at {' to '.join(dict.fromkeys(map(time_text, (min(collected), max(collected)))))}. {text}"
    return [style.paint(line, "yellow") for line in paragraph(text, style)]


def verdict_text(verdict: Verdict, style: Style = PLAIN, *, now: int, explain: bool = False) -> str:
    """The whole report of `twinproof verify`; `now` is the reader's clock (unix seconds)."""
    lines: list[str] = []
    if verdict.simulated:
        lines += simulated_line({verdict.root.name}, style)
    lines += [
        style.rule(double=True),
        f"  {style.ellipsis(shown(verdict.title, 200), style.width - 2)}",
        style.rule(double=True),
    ]
    lines += _facts(verdict, style)
    for question, heading in ((Question.GENUINE, "GENUINE?"), (Question.WANTED, "AS EXPECTED?")):
        lines += ["", heading]
        for check in verdict.checks:
            if check.step.question is question and check.status is not Status.NOT_CHECKED:
                lines += check_lines(check, style)
                lines += explained(check, style) if explain else []
    lines += ["", style.rule()]
    colour = "green" if verdict.accepted else "red"
    lines += [style.paint(verdict_sentence(verdict), "bold", colour)]
    lines += [f"  judged at {time_text(verdict.at)}", *age_lines([verdict], now, style)]
    if verdict.accepted and verdict.evidence.chain is not None:
        lines += paragraph(shorten(chain_sentence([verdict]), style), style)
    lines += channel_lines([verdict], style)
    lines += not_checked_lines(
        ((check.id, check.reason) for check in verdict.checks if check.status is Status.NOT_CHECKED), style
    )
    lines += policy_lines(verdict.policy)
    return "\n".join(lines) + "\n"


def channel_lines(verdicts: Iterable[Verdict], style: Style) -> list[str]:
    """What each kind of TLS binding among them means, once; nothing for evidence that is not genuine.

    A file holds whatever certificate its maker put into it: this tool saw no connection then.
    """
    lines: list[str] = []
    for binding, stored in sorted({(v.channel_binding, v.evidence.stored) for v in verdicts if v.genuine}):
        meaning = binding.meaning.replace("this tool saw", "a file says was seen") if stored else binding.meaning
        lines += paragraph(f"TLS binding {binding}: {meaning}.", style)
    return lines


def policy_lines(policy: Policy) -> list[str]:
    """The digest tells whether two verdicts asked the same questions; every weakening is named."""
    return [f"  policy  {policy.digest}", *(f"  weakened: {weakening}" for weakening in policy.weakenings)]


def _facts(verdict: Verdict, style: Style) -> list[str]:
    claims = verdict.claims
    facts: list[tuple[str, str]] = []
    if claims.platform:
        platform = claims.platform
        facts += [
            (
                "Hardware",
                f"Intel {platform.tee}, quote v{platform.quote_version}, FMSPC {platform.fmspc.hex().upper()}",
            ),
            ("Machine", platform.device_id.hex()),
            (
                "TCB status",
                platform.tcb_status + (f" ({', '.join(platform.advisory_ids)})" if platform.advisory_ids else ""),
            ),
        ]
    if claims.registers:
        facts.append(("MR_ENCLAVE", f"{claims.registers.image_digest.hex()}"))
    if claims.software:
        software = claims.software
        facts += [
            ("Compose hash", software.compose_hash.hex()),
            ("App id", software.app_id.hex()),
            ("Instance id", software.instance_id.hex() or "(none)"),
            ("Key provider", f"{software.key_provider_name} {software.key_provider_id}".strip()),
        ]
    if claims.statement:
        statement = claims.statement
        facts += [("Version", f"{statement.version} ({statement.git_sha[:12]}), {statement.environment}")]
    return [f"  {name.ljust(14)}{style.ellipsis(shown(value, 1000), style.width - 16)}" for name, value in facts]


def check_lines(check: Check, style: Style) -> list[str]:
    text = check.step.title if not check.reason else f"{check.step.title}: {check.reason}"
    return [*marked(check.status, f"{shorten(text, style)} [{check.id}]", style), *hint_lines(check.hint, style)]


def hint_lines(hint: str, style: Style) -> list[str]:
    """The mistake that people really make, under what failed; nothing where there is none."""
    return paragraph(f"hint: {hint}", style, indent=" " * 10) if hint else []


def explained(check: Check, style: Style) -> list[str]:
    """The bytes behind a check: what was hashed, what came out, what was expected."""
    lines: list[str] = []
    for name, value in (("got", check.got), ("expected", check.expected), *check.detail):
        if value:
            lines += paragraph(f"{name}: {value}", style, indent=" " * 10)
    return lines


def not_checked_lines(groups: Iterable[tuple[str, str]], style: Style) -> list[str]:
    """What was not checked, as (id, reason): ids that share a reason share a line."""
    by_reason: dict[str, list[str]] = {}
    for step_id, reason in groups:
        by_reason.setdefault(reason, []).append(step_id)
    lines: list[str] = []
    for reason, ids in by_reason.items():
        lines += marked(Status.NOT_CHECKED, f"{', '.join(_families(ids))}: {shorten(reason, style)}", style)
    return ["  Not checked:", *lines] if lines else []


def _families(ids: Sequence[str]) -> list[str]:
    """The steps of a whole question, when none of them ran for one reason, as one name."""
    many = {family for family, count in Counter(name.partition(".")[0] for name in ids).items() if count > _MANY}
    short = [f"{family}.*" if (family := name.partition(".")[0]) in many else name for name in ids]
    return list(dict.fromkeys(short))
